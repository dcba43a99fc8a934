//! `git ml track`

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::id::ArtifactId;
use crate::track::{ArtifactType, Pointer, TrackOptions, Tracked};
use crate::words::{count, size};

use super::output::{Bar, print_json, print_line, shell_word};
use super::{Context, Failure};

/// Store files or folders and write pointers for git to track
///
/// The bytes go to the store in .git/ml, a pointer (data/x.mlref) stands beside them for git to track, and a rule in
/// .gitignore keeps git away from the bytes. Track again after a change: only what is new is stored.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Examples:\n\
\x20 git ml track data/digits && git add data/digits.mlref data/.gitignore\n\
\x20 git ml track model.safetensors --type model --meta licence=MIT")]
pub(crate) struct Args {
    /// Files or folders in the work tree
    #[arg(required = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// The artifact's name [default: the path's last part]
    #[arg(long)]
    name: Option<String>,
    /// What it is: dataset, model or any other word [default: guessed]
    #[arg(long = "type", value_name = "TYPE")]
    artifact_type: Option<String>,
    /// Something to remember in the pointer
    #[arg(long = "meta", value_name = "KEY=VALUE")]
    meta: Vec<String>,
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Row<'a> {
    path: &'a str,
    pointer: &'a str,
    name: &'a str,
    #[serde(rename = "type")]
    artifact_type: &'a ArtifactType,
    id: ArtifactId,
    files: u64,
    bytes: u64,
    new_bytes_stored: u64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let options = options(args)?;
    let workspace = context.workspace()?;
    let mut paths = Vec::new();
    for path in &args.paths {
        paths.push(workspace.literal_path(&context.folder, path)?);
    }
    // Those that cannot be tracked are found before any of them is.
    if let [_, _, ..] = paths[..] {
        for path in &paths {
            workspace.check_trackable(path)?;
        }
    }
    let mut all = Vec::new();
    for path in &paths {
        let tracked = workspace.track(path, &options, &Bar::new(context))?;
        if !args.json {
            print_line(&sentence(&tracked, args.dry_run))?;
        }
        all.push(tracked);
    }
    if args.json {
        return print_json(&all.iter().map(row).collect::<Vec<_>>());
    }
    let changed: Vec<&Tracked> = all.iter().filter(|tracked| tracked.is_changed).collect();
    if !args.dry_run && !changed.is_empty() {
        let top = workspace.repository.work_dir()?;
        let in_top = context.folder.canonicalize().is_ok_and(|folder| folder == top);
        let git = if in_top { "git".to_owned() } else { format!("git -C {}", shell_word(&top.to_string_lossy())) };
        context.say(&format!("next: `{git} add {}`", to_add(&changed).join(" ")));
    }
    Ok(())
}

fn options(args: &Args) -> Result<TrackOptions, Failure> {
    let usage = |message: String, hint: &str| Failure::Usage { message, hint: hint.to_owned() };
    if let Some(name) = &args.name {
        if args.paths.len() > 1 {
            return Err(usage("one name cannot stand for several paths".to_owned(), "track them one by one"));
        }
        Pointer::check_name(name).map_err(|error| {
            usage(format!("this cannot be a name: {}", error.problem), "use letters, digits, `.`, `-` and `_`")
        })?;
    }
    let artifact_type = match &args.artifact_type {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| {
            usage(format!("`{text}` cannot be a type"), "a type is a word, such as dataset, model, tokenizer")
        })?),
    };
    let mut meta = BTreeMap::new();
    for pair in &args.meta {
        match pair.split_once('=') {
            Some((key, value)) if !key.is_empty() && !key.chars().any(char::is_control) => {
                meta.insert(key.to_owned(), value.to_owned());
            }
            _ => return Err(usage(format!("`{pair}` is not KEY=VALUE"), "as in `--meta licence=MIT`")),
        }
    }
    Ok(TrackOptions { name: args.name.clone(), artifact_type, meta, dry_run: args.dry_run })
}

fn sentence(tracked: &Tracked, dry_run: bool) -> String {
    let Tracked { path, pointer, stored_bytes, is_changed, .. } = tracked;
    let done = match (is_changed, dry_run) {
        (false, _) => "unchanged",
        (true, false) => "tracked",
        (true, true) => "would be tracked",
    };
    let what = format!("{} of {}", count(pointer.files, "file"), size(pointer.bytes));
    let new = match (stored_bytes, dry_run) {
        (0, _) => "nothing new to store".to_owned(),
        (bytes, false) => format!("{} added to the store", size(*bytes)),
        (bytes, true) => format!("{} not in the store yet", size(*bytes)),
    };
    format!("{path}: {done} as {} {}, {what}, {new}", pointer.artifact_type, pointer.id.short())
}

fn row(tracked: &Tracked) -> Row<'_> {
    Row {
        path: tracked.path.as_str(),
        pointer: tracked.pointer_path.as_str(),
        name: &tracked.pointer.name,
        artifact_type: &tracked.pointer.artifact_type,
        id: tracked.pointer.id,
        files: tracked.pointer.files,
        bytes: tracked.pointer.bytes,
        new_bytes_stored: tracked.stored_bytes,
    }
}

/// The files that git should have: pointers and the rules beside them.
fn to_add(tracked: &[&Tracked]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for tracked in tracked {
        let folder = tracked.path.parent().map(|folder| format!("{folder}/")).unwrap_or_default();
        for name in [tracked.pointer_path.to_string(), format!("{folder}.gitignore")] {
            let name = shell_word(&name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}
