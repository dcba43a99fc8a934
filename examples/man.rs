//! Writes the manual pages, one for each command: `cargo run --example man -- FOLDER`.

#![allow(clippy::disallowed_methods, reason = "it writes into the build folder, where nobody reads meanwhile")]

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::{env, fs};

use clap::Command;
use clap_mangen::Man;

/// What git-ml.1 says beyond the help.
const GENERAL: &str = r#".SH TARGETS AND RUNS
Where a command asks for a \fITARGET\fR, these can be typed:
.TP
\fBdata/x\fR
a path that is tracked
.TP
\fBname@v3\fR, \fBname@production\fR
a version in the registry, by its number or an alias
.TP
\fBrun:brave\-otter\-12\fR, \fBrun:brave\-otter\-12:model\fR
the output of a run
.PP
A \fIRUN\fR is its id, any prefix of four digits or more that is unique, its name, \fB@\fR for the latest, or
\fB@~1\fR for the one before.
.SH EXIT STATUS
.TP
\fB0\fR
done
.TP
\fB1\fR
something that the user can mend; the hint says how
.TP
\fB2\fR
the command line is wrong
.TP
\fB3\fR
a verification or a gate fails
.TP
\fB70\fR
a bug in git-ml
.PP
\fBgit ml run\fR and \fBgit ml train\fR end with the code of what they ran, 128 and the number of the signal where
one ended it.
.SH ENVIRONMENT
.TP
\fBGIT_ML_LOG\fR, \fBGIT_ML_RUN_ID\fR, \fBGIT_ML_RUN_NAME\fR, \fBGIT_ML_RUN_DIR\fR
are set for the command of a run. Lines of JSON appended to the file that \fBGIT_ML_LOG\fR names are metrics:
\fB{"step": 3, "loss": 0.4}\fR
.TP
\fBNO_COLOR\fR
no colours
.TP
\fBXDG_DATA_HOME\fR
where approvals of \fBgit ml trust\fR are kept; ~/.local/share by default
.SH FILES
.TP
\fIml.toml\fR
experiments, remotes, gates and hooks, tracked by git
.TP
\fI*.mlref\fR
pointers, tracked by git in place of data
.TP
\fI.git/ml\fR
the store
.TP
\fIrefs/ml/runs\fR, \fIrefs/ml/registry\fR
the recorded runs and the registry; \fBgit log \-\-first\-parent refs/ml/runs\fR reads as the log of experiments
"#;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("usage: man FOLDER")?;
    let folder = Path::new(&folder);
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let mut command = git_ml::cli::command();
    command.build();
    write_pages(folder, &command, "git-ml")
}

/// Writes the page of `command` and those of its subcommands: git-ml.1, git-ml-track.1, git-ml-model-show.1.
fn write_pages(folder: &Path, command: &Command, name: &str) -> Result<(), Box<dyn Error>> {
    fs::write(folder.join(format!("{name}.1")), page(command, name)?)?;
    for subcommand in command.get_subcommands() {
        if !subcommand.is_hide_set() && subcommand.get_name() != "help" {
            write_pages(folder, subcommand, &format!("{name}-{}", subcommand.get_name()))?;
        }
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").lines().map(str::trim).collect::<Vec<_>>();
    // The help of `help` is of no use in a manual, and lists of pages must not name it.
    let named = command.clone().name(name.to_owned()).display_name(name).disable_help_subcommand(true);
    let man = Man::new(named.mut_subcommands(|subcommand| {
        let is_help = subcommand.get_name() == "help";
        subcommand.hide(is_help)
    }));
    let man = man.title(name.to_uppercase()).manual("git-ml").source(format!("git-ml {}", env!("CARGO_PKG_VERSION")));

    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    writeln!(text, ".SH SYNOPSIS\n.nf\n{}\n.fi", usage.join("\n").replace('-', "\\-"))?;
    let mut body = Vec::new();
    man.render_description_section(&mut body)?;
    man.render_options_section(&mut body)?;
    if command.get_subcommands().any(|subcommand| !subcommand.is_hide_set()) {
        man.render_subcommands_section(&mut body)?;
    }
    if command.get_after_long_help().or_else(|| command.get_after_help()).is_some() {
        man.render_extra_section(&mut body)?;
    }
    text.extend(with_examples(&String::from_utf8(body)?).into_bytes());
    if name == "git-ml" {
        text.extend(GENERAL.as_bytes());
    }
    let above = name.rsplit_once('-').map_or("git", |(above, _)| above);
    writeln!(text, ".SH SEE ALSO\n\\fB{}\\fR(1)", above.replace('-', "\\-"))?;
    Ok(text)
}

/// Indented lines are examples, which must not be filled like sentences; `Examples:` before them is a heading.
fn with_examples(roff: &str) -> String {
    let mut text = String::new();
    let mut in_example = false;
    let lines: Vec<&str> = roff.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        // A blank line inside of an example does not end it.
        let is_blank = line.trim().is_empty() || *line == ".br";
        let goes_on = lines[at..].iter().find(|line| !line.trim().is_empty() && **line != ".br");
        let is_example =
            line.starts_with("  ") || (in_example && is_blank && goes_on.is_some_and(|line| line.starts_with("  ")));
        if is_example != in_example {
            text.push_str(if is_example { ".PP\n.nf\n" } else { ".fi\n.PP\n" });
            in_example = is_example;
        }
        if *line == ".SH EXTRA" && lines.get(at + 1).is_some_and(|next| next.starts_with("Examples:")) {
            text.push_str(".SH EXAMPLES\n");
        } else if *line == ".SH EXTRA" {
            text.push_str(".SH NOTES\n");
        } else if !line.starts_with("Examples:") && (!is_example || *line != ".br") {
            text.push_str(line);
            text.push('\n');
        }
    }
    if in_example {
        text.push_str(".fi\n");
    }
    text
}
