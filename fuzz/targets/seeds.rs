//! Writes the seeds of all targets, and fuzzes nothing: linked as the others are, so that nothing is built twice.
#![no_main]

use std::path::Path;

use git_ml_fuzz::write_seeds;
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        if let Some(folder) = std::env::args_os().nth(1) {
            write_seeds(Path::new(&folder));
            std::process::exit(0);
        }
    },
    |_bytes| {}
);
