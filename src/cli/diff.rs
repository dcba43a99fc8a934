//! `git ml diff`

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use crate::diff::{
    self, ArtifactChange, FileChanges, Question, Side, TensorChange, TensorInfo, TensorsChange, Version,
};
use crate::files::RelPath;
use crate::git::GitError;
use crate::store::{Entry, Mode};
use crate::track::Workspace;
use crate::words::{count, printable, size};

use super::output::{Bar, number, print_json, print_line};
use super::{Context, Failure};

/// Files of each kind of change that are named to people.
const MAX_NAMED: usize = 20;

/// Show what differs between versions of artifacts
///
/// Without REV: what stands in the work tree against its pointers. With one: the work tree against that commit. With two:
/// one commit against the other, which needs no work tree. Tables (CSV) are compared by rows and columns, folders of
/// pictures by classes, models (safetensors, NumPy) by tensors.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml diff\n\
\x20 git ml diff HEAD~1 HEAD -- data/digits\n\
\x20 git ml diff v1.0 --stat")]
pub(crate) struct Args {
    /// Commits, branches or tags, at most two: A B, or A..B
    #[arg(value_name = "REV", num_args = 0..=2)]
    revisions: Vec<String>,
    /// Tracked paths, folders of them, or paths in them [default: all]
    #[arg(value_name = "ARTIFACT", last = true)]
    paths: Vec<PathBuf>,
    /// Print one line an artifact, and do not look into files
    #[arg(long)]
    stat: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let (revisions, mut named) = sort_out(context, &workspace, &args.revisions)?;
    named.extend(args.paths.iter().cloned());
    let commit = |revision: &String| workspace.repository.resolve(revision).map(Side::Commit);
    let (before, after) = match revisions.as_slice() {
        [] => (Side::Pointers, Side::WorkTree),
        [before] => (commit(before)?, Side::WorkTree),
        [before, after, ..] => (commit(before)?, commit(after)?),
    };
    let paths = scope(context, &workspace, &named)?;
    let question = Question { before, after, paths, names_only: args.stat };
    let changes = diff::compare(&workspace, &question, &Bar::new(context))?;
    if args.json {
        return print_json(&changes.iter().map(document).collect::<Vec<_>>());
    }
    for change in &changes {
        for line in if args.stat { vec![summary(change)] } else { lines(change) } {
            print_line(&printable(&line))?;
        }
    }
    Ok(())
}

/// Revisions and, as git has it, paths that stand where revisions could.
fn sort_out(
    context: &Context,
    workspace: &Workspace,
    words: &[String],
) -> Result<(Vec<String>, Vec<PathBuf>), Failure> {
    if let [range] = words
        && let Some((before, after)) = range.split_once("..")
        && workspace.repository.resolve(range).is_err()
        && !before.contains('/')
        && !after.starts_with('.')
    {
        let or_head = |text: &str| if text.is_empty() { "HEAD".to_owned() } else { text.to_owned() };
        return Ok((vec![or_head(before), or_head(after)], Vec::new()));
    }
    let (mut revisions, mut paths) = (Vec::new(), Vec::new());
    for word in words {
        let is_revision = paths.is_empty() && workspace.repository.resolve(word).is_ok();
        if is_revision {
            revisions.push(word.clone());
        } else if is_tracked(context, workspace, Path::new(word)) {
            paths.push(PathBuf::from(word));
        } else {
            return Err(GitError::UnknownRevision { revision: word.clone() }.into());
        }
    }
    Ok((revisions, paths))
}

fn is_tracked(context: &Context, workspace: &Workspace, path: &Path) -> bool {
    let found = workspace.rel_path(&context.folder, path);
    found.is_ok_and(|path| workspace.pointer(&path).is_ok()) || context.folder.join(path).exists()
}

/// The paths as the repository has them. A bare one has no folder that they could be relative to.
fn scope(context: &Context, workspace: &Workspace, paths: &[PathBuf]) -> Result<Vec<RelPath>, Failure> {
    if workspace.repository.work_dir().is_ok() {
        return Ok(workspace.scope(&context.folder, paths)?);
    }
    let path =
        |path: &PathBuf| Ok(RelPath::new(path.to_string_lossy().as_ref()).map_err(crate::track::TrackError::from)?);
    paths.iter().map(path).collect()
}

/// What happened to an artifact, in one line.
fn summary(change: &ArtifactChange) -> String {
    let path = &change.path;
    let (what, version) = match (&change.before, &change.after) {
        (None, Some(version)) => ("added", version),
        (Some(version), None) => ("removed", version),
        (Some(_), Some(version)) => ("changed", version),
        (None, None) => return path.to_string(),
    };
    let kind = &version.artifact_type;
    let bytes = match (&change.before, &change.after) {
        (Some(before), Some(after)) if before.bytes != after.bytes => {
            format!("{} → {}", size(before.bytes), size(after.bytes))
        }
        _ => size(version.bytes),
    };
    let files = match &change.files {
        Some(files) if what == "changed" => tally(files),
        _ => count(version.files, "file"),
    };
    format!("{path}: {kind} {what}, {files}, {bytes}")
}

/// `2 files added, 1 removed`.
fn tally(files: &FileChanges) -> String {
    let counts = [
        (files.added.len(), "added"),
        (files.removed.len(), "removed"),
        (files.changed.len(), "changed"),
        (files.renamed.len(), "renamed"),
    ];
    let mut parts: Vec<String> = Vec::new();
    for (number, word) in counts.into_iter().filter(|(number, _)| *number > 0) {
        let thing = if parts.is_empty() { count(number as u64, "file") } else { number.to_string() };
        parts.push(format!("{thing} {word}"));
    }
    if parts.is_empty() { "no files differ".to_owned() } else { parts.join(", ") }
}

/// All that is told to people of an artifact.
fn lines(change: &ArtifactChange) -> Vec<String> {
    let mut lines = vec![summary(change)];
    for (version, side) in [(&change.before, "before"), (&change.after, "after")] {
        if let Some(version) = version.as_ref().filter(|version| !version.is_listed) {
            let id = version.id.short();
            lines.push(format!("  the list of its files {side} ({id}) is not in this store: `git ml fetch`"));
        }
    }
    for class in &change.classes {
        lines.push(format!("  class {}: {} → {}", class.class, class.before, class.after));
    }
    let Some(files) = &change.files else { return lines };
    let name = |entry: &Entry| entry.path.as_ref().map_or_else(|| change.path.to_string(), ToString::to_string);
    named(&mut lines, &files.added, |entry| format!("added    {}  {}", name(entry), size(entry.size)));
    named(&mut lines, &files.removed, |entry| format!("removed  {}  {}", name(entry), size(entry.size)));
    named(&mut lines, &files.renamed, |(old, new)| format!("renamed  {} → {}", name(old), name(new)));
    named(&mut lines, &files.changed, |(old, new)| format!("changed  {}  {}", name(new), difference(old, new)));
    for (path, table) in &change.tables {
        let columns = [("columns added", &table.columns_added), ("columns removed", &table.columns_removed)];
        for (what, names) in columns.iter().filter(|(_, names)| !names.is_empty()) {
            lines.push(format!("  {path}: {what}: {}", names.join(", ")));
        }
        let (before, after) = (table.rows_before, table.rows_after);
        let rows = format!("{before} → {after} rows, {} added, {} removed", table.rows_added, table.rows_removed);
        lines.push(format!("  {path}: {rows}"));
    }
    for (path, tensors) in &change.tensors {
        tensor_lines(&mut lines, path, tensors);
    }
    lines.extend(change.notes.iter().map(|note| format!("  {note}")));
    lines
}

/// Adds a line for each of the first few, and one for the others.
fn named<T>(lines: &mut Vec<String>, all: &[T], line: impl Fn(&T) -> String) {
    lines.extend(all.iter().take(MAX_NAMED).map(|one| format!("  {}", line(one))));
    if all.len() > MAX_NAMED {
        lines.push(format!("  and {} more; --json has them all", all.len() - MAX_NAMED));
    }
}

/// How a file differs from itself: sizes, and the mode where that is another.
fn difference(old: &Entry, new: &Entry) -> String {
    let mode = match (old.mode, new.mode) {
        (old, new) if old == new => "",
        (_, Mode::Executable) => ", can be run now",
        (_, Mode::Symlink) => ", is a symbolic link now",
        (_, Mode::File) => ", is an ordinary file now",
    };
    match (old.digest == new.digest, old.size == new.size) {
        (true, _) => format!("{}, the same content{mode}", size(new.size)),
        (false, true) => format!("{}{mode}", size(new.size)),
        (false, false) => format!("{} → {}{mode}", size(old.size), size(new.size)),
    }
}

fn tensor_lines(lines: &mut Vec<String>, path: &str, tensors: &TensorsChange) {
    let all = tensors.same as usize + tensors.added.len() + tensors.changed.len();
    let differ = all - tensors.same as usize;
    lines.push(format!("  {path}: {differ} of {} differ", count(all as u64, "tensor")));
    named(lines, &tensors.added, |info| format!("  {path}: added {}", tensor(info)));
    named(lines, &tensors.removed, |info| format!("  {path}: removed {}", tensor(info)));
    named(lines, &tensors.changed, |change| {
        let TensorChange { before, after, .. } = change;
        if before != after {
            return format!("  {path}: {} → {}", tensor(before), tensor(after));
        }
        let mut told = format!("  {path}: {}", tensor(after));
        if let Some(max_abs) = change.max_abs {
            told += &format!(", by at most {}", number(max_abs));
        }
        if let Some(relative) = change.relative_l2 {
            told += &format!(", relative L2 {}", number(relative));
        }
        if change.not_finite > 0 {
            told += &format!(", {} not finite", count(change.not_finite, "number"));
        }
        told
    });
}

/// `conv1.weight F32 [8, 3, 3]`.
fn tensor(info: &TensorInfo) -> String {
    let name = if info.name.is_empty() { String::new() } else { format!("{} ", info.name) };
    format!("{name}{} {:?}", info.dtype, info.shape)
}

#[derive(Debug, Serialize)]
struct VersionDocument<'a> {
    id: String,
    r#type: &'a str,
    files: u64,
    bytes: u64,
    listed: bool,
}

fn version(version: &Version) -> VersionDocument<'_> {
    let Version { id, artifact_type, files, bytes, is_listed } = version;
    VersionDocument { id: id.to_string(), r#type: artifact_type, files: *files, bytes: *bytes, listed: *is_listed }
}

/// An artifact's changes as JSON.
fn document(change: &ArtifactChange) -> Value {
    let what = match (&change.before, &change.after) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    let file = |entry: &Entry| json!({ "path": entry.path_text(), "bytes": entry.size, "digest": entry.digest });
    let files = change.files.as_ref().map(|files| {
        let changed = files.changed.iter().map(|(old, new)| {
            json!({
                "path": new.path_text(),
                "before": { "mode": old.mode.as_str(), "bytes": old.size, "digest": old.digest },
                "after": { "mode": new.mode.as_str(), "bytes": new.size, "digest": new.digest },
            })
        });
        let renamed = files.renamed.iter().map(|(old, new)| {
            json!({ "from": old.path_text(), "to": new.path_text(), "bytes": new.size, "digest": new.digest })
        });
        json!({
            "added": files.added.iter().map(file).collect::<Vec<_>>(),
            "removed": files.removed.iter().map(file).collect::<Vec<_>>(),
            "changed": changed.collect::<Vec<_>>(),
            "renamed": renamed.collect::<Vec<_>>(),
        })
    });
    let classes = change
        .classes
        .iter()
        .map(|class| json!({ "class": class.class, "before": class.before, "after": class.after }));
    let tables = change.tables.iter().map(|(path, table)| {
        json!({
            "path": path,
            "columns_added": table.columns_added,
            "columns_removed": table.columns_removed,
            "rows_before": table.rows_before,
            "rows_after": table.rows_after,
            "rows_added": table.rows_added,
            "rows_removed": table.rows_removed,
        })
    });
    let info = |info: &TensorInfo| json!({ "name": info.name, "dtype": info.dtype, "shape": info.shape });
    let tensors = change.tensors.iter().map(|(path, tensors)| {
        let changed = tensors.changed.iter().map(|change| {
            json!({
                "name": change.after.name,
                "before": info(&change.before),
                "after": info(&change.after),
                "max_abs": change.max_abs,
                "relative_l2": change.relative_l2,
                "not_finite": change.not_finite,
            })
        });
        json!({
            "path": path,
            "added": tensors.added.iter().map(info).collect::<Vec<_>>(),
            "removed": tensors.removed.iter().map(info).collect::<Vec<_>>(),
            "changed": changed.collect::<Vec<_>>(),
            "same": tensors.same,
        })
    });
    json!({
        "path": change.path.as_str(),
        "change": what,
        "before": change.before.as_ref().map(version),
        "after": change.after.as_ref().map(version),
        "files": files,
        "classes": classes.collect::<Vec<_>>(),
        "tables": tables.collect::<Vec<_>>(),
        "tensors": tensors.collect::<Vec<_>>(),
        "notes": change.notes,
    })
}
