//! Verification of artifacts, runs, the registry and refs.
//!
//! Architecture invariant: it reports and never repairs.

use serde::Serialize;

use crate::registry::{RegistryError, Resolved};
use crate::track::Workspace;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is lost or wrong.
    Error,
    /// Something may become so.
    Warning,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A stable word: `damaged-chunk`, `missing-content`, … (docs/findings.md explains each).
    pub code: &'static str,
    /// What it is about: `data/x`, `run:<id>`, `name@v3`, `pack:<id>`.
    pub target: String,
    /// What was found; for damage it names artifact, file and pack.
    pub message: String,
    /// What to do.
    pub hint: String,
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
}

/// What to verify.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// Pointers in the work tree and at HEAD, every run, the whole registry, every pack.
    All,
    /// These artifacts.
    Targets(Vec<Resolved>),
}

/// Verifies `scope`: without `deep` by the index alone, with it by reading every byte.
pub fn verify(_workspace: &Workspace, _scope: &Scope, _deep: bool) -> Result<Report, RegistryError> {
    todo!()
}
