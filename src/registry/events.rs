//! Events: what a commit of `refs/ml/registry` says to people, and reading it back.
//!
//! The truth about what there is, is in the tree. The trailers only say how it came to be.

use std::fmt::Write;

use crate::git::CommitInfo;

use super::Version;
use super::history::{Names, Renumbered};
use super::merged;
use super::names::{check_alias_name, check_model_name, parse_number};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A version was registered.
    Register,
    /// An alias was pointed to a version.
    Alias,
    /// An alias was pointed to a version that is newer or meant to be better.
    Promote,
    /// An alias was pointed back to where it was before.
    Rollback,
    /// An alias was removed.
    Unalias,
    /// A model was made, without a version.
    Create,
    /// Something else was said about a model or a version.
    Describe,
    /// A model got another name.
    Rename,
    /// A version was removed.
    Remove,
    /// A model was removed.
    RemoveModel,
    /// A version is not to be used any more.
    Deprecate,
    /// A version may be used again.
    Restore,
    /// A merge gave a version another number.
    Renumber,
    /// A merge did not take a move of an alias, which others had moved first.
    NotTaken,
    /// A merge did not take the removal of a version, which an alias pointed to.
    Kept,
}

impl EventKind {
    /// What a commit can say of itself. What a merge says stands in trailers of its own.
    const ALL: [Self; 12] = [
        Self::Register,
        Self::Alias,
        Self::Promote,
        Self::Rollback,
        Self::Unalias,
        Self::Create,
        Self::Describe,
        Self::Rename,
        Self::Remove,
        Self::RemoveModel,
        Self::Deprecate,
        Self::Restore,
    ];

    /// Whether an alias is elsewhere since.
    pub fn moves_alias(self) -> bool {
        matches!(self, Self::Alias | Self::Promote | Self::Rollback | Self::Unalias)
    }

    /// The word for trailers and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Alias => "alias",
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Unalias => "unalias",
            Self::Create => "create",
            Self::Describe => "describe",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::RemoveModel => "remove-model",
            Self::Deprecate => "deprecate",
            Self::Restore => "restore",
            Self::Renumber => "renumber",
            Self::NotTaken => "not-taken",
            Self::Kept => "kept",
        }
    }
}

/// One event of a model's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryEvent {
    /// The commit.
    pub commit: CommitInfo,
    /// The model.
    pub model: String,
    /// What happened: `registered v3`, `production: v2 -> v3`.
    pub what: String,
    /// The kind of it.
    pub kind: EventKind,
    /// The version that was registered, or that the alias points to since.
    pub version: Option<u64>,
    /// The alias that moved.
    pub alias: Option<String>,
    /// Where the alias pointed to before.
    pub previous: Option<u64>,
    /// The name that the model had before.
    pub renamed_from: Option<String>,
    /// Why, if the person said so.
    pub note: Option<String>,
    /// Why a gate that stayed shut was passed by all the same.
    pub overridden: Option<String>,
}

/// Why a gate is passed by although it stays shut, and what of it does not hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Override {
    /// Why.
    pub reason: String,
    /// The conditions that do not hold, with what was found.
    pub failed: Vec<String>,
}

impl RegistryEvent {
    /// The event that a commit of the registry says it is; none if it is not one of ours.
    pub fn of(commit: CommitInfo) -> Option<Self> {
        parse_plain(&commit).filter(|_| commit.parents.len() < 2)
    }
}

/// A change of an alias, about to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct AliasChange<'a> {
    pub(super) kind: EventKind,
    pub(super) model: &'a str,
    pub(super) alias: &'a str,
    pub(super) version: Option<u64>,
    pub(super) previous: Option<u64>,
    pub(super) note: Option<&'a str>,
    pub(super) overridden: Option<&'a Override>,
}

impl AliasChange<'_> {
    /// The commit's message.
    pub(super) fn message(&self) -> String {
        let Self { model, alias, .. } = self;
        let mut text = match (self.kind, self.version, self.previous) {
            (_, None, None) => format!("{model}: remove {alias}\n"),
            (_, None, Some(previous)) => format!("{model}: remove {alias} (was v{previous})\n"),
            (_, Some(version), None) => format!("{model}: {alias} -> v{version}\n"),
            (EventKind::Rollback, Some(version), Some(previous)) => {
                format!("{model}: {alias} -> v{version} (rolled back from v{previous})\n")
            }
            (_, Some(version), Some(previous)) => format!("{model}: {alias} -> v{version} (was v{previous})\n"),
        };
        if let Some(note) = self.note {
            text += &format!("\n{}\n", note.trim());
        }
        text += &format!("\nGit-ML-Event: {}\nGit-ML-Model: {model}\nGit-ML-Alias: {alias}\n", self.kind.as_str());
        let mut trailer = |key: &str, version: Option<u64>| {
            if let Some(version) = version {
                text += &format!("{key}: {version}\n");
            }
        };
        trailer("Git-ML-Version", self.version);
        trailer("Git-ML-Previous", self.previous);
        if let Some(Override { reason, failed }) = self.overridden {
            text += &format!("Git-ML-Override: {}\n", in_a_line(reason));
            for condition in failed {
                text += &format!("Git-ML-Failed: {}\n", in_a_line(condition));
            }
        }
        text
    }
}

/// Text as the value of a trailer, which is one line.
pub(super) fn in_a_line(text: &str) -> String {
    text.split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A change of a model as a whole, or of what is said about it, about to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct ModelChange<'a> {
    pub(super) kind: EventKind,
    pub(super) model: &'a str,
    pub(super) version: Option<u64>,
    pub(super) from: Option<&'a str>,
    pub(super) note: Option<&'a str>,
}

impl ModelChange<'_> {
    /// The commit's message.
    pub(super) fn message(&self) -> String {
        let Self { kind, model, version, from, note } = self;
        let mut text = format!("{model}: {}\n\n", words_of(*kind, *version, *from).unwrap_or_default());
        if let Some(note) = note {
            text += &format!("{}\n\n", note.trim());
        }
        text += &format!("Git-ML-Event: {}\nGit-ML-Model: {model}\n", kind.as_str());
        if let Some(version) = version {
            text += &format!("Git-ML-Version: {version}\n");
        }
        if let Some(from) = from {
            text += &format!("Git-ML-From: {from}\n");
        }
        text
    }
}

/// What happened to a model as a whole; none for other events.
fn words_of(kind: EventKind, version: Option<u64>, from: Option<&str>) -> Option<String> {
    match (kind, version, from) {
        (EventKind::Create, ..) => Some("created".to_owned()),
        (EventKind::Describe, Some(version), _) => Some(format!("described v{version}")),
        (EventKind::Describe, None, _) => Some("described".to_owned()),
        (EventKind::Rename, _, Some(from)) => Some(format!("renamed from {from}")),
        (EventKind::Remove, Some(version), _) => Some(format!("removed v{version}")),
        (EventKind::RemoveModel, ..) => Some("removed".to_owned()),
        (EventKind::Deprecate, Some(version), _) => Some(format!("deprecated v{version}")),
        (EventKind::Restore, Some(version), _) => Some(format!("restored v{version}")),
        _ => None,
    }
}

/// The message of the commit that registers `version`.
pub(super) fn register_message(version: &Version, run_name: Option<&str>) -> String {
    let Version { model, version: number, id, artifact_type, .. } = version;
    let mut text = format!("{model}: register v{number}\n");
    if let Some(note) = &version.note {
        text += &format!("\n{}\n", note.trim());
    }
    text += &format!("\nartifact  {id} ({artifact_type})\n");
    match (version.run, run_name) {
        (Some(run), Some(name)) => text += &format!("run       {name} ({run})\n"),
        (Some(run), None) => text += &format!("run       {run}\n"),
        (None, _) => {}
    }
    if let Some(commit) = version.commit {
        text += &format!("commit    {commit}\n");
    }
    let metrics: Vec<String> = version
        .metrics
        .iter()
        .filter(|(name, _)| !name.starts_with("system."))
        .take(12)
        .map(|(name, summary)| format!("{} {}", super::names::escape(name), summary.last))
        .collect();
    if !metrics.is_empty() {
        text += &format!("metrics   {}\n", metrics.join(", "));
    }
    text +=
        &format!("\nGit-ML-Event: register\nGit-ML-Model: {model}\nGit-ML-Version: {number}\nGit-ML-Artifact: {id}\n");
    if let Some(run) = version.run {
        // Writing to a string does not fail.
        let _ = writeln!(text, "Git-ML-Run: {run}");
    }
    text
}

/// An event, and what it is about by the names of now and of then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// With the model's name of then, and the numbers of now.
    pub(super) event: RegistryEvent,
    /// What the model is called now; none where it is gone and another one has its name.
    pub(super) model_now: Option<String>,
    /// The number that the version had then.
    pub(super) version_then: Option<u64>,
}

/// The last paragraph of a message. Only that counts, so no remark can pass for a trailer.
pub(super) fn trailers(message: &str) -> Option<&str> {
    message.trim_end().rsplit_once("\n\n").map(|(_, trailers)| trailers)
}

/// Reads the events back from their commit, which has these names; none if the commit is not one of ours.
pub(super) fn parse(commit: CommitInfo, names: &Names) -> Vec<Told> {
    let told = |mut event: RegistryEvent| {
        let version_then = event.version;
        let is_of_now = |version: u64| names.version(&event.model, version);
        let (version, previous) = (event.version.map(is_of_now), event.previous.map(is_of_now));
        if (version, previous) != (event.version, event.previous) {
            let then = version_then.filter(|then| Some(*then) != version);
            (event.version, event.previous) = (version, previous);
            event.what = what_happened(&event).unwrap_or(event.what);
            event.what += &then.map(|then| format!(" (v{then} then)")).unwrap_or_default();
        }
        let model_now = names.model(&event.model).map(str::to_owned);
        Told { event, model_now, version_then }
    };
    match commit.parents.len() {
        0 | 1 => parse_plain(&commit).into_iter().map(told).collect(),
        // What a merge says is about what it made, whose numbers are those of its own commit.
        _ => merged::events_in(&commit).into_iter().map(told).collect(),
    }
}

/// What the model was called before, and what since, where a commit renamed one.
pub(super) fn rename_in(commit: &CommitInfo) -> Option<(String, String)> {
    let event = parse_plain(commit).filter(|event| event.kind == EventKind::Rename)?;
    Some((event.renamed_from?, event.model))
}

/// The versions that a merge says it renumbered.
pub(super) fn renumbered_in(commit: &CommitInfo) -> Vec<Renumbered> {
    merged::renumbered_in(commit)
}

/// The event of a commit that is no merge, with the names and numbers of then.
pub(super) fn parse_plain(commit: &CommitInfo) -> Option<RegistryEvent> {
    let message = commit.message.trim_end();
    let (before, trailers) = message.rsplit_once("\n\n")?;
    let find = |key: &str| trailers.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    let kind = EventKind::ALL.into_iter().find(|kind| find("Git-ML-Event") == Some(kind.as_str()))?;
    let model = find("Git-ML-Model").filter(|name| check_model_name(name).is_ok())?;
    let alias = find("Git-ML-Alias").filter(|name| check_alias_name(name).is_ok());
    let from = find("Git-ML-From").filter(|name| check_model_name(name).is_ok());
    // The first paragraph is the subject; a registration's last one, before the trailers, is its details.
    let mut remark = before.split_once("\n\n").map(|(_, body)| body).unwrap_or_default();
    if kind == EventKind::Register {
        remark = remark.rsplit_once("\n\n").map(|(remark, _)| remark).unwrap_or_default();
    }
    let mut event = RegistryEvent {
        commit: commit.clone(),
        model: model.to_owned(),
        what: String::new(),
        kind,
        version: find("Git-ML-Version").and_then(parse_number),
        alias: alias.map(str::to_owned),
        previous: find("Git-ML-Previous").and_then(parse_number),
        renamed_from: from.map(str::to_owned),
        note: Some(remark.trim()).filter(|remark| !remark.is_empty()).map(str::to_owned),
        overridden: find("Git-ML-Override").map(str::to_owned),
    };
    event.what = what_happened(&event)?;
    Some(event)
}

/// What happened, in words; none where the event lacks what it is about.
fn what_happened(event: &RegistryEvent) -> Option<String> {
    let RegistryEvent { kind, version, previous, .. } = event;
    Some(match (kind, event.alias.as_deref(), version, previous) {
        (EventKind::Register, _, Some(version), _) => format!("registered v{version}"),
        (EventKind::Unalias, Some(alias), _, Some(previous)) => format!("{alias} removed (was v{previous})"),
        (EventKind::Unalias, Some(alias), _, None) => format!("{alias} removed"),
        (EventKind::Rollback, Some(alias), Some(version), Some(previous)) => {
            format!("{alias}: v{previous} -> v{version} (rolled back)")
        }
        (EventKind::Alias | EventKind::Promote | EventKind::Rollback, Some(alias), Some(version), previous) => {
            match previous {
                Some(previous) => format!("{alias}: v{previous} -> v{version}"),
                None => format!("{alias} -> v{version}"),
            }
        }
        _ => words_of(*kind, *version, event.renamed_from.as_deref())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ArtifactId, CommitId, RunId};

    fn commit(message: String) -> CommitInfo {
        CommitInfo {
            id: CommitId::from_bytes([1; 20]),
            parents: Vec::new(),
            message,
            author: "Ada".to_owned(),
            email: "ada@example.org".to_owned(),
            time: jiff::Timestamp::UNIX_EPOCH,
        }
    }

    fn change<'a>(kind: EventKind, note: Option<&'a str>) -> AliasChange<'a> {
        let version = (kind != EventKind::Unalias).then_some(3);
        AliasChange { kind, model: "digits", alias: "production", version, previous: Some(2), note, overridden: None }
    }

    #[test]
    fn alias_events_read_back() {
        let cases = [
            (EventKind::Alias, "digits: production -> v3 (was v2)", "production: v2 -> v3"),
            (EventKind::Promote, "digits: production -> v3 (was v2)", "production: v2 -> v3"),
            (
                EventKind::Rollback,
                "digits: production -> v3 (rolled back from v2)",
                "production: v2 -> v3 (rolled back)",
            ),
            (EventKind::Unalias, "digits: remove production (was v2)", "production removed (was v2)"),
        ];
        for (kind, subject, what) in cases {
            for note in [None, Some("better on\n\nthe hard cases")] {
                let commit = commit(change(kind, note).message());
                assert_eq!(commit.subject(), subject);
                let event = parse_plain(&commit).unwrap();
                assert_eq!((event.kind, event.what.as_str(), event.note.as_deref()), (kind, what, note));
                assert_eq!((event.model.as_str(), event.alias.as_deref()), ("digits", Some("production")));
            }
        }
    }

    #[test]
    fn a_gate_that_was_passed_by_is_told() {
        let overridden = Override {
            reason: "the test set\nwas wrong".to_owned(),
            failed: vec!["metrics.a >= 0.9: metrics.a is 0.5 (digits@v3)".to_owned(), "signed".to_owned()],
        };
        let change = AliasChange { overridden: Some(&overridden), ..change(EventKind::Promote, Some("now")) };
        insta::assert_snapshot!(change.message(), @r"
        digits: production -> v3 (was v2)

        now

        Git-ML-Event: promote
        Git-ML-Model: digits
        Git-ML-Alias: production
        Git-ML-Version: 3
        Git-ML-Previous: 2
        Git-ML-Override: the test set was wrong
        Git-ML-Failed: metrics.a >= 0.9: metrics.a is 0.5 (digits@v3)
        Git-ML-Failed: signed
        ");
        let event = parse_plain(&commit(change.message())).unwrap();
        assert_eq!((event.overridden.as_deref(), event.note.as_deref()), (Some("the test set was wrong"), Some("now")));
    }

    #[test]
    fn a_remark_cannot_pass_for_a_trailer() {
        let forged = "fine\n\nGit-ML-Event: unalias\nGit-ML-Model: other";
        let event = parse_plain(&commit(change(EventKind::Alias, Some(forged)).message())).unwrap();
        assert_eq!((event.kind, event.model.as_str()), (EventKind::Alias, "digits"));
        assert_eq!(event.note.as_deref(), Some(forged));
    }

    #[test]
    fn a_registration_says_all_of_it() {
        let summary = crate::run::MetricSummary {
            last: 0.98,
            min: 0.1,
            max: 0.98,
            best_step: 4,
            count: 5,
            last_step: 4,
            last_time: jiff::Timestamp::UNIX_EPOCH,
        };
        let version = Version {
            model: "digits".to_owned(),
            version: 3,
            id: ArtifactId::from_bytes([0xab; 32]),
            artifact_type: "model".to_owned(),
            run: Some(RunId::from_bytes([1; 16])),
            commit: Some(CommitId::from_bytes([2; 20])),
            registered: jiff::Timestamp::UNIX_EPOCH,
            by: String::new(),
            note: Some("first good one".to_owned()),
            source: None,
            data: None,
            meta: std::collections::BTreeMap::new(),
            metrics: [("test_accuracy".to_owned(), summary), ("system.cpu".to_owned(), summary)].into(),
        };
        let message = register_message(&version, Some("brave-otter-12"));
        insta::assert_snapshot!(message, @r"
        digits: register v3

        first good one

        artifact  abababababababababababababababababababababababababababababababab (model)
        run       brave-otter-12 (01010101010101010101010101010101)
        commit    0202020202020202020202020202020202020202
        metrics   test_accuracy 0.98

        Git-ML-Event: register
        Git-ML-Model: digits
        Git-ML-Version: 3
        Git-ML-Artifact: abababababababababababababababababababababababababababababababab
        Git-ML-Run: 01010101010101010101010101010101
        ");
        let event = parse_plain(&commit(message)).unwrap();
        assert_eq!((event.what.as_str(), event.note.as_deref()), ("registered v3", Some("first good one")));
    }

    #[test]
    fn foreign_commits_are_no_events() {
        for message in [
            "",
            "just a subject",
            "subject\n\nGit-ML-Event: dance\nGit-ML-Model: digits",
            "subject\n\nGit-ML-Event: alias\nGit-ML-Model: ../x\nGit-ML-Alias: a\nGit-ML-Version: 1",
            "subject\n\nGit-ML-Event: alias\nGit-ML-Model: x\nGit-ML-Alias: a\nGit-ML-Version: 99999999999999999999",
            "subject\n\nGit-ML-Event: register\nGit-ML-Model: x",
        ] {
            assert_eq!(parse_plain(&commit(message.to_owned())), None, "{message}");
        }
    }
}
