//! The power is cut, or a step fails, while garbage is collected and damage is mended.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;

use super::disk::{self, Files};
use super::full::FAULTS;
use super::random::Random;
use super::rounds;
use super::store::cut_often;
use super::work_tree::new_repository;
use crate::cli::Failure;
use crate::config;
use crate::files::trace::{Fault, Trace};
use crate::files::{LockError, RelPath};
use crate::id::ArtifactId;
use crate::remote::{Environment, Remote};
use crate::store::Fate;
use crate::track::{Silent, TrackOptions, Workspace};
use crate::upkeep::{CollectOptions, Collection, UpkeepError, mend};
use crate::verify::{Depth, Request, Scope, verify};

/// What is done, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    /// New content is tracked at these paths.
    Track(&'static [&'static str]),
    /// A file in the middle of `data/x` goes, and the rest is tracked again.
    Shrink,
    /// An artifact is named no more.
    Forget(&'static str),
    /// A bit of the largest pack flips.
    Flip,
    /// The work tree's files go, so that only a remote has what a damaged pack had.
    Clear,
    /// What nothing names is collected without grace, and as many packs as may be are written anew.
    Collect,
    /// What is damaged is mended.
    Mend,
}

const SMALL: &[&str] = &["s/1", "s/2", "s/3", "s/4", "s/5", "s/6", "s/7", "s/8"];

const ACTS: &[Act] = &[
    Act::Forget("gone"),
    Act::Shrink,
    Act::Collect,
    Act::Flip,
    Act::Mend,
    Act::Forget("kept"),
    Act::Track(SMALL),
    Act::Collect,
    Act::Flip,
    Act::Clear,
    Act::Mend,
    Act::Collect,
];

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn plan(workspace: &Workspace) -> Result<Collection<'_>, UpkeepError> {
    let options = CollectOptions { now: SystemTime::now(), grace: Duration::ZERO, max_unused: 0.0 };
    let started = Instant::now();
    loop {
        match Collection::plan(workspace, options, &Silent) {
            // A child that another test is just starting holds a copy of every lock until it is its own program.
            Err(UpkeepError::Lock(LockError::Held { .. })) if started.elapsed() < Duration::from_secs(20) => {
                std::thread::yield_now();
            }
            planned => return planned,
        }
    }
}

fn collect(workspace: &Workspace) -> Result<(), UpkeepError> {
    plan(workspace)?.carry_out(&Silent).map(drop)
}

fn remote_of(workspace: &Workspace, share: &Path) -> Remote {
    let settings = config::Remote::at(&format!("file://{}", share.display()));
    Remote::create("share", &settings, &workspace.store, &Environment::default()).unwrap()
}

fn mend_all(workspace: &Workspace, share: &Path) -> Result<(), UpkeepError> {
    let mended = mend(workspace, true, &[remote_of(workspace, share)], &Silent)?;
    assert_eq!(mended.lost, [], "{mended:?}");
    Ok(())
}

/// The acts, performed once with all going well.
struct Play {
    folder: TempDir,
    share: TempDir,
    trace: Trace,
    /// What was there before each act, and after the last.
    everything: Vec<Files>,
    /// What the pointers named then.
    named: Vec<BTreeMap<RelPath, ArtifactId>>,
    /// How many steps each act took.
    steps: Vec<usize>,
}

impl Play {
    fn perform(random: &mut Random) -> Self {
        let (folder, share) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = folder.path().to_path_buf();
        new_repository(&root);
        let write = |name: &str, bytes: &[u8]| {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), bytes).unwrap();
        };
        for (name, size) in [("data/x/a", 300_000), ("data/x/b", 200_000), ("data/x/c", 900), ("gone", 90_000)] {
            write(name, &random.bytes(size));
        }
        write("kept", &random.bytes(70_000));
        let workspace = Workspace::discover(&root).unwrap();
        for name in ["data/x", "gone", "kept"] {
            workspace.track(&path(name), &TrackOptions::default(), &Silent).unwrap();
        }
        let all = |root: &Path| disk::read(root, &|_| false);
        let trace = Trace::start(&root);
        let mut play = Self {
            everything: vec![all(&root)],
            named: vec![named(&workspace)],
            steps: Vec::new(),
            folder,
            share,
            trace,
        };
        for (number, act) in ACTS.iter().enumerate() {
            let before = play.trace.tried();
            play.act(*act, random);
            play.steps.push(play.trace.tried() - before);
            play.everything.push(all(&root));
            play.named.push(named(&Workspace::discover(&root).unwrap()));
            play.trace.mark(number + 1);
        }
        play
    }

    fn act(&self, act: Act, random: &mut Random) {
        let root = self.folder.path();
        let workspace = Workspace::discover(root).unwrap();
        let track = |name: &str| drop(workspace.track(&path(name), &TrackOptions::default(), &Silent).unwrap());
        match act {
            Act::Track(names) => {
                for name in names {
                    self.trace.change_as_user(&root.join(name), Some(&random.bytes(3000)));
                    track(name);
                }
            }
            Act::Shrink => {
                self.trace.change_as_user(&root.join("data/x/b"), None);
                track("data/x");
            }
            Act::Forget(name) => workspace.untrack(&path(name)).unwrap(),
            Act::Flip => {
                let ids: Vec<ArtifactId> = named(&workspace).into_values().collect();
                remote_of(&workspace, self.share.path()).push(&workspace.store, &ids, &Silent).unwrap();
                let largest = workspace.store.packs().unwrap().into_iter().max_by_key(|pack| pack.bytes).unwrap();
                let mut bytes = fs::read(&largest.path).unwrap();
                let place = random.between(60, bytes.len());
                bytes[place] ^= 1 << random.between(0, 8);
                self.trace.change_as_user(&largest.path, Some(&bytes));
            }
            Act::Clear => {
                for name in ["data/x/a", "data/x/c"].iter().chain(SMALL) {
                    self.trace.change_as_user(&root.join(name), None);
                }
            }
            Act::Collect => collect(&workspace).unwrap(),
            Act::Mend => mend_all(&workspace, self.share.path()).unwrap(),
        }
    }

    /// Checks a place in which the act behind `mark` was cut off, and that all goes on from there.
    fn check(&self, there: &Path, mark: usize) {
        let workspace = Workspace::discover(there).unwrap();
        let here = named(&workspace);
        for (path, id) in &self.named[mark] {
            let after = self.named.get(mark + 1).unwrap_or(&self.named[mark]);
            let is_known = here.get(path) == Some(id) || here.get(path) == after.get(path);
            assert!(is_known, "{path} names something else: {here:?}");
        }
        // From a flipped bit until it is mended, something is damaged.
        let done = |until: usize| ACTS[..until].iter().rev().find(|act| matches!(act, Act::Flip | Act::Mend));
        let is_sound = done(mark) != Some(&Act::Flip) && done((mark + 1).min(ACTS.len())) != Some(&Act::Flip);
        if is_sound {
            is_all_there(&workspace, &here);
        }
        mend_all(&workspace, self.share.path()).unwrap();
        is_all_there(&workspace, &here);
        collect(&workspace).unwrap();
        let workspace = Workspace::discover(there).unwrap();
        is_all_there(&workspace, &here);
        let report = verify(&workspace, &Request::of(Scope::All, Depth::Everything), &Silent).unwrap();
        assert!(report.findings.iter().all(|finding| finding.target.starts_with("data/x")), "{:?}", report.findings);
        // All that could go has gone, and no litter is left.
        let again = plan(&workspace).unwrap();
        assert_eq!(again.litter, []);
        assert_eq!(again.plan.with_fate(Fate::Remove).count(), 0);
        assert_eq!((again.plan.sum(|pack| pack.unused), again.plan.sum(|pack| pack.repeated)), (0, 0));
        // What a `track` was writing to the work tree goes with the next one.
        let litter: Vec<PathBuf> =
            disk::read(&there.join(".git/ml"), &|path| path.starts_with("drafts")).into_keys().collect();
        let litter: Vec<_> = litter.iter().filter(|path| path.to_string_lossy().contains(".tmp-")).collect();
        assert!(litter.is_empty(), "{litter:?}");
    }
}

fn named(workspace: &Workspace) -> BTreeMap<RelPath, ArtifactId> {
    workspace.pointers().unwrap().into_iter().map(|(path, pointer)| (path, pointer.id)).collect()
}

/// Asserts that all of these artifacts read, and as what they are.
fn is_all_there(workspace: &Workspace, named: &BTreeMap<RelPath, ArtifactId>) {
    for (path, id) in named {
        let manifest = workspace.store.manifest(id).unwrap_or_else(|error| panic!("{path}: {error}"));
        for entry in manifest.entries() {
            let bytes = workspace.store.read_to_vec(&entry.digest, u64::MAX);
            let bytes = bytes.unwrap_or_else(|error| panic!("{path}, {}: {error}", entry.path_text()));
            assert_eq!(crate::id::Digest::of(&bytes), entry.digest);
        }
    }
}

#[test]
fn collecting_and_mending_survive_power_cuts() {
    let mut random = Random::new(8);
    let play = Play::perform(&mut random);
    cut_often(&play.trace, play.folder.path(), &play.everything[0], 15, &mut random, &mut |there, mark| {
        play.check(there, mark);
    });
}

#[test]
fn a_step_of_collecting_or_mending_that_fails_costs_the_command_and_nothing_else() {
    let mut random = Random::new(9);
    let play = Play::perform(&mut random);
    let commands: Vec<usize> =
        (0..ACTS.len()).filter(|number| matches!(ACTS[*number], Act::Collect | Act::Mend)).collect();
    let mut failed = 0;
    for round in 0..rounds(15) {
        let number = commands[round % commands.len()];
        let (errno, lasts) = FAULTS[random.between(0, FAULTS.len())];
        let there = tempfile::tempdir().unwrap();
        disk::write(&play.everything[number], there.path());
        let workspace = Workspace::discover(there.path()).unwrap();
        let trace = Trace::start(there.path());
        let at = random.between(0, play.steps[number]);
        trace.fail(Some(Fault { at, lasts, errno }));
        let result = match ACTS[number] {
            Act::Collect => collect(&workspace),
            _ => mend(&workspace, true, &[remote_of(&workspace, play.share.path())], &Silent).map(drop),
        };
        println!("{:?}: step {at} of {}, error {errno}: {result:?}", ACTS[number], play.steps[number]);
        trace.fail(None);
        if let Err(error) = result {
            failed += 1;
            let failure = Failure::from(error);
            assert!(failure.hint().is_some(), "{failure:?} has no hint");
        }
        // The act has begun and is not done.
        play.check(there.path(), number);
    }
    assert!(failed * 4 > rounds(15), "many steps matter: {failed}");
}
