//! The power is cut while artifacts are tracked and checked out.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use tempfile::TempDir;

use super::disk::{self, Content, Files};
use super::random::Random;
use super::store::{NOTHING, cut_often};
use crate::files::RelPath;
use crate::files::trace::{self, Trace};
use crate::git::Repository;
use crate::id::Digest;
use crate::store::StoreError;
use crate::track::{CheckoutOptions, Silent, State, TrackError, TrackOptions, Workspace};

/// Writes a file as the user, or removes it.
pub(super) type Change<'a> = &'a dyn Fn(&str, Option<&[u8]>);

/// A command of ours.
type Command = Box<dyn Fn(&Workspace) -> Result<(), TrackError>>;

/// What happens one after the other: what the user does, and the command that follows.
pub(super) struct Act {
    pub(super) prepare: Box<dyn Fn(Change<'_>)>,
    pub(super) command: Command,
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn track(target: &'static str) -> Command {
    Box::new(move |workspace| workspace.track(&path(target), &TrackOptions::default(), &Silent).map(drop))
}

fn checkout(target: &'static str) -> Command {
    Box::new(move |workspace| workspace.checkout(&[path(target)], CheckoutOptions::default(), &Silent).map(drop))
}

/// The acts of the play. `pointers` has what the pointers were, for the acts in which git brings an old one back.
fn acts(random: &mut Random, pointers: &'static RefCell<BTreeMap<&'static str, Vec<u8>>>) -> Vec<Act> {
    let (large, small, other) = (random.bytes(300_000), random.bytes(2000), random.bytes(40_000));
    let changed = [&large[..100_000], b"inserted", &large[100_000..]].concat();
    let bring_back = move |name: &'static str| -> Box<dyn Fn(Change<'_>)> {
        Box::new(move |change| change("data/x.mlref", pointers.borrow().get(name).map(Vec::as_slice)))
    };
    let first = move |change: Change<'_>| {
        change("data/x/a.txt", Some(&small));
        change("data/x/b.bin", Some(&large));
        change("data/x/deep/er/c", Some(b"see"));
    };
    let second = move |change: Change<'_>| {
        change("data/x/b.bin", Some(&changed));
        change("data/x/a.txt", None);
        change("data/x/new", Some(b"new"));
    };
    vec![
        Act { prepare: Box::new(first), command: track("data/x") },
        Act { prepare: Box::new(second), command: track("data/x") },
        Act { prepare: Box::new(move |change| change("model.pt", Some(&other))), command: track("model.pt") },
        Act { prepare: bring_back("first"), command: checkout("data/x") },
        Act { prepare: bring_back("second"), command: checkout("data/x") },
        Act { prepare: Box::new(|change| change("data/x/new", None)), command: checkout("data/x") },
        Act { prepare: Box::new(|_| ()), command: Box::new(|workspace| workspace.untrack(&path("model.pt"))) },
    ]
}

pub(super) fn new_repository(folder: &Path) {
    let repository = Repository::init(folder).unwrap();
    repository.set_config("user.name", "Ada Tester").unwrap();
    repository.set_config("user.email", "ada@example.com").unwrap();
}

fn work_tree(root: &Path) -> Files {
    disk::read(root, &|path| path.starts_with(".git"))
}

/// The acts, performed once with all going well.
pub(super) struct Play {
    pub(super) acts: Vec<Act>,
    /// What is in the work tree at the beginning, and after each act's preparation and command.
    pub(super) stages: Vec<Files>,
    /// The same with all of git's folder.
    pub(super) everything: Vec<Files>,
    /// How many steps each command took.
    pub(super) steps: Vec<usize>,
    folder: TempDir,
    trace: Trace,
}

impl Play {
    pub(super) fn perform(random: &mut Random) -> Self {
        let pointers: &'static RefCell<BTreeMap<&'static str, Vec<u8>>> = Box::leak(Box::default());
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_path_buf();
        new_repository(&root);
        let all = || disk::read(&root, &|_| false);
        let (stages, everything) = (vec![work_tree(&root)], vec![all()]);
        let (acts, trace) = (acts(random, pointers), Trace::start(&root));
        let mut play = Self { acts, stages, everything, steps: Vec::new(), folder, trace };
        for (number, act) in play.acts.iter().enumerate() {
            (act.prepare)(&|path, bytes| play.trace.change_as_user(&root.join(path), bytes));
            for is_command in [false, true] {
                if is_command {
                    let workspace = Workspace::discover(&root).unwrap();
                    let before = play.trace.tried();
                    (act.command)(&workspace).unwrap();
                    play.steps.push(play.trace.tried() - before);
                }
                play.stages.push(work_tree(&root));
                play.everything.push(all());
                play.trace.mark(play.stages.len() - 1);
            }
            if let Some(name) = ["first", "second"].get(number) {
                pointers.borrow_mut().insert(name, std::fs::read(root.join("data/x.mlref")).unwrap());
            }
        }
        play
    }
}

#[test]
fn a_work_tree_survives_power_cuts() {
    let mut random = Random::new(2);
    let play = Play::perform(&mut random);
    cut_often(&play.trace, play.folder.path(), &play.everything[0], 15, &mut random, &mut |there, mark| {
        reboot(there);
        check(there, &play.stages, mark);
        finish(there, &play.acts, &play.stages, mark);
    });
}

/// Has it look as if the system had been started anew, as it is after a power cut.
fn reboot(there: &Path) {
    let notes = there.join(".git/ml/checked-out");
    if let Ok(text) = std::fs::read_to_string(&notes) {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        std::fs::write(&notes, lines.map(|(_, rest)| format!("earlier {rest}\n")).collect::<String>()).unwrap();
    }
}

/// Whether all that was acknowledged is there after a cut behind the stage `mark`, and nothing is wrong.
pub(super) fn check(there: &Path, stages: &[Files], mark: usize) {
    let workspace = Workspace::discover(there).unwrap();
    let (old, new) = (&stages[mark], stages.get(mark + 1).unwrap_or(&stages[mark]));
    let found = work_tree(there);
    for path in stages.iter().flat_map(|files| files.keys()) {
        let found = found.get(path);
        let is_known = found == old.get(path) || found == new.get(path);
        let name = path.to_string_lossy();
        let is_ours = name.ends_with(".mlref") || name.ends_with(".gitignore");
        let Some(Content::File(bytes)) = old.get(path) else { continue };
        if is_ours {
            assert!(is_known, "{name} is neither old nor new: {found:?}");
        } else if !is_known {
            // Only what the store has may be in the middle of being written.
            assert!(workspace.store.contains(&Digest::of(bytes)).unwrap(), "{name} was the user's");
        }
    }
    // Every version that a command acknowledged, and every one that a pointer names, is there and right.
    for (path, pointer) in workspace.pointers().unwrap() {
        assert!(workspace.store.has_artifact(&pointer.id).unwrap(), "{path} points to nothing");
    }
    for (stage, files) in stages.iter().enumerate().filter(|(stage, _)| stage % 2 == 0) {
        for content in files.values() {
            let Content::File(bytes) = content else { continue };
            let is_data = !bytes.starts_with(b"version = ") && !bytes.starts_with(b"/");
            match workspace.store.read_to_vec(&Digest::of(bytes), u64::MAX) {
                Ok(read) => assert!(read == *bytes),
                Err(error) if is_data => {
                    assert!(stage > mark, "stage {stage} had returned: {error}");
                    assert!(matches!(error, StoreError::Missing { .. }), "{error}");
                }
                Err(_) => {}
            }
        }
    }
}

/// Repeats the act in which the power was cut: it works, and all is as if nothing had happened.
pub(super) fn finish(there: &Path, acts: &[Act], stages: &[Files], mark: usize) {
    let number = (mark / 2).min(acts.len() - 1);
    let workspace = Workspace::discover(there).unwrap();
    workspace.status(&[]).unwrap();
    (acts[number].prepare)(&|path, bytes| trace::change(&there.join(path), bytes));
    let result = (acts[number].command)(&workspace);
    let is_untracked = number + 1 == acts.len() && matches!(result, Err(TrackError::NotTracked { .. }));
    if !is_untracked {
        result.unwrap();
    }
    // A checkout that had returned may be torn: the store has all of it.
    workspace.checkout(&[], CheckoutOptions::default(), &Silent).unwrap();
    let mut differing = disk::differing(&work_tree(there), &stages[2 * number + 2]);
    // The pointer goes first and the rule for git second: the rule alone does no harm, and is the user's to remove.
    differing.retain(|path| !(is_untracked && path == Path::new(".gitignore")));
    assert_eq!(differing, NOTHING);
    for status in workspace.status(&[]).unwrap().artifacts {
        assert_eq!(status.state, State::Clean, "{status:?}");
    }
    // Drafts of packs go with the next writer.
    workspace.store.remove_leftovers().unwrap();
    let everything = disk::read(there, &|_| false);
    let litter: Vec<_> = everything.keys().filter(|path| path.to_string_lossy().contains(".tmp-git-ml-")).collect();
    assert!(litter.is_empty(), "{litter:?}");
}
