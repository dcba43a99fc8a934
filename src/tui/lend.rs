//! What the terminal is lent out for: git's pager, and the user's editor.

use std::io;
use std::path::Path;

use crate::git::Repository;
use crate::id::CommitId;
use crate::words::with_causes;

/// Something that takes the whole terminal for a while.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Errand {
    /// What a commit says and changes, as `git show` has it.
    ShowCommit(CommitId),
    /// A text in the user's editor, to be read: the name of a file, and its content.
    Read(String, Vec<u8>),
}

impl Errand {
    /// Does it, and returns when the user has left the pager or the editor. The inner error is what went wrong there.
    pub(super) fn run(&self, folder: &Path) -> io::Result<Result<(), String>> {
        let repository = match Repository::discover(folder) {
            Ok(repository) => repository,
            Err(error) => return Ok(Err(with_causes(&error))),
        };
        let done = match self {
            Self::ShowCommit(commit) => repository.attended(&["--paginate", "show", &commit.to_string()]),
            Self::Read(name, content) => {
                let folder = tempfile::tempdir()?;
                // The name comes from others, and only its last part is a name.
                let name = Path::new(name).file_name().unwrap_or_else(|| "text".as_ref());
                let place = folder.path().join(name);
                if let Err(error) = crate::files::publish(&place, content, crate::files::Durability::Buffered) {
                    return Ok(Err(with_causes(&error)));
                }
                repository.edit(&place)
            }
        };
        Ok(done.map_err(|error| with_causes(&error)))
    }
}
