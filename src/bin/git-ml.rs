//! `git-ml`: the command line and the terminal dashboard. Never linked to libtorch.

use std::process::ExitCode;

fn main() -> ExitCode {
    git_ml::cli::main()
}
