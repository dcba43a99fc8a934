//! Columns: the values that some runs have of one field, next to each other.
//!
//! Runs have rows, 256 rows are a block, and a column is kept in a piece for each block. So a query reads the fields it
//! asks for and no others, and a new run costs the columns of one block.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::bytes::{Reader, put_float, put_moment, put_number, put_text};
use crate::query::{Aspect, Attribute, Field, Item, Value};
use crate::run::Run;

/// Rows of a block.
pub(super) const ROWS: usize = 256;
/// Bytes of a text beyond which it stands in the record only.
const MAX_TEXT: usize = 1024;

const NUMBER: u8 = 0;
const TEXT: u8 = 1;
const MOMENT: u8 = 2;
const FALSE: u8 = 3;
const TRUE: u8 = 4;
const ITEMS: u8 = 5;
const IN_RECORD: u8 = 6;

/// What a column is of: a kind of field, and the name of one where there are many.
pub(super) type ColumnName<'n> = (u8, Cow<'n, str>);

/// The column that has a field's values; none for what only records have.
pub(super) fn column_of(field: &Field) -> Option<ColumnName<'_>> {
    Some(match field {
        Field::Attribute(attribute) => (0, Cow::Borrowed(attribute.name())),
        Field::Metric(name, Aspect::Last) => (1, Cow::Borrowed(name)),
        Field::Metric(..) | Field::Fact(_) => return None,
        Field::Param(name) => (2, Cow::Borrowed(name)),
        Field::Tag(name) => (3, Cow::Borrowed(name)),
    })
}

/// The kinds of columns whose names are those of metrics, parameters and tags.
pub(super) const NAMED: [u8; 3] = [1, 2, 3];

/// The columns of a block, being made.
#[derive(Debug, Default)]
pub(super) struct Block {
    columns: [BTreeMap<String, Vec<u8>>; 4],
}

impl Block {
    /// Adds a run, whose slot is above those before it.
    pub(super) fn add(&mut self, slot: u8, run: &Run) {
        let [attributes, metrics, params, tags] = &mut self.columns;
        for attribute in Attribute::all() {
            if let Some(value) = attribute.of(run) {
                put(attributes, attribute.name(), slot, &value);
            }
        }
        for (name, metric) in &run.metrics {
            put(metrics, name, slot, &Value::Number(metric.last));
        }
        for (columns, texts) in [(params, &run.params), (tags, &run.tags)] {
            for (name, text) in texts {
                put(columns, name, slot, &Value::Text(Cow::Borrowed(text)));
            }
        }
    }

    /// The columns with their bytes.
    pub(super) fn into_columns(self) -> impl Iterator<Item = (u8, String, Vec<u8>)> {
        let kinds = self.columns.into_iter().zip(0..);
        kinds.flat_map(|(columns, kind)| columns.into_iter().map(move |(name, cells)| (kind, name, cells)))
    }
}

fn put(columns: &mut BTreeMap<String, Vec<u8>>, name: &str, slot: u8, value: &Value<'_>) {
    // Most columns are there already, and need no name of their own.
    match columns.get_mut(name) {
        Some(cells) => put_cell(cells, slot, value),
        None => put_cell(columns.entry(name.to_owned()).or_default(), slot, value),
    }
}

fn put_cell(cells: &mut Vec<u8>, slot: u8, value: &Value<'_>) {
    cells.push(slot);
    match value {
        Value::Number(value) => {
            cells.push(NUMBER);
            put_float(cells, *value);
        }
        Value::Text(text) if text.len() > MAX_TEXT => cells.push(IN_RECORD),
        Value::Text(text) => {
            cells.push(TEXT);
            put_text(cells, text);
        }
        Value::Moment(time) => {
            cells.push(MOMENT);
            put_moment(cells, *time);
        }
        Value::Truth(value) => cells.push(if *value { TRUE } else { FALSE }),
        Value::Items(items) => {
            cells.push(ITEMS);
            put_number(cells, items.len() as u64);
            for Item { names, id } in items {
                put_number(cells, names.len() as u64);
                names.iter().for_each(|name| put_text(cells, name));
                put_text(cells, id);
            }
        }
    }
}

/// What stands in a column for a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell<'c> {
    Value(Value<'c>),
    /// It is too long for a column: the record has it.
    InRecord,
}

/// The columns of a block, where each cell can be found.
#[derive(Debug)]
pub(super) struct Column {
    cells: Vec<u8>,
    /// One more than where a slot's value begins, or 0.
    begins: Box<[u32; ROWS]>,
}

impl Column {
    /// A column that has no values.
    pub(super) fn empty() -> Self {
        Self { cells: Vec::new(), begins: Box::new([0; ROWS]) }
    }

    /// The column in some bytes; none where they are not one.
    pub(super) fn read(cells: Vec<u8>) -> Option<Self> {
        let mut begins = Box::new([0; ROWS]);
        let mut reader = Reader(&cells);
        while let Some(slot) = reader.byte() {
            let begin = cells.len() - reader.0.len();
            begins[usize::from(slot)] = u32::try_from(begin).ok()? + 1;
            skip(&mut reader)?;
        }
        Some(Self { cells, begins })
    }

    /// What stands there for a slot.
    pub(super) fn cell(&self, slot: u8) -> Option<Cell<'_>> {
        let begin = self.begins[usize::from(slot)].checked_sub(1)?;
        read_cell(&mut Reader(self.cells.get(begin as usize..)?))
    }

    /// The slots that have a value.
    pub(super) fn slots(&self) -> impl Iterator<Item = u8> {
        (0..=u8::MAX).filter(|slot| self.begins[usize::from(*slot)] != 0)
    }
}

fn skip(reader: &mut Reader<'_>) -> Option<()> {
    match reader.byte()? {
        NUMBER => reader.take(8).map(drop),
        TEXT => {
            let length = usize::try_from(reader.number()?).ok()?;
            reader.take(length).map(drop)
        }
        MOMENT => {
            reader.number()?;
            reader.number().map(drop)
        }
        FALSE | TRUE | IN_RECORD => Some(()),
        ITEMS => read_items(reader).map(drop),
        _ => None,
    }
}

fn read_cell<'c>(reader: &mut Reader<'c>) -> Option<Cell<'c>> {
    Some(Cell::Value(match reader.byte()? {
        NUMBER => Value::Number(reader.float()?),
        TEXT => Value::Text(Cow::Borrowed(reader.text()?)),
        MOMENT => Value::Moment(reader.moment()?),
        FALSE => Value::Truth(false),
        TRUE => Value::Truth(true),
        ITEMS => Value::Items(read_items(reader)?),
        IN_RECORD => return Some(Cell::InRecord),
        _ => return None,
    }))
}

fn read_items<'c>(reader: &mut Reader<'c>) -> Option<Vec<Item<'c>>> {
    let count = reader.number()?;
    let item = |reader: &mut Reader<'c>| {
        let names = reader.number()?;
        let names = (0..names).map(|_| reader.text().map(Cow::Borrowed)).collect::<Option<_>>()?;
        Some(Item { names, id: Cow::Borrowed(reader.text()?) })
    };
    (0..count).map(|_| item(reader)).collect()
}
