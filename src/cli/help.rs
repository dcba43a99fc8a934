//! The help of the program as a whole: its commands in groups, as people look for them.

use std::fmt::Write;

use clap::Command;

/// Commands by what they are about. One that is in no group is shown under the last heading.
const GROUPS: &[(&str, &[&str])] = &[
    ("Start", &["init", "doctor", "trust"]),
    ("Artifacts", &["track", "untrack", "status", "checkout", "diff", "manifest", "cat", "import"]),
    ("Remotes", &["remote", "push", "pull", "fetch"]),
    (
        "Runs",
        &[
            "run",
            "train",
            "log",
            "show",
            "compare",
            "tag",
            "note",
            "rm",
            "export",
            "reproduce",
            "bisect",
            "report",
            "ui",
            "mlflow",
        ],
    ),
    ("Inside a run, from any script", &["metric", "param", "output"]),
    ("Registry", &["model", "dataset", "lineage"]),
    ("Verification and the store", &["verify", "sign", "attest", "fsck", "du", "gc"]),
];
const REST: &str = "More";

/// The template of the program's help, with `commands` in their groups.
pub(super) fn template(commands: &Command) -> String {
    let shown: Vec<&Command> = commands.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    let width = shown.iter().map(|command| command.get_name().len()).max().unwrap_or_default();
    let is_grouped = |name: &str| GROUPS.iter().any(|(_, names)| names.contains(&name));
    let rest: Vec<&str> = shown.iter().map(|command| command.get_name()).filter(|name| !is_grouped(name)).collect();

    let mut text = "{about-with-newline}\n{usage-heading} {usage}\n".to_owned();
    for (heading, names) in GROUPS.iter().copied().chain([(REST, rest.as_slice())]) {
        let group = names.iter().filter_map(|name| shown.iter().find(|command| command.get_name() == *name));
        let mut lines = group.peekable();
        if lines.peek().is_some() {
            // As clap shows its own headings and names; what is not a terminal gets none of it.
            let _ = writeln!(text, "\n\x1b[1;4m{heading}:\x1b[0m");
        }
        for command in lines {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let _ = writeln!(text, "  \x1b[1m{:<width$}\x1b[0m  {about}", command.get_name());
        }
    }
    text.push_str("\n\x1b[1;4mOptions:\x1b[0m\n{options}\n\nThe help of a command: git ml help COMMAND");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grouped_command_exists_and_every_command_is_shown_once() {
        let command = super::super::command();
        let help = command.clone().render_help().to_string();
        for (_, names) in GROUPS {
            for name in *names {
                assert!(command.find_subcommand(name).is_some(), "{name}");
            }
        }
        for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
            assert_eq!(
                help.matches(&format!("\n  {} ", subcommand.get_name())).count(),
                1,
                "{}",
                subcommand.get_name()
            );
        }
    }
}
