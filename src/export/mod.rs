//! Exporting: runs as tables, for pandas, DuckDB and spreadsheets, and as MLflow keeps them; models as bills of materials.

mod error;
mod mlflow;
mod sbom;
mod table;
mod write;

pub use error::ExportError;
pub use mlflow::{ExportedRuns, Login, MlflowOptions, to_mlflow_folder, to_mlflow_server};
pub use sbom::{BillOf, bill_of_materials};
pub use write::TableFormat;

use std::io::Write;

use crate::run::{Run, Runs};
use table::Table;
use write::TableWriter;

/// Points that are held until they are written.
const ROWS: usize = 1 << 20;

/// Writes the table of runs: a row each, with a column for each parameter, metric (its last value) and tag.
pub fn write_runs<W: Write + Send>(runs: &[Run], format: TableFormat, output: W) -> Result<(), ExportError> {
    let table = Table::of_runs(runs);
    let mut writer = TableWriter::new(format, &table, output)?;
    writer.rows(&table)?;
    writer.finish()
}

/// Writes the table of points: a row each, with its run, metric, step, time and value.
pub fn write_points<W: Write + Send>(
    store: &Runs<'_>,
    runs: &[Run],
    format: TableFormat,
    output: W,
) -> Result<(), ExportError> {
    let mut table = Table::of_points();
    let mut writer = TableWriter::new(format, &table, output)?;
    for run in runs {
        for (metric, points) in &store.series(&run.id)? {
            for points in points.chunks(ROWS) {
                table.add_points(run, metric, points);
                if table.len() >= ROWS {
                    writer.rows(&table)?;
                    table = Table::of_points();
                }
            }
        }
    }
    writer.rows(&table)?;
    writer.finish()
}

#[cfg(test)]
mod tests;
