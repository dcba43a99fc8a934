//! The words that name each kind of finding. They are a contract: docs/findings.md explains each.

use serde::{Serialize, Serializer};

use super::Severity;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal, $severity:ident;)*) => {
        /// What kind of thing is not as it should be.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
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
        }
    };
}

codes! {
    /// A pointer that is not valid.
    UnreadablePointer = "unreadable-pointer", Error;
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
    /// A file cannot be read because bytes in a pack changed.
    DamagedChunk = "damaged-chunk", Error;
    /// A pack is not as it was written.
    DamagedPack = "damaged-pack", Error;
    /// A file's content cannot be read for another reason.
    UnreadableContent = "unreadable-content", Error;
    /// The record of a run is not valid.
    MalformedRun = "malformed-run", Error;
    /// The commit with a run's code is not there.
    MissingSnapshot = "missing-snapshot", Error;
    /// The commit with a run's code is there, but nothing keeps git from removing it.
    UnanchoredSnapshot = "unanchored-snapshot", Warning;
    /// A run's record contradicts its outputs or its series.
    RecordMismatch = "record-mismatch", Error;
    /// The metrics of a run cannot be read.
    UnreadableSeries = "unreadable-series", Error;
    /// The log of a run cannot be read.
    UnreadableLog = "unreadable-log", Error;
    /// Something in the registry's tree is not valid.
    MalformedRegistry = "malformed-registry", Error;
    /// A model's versions are not 1, 2, 3, ….
    VersionGap = "version-gap", Error;
    /// A version is not what was registered.
    ChangedVersion = "changed-version", Error;
    /// An alias points to a version that is not there.
    DanglingAlias = "dangling-alias", Error;
    /// The run that a version names did not make its artifact.
    VersionNotRunOutput = "version-not-run-output", Error;
    /// The run that a version names is not there.
    MissingRun = "missing-run", Error;
    /// The commit that a version names is not there.
    MissingCommit = "missing-commit", Warning;
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
        }
        assert_eq!(page.matches("\n### `").count(), Code::ALL.len(), "the page explains codes that are gone");
    }
}
