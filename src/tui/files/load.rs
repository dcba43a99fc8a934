//! What the files of artifacts are asked for.

use crate::id::{ArtifactId, Digest};
use crate::store::{Manifest, Store, StoreError};
use crate::tui::content::preview::{Preview, preview};
use crate::tui::content::tree::TreeFile;
use crate::tui::effects::{Kind, Lane};
use crate::tui::source::{Problem, Source};
use crate::words::{self, with_causes};

use super::FileKey;

/// Files of an artifact that are listed.
const MAX_FILES: usize = 20_000;

/// Bytes of a file that is handed to an editor.
const MAX_EDITED: u64 = 64 << 20;

/// Something that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// An artifact's files.
    List(ArtifactId),
    /// What a file looks like.
    Preview(FileKey),
    /// All of a file, for the user's editor.
    Read(FileKey),
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    List(ArtifactId, Result<FileList, Problem>),
    Preview(FileKey, Result<Preview, Problem>),
    /// A file's name and its content.
    Read(Result<(String, Vec<u8>), Problem>),
}

/// The files of an artifact, as many as are listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::tui) struct FileList {
    pub(in crate::tui) files: Vec<TreeFile>,
    /// The content of each.
    pub(in crate::tui) digests: Vec<Digest>,
    /// Whether the artifact is a single file without a name of its own.
    pub(in crate::tui) is_single: bool,
    /// What is left out.
    pub(in crate::tui) remark: Option<String>,
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        Lane::Files
    }

    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::List(_) => None,
            Self::Preview(_) => Some("preview"),
            Self::Read(_) => Some("file for the editor"),
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source) -> Answer {
        match self {
            Self::List(id) => {
                let files = source.files(&id);
                Answer::List(id, files)
            }
            Self::Preview(key) => {
                let preview = source.preview(&key);
                Answer::Preview(key, preview)
            }
            Self::Read(key) => Answer::Read(source.file(&key).map(|content| (key.path, content))),
        }
    }
}

/// The files of an artifact of this store.
pub(in crate::tui) fn list(store: &Store, id: &ArtifactId) -> Result<FileList, Problem> {
    let manifest = store.manifest(id).map_err(|error| problem(&error))?;
    Ok(of_manifest(&manifest))
}

fn of_manifest(manifest: &Manifest) -> FileList {
    let is_single = manifest.is_single_file();
    let shown = &manifest.entries()[..manifest.entries().len().min(MAX_FILES)];
    let more = manifest.entries().len() - shown.len();
    let path = |path: &str| if is_single { "(the file itself)".to_owned() } else { path.to_owned() };
    FileList {
        files: shown.iter().map(|entry| TreeFile { path: path(entry.path_text()), bytes: entry.size }).collect(),
        digests: shown.iter().map(|entry| entry.digest).collect(),
        is_single,
        remark: (more > 0).then(|| format!("and {} more", words::count(more as u64, "file"))),
    }
}

/// All of a file of this store, unless it is larger than anybody edits.
pub(in crate::tui) fn whole(store: &Store, key: &FileKey) -> Result<Vec<u8>, Problem> {
    if key.bytes > MAX_EDITED {
        return Err(format!(
            "{} of {} are too much for an editor: `git ml cat` prints them",
            words::size(key.bytes),
            key.path
        ));
    }
    store.read_to_vec(&key.digest, MAX_EDITED).map_err(|error| problem(&error))
}

/// What a file of this store looks like.
pub(in crate::tui) fn look(store: &Store, key: &FileKey) -> Result<Preview, Problem> {
    let mut reader = store.read(&key.digest).map_err(|error| problem(&error))?;
    preview(&key.path, key.bytes, &mut reader, key.room)
}

fn problem(error: &StoreError) -> Problem {
    match error {
        StoreError::Missing { .. } => "not in this store: `git ml pull` gets it".to_owned(),
        error => with_causes(error),
    }
}
