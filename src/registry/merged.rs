//! What a merge of two registries has to say: to people, and to whoever reads the history.

use jiff::Timestamp;

use crate::git::CommitInfo;

use super::events::{EventKind, RegistryEvent, in_a_line, trailers};
use super::history::Renumbered;
use super::names::{check_alias_name, check_model_name, escape, parse_number};

/// A move of an alias that a merge did not take in, since the alias had moved on the other side too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTaken {
    /// The model.
    pub model: String,
    /// The alias.
    pub alias: String,
    /// Where it was moved to, by the number of the version since the merge; none where it was removed.
    pub wanted: Option<u64>,
    /// Where it stays; none where it is gone.
    pub stands: Option<u64>,
    /// Who moved it to where it stays.
    pub first: Option<Mover>,
    /// Who moved it to where it is not.
    pub second: Option<Mover>,
}

/// Who moved an alias, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover {
    /// The author's name.
    pub by: String,
    /// When.
    pub when: Timestamp,
    /// Why, if they said so: one line.
    pub note: Option<String>,
}

impl Mover {
    /// Of the event with which an alias moved.
    pub fn of(event: &RegistryEvent) -> Self {
        let note = event.note.as_deref().and_then(|note| note.lines().next()).map(in_a_line);
        Self { by: escape(&event.commit.author), when: event.commit.time, note }
    }

    /// `Ada at 2026-11-21T08:00:00Z: better`
    pub fn words(&self) -> String {
        let why = self.note.as_ref().map(|note| format!(": {note}")).unwrap_or_default();
        format!("{} at {}{why}", self.by, self.when)
    }
}

/// What became of what came in, where it is not simply as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MergeStory {
    /// Versions with other numbers.
    pub renumbered: Vec<Renumbered>,
    /// Moves that were not taken.
    pub not_taken: Vec<NotTaken>,
    /// Versions that one side removed and that stay, since the other side points an alias to them: model and number.
    pub kept: Vec<(String, u64)>,
}

impl MergeStory {
    /// Whether all came in as it was.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A line for each thing, for people.
    pub fn lines(&self, remote: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for Renumbered { model, from, to } in &self.renumbered {
            lines.push(format!("{model}: v{from} is now v{to}, since {remote} had another v{from} first"));
        }
        for one in &self.not_taken {
            let NotTaken { model, alias, wanted, stands, first, second } = one;
            let stays = match stands {
                Some(version) => format!("{alias} stays at v{version}"),
                None => format!("{alias} stays removed"),
            };
            let first = first.as_ref().map(|mover| format!(", moved by {}", mover.words())).unwrap_or_default();
            let not = match wanted {
                Some(version) => format!("its move to v{version}"),
                None => "its removal".to_owned(),
            };
            let second = second.as_ref().map(|mover| format!(" by {}", mover.words())).unwrap_or_default();
            lines.push(format!("{model}: {stays}{first}; {not}{second} is not taken"));
        }
        for (model, version) in &self.kept {
            lines.push(format!("{model}: v{version} is not removed, since an alias points to it"));
        }
        lines
    }

    /// The message of the merge's commit.
    pub fn message(&self, remote: &str) -> String {
        let mut text = format!("Merge the registry of {}\n", in_a_line(remote));
        let lines = self.lines(&in_a_line(remote));
        if !lines.is_empty() {
            text += &format!("\n{}\n", lines.join("\n"));
        }
        if !self.is_empty() {
            text += "\n";
        }
        let number = |version: &Option<u64>| version.map_or("-".to_owned(), |version| version.to_string());
        for Renumbered { model, from, to } in &self.renumbered {
            text += &format!("Git-ML-Renumbered: {from} {to} {model}\n");
        }
        for NotTaken { model, alias, wanted, stands, .. } in &self.not_taken {
            text += &format!("Git-ML-Not-Taken: {alias} {} {} {model}\n", number(wanted), number(stands));
        }
        for (model, version) in &self.kept {
            text += &format!("Git-ML-Kept: {version} {model}\n");
        }
        text
    }
}

/// The values of a merge's trailers of one kind.
fn values<'c>(commit: &'c CommitInfo, key: &'static str) -> impl Iterator<Item = &'c str> {
    let is_merge = commit.parents.len() > 1;
    let text = trailers(&commit.message).filter(|_| is_merge).unwrap_or_default();
    text.lines().filter_map(move |line| line.strip_prefix(key)?.strip_prefix(": "))
}

/// The versions that a merge says it renumbered.
pub(super) fn renumbered_in(commit: &CommitInfo) -> Vec<Renumbered> {
    let parse = |value: &str| {
        let (from, rest) = value.split_once(' ')?;
        let (to, model) = rest.split_once(' ')?;
        check_model_name(model).ok()?;
        Some(Renumbered { model: model.to_owned(), from: parse_number(from)?, to: parse_number(to)? })
    };
    values(commit, "Git-ML-Renumbered").filter_map(parse).collect()
}

/// The events of a merge, with the models' names and the numbers right after it.
pub(super) fn events_in(commit: &CommitInfo) -> Vec<RegistryEvent> {
    let event = |kind: EventKind, model: &str, what: String| {
        check_model_name(model).ok()?;
        Some(RegistryEvent {
            commit: commit.clone(),
            model: model.to_owned(),
            what,
            kind,
            version: None,
            alias: None,
            previous: None,
            renamed_from: None,
            note: None,
            overridden: None,
        })
    };
    let mut events = Vec::new();
    for Renumbered { model, from, to } in renumbered_in(commit) {
        let found = event(EventKind::Renumber, &model, format!("v{from} is v{to} since the merge"));
        events.extend(found.map(|event| RegistryEvent { version: Some(to), previous: Some(from), ..event }));
    }
    let number = |word: &str| if word == "-" { Some(None) } else { parse_number(word).map(Some) };
    let words = |version: Option<u64>| version.map_or("removed".to_owned(), |version| format!("v{version}"));
    for value in values(commit, "Git-ML-Not-Taken") {
        let mut parts = value.splitn(4, ' ');
        let (Some(alias), Some(wanted), Some(stands), Some(model)) =
            (parts.next(), parts.next().and_then(number), parts.next().and_then(number), parts.next())
        else {
            continue;
        };
        if check_alias_name(alias).is_err() {
            continue;
        }
        let what = format!("{alias} stays {}, {} not taken", words(stands), words(wanted));
        let found = event(EventKind::NotTaken, model, what);
        let alias = Some(alias.to_owned());
        events.extend(found.map(|event| RegistryEvent { alias, version: wanted, previous: stands, ..event }));
    }
    for value in values(commit, "Git-ML-Kept") {
        let Some((version, model)) = value.split_once(' ') else { continue };
        let Some(version) = parse_number(version) else { continue };
        let found = event(EventKind::Kept, model, format!("v{version} not removed"));
        events.extend(found.map(|event| RegistryEvent { version: Some(version), ..event }));
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::CommitId;

    #[test]
    fn a_merge_tells_all_and_reads_back() {
        let mover = |by: &str, note: Option<&str>| {
            Some(Mover { by: by.to_owned(), when: Timestamp::UNIX_EPOCH, note: note.map(str::to_owned) })
        };
        let not_taken = |alias: &str, wanted, stands| NotTaken {
            model: "Iris 2".to_owned(),
            alias: alias.to_owned(),
            wanted,
            stands,
            first: mover("Bob", Some("better")),
            second: mover("Ada", None),
        };
        let story = MergeStory {
            renumbered: vec![Renumbered { model: "Iris 2".to_owned(), from: 3, to: 4 }],
            not_taken: vec![not_taken("production", Some(4), Some(3)), not_taken("best", None, None)],
            kept: vec![("digits".to_owned(), 2)],
        };
        let message = story.message("origin");
        insta::assert_snapshot!(message, @r"
        Merge the registry of origin

        Iris 2: v3 is now v4, since origin had another v3 first
        Iris 2: production stays at v3, moved by Bob at 1970-01-01T00:00:00Z: better; its move to v4 by Ada at 1970-01-01T00:00:00Z is not taken
        Iris 2: best stays removed, moved by Bob at 1970-01-01T00:00:00Z: better; its removal by Ada at 1970-01-01T00:00:00Z is not taken
        digits: v2 is not removed, since an alias points to it

        Git-ML-Renumbered: 3 4 Iris 2
        Git-ML-Not-Taken: production 4 3 Iris 2
        Git-ML-Not-Taken: best - - Iris 2
        Git-ML-Kept: 2 digits
        ");
        let commit = CommitInfo {
            id: CommitId::from_bytes([1; 20]),
            parents: vec![CommitId::from_bytes([2; 20]), CommitId::from_bytes([3; 20])],
            message,
            author: "Ada".to_owned(),
            email: "ada@example.org".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(renumbered_in(&commit), story.renumbered);
        let told: Vec<String> =
            events_in(&commit).into_iter().map(|event| format!("{}: {}", event.model, event.what)).collect();
        assert_eq!(
            told,
            [
                "Iris 2: v3 is v4 since the merge",
                "Iris 2: production stays v3, v4 not taken",
                "Iris 2: best stays removed, removed not taken",
                "digits: v2 not removed"
            ]
        );
        // Who makes no merge renumbers nothing.
        let alone = CommitInfo { parents: vec![CommitId::from_bytes([2; 20])], ..commit };
        assert_eq!((renumbered_in(&alone), events_in(&alone)), (Vec::new(), Vec::new()));
    }
}
