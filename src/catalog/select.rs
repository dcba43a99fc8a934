//! Which runs a search asks for: read from the columns, checked by the query itself.
//!
//! There is one meaning of a query, that of `query`: a column gives it the same values as a record does.

use std::cell::{Cell as Slot, OnceCell, RefCell};
use std::cmp::Ordering;
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use rayon::prelude::*;
use rusqlite::{Connection, OptionalExtension, params};

use super::Search;
use super::base::{BLOCK_BITS, BaseError, count, unsealed};
use super::cells::{Cell, Column, ROWS, column_of};
use super::record::{decode, decode_texts};
use crate::id::RunId;
use crate::query::{Attribute, Field, Rank, Value};
use crate::run::Run;

const STARTED: Field = Field::Attribute(Attribute::Started);
const ID: Field = Field::Attribute(Attribute::Id);
const NAME: Field = Field::Attribute(Attribute::Name);
const REMOVED: Field = Field::Attribute(Attribute::Removed);
const EXPERIMENT: Field = Field::Attribute(Attribute::Experiment);

/// Where a run that was found is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In this row.
    Row(i64),
    /// Among the runs that were given, at this place.
    Given(usize),
}

/// A run that was found, with what it takes to put it into order.
#[derive(Debug)]
pub(super) struct Hit {
    place: Place,
    ranks: Vec<Rank>,
    started: Timestamp,
    id: RunId,
}

impl Hit {
    /// The order of a search: by its keys, then the newest first, then by the id, so that there is one order.
    fn compare(&self, other: &Self, descending: &[bool]) -> Ordering {
        let keys = self.ranks.iter().zip(&other.ranks).zip(descending);
        keys.map(|((a, b), descending)| a.compare(b, *descending))
            .find(|order| order.is_ne())
            .unwrap_or_else(|| (other.started, other.id).cmp(&(self.started, self.id)))
    }
}

/// The part of the hits that a search wants, in its order.
pub(super) fn page(mut hits: Vec<Hit>, search: &Search<'_>) -> Vec<Place> {
    let descending: Vec<bool> = search.sort.iter().map(|key| key.descending).collect();
    let compare = |a: &Hit, b: &Hit| a.compare(b, &descending);
    let end = search.limit.map_or(usize::MAX, |limit| search.offset.saturating_add(limit));
    if end < hits.len() {
        // What comes behind the page need not be in order.
        hits.select_nth_unstable_by(end, compare);
        hits.truncate(end);
    }
    hits.par_sort_unstable_by(compare);
    hits.iter().skip(search.offset).map(|hit| hit.place).collect()
}

/// The ids and the rows of recorded hits, in the order of a search.
pub(super) fn in_order(mut hits: Vec<Hit>, search: &Search<'_>) -> (Vec<RunId>, Vec<i64>) {
    let descending: Vec<bool> = search.sort.iter().map(|key| key.descending).collect();
    hits.par_sort_unstable_by(|a, b| a.compare(b, &descending));
    let row = |hit: &Hit| if let Place::Row(row) = hit.place { Some((hit.id, row)) } else { None };
    hits.iter().filter_map(row).unzip()
}

/// The block of a row.
pub(super) fn block_of(row: i64) -> i64 {
    row / ROWS as i64
}

/// Where a row is in its block.
pub(super) fn slot_of(row: i64) -> u8 {
    (row % ROWS as i64) as u8
}

/// The runs of those given that a search finds.
pub(super) fn given(runs: &[Run], search: &Search<'_>) -> Vec<Hit> {
    let fields: Vec<Option<Field>> = search.sort.iter().map(|key| key.field()).collect();
    let found = runs.iter().enumerate().filter(|(_, run)| {
        search.removed.admits(run.removed.is_some())
            && search.experiments.is_none_or(|wanted| wanted(run.experiment.as_deref()))
            && search.query.is_none_or(|query| query.matches(run))
    });
    let hit = |(place, run): (usize, &Run)| Hit {
        place: Place::Given(place),
        ranks: fields.iter().map(|field| Rank::of(field.as_ref().and_then(|field| field.of(run)))).collect(),
        started: run.started,
        id: run.id,
    };
    found.map(hit).collect()
}

/// The recorded runs that a search finds, but for those in some rows.
pub(super) fn recorded(
    connection: &Connection,
    search: &Search<'_>,
    hidden: &BTreeSet<i64>,
) -> Result<Vec<Hit>, BaseError> {
    let sort: Vec<Option<Field>> = search.sort.iter().map(|key| key.field()).collect();
    let asked = search.query.map(|query| query.fields()).unwrap_or_default();
    let own = [&STARTED, &ID, &REMOVED, &EXPERIMENT].into_iter().chain(sort.iter().flatten());
    let columns = Columns::of(connection, own.chain(asked.iter().copied()))?;
    let mut hits = Vec::new();
    columns.each_block(&mut |block| {
        for slot in block.runs() {
            let value = |field: &Field| block.value(slot, field);
            if !hidden.is_empty() && hidden.contains(&block.row(slot)) {
                continue;
            }
            if !search.removed.admits(value(&REMOVED).is_some()) {
                continue;
            }
            if let Some(wanted) = search.experiments {
                let is_wanted = match value(&EXPERIMENT) {
                    Some(Value::Text(name)) => wanted(Some(&name)),
                    _ => wanted(None),
                };
                if !is_wanted {
                    continue;
                }
            }
            if search.query.is_some_and(|query| !query.holds(&mut |field| value(field))) {
                continue;
            }
            let (Some(Value::Moment(started)), Some(Value::Text(id))) = (value(&STARTED), value(&ID)) else {
                return Err(BaseError::Damaged);
            };
            hits.push(Hit {
                place: Place::Row(block.row(slot)),
                ranks: sort.iter().map(|field| Rank::of(field.as_ref().and_then(value))).collect(),
                started,
                id: id.parse().map_err(|_| BaseError::Damaged)?,
            });
        }
        Ok(())
    })?;
    Ok(hits)
}

/// A recorded run whose name or id is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) id: RunId,
    pub(super) is_removed: bool,
    /// Whether it is the id that fits, and not the name.
    pub(super) by_id: bool,
}

/// The recorded runs whose ids begin with `prefix`, or that are called `name`.
pub(super) fn named(connection: &Connection, prefix: Option<&str>, name: &str) -> Result<Vec<Named>, BaseError> {
    let columns = Columns::of(connection, [&STARTED, &ID, &REMOVED, &NAME].into_iter())?;
    let mut found = Vec::new();
    columns.each_block(&mut |block| {
        for slot in block.runs() {
            let Some(Value::Text(id)) = block.value(slot, &ID) else { return Err(BaseError::Damaged) };
            let by_id = prefix.is_some_and(|prefix| id.starts_with(prefix));
            let by_name = || matches!(block.value(slot, &NAME), Some(Value::Text(own)) if own == name);
            if by_id || by_name() {
                let is_removed = block.value(slot, &REMOVED).is_some();
                found.push(Named { id: id.parse().map_err(|_| BaseError::Damaged)?, is_removed, by_id });
            }
        }
        Ok(())
    })?;
    Ok(found)
}

/// The different values that recorded runs have of an attribute that is text.
pub(super) fn values(connection: &Connection, attribute: Attribute) -> Result<BTreeMap<String, usize>, BaseError> {
    let field = Field::Attribute(attribute);
    let columns = Columns::of(connection, [&STARTED, &REMOVED, &field].into_iter())?;
    let mut values = BTreeMap::new();
    columns.each_block(&mut |block| {
        for slot in block.runs().filter(|slot| block.value(*slot, &REMOVED).is_none()) {
            if let Some(Value::Text(text)) = block.value(slot, &field) {
                *values.entry(text.into_owned()).or_default() += 1;
            }
        }
        Ok(())
    })?;
    Ok(values)
}

/// The row and the record, without its environment, of a run that is recorded.
pub(super) fn record_of(connection: &Connection, run_id: &RunId) -> Result<Option<(i64, Run)>, BaseError> {
    let mut statement = connection.prepare_cached("SELECT row, record FROM runs WHERE id = ?1")?;
    let found = statement.query_row([run_id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((row, record)) = found else { return Ok(None) };
    let run = decode(&unsealed(record, row)?, BTreeMap::new()).ok_or(BaseError::Damaged)?;
    Ok(Some((row, run)))
}

/// The runs in some rows, whole, in that order.
pub(super) fn fetch(connection: &Connection, rows: &[i64]) -> Result<Vec<Run>, BaseError> {
    let mut environments: HashMap<i64, BTreeMap<String, String>> = HashMap::new();
    let mut found: Vec<(Vec<u8>, i64)> = Vec::with_capacity(rows.len());
    let mut statement = connection.prepare_cached("SELECT record, environment FROM runs WHERE row = ?1")?;
    let mut texts = connection.prepare_cached("SELECT texts FROM environments WHERE environment = ?1")?;
    for row in rows {
        let (record, environment): (Vec<u8>, i64) = statement.query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let Entry::Vacant(entry) = environments.entry(environment) {
            let bytes: Vec<u8> = texts.query_row([environment], |row| row.get(0))?;
            entry.insert(decode_texts(&bytes).ok_or(BaseError::Damaged)?);
        }
        found.push((unsealed(record, *row)?, environment));
    }
    let run = |(record, environment): &(Vec<u8>, i64)| {
        let environment = environments.get(environment).cloned().unwrap_or_default();
        decode(record, environment).ok_or(BaseError::Damaged)
    };
    // A few are read before other threads are awake.
    match found.len() {
        0..64 => found.iter().map(run).collect(),
        _ => found.par_iter().map(run).collect(),
    }
}

/// The fields that somebody reads, and the columns that have them.
pub(super) struct Columns<'c> {
    connection: &'c Connection,
    /// A column's key, where there is such a column; several fields may be equal, and share one.
    keys: Vec<Source<'c>>,
    /// By the address of a field: a query asks with the fields it is made of, and comparing names takes time.
    index: HashMap<*const Field, usize>,
}

/// Where the values of a field are.
enum Source<'c> {
    Column(i64),
    /// No run has one.
    Nowhere,
    Record(&'c Field),
}

impl<'c> Columns<'c> {
    pub(super) fn of(connection: &'c Connection, fields: impl Iterator<Item = &'c Field>) -> Result<Self, BaseError> {
        let mut statement = connection.prepare_cached("SELECT key FROM keys WHERE kind = ?1 AND name = ?2")?;
        let mut known: BTreeMap<&Field, usize> = BTreeMap::new();
        let (mut keys, mut index) = (Vec::new(), HashMap::new());
        for field in fields {
            let place = match known.get(field) {
                Some(place) => *place,
                None => {
                    keys.push(match column_of(field) {
                        None => Source::Record(field),
                        Some((kind, name)) => match statement.query_row(params![kind, name], |row| row.get(0)) {
                            Err(rusqlite::Error::QueryReturnedNoRows) => Source::Nowhere,
                            key => Source::Column(key?),
                        },
                    });
                    known.insert(field, keys.len() - 1);
                    keys.len() - 1
                }
            };
            index.insert(std::ptr::from_ref(field), place);
        }
        Ok(Self { connection, keys, index })
    }

    /// Goes through the blocks that have runs. The first field has to be [`STARTED`], which every run has.
    pub(super) fn each_block(
        &self,
        each: &mut dyn FnMut(&BlockView<'_>) -> Result<(), BaseError>,
    ) -> Result<(), BaseError> {
        let Some(Source::Column(key)) = self.keys.first() else { return Ok(()) };
        let mut statement = self
            .connection
            .prepare_cached("SELECT place, cells FROM cells WHERE place >= ?1 AND place < ?2 ORDER BY place")?;
        let mut seen = 0;
        let mut blocks = statement.query([key << BLOCK_BITS, (key + 1) << BLOCK_BITS])?;
        while let Some(row) = blocks.next()? {
            let place: i64 = row.get(0)?;
            let started = Column::read(unsealed(row.get(1)?, place)?).ok_or(BaseError::Damaged)?;
            seen += started.slots().count();
            let view = BlockView {
                columns: self,
                block: place & ((1 << BLOCK_BITS) - 1),
                started,
                read: self.keys.iter().map(|_| OnceCell::new()).collect(),
                record: RefCell::new(None),
                fault: Slot::new(None),
            };
            each(&view)?;
            if let Some(fault) = view.fault.take() {
                return Err(fault);
            }
        }
        if seen == count(self.connection)? { Ok(()) } else { Err(BaseError::Damaged) }
    }
}

/// A block's columns, each read when it is first asked for.
pub(super) struct BlockView<'c> {
    columns: &'c Columns<'c>,
    block: i64,
    started: Column,
    read: Vec<OnceCell<Column>>,
    /// The record that was read last, for what stands in no column.
    record: RefCell<Option<(u8, Run)>>,
    fault: Slot<Option<BaseError>>,
}

impl BlockView<'_> {
    /// The block's number.
    pub(super) fn number(&self) -> i64 {
        self.block
    }

    /// The slots that have a run.
    pub(super) fn runs(&self) -> impl Iterator<Item = u8> {
        self.started.slots()
    }

    /// The row of a slot.
    pub(super) fn row(&self, slot: u8) -> i64 {
        self.block * ROWS as i64 + i64::from(slot)
    }

    /// A run's value; none where it has none, and where it cannot be read, which is told at the block's end.
    pub(super) fn value(&self, slot: u8, field: &Field) -> Option<Value<'_>> {
        let result = self.try_value(slot, field);
        result.unwrap_or_else(|error| {
            self.fault.set(Some(error));
            None
        })
    }

    fn try_value(&self, slot: u8, field: &Field) -> Result<Option<Value<'_>>, BaseError> {
        let place = match self.columns.index.get(&std::ptr::from_ref(field)) {
            Some(place) => *place,
            None => return self.value_in_record(slot, field),
        };
        let key = match &self.columns.keys[place] {
            Source::Column(key) => *key,
            Source::Nowhere => return Ok(None),
            Source::Record(field) => return self.value_in_record(slot, field),
        };
        let column = match self.read[place].get() {
            Some(column) => column,
            None => {
                let column = self.read_column(key)?;
                self.read[place].get_or_init(|| column)
            }
        };
        match column.cell(slot) {
            Some(Cell::Value(value)) => Ok(Some(value)),
            Some(Cell::InRecord) => self.value_in_record(slot, field),
            None => Ok(None),
        }
    }

    fn read_column(&self, key: i64) -> Result<Column, BaseError> {
        let place = key << BLOCK_BITS | self.block;
        let mut statement = self.columns.connection.prepare_cached("SELECT cells FROM cells WHERE place = ?1")?;
        let cells: Option<Vec<u8>> = statement.query_row([place], |row| row.get(0)).optional()?;
        match cells {
            Some(cells) => Column::read(unsealed(cells, place)?).ok_or(BaseError::Damaged),
            None => Ok(Column::empty()),
        }
    }

    fn value_in_record(&self, slot: u8, field: &Field) -> Result<Option<Value<'_>>, BaseError> {
        let mut record = self.record.borrow_mut();
        if record.as_ref().is_none_or(|(known, _)| *known != slot) {
            let mut statement = self.columns.connection.prepare_cached("SELECT record FROM runs WHERE row = ?1")?;
            let bytes: Vec<u8> = statement.query_row([self.row(slot)], |row| row.get(0))?;
            let bytes = unsealed(bytes, self.row(slot))?;
            *record = Some((slot, decode(&bytes, BTreeMap::new()).ok_or(BaseError::Damaged)?));
        }
        Ok(record.as_ref().and_then(|(_, run)| field.of(run)).map(Value::into_owned))
    }
}
