//! Records as W&B's clients of several versions write them.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;

fn message(number: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::bytes::encode(number, &content.to_vec(), &mut bytes);
    bytes
}

fn item(key: &str, value_json: &str) -> Item {
    Item { key: key.to_owned(), value_json: value_json.to_owned(), ..Item::default() }
}

fn items_of(number: u32, items: &[Item]) -> Vec<u8> {
    items.iter().flat_map(|item| message(number, &item.encode_to_vec())).collect()
}

fn read(records: &[Vec<u8>]) -> Vec<Entry> {
    let (mut file, mut found) = (RunFile::new(), Vec::new());
    file.feed(&frame(records), &mut |entry| found.push(entry));
    assert_eq!(file.losses(), Losses::default());
    found
}

#[test]
fn history_of_older_clients_is_json_and_of_newer_ones_typed() {
    let nested = |path: [&str; 2], item: Item| Item { nested_key: path.map(str::to_owned).to_vec(), ..item };
    let old = [
        item("_step", "3"),
        item("_timestamp", "1000.5"),
        item("_runtime", "7"),
        item("loss", "0.1"),
        item("deep", "{\"a\": {\"b\": 2}, \"text\": \"x\"}"),
        item("bad", "NaN"),
        item("word", "\"12\""),
        item("picture", "{\"_type\": \"image-file\", \"width\": 28}"),
        nested(["chart", "_type"], item("", "\"table-file\"")),
        nested(["chart", "rows"], item("", "5")),
    ];
    let new = [
        Item { integer: Some(-4), ..item("loss", "") },
        Item { number: Some(0.25), ..item("rate", "") },
        Item { truth: Some(true), ..item("flag", "") },
        Item { text: Some("8".to_owned()), ..item("word", "") },
        nested(["deep", "x"], Item { json: Some("-Infinity".to_owned()), ..item("", "") }),
    ];
    let mut new = items_of(1, &new);
    new.extend(message(2, &[0x08, 9]));
    let found = read(&[message(2, &items_of(1, &old)), message(2, &new)]);
    let Entry::History { step, time, values } = &found[0] else { panic!("{found:?}") };
    assert_eq!((*step, *time), (Some(3), Some(moment(1000.5))));
    assert_eq!(values[..2], [("loss".to_owned(), 0.1), ("deep.a.b".to_owned(), 2.0)]);
    assert!(values[2].0 == "bad" && values[2].1.is_nan() && values.len() == 3, "{values:?}");
    let values = [("loss", -4.0), ("rate", 0.25), ("flag", 1.0), ("deep.x", f64::NEG_INFINITY)];
    let values = values.map(|(name, value)| (name.to_owned(), value)).to_vec();
    assert_eq!(found[1], Entry::History { step: Some(9), time: None, values });
}

#[test]
fn a_run_its_configuration_and_its_end() {
    let run = RunRecord {
        id: "abc".to_owned(),
        project: "demo".to_owned(),
        name: "my run".to_owned(),
        tags: vec!["x".to_owned()],
        started: Some(Time { seconds: 1000, nanoseconds: 500_000_000 }),
        config: items_of(1, &[item("lr", "0.1"), item("model", "{\"a\": 1, \"b\": [1, 2]}"), item("_wandb", "{}")]),
        git: Some(Git { remote: "r".to_owned(), commit: "c".to_owned() }),
        ..RunRecord::default()
    };
    let change =
        [items_of(1, &[item("model", "{\"c\": null}"), item("name", "\"x\"")]), items_of(2, &[item("lr", "")])];
    let found = read(&[
        message(17, &run.encode_to_vec()),
        message(5, &change.concat()),
        message(13, &OutputRecord { stream: 1, line: "hello\n".to_owned() }.encode_to_vec()),
        message(6, &message(1, &message(1, b"model.pt"))),
        message(18, &ExitRecord { code: 3 }.encode_to_vec()),
    ]);
    let Entry::Run(run) = &found[0] else { panic!("{found:?}") };
    assert_eq!((run.id.as_str(), run.name.as_str(), run.started), ("abc", "my run", Some(moment(1000.5))));
    assert_eq!(run.config.set[1], (vec!["model".to_owned()], json!({"a": 1, "b": [1, 2]})));
    let mut params = BTreeMap::new();
    apply(run.config.clone(), &mut params);
    let words = |params: &BTreeMap<String, String>| {
        params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(words(&params), "lr=0.1 model.a=1 model.b=[1,2]");
    let Entry::Config(changes) = &found[1] else { panic!("{found:?}") };
    apply(changes.clone(), &mut params);
    assert_eq!(words(&params), "model.c=null name=x");
    assert_eq!(found[2], Entry::Output { is_stderr: false, text: "hello\n".to_owned() });
    assert_eq!(found[3], Entry::Files(vec!["model.pt".to_owned()]));
    assert_eq!(found[4], Entry::Exit { code: 3 });
}

#[test]
fn a_record_that_is_none_costs_itself() {
    let mut file = RunFile::new();
    let mut found = Vec::new();
    let good = message(18, &ExitRecord { code: 0 }.encode_to_vec());
    file.feed(&frame(&[vec![0xff; 5], good]), &mut |entry| found.push(entry));
    assert_eq!((found, file.losses().damaged), (vec![Entry::Exit { code: 0 }], 1));
}
