//! `git ml completions`

use std::ffi::OsString;

use super::{Context, Failure, complete, output};

/// Print a completion script for a shell
///
/// The scripts ask git-ml itself what may come next, so runs, targets, models, aliases and experiments of the
/// repository complete too.
///
///   bash   git ml completions bash > ~/.local/share/bash-completion/completions/git-ml
///   zsh    git ml completions zsh > ~/.zfunc/_git-ml      (with ~/.zfunc in fpath)
///   fish   git ml completions fish > ~/.config/fish/completions/git-ml.fish
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The shell
    #[arg(required_unless_present = "at")]
    shell: Option<Shell>,
    /// Print what may stand at this word of a command line instead, as the scripts ask
    #[arg(long, value_name = "INDEX", hide = true, conflicts_with = "shell", requires = "words")]
    at: Option<usize>,
    /// The command line
    #[arg(last = true, hide = true)]
    words: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    if let Some(at) = args.at {
        let lines = complete::lines(super::command(), &context.folder, args.words.clone(), at);
        return if lines.is_empty() { Ok(()) } else { output::print_line(&lines.join("\n")) };
    }
    let script = match args.shell {
        Some(Shell::Bash) => include_str!("../../completions/git-ml.bash"),
        Some(Shell::Zsh) => include_str!("../../completions/git-ml.zsh"),
        Some(Shell::Fish) => include_str!("../../completions/git-ml.fish"),
        // The parser asks for one where `--at` is not given.
        None => "",
    };
    output::print_line(script.trim_end())
}
