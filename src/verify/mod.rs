//! Verification of artifacts, runs, the registry and refs.
//!
//! Architecture invariant: it reports and never repairs.

mod artifacts;
mod code;
mod content;
mod pointers;
mod refs;
mod registry;
mod runs;

pub use code::Code;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::id::ArtifactId;
use crate::registry::{RegistryError, Resolved};
use crate::track::{Progress, Workspace};

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
    /// What kind of thing it is: a stable word, which docs/findings.md explains.
    pub code: Code,
    /// What it is about: `data/x`, `run:<id>`, `name@v3`, `pack:<id>`, a ref.
    pub target: String,
    /// What was found; for damage it names artifact, file and pack.
    pub message: String,
    /// What to do.
    pub hint: String,
}

impl Finding {
    /// A finding as severe as its kind is.
    fn new(code: Code, target: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (target, message, hint) = (target.into(), message.into(), hint.into());
        Self { severity: code.severity(), code, target, message, hint }
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
pub fn verify(
    workspace: &Workspace,
    scope: &Scope,
    deep: bool,
    progress: &dyn Progress,
) -> Result<Report, RegistryError> {
    let mut inspection =
        Inspection { workspace, findings: Vec::new(), checked: Checked::default(), uses: BTreeMap::new() };
    match scope {
        Scope::All => {
            inspection.check_pointers()?;
            let runs = inspection.check_runs();
            inspection.check_registry(&runs);
            inspection.check_refs();
        }
        Scope::Targets(targets) => inspection.add_targets(targets),
    }
    let everything = *scope == Scope::All;
    inspection.check_content(everything, deep, progress)?;
    Ok(inspection.into_report())
}

/// Who names an artifact, and what it says of it.
#[derive(Debug, Clone)]
struct Use {
    /// `data/x`, `run:<id>:model`, `name@v3`.
    target: String,
    role: Role,
    claim: Option<Claim>,
}

/// In which way an artifact is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Pointer,
    Output,
    Input,
    Version,
    Asked,
}

/// What is said of an artifact beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Claim {
    files: u64,
    bytes: u64,
    single_file: Option<bool>,
}

/// A verification in progress.
#[derive(Debug)]
struct Inspection<'w> {
    workspace: &'w Workspace,
    findings: Vec<Finding>,
    checked: Checked,
    uses: BTreeMap<ArtifactId, Vec<Use>>,
}

impl Inspection<'_> {
    fn add_use(&mut self, id: ArtifactId, target: String, role: Role, claim: Option<Claim>) {
        self.uses.entry(id).or_default().push(Use { target, role, claim });
    }

    fn report(&mut self, code: Code, target: impl Into<String>, message: impl Into<String>, hint: impl Into<String>) {
        self.findings.push(Finding::new(code, target, message, hint));
    }

    fn into_report(mut self) -> Report {
        self.findings.sort_by(|left, right| {
            let key = |finding: &Finding| (finding.severity, finding.code);
            key(left).cmp(&key(right)).then_with(|| left.target.cmp(&right.target))
        });
        self.findings.dedup();
        let ok = self.findings.iter().all(|finding| finding.severity != Severity::Error);
        Report { ok, checked: self.checked, findings: self.findings }
    }
}

#[cfg(test)]
mod tests;
