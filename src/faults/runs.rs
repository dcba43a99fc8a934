//! The power is cut while runs are recorded.
//!
//! git itself writes the objects of snapshots, past the double: their contents are on the disk when they get their names
//! (`core.fsync`), and the names are where they were synced. All other objects and the refs are ours, and the double's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::disk::{self, Content, Disk, Files, is_gits};
use super::random::Random;
use super::rounds;
use super::work_tree::new_repository;
use crate::files::trace::{Step, Trace};
use crate::run::{ActiveRun, Launch, LiveRun, Observer, Runs, Supervision};
use crate::track::Workspace;

/// Logs a value when the command prints, as `git ml metric` does, and notes in the trace that it was acknowledged.
struct Logger<'t> {
    live: PathBuf,
    trace: Option<(&'t Trace, usize)>,
}

impl Observer for Logger<'_> {
    fn output(&mut self, _stderr: bool, _bytes: &[u8]) {
        let values = BTreeMap::from([("acknowledged".to_owned(), 1.0)]);
        ActiveRun::open(&self.live).unwrap().metrics(&values, None).unwrap();
        if let Some((trace, number)) = self.trace {
            trace.mark(ACKNOWLEDGED + number);
        }
    }
}

/// Marks from here on say whose value was acknowledged; those before, how many runs had ended.
const ACKNOWLEDGED: usize = 100;

fn run(workspace: &Workspace, folder: &Path, number: usize, trace: Option<(&Trace, usize)>) {
    let launch = Launch {
        command: ["sh", "-c", "echo words"].map(str::to_owned).to_vec(),
        folder: folder.to_owned(),
        shown_command: None,
        variables: Vec::new(),
        experiment: None,
        name: Some(format!("run-{number}")),
        params: BTreeMap::from([("number".to_owned(), number.to_string())]),
        tags: BTreeMap::new(),
        seed: None,
        inputs: Vec::new(),
        outputs: vec![("out".to_owned(), "model".to_owned(), folder.join("out"))],
        user: "ada".to_owned(),
        host: "here".to_owned(),
        environment: BTreeMap::new(),
        untracked: Vec::new(),
        supervision: Supervision::default(),
    };
    let live = LiveRun::start(workspace, &launch).unwrap();
    let mut logger = Logger { live: live.scratch().parent().unwrap().to_path_buf(), trace };
    live.supervise(workspace, &launch, &mut logger).unwrap();
}

#[test]
fn runs_survive_power_cuts() {
    let mut random = Random::new(7);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    new_repository(root);
    std::fs::write(root.join("code"), "1").unwrap();
    let repository = crate::git::Repository::discover(root).unwrap();
    repository.run_git(&["add", "code"]).unwrap();
    repository.run_git(&["commit", "--quiet", "--message", "code"]).unwrap();
    let before = disk::read(root, &|_| false);
    let trace = Trace::start(root);
    let gits = || {
        let mut files = disk::read(root, &|_| false);
        files.retain(|path, _| is_gits(path));
        files
    };
    let mut recorded = vec![gits()];
    for number in 0..4 {
        trace.change_as_user(&root.join("out"), Some(&random.bytes(1000)));
        // Half of them with changes that are not committed.
        trace.change_as_user(&root.join("code"), Some(&[b'0' + number as u8]));
        run(&Workspace::discover(root).unwrap(), root, number, Some((&trace, number)));
        recorded.push(gits());
        trace.mark(number + 1);
    }
    let taken = trace.taken();
    let mut moments: Vec<usize> = (0..rounds(20)).map(|_| random.between(0, taken.len() + 1)).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(root, &before);
    let (mut done, mut ended, mut is_recorded, mut acknowledged) = (0, 0, false, 0);
    for moment in moments {
        for step in &taken[done..moment] {
            disk.take(step);
            match &step.step {
                Step::Mark(number) if *number >= ACKNOWLEDGED => acknowledged = number - ACKNOWLEDGED + 1,
                Step::Mark(number) => (ended, is_recorded) = (*number, false),
                // The record is there before its folder goes.
                Step::Rename { to, .. } if to.to_string_lossy().contains("/.gone-") => is_recorded = true,
                _ => {}
            }
        }
        done = moment;
        let files =
            with_gits(disk.cut(&mut random), &recorded[ended], &recorded[(ended + 1).min(4)], &disk, &mut random);
        let there = tempfile::tempdir().unwrap();
        disk::write(&files, there.path());
        println!("cut after step {moment} of {}, run {ended}: {:?}", taken.len(), taken[..moment].last());
        check(there.path(), ended + usize::from(is_recorded), acknowledged);
    }
}

/// A disk with git's own files as they may be: those of the run in progress, which has `after` in the end, where their
/// names were synced, and perhaps where not.
fn with_gits(mut files: Files, before: &Files, after: &Files, disk: &Disk, random: &mut Random) -> Files {
    let ours = disk.live();
    let is_ours =
        |path: &Path| path.starts_with(".git/refs/ml") || path.starts_with(".git/objects") && ours.contains_key(path);
    files.retain(|path, _| !is_gits(path) || is_ours(path));
    for (path, content) in after.iter().filter(|(path, _)| !is_ours(path)) {
        let is_there = before.get(path) == Some(content) || disk.has_kept(path) || *content == Content::Folder;
        if is_there || random.one_in(2) {
            files.insert(path.clone(), content.clone());
        }
    }
    // A folder of git's is there, whatever became of ours in it.
    for path in files.keys().cloned().collect::<Vec<_>>() {
        for folder in path.ancestors().skip(1).filter(|folder| is_gits(folder) || folder.ends_with(".git")) {
            files.entry(folder.to_path_buf()).or_insert(Content::Folder);
        }
    }
    files.entry(PathBuf::from(".git")).or_insert(Content::Folder);
    files
}

fn check(there: &Path, ended: usize, acknowledged: usize) {
    let workspace = Workspace::discover(there).unwrap();
    let runs = Runs::new(&workspace);
    let (_, errors) = runs.recover().unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    let (listed, errors) = runs.list().unwrap();
    assert!(errors.is_empty(), "{errors:?}");
    for number in 0..ended {
        let found = listed.iter().find(|run| run.name == format!("run-{number}"));
        let found = found.unwrap_or_else(|| panic!("run {number} had ended: {listed:?}"));
        assert_eq!(found.outputs.len(), 1);
        assert!(workspace.store.has_artifact(&found.outputs[0].id).unwrap());
    }
    for number in 0..acknowledged {
        let found = listed.iter().find(|run| run.name == format!("run-{number}"));
        let found = found.unwrap_or_else(|| panic!("a value of run {number} was acknowledged: {listed:?}"));
        assert_eq!(runs.series(&found.id).unwrap()["acknowledged"].len(), 1);
    }
    // Whatever the log of runs leads to is whole, the code too.
    let repository = &workspace.repository;
    if repository.read_ref(crate::run::RUNS_REF).unwrap().is_some() {
        repository.run_git(&["rev-list", "--objects", crate::run::RUNS_REF]).unwrap();
    }
    for snapshot in listed.iter().filter_map(|run| run.snapshot) {
        repository.run_git(&["archive", "--format=tar", &snapshot.to_string()]).unwrap();
    }
    // The next run works, and nothing is left of the one that was cut off.
    std::fs::write(there.join("out"), "out").unwrap();
    run(&workspace, there, 9, None);
    let (live, errors) = runs.list_live().unwrap();
    assert!(live.is_empty() && errors.is_empty(), "{live:?} {errors:?}");
    assert!(runs.list().unwrap().0.iter().any(|run| run.name == "run-9"));
}
