//! The power is cut while runs are recorded.
//!
//! git writes its own objects and refs, past the double: what a record in `refs/ml/runs` is worth after a power cut is
//! up to git and its setting `core.fsync`. Here they are as they were before the run was recorded or after.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::disk::{self, Disk, Files, is_gits};
use super::random::Random;
use super::rounds;
use super::work_tree::new_repository;
use crate::files::trace::{Step, Trace};
use crate::run::{Launch, LiveRun, Observer, Runs};
use crate::track::Workspace;

struct Mute;

impl Observer for Mute {}

fn run(workspace: &Workspace, folder: &Path, number: usize) {
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
    };
    let live = LiveRun::start(workspace, &launch).unwrap();
    live.supervise(workspace, &launch, &mut Mute).unwrap();
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
        run(&Workspace::discover(root).unwrap(), root, number);
        recorded.push(gits());
        trace.mark(number + 1);
    }
    let taken = trace.taken();
    let mut moments: Vec<usize> = (0..rounds(20)).map(|_| random.between(0, taken.len() + 1)).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(root, &before);
    let (mut done, mut ended, mut is_recorded) = (0, 0, false);
    for moment in moments {
        for step in &taken[done..moment] {
            disk.take(step);
            match &step.step {
                Step::Mark(number) => (ended, is_recorded) = (*number, false),
                // The record is there before its folder goes.
                Step::Rename { to, .. } if to.to_string_lossy().contains("/.gone-") => is_recorded = true,
                _ => {}
            }
        }
        done = moment;
        let git = if is_recorded { &recorded[(ended + 1).min(4)] } else { &recorded[ended] };
        let there = tempfile::tempdir().unwrap();
        disk::write(&with_gits(disk.cut(&mut random), git), there.path());
        println!("cut after step {moment} of {}, run {ended}: {:?}", taken.len(), taken[..moment].last());
        check(there.path(), ended + usize::from(is_recorded));
    }
}

/// A disk with git's own files as they are at another moment.
fn with_gits(mut files: Files, git: &Files) -> Files {
    files.retain(|path, _| !is_gits(path));
    files.extend(git.clone());
    // A folder of git's is there, whatever became of ours in it.
    files.entry(PathBuf::from(".git")).or_insert(disk::Content::Folder);
    files
}

fn check(there: &Path, ended: usize) {
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
    // The next run works, and nothing is left of the one that was cut off.
    std::fs::write(there.join("out"), "out").unwrap();
    run(&workspace, there, 9);
    let (live, errors) = runs.list_live().unwrap();
    assert!(live.is_empty() && errors.is_empty(), "{live:?} {errors:?}");
    assert!(runs.list().unwrap().0.iter().any(|run| run.name == "run-9"));
}
