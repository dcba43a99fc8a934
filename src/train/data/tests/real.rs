//! The real data sets in the folder that `GIT_ML_TEST_DATA` names.

use super::*;

/// The data set called `name`; none where there is no such folder, which the test then says.
fn real(name: &str, config: &DataConfig) -> Option<Dataset> {
    let Some(folder) = std::env::var_os("GIT_ML_TEST_DATA") else {
        eprintln!("left out: GIT_ML_TEST_DATA does not name a folder with {name}");
        return None;
    };
    Some(Dataset::read(&Source::Path(Path::new(&folder).join(name)), config).unwrap())
}

fn counts(data: &Dataset, part: &str) -> Vec<usize> {
    let labels = &data.labels[data.given[part].start as usize..data.given[part].end as usize];
    (0..data.classes.len() as u32).map(|class| labels.iter().filter(|label| **label == class).count()).collect()
}

/// The sums of red, green and blue of an image.
fn sums(data: &Dataset, index: usize) -> [i64; 3] {
    let Inputs::Images(images) = &data.inputs else { panic!("images are expected") };
    let mut pixels = vec![0; images.size()];
    images.read(index as u32, &mut pixels).unwrap();
    [0, 1, 2].map(|channel| pixels.iter().skip(channel).step_by(3).map(|pixel| i64::from(*pixel)).sum())
}

#[test]
fn real_mnist_has_its_counts() {
    let Some(data) = real("mnist", &config(0.1, 0.2)) else { return };
    assert_eq!(counts(&data, "train"), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
    assert_eq!(counts(&data, "test"), [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
}

#[test]
fn real_cifar_has_its_classes_and_counts() {
    let Some(data) = real("cifar10", &config(0.1, 0.2)) else { return };
    assert_eq!((data.given["train"].clone(), data.given["test"].clone()), (0..10_000, 10_000..12_000));
    assert_eq!((data.classes[0].as_str(), data.classes[9].as_str()), ("airplane", "truck"));
}

#[test]
fn real_sentences_have_their_counts() {
    let Some(data) = real("sentiment", &config(0.1, 0.2)) else { return };
    assert_eq!((counts(&data, "train"), counts(&data, "test")), (vec![4798, 4798], vec![533, 533]));
    assert!(matches!(&data.inputs, Inputs::Texts(texts) if texts.len() == 10_662));
}

#[test]
fn real_photographs_have_the_pixels_that_pillow_reads() {
    let Some(data) = real("grocery", &config(0.1, 0.2)) else { return };
    assert_eq!((counts(&data, "train"), counts(&data, "test")), (vec![45; 10], vec![15; 10]));
    // Decoders of JPEG may differ by a level or two in a pixel, and by less than half of one in the mean.
    let near = |data: &Dataset, name: &str, expected: [i64; 3], pixels: i64| {
        let index = data.names.as_ref().unwrap().iter().position(|other| other == name).unwrap();
        for (own, expected) in sums(data, index).into_iter().zip(expected) {
            assert!((own - expected).abs() * 2 < pixels, "{name}: {own} and {expected}");
        }
    };
    near(&data, "train/apple/golden-delicious_001.jpg", [1_266_725, 966_936, 572_234], 96 * 96);
    near(&data, "test/tomato/beef-tomato_001.jpg", [1_428_673, 564_244, 307_625], 96 * 96);
    let Some(data) = real("grocery", &DataConfig { image_size: Some([40, 64]), ..config(0.1, 0.2) }) else { return };
    near(&data, "train/apple/golden-delicious_001.jpg", [351_797, 268_549, 158_933], 40 * 64);
    near(&data, "test/tomato/beef-tomato_001.jpg", [396_837, 156_725, 85_432], 40 * 64);
}
