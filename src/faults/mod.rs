//! Tests of the whole house on disks that fail: the power is cut, the disk is full, a bit flips.
//!
//! They are tests and nothing else. How many rounds they take is `GIT_ML_FAULTS`, by default few; `make test-slow` takes
//! many. Every test prints the seed it begins with.
#![allow(clippy::disallowed_methods, reason = "tests make folders of their own and damage them")]

mod disk;
mod flips;
mod full;
mod random;
mod runs;
mod served;
mod store;
mod upkeep;
mod work_tree;

/// How many rounds of a test are asked for.
fn rounds(few: usize) -> usize {
    match std::env::var("GIT_ML_FAULTS") {
        Ok(number) => number.parse().expect("GIT_ML_FAULTS is a number of rounds"),
        Err(_) => few,
    }
}
