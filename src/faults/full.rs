//! Every step of a command fails once: the disk is full, broken or read-only, or there are no more files to open.

use super::disk;
use super::random::Random;
use super::rounds;
use super::work_tree::{Play, check, finish};
use crate::cli::Failure;
use crate::files::trace::{Fault, Trace};
use crate::track::Workspace;

/// The system's numbers, and whether what they stand for goes on until somebody does something about it.
pub(super) const FAULTS: [(i32, bool); 5] = [
    (rustix::io::Errno::NOSPC.raw_os_error(), true),
    (rustix::io::Errno::DQUOT.raw_os_error(), true),
    (rustix::io::Errno::ROFS.raw_os_error(), true),
    (rustix::io::Errno::IO.raw_os_error(), false),
    (rustix::io::Errno::MFILE.raw_os_error(), false),
];

#[test]
fn a_step_that_fails_costs_the_command_and_nothing_else() {
    let mut random = Random::new(3);
    let play = Play::perform(&mut random);
    let mut failed = 0;
    for round in 0..rounds(20) {
        let number = round % play.acts.len();
        let (errno, lasts) = FAULTS[random.between(0, FAULTS.len())];
        let there = tempfile::tempdir().unwrap();
        disk::write(&play.everything[2 * number + 1], there.path());
        let workspace = Workspace::discover(there.path()).unwrap();
        let trace = Trace::start(there.path());
        // How many steps there are is seen best where the last but one fails.
        let at = random.between(0, play.steps[number]);
        trace.fail(Some(Fault { at, lasts, errno }));
        let result = (play.acts[number].command)(&workspace);
        println!("command {number}: step {at} of {}, error {errno}: {result:?}", play.steps[number]);
        trace.fail(None);
        if let Err(error) = result {
            failed += 1;
            let failure = Failure::from(error);
            assert!(failure.hint().is_some(), "{failure:?} has no hint");
        }
        check(there.path(), &play.stages, 2 * number + 1);
        // There is room again.
        finish(there.path(), &play.acts, &play.stages, 2 * number + 1);
    }
    assert!(failed * 3 > rounds(20), "most steps matter");
}
