//! Safetensors files.

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::*;

fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
    let views = tensors
        .iter()
        .map(|(name, dtype, shape, data)| (*name, TensorView::new(*dtype, shape.to_vec(), data).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn longs(numbers: &[i64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn floats(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn image(data: &Dataset, index: u32) -> Vec<u8> {
    let Inputs::Images(images) = &data.inputs else { panic!("images are expected") };
    let mut pixels = vec![0; images.size()];
    images.read(index, &mut pixels).unwrap();
    pixels
}

fn plain() -> DataConfig {
    config(0.0, 0.5)
}

#[test]
fn images_are_read_in_every_layout() {
    let pixels: Vec<u8> = (0..24).collect();
    let labels = longs(&[7, -1]);
    let of = |shape: &[usize]| {
        read_as(
            &[("d.safetensors", file(&[("images", Dtype::U8, shape, &pixels), ("labels", Dtype::I64, &[2], &labels)]))],
            &plain(),
        )
        .unwrap()
    };
    let planar = of(&[2, 3, 2, 2]);
    assert_eq!(image(&planar, 0), [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]);
    assert_eq!((&planar.classes[..], &planar.labels[..]), (&["-1".to_owned(), "7".to_owned()][..], &[1, 0][..]));
    assert_eq!(image(&of(&[2, 2, 2, 3]), 1), pixels[12..]);
    assert_eq!(image(&of(&[2, 4, 3]), 1), pixels[12..]);
    assert_eq!(image(&of(&[2, 1, 4, 3]), 1), pixels[12..]);
}

#[test]
fn numbers_of_every_type_and_parts_are_read() {
    let part = |numbers: &[f32], label: u8| {
        let bytes = floats(numbers);
        file(&[("spectra", Dtype::F32, &[2, 2], &bytes), ("kind", Dtype::U8, &[2, 1], &[label, 1])])
    };
    let config = DataConfig { input: Some("spectra".to_owned()), label: Some("kind".to_owned()), ..plain() };
    let files =
        [("train.safetensors", part(&[1.0, 2.0, 3.0, 4.0], 0)), ("test.safetensors", part(&[5.0, 6.0, 7.0, 8.5], 0))];
    let data = read_as(&files, &config).unwrap();
    assert!(matches!(&data.inputs, Inputs::Numbers { columns: 2, values } if values[4..] == [5.0, 6.0, 7.0, 8.5]));
    assert_eq!(data.given["test"], 2..4);

    let as_type = |dtype, data: &[u8]| {
        let file = file(&[("x", dtype, &[2, 1], data), ("y", Dtype::BOOL, &[2], &[0, 1])]);
        let data = read_as(&[("d.safetensors", file)], &plain()).unwrap();
        let Inputs::Numbers { values, .. } = data.inputs else { panic!("numbers are expected") };
        values
    };
    assert_eq!(as_type(Dtype::I8, &[0xff, 3]), [-1.0, 3.0]);
    assert_eq!(as_type(Dtype::I64, &longs(&[-5, 6])), [-5.0, 6.0]);
    assert_eq!(as_type(Dtype::F64, &[0.25_f64, -2.0].map(f64::to_le_bytes).concat()), [0.25, -2.0]);
    assert_eq!(as_type(Dtype::BF16, &[0x80, 0x3f, 0x00, 0xc0]), [1.0, -2.0]);
}

#[test]
fn bad_arrays_are_told_in_a_line() {
    let (one, labels) = (floats(&[1.0, f32::NAN]), longs(&[0, 1]));
    let wrong = |tensors: &[(&str, Dtype, &[usize], &[u8])]| {
        read_as(&[("d.safetensors", file(tensors))], &plain()).unwrap_err()
    };
    let y: (&str, Dtype, &[usize], &[u8]) = ("y", Dtype::I64, &[2], &labels);
    let whole = file(&[("x", Dtype::U8, &[2, 1], &[1, 2]), y]);
    let other = file(&[("x", Dtype::U8, &[2, 2], &[1, 2, 3, 4]), y]);
    let unseen = file(&[("x", Dtype::U8, &[1, 1], &[1]), ("y", Dtype::U8, &[1], &[5])]);
    let told = [
        wrong(&[("x", Dtype::F32, &[2, 1], &one), y]),
        wrong(&[("x", Dtype::U8, &[2, 1], &[1, 2])]),
        wrong(&[("z", Dtype::U8, &[2, 1], &[1, 2]), y]),
        wrong(&[("x", Dtype::U8, &[3, 1], &[1, 2, 3]), y]),
        wrong(&[("x", Dtype::F16, &[2, 1], &[0; 4]), y]),
        wrong(&[("x", Dtype::F32, &[2, 1, 1], &one), y]),
        wrong(&[("x", Dtype::U8, &[2, 0, 1], &[]), y]),
        wrong(&[("x", Dtype::U8, &[2, 2, 1, 2], &[0; 8]), y]),
        wrong(&[("x", Dtype::U8, &[2, 1], &[1, 2]), ("y", Dtype::F32, &[2], &one)]),
        wrong(&[("x", Dtype::U8, &[0, 1], &[]), ("y", Dtype::U8, &[0], &[])]),
        read_as(&[("d.safetensors", whole[..whole.len() - 1].to_vec())], &plain()).unwrap_err(),
        read_as(&[("train.safetensors", whole.clone()), ("test.safetensors", other)], &plain()).unwrap_err(),
        read_as(&[("train.safetensors", whole.clone()), ("test.safetensors", unseen)], &plain()).unwrap_err(),
    ];
    insta::assert_snapshot!(told.join("\n"), @r#"
    d.safetensors has no finite number in row 1, column 0 of `x`
    d.safetensors has no array `labels`; it has `x` (name the array in the recipe: `label = "…"`)
    d.safetensors has no array `images`; it has `y`, `z` (name the array in the recipe: `input = "…"`)
    d.safetensors has 2 labels in `y` for `x` of [3, 1]
    d.safetensors has `x` of the type F16, which is not read
    d.safetensors has images `x` of the type F32; bytes (U8) are read
    d.safetensors has images of 0×1 in `x`
    d.safetensors has `x` of [2, 2, 1, 2]; images are [N, H, W], [N, H, W, C] or [N, C, H, W] with 1 or 3 channels, numbers [N, F]
    d.safetensors has labels `y` of the type F32; whole numbers are read
    data/x has no examples
    d.safetensors is truncated or no safetensors file: incomplete metadata, file not fully covered
    test.safetensors has other inputs than the first file: 2 numbers, not 1 number
    test.safetensors row 0 has the class `5`, of which there is no example to train on
    "#);
}
