//! Merging pointers for git, and saying what a conflict is about.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::files::{Durability, publish};
use crate::hooks::{Changes, Conflict, Merged, Side, merge_pointers, with_marks};
use crate::track::{POINTER_SUFFIX, Pointer, Workspace};
use crate::words::{count, printable, size};

use super::output::shell_word;
use super::{Context, Failure};

/// Bytes of a file that are looked at: a pointer has far less.
const MAX_BYTES: u64 = 1 << 20;

/// Merges three versions of a pointer into the file of ours. With a conflict it ends with 1, as git wants it.
pub(super) fn merge(context: &Context, files: [&PathBuf; 3], marks: usize, path: &str) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let places = files.map(|file| context.folder.join(file));
    let contents = [read(&places[0])?, read(&places[1])?, read(&places[2])?];
    let [base, ours, theirs] = contents.each_ref().map(|content| Pointer::parse(content).ok());
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        // What is no pointer is text.
        let is_merged = workspace.repository.merge_text(&places[0], &places[1], &places[2], marks)?;
        return if is_merged { Ok(()) } else { Err(Failure::Child(1)) };
    };
    match merge_pointers(&workspace.store, base.as_ref(), &ours, &theirs) {
        Merged::Resolved(pointer) => Ok(publish(&places[1], pointer.to_toml().as_bytes(), Durability::Buffered)?),
        Merged::Conflict(conflict) => {
            publish(&places[1], with_marks(&ours, &theirs, marks).as_bytes(), Durability::Buffered)?;
            explain(context, &workspace, &conflict, path);
            Err(Failure::Child(1))
        }
    }
}

fn read(place: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    std::fs::File::open(place)?.take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

/// Says what each side did, and what to type next.
fn explain(context: &Context, workspace: &Workspace, conflict: &Conflict, path: &str) {
    let Conflict { sides: [ours, theirs], base, overlap, fields } = conflict;
    let data = printable(path.strip_suffix(POINTER_SUFFIX).unwrap_or(path));
    let is_data = ours.pointer.id != theirs.pointer.id;
    let what = match (base, is_data) {
        (None, _) => "both sides added it, and not alike".to_owned(),
        (Some(_), true) => "both sides changed the data".to_owned(),
        (Some(_), false) => format!("both sides changed its {}", printable(&fields.join(", "))),
    };
    context.warn(&format!("{data}: {what}"));
    if let (Some(base), true) = (base, is_data) {
        context.say(&format!("  before: {}", version(base)));
    }
    context.say(&format!("  ours:   {}", side(ours)));
    context.say(&format!("  theirs: {}", side(theirs)));
    match overlap {
        Some((_, 0)) => context.say("  no file was changed by both, but a version of both together is yours to make"),
        Some((paths, total)) => {
            let named = printable(&paths.join(", "));
            let more = if *total > paths.len() { format!(" and {} more", total - paths.len()) } else { String::new() };
            context.say(&format!("  changed by both: {named}{more}"));
        }
        None if is_data && base.is_some() => {
            context.say("  what each side changed is not known: not all of the lists of files are here")
        }
        None => {}
    }
    let git_dir = workspace.repository.git_dir();
    if ["rebase-merge", "rebase-apply"].iter().any(|name| git_dir.join(name).exists()) {
        context.say("  in a rebase, ours is what your commits are put upon, and theirs are your commits");
    }
    let pointer = shell_word(&printable(path));
    context.say(&format!(
        "hint: `git checkout --ours {pointer}` or `git checkout --theirs {pointer}` chooses, then `git add {pointer}`"
    ));
}

fn version(pointer: &Pointer) -> String {
    format!("{}, {} ({})", count(pointer.files, "file"), size(pointer.bytes), pointer.id.short())
}

fn side(side: &Side) -> String {
    let Side { pointer, changes } = side;
    let Some(Changes { added, changed, removed, renamed }) = changes else { return version(pointer) };
    let parts = [(added, "added"), (changed, "changed"), (removed, "removed"), (renamed, "renamed")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| **count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    match parts.as_slice() {
        [] => version(pointer),
        parts => format!("{}: {}", version(pointer), parts.join(", ")),
    }
}
