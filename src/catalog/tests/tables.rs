//! Tables have the rows that a search finds, in its order, wherever their values come from.

use super::super::table::{Row, Table, TableSpec};
use super::*;
use crate::query::{Aspect, Field, Value};

fn fields() -> Vec<Field> {
    let named = [Field::Metric("lr".to_owned(), Aspect::Last), Field::Param("optimizer".to_owned())];
    let attributes = ["name", "status", "started", "duration", "commit", "dirty"];
    let parsed = attributes.map(|name| SortKey::parse(name).unwrap().field().unwrap());
    named.into_iter().chain(parsed).collect()
}

fn spec(query: Option<&str>, sort: &[&str]) -> TableSpec {
    TableSpec {
        query: query.map(|text| Query::parse(text).unwrap()),
        sort: sort.iter().map(|key| SortKey::parse(key).unwrap()).collect(),
        fields: fields(),
    }
}

const SPECS: [(Option<&str>, &[&str]); 4] = [
    (None, &[]),
    (Some("status = finished or params.optimizer = 'adam'"), &["-metrics.lr"]),
    (Some("duration > 1s"), &["params.optimizer", "name desc"]),
    (Some("name = 'no such run'"), &["started"]),
];

/// A value as it is kept: times to the microsecond.
fn kept(value: Option<Value<'_>>) -> String {
    match value {
        Some(Value::Moment(time)) => time.as_microsecond().to_string(),
        value => format!("{value:?}"),
    }
}

#[track_caller]
fn assert_rows(table: &Table, expected: &[Run]) {
    assert_eq!(table.len(), expected.len());
    for (place, run) in expected.iter().enumerate() {
        let row = table.row(place).unwrap();
        assert_eq!(row.id(), run.id, "row {place}");
        assert_eq!(table.position(&run.id), Some(place));
        for field in fields() {
            assert_eq!(kept(row.value(&field)), kept(field.of(run)), "{field} of row {place}");
        }
    }
    assert!(table.row(expected.len()).is_none());
}

#[test]
fn tables_have_the_rows_that_a_search_finds() {
    let place = Place::with_runs(300);
    let (runs, catalog) = (place.runs(), Catalog::open(&place.workspace));
    let (all, _) = runs.list().unwrap();
    for (query, sort) in SPECS {
        let spec = spec(query, sort);
        let search = Search { query: spec.query.as_ref(), sort: &spec.sort, ..Search::default() };
        let expected = catalog.search(&runs, &search).unwrap().runs;
        let table = catalog.tabulate(&runs, &spec, &|_| Vec::new(), None).unwrap().unwrap();
        assert_rows(&table, &expected);
        assert_eq!(table.known(), all.iter().filter(|run| run.removed.is_none()).count());
        assert!(catalog.tabulate(&runs, &spec, &|_| Vec::new(), Some(&table)).unwrap().is_none(), "nothing changed");
        runs.set_note(&all[0], "look again").unwrap();
        assert!(catalog.tabulate(&runs, &spec, &|_| Vec::new(), Some(&table)).unwrap().is_some());
        runs.set_note(&all[0], "").unwrap();
    }
}

#[test]
fn another_order_of_the_same_rows_is_that_of_a_search() {
    let place = Place::with_runs(300);
    let (runs, catalog) = (place.runs(), Catalog::open(&place.workspace));
    for (query, _) in SPECS {
        let mut before = catalog.tabulate(&runs, &spec(query, &[]), &|_| Vec::new(), None).unwrap().unwrap();
        let orders: [&[&str]; 5] =
            [&["-metrics.lr"], &["params.optimizer", "name desc"], &["started"], &["commit"], &["status", "-duration"]];
        for sort in orders {
            let spec = spec(query, sort);
            let search = Search { query: spec.query.as_ref(), sort: &spec.sort, ..Search::default() };
            let table = catalog.tabulate(&runs, &spec, &|_| Vec::new(), Some(&before)).unwrap().unwrap();
            assert_rows(&table, &catalog.search(&runs, &search).unwrap().runs);
            before = table;
        }
    }
}

#[test]
fn live_runs_stand_where_they_would_if_they_were_recorded() {
    let mut live = 0;
    for (query, sort) in SPECS {
        let spec = spec(query, sort);
        let mut runs: Vec<Run> = (0..200).map(random_run).filter(|run| run.removed.is_none()).collect();
        for (place, run) in runs.iter_mut().enumerate() {
            run.status = if place % 9 == 0 { RunStatus::Running } else { RunStatus::Finished };
        }
        let mut expected: Vec<Run> =
            runs.iter().filter(|run| spec.query.as_ref().is_none_or(|query| query.matches(run))).cloned().collect();
        expected.sort_by_key(|run| std::cmp::Reverse((run.started, run.id)));
        spec.sort.iter().rev().for_each(|key| query::sort(&mut expected, key));
        let table = Table::of_runs(runs, &spec, &|_| Vec::new());
        assert_rows(&table, &expected);
        live += table.rows_from(0).filter(|row| matches!(row, Row::Live(_))).count();
    }
    assert!(live > 30, "{live} live runs were looked at");
}

#[test]
fn fields_that_a_look_at_the_runs_suggests_are_read_too() {
    let place = Place::with_runs(40);
    let (runs, catalog) = (place.runs(), Catalog::open(&place.workspace));
    let tag = Field::Tag("lr".to_owned());
    let choose = |sample: &[Run]| if sample.len() > 20 { vec![tag.clone()] } else { Vec::new() };
    let table = catalog.tabulate(&runs, &TableSpec::default(), &choose, None).unwrap().unwrap();
    let (all, _) = runs.list().unwrap();
    let expected: BTreeSet<String> =
        all.iter().filter(|run| run.removed.is_none()).filter_map(|run| run.tags.get("lr").cloned()).collect();
    let shown: BTreeSet<String> = table.texts(&tag).into_iter().map(str::to_owned).collect();
    assert!(table.fields().contains(&tag) && shown == expected, "{shown:?}");
}
