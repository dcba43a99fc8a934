//! Tables as others read them.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;

use super::table::Table;
use super::write::TableWriter;
use super::{TableFormat, write_runs};
use crate::run::{MetricSummary, Point, Run, RunStatus};

fn run(id: u8, params: &[(&str, &str)], metrics: &[(&str, f64)]) -> Run {
    let text = format!(
        "id = \"{}\"\nname = \"run {id}\"\nstatus = \"finished\"\ndirty = false\n",
        format!("{id:02x}").repeat(16)
    ) + "started = \"2026-11-21T08:00:00.5Z\"\nuser = \"ada\"\nhost = \"here\"\ncommand = [\"a\", \"b\"]\n";
    let mut run: Run = toml::from_str(&text).unwrap();
    run.params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let summary = |value| MetricSummary::of("m", &[Point { step: 0, time: Timestamp::UNIX_EPOCH, value }]).unwrap();
    run.metrics = metrics.iter().map(|(name, value)| ((*name).to_owned(), summary(*value))).collect();
    run.tags = BTreeMap::from([("a b".to_owned(), "with, comma\nand \"line\"".to_owned())]);
    run
}

fn runs() -> [Run; 2] {
    [run(1, &[("lr", "0.1")], &[("loss", f64::NAN), ("a/b", 0.1)]), run(2, &[], &[("loss", f64::INFINITY)])]
}

#[test]
fn csv_has_a_column_for_each_name_and_quotes_what_needs_it() {
    let mut output = Vec::new();
    write_runs(&runs(), TableFormat::Csv, &mut output).unwrap();
    let mut reader = csv::Reader::from_reader(&output[..]);
    let rows: Vec<BTreeMap<String, String>> = reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows.len(), 2);
    let cells = |name: &str| [rows[0][name].as_str(), rows[1][name].as_str()];
    assert_eq!(cells("name"), ["run 1", "run 2"]);
    assert_eq!(cells("params.lr"), ["0.1", ""]);
    assert_eq!(cells("metrics.loss"), ["NaN", "Infinity"]);
    assert_eq!(cells("metrics.a/b"), ["0.1", ""]);
    assert_eq!(cells("started"), ["2026-11-21T08:00:00.5Z"; 2]);
    assert_eq!(cells("tags.a b")[0], "with, comma\nand \"line\"");
    assert_eq!(cells("ended"), ["", ""]);
}

#[test]
fn parquet_keeps_kinds_and_what_is_not_there() {
    let mut output = Vec::new();
    write_runs(&runs(), TableFormat::Parquet, &mut output).unwrap();
    let reader = SerializedFileReader::new(Bytes::from(output)).unwrap();
    let schema = reader.metadata().file_metadata().schema_descr();
    let index = |name: &str| schema.columns().iter().position(|column| column.name() == name).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(rows[0].get_string(index("params.lr")).unwrap(), "0.1");
    assert!(rows[1].get_string(index("params.lr")).is_err());
    assert!(rows[0].get_double(index("metrics.loss")).unwrap().is_nan());
    assert_eq!(rows[1].get_double(index("metrics.loss")).unwrap(), f64::INFINITY);
    assert!(rows[1].get_double(index("metrics.a/b")).is_err());
    assert_eq!(rows[0].get_timestamp_micros(index("started")).unwrap(), 1_795_248_000_500_000);
    assert!(!rows[0].get_bool(index("dirty")).unwrap());
    assert_eq!(runs()[0].status, RunStatus::Finished);
}

#[test]
fn a_table_is_written_in_parts_and_without_rows_too() {
    for format in [TableFormat::Csv, TableFormat::Parquet] {
        let mut output = Vec::new();
        let mut writer = TableWriter::new(format, &Table::of_points(), &mut output).unwrap();
        for step in 0..3 {
            let mut table = Table::of_points();
            table.add_points(&runs()[0], "loss", &[Point { step, time: Timestamp::UNIX_EPOCH, value: 0.1 }]);
            writer.rows(&table).unwrap();
        }
        writer.rows(&Table::of_points()).unwrap();
        writer.finish().unwrap();
        if format == TableFormat::Csv {
            let text = String::from_utf8(output).unwrap();
            assert_eq!(text.lines().count(), 4);
            assert!(
                text.starts_with("run,name,metric,step,time,value\n")
                    && text.ends_with(",loss,2,1970-01-01T00:00:00Z,0.1\n")
            );
        } else {
            let reader = SerializedFileReader::new(Bytes::from(output)).unwrap();
            let rows: Vec<_> = reader.get_row_iter(None).unwrap().collect::<Result<_, _>>().unwrap();
            assert_eq!(rows.iter().map(|row| row.get_long(3).unwrap()).collect::<Vec<_>>(), [0, 1, 2]);
        }
    }
}
