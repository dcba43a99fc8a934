//! What a verification says.

use serde::Serialize;

use crate::track::POINTER_SUFFIX;

use super::Code;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is lost or wrong.
    Error,
    /// Something may become so.
    Warning,
}

impl Severity {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of thing it is: a stable word, which docs/findings.md explains.
    pub code: Code,
    /// What it is about: `data/x`, `run:<id>`, `name@v3`, `pack:<id>`, a ref.
    pub target: String,
    /// What was found; for damage it names artifact, file and pack.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// The file of the work tree that it is about, relative to the top.
    #[serde(skip)]
    pub file: Option<String>,
}

impl Finding {
    /// A finding as severe as its kind is.
    pub(super) fn new(
        code: Code,
        target: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        let (target, message, hint) = (target.into(), message.into(), hint.into());
        Self { severity: code.severity(), code, target, message, hint, file: None }
    }

    /// The same, about the pointer of `data`.
    pub(super) fn at_pointer(self, data: &str) -> Self {
        let data = data.strip_suffix(POINTER_SUFFIX).unwrap_or(data);
        Self { file: Some(format!("{data}{POINTER_SUFFIX}")), ..self }
    }

    /// Where it is, for programs that want a file: the one of the work tree, else the one that git-ml or git keeps.
    pub(super) fn place(&self) -> String {
        match (&self.file, self.target.split_once(':')) {
            (Some(file), _) => file.clone(),
            (None, Some(("pack", id))) => format!(".git/ml/packs/{id}.pack"),
            (None, Some(("run", _))) => ".git/refs/ml/runs".to_owned(),
            (None, Some(("remote", _))) => "ml.toml".to_owned(),
            (None, Some((reference, _))) if reference.starts_with("refs/") => format!(".git/{reference}"),
            (None, None) if self.target.starts_with("refs/") => format!(".git/{}", self.target),
            _ => ".git/refs/ml/registry".to_owned(),
        }
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Artifacts.
    pub artifacts: u64,
    /// Files in them.
    pub files: u64,
    /// Bytes of content in them.
    pub bytes: u64,
    /// Runs.
    pub runs: u64,
    /// Registry versions.
    pub versions: u64,
    /// Signatures.
    pub signatures: u64,
}

/// The outcome of a verification: the document that `git ml verify --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether there is no finding of severity `error`.
    pub ok: bool,
    /// How much was looked at.
    pub checked: Checked,
    /// What was found, errors first.
    pub findings: Vec<Finding>,
    /// Artifacts that are not here and need not be: the remote that was asked has them, or only runs that were fetched
    /// name them.
    #[serde(skip)]
    pub elsewhere: u64,
}

impl Report {
    /// How many findings are as bad as that.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}
