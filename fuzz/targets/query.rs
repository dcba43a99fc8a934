//! A query over runs.
#![no_main]

use git_ml::query::Query;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(error) = Query::parse(text) {
        let _ = error.to_string();
    }
});
