//! Series as Parquet: one object a run, with the columns `metric`, `step`, `time` and `value`.
//!
//! Rows are grouped by metric, in the order they were logged, so that pandas and DuckDB read a metric's history as it
//! was: `duckdb -c "select * from 'series.parquet' where metric = 'val_loss'"`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::{Point, Series};

/// Rows in a row group.
const GROUP: usize = 1 << 20;
/// Points that a run may have, so that a hostile file cannot fill the memory.
pub(super) const MAX_POINTS: usize = 100_000_000;
/// Bytes that a `series.parquet` may have.
pub(super) const MAX_BYTES: u64 = 2 << 30;

const SCHEMA: &str = "message series {
    required binary metric (STRING);
    required int64 step;
    required int64 time (TIMESTAMP(MICROS, true));
    required double value;
}";

/// The Parquet file of a run's points.
pub(super) fn to_parquet(series: &Series) -> Result<Vec<u8>, ParquetError> {
    let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
    let properties = WriterProperties::builder().set_compression(compression).set_created_by(created_by()).build();
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties))?;
    let mut rows = series.iter().flat_map(|(metric, points)| {
        let name = ByteArray::from(metric.as_str());
        points.iter().map(move |point| (name.clone(), point))
    });
    loop {
        let group: Vec<_> = rows.by_ref().take(GROUP).collect();
        if group.is_empty() {
            break;
        }
        let mut columns = writer.next_row_group()?;
        write_column::<ByteArrayType>(&mut columns, group.iter().map(|(name, _)| name.clone()).collect())?;
        write_column::<Int64Type>(&mut columns, group.iter().map(|(_, point)| point.step).collect())?;
        write_column::<Int64Type>(&mut columns, group.iter().map(|(_, point)| point.time.as_microsecond()).collect())?;
        write_column::<DoubleType>(&mut columns, group.iter().map(|(_, point)| point.value).collect())?;
        columns.close()?;
    }
    writer.into_inner()
}

fn created_by() -> String {
    format!("git-ml version {}", env!("CARGO_PKG_VERSION"))
}

fn write_column<T: DataType>(
    columns: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: Vec<T::T>,
) -> Result<(), ParquetError> {
    let mut column =
        columns.next_column()?.ok_or_else(|| ParquetError::General("the schema has no more columns".to_owned()))?;
    column.typed::<T>().write_batch(&values, None, None)?;
    column.close()
}

thread_local! {
    static PANIC_IS_CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic of this thread is one of the Parquet reader at a damaged file, which becomes an error: a panic hook
/// has nothing to say then.
pub fn panic_is_caught() -> bool {
    PANIC_IS_CAUGHT.get()
}

/// Reads a Parquet file of others, whose crate asserts where a file contradicts itself: that is an error too.
pub fn read_parquet<T>(read: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, ParquetError> {
    let before = PANIC_IS_CAUGHT.replace(true);
    let content = catch_unwind(AssertUnwindSafe(read));
    PANIC_IS_CAUGHT.set(before);
    content.unwrap_or_else(|_| Err(ParquetError::General("the file contradicts itself".to_owned())))
}

/// Reads what [`to_parquet`] wrote; anything else is an error.
pub(super) fn from_parquet(bytes: Vec<u8>) -> Result<Series, ParquetError> {
    // Series come with fetched refs, from anybody.
    read_parquet(|| read(bytes))
}

fn read(bytes: Vec<u8>) -> Result<Series, ParquetError> {
    let fail = |problem: &str| ParquetError::General(problem.to_owned());
    let reader = SerializedFileReader::new(Bytes::from(bytes))?;
    let metadata = reader.metadata().file_metadata();
    let names: Vec<_> = metadata.schema_descr().columns().iter().map(|column| column.name().to_owned()).collect();
    if names != ["metric", "step", "time", "value"] {
        return Err(fail("it does not have the columns metric, step, time and value"));
    }
    if usize::try_from(metadata.num_rows()).ok().is_none_or(|rows| rows > MAX_POINTS) {
        return Err(fail("it has more points than a run may have"));
    }
    let mut series = Series::new();
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index)?;
        let rows = usize::try_from(group.metadata().num_rows()).ok().filter(|rows| *rows <= MAX_POINTS);
        let rows = rows.ok_or_else(|| fail("it has more points than a run may have"))?;
        let ColumnReader::ByteArrayColumnReader(metrics) = group.get_column_reader(0)? else {
            return Err(fail("`metric` is not text"));
        };
        let ColumnReader::Int64ColumnReader(steps) = group.get_column_reader(1)? else {
            return Err(fail("`step` is not a whole number"));
        };
        let ColumnReader::Int64ColumnReader(times) = group.get_column_reader(2)? else {
            return Err(fail("`time` is not a time"));
        };
        let ColumnReader::DoubleColumnReader(values) = group.get_column_reader(3)? else {
            return Err(fail("`value` is not a number"));
        };
        let (metrics, steps) = (read_column(metrics, rows)?, read_column(steps, rows)?);
        let (times, values) = (read_column(times, rows)?, read_column(values, rows)?);
        let mut rows = steps.into_iter().zip(times).zip(values);
        // The points of a metric stand together: its name is looked at once for all of them.
        for metric in metrics.chunk_by(|one, next| one.data() == next.data()) {
            let points = series.entry(metric[0].as_utf8()?.to_owned()).or_default();
            points.reserve(metric.len());
            for ((step, time), value) in rows.by_ref().take(metric.len()) {
                let time = Timestamp::from_microsecond(time).map_err(|_| fail("a time is out of range"))?;
                points.push(Point { step, time, value });
            }
        }
    }
    Ok(series)
}

fn read_column<T: DataType>(mut column: ColumnReaderImpl<T>, rows: usize) -> Result<Vec<T::T>, ParquetError> {
    let mut values = Vec::new();
    while values.len() < rows {
        let wanted = rows - values.len();
        let (_, read, _) = column.read_records(wanted.min(GROUP), None, None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::General("a column ends early".to_owned()));
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_round_trip_with_values_that_are_not_numbers() {
        let start = Timestamp::from_microsecond(1_763_712_000_123_456).unwrap();
        let point = |step, value| Point { step, time: start, value };
        let loss = vec![point(0, 1.5), point(-3, f64::INFINITY), point(2, f64::NEG_INFINITY)];
        let series = Series::from([("loss".to_owned(), loss), ("ä/b".to_owned(), vec![point(i64::MAX, 0.1)])]);
        assert_eq!(from_parquet(to_parquet(&series).unwrap()).unwrap(), series);
        let nan = Series::from([("x".to_owned(), vec![point(0, f64::NAN)])]);
        assert!(from_parquet(to_parquet(&nan).unwrap()).unwrap()["x"][0].value.is_nan());
    }

    proptest::proptest! {
        #[test]
        fn damage_is_never_a_panic(places in proptest::collection::vec((0..10_000_usize, 0..=255_u8), 1..6)) {
            let point = |step| Point { step, time: Timestamp::UNIX_EPOCH, value: step as f64 / 3.0 };
            let series = ["loss", "accuracy"].map(|name| (name.to_owned(), (0..200).map(point).collect()));
            let mut bytes = to_parquet(&Series::from(series)).unwrap();
            let length = bytes.len();
            for (place, byte) in places {
                bytes[place % length] = byte;
            }
            let _ = from_parquet(bytes);
        }
    }

    #[test]
    fn damaged_files_are_errors() {
        let point = Point { step: 1, time: Timestamp::UNIX_EPOCH, value: 2.0 };
        let whole = to_parquet(&Series::from([("x".to_owned(), vec![point; 100])])).unwrap();
        assert!(from_parquet(Vec::new()).is_err());
        for cut in [1, 4, 20, whole.len() / 2] {
            assert!(from_parquet(whole[..whole.len() - cut].to_vec()).is_err(), "{cut}");
        }
    }
}
