//! CIFAR's files and folders of images.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::*;

fn png(pixels: &[u8], height: u32, width: u32, color: ExtendedColorType) -> Vec<u8> {
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(pixels, width, height, color).unwrap();
    file
}

fn grey(shade: u8) -> Vec<u8> {
    png(&[shade; 6], 2, 3, ExtendedColorType::L8)
}

fn color(red: u8, green: u8, blue: u8) -> Vec<u8> {
    png(&[red, green, blue].repeat(6), 2, 3, ExtendedColorType::Rgb8)
}

fn jpeg() -> Vec<u8> {
    let mut file = Vec::new();
    let pixels: Vec<u8> = (0..64 * 64 * 3_u32).map(|place| (place * place % 251) as u8).collect();
    JpegEncoder::new_with_quality(&mut file, 95).write_image(&pixels, 64, 64, ExtendedColorType::Rgb8).unwrap();
    file
}

fn pictures(data: &Dataset) -> &Images {
    let Inputs::Images(images) = &data.inputs else { panic!("images are expected") };
    images
}

fn pixels(data: &Dataset, index: u32) -> Vec<u8> {
    let mut pixels = vec![0; pictures(data).size()];
    pictures(data).read(index, &mut pixels).unwrap();
    pixels
}

fn plain() -> DataConfig {
    config(0.0, 0.5)
}

/// A record with its labels and all red, green and blue alike but for the first pixel.
fn record(labels: &[u8], shades: [u8; 3]) -> Vec<u8> {
    let planes = shades.into_iter().flat_map(|shade| {
        let mut plane = vec![shade; 1024];
        plane[0] = shade + 1;
        plane
    });
    labels.iter().copied().chain(planes).collect()
}

#[test]
fn the_files_of_cifar_are_read_wherever_they_lie() {
    let files = [
        ("cifar-10-batches-bin/data_batch_1.bin", [record(&[1], [10, 20, 30]), record(&[0], [0; 3])].concat()),
        ("cifar-10-batches-bin/data_batch_2.bin", record(&[1], [7; 3])),
        ("cifar-10-batches-bin/test_batch.bin", record(&[0], [9; 3])),
        ("cifar-10-batches-bin/batches.meta.txt", b"cat\ndog\n\n".to_vec()),
        ("cifar-10-batches-bin/readme.html", vec![]),
    ];
    let data = read_as(&files, &plain()).unwrap();
    assert_eq!((&data.classes[..], &data.labels[..]), (&["cat".to_owned(), "dog".to_owned()][..], &[1, 0, 1, 0][..]));
    assert_eq!((data.given["train"].clone(), data.given["test"].clone()), (0..3, 3..4));
    assert_eq!(pixels(&data, 0)[..6], [11, 21, 31, 10, 20, 30]);
    assert_eq!((pictures(&data).height(), pictures(&data).width(), pictures(&data).channels()), (32, 32, 3));
    assert_eq!(data.files[1].name, "cifar-10-batches-bin/data_batch_1.bin");

    let hundred = [
        ("train.bin", [record(&[1, 5], [1; 3]), record(&[0, 3], [2; 3])].concat()),
        ("test.bin", record(&[1, 3], [3; 3])),
    ];
    let fine = read_as(&hundred, &plain()).unwrap();
    assert_eq!((&fine.labels[..], fine.classes.len()), (&[5, 3, 3][..], 6));
    let coarse = read_as(&hundred, &DataConfig { label: Some("coarse".to_owned()), ..plain() }).unwrap();
    assert_eq!((&coarse.labels[..], coarse.classes.len()), (&[1, 0, 1][..], 2));

    // Scaled to twice the size, the corner keeps its pixel.
    let large = read_as(&files, &DataConfig { image_size: Some([64, 64]), ..plain() }).unwrap();
    assert_eq!((pictures(&large).size(), &pixels(&large, 0)[..3]), (64 * 64 * 3, &[11, 21, 31][..]));
}

#[test]
fn bad_files_of_cifar_are_told_in_a_line() {
    let wrong = |files: &[(&str, Vec<u8>)]| read_as(files, &plain()).unwrap_err();
    let two = [record(&[1], [1; 3]), record(&[0], [1; 3])].concat();
    let told = [
        wrong(&[("data_batch_1.bin", two[..6000].to_vec())]),
        wrong(&[("data_batch_1.bin", vec![])]),
        wrong(&[("data_batch_1.bin", [two.clone(), record(&[10], [0; 3])].concat())]),
        wrong(&[("data_batch_1.bin", two.clone()), ("batches.meta.txt", b"\n".to_vec())]),
        wrong(&[("data_batch_1.bin", two.clone()), ("batches.meta.txt", b"cat\n".to_vec())]),
        wrong(&[("data_batch_1.bin", record(&[3], [0; 3]))]),
        wrong(&[("data_batch_1.bin", two.clone()), ("test_batch.bin", record(&[7], [1; 3]))]),
        wrong(&[("test_batch.bin", two.clone())]),
        read_as(&[("data_batch_1.bin", two.clone())], &DataConfig { label: Some("fine".to_owned()), ..plain() })
            .unwrap_err(),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    data_batch_1.bin is truncated: 6000 bytes are not a number of records of 3073
    data_batch_1.bin is truncated: 0 bytes are not a number of records of 3073
    data_batch_1.bin has the label 10 in record 2; the last class is 9
    batches.meta.txt has no names of classes
    data_batch_1.bin has the label 1 in record 0; the last class is 0
    data/x has one class only: there is nothing to tell apart
    test_batch.bin record 0 has the class `7`, of which there is no example to train on
    data/x has no data that is known: expected data_batch_1.bin to data_batch_5.bin and test_batch.bin, or train.bin and test.bin, found test_batch.bin
    data/x has CIFAR-10's files, in which labels have no name
    ");
}

#[test]
fn folders_are_parts_and_classes_and_colors_are_what_the_set_needs() {
    let transparent = png(&[1, 2, 3, 0].repeat(6), 2, 3, ExtendedColorType::Rgba8);
    let deep: Vec<u8> = [0x1234_u16, 0x5678, 0x9abc].into_iter().cycle().take(18).flat_map(u16::to_ne_bytes).collect();
    let files = [
        ("LICENSE", b"MIT".to_vec()),
        ("train/2/a.png", grey(7)),
        ("train/10/nested/b.PNG", color(10, 20, 30)),
        ("train/10/.hidden.png", b"no image".to_vec()),
        ("val/2/c.png", transparent),
        ("test/10/d.png", png(&deep, 2, 3, ExtendedColorType::Rgb16)),
    ];
    let data = read_as(&files, &plain()).unwrap();
    assert_eq!((&data.classes[..], &data.labels[..]), (&["2".to_owned(), "10".to_owned()][..], &[1, 0, 0, 1][..]));
    assert_eq!(
        data.names.as_deref().unwrap(),
        ["train/10/nested/b.PNG", "train/2/a.png", "val/2/c.png", "test/10/d.png"]
    );
    assert_eq!(
        (data.given["train"].clone(), data.given["validation"].clone(), data.given["test"].clone()),
        (0..2, 2..3, 3..4)
    );
    let first = |index| pixels(&data, index)[..3].to_vec();
    assert_eq!([first(0), first(1), first(2), first(3)], [[10, 20, 30], [7, 7, 7], [1, 2, 3], [0x12, 0x56, 0x9a]]);
    assert_eq!((pictures(&data).scale(), data.files.len(), data.files[0].name.as_str()), (255.0, 1, "."));

    let files = [("a/1.png", grey(7)), ("b/1.png", grey(9))];
    let data = read_as(&files, &plain()).unwrap();
    assert_eq!((pictures(&data).channels(), pixels(&data, 1)), (1, vec![9; 6]));
    assert!(data.given.is_empty());
}

#[test]
fn images_of_any_size_are_scaled_to_the_one_that_is_given() {
    let wide = png(&[0, 0, 200, 200], 1, 4, ExtendedColorType::L8);
    let files = [("a/1.png", wide), ("b/1.png", grey(9))];
    assert!(read_as(&files, &plain()).unwrap_err().contains("b/1.png is 2×3, but a/1.png is 1×4 (set a size"));
    let data = read_as(&files, &DataConfig { image_size: Some([1, 2]), ..plain() }).unwrap();
    assert_eq!((pixels(&data, 0), pixels(&data, 1)), (vec![29, 171], vec![9, 9]));
}

#[test]
fn images_that_do_not_fit_in_memory_are_the_same() {
    let files = [("a/1.png", grey(9)), ("b/1.png", color(1, 2, 3)), ("b/2.jpg", jpeg())];
    let folder = folder(&files);
    let source = Source::Path(folder.path().to_path_buf());
    let config = DataConfig { image_size: Some([4, 4]), ..plain() };
    let in_memory = Dataset::read(&source, &config).unwrap();
    let names = in_memory.names.clone().unwrap();
    let on_demand = Images::from_files((4, 4), 3, source, names);
    assert!(!on_demand.are_in_memory() && pictures(&in_memory).are_in_memory());
    for index in 0..3 {
        let mut pixels_on_demand = vec![0; 48];
        on_demand.read(index, &mut pixels_on_demand).unwrap();
        assert_eq!(pixels_on_demand, pixels(&in_memory, index));
    }
}

#[test]
fn bad_folders_are_told_in_a_line() {
    let wrong = |files: &[(&str, Vec<u8>)]| read_as(files, &plain()).unwrap_err();
    let beside = |name: &'static str, content: Vec<u8>| wrong(&[("a/1.png", grey(1)), (name, content)]);
    let (jpeg, png) = (jpeg(), grey(1));
    let mut huge = png.clone();
    huge[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let crc = crc32fast::hash(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    let mut flipped = png.clone();
    flipped[44] ^= 0xff;
    let told = [
        beside("b/1.jpg", jpeg[..jpeg.len() / 2].to_vec()),
        beside("b/1.jpg", jpeg[..100].to_vec()),
        beside("b/1.png", png[..png.len() / 2].to_vec()),
        beside("b/1.png", flipped),
        beside("b/1.png", huge),
        beside("b/1.jpg", b"GIF89a".to_vec()),
        beside("b/1.jpg", vec![]),
        beside("b/1.webp", vec![]),
        beside("2.png", grey(1)),
        beside("a/2.png", grey(1)),
        wrong(&[("train/a/1.png", grey(1)), ("train/b/1.png", grey(1)), ("test/c/1.png", grey(1))]),
        wrong(&[("train/a/1.png", grey(1)), ("train/b/1.png", grey(1)), ("other/c/1.png", grey(1))]),
        wrong(&[("train/1.png", grey(1)), ("train/b/1.png", grey(1))]),
        read_as(&[("a/1.txt", vec![])], &DataConfig { format: DataFormat::Folders, ..plain() }).unwrap_err(),
    ];
    insta::assert_snapshot!(told.join("\n"), @"
    b/1.jpg is truncated: the mark at the end of a JPEG image is missing
    b/1.jpg is truncated: the mark at the end of a JPEG image is missing
    b/1.png is damaged: unexpected end of file
    b/1.png is damaged: Format error decoding Png: Corrupt deflate stream. InvalidUncompressedBlockLength
    b/1.png says it has 60000×60000 pixels; 1 to 134 million are read
    b/1.jpg is no JPEG or PNG image, whatever its name says
    b/1.jpg is empty
    b/1.webp is an image of a kind that is not read; JPEG and PNG are
    2.png is in no class: images belong in a folder that is called like their class
    data/x has one class only: there is nothing to tell apart
    test/c/1.png has the class `c`, of which there is no example to train on
    other/c/1.png is in no part: beside `train` can be `validation` and `test`
    train/1.png is in no class: images belong in a folder that is called like their class
    data/x has no data that is known: expected JPEG or PNG images in a folder for each class, found 1.txt
    ");
}

#[test]
fn an_artifact_is_read_as_its_folder_is() {
    use crate::files::RelPath;
    use crate::store::{Entry, Manifest, Mode, Store};

    let files = [("train/a/1.png", grey(1)), ("train/b/x/1.png", color(1, 2, 3)), ("test/b/1.png", grey(7))];
    let folder = folder(&files);
    let store = Store::open(&folder.path().join(".store")).unwrap();
    let writer = store.writer().unwrap();
    let add = |(name, content): &(&str, Vec<u8>)| {
        let (digest, size) = writer.add(&mut content.as_slice(), name).unwrap();
        Entry { path: Some(RelPath::new((*name).to_owned()).unwrap()), mode: Mode::File, size, digest }
    };
    let mut entries: Vec<Entry> = files.iter().map(add).collect();
    let (digest, size) = writer.add(&mut &b"1.png"[..], "link").unwrap();
    // A link is no image, whatever it is called.
    let link = RelPath::new("train/b/link.png".to_owned()).unwrap();
    entries.push(Entry { path: Some(link), mode: Mode::Symlink, size, digest });
    let id = writer.add_manifest(&Manifest::new(entries).unwrap()).unwrap();
    let _ = writer.finish().unwrap();

    let stored = Dataset::read(&Source::artifact(store, &id).unwrap(), &plain()).unwrap();
    let plain = Dataset::read(&Source::Path(folder.path().to_path_buf()), &plain()).unwrap();
    assert_eq!((&stored.names, &stored.labels, &stored.given), (&plain.names, &plain.labels, &plain.given));
    assert_eq!((&stored.files, stored.len()), (&plain.files, 3));
    (0..3).for_each(|index| assert_eq!(pixels(&stored, index), pixels(&plain, index)));
}
