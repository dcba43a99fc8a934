//! `predictions.parquet`: what the model said about every example of a part.

use std::sync::Arc;

use git_ml::train::data::Dataset;
use git_ml::train::evaluation::{Prediction, Predictions};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::failure::{Failure, Result};

/// Above so many classes the probability of each has no column: the file would be mostly zeros.
const MAX_CLASSES: usize = 100;

/// The file's bytes.
pub(super) fn to_parquet(data: &Dataset, predictions: &Predictions) -> Result<Vec<u8>> {
    encode(data, predictions).map_err(|error| Failure::new(format!("cannot write predictions.parquet: {error}")))
}

fn encode(data: &Dataset, predictions: &Predictions) -> std::result::Result<Vec<u8>, ParquetError> {
    let classes = &data.classes[..if predictions.classes() > MAX_CLASSES { 0 } else { predictions.classes() }];
    let fixed = [
        ("id", Physical::BYTE_ARRAY),
        ("index", Physical::INT64),
        ("truth", Physical::BYTE_ARRAY),
        ("truth_label", Physical::INT32),
        ("prediction", Physical::BYTE_ARRAY),
        ("prediction_label", Physical::INT32),
        ("probability", Physical::FLOAT),
        ("loss", Physical::FLOAT),
    ];
    let fixed = fixed.map(|(name, physical)| field(name, physical));
    let probabilities = classes.iter().map(|class| field(&format!("p_{class}"), Physical::FLOAT));
    let fields = fixed.into_iter().chain(probabilities).collect::<std::result::Result<Vec<_>, _>>()?;
    let schema = Arc::new(Type::group_type_builder("predictions").with_fields(fields).build()?);
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build()))?;
    let mut rows = writer.next_row_group()?;

    let all = predictions.rows();
    let ids: Vec<_> = all.iter().map(|row| ByteArray::from(data.name_of(row.index).into_bytes())).collect();
    let names: Vec<_> = data.classes.iter().map(|class| ByteArray::from(class.as_bytes().to_vec())).collect();
    let name = |label: fn(&Prediction) -> u32| -> Vec<_> {
        all.iter().map(|row| names[label(row) as usize].clone()).collect()
    };
    let label = |label: fn(&Prediction) -> u32| -> Vec<_> { all.iter().map(|row| label(row) as i32).collect() };
    column::<ByteArrayType>(&mut rows, &ids)?;
    column::<Int64Type>(&mut rows, &all.iter().map(|row| i64::from(row.index)).collect::<Vec<_>>())?;
    column::<ByteArrayType>(&mut rows, &name(|row| row.truth))?;
    column::<Int32Type>(&mut rows, &label(|row| row.truth))?;
    column::<ByteArrayType>(&mut rows, &name(|row| row.prediction))?;
    column::<Int32Type>(&mut rows, &label(|row| row.prediction))?;
    column::<FloatType>(&mut rows, &all.iter().map(|row| row.probability).collect::<Vec<_>>())?;
    column::<FloatType>(&mut rows, &all.iter().map(|row| row.loss as f32).collect::<Vec<_>>())?;
    for class in 0..classes.len() {
        let values: Vec<_> = (0..all.len()).map(|position| predictions.probabilities(position)[class]).collect();
        column::<FloatType>(&mut rows, &values)?;
    }
    rows.close()?;
    writer.into_inner()
}

fn field(name: &str, physical: Physical) -> std::result::Result<TypePtr, ParquetError> {
    let text = (physical == Physical::BYTE_ARRAY).then_some(LogicalType::String);
    let builder = Type::primitive_type_builder(name, physical).with_repetition(Repetition::REQUIRED);
    Ok(Arc::new(builder.with_logical_type(text).build()?))
}

fn column<T: DataType>(
    rows: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
) -> std::result::Result<(), ParquetError> {
    let missing = || ParquetError::General("the schema has fewer columns".to_owned());
    let mut column = rows.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, None, None)?;
    column.close()
}
