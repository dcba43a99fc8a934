//! A log as CSV, whole and in pieces, and hyperparameters as YAML.
#![no_main]

use git_ml::formats::csv_log::{CsvLog, parse_hparams};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let read = |piece: usize| {
        let (mut log, mut rows) = (CsvLog::new(), Vec::new());
        bytes.chunks(piece).for_each(|piece| log.feed(piece, &mut |row| rows.push(format!("{row:?}"))));
        log.finish(&mut |row| rows.push(format!("{row:?}")));
        (rows, log.losses())
    };
    assert_eq!(read(bytes.len().max(1)), read(5));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = parse_hparams(text);
    }
});
