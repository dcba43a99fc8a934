//! `git ml note`

use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::Command;

use crate::files::{self, Durability};
use crate::run::Run;
use crate::track::Workspace;

use super::output::print_json;
use super::{Context, Failure, runs};

/// Bytes that a note may have.
const MAX_NOTE: u64 = 64 << 10;

/// Write a note on a run
#[derive(Debug, clap::Args)]
#[command(
    after_help = "`git ml log --where \"note like '%retry%'\"` finds it. Without a text, git's editor opens; where \
    there is no terminal, the note is read from stdin."
)]
pub(crate) struct Args {
    /// The run: its name, id, a unique prefix of that, or @ for the latest
    #[arg(value_name = "RUN")]
    run: String,
    /// The note; it takes the place of an earlier one, and an empty one removes it
    text: Option<String>,
    /// Print the run as one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let opened = runs::open(context, &workspace)?;
    let run = runs::find(&workspace, &opened, &args.run)?;
    let text = match &args.text {
        Some(text) => text.clone(),
        None if std::io::stdin().is_terminal() => edited(&workspace, &run)?,
        None => {
            let mut text = String::new();
            std::io::stdin().lock().take(MAX_NOTE + 1).read_to_string(&mut text)?;
            text
        }
    };
    let text = text.trim();
    if text.len() as u64 > MAX_NOTE {
        return Err(Failure::User {
            message: format!("a note has at most {MAX_NOTE} bytes, and this one has more"),
            hint: "keep long texts in a file that the run stores".to_owned(),
        });
    }
    opened.set_note(&run, text)?;
    if args.json {
        return print_json(&runs::whole(&runs::find(&workspace, &opened, &run.id.to_string())?)?);
    }
    context.say(&format!("{} run {}", if text.is_empty() { "removed the note of" } else { "noted on" }, run.name));
    Ok(())
}

/// What somebody makes of the run's note in git's editor.
fn edited(workspace: &Workspace, run: &Run) -> Result<String, Failure> {
    let git = &workspace.repository;
    let editor = String::from_utf8_lossy(&git.run_git(&["var", "GIT_EDITOR"])?).trim().to_owned();
    let place = workspace.store.root().join(format!("note-{}.txt", run.id));
    let before = run.note.as_deref().unwrap_or_default();
    let help =
        format!("# The note on run {}. Lines that begin with # are left out; an empty note is none.\n", run.name);
    files::publish(&place, format!("{before}\n{help}").as_bytes(), Durability::Buffered)?;
    let text = edit(&editor, &place);
    files::remove_file(&place)?;
    let lines: Vec<&str> =
        text.as_ref().map_err(failed(&editor))?.lines().filter(|line| !line.starts_with('#')).collect();
    Ok(lines.join("\n"))
}

/// Starts the editor as git does: through a shell, with the file behind what it is called.
fn edit(editor: &str, place: &Path) -> std::io::Result<String> {
    let status = Command::new("sh").args(["-c", &format!("{editor} \"$@\""), editor]).arg(place).status()?;
    if !status.success() {
        return Err(std::io::Error::other(format!("it ended with {status}")));
    }
    std::fs::read_to_string(place)
}

fn failed(editor: &str) -> impl Fn(&std::io::Error) -> Failure {
    move |error| Failure::User {
        message: format!("the editor `{editor}` failed: {error}"),
        hint: "`git config core.editor` chooses another, or give the text: `git ml note RUN TEXT`".to_owned(),
    }
}
