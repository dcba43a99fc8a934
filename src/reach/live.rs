//! Runs in progress: what they read and what they have made so far.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::candidate::ids_in;
use super::{Gathered, ReachError};

/// The files of a live run that name artifacts: the record as it was at the start, and what git-ml noted since.
const FILES: [&str; 2] = ["run.toml", "events.jsonl"];

/// Looks at every folder of a run, also at those that are about to appear or to go.
pub(super) fn look(root: &Path, gathered: &mut Gathered<'_>) -> Result<(), ReachError> {
    let fail = |source| ReachError::Read { path: root.to_path_buf(), source };
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(fail)?,
    };
    for entry in entries {
        let folder = entry.map_err(fail)?.path();
        let label = format!("live run {}", folder.file_name().unwrap_or_default().to_string_lossy());
        for name in FILES {
            let path = folder.join(name);
            let file = match fs::File::open(&path) {
                // A run that is recorded meanwhile is found in its ref, which is read after this.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                    continue;
                }
                file => file.map_err(|source| ReachError::Read { path: path.clone(), source })?,
            };
            for line in BufReader::new(file).split(b'\n') {
                let line = line.map_err(|source| ReachError::Read { path: path.clone(), source })?;
                for id in ids_in(&line) {
                    gathered.add(id, &label);
                }
            }
        }
    }
    Ok(())
}
