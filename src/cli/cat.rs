//! `git ml cat`

use std::io::{self, Read, Write};

use crate::files::RelPath;
use crate::id::Digest;
use crate::registry::{Registry, Resolved};
use crate::store::StoreError;
use crate::track::Workspace;

use super::{Context, Failure};

/// Print a file of an artifact
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml cat data/tables:train.csv | head\n\
\x20 git ml cat digits@production:model.toml\n\
\x20 git ml cat run:@:model:metrics.json")]
pub(crate) struct Args {
    /// The artifact and the path in it: data/x:train.csv, cnn@production:model.toml
    #[arg(value_name = "TARGET:FILE")]
    file: String,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let digest = find(context, &workspace, &args.file)?;
    let mut reader = workspace.store.read(&digest)?;
    let mut stdout = io::stdout().lock();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(store_failure(error)),
        };
        stdout.write_all(&buffer[..count])?;
    }
    Ok(stdout.flush()?)
}
/// The content that `text` names: TARGET:FILE, where both parts may have colons, or a target that is a single file.
fn find(context: &Context, workspace: &Workspace, text: &str) -> Result<Digest, Failure> {
    let registry = Registry::new(workspace);
    let whole = registry.resolve(&context.folder, text);
    if let Ok(resolved) = &whole {
        let manifest = workspace.store.manifest(&resolved.id)?;
        return match manifest.entries() {
            [entry] if entry.path.is_none() => Ok(entry.digest),
            _ => Err(Failure::Usage {
                message: format!("`{text}` is a folder"),
                hint: format!("name a file in it, `git ml cat {text}:FILE`: `git ml manifest {text}` lists them"),
            }),
        };
    }
    let mut failure = None;
    for (at, _) in text.rmatch_indices(':') {
        let (target, file) = (&text[..at], &text[at + 1..]);
        match registry.resolve(&context.folder, target) {
            Ok(resolved) => match find_in(workspace, &resolved, file) {
                Ok(digest) => return Ok(digest),
                Err(found) => failure = Some(found),
            },
            Err(error) => {
                failure.get_or_insert(error.into());
            }
        }
    }
    match (failure, whole) {
        (Some(failure), _) => Err(failure),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(resolved)) => find_in(workspace, &resolved, ""),
    }
}

/// The content of a file of an artifact.
fn find_in(workspace: &Workspace, resolved: &Resolved, file: &str) -> Result<Digest, Failure> {
    let manifest = workspace.store.manifest(&resolved.id)?;
    let found = RelPath::new(file).ok().and_then(|path| manifest.find(&path).map(|entry| entry.digest));
    found.ok_or_else(|| Failure::User {
        message: format!("`{}` has no file `{file}`", resolved.target),
        hint: format!("`git ml manifest {}` lists its files", resolved.target),
    })
}

/// The failure of a read out of the store.
fn store_failure(error: io::Error) -> Failure {
    match StoreError::from_io(error) {
        Ok(error) => error.into(),
        Err(error) => error.into(),
    }
}
