//! Event files as TensorFlow 1, TensorFlow 2 and PyTorch write them, and as nobody does.

use proptest::prelude::*;

use super::super::tfrecord::framed;
use super::*;

fn value(tag: &str, plugin: Option<&str>, simple: Option<f32>, tensor: Option<Tensor>) -> SummaryValue {
    let metadata = plugin.map(|name| Metadata {
        plugin_data: Some(PluginData { name: name.to_owned(), content: Vec::new() }),
        data_class: 0,
    });
    SummaryValue { tag: tag.to_owned(), simple_value: simple, tensor, metadata }
}

fn event(step: i64, values: &[SummaryValue]) -> Vec<u8> {
    let mut summary = Vec::new();
    for value in values {
        prost::encoding::message::encode(1, value, &mut summary);
    }
    framed(&Event { wall_time: 1000.5, step, summary: Some(summary) }.encode_to_vec())
}

fn scalar_tensor(dtype: i32, content: &[u8]) -> Tensor {
    Tensor { dtype, content: content.to_vec(), shape: Some(Shape::default()), ..Tensor::default() }
}

fn read(bytes: &[u8]) -> (Vec<Logged>, EventFile) {
    let (mut file, mut found) = (EventFile::new(), Vec::new());
    file.feed(bytes, &mut |logged| found.push(logged));
    (found, file)
}

fn scalar(tag: &str, step: i64, value: f64) -> Logged {
    Logged::Scalar(Scalar { tag: tag.to_owned(), step, time: moment(1000.5), value })
}

#[test]
fn floats_are_widened_and_not_rounded() {
    let bytes = event(-3, &[value("a/b", None, Some(0.1), None), value("zero", Some("scalars"), Some(0.0), None)]);
    assert_eq!(read(&bytes).0, [scalar("a/b", -3, 0.100_000_001_490_116_12), scalar("zero", -3, 0.0)]);
}

#[test]
fn tensors_are_scalars_if_the_first_value_of_their_tag_says_so() {
    let tensor = || Some(scalar_tensor(1, &0.5f32.to_le_bytes()));
    let bytes = [
        event(0, &[value("loss", Some("scalars"), None, tensor()), value("text", Some("text"), None, tensor())]),
        event(1, &[value("loss", None, None, tensor()), value("text", None, None, tensor())]),
        event(2, &[value("unknown", None, None, tensor()), value("pictures", Some("images"), None, None)]),
    ];
    let (found, file) = read(&bytes.concat());
    assert_eq!(found, [scalar("loss", 0, 0.5), scalar("loss", 1, 0.5)]);
    let left_out: Vec<_> = file.left_out().iter().map(|(plugin, count)| (plugin.as_str(), *count)).collect();
    assert_eq!(left_out, [("images", 1), ("other values", 2), ("text", 1)]);
}

#[test]
fn tensors_of_all_types_are_read_in_both_forms() {
    let contents: [(i32, Vec<u8>, f64); 13] = [
        (1, (-1.5f32).to_le_bytes().to_vec(), -1.5),
        (2, 0.1f64.to_le_bytes().to_vec(), 0.1),
        (3, (-7i32).to_le_bytes().to_vec(), -7.0),
        (4, vec![200], 200.0),
        (5, (-300i16).to_le_bytes().to_vec(), -300.0),
        (6, vec![0xff], -1.0),
        (9, (1i64 << 40).to_le_bytes().to_vec(), (1i64 << 40) as f64),
        (10, vec![1], 1.0),
        (14, 0x3fc0u16.to_le_bytes().to_vec(), 1.5),
        (17, 65535u16.to_le_bytes().to_vec(), 65535.0),
        (19, 0x3e00u16.to_le_bytes().to_vec(), 1.5),
        (22, u32::MAX.to_le_bytes().to_vec(), f64::from(u32::MAX)),
        (23, u64::MAX.to_le_bytes().to_vec(), u64::MAX as f64),
    ];
    for (dtype, content, expected) in contents {
        assert_eq!(scalar_tensor(dtype, &content).number(), Some(expected), "{dtype}");
        assert_eq!(scalar_tensor(dtype, &[content, vec![0]].concat()).number(), None, "{dtype}");
    }
    let empty = Tensor::default;
    let lists = [
        (Tensor { dtype: 1, floats: vec![2.5], ..empty() }, Some(2.5)),
        (Tensor { dtype: 2, doubles: vec![2.5], ..empty() }, Some(2.5)),
        (Tensor { dtype: 4, ints: vec![7], ..empty() }, Some(7.0)),
        (Tensor { dtype: 9, longs: vec![-7], ..empty() }, Some(-7.0)),
        (Tensor { dtype: 10, truths: vec![true], ..empty() }, Some(1.0)),
        (Tensor { dtype: 14, halves: vec![0xff80], ..empty() }, Some(f64::NEG_INFINITY)),
        (Tensor { dtype: 19, halves: vec![1], ..empty() }, Some(2f64.powi(-24))),
        (Tensor { dtype: 19, halves: vec![-1], ..empty() }, None),
        (Tensor { dtype: 22, unsigned_ints: vec![7], ..empty() }, Some(7.0)),
        (Tensor { dtype: 23, unsigned_longs: vec![7], ..empty() }, Some(7.0)),
        (Tensor { dtype: 1, ..empty() }, Some(0.0)),
        (Tensor { dtype: 7, ..empty() }, None),
    ];
    for (tensor, expected) in lists {
        assert_eq!(tensor.number(), expected, "{tensor:?}");
    }
    let vector = Shape { dimensions: vec![Dimension { size: 3 }], is_unknown: false };
    assert_eq!(Tensor { dtype: 1, floats: vec![1.0; 3], shape: Some(vector), ..empty() }.number(), None);
}

#[test]
fn half_precision_has_its_bounds() {
    assert_eq!([float16(0x7bff), float16(0x0400), float16(0x8000)], [65504.0, 2f64.powi(-14), 0.0]);
    assert_eq!([float16(0x7c00), float16(0xfc00)], [f64::INFINITY, f64::NEG_INFINITY]);
    assert!(float16(0x7e00).is_nan() && bfloat16(0x7fc0).is_nan());
}

#[test]
fn hyperparameters_are_read() {
    let number = ParamValue { number: Some(0.5), ..ParamValue::default() };
    let truth = ParamValue { truth: Some(true), ..ParamValue::default() };
    let text = ParamValue { text: Some("adam".to_owned()), ..ParamValue::default() };
    let entries = [("lr", number), ("flag", truth), ("opt", text), ("none", ParamValue::default())];
    let params = entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let start = HparamsData { start: Some(SessionStart { params, started: 10.0 }), end: None };
    let end = HparamsData { start: None, end: Some(SessionEnd { status: 1, ended: 20.0 }) };
    let values = [start, end].map(|data| {
        let mut value = value("_hparams_/x", Some("hparams"), None, None);
        value.metadata.as_mut().unwrap().plugin_data.as_mut().unwrap().content = data.encode_to_vec();
        value
    });
    let (found, _) = read(&event(0, &values));
    let expected = [("flag", "True"), ("lr", "0.5"), ("opt", "adam")];
    let params = expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let ended = Logged::End { success: Some(true), ended: Some(moment(20.0)) };
    assert_eq!(found, [Logged::Params { params, started: Some(moment(10.0)) }, ended]);
}

#[test]
fn a_record_that_is_no_event_costs_itself() {
    let bytes = [framed(b"\xff\xff"), event(1, &[value("a", None, Some(1.0), None)])].concat();
    let (found, file) = read(&bytes);
    assert_eq!((found.len(), file.losses().damaged), (1, 1));
    // A million empty values in few bytes are walked, not held.
    let summary = [0x0a, 0].repeat(1 << 20);
    let (found, file) = read(&framed(&Event { wall_time: 0.0, step: 0, summary: Some(summary) }.encode_to_vec()));
    assert_eq!((found.len(), file.left_out()["other values"]), (0, 1 << 20));
}

proptest! {
    #[test]
    fn any_record_is_read_to_its_end(record in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_, file) = read(&framed(&record));
        prop_assert!(!file.losses().lost);
    }

    #[test]
    fn what_was_written_is_read(values in prop::collection::vec(("[a-z]{1,4}", any::<i64>(), any::<f32>()), 0..20)) {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|(tag, step, number)| event(*step, &[value(tag, None, Some(*number), None)]))
            .collect();
        let (found, _) = read(&bytes);
        let expected: Vec<_> = values.iter().map(|(tag, step, number)| scalar(tag, *step, f64::from(*number))).collect();
        prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }
}
