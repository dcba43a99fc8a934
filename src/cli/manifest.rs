//! `git ml manifest`

use std::io::{self, Write};
use std::path::Path;

use crate::files::RelPath;
use crate::registry::{Registry, Resolved};
use crate::store::Mode;
use crate::track::Workspace;
use crate::words::count;

use super::{Context, Failure};

/// Print the list of an artifact's files
///
/// Without options this is the canonical manifest, whose BLAKE3 is the artifact's id: `git ml manifest TARGET | b3sum`
/// prints it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A tracked path, NAME@v3, NAME@ALIAS, run:RUN or run:RUN:OUTPUT
    #[arg(value_name = "TARGET")]
    target: String,
    /// Print it as `b3sum --check` reads it
    ///
    /// The paths of what is tracked are relative to the current folder, where `b3sum --check` can be run; those of
    /// other targets are relative to where the artifact is. Symbolic links are left out.
    #[arg(long)]
    b3sum: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let resolved = Registry::new(&workspace).resolve(&context.folder, &args.target)?;
    let manifest = workspace.store.manifest(&resolved.id)?;
    let mut stdout = io::stdout().lock();
    if !args.b3sum {
        stdout.write_all(&manifest.to_bytes())?;
        return Ok(stdout.flush()?);
    }
    let base = base(&workspace, &context.folder, &resolved)?;
    let mut lines = String::new();
    let mut links = 0;
    for entry in manifest.entries() {
        // b3sum would follow it, to a file that has another digest or is not there.
        if entry.mode == Mode::Symlink {
            links += 1;
            continue;
        }
        let path = match (&base, &entry.path) {
            (Some(base), Some(path)) => format!("{base}/{path}"),
            (Some(base), None) => base.clone(),
            (None, Some(path)) => path.to_string(),
            (None, None) => resolved.name.clone(),
        };
        // b3sum would escape backslashes and line ends, which no path of an artifact has.
        lines.push_str(&format!("{}  {path}\n", entry.digest));
    }
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()?;
    if links > 0 {
        context.say(&format!("left out {}, which b3sum cannot check", count(links, "symbolic link")));
    }
    Ok(())
}

/// The path from the current folder to the data, where the target is a tracked path.
fn base(workspace: &Workspace, current: &Path, resolved: &Resolved) -> Result<Option<String>, Failure> {
    let Ok(path) = workspace.rel_path(current, Path::new(&resolved.target)) else { return Ok(None) };
    match workspace.pointer(&path) {
        Ok(pointer) if pointer.id == resolved.id => {}
        _ => return Ok(None),
    }
    let top = workspace.repository.work_dir()?;
    let current = current.canonicalize()?;
    let folder = current.strip_prefix(top).ok().and_then(Path::to_str).unwrap_or_default();
    Ok(Some(relative(folder, &path)))
}

/// The path from a folder below the top to another path below it.
fn relative(folder: &str, path: &RelPath) -> String {
    let mut from: Vec<&str> = folder.split('/').filter(|name| !name.is_empty()).collect();
    let mut to: Vec<&str> = path.as_str().split('/').collect();
    while to.len() > 1 && from.first() == to.first() {
        from.remove(0);
        to.remove(0);
    }
    let up = std::iter::repeat_n("..", from.len());
    up.chain(to).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_from_the_current_folder_to_the_data() {
        let path = RelPath::new("data/x").unwrap();
        let from = ["", "data", "data/x", "data/x/train", "src/deep"].map(|folder| relative(folder, &path));
        assert_eq!(from, ["data/x", "x", "../x", "../../x", "../../data/x"]);
    }
}
