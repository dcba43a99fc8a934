//! A table of runs: some fields of all runs that a search finds, small enough to be kept in memory as a whole.
//!
//! The recorded runs are read once and shared by all tables until they, or what is asked for, change. A live run changes
//! twice a second or more: it is put into its place among the others without looking at them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;

use super::base::BaseError;
use super::select::{self, Columns};
use super::{Catalog, Search};
use crate::id::{CommitId, RunId};
use crate::query::{Attribute, Field, Query, Rank, SortKey, Value};
use crate::run::{Run, RunError, RunStatus, Runs};
use crate::words::with_causes;

/// Runs that are looked at before more fields are chosen.
const SAMPLE: usize = 256;
const STARTED: Field = Field::Attribute(Attribute::Started);
const REMOVED: Field = Field::Attribute(Attribute::Removed);

/// What a table is to show.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct TableSpec {
    /// Which runs. Ranges of commits have to be resolved.
    pub(crate) query: Option<Query>,
    /// Their order, the first key first; what is equal in all of them comes newest first.
    pub(crate) sort: Vec<SortKey>,
    /// Which fields.
    pub(crate) fields: Vec<Field>,
}

/// Chooses more fields to show, by a look at some of the runs.
pub(crate) type ChooseFields<'c> = &'c dyn Fn(&[Run]) -> Vec<Field>;

/// A value in few bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Brief {
    Missing,
    Number(f64),
    /// A place in the texts.
    Text(u32),
    /// Microseconds since 1970.
    Moment(i64),
    Truth(bool),
}

/// The recorded runs of a table, by columns.
#[derive(Debug, Default)]
struct Recorded {
    spec: TableSpec,
    tip: Option<CommitId>,
    /// Runs that are recorded and whose live folders know better.
    hidden: BTreeSet<RunId>,
    /// What the columns are of: the spec's fields, what it sorts by, and what was chosen.
    fields: Vec<Field>,
    ids: Vec<RunId>,
    columns: Vec<Vec<Brief>>,
    texts: Arc<Vec<Box<str>>>,
    known: usize,
    problems: Arc<Vec<RunError>>,
}

/// A table of runs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Table {
    recorded: Arc<Recorded>,
    /// All live runs, newest first.
    live: Arc<Vec<Run>>,
    /// The live runs that are wanted, in order: how many recorded rows come before each, and which one it is.
    places: Vec<(usize, usize)>,
    live_problems: Vec<String>,
}

/// A row of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Row<'t> {
    /// A recorded run.
    Recorded(RecordedRow<'t>),
    /// A live one.
    Live(&'t Run),
}

/// A row that is kept by columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordedRow<'t> {
    table: &'t Recorded,
    place: usize,
}

impl Table {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.recorded.ids.len() + self.places.len()
    }

    /// How many runs there are, whether they are wanted or not.
    pub(crate) fn known(&self) -> usize {
        self.recorded.known + self.live.len()
    }

    /// All live runs, wanted or not, newest first.
    pub(crate) fn live(&self) -> &[Run] {
        &self.live
    }

    /// What could not be read, and why.
    pub(crate) fn problems(&self) -> Vec<String> {
        let recorded = self.recorded.problems.iter().map(|error| with_causes(error));
        recorded.chain(self.live_problems.iter().cloned()).collect()
    }

    /// The commit whose runs these are.
    pub(crate) fn tip(&self) -> Option<CommitId> {
        self.recorded.tip
    }

    /// What the columns are of.
    #[cfg(test)]
    pub(crate) fn fields(&self) -> &[Field] {
        &self.recorded.fields
    }

    /// A row; none behind the last one.
    pub(crate) fn row(&self, row: usize) -> Option<Row<'_>> {
        let mut live_above = 0;
        for (index, (place, run)) in self.places.iter().enumerate() {
            match (place + index).cmp(&row) {
                Ordering::Less => live_above += 1,
                Ordering::Equal => return Some(Row::Live(&self.live[*run])),
                Ordering::Greater => break,
            }
        }
        let place = row - live_above;
        (place < self.recorded.ids.len()).then_some(Row::Recorded(RecordedRow { table: &self.recorded, place }))
    }

    /// The rows from one on.
    pub(crate) fn rows_from(&self, first: usize) -> impl Iterator<Item = Row<'_>> {
        (first..self.len()).map_while(|row| self.row(row))
    }

    /// The row of a run.
    pub(crate) fn position(&self, run_id: &RunId) -> Option<usize> {
        let live = self.places.iter().position(|(_, run)| self.live[*run].id == *run_id);
        if let Some(index) = live {
            return Some(self.places[index].0 + index);
        }
        let place = self.recorded.ids.iter().position(|known| known == run_id)?;
        Some(place + self.places.partition_point(|(before, _)| *before <= place))
    }

    /// The numbers of a column, in no order.
    pub(crate) fn numbers(&self, field: &Field) -> impl Iterator<Item = f64> {
        let column = self.recorded.fields.iter().position(|known| known == field);
        let recorded = column.into_iter().flat_map(|column| &self.recorded.columns[column]);
        let live = self.places.iter().filter_map(|(_, run)| match field.of(&self.live[*run]) {
            Some(Value::Number(value)) => Some(value),
            _ => None,
        });
        let number = |brief: &Brief| if let Brief::Number(value) = brief { Some(*value) } else { None };
        recorded.filter_map(number).chain(live.collect::<Vec<_>>())
    }

    /// The different texts of a column, in no order.
    pub(crate) fn texts(&self, field: &Field) -> BTreeSet<&str> {
        let column = self.recorded.fields.iter().position(|known| known == field);
        let used: BTreeSet<u32> = column
            .into_iter()
            .flat_map(|column| &self.recorded.columns[column])
            .filter_map(|brief| if let Brief::Text(text) = brief { Some(*text) } else { None })
            .collect();
        used.into_iter().filter_map(|text| Some(&**self.recorded.texts.get(text as usize)?)).collect()
    }

    /// A table of runs that are all at hand, as where there is no database.
    pub(crate) fn of_runs(runs: Vec<Run>, spec: &TableSpec, choose: ChooseFields<'_>) -> Self {
        let shown = runs.into_iter().filter(|run| run.removed.is_none());
        let (live, recorded): (Vec<Run>, Vec<Run>) = shown.partition(|run| run.status == RunStatus::Running);
        let search = Search { query: spec.query.as_ref(), sort: &spec.sort, ..Search::default() };
        let hits = select::given(&recorded, &search);
        let wanted: Vec<&Run> = select::page(hits, &search)
            .into_iter()
            .filter_map(|place| if let select::Place::Given(place) = place { recorded.get(place) } else { None })
            .collect();
        let sample: Vec<Run> = wanted.iter().take(SAMPLE).map(|run| (*run).clone()).collect();
        let mut sheet = Recorded { known: recorded.len(), ..Recorded::new(spec, choose, sample, &live) };
        sheet.ids = wanted.iter().map(|run| run.id).collect();
        let mut texts = Texts::default();
        sheet.columns =
            sheet.fields.iter().map(|field| wanted.iter().map(|run| texts.brief(field.of(run))).collect()).collect();
        sheet.texts = Arc::new(texts.texts);
        Self::with_live(Arc::new(sheet), Arc::new(live), Vec::new())
    }

    /// Puts the live runs that are wanted into their places.
    fn with_live(recorded: Arc<Recorded>, live: Arc<Vec<Run>>, live_problems: Vec<String>) -> Self {
        let spec = &recorded.spec;
        let is_wanted = |run: &Run| spec.query.as_ref().is_none_or(|query| query.matches(run));
        let keys: Vec<(Field, bool)> =
            spec.sort.iter().filter_map(|key| Some((key.field()?, key.descending))).collect();
        let mut wanted: Vec<usize> = (0..live.len()).filter(|&run| is_wanted(&live[run])).collect();
        let order = |a: &dyn Fn(&Field) -> Rank, b: &dyn Fn(&Field) -> Rank| {
            keys.iter().map(|(field, descending)| a(field).compare(&b(field), *descending)).find(|order| order.is_ne())
        };
        let rank = |run: &Run, field: &Field| Rank::of(field.of(run));
        let newest_first = |a: (Timestamp, RunId), b: (Timestamp, RunId)| b.cmp(&a);
        wanted.sort_by(|&a, &b| {
            let (a, b) = (&live[a], &live[b]);
            order(&|field| rank(a, field), &|field| rank(b, field))
                .unwrap_or_else(|| newest_first((a.started, a.id), (b.started, b.id)))
        });
        let place_of = |run: &Run| {
            let comes_before = |place: usize| {
                let row = RecordedRow { table: &recorded, place };
                let started = row.started();
                order(&|field| Rank::of(row.value(field)), &|field| rank(run, field))
                    .unwrap_or_else(|| newest_first((started, recorded.ids[place]), (run.started, run.id)))
                    .is_lt()
            };
            let (mut low, mut high) = (0, recorded.ids.len());
            while low < high {
                let middle = low + (high - low) / 2;
                if comes_before(middle) { low = middle + 1 } else { high = middle }
            }
            low
        };
        let places = wanted.into_iter().map(|run| (place_of(&live[run]), run)).collect();
        Self { recorded: recorded.clone(), live, places, live_problems }
    }
}

impl Recorded {
    /// What is settled before the rows are read.
    fn new(spec: &TableSpec, choose: ChooseFields<'_>, mut sample: Vec<Run>, live: &[Run]) -> Self {
        sample.splice(0..0, live.iter().cloned());
        let sorted = spec.sort.iter().filter_map(SortKey::field);
        let mut fields = vec![STARTED];
        for field in spec.fields.iter().cloned().chain(sorted).chain(choose(&sample)) {
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        Self { spec: spec.clone(), fields, ..Self::default() }
    }

    /// The same rows in the order of a spec that asks for nothing else, where their values tell it.
    fn resorted(&self, spec: &TableSpec) -> Option<Self> {
        if (&self.spec.query, &self.spec.fields) != (&spec.query, &spec.fields) {
            return None;
        }
        // Of what is a list, only the words are here.
        let is_plain = |field: &Field| match field {
            Field::Metric(..) | Field::Param(_) | Field::Tag(_) => true,
            Field::Attribute(attribute) => {
                matches!(attribute, Attribute::Name | Attribute::Status | Attribute::Started | Attribute::Duration)
            }
            Field::Fact(_) => false,
        };
        let keys: Vec<Field> = spec.sort.iter().map(SortKey::field).collect::<Option<_>>()?;
        if !keys.iter().all(|field| is_plain(field) && self.fields.contains(field)) {
            return None;
        }
        let ranked = |place: usize| {
            let row = RecordedRow { table: self, place };
            let ranks: Vec<Rank> = keys.iter().map(|field| Rank::of(row.value(field))).collect();
            (ranks, row.started(), self.ids[place])
        };
        let mut rows: Vec<_> = (0..self.ids.len()).map(|place| (ranked(place), place)).collect();
        rows.sort_unstable_by(|((ranks, started, id), _), ((others, other_started, other_id), _)| {
            let by_keys = ranks.iter().zip(others).zip(&spec.sort).map(|((a, b), key)| a.compare(b, key.descending));
            by_keys.fold(Ordering::Equal, Ordering::then).then_with(|| (other_started, other_id).cmp(&(started, id)))
        });
        let places: Vec<usize> = rows.into_iter().map(|(_, place)| place).collect();
        Some(Self {
            spec: spec.clone(),
            tip: self.tip,
            hidden: self.hidden.clone(),
            fields: self.fields.clone(),
            ids: places.iter().map(|place| self.ids[*place]).collect(),
            columns: self.columns.iter().map(|column| places.iter().map(|place| column[*place]).collect()).collect(),
            texts: self.texts.clone(),
            known: self.known,
            problems: self.problems.clone(),
        })
    }
}

impl<'t> RecordedRow<'t> {
    fn value(&self, field: &Field) -> Option<Value<'t>> {
        let column = self.table.fields.iter().position(|known| known == field)?;
        Some(match self.table.columns[column][self.place] {
            Brief::Missing => return None,
            Brief::Number(value) => Value::Number(value),
            Brief::Text(text) => Value::Text(std::borrow::Cow::Borrowed(self.table.texts.get(text as usize)?)),
            Brief::Moment(time) => Value::Moment(Timestamp::from_microsecond(time).ok()?),
            Brief::Truth(value) => Value::Truth(value),
        })
    }

    fn started(&self) -> Timestamp {
        match self.value(&STARTED) {
            Some(Value::Moment(time)) => time,
            _ => Timestamp::UNIX_EPOCH,
        }
    }
}

impl<'t> Row<'t> {
    /// The run's id.
    pub(crate) fn id(&self) -> RunId {
        match self {
            Self::Recorded(row) => row.table.ids[row.place],
            Self::Live(run) => run.id,
        }
    }

    /// A value of the run; none where it has none, and of a field that the table does not have.
    pub(crate) fn value(&self, field: &Field) -> Option<Value<'t>> {
        match self {
            Self::Recorded(row) => row.value(field),
            Self::Live(run) => field.of(run),
        }
    }

    /// When the run started.
    pub(crate) fn started(&self) -> Timestamp {
        match self {
            Self::Recorded(row) => row.started(),
            Self::Live(run) => run.started,
        }
    }
}

/// Texts, each kept once.
#[derive(Debug, Default)]
struct Texts {
    texts: Vec<Box<str>>,
    places: HashMap<Box<str>, u32>,
}

impl Texts {
    fn brief(&mut self, value: Option<Value<'_>>) -> Brief {
        match value {
            None => Brief::Missing,
            Some(Value::Number(value)) => Brief::Number(value),
            Some(Value::Text(text)) => self.place(&text),
            Some(Value::Moment(time)) => Brief::Moment(time.as_microsecond()),
            Some(Value::Truth(value)) => Brief::Truth(value),
            Some(Value::Items(items)) => {
                let names: Vec<&str> = items.iter().filter_map(|item| Some(&**item.names.last()?)).collect();
                self.place(&names.join(", "))
            }
        }
    }

    fn place(&mut self, text: &str) -> Brief {
        if let Some(place) = self.places.get(text) {
            return Brief::Text(*place);
        }
        // Four thousand million different texts do not fit into the memory before they do not fit into the number.
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.into());
        self.places.insert(text.into(), place);
        Brief::Text(place)
    }
}

impl Catalog {
    /// The table of a spec, with what `choose` adds to its fields; none where it is as it was `before`.
    pub(crate) fn tabulate(
        &self,
        runs: &Runs<'_>,
        spec: &TableSpec,
        choose: ChooseFields<'_>,
        before: Option<&Table>,
    ) -> Result<Option<Table>, RunError> {
        // Live ones first: a run that is recorded meanwhile is then seen twice rather than not at all.
        let (live, problems) = runs.list_live()?;
        let problems: Vec<String> = problems.iter().map(|error| with_causes(error)).collect();
        // The recorded rows of before, if they are still those that there are: as they are, or in another order.
        let still = |hidden: &BTreeSet<RunId>, tip| {
            let recorded = &before?.recorded;
            if recorded.tip != tip || recorded.hidden != *hidden {
                return None;
            }
            if recorded.spec == *spec { Some(recorded.clone()) } else { recorded.resorted(spec).map(Arc::new) }
        };
        let tip = runs.tip()?;
        if live.is_empty()
            && let Some(recorded) = still(&BTreeSet::new(), tip)
        {
            let is_same = |table: &Table| {
                Arc::ptr_eq(&table.recorded, &recorded) && table.live.is_empty() && table.live_problems == problems
            };
            let table = || Table::with_live(recorded.clone(), Arc::default(), problems.clone());
            return Ok((!before.is_some_and(is_same)).then(table));
        }
        let made = self.ask(runs, &|connection| {
            let (unrecorded, hidden_rows, hidden) = unsettled(connection, &live, &|run| runs.is_settled(run))?;
            let tip = super::base::tip(connection)?;
            let recorded = match still(&hidden, tip) {
                Some(recorded) => recorded,
                None => {
                    let sheet = read(connection, spec, choose, &unrecorded, &hidden_rows)?;
                    Arc::new(Recorded { tip, hidden, ..sheet })
                }
            };
            Ok((recorded, unrecorded))
        })?;
        Ok(match made {
            Some((recorded, unrecorded)) => {
                let is_reused = before.is_some_and(|table| Arc::ptr_eq(&table.recorded, &recorded));
                let is_still = before.is_some_and(|table| *table.live == unrecorded && table.live_problems == problems);
                let table = || Table::with_live(recorded.clone(), Arc::new(unrecorded.clone()), problems.clone());
                (!(is_reused && is_still)).then(table)
            }
            None => Some(Table::of_runs(runs.list()?.0, spec, choose)),
        })
    }
}

/// The live runs whose folders know better than what is recorded, and the rows and ids of those that are recorded too.
type Unsettled = (Vec<Run>, BTreeSet<i64>, BTreeSet<RunId>);

fn unsettled(connection: &Connection, live: &[Run], is_settled: &dyn Fn(&Run) -> bool) -> Result<Unsettled, BaseError> {
    let (mut unrecorded, mut rows, mut ids) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for run in live {
        match select::record_of(connection, &run.id)? {
            Some((_, record)) if is_settled(&record) => continue,
            Some((row, _)) => {
                rows.insert(row);
                ids.insert(run.id);
            }
            None => {}
        }
        if run.removed.is_none() {
            unrecorded.push(run.clone());
        }
    }
    Ok((unrecorded, rows, ids))
}

fn read(
    connection: &Connection,
    spec: &TableSpec,
    choose: ChooseFields<'_>,
    live: &[Run],
    hidden: &BTreeSet<i64>,
) -> Result<Recorded, BaseError> {
    let search = Search { query: spec.query.as_ref(), sort: &spec.sort, ..Search::default() };
    let (hits, rows) = select::in_order(select::recorded(connection, &search, hidden)?, &search);
    let sample = select::fetch(connection, &rows[..rows.len().min(SAMPLE)])?;
    let mut sheet = Recorded::new(spec, choose, sample, live);
    sheet.ids = hits;
    sheet.problems = Arc::new(super::problems_in(connection)?);
    let mut by_block: BTreeMap<i64, Vec<(u8, usize)>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        by_block.entry(select::block_of(*row)).or_default().push((select::slot_of(*row), place));
    }
    let mut texts = Texts::default();
    let fields = std::mem::take(&mut sheet.fields);
    let mut cells = vec![vec![Brief::Missing; rows.len()]; fields.len()];
    let (started, removed) = (STARTED, REMOVED);
    let columns = Columns::of(connection, [&started, &removed].into_iter().chain(&fields))?;
    let mut known = 0;
    columns.each_block(&mut |block| {
        let is_known = |slot: u8| !hidden.contains(&block.row(slot)) && block.value(slot, &removed).is_none();
        known += block.runs().filter(|slot| is_known(*slot)).count();
        for (slot, place) in by_block.get(&block.number()).into_iter().flatten() {
            for (field, column) in fields.iter().zip(&mut cells) {
                column[*place] = texts.brief(block.value(*slot, field));
            }
        }
        Ok(())
    })?;
    drop(columns);
    (sheet.fields, sheet.columns, sheet.known, sheet.texts) = (fields, cells, known, Arc::new(texts.texts));
    Ok(sheet)
}
