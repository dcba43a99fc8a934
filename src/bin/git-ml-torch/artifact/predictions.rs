//! `predictions.parquet`: what the model said about every example of the test.

use std::sync::Arc;

use git_ml::train::evaluation::Prediction;
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use crate::failure::{Failure, Result};

const SCHEMA: &str = "message predictions {
    REQUIRED INT64 index;
    REQUIRED INT32 truth;
    REQUIRED INT32 prediction;
    REQUIRED FLOAT probability;
}";

/// The file's bytes.
pub(super) fn to_parquet(predictions: &[Prediction]) -> Result<Vec<u8>> {
    encode(predictions).map_err(|error| Failure::new(format!("cannot write predictions.parquet: {error}")))
}

fn encode(predictions: &[Prediction]) -> std::result::Result<Vec<u8>, ParquetError> {
    let schema = Arc::new(parse_message_type(SCHEMA)?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()))?;
    let mut rows = writer.next_row_group()?;
    let labels =
        |label: fn(&Prediction) -> u32| predictions.iter().map(move |row| label(row) as i32).collect::<Vec<_>>();
    let indexes: Vec<_> = predictions.iter().map(|row| i64::from(row.index)).collect();
    let probabilities: Vec<_> = predictions.iter().map(|row| row.probability).collect();
    column::<Int64Type>(&mut rows, &indexes)?;
    column::<Int32Type>(&mut rows, &labels(|row| row.truth))?;
    column::<Int32Type>(&mut rows, &labels(|row| row.prediction))?;
    column::<FloatType>(&mut rows, &probabilities)?;
    rows.close()?;
    writer.into_inner()
}

fn column<T: parquet::data_type::DataType>(
    rows: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
) -> std::result::Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = rows.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}
