//! The power is cut while a recorded run is changed over MLflow's protocol, and the disk fills up while values are logged.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::disk::{self, Disk};
use super::full::FAULTS;
use super::random::Random;
use super::rounds;
use super::work_tree::new_repository;
use crate::cli::Failure;
use crate::files::trace::{Fault, Step, Trace};
use crate::id::RunId;
use crate::run::{ActiveRun, Point, Run, RunChange, RunStatus, Runs, ServedRun};
use crate::track::Workspace;

/// Marks from here on say how many changes were acknowledged.
const CHANGES: usize = 6;

/// A run that was begun, logged to, ended and recorded.
fn recorded_run(workspace: &Workspace) -> RunId {
    let run = Run::begun(RunId::generate(), Timestamp::now());
    let run_id = run.id;
    let mut served = ServedRun::create(workspace, run, None).unwrap();
    for step in 0..3 {
        served.add(workspace, change("before", step)).unwrap().unwrap().sync().unwrap();
    }
    let end = RunChange { status: Some(RunStatus::Finished), ..RunChange::default() };
    served.add(workspace, end).unwrap().unwrap().sync().unwrap();
    served.settle(workspace).unwrap().unwrap();
    run_id
}

fn change(metric: &str, step: i64) -> RunChange {
    let mut change = RunChange { tags: vec![(format!("{metric}-{step}"), "x".to_owned())], ..RunChange::default() };
    change.add_point(metric, Point { step, time: Timestamp::UNIX_EPOCH, value: step as f64 });
    change
}

/// The run as it is now, recorded or open again, with its tags, and the steps of a metric.
fn look(workspace: &Workspace, run_id: &RunId, metric: &str) -> (Run, Vec<i64>) {
    let points = |points: Vec<Point>| points.iter().map(|point| point.step).collect();
    if let Some(mut open) = ServedRun::open(workspace, run_id).unwrap() {
        let steps = points(open.points(workspace, metric).unwrap());
        return (open.current().unwrap(), steps);
    }
    let runs = Runs::new(workspace);
    let run = ServedRun::recorded(workspace, run_id).unwrap().expect("the run is recorded");
    (run, points(runs.series(run_id).unwrap().remove(metric).unwrap_or_default()))
}

#[test]
fn changes_of_a_recorded_run_survive_power_cuts() {
    let mut random = Random::new(11);
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    new_repository(root);
    let workspace = Workspace::discover(root).unwrap();
    let run_id = recorded_run(&workspace);
    let before = disk::read(root, &|_| false);
    let trace = Trace::start(root);
    // Opened again twice, and changed several times in each.
    for round in 0..2 {
        let recorded = ServedRun::recorded(&workspace, &run_id).unwrap().unwrap();
        let mut served = ServedRun::reopen(&workspace, recorded).unwrap();
        for number in 0..CHANGES / 2 {
            let number = round * CHANGES / 2 + number;
            served.add(&workspace, change("after", number as i64)).unwrap().unwrap().sync().unwrap();
            trace.mark(number + 1);
        }
        served.settle(&workspace).unwrap().unwrap();
    }
    let taken = trace.taken();
    drop(trace);
    let mut moments: Vec<usize> = (0..rounds(10)).map(|_| random.between(0, taken.len() + 1)).collect();
    moments.sort_unstable();
    let mut disk = Disk::new(root, &before);
    let (mut done, mut acknowledged) = (0, 0);
    for moment in moments {
        for step in &taken[done..moment] {
            disk.take(step);
            if let Step::Mark(number) = step.step {
                acknowledged = number;
            }
        }
        done = moment;
        let there = tempfile::tempdir().unwrap();
        disk::write(&disk.cut(&mut random), there.path());
        println!("cut after step {moment} of {}, {acknowledged} acknowledged", taken.len());
        check(there.path(), &run_id, acknowledged);
    }
}

fn check(there: &Path, run_id: &RunId, acknowledged: usize) {
    let workspace = Workspace::discover(there).unwrap();
    let check = |when: &str| {
        let (run, steps) = look(&workspace, run_id, "after");
        assert!(steps.len() >= acknowledged, "{when}: {acknowledged} were acknowledged: {steps:?}");
        assert_eq!(steps, (0..steps.len() as i64).collect::<Vec<_>>(), "{when}: each once, in order");
        assert!((0..acknowledged).all(|step| run.tags.contains_key(&format!("after-{step}"))), "{when}: {run:?}");
        let (_, steps) = look(&workspace, run_id, "before");
        assert_eq!(steps, [0, 1, 2], "{when}");
    };
    check("at once");
    // Whoever goes on with it records it, as often as it takes.
    if let Some(open) = ServedRun::open(&workspace, run_id).unwrap() {
        open.settle(&workspace).unwrap();
    }
    check("recorded");
    assert_eq!(ServedRun::recorded(&workspace, run_id).unwrap().unwrap().status, RunStatus::Finished);
    let mut again = ServedRun::reopen(&workspace, look(&workspace, run_id, "after").0).unwrap();
    again.add(&workspace, change("later", 0)).unwrap().unwrap().sync().unwrap();
    again.settle(&workspace).unwrap();
    check("changed once more");
    let (_, errors) = Runs::new(&workspace).list_live().unwrap();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn a_full_disk_costs_the_values_that_were_refused_and_says_so() {
    let mut random = Random::new(13);
    let folder = tempfile::tempdir().unwrap();
    new_repository(folder.path());
    let workspace = Workspace::discover(folder.path()).unwrap();
    let run = Run::begun(RunId::generate(), Timestamp::now());
    let run_id = run.id;
    let mut served = ServedRun::create(&workspace, run, None).unwrap();
    let command = ActiveRun::open(served.folder()).unwrap();
    let trace = Trace::start(folder.path());
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for number in 0..60 {
        let (errno, lasts) = FAULTS[random.between(0, FAULTS.len())];
        trace.fail(Some(Fault { at: random.between(0, 6), lasts, errno }));
        // As `git ml metric` does, and as a client of MLflow's.
        let result = match number % 2 {
            0 => command.metrics(&BTreeMap::from([("x".to_owned(), f64::from(number))]), Some(number.into())),
            _ => served.add(&workspace, change("x", number.into())).and_then(|added| added.unwrap().sync()),
        };
        trace.fail(None);
        match result {
            Ok(()) => acknowledged.push(i64::from(number)),
            Err(error) => {
                refused += 1;
                let failure = Failure::from(error);
                assert!(failure.hint().is_some(), "{failure:?} has no hint");
            }
        }
    }
    assert!(refused > 10 && acknowledged.len() > 5, "{refused} refused, {} not", acknowledged.len());
    drop(trace);
    let steps = look(&workspace, &run_id, "x").1;
    assert!(acknowledged.iter().all(|step| steps.contains(step)), "{acknowledged:?}: {steps:?}");
    assert!(steps.is_sorted_by(|one, other| one < other), "none twice: {steps:?}");
    served.settle(&workspace).unwrap().unwrap();
    assert_eq!(look(&workspace, &run_id, "x").1, steps);
}
