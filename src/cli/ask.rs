//! Asking the user, where there is somebody to ask.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::words::printable;

/// Asks a question that is answered with yes or no; none where nobody is at a terminal to answer it.
pub(super) fn ask(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    let mut stderr = io::stderr().lock();
    // Who cannot be asked does not answer.
    write!(stderr, "{} [y/N] ", printable(question)).and_then(|()| stderr.flush()).ok()?;
    drop(stderr);
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
