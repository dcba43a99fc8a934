//! Writing tables as CSV and as Parquet.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::ExportError;
use super::table::{Column, Table};

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Comma-separated values, as RFC 4180 has them, with the names first.
    Csv,
    /// Parquet, compressed with zstd.
    Parquet,
}

impl TableFormat {
    /// The ending of its files.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Writes a table in parts.
pub(super) enum TableWriter<W: Write + Send> {
    Csv(Box<csv::Writer<W>>),
    Parquet(Box<SerializedFileWriter<W>>),
}

impl<W: Write + Send> TableWriter<W> {
    /// Begins a table with the columns of `table`.
    pub(super) fn new(format: TableFormat, table: &Table, output: W) -> Result<Self, ExportError> {
        match format {
            TableFormat::Csv => {
                let mut writer = csv::Writer::from_writer(output);
                writer.write_record(table.columns.iter().map(|(name, _)| name)).map_err(of_csv)?;
                Ok(Self::Csv(Box::new(writer)))
            }
            TableFormat::Parquet => {
                let create = || -> Result<_, ParquetError> {
                    let compression = Compression::ZSTD(ZstdLevel::try_new(3)?);
                    let by = concat!("git-ml version ", env!("CARGO_PKG_VERSION")).to_owned();
                    let properties = WriterProperties::builder().set_compression(compression).set_created_by(by);
                    SerializedFileWriter::new(output, schema_of(table)?, Arc::new(properties.build()))
                };
                Ok(Self::Parquet(Box::new(create().map_err(of_parquet)?)))
            }
        }
    }

    /// Writes rows.
    pub(super) fn rows(&mut self, table: &Table) -> Result<(), ExportError> {
        match self {
            Self::Csv(writer) => {
                for row in 0..table.len() {
                    let cells = table.columns.iter().map(|(_, column)| cell(column, row));
                    writer.write_record(cells).map_err(of_csv)?;
                }
                Ok(())
            }
            Self::Parquet(_) if table.len() == 0 => Ok(()),
            Self::Parquet(writer) => {
                let mut write = || -> Result<(), ParquetError> {
                    let mut columns = writer.next_row_group()?;
                    table.columns.iter().try_for_each(|(_, column)| write_column(&mut columns, column))?;
                    columns.close().map(drop)
                };
                write().map_err(of_parquet)
            }
        }
    }

    /// Ends the table.
    pub(super) fn finish(self) -> Result<(), ExportError> {
        match self {
            Self::Csv(mut writer) => writer.flush().map_err(ExportError::Output),
            Self::Parquet(writer) => writer.close().map(drop).map_err(of_parquet),
        }
    }
}

/// A value as text; nothing for none.
fn cell(column: &Column, row: usize) -> String {
    let number = |value: &f64| match value {
        value if value.is_nan() => "NaN".to_owned(),
        value => value.to_string().replace("inf", "Infinity"),
    };
    match column {
        Column::Text(values) => values[row].clone(),
        Column::Number(values) => values[row].as_ref().map(number),
        Column::Whole(values) => values[row].map(|value| value.to_string()),
        Column::Truth(values) => values[row].map(|value| value.to_string()),
        Column::Time(values) => values[row].map(|value| value.to_string()),
    }
    .unwrap_or_default()
}

/// All columns are optional: a run need not have a parameter that another has.
fn schema_of(table: &Table) -> Result<Arc<Type>, ParquetError> {
    let fields = table.columns.iter().map(|(name, column)| {
        let (physical, logical) = match column {
            Column::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Column::Number(_) => (Physical::DOUBLE, None),
            Column::Whole(_) => (Physical::INT64, None),
            Column::Truth(_) => (Physical::BOOLEAN, None),
            Column::Time(_) => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
        field.with_logical_type(logical).build().map(Arc::new)
    });
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Type::group_type_builder("schema").with_fields(fields).build()?))
}

fn write_column<W: Write + Send>(
    columns: &mut SerializedRowGroupWriter<'_, W>,
    column: &Column,
) -> Result<(), ParquetError> {
    match column {
        Column::Text(values) => {
            write_values::<W, ByteArrayType, _>(columns, values, |value| ByteArray::from(value.as_bytes().to_vec()))
        }
        Column::Number(values) => write_values::<W, DoubleType, _>(columns, values, |value| *value),
        Column::Whole(values) => write_values::<W, Int64Type, _>(columns, values, |value| *value),
        Column::Truth(values) => write_values::<W, BoolType, _>(columns, values, |value| *value),
        Column::Time(values) => write_values::<W, Int64Type, _>(columns, values, |value| value.as_microsecond()),
    }
}

fn write_values<W: Write + Send, T: DataType, V>(
    columns: &mut SerializedRowGroupWriter<'_, W>,
    values: &[Option<V>],
    convert: impl Fn(&V) -> T::T,
) -> Result<(), ParquetError> {
    let mut column =
        columns.next_column()?.ok_or_else(|| ParquetError::General("the schema has no more columns".to_owned()))?;
    let present: Vec<T::T> = values.iter().flatten().map(convert).collect();
    let levels: Vec<i16> = values.iter().map(|value| i16::from(value.is_some())).collect();
    column.typed::<T>().write_batch(&present, Some(&levels), None)?;
    column.close()
}

fn of_csv(error: csv::Error) -> ExportError {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => ExportError::Output(source),
        other => ExportError::Table { problem: format!("{other:?}") },
    }
}

fn of_parquet(error: ParquetError) -> ExportError {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(source) => ExportError::Output(*source),
            Err(error) => ExportError::Table { problem: error.to_string() },
        },
        other => ExportError::Table { problem: other.to_string() },
    }
}
