//! The logs of a run: the first byte says how much of the input is git-ml's own, the rest is the command's.
#![no_main]

use std::fs;

use git_ml::run::read_logs;
use git_ml_fuzz::Place;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((share, bytes)) = bytes.split_first() else { return };
    let (ours, commands) = bytes.split_at(bytes.len() * usize::from(*share) / 255);
    let place = Place::new();
    fs::write(place.path("events.jsonl"), ours).expect("a log");
    fs::write(place.path("log.jsonl"), commands).expect("a log");
    let (series, warnings) = read_logs(&place.path("")).expect("any bytes are read");
    // A line costs itself: at most one warning each, and as many points as it has room for.
    assert!(warnings.len() <= 6);
    assert!(series.values().map(Vec::len).sum::<usize>() <= bytes.len());
});
