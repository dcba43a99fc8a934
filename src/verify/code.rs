//! The words that name each kind of finding. They are a contract: docs/findings.md explains each.

use serde::{Serialize, Serializer};

use super::Severity;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal, $severity:ident;)*) => {
        /// What kind of thing is not as it should be.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[doc = $doc])+ $name,)*
        }

        impl Code {
            /// Every kind there is.
            pub const ALL: &[Code] = &[$(Code::$name,)*];

            /// The stable word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Code::$name => $word,)*
                }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {
                    $(Code::$name => Severity::$severity,)*
                }
            }

            /// What it says, in a sentence.
            pub fn summary(self) -> &'static str {
                match self {
                    $(Code::$name => concat!($($doc),+).trim_ascii(),)*
                }
            }
        }
    };
}

codes! {
    /// A pointer that is not valid.
    UnreadablePointer = "unreadable-pointer", Error;
    /// A pointer with the conflict markers of a merge.
    ConflictedPointer = "conflicted-pointer", Error;
    /// A path or a name that leaves the place where it belongs.
    UnsafePath = "unsafe-path", Error;
    /// A pointer has the id of one artifact and the numbers of another.
    SwappedPointer = "swapped-pointer", Error;
    /// A pointer says other numbers than the artifact it names has.
    PointerMismatch = "pointer-mismatch", Error;
    /// The store does not have an artifact's manifest.
    MissingArtifact = "missing-artifact", Error;
    /// The store does not have what a run read.
    MissingInput = "missing-input", Warning;
    /// The store has an artifact's manifest, but not all of its files.
    MissingContent = "missing-content", Error;
    /// A manifest that is not valid, or that contradicts the content.
    MalformedManifest = "malformed-manifest", Error;
    /// A manifest has a name that some systems reserve.
    ReservedName = "reserved-name", Error;
    /// Two names of an artifact differ in case alone.
    CaseCollision = "case-collision", Warning;
    /// Two names of an artifact differ in the form of their characters alone.
    FormCollision = "form-collision", Warning;
    /// A pointer names an artifact with the files that are checked out, but other names.
    RenamedFiles = "renamed-files", Warning;
    /// A file cannot be read because bytes in a pack changed.
    DamagedChunk = "damaged-chunk", Error;
    /// A pack is not as it was written.
    DamagedPack = "damaged-pack", Error;
    /// A pack that was here when it was verified is gone, and something is missing with it.
    MissingPack = "missing-pack", Error;
    /// A file's content cannot be read for another reason.
    UnreadableContent = "unreadable-content", Error;
    /// The record of a run is not valid.
    MalformedRun = "malformed-run", Error;
    /// The record of a run is in another run's place.
    MisplacedRun = "misplaced-run", Error;
    /// The commit with a run's code is not there.
    MissingSnapshot = "missing-snapshot", Error;
    /// The commit with a run's code is there, but nothing keeps git from removing it.
    UnanchoredSnapshot = "unanchored-snapshot", Warning;
    /// The commit with a run's code does not have the pointers to what the run read.
    InputNotInCommit = "input-not-in-commit", Error;
    /// A run's record says other numbers than its outputs have.
    OutputMismatch = "output-mismatch", Error;
    /// A run's record says other numbers than its series has.
    RecordMismatch = "record-mismatch", Error;
    /// The metrics of a run cannot be read.
    UnreadableSeries = "unreadable-series", Error;
    /// The log of a run cannot be read.
    UnreadableLog = "unreadable-log", Error;
    /// The history of the runs has a run twice, with different content.
    RewrittenRun = "rewritten-run", Error;
    /// The history of the runs has a run that is gone.
    RemovedRun = "removed-run", Error;
    /// Something in the registry's tree is not valid.
    MalformedRegistry = "malformed-registry", Error;
    /// A file in a tree of ours that has no place there.
    ForeignFile = "foreign-file", Warning;
    /// A model's versions are not 1, 2, 3, ….
    VersionGap = "version-gap", Error;
    /// A version is not what was registered.
    ChangedVersion = "changed-version", Error;
    /// A version that was registered is gone, and no event removed it.
    RemovedVersion = "removed-version", Error;
    /// A version that no event registered.
    UnrecordedVersion = "unrecorded-version", Error;
    /// An alias points to a version that is not there.
    DanglingAlias = "dangling-alias", Error;
    /// An alias moved, and no event says so.
    MovedAlias = "moved-alias", Error;
    /// An event says something else than what its commit changed.
    EventMismatch = "event-mismatch", Error;
    /// The run that a version names did not make its artifact.
    VersionNotRunOutput = "version-not-run-output", Error;
    /// A version names another commit than its run.
    VersionCommitMismatch = "version-commit-mismatch", Error;
    /// The run that a version names is not there.
    MissingRun = "missing-run", Error;
    /// The commit that a version names is not there.
    MissingCommit = "missing-commit", Warning;
    /// A signature that cannot be read.
    UnreadableSignature = "unreadable-signature", Error;
    /// A signature is not what its key signed.
    BadSignature = "bad-signature", Error;
    /// A signature is about something else than what it is kept under.
    SignedSubjectDiffers = "signed-subject-differs", Error;
    /// Something is signed only by a key that the user does not trust.
    UnknownSigner = "unknown-signer", Error;
    /// Something is signed only by a key that was not trusted any more.
    ExpiredSigner = "expired-signer", Error;
    /// Something is signed only by a key that was not trusted yet.
    SignerNotValidYet = "signer-not-valid-yet", Error;
    /// Something is signed by a key that was revoked.
    RevokedSigner = "revoked-signer", Error;
    /// A signature that was kept is gone, or one that a gate wants is not there.
    MissingSignature = "missing-signature", Error;
    /// The files that say whom to trust cannot be used.
    UnusableTrust = "unusable-trust", Error;
    /// A remote does not have what a pointer or a version names.
    RemoteMissing = "remote-missing", Error;
    /// A remote cannot be asked what it has.
    RemoteUnreadable = "remote-unreadable", Error;
    /// A ref of ours cannot be read.
    UnreadableRef = "unreadable-ref", Error;
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_with_its_severity() {
        let page = include_str!("../../docs/findings.md");
        for code in Code::ALL {
            let severity = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let heading = format!("\n### `{}` ({severity})\n\n", code.as_str());
            let (_, section) = page.split_once(&heading).unwrap_or_else(|| panic!("no section{heading}"));
            let section = section.split("\n#").next().unwrap();
            assert!(section.contains("**Remedy:** "), "{} has no remedy", code.as_str());
            assert!(code.summary().ends_with('.') && !code.summary().contains('\n'), "{}", code.summary());
        }
        assert_eq!(page.matches("\n### `").count(), Code::ALL.len(), "the page explains codes that are gone");
    }
}
