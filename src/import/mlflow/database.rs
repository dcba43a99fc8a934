//! MLflow's SQLite database, of any of its schemas: a table or a column that is not there has nothing to tell.
//!
//! It is opened for reading only. Rows are asked for in the order of the runs, table by table, so that a database without
//! the index for it is read once and not once a run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::fallible_streaming_iterator::FallibleStreamingIterator;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row, Rows};

use crate::run::{Point, RunDataset};
use crate::track::Progress;

use super::super::ImportError;
use super::super::runs::Recorder;
use super::{Facts, LoggedModel, SourceModel, SourceVersion, artifacts, milliseconds, place_of, status};

/// Columns in the order that they are read in.
type Columns<'c> = &'c [&'c str];

/// Reads all runs, and returns the registered models.
pub(super) fn read(
    file: &Path,
    recorder: &mut Recorder<'_>,
    progress: &dyn Progress,
) -> Result<Vec<SourceModel>, ImportError> {
    let fail = |source: rusqlite::Error| ImportError::Database { path: file.to_path_buf(), source };
    let database = Database::open(file).map_err(fail)?;
    if !(database.has("runs") && database.has("experiments")) {
        let (path, tool) = (file.to_path_buf(), "MLflow");
        return Err(ImportError::Unknown { path, tool, problem: "it has no tables of runs and experiments" });
    }
    if !database.has("alembic_version") {
        recorder.leave_out(file.display().to_string(), "which version made it is not known: it is read as it is");
    }
    let roots = roots_beside(file);
    let models = database.logged_models(&roots).map_err(fail)?;
    read_runs(&database, &roots, &models, recorder, progress, &fail)?;
    database.registered_models(&roots, &models).map_err(fail)
}

fn read_runs(
    database: &Database,
    roots: &[PathBuf],
    models: &BTreeMap<String, Vec<LoggedModel>>,
    recorder: &mut Recorder<'_>,
    progress: &dyn Progress,
    fail: &dyn Fn(rusqlite::Error) -> ImportError,
) -> Result<(), ImportError> {
    let experiments = database.experiments().map_err(fail)?;
    let own = "run_uuid, name, status, start_time, end_time, user_id, source_name, lifecycle_stage, deleted_time, \
               artifact_uri, experiment_id";
    let own: Vec<&str> = own.split(", ").collect();
    let in_order = |table: &str, columns: Columns<'_>, order: &str| database.select(table, columns, order);
    let mut runs = in_order("runs", &own, "run_uuid").map_err(fail)?;
    let mut params = in_order("params", &["run_uuid", "key", "value"], "run_uuid, key").map_err(fail)?;
    let mut tags = in_order("tags", &["run_uuid", "key", "value"], "run_uuid, key").map_err(fail)?;
    let order = "run_uuid, key, timestamp, step, rowid";
    let points = ["run_uuid", "key", "value", "timestamp", "step", "is_nan"];
    let mut points = in_order("metrics", &points, order).map_err(fail)?;
    let mut inputs = database.inputs().map_err(fail)?;

    let mut runs = runs.raw_query();
    let mut params = Grouped::new(params.raw_query()).map_err(fail)?;
    let mut tags = Grouped::new(tags.raw_query()).map_err(fail)?;
    let mut points = Grouped::new(points.raw_query()).map_err(fail)?;
    let mut inputs = match &mut inputs {
        Some(statement) => Some(Grouped::new(statement.raw_query()).map_err(fail)?),
        None => None,
    };
    while let Some(row) = runs.next().map_err(fail)? {
        let id = text(row, 0);
        let number = row.get_ref(10).ok().map(|value| words(&value)).unwrap_or_default();
        let mut facts = Facts {
            name: text(row, 1),
            status: status(&text(row, 2)),
            started: whole(row, 3),
            ended: whole(row, 4),
            user: text(row, 5),
            source_name: text(row, 6),
            is_deleted: text(row, 7) == "deleted",
            deleted: whole(row, 8),
            experiment: experiments.get(&number).map(|(name, _)| name.clone()).unwrap_or_default(),
            id,
            ..Facts::default()
        };
        let uri = text(row, 9);
        params.of(&facts.id, &mut |row| drop(facts.params.insert(text(row, 1), text(row, 2)))).map_err(fail)?;
        tags.of(&facts.id, &mut |row| drop(facts.tags.insert(text(row, 1), text(row, 2)))).map_err(fail)?;
        let mut series: Vec<(String, Point)> = Vec::new();
        points.of(&facts.id, &mut |row| series.extend(point(row))).map_err(fail)?;
        if experiments.get(&number).is_some_and(|(_, is_deleted)| *is_deleted) {
            recorder.leave_out(format!("run {}", facts.id), "its experiment is deleted");
            continue;
        }
        let id = facts.id.clone();
        let first = series.iter().map(|(_, point)| point.time).min();
        let mut source = facts.into_run(first, recorder.workspace());
        series.into_iter().for_each(|(name, point)| source.add_point(&name, point));
        if let Some(inputs) = &mut inputs {
            inputs.of(&id, &mut |row| add_dataset(row, &mut source.run.datasets)).map_err(fail)?;
        }
        let folder = place_of(&uri, &id, roots);
        let is_elsewhere = uri.contains("://") && !uri.starts_with("file:") && !uri.starts_with("mlflow-artifacts:");
        if folder.is_none() && is_elsewhere {
            recorder.leave_out(format!("artifacts of run {}", source.run.name), format!("they are at {uri}"));
        }
        source.artifacts = artifacts(folder.as_deref(), models.get(&id).map(Vec::as_slice).unwrap_or_default());
        recorder.take(source)?;
        progress.advance(1);
    }
    Ok(())
}

/// The folders in which artifacts may be: the database's own, and those that MLflow makes beside it.
fn roots_beside(file: &Path) -> Vec<PathBuf> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    vec![folder.to_path_buf(), folder.join("mlruns"), folder.join("mlartifacts")]
}

fn point(row: &Row<'_>) -> Option<(String, Point)> {
    let is_nan = whole(row, 5).unwrap_or_default() != 0;
    let value = match row.get_ref(2).ok()? {
        _ if is_nan => f64::NAN,
        ValueRef::Real(value) => value,
        ValueRef::Integer(value) => value as f64,
        _ => return None,
    };
    let time = milliseconds(whole(row, 3).unwrap_or_default());
    Some((text(row, 1), Point { step: whole(row, 4).unwrap_or_default(), time, value }))
}

/// Rows come a tag each: those of one input follow each other.
fn add_dataset(row: &Row<'_>, datasets: &mut Vec<RunDataset>) {
    let (name, digest) = (text(row, 2), text(row, 3));
    let tag = (text(row, 8), text(row, 9));
    let is_same = |last: &&mut RunDataset| last.name == name && last.digest == digest;
    let none_if_empty = |text: String| (!text.is_empty()).then_some(text);
    let dataset = match datasets.last_mut().filter(is_same) {
        Some(last) => last,
        None => {
            datasets.push(RunDataset {
                name,
                digest,
                source_type: text(row, 4),
                source: text(row, 5),
                schema: none_if_empty(text(row, 6)),
                profile: none_if_empty(text(row, 7)),
                tags: BTreeMap::new(),
            });
            match datasets.last_mut() {
                Some(last) => last,
                None => return,
            }
        }
    };
    if !tag.0.is_empty() {
        dataset.tags.insert(tag.0, tag.1);
    }
}

/// A value as text; empty for none.
fn text(row: &Row<'_>, index: usize) -> String {
    row.get_ref(index).map(|value| words(&value)).unwrap_or_default()
}

fn words(value: &ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Null => String::new(),
    }
}

fn whole(row: &Row<'_>, index: usize) -> Option<i64> {
    match row.get_ref(index).ok()? {
        ValueRef::Integer(number) => Some(number),
        ValueRef::Real(number) => Some(number as i64),
        ValueRef::Text(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        ValueRef::Null | ValueRef::Blob(_) => None,
    }
}

/// Rows that are in the order of the runs that they belong to, which is their first column.
struct Grouped<'s> {
    rows: Rows<'s>,
    /// The run of the row that was read last; none when there are no more.
    run: Option<String>,
}

impl<'s> Grouped<'s> {
    fn new(rows: Rows<'s>) -> Result<Self, rusqlite::Error> {
        let mut grouped = Self { rows, run: None };
        grouped.advance()?;
        Ok(grouped)
    }

    fn advance(&mut self) -> Result<(), rusqlite::Error> {
        self.run = self.rows.next()?.map(|row| text(row, 0));
        Ok(())
    }

    /// Gives out the rows of a run, which is asked for after all that come before it.
    fn of(&mut self, run: &str, each: &mut dyn FnMut(&Row<'_>)) -> Result<(), rusqlite::Error> {
        while let Some(own) = &self.run {
            match own.as_str().cmp(run) {
                std::cmp::Ordering::Greater => break,
                std::cmp::Ordering::Equal => self.rows.get().into_iter().for_each(&mut *each),
                std::cmp::Ordering::Less => {}
            }
            self.advance()?;
        }
        Ok(())
    }
}

/// A database and what is in it.
struct Database {
    connection: Connection,
    /// The columns of each table.
    tables: BTreeMap<String, Vec<String>>,
}

impl Database {
    fn open(file: &Path) -> Result<Self, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        Self::with(Connection::open_with_flags(file, flags)?).or_else(|error| {
            // A database with a log of changes wants to write beside it, which a read-only folder does not let it.
            let mut uri = "file:".to_owned();
            for c in file.to_str().ok_or(error)?.chars() {
                match c {
                    '%' | '?' | '#' => uri += &format!("%{:02X}", c as u32),
                    c => uri.push(c),
                }
            }
            uri += "?immutable=1";
            Self::with(Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?)
        })
    }

    fn with(connection: Connection) -> Result<Self, rusqlite::Error> {
        // What a stranger's schema may do: views and virtual tables are none of the tables that are asked for.
        connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA query_only = ON")?;
        let mut tables = BTreeMap::new();
        {
            let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'create virtual%'";
            let mut names = connection.prepare(sql)?;
            let names: Vec<String> = names.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            for name in names {
                let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
                let columns: Vec<String> = columns.query_map([&name], |row| row.get(0))?.collect::<Result<_, _>>()?;
                tables.insert(name, columns);
            }
        }
        Ok(Self { connection, tables })
    }

    fn has(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// A column of a table, or what stands for one that is not there.
    fn column(&self, table: &str, column: &str, shown: &str) -> String {
        let has = self.tables.get(table).is_some_and(|columns| columns.iter().any(|own| own == column));
        if has { shown.to_owned() } else { "NULL".to_owned() }
    }

    /// The columns of a table in an order; no rows where there is no such table.
    fn select(
        &self,
        table: &str,
        columns: Columns<'_>,
        order: &str,
    ) -> Result<rusqlite::Statement<'_>, rusqlite::Error> {
        if !self.has(table) {
            let nothing = columns.iter().map(|_| "NULL").collect::<Vec<_>>().join(", ");
            return self.connection.prepare(&format!("SELECT {nothing} WHERE 0"));
        }
        let is_there = |column: &&str| *column == "rowid" || self.column(table, column, column) != "NULL";
        let order: Vec<&str> = order.split(", ").filter(is_there).collect();
        let columns: Vec<String> = columns.iter().map(|column| self.column(table, column, column)).collect();
        self.connection.prepare(&format!("SELECT {} FROM {table} ORDER BY {}", columns.join(", "), order.join(", ")))
    }

    /// The names of the experiments, and whether they are deleted, by their ids.
    fn experiments(&self) -> Result<BTreeMap<String, (String, bool)>, rusqlite::Error> {
        let mut statement =
            self.select("experiments", &["experiment_id", "name", "lifecycle_stage"], "experiment_id")?;
        let mut rows = statement.raw_query();
        let mut experiments = BTreeMap::new();
        while let Some(row) = rows.next()? {
            experiments.insert(text(row, 0), (text(row, 1), text(row, 2) == "deleted"));
        }
        Ok(experiments)
    }

    /// The data sets of the runs, a row for each tag; none before version 2.4.
    fn inputs(&self) -> Result<Option<rusqlite::Statement<'_>>, rusqlite::Error> {
        if !(self.has("inputs") && self.has("datasets") && self.has("input_tags")) {
            return Ok(None);
        }
        let sql = "SELECT i.destination_id, i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source, \
                   d.dataset_schema, d.dataset_profile, t.name, t.value FROM inputs i \
                   JOIN datasets d ON d.dataset_uuid = i.source_id \
                   LEFT JOIN input_tags t ON t.input_uuid = i.input_uuid \
                   WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' \
                   ORDER BY i.destination_id, d.name, d.digest, i.input_uuid, t.name";
        self.connection.prepare(sql).map(Some)
    }

    /// The models that runs logged, by run; none before version 3.
    fn logged_models(&self, roots: &[PathBuf]) -> Result<BTreeMap<String, Vec<LoggedModel>>, rusqlite::Error> {
        let columns = ["source_run_id", "model_id", "name", "artifact_location", "lifecycle_stage"];
        let mut statement = self.select("logged_models", &columns, "source_run_id, creation_timestamp_ms, model_id")?;
        let mut rows = statement.raw_query();
        let mut models: BTreeMap<String, Vec<LoggedModel>> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let (id, is_deleted) = (text(row, 1), text(row, 4) == "deleted");
            if let Some(place) = place_of(&text(row, 3), &id, roots).filter(|_| !is_deleted) {
                models.entry(text(row, 0)).or_default().push(LoggedModel { id, name: text(row, 2), place });
            }
        }
        Ok(models)
    }

    fn registered_models(
        &self,
        roots: &[PathBuf],
        logged: &BTreeMap<String, Vec<LoggedModel>>,
    ) -> Result<Vec<SourceModel>, rusqlite::Error> {
        let mut models: BTreeMap<String, SourceModel> = BTreeMap::new();
        let columns = ["name", "version", "run_id", "description", "source", "storage_location", "current_stage"];
        let mut statement = self.select("model_versions", &columns, "name, version")?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let Some(number) = whole(row, 1).and_then(|number| u64::try_from(number).ok()) else { continue };
            if text(row, 6) == "Deleted_Internal" {
                continue;
            }
            let (name, run, note) = (text(row, 0), text(row, 2), text(row, 3));
            let (source, location) = (text(row, 4), text(row, 5));
            let of_model = source
                .strip_prefix("models:/")
                .and_then(|id| logged.values().flatten().find(|model| model.id == id).map(|model| model.place.clone()));
            let of_run = || [&location, &source].into_iter().find_map(|uri| place_of(uri, &run, roots));
            let non_empty = |text: String| (!text.is_empty()).then_some(text);
            let version = SourceVersion {
                number,
                place: of_model.or_else(of_run),
                run: non_empty(run.clone()),
                note: non_empty(note),
            };
            let model = models.entry(name.clone()).or_insert_with(|| SourceModel { name, ..SourceModel::default() });
            model.versions.push(version);
        }
        let mut statement = self.select("registered_model_aliases", &["name", "alias", "version"], "name, alias")?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            let number = whole(row, 2).and_then(|number| u64::try_from(number).ok());
            if let (Some(model), Some(number)) = (models.get_mut(&text(row, 0)), number) {
                model.aliases.insert(text(row, 1), number);
            }
        }
        Ok(models.into_values().collect())
    }
}
