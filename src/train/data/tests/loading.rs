//! Batches, and the threads that make them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::train::recipe::Augment;

fn images(count: usize, on_demand: bool) -> (tempfile::TempDir, Arc<Dataset>) {
    let pixels: Vec<u8> = (0..count * 48).map(|place| (place * 31 % 256) as u8).collect();
    let folder = tempfile::tempdir().unwrap();
    let images = if on_demand {
        let names: Vec<String> = (0..count).map(|index| format!("{index}.png")).collect();
        for (name, image) in names.iter().zip(pixels.chunks(48)) {
            image::save_buffer(folder.path().join(name), image, 4, 4, image::ColorType::Rgb8).unwrap();
        }
        Images::from_files((4, 4), 3, Source::Path(folder.path().to_path_buf()), names)
    } else {
        Images::new(4, 4, 3, 255.0, pixels)
    };
    let labels = (0..count as u32).map(|index| index % 2).collect();
    (folder, Arc::new(Dataset { inputs: Inputs::Images(images), ..numbers(labels) }))
}

const ALL: Augment = Augment { flip: true, crop: 1, cutout: 2, color: 0.4 };

fn loaded(
    data: &Arc<Dataset>,
    order: &[u32],
    batch_size: usize,
    augment: Option<Augment>,
    threads: usize,
) -> Vec<Batch> {
    let variation = augment.map(|augment| Variation { augment, seed: 3, epoch: 2 });
    Loader::new(data, order.to_vec(), batch_size, variation, threads).map(Result::unwrap).collect()
}

#[test]
fn batches_have_the_examples_in_order_and_the_last_one_what_is_left() {
    let (_folder, data) = images(5, false);
    let batches = loaded(&data, &[4, 0, 2, 1, 3], 2, None, 4);
    let indexes: Vec<_> = batches.iter().map(|batch| batch.indexes.clone()).collect();
    assert_eq!(indexes, [vec![4, 0], vec![2, 1], vec![3]]);
    assert_eq!(batches[1].labels, [0, 1]);
    let BatchInputs::Pixels(pixels) = &batches[2].inputs else { panic!("pixels are expected") };
    assert_eq!(
        pixels.iter().map(|pixel| usize::from(*pixel)).collect::<Vec<_>>(),
        (144..192).map(|place| place * 31 % 256).collect::<Vec<_>>()
    );
    assert_eq!(loaded(&data, &[], 2, None, 4), []);
    let rows = loaded(&Arc::new(numbers(vec![0, 1, 1])), &[2, 0], 5, None, 1);
    assert_eq!(rows[0].inputs, BatchInputs::Numbers(vec![1.0, 0.0]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_bytes_are_the_same_for_every_number_of_threads(
        count in 1_usize..40, batch_size in 1_usize..9, threads in 2_usize..6, on_demand: bool
    ) {
        let (_folder, data) = images(count, on_demand);
        let mut order: Vec<u32> = (0..count as u32).collect();
        Shuffle::new(1, 1).shuffle(&mut order);
        let one = loaded(&data, &order, batch_size, Some(ALL), 1);
        prop_assert_eq!(&one, &loaded(&data, &order, batch_size, Some(ALL), threads));
        // Neither do the batches that the examples come in matter.
        let joined = |batches: &[Batch]| -> Vec<u8> {
            batches.iter().flat_map(|batch| match &batch.inputs {
                BatchInputs::Pixels(pixels) => pixels.clone(),
                BatchInputs::Numbers(_) => Vec::new(),
            }).collect()
        };
        prop_assert_eq!(joined(&one), joined(&loaded(&data, &order, count, Some(ALL), threads)));
    }
}

#[test]
fn an_error_comes_in_its_place_and_ends_the_batches() {
    let (folder, data) = images(40, true);
    fs::write(folder.path().join("17.png"), b"torn").unwrap();
    let mut loader = Loader::new(&data, (0..40).collect(), 5, None, 3);
    for _ in 0..3 {
        assert!(loader.next().unwrap().is_ok());
    }
    assert_eq!(
        loader.next().unwrap().unwrap_err().to_string(),
        "17.png is no JPEG or PNG image, whatever its name says"
    );
    assert!(loader.next().is_none());
}

#[test]
fn a_dropped_loader_ends_its_threads_and_makes_no_more_than_there_is_room_for() {
    let (folder, data) = images(400, true);
    let mut loader = Loader::new(&data, (0..400).collect(), 1, None, 4);
    assert!(loader.next().is_some());
    drop(loader);
    // Nobody holds the data any more, so the threads are gone.
    assert_eq!(Arc::strong_count(&data), 1);
    drop(folder);
}

#[test]
fn waiting_is_measured() {
    let (_folder, data) = images(100, true);
    let mut loader = Loader::new(&data, (0..100).collect(), 1, None, 1);
    let started = Instant::now();
    // Whoever does nothing with the batches is faster than the thread that makes them.
    assert_eq!(loader.by_ref().count(), 100);
    let waited = loader.waited();
    assert!(waited > Duration::ZERO && waited <= started.elapsed(), "{waited:?}");
}
