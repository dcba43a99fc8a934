//! Approving commands that come out of records rather than from the user.

use crate::run::Run;
use crate::track::Workspace;
use crate::words::printable;

use super::ask::ask;
use super::output::shell_word;
use super::{Context, Failure};

/// What tells a run that the user started from one that says so: everything that is run again.
pub(super) fn mark_of(run: &Run) -> Vec<u8> {
    let code = run.snapshot.map(|snapshot| snapshot.to_string()).unwrap_or_default();
    let folder = run.folder.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut words = vec![run.id.to_string(), code, folder];
    words.extend(run.command.iter().cloned());
    words.join("\0").into_bytes()
}

/// Fails unless the user started the run in this repository, or approves its command now.
///
/// Records come with fetched refs, from anybody who may push there.
pub(super) fn require_approval(
    context: &Context,
    workspace: &Workspace,
    run: &Run,
    is_approved: bool,
) -> Result<(), Failure> {
    let common_dir = workspace.repository.common_dir();
    if is_approved || context.trust()?.has_started(common_dir, &mark_of(run)) {
        return Ok(());
    }
    let words: Vec<String> = run.command.iter().map(|word| shell_word(word)).collect();
    context.say(&format!("run {} of {} was not started here, and would run:", run.name, printable(&run.user)));
    context.say(&format!("  $ {}", printable(&words.join(" "))));
    if let Some(code) = run.snapshot {
        context.say(&format!("  with the code of commit {code}"));
    }
    match ask("Run it?") {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::User {
            message: "nothing was run".to_owned(),
            hint: format!("`git ml show {}` shows the run", run.name),
        }),
        None => Err(Failure::User {
            message: format!("the command of run {} has not been approved: the run was not started here", run.name),
            hint: "read it and its code, then approve it with --yes".to_owned(),
        }),
    }
}
