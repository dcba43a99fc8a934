//! A pointer: what is accepted reads back the same after it was written, and any fault is told in a line.
#![no_main]

use git_ml::track::Pointer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Pointer::parse(bytes) {
        Ok(pointer) => assert_eq!(Pointer::parse(pointer.to_toml().as_bytes()).expect("its own text"), pointer),
        Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
    }
});
