//! The three-way merge of one model: what each side did since both were the same, on top of the side that was first.
//!
//! A version is told by its number and its content. What one side registered stays; where both gave the same number, the
//! second side's get the numbers after the first side's. What one side removed goes, unless the other side points an alias
//! to it. An alias that one side moved moves; where both moved it, the first side's stands.

use std::collections::{BTreeMap, BTreeSet};

use crate::git::ObjectName;

/// A model as one side has it: what stands in its folders, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Side {
    pub(super) versions: BTreeMap<u64, ObjectName>,
    /// Aliases with the numbers that they point to.
    pub(super) aliases: BTreeMap<String, u64>,
    /// Numbers that are not given again.
    pub(super) removed: BTreeSet<u64>,
    pub(super) about: Option<ObjectName>,
    pub(super) about_versions: BTreeMap<u64, ObjectName>,
}

/// What a model is after a merge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// Versions of the first side that go.
    pub(super) gone: BTreeSet<u64>,
    /// Versions that come from the second side: their number now and then.
    pub(super) taken: BTreeMap<u64, u64>,
    /// Versions of the second side that have another number now, by the number then. They are taken, or the first side has
    /// them already.
    pub(super) renumbered: BTreeMap<u64, u64>,
    /// All aliases, with the numbers that they point to.
    pub(super) aliases: BTreeMap<String, u64>,
    /// Aliases that both sides moved: where the second side wanted them to be.
    pub(super) not_taken: BTreeMap<String, Option<u64>>,
    /// Versions that one side removed and that stay.
    pub(super) kept: BTreeSet<u64>,
    /// Numbers that are not given again.
    pub(super) removed: BTreeSet<u64>,
}

/// Merges what the second side did since `base` into the first side. `content_of` says what a version is apart from its
/// number, so that one which both have under different numbers is known.
pub(super) fn merge(
    base: &Side,
    first: &Side,
    second: &Side,
    content_of: &mut dyn FnMut(&ObjectName) -> Option<String>,
) -> Outcome {
    let mut outcome = Outcome { removed: &first.removed | &second.removed, ..Outcome::default() };
    number(base, first, second, content_of, &mut outcome);
    let now = |version: u64, outcome: &Outcome| outcome.renumbered.get(&version).copied().unwrap_or(version);
    // What goes: what was there, and one side has no more.
    for (version, content) in &base.versions {
        let in_first = first.versions.get(version) == Some(content);
        let in_second = second.versions.get(version) == Some(content);
        // Where an alias has always been, whoever removed the version moved it away first.
        let points_to_it = |side: &Side| {
            let is_moved =
                |(alias, target): (&String, &u64)| target == version && base.aliases.get(alias) != Some(target);
            side.aliases.iter().any(is_moved)
        };
        match (in_first, in_second) {
            (true, false) if points_to_it(first) => drop(outcome.kept.insert(*version)),
            (true, false) => drop(outcome.gone.insert(*version)),
            (false, true) if points_to_it(second) && !first.versions.contains_key(version) => {
                outcome.kept.insert(*version);
                outcome.taken.insert(*version, *version);
            }
            _ => {}
        }
    }
    let is_there = |version: &u64, outcome: &Outcome| {
        outcome.taken.contains_key(version) || first.versions.contains_key(version) && !outcome.gone.contains(version)
    };
    let names: BTreeSet<&String> = [base, first, second].into_iter().flat_map(|side| side.aliases.keys()).collect();
    for alias in names {
        // An alias is where it was only if the version is the same too.
        let target = |side: &Side| {
            let version = side.aliases.get(alias).copied();
            version.map(|version| (version, side.versions.get(&version).copied()))
        };
        let (was, ours, theirs) = (target(base), target(first), target(second));
        let wanted = theirs.map(|(version, _)| now(version, &outcome));
        let stands = ours.map(|(version, _)| version);
        let moved = if theirs == was || wanted == stands {
            stands
        } else if ours == was && wanted.is_none_or(|wanted| is_there(&wanted, &outcome)) {
            wanted
        } else {
            outcome.not_taken.insert(alias.clone(), wanted);
            stands
        };
        if let Some(version) = moved.filter(|version| is_there(version, &outcome)) {
            outcome.aliases.insert(alias.clone(), version);
        }
    }
    // What was kept for an alias that went elsewhere meanwhile stays all the same: nothing is lost by it.
    outcome.removed.extend(base.versions.keys());
    let there: BTreeSet<u64> = first.versions.keys().chain(outcome.taken.keys()).copied().collect();
    let there: BTreeSet<u64> = &there - &outcome.gone;
    outcome.removed = &outcome.removed - &there;
    outcome
}

/// Gives the second side's new versions their numbers.
fn number(
    base: &Side,
    first: &Side,
    second: &Side,
    content_of: &mut dyn FnMut(&ObjectName) -> Option<String>,
    outcome: &mut Outcome,
) {
    let is_new = |version: &u64, content: &ObjectName| {
        base.versions.get(version) != Some(content) && first.versions.get(version) != Some(content)
    };
    let new: Vec<(u64, ObjectName)> = second
        .versions
        .iter()
        .filter(|(version, content)| is_new(version, content))
        .map(|(version, content)| (*version, *content))
        .collect();
    if new.is_empty() {
        return;
    }
    // Only after histories crossed does the first side have one of them under another number.
    let mut known: BTreeMap<String, u64> = BTreeMap::new();
    for (version, content) in &first.versions {
        if base.versions.get(version) != Some(content) {
            known.extend(content_of(content).map(|content| (content, *version)));
        }
    }
    let given = |version: &u64| {
        first.versions.contains_key(version) || first.removed.contains(version) || base.versions.contains_key(version)
    };
    let highest = |side: &Side| side.versions.keys().chain(&side.removed).copied().max().unwrap_or(0);
    let mut next = highest(first).max(highest(base)) + 1;
    let mut are_shifted = false;
    for (version, content) in new {
        let same = content_of(&content).and_then(|content| known.get(&content).copied());
        let now = match same {
            Some(same) => same,
            None => {
                are_shifted |= given(&version);
                let now = if are_shifted { next } else { version };
                next = next.max(now + 1);
                outcome.taken.insert(now, version);
                now
            }
        };
        if now != version {
            outcome.renumbered.insert(version, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A side with these versions, by number and content, and these aliases.
    fn side(versions: &[(u64, u8)], aliases: &[(&str, u64)], removed: &[u64]) -> Side {
        Side {
            versions: versions.iter().map(|(version, content)| (*version, object(*content))).collect(),
            aliases: aliases.iter().map(|(alias, version)| ((*alias).to_owned(), *version)).collect(),
            removed: removed.iter().copied().collect(),
            ..Side::default()
        }
    }

    fn object(content: u8) -> ObjectName {
        ObjectName::from_bytes([content; 20])
    }

    fn merged(base: &Side, first: &Side, second: &Side) -> Outcome {
        merge(base, first, second, &mut |content| Some(format!("{content:?}")))
    }

    #[test]
    fn both_register_and_both_stay() {
        let base = side(&[(1, 1)], &[], &[]);
        let first = side(&[(1, 1), (2, 2)], &[], &[]);
        let second = side(&[(1, 1), (2, 12), (3, 13)], &[("best", 3), ("old", 1)], &[]);
        let outcome = merged(&base, &first, &second);
        assert_eq!(outcome.taken, [(3, 2), (4, 3)].into());
        assert_eq!(outcome.renumbered, [(2, 3), (3, 4)].into());
        assert_eq!(outcome.aliases, [("best".to_owned(), 4), ("old".to_owned(), 1)].into(), "aliases follow");
        // From nothing in common.
        let outcome = merged(&Side::default(), &side(&[(1, 1)], &[], &[]), &side(&[(1, 9)], &[("x", 1)], &[]));
        assert_eq!((outcome.taken, outcome.aliases), ([(2, 1)].into(), [("x".to_owned(), 2)].into()));
    }

    #[test]
    fn numbers_that_were_given_are_not_given_again() {
        let base = side(&[(1, 1)], &[], &[]);
        let gone = side(&[(1, 1)], &[], &[2]);
        let outcome = merged(&base, &gone, &side(&[(1, 1), (2, 12)], &[], &[]));
        assert_eq!((outcome.taken, outcome.removed), ([(3, 2)].into(), [2].into()));
        let outcome = merged(&base, &side(&[(1, 1), (2, 2)], &[], &[]), &side(&[(1, 1), (3, 13)], &[], &[2]));
        assert_eq!((outcome.taken, outcome.removed), ([(3, 3)].into(), [].into()), "without a gap");
    }

    #[test]
    fn an_alias_that_both_moved_stays_where_the_first_has_it() {
        let base = side(&[(1, 1), (2, 2), (3, 3)], &[("a", 1), ("b", 1), ("c", 1), ("d", 1)], &[]);
        let first = side(&[(1, 1), (2, 2), (3, 3)], &[("a", 2), ("b", 2), ("c", 1)], &[]);
        let second = side(&[(1, 1), (2, 2), (3, 3)], &[("a", 3), ("b", 1), ("c", 3), ("d", 2), ("e", 1)], &[]);
        let outcome = merged(&base, &first, &second);
        let aliases = [("a", 2), ("b", 2), ("c", 3), ("e", 1)];
        assert_eq!(outcome.aliases, aliases.map(|(alias, version)| (alias.to_owned(), version)).into());
        assert_eq!(outcome.not_taken, [("a".to_owned(), Some(3)), ("d".to_owned(), Some(2))].into());
        // The same move on both sides is no conflict.
        assert_eq!(merged(&base, &first, &first.clone()).not_taken, BTreeMap::new());
    }

    #[test]
    fn what_one_side_removed_goes_unless_an_alias_of_the_other_points_to_it() {
        let base = side(&[(1, 1), (2, 2), (3, 3)], &[], &[]);
        let first = side(&[(1, 1), (2, 2), (3, 3)], &[("a", 1)], &[]);
        let second = side(&[(3, 3)], &[], &[1, 2]);
        let outcome = merged(&base, &first, &second);
        assert_eq!((&outcome.gone, &outcome.kept, &outcome.removed), (&[2].into(), &[1].into(), &[2].into()));
        assert_eq!(outcome.aliases, [("a".to_owned(), 1)].into());
        // The other way round.
        let outcome = merged(&base, &second, &first);
        assert_eq!((&outcome.taken, &outcome.kept, &outcome.removed), (&[(1, 1)].into(), &[1].into(), &[2].into()));
        assert_eq!(outcome.aliases, [("a".to_owned(), 1)].into());
    }

    #[test]
    fn a_model_that_one_side_removed_keeps_what_the_other_registered() {
        let base = side(&[(1, 1)], &[("a", 1)], &[]);
        let second = side(&[(1, 1), (2, 2)], &[("a", 2)], &[]);
        let outcome = merged(&base, &Side::default(), &second);
        assert_eq!(outcome.taken, [(2, 2)].into());
        assert_eq!((outcome.aliases, outcome.not_taken), ([].into(), [("a".to_owned(), Some(2))].into()));
        let outcome = merged(&base, &second, &Side::default());
        assert_eq!((outcome.gone, outcome.taken), ([1].into(), [].into()));
    }

    #[test]
    fn after_histories_crossed_nothing_is_there_twice() {
        // Both merged the same two sides, each with its own first.
        let base = Side::default();
        let first = side(&[(1, 1), (2, 2)], &[("a", 1)], &[]);
        let second = side(&[(1, 2), (2, 1)], &[("a", 2)], &[]);
        let outcome = merged(&base, &first, &second);
        assert_eq!((outcome.taken, outcome.renumbered), ([].into(), [(1, 2), (2, 1)].into()));
        assert_eq!((outcome.aliases, outcome.not_taken), ([("a".to_owned(), 1)].into(), [].into()));
    }
}
