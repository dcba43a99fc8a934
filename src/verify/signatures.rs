//! Signatures of artifacts and attestations of runs: who made them, and whether they are about what they stand under.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rayon::prelude::*;

use crate::config::Config;
use crate::git::GitError;
use crate::id::ArtifactId;
use crate::registry::Model;
use crate::sign::{self, Ledger, Outcome, Place, SIGNATURES_REF, SignError, Signature, Subject, Trust, Verdict};
use crate::track::Silent;
use crate::words::error_in_a_line;

use super::{Code, Depth, Finding, Inspection};

/// Files that are named where many do not belong there.
const MAX_FOREIGN: usize = 20;
/// The condition of a gate that wants a signature.
const SIGNED: &str = "signed";

/// Which signatures are looked at.
pub(super) enum Wanted<'w> {
    /// All, and what the gates of `ml.toml` want of the versions that aliases point to.
    All(&'w [Model]),
    /// Those of these artifacts.
    Of(BTreeSet<ArtifactId>),
}

/// A signature and what came of checking it.
struct Checked {
    signature: Signature,
    verdict: Verdict,
}

impl Inspection<'_> {
    /// Checks signatures by what the user's configuration of git says of whom to trust. Where it says nothing, that a
    /// signer is unknown is no finding.
    pub(super) fn check_signatures(&mut self, wanted: &Wanted<'_>) {
        let checked = match self.signatures(wanted) {
            Ok(checked) => checked,
            Err(SignError::Untrustworthy { key, path, problem }) => {
                let message =
                    format!("{key} of git's configuration names {}, which cannot be used: {problem}", path.display());
                let hint = format!("`git config {key} FILE` with a file that is there");
                return self.report(Code::UnusableTrust, SIGNATURES_REF, message, hint);
            }
            Err(error) => {
                let hint = "`git fsck` says what git itself misses; ssh-keygen has to be installed";
                return self.report(Code::UnreadableSignature, SIGNATURES_REF, error_in_a_line(&error), hint);
            }
        };
        self.checked.signatures += checked.len() as u64;
        let trusts_nobody = Trust::of(&self.workspace.repository).is_ok_and(|trust| trust.is_empty());
        let good: BTreeSet<Subject> =
            checked.iter().filter(|one| one.verdict.is_good()).map(|one| one.signature.place.subject).collect();
        for Checked { signature, verdict } in &checked {
            let Place { subject, .. } = signature.place;
            let is_passed_over = match verdict.outcome {
                // One signature by somebody who is trusted is enough, whoever signed beside them or before.
                Outcome::UnknownSigner => trusts_nobody || good.contains(&subject),
                Outcome::Expired | Outcome::NotYetValid => good.contains(&subject),
                _ => false,
            };
            if !is_passed_over {
                self.findings.extend(finding(signature, verdict, &self.name_of(&subject)));
            }
        }
        if let Wanted::All(models) = wanted {
            if let Err(error) = self.check_kept() {
                self.unreadable_ref(SIGNATURES_REF, &error_in_a_line(&error));
            }
            self.check_gates(models, &good);
        }
    }

    fn signatures(&mut self, wanted: &Wanted<'_>) -> Result<Vec<Checked>, SignError> {
        let workspace = self.workspace;
        let ledger = Ledger::open(&workspace.repository)?;
        let signatures = match wanted {
            Wanted::All(_) => {
                let (signatures, misplaced) = ledger.all()?;
                for one in misplaced.iter().take(MAX_FOREIGN) {
                    self.foreign_file(SIGNATURES_REF, &one.path);
                }
                signatures
            }
            Wanted::Of(artifacts) => {
                let of = artifacts.iter().map(|id| ledger.of(&Subject::Artifact(*id)));
                of.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect()
            }
        };
        if signatures.is_empty() {
            return Ok(Vec::new());
        }
        let trust = Trust::of(&workspace.repository)?;
        let depth = if self.depth == Depth::Everything { sign::Depth::Content } else { sign::Depth::Names };
        let now = Timestamp::now();
        let check = |signature: Signature| {
            let verdict = sign::check(workspace, &trust, &signature, depth, now, &Silent)?;
            Ok(Checked { signature, verdict })
        };
        signatures.into_par_iter().map(check).collect()
    }

    /// How findings name what is signed.
    fn name_of(&self, subject: &Subject) -> String {
        match subject {
            Subject::Artifact(id) => {
                let uses = self.uses.get(id).into_iter().flatten();
                let label = uses.min_by_key(|one| super::artifacts::rank(one)).map(|one| one.target.clone());
                label.unwrap_or_else(|| subject.to_string())
            }
            Subject::Run(_) => subject.to_string(),
        }
    }

    /// What is kept as a signature stays: the ref only grows.
    fn check_kept(&mut self) -> Result<(), GitError> {
        let repository = &self.workspace.repository;
        let Some(tip) = repository.read_ref(SIGNATURES_REF)? else { return Ok(()) };
        let mut lost: BTreeMap<String, String> = BTreeMap::new();
        for commit in repository.first_parents_since(&tip, None)? {
            let Some(parent) = commit.parents.first().filter(|parent| repository.has_commit(parent)) else { continue };
            for path in repository.changed_between(parent, &commit.id, "")? {
                let is_gone = Place::parse(&path).is_some()
                    && repository.read_at(parent, &path, u64::MAX)?.is_some()
                    && repository.read_at(&tip, &path, u64::MAX)?.is_none();
                if is_gone {
                    lost.insert(path, format!("commit {} by {}", commit.id.short(), commit.author));
                }
            }
        }
        for (path, who) in lost {
            let Some(place) = Place::parse(&path) else { continue };
            let target = self.name_of(&place.subject);
            let message = format!("a signature of {target} was kept and is gone since {who}");
            let hint = format!("fetch {SIGNATURES_REF} from a clone that has it");
            self.report(Code::MissingSignature, target, message, hint);
        }
        Ok(())
    }

    /// What an alias points to is signed, where a gate wants that of it.
    fn check_gates(&mut self, models: &[Model], good: &BTreeSet<Subject>) {
        let config = self.workspace.repository.work_dir().ok().and_then(|top| Config::load(top).ok());
        let gates = config.map(|config| config.gates).unwrap_or_default();
        for model in models {
            for (alias, number) in &model.aliases {
                let wants = gates.get(alias).is_some_and(|gate| gate.require.iter().any(|text| text.trim() == SIGNED));
                let version = model.find(*number).filter(|_| wants);
                let Some(version) = version.filter(|version| !good.contains(&Subject::Artifact(version.id))) else {
                    continue;
                };
                let label = version.label();
                let message = format!(
                    "{label} is {}@{alias}, whose gate wants it signed, and nobody who is trusted here signed it",
                    model.name
                );
                let hint = format!("look at it, then `git ml sign {label}`");
                self.report(Code::MissingSignature, label, message, hint);
            }
        }
    }
}

/// What is wrong with a signature; none where nothing is.
fn finding(signature: &Signature, verdict: &Verdict, name: &str) -> Option<Finding> {
    let (code, problem, hint) = match verdict.outcome {
        Outcome::Good | Outcome::NotHere => return None,
        Outcome::UnknownSigner => (
            Code::UnknownSigner,
            "is by a key that you do not trust",
            "find out whose key it is; docs/signing.md says how to trust one",
        ),
        Outcome::Expired => (
            Code::ExpiredSigner,
            "is by a key that was trusted only until before",
            "have it signed again, with a key that is trusted",
        ),
        Outcome::NotYetValid => (
            Code::SignerNotValidYet,
            "is dated when its key is not trusted",
            "look at the clock of whoever signed, and at the times in your list of allowed signers",
        ),
        Outcome::Revoked => (
            Code::RevokedSigner,
            "is by a key that is trusted no more",
            "do not rely on it; have it signed again, with another key",
        ),
        Outcome::Bad => (
            Code::BadSignature,
            "is not what its key signed",
            "do not use it; `git log -p refs/ml/signatures` shows who brought it",
        ),
        Outcome::Mismatch => (
            Code::SignedSubjectDiffers,
            "is about something else",
            "do not use it; `git log -p refs/ml/signatures` shows who brought it",
        ),
        Outcome::Unreadable => (
            Code::UnreadableSignature,
            "cannot be read",
            "`git log -p refs/ml/signatures` shows who brought it; fetch the ref from a clone where it is right",
        ),
    };
    let form = signature.place.form.as_str();
    let file: String = signature.place.digest.short();
    let key = verdict.key.as_ref().map(|key| format!(" ({key})")).unwrap_or_default();
    let detail = if verdict.detail.is_empty() { String::new() } else { format!(": {}", verdict.detail) };
    let message = format!("the signature {file} of {name} ({form}) {problem}{key}{detail}");
    Some(Finding::new(code, name, message.lines().collect::<Vec<_>>().join(" "), hint))
}
