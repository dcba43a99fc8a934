//! `git ml cat`

use std::io::{self, Read, Write};

use crate::files::RelPath;
use crate::id::{ArtifactId, Digest};
use crate::registry::{Registry, Resolved};
use crate::remote::{Remote, RemoteError, configured};
use crate::store::{Manifest, StoreError};
use crate::track::Workspace;

use super::{Context, Failure};

/// Print a file of an artifact
///
/// What this repository's store does not have is read from the remotes: only the parts that are needed, and nothing of
/// it is kept. `git ml pull ARTIFACT` keeps it.
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
    let mut source = Source { context, workspace: &workspace, remotes: None, failure: None };
    let digest = find(&mut source, &args.file)?;
    let mut stdout = io::stdout().lock();
    source.copy(&digest, &mut stdout)?;
    Ok(stdout.flush()?)
}

/// Where content comes from: the store, then the remotes, which are opened once it is known to lack something.
struct Source<'w> {
    context: &'w Context,
    workspace: &'w Workspace,
    remotes: Option<Vec<Remote>>,
    /// Why a remote could not be asked.
    failure: Option<RemoteError>,
}

impl Source<'_> {
    fn remotes(&mut self) -> Result<&[Remote], Failure> {
        if self.remotes.is_none() {
            let environment = self.context.environment();
            let mut remotes = Vec::new();
            for remote in configured(self.workspace)? {
                match remote.open(self.workspace, &environment) {
                    Ok(remote) => remotes.push(remote),
                    Err(error) => self.failure = Some(error),
                }
            }
            self.remotes = Some(remotes);
        }
        Ok(self.remotes.as_deref().unwrap_or_default())
    }

    /// The first answer of a remote; the reason why there is none where one could not be asked, else `missing`.
    fn ask<T>(
        &mut self,
        missing: StoreError,
        mut question: impl FnMut(&Remote) -> Result<Option<T>, RemoteError>,
    ) -> Result<T, Failure> {
        let mut failure = None;
        for remote in self.remotes()? {
            match question(remote) {
                Ok(Some(answer)) => return Ok(answer),
                Ok(None) => {}
                // After a part of the content was written nothing else may follow.
                Err(RemoteError::Output(error)) => return Err(error.into()),
                Err(error) => failure = Some(error),
            }
        }
        match failure.or(self.failure.take()) {
            Some(error) => Err(error.into()),
            None => Err(missing.into()),
        }
    }

    fn manifest(&mut self, artifact: &ArtifactId) -> Result<Manifest, Failure> {
        let store = &self.workspace.store;
        match store.manifest(artifact) {
            Err(missing @ StoreError::Missing { .. }) => self.ask(missing, |remote| remote.manifest(store, artifact)),
            manifest => Ok(manifest?),
        }
    }

    fn copy(&mut self, digest: &Digest, output: &mut dyn Write) -> Result<(), Failure> {
        let store = &self.workspace.store;
        if !store.contains(digest)? {
            let mut output = Counted { output, bytes: 0 };
            return self.ask(StoreError::Missing { digest: *digest }, |remote| {
                let before = output.bytes;
                match remote.copy_file(store, digest, &mut output) {
                    // Another remote cannot go on where this one failed.
                    Err(error) if output.bytes > before => Err(RemoteError::Output(io::Error::other(error))),
                    Ok(true) => Ok(Some(())),
                    Ok(false) => Ok(None),
                    Err(error) => Err(error),
                }
            });
        }
        let mut reader = store.read(digest)?;
        let mut buffer = vec![0; 256 * 1024];
        loop {
            let count = match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(store_failure(error)),
            };
            output.write_all(&buffer[..count])?;
        }
    }
}

/// Knows how much was written.
struct Counted<'o> {
    output: &'o mut dyn Write,
    bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.output.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// The content that `text` names: TARGET:FILE, where both parts may have colons, or a target that is a single file.
fn find(source: &mut Source<'_>, text: &str) -> Result<Digest, Failure> {
    let registry = Registry::new(source.workspace);
    let folder = &source.context.folder;
    let whole = registry.resolve(folder, text);
    if let Ok(resolved) = &whole {
        let manifest = source.manifest(&resolved.id)?;
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
        match registry.resolve(folder, target) {
            Ok(resolved) => match find_in(source, &resolved, file) {
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
        (None, Ok(resolved)) => find_in(source, &resolved, ""),
    }
}

/// The content of a file of an artifact.
fn find_in(source: &mut Source<'_>, resolved: &Resolved, file: &str) -> Result<Digest, Failure> {
    let manifest = source.manifest(&resolved.id)?;
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
