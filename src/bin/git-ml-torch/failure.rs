//! Why the worker stops, in one line each: libtorch's own texts are pages long and may print whole tensors.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};

use git_ml::files::FileError;
use git_ml::store::StoreError;
use git_ml::train::data::DataError;
use git_ml::words::with_causes;
use tch::TchError;

/// Characters of somebody else's message that are passed on.
const MAX_MESSAGE: usize = 300;
/// The exit code of a problem of the user's, and of a bug of ours.
const USER: u8 = 1;
const BUG: u8 = 70;

/// Why the worker stops.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    /// What happened, in a line.
    pub(crate) line: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The exit code.
    pub(crate) exit_code: u8,
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A problem of the user's.
    pub(crate) fn new(line: impl Into<String>) -> Self {
        Self { line: cut(&line.into()), hint: None, exit_code: USER }
    }

    /// What libtorch says.
    pub(crate) fn from_libtorch(message: &str) -> Self {
        let failure = Self::new(format!("libtorch: {message}"));
        if message.contains("allocate memory") || message.contains("out of memory") {
            return failure.hint("there is too little memory: try a smaller batch_size or a smaller model");
        }
        failure
    }

    /// With something to do about it.
    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Runs `work`; a panic, which is also what tch makes of libtorch's errors, becomes a failure like any other.
pub(crate) fn catch(work: impl FnOnce() -> Result<()>) -> Result<()> {
    // The hook would print the whole text.
    panic::set_hook(Box::new(|_| {}));
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(from_panic(payload.as_ref())))
}

fn from_panic(payload: &(dyn Any + Send)) -> Failure {
    if let Some(failure) = payload.downcast_ref::<Failure>() {
        return failure.clone();
    }
    let text = payload.downcast_ref::<String>().map(String::as_str).or(payload.downcast_ref::<&str>().copied());
    let text = text.unwrap_or("no message");
    // `unwrap` prints the error as code does: newlines are escaped.
    match text.split_once("Torch(\"") {
        Some((_, message)) => {
            Failure::from_libtorch(message.split("\\n").next().unwrap_or_default().trim_end_matches("\")"))
        }
        None => Failure { exit_code: BUG, ..Failure::new(format!("this is a bug in git-ml-torch: {text}")) },
    }
}

/// The first line, without control characters, and not too much of it.
fn cut(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let mut short: String = line.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
    if line.chars().count() > MAX_MESSAGE {
        short.push('…');
    }
    short
}

impl From<TchError> for Failure {
    fn from(error: TchError) -> Self {
        match error {
            TchError::Torch(message) => Failure::from_libtorch(message.lines().next().unwrap_or_default()),
            other => Self::new(format!("libtorch: {other}")),
        }
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Store(error) => error.into(),
            other => Self { hint: other.hint(), ..Self::new(other.to_string()) },
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::new(with_causes(&error))
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::new(with_causes(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libtorch_says_is_cut_to_its_first_line() {
        let wrong = || {
            let _ = tch::Tensor::from_slice(&[1.0, 2.0]).matmul(&tch::Tensor::from_slice(&[1.0, 2.0, 3.0]));
            Ok(())
        };
        let failure = catch(wrong).unwrap_err();
        assert!(failure.line.starts_with("libtorch: "), "{}", failure.line);
        assert!(!failure.line.contains("frame #") && failure.line.len() < 200, "{}", failure.line);
        assert_eq!(failure.exit_code, USER);
        assert_eq!(Failure::new(format!("a\n{}", "b".repeat(1000))).line, "a");
        assert_eq!(Failure::new("b".repeat(1000)).line.chars().count(), MAX_MESSAGE + 1);
        assert_eq!(catch(|| panic!("oh")).unwrap_err().exit_code, BUG);
    }
}
