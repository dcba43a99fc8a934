//! An event file of TensorBoard's, whole and in pieces: both give the same.
#![no_main]

use git_ml::formats::tensorboard::EventFile;
use git_ml::formats::tfrecord;
use git_ml_fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut input = Input(bytes);
    // A fuzzer does not hit upon checksums: either the records are framed here, or the file is as it is.
    let file: Vec<u8> = match input.byte() {
        0 => input.0.to_vec(),
        _ => {
            let mut file = Vec::new();
            while !input.0.is_empty() {
                let length = usize::from(input.byte());
                file.extend(tfrecord::framed(input.take(length)));
            }
            file
        }
    };
    let read = |piece: usize| {
        let (mut reader, mut found) = (EventFile::new(), Vec::new());
        file.chunks(piece).for_each(|piece| reader.feed(piece, &mut |logged| found.push(format!("{logged:?}"))));
        (found, reader.losses(), reader.fed())
    };
    assert_eq!(read(file.len().max(1)), read(7));
});
