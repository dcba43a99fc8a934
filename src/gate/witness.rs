//! Who is asked whether a version is verified and signed.

use std::collections::BTreeSet;

use crate::registry::{Registry, Resolved};
use crate::sign::{self, Subject, Trust, check_all};
use crate::track::{Silent, Workspace};
use crate::verify::{Depth, Request, Scope, Severity, verify};
use crate::words::error_in_a_line;

/// What a witness says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Testimony {
    /// Whether it is so; none where that cannot be told.
    pub holds: Option<bool>,
    /// What was found, for people: `digits@v3 has no signature`.
    pub words: String,
}

/// Somebody who can tell whether artifacts are verified and signed.
pub trait Witness {
    /// Whether all of these are as they were stored and registered.
    fn verified(&self, artifacts: &[Resolved]) -> Testimony;
    /// Whether somebody who is trusted here signed all of these.
    fn signed(&self, artifacts: &[Resolved]) -> Testimony;
}

/// The witness of a repository: it looks at what the repository has.
#[derive(Debug, Clone, Copy)]
pub struct Keeper<'w> {
    /// The repository.
    pub workspace: &'w Workspace,
}

impl Witness for Keeper<'_> {
    fn verified(&self, artifacts: &[Resolved]) -> Testimony {
        let names = labels(artifacts);
        // What was registered under these numbers is what counts, not only the bytes that are there now.
        match Registry::new(self.workspace).changed_versions() {
            Ok(changed) => {
                let is_asked = |label: &String| artifacts.iter().any(|artifact| artifact.target == *label);
                if let Some(changed) = changed.into_iter().find(|changed| is_asked(&changed.label)) {
                    return no(format!("{} is not what was registered", changed.label));
                }
            }
            Err(error) => return unknown(error_in_a_line(&error)),
        }
        match verify(self.workspace, &Request::of(Scope::Targets(artifacts.to_vec()), Depth::Unproved), &Silent) {
            Ok(report) if report.ok => Testimony { holds: Some(true), words: format!("{names} is verified") },
            Ok(report) => {
                let first = report.findings.iter().find(|finding| finding.severity == Severity::Error);
                no(first.map_or_else(|| format!("{names} is not verified"), |finding| finding.message.clone()))
            }
            Err(error) => unknown(error_in_a_line(&error)),
        }
    }

    fn signed(&self, artifacts: &[Resolved]) -> Testimony {
        let trust = match Trust::of(&self.workspace.repository) {
            Ok(trust) => trust,
            Err(error) => return unknown(error_in_a_line(&error)),
        };
        let mut signers = BTreeSet::new();
        for artifact in artifacts {
            let subject = Subject::Artifact(artifact.id);
            let verdicts = match check_all(self.workspace, &trust, &subject, sign::Depth::Names, &Silent) {
                Ok(verdicts) => verdicts,
                Err(error) => return unknown(error_in_a_line(&error)),
            };
            let name = labels(std::slice::from_ref(artifact));
            match verdicts.iter().find(|(_, verdict)| verdict.is_good()) {
                Some((_, verdict)) => signers.extend(verdict.signer.clone()),
                None => {
                    let why = verdicts.first().map(|(_, verdict)| format!(" that counts: {}", verdict.detail));
                    return no(format!("{name} has no signature{}", why.unwrap_or_default()));
                }
            }
        }
        let by = signers.into_iter().collect::<Vec<_>>().join(", ");
        Testimony { holds: Some(true), words: format!("{} is signed by {by}", labels(artifacts)) }
    }
}

fn no(words: String) -> Testimony {
    Testimony { holds: Some(false), words }
}

fn unknown(words: String) -> Testimony {
    Testimony { holds: None, words }
}

fn labels(artifacts: &[Resolved]) -> String {
    artifacts.iter().map(|artifact| artifact.target.as_str()).collect::<Vec<_>>().join(", ")
}
