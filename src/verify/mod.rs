//! Verification of artifacts, runs, the registry, refs and remotes.
//!
//! What was found whole is remembered, so that only what is new or changed is read again.
//!
//! Architecture invariant: it reports and never repairs.

mod artifacts;
mod code;
mod content;
mod events;
mod finding;
mod github;
mod inputs;
mod junit;
mod memory;
mod pointers;
mod refs;
mod registry;
mod remote;
mod run_history;
mod runs;
mod sarif;
mod signatures;

pub use code::Code;
pub use finding::{Checked, Finding, Report, Severity};
pub use github::to_github;
pub use junit::{Suite, to_junit};
pub use sarif::to_sarif;

use std::collections::BTreeMap;
use std::fmt;

use crate::id::{ArtifactId, CommitId};
use crate::registry::{RegistryError, Resolved};
use crate::remote::Remote;
use crate::run::Run;
use crate::track::{Progress, Workspace};

use memory::Memory;
use signatures::Wanted;

/// What to verify.
#[derive(Debug, Clone, PartialEq)]
pub enum Scope {
    /// Pointers in the work tree and at HEAD, every run, the whole registry, every pack.
    Checkout,
    /// The same, and pointers on every local branch.
    All,
    /// The pointers of these revisions, and the artifacts they name.
    Revisions(Vec<Revisions>),
    /// These artifacts.
    Targets(Vec<Resolved>),
}

/// Commits whose pointers are verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revisions {
    /// As the user named them: `HEAD~3`, `origin/main..HEAD`.
    pub label: String,
    /// The commits: the one that is meant, or those that a range ends with.
    pub tips: Vec<CommitId>,
    /// What a range leaves out, with all before it; none for a single commit.
    pub hidden: Option<Vec<CommitId>>,
}

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Nothing but the store's index.
    Index,
    /// What was not verified before, or has changed since.
    Unproved,
    /// Every byte.
    Everything,
}

/// What is asked of a verification.
#[derive(Clone)]
pub struct Request<'r> {
    /// What to verify.
    pub scope: Scope,
    /// How much is read.
    pub depth: Depth,
    /// A remote that has to have what pointers and versions name. What it has, need not be here.
    pub remote: Option<&'r Remote>,
    /// Says of a run whether it was started here, so that what it read and made has to be here. Where nobody knows, those
    /// count that no remote had when it was last asked.
    pub is_own: Option<IsOwn<'r>>,
}

/// Says whether a run was started in this repository.
pub type IsOwn<'r> = &'r (dyn Fn(&Run) -> bool + Sync);

impl fmt::Debug for Request<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Request")
            .field("scope", &self.scope)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl Request<'_> {
    /// Without a remote.
    pub fn of(scope: Scope, depth: Depth) -> Self {
        Self { scope, depth, remote: None, is_own: None }
    }
}

/// Verifies what is asked for.
pub fn verify(workspace: &Workspace, request: &Request<'_>, progress: &dyn Progress) -> Result<Report, RegistryError> {
    let mut inspection = Inspection {
        workspace,
        remote: request.remote,
        depth: request.depth,
        findings: Vec::new(),
        checked: Checked::default(),
        elsewhere: 0,
        uses: BTreeMap::new(),
        memory: Memory::load(&workspace.store),
    };
    let is_everything = matches!(request.scope, Scope::Checkout | Scope::All);
    match &request.scope {
        Scope::Checkout | Scope::All => {
            inspection.check_pointers(request.scope == Scope::All)?;
            let runs = inspection.check_runs(request.is_own);
            let models = inspection.check_registry(&runs);
            inspection.check_inputs(&runs);
            inspection.check_signatures(&Wanted::All(&models));
            inspection.check_refs();
        }
        Scope::Revisions(revisions) => inspection.check_revisions(revisions)?,
        Scope::Targets(targets) => inspection.add_targets(targets),
    }
    if !is_everything {
        let artifacts = inspection.uses.keys().copied().collect();
        inspection.check_signatures(&Wanted::Of(artifacts));
    }
    inspection.check_remote();
    inspection.check_content(is_everything, progress)?;
    inspection.memory.save(&workspace.store);
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
    /// By a pointer in the work tree.
    Pointer,
    /// By a pointer in a commit.
    Committed,
    /// As what a run made.
    Output,
    /// As what a run read.
    Input,
    /// By a run that was fetched, which need not have brought its data along.
    Fetched,
    /// By a version.
    Version,
    /// By the user.
    Asked,
}

impl Role {
    /// Whether remotes have what is named like this. What runs read and made goes there only if the user wants it.
    fn is_wanted_of_remotes(self) -> bool {
        matches!(self, Self::Pointer | Self::Committed | Self::Version | Self::Asked)
    }
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
    remote: Option<&'w Remote>,
    depth: Depth,
    findings: Vec<Finding>,
    checked: Checked,
    elsewhere: u64,
    uses: BTreeMap<ArtifactId, Vec<Use>>,
    memory: Memory,
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
        Report { ok, checked: self.checked, findings: self.findings, elsewhere: self.elsewhere }
    }
}

#[cfg(test)]
mod tests;
