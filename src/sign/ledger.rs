//! `refs/ml/signatures`: each signature and attestation is a file, named by its own digest and kept under what it is about.
//!
//! A file never changes, so a merge is a union, and nothing in it can conflict.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::SignError;
use crate::git::{GitError, Identity, ObjectName, PartKind, RefCommit, Repository, TreeEdit};
use crate::id::{ArtifactId, CommitId, Digest, RunId};
use crate::track::Workspace;

/// The ref that keeps signatures and attestations.
pub const SIGNATURES_REF: &str = "refs/ml/signatures";
/// The folders of its tree.
const ARTIFACTS: &str = "artifacts";
const RUNS: &str = "runs";
/// How often a change that others overtake is tried again.
const ATTEMPTS: u64 = 200;
/// How many signatures of one thing are looked at: whoever may push may add any number.
const MAX_SIGNATURES: usize = 1000;

/// What a signature is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An artifact, and so every version, pointer and output that is it.
    Artifact(ArtifactId),
    /// A run.
    Run(RunId),
}

impl Subject {
    /// Its folder in the tree: `artifacts/ab/ab…`, `runs/cd/…cd`.
    fn folder(&self) -> String {
        match self {
            Self::Artifact(id) => {
                let id = id.to_string();
                format!("{ARTIFACTS}/{}/{id}", &id[..2])
            }
            // The last digits of a run's id are those that differ.
            Self::Run(id) => {
                let id = id.to_string();
                format!("{RUNS}/{}/{id}", &id[id.len() - 2..])
            }
        }
    }

    /// What a folder of the tree is about.
    fn of_folder(kind: &str, shelf: &str, name: &str) -> Option<Self> {
        let subject = match kind {
            ARTIFACTS => Self::Artifact(name.parse().ok()?),
            RUNS => Self::Run(name.parse().ok()?),
            _ => return None,
        };
        (subject.folder() == format!("{kind}/{shelf}/{name}")).then_some(subject)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Artifact(id) => write!(formatter, "artifact:{id}"),
            Self::Run(id) => write!(formatter, "run:{id}"),
        }
    }
}

/// In which form something is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// A statement of a few lines, and a signature of it with an SSH key.
    Ssh,
    /// A Sigstore bundle of OpenSSF Model Signing.
    ModelSigning,
    /// SLSA provenance in a DSSE envelope.
    Provenance,
}

impl Form {
    const ALL: [Self; 3] = [Self::Ssh, Self::ModelSigning, Self::Provenance];

    /// The word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::ModelSigning => "model-signing",
            Self::Provenance => "slsa-provenance",
        }
    }

    /// How the names of its files end.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::ModelSigning => "sigstore.json",
            Self::Provenance => "dsse.json",
        }
    }

    /// Bytes that a file of this form may have. A bundle lists every file of the artifact.
    pub fn limit(self) -> u64 {
        match self {
            Self::Ssh => 64 << 10,
            Self::ModelSigning | Self::Provenance => 64 << 20,
        }
    }

    /// Whether something of this form is about such a thing.
    fn is_about(self, subject: &Subject) -> bool {
        matches!(subject, Subject::Run(_)) == (self == Self::Provenance)
    }
}

/// Where a signature is in the tree of the ref: all that can be known of it without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// What it is about.
    pub subject: Subject,
    /// Its form.
    pub form: Form,
    /// The BLAKE3 of its content.
    pub digest: Digest,
}

impl Place {
    /// The place in which `content` belongs.
    pub fn of(subject: Subject, form: Form, content: &[u8]) -> Self {
        Self { subject, form, digest: Digest::of(content) }
    }

    /// The place that a path of the tree names; none where nothing of ours is called so.
    pub fn parse(path: &str) -> Option<Self> {
        let mut names = path.split('/');
        let (kind, shelf, name, file) = (names.next()?, names.next()?, names.next()?, names.next()?);
        if names.next().is_some() {
            return None;
        }
        let subject = Subject::of_folder(kind, shelf, name)?;
        let (digest, suffix) = file.split_once('.')?;
        let form = Form::ALL.into_iter().find(|form| form.suffix() == suffix && form.is_about(&subject))?;
        Some(Self { subject, form, digest: digest.parse().ok()? })
    }

    /// The path in the tree.
    pub fn path(&self) -> String {
        format!("{}/{}", self.subject.folder(), self.file_name())
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.digest, self.form.suffix())
    }
}

/// A signature or an attestation that is kept here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature {
    /// Where it is.
    pub place: Place,
    /// The commit of `refs/ml/signatures` that has it.
    pub tip: CommitId,
}

impl Signature {
    /// Its content, or what is wrong with it: too large, not what its name says.
    pub fn content(&self, repository: &Repository) -> Result<Result<Vec<u8>, String>, GitError> {
        let content = match repository.read_at(&self.tip, &self.place.path(), self.place.form.limit()) {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Err("it is not a file".to_owned())),
            Err(GitError::TooLarge { bytes, .. }) => return Ok(Err(format!("it has {bytes} bytes"))),
            Err(error) => return Err(error),
        };
        if Digest::of(&content) != self.place.digest {
            return Ok(Err("its content is not what its name says".to_owned()));
        }
        Ok(Ok(content))
    }
}

/// Something in the tree that no git-ml puts there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misplaced {
    /// Its path.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// The signatures that are kept in a repository.
#[derive(Debug)]
pub struct Ledger<'r> {
    repository: &'r Repository,
    tip: Option<CommitId>,
}

impl<'r> Ledger<'r> {
    /// The signatures as they are now.
    pub fn open(repository: &'r Repository) -> Result<Self, GitError> {
        Ok(Self { repository, tip: repository.read_ref(SIGNATURES_REF)? })
    }

    /// The signatures of an artifact or the attestations of a run, at most a thousand.
    pub fn of(&self, subject: &Subject) -> Result<Vec<Signature>, GitError> {
        let Some(tip) = self.tip else { return Ok(Vec::new()) };
        let folder = subject.folder();
        let names = self.repository.list_at(&tip, &folder)?;
        let places = names.iter().filter(|entry| !entry.is_folder);
        let places = places.filter_map(|entry| Place::parse(&format!("{folder}/{}", entry.name)));
        Ok(places.take(MAX_SIGNATURES).map(|place| Signature { place, tip }).collect())
    }

    /// All of them, and what does not belong there.
    pub fn all(&self) -> Result<(Vec<Signature>, Vec<Misplaced>), GitError> {
        let (mut signatures, mut misplaced) = (Vec::new(), Vec::new());
        let Some(tip) = self.tip else { return Ok((signatures, misplaced)) };
        let mut folders: Vec<(String, ObjectName)> = vec![(String::new(), self.repository.tree_of(&tip)?)];
        while let Some((folder, id)) = folders.pop() {
            for part in self.repository.parts_of(&id)? {
                let path = if folder.is_empty() { part.name } else { format!("{folder}/{}", part.name) };
                // Ours are four names deep.
                match (part.kind, Place::parse(&path)) {
                    (PartKind::Folder, _) if path.matches('/').count() < 3 => folders.push((path, part.id)),
                    (PartKind::File, Some(place)) => signatures.push(Signature { place, tip }),
                    _ => misplaced.push(Misplaced {
                        path: path.escape_debug().to_string(),
                        problem: "this is neither a signature nor an attestation".to_owned(),
                    }),
                }
            }
        }
        signatures.sort();
        misplaced.sort_by(|left, right| left.path.cmp(&right.path));
        Ok((signatures, misplaced))
    }
}

/// The signatures of an artifact.
pub fn signatures_of(workspace: &Workspace, artifact: &ArtifactId) -> Result<Vec<Signature>, SignError> {
    Ok(Ledger::open(&workspace.repository)?.of(&Subject::Artifact(*artifact))?)
}

/// Keeps a signature; whether it was not here before. `subject_line` is what the commit says to people.
pub(super) fn keep(
    repository: &Repository,
    author: &Identity,
    place: &Place,
    content: &[u8],
    subject_line: &str,
) -> Result<bool, GitError> {
    let path = place.path();
    for attempt in 0.. {
        let expected = repository.read_ref(SIGNATURES_REF)?;
        if let Some(tip) = expected
            && repository.read_at(&tip, &path, place.form.limit())?.is_some()
        {
            return Ok(false);
        }
        let message = format!("{subject_line}\n\nSubject: {}\nForm: {}\n", place.subject, place.form.as_str());
        let commit = RefCommit {
            reference: SIGNATURES_REF,
            expected,
            edits: vec![TreeEdit { path: path.clone(), content: Some(content.to_vec()) }],
            message: &message,
            extra_parents: Vec::new(),
            author,
        };
        match repository.commit_to_ref(&commit) {
            Ok(_) => return Ok(true),
            Err(GitError::RefMoved { .. }) if attempt < ATTEMPTS => {
                // Those who collide wait for different times, so that they do not collide again.
                let spread = u64::from(std::process::id()) * 31
                    + u64::from(Timestamp::now().subsec_nanosecond().unsigned_abs()) / 1000;
                std::thread::sleep(Duration::from_millis(spread % (attempt.min(20) + 1)));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
