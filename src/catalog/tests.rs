#![allow(clippy::disallowed_methods, reason = "tests damage the files of the cache")]

mod tables;

use std::fs;

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;

use super::*;
use crate::files::RelPath;
use crate::git::{Identity, LeftOut, RefCommit, Repository, Submodule, TreeEdit, Untracked};
use crate::id::{ArtifactId, CommitId};
use crate::query;
use crate::run::{Followed, MetricSummary, RUNS_REF, RunDataset, RunInput, RunOutput, RunStatus, Series, WholeRun};

/// Numbers that look random, the same in every test run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize].clone()
    }

    fn some<T>(&mut self, value: T) -> Option<T> {
        (!self.next().is_multiple_of(3)).then_some(value)
    }
}

const TEXTS: [&str; 14] =
    ["adam", "Adam", "0.1", "0.10", " 9", "10", "nan", "", "Größe", "GRÖSSE", "a%b_c", "it's \"so\"", "İ", "finished"];
const NUMBERS: [f64; 9] = [0.0, -0.0, 0.5, 0.95, 1e300, -3.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
const KEYS: [&str; 6] = ["lr", "optimizer", "a b", "ä/ö", "quo\"ted", "x.max"];

fn text(noise: &mut Noise) -> String {
    match noise.next() % 20 {
        // Too long for a column.
        0 => noise.one_of(&TEXTS).to_owned() + &"long ".repeat(400),
        _ => noise.one_of(&TEXTS).to_owned(),
    }
}

fn texts(noise: &mut Noise) -> BTreeMap<String, String> {
    KEYS.iter().filter_map(|key| noise.some(()).map(|()| ((*key).to_owned(), text(noise)))).collect()
}

/// A run that may have anything.
fn random_run(number: u64) -> Run {
    let noise = &mut Noise(number);
    let mut id = [0; 16];
    id[..8].copy_from_slice(&noise.next().to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    // As others make them: without a time.
    id[6] = 0x40 | id[6] & 0x0f;
    let artifact = |byte: u64| ArtifactId::from_bytes([byte as u8; 32]);
    let commit = |byte: u64| CommitId::from_bytes([byte as u8; 20]);
    let started = Timestamp::from_microsecond(1_763_712_000_000_000).unwrap();
    let started = started + SignedDuration::from_micros((noise.next() % 40 * 1_234_567) as i64);
    let metric = |noise: &mut Noise| MetricSummary {
        last: noise.one_of(&NUMBERS),
        min: noise.one_of(&NUMBERS),
        max: noise.one_of(&NUMBERS),
        best_step: noise.next() as i64 % 100,
        count: noise.next() % 100,
        last_step: noise.next() as i64 % 100,
        last_time: started,
    };
    let metrics = KEYS.iter().filter_map(|key| noise.some(()).map(|()| ((*key).to_owned(), metric(noise)))).collect();
    Run {
        id: RunId::from_bytes(id),
        name: format!("run-{}", number % 7),
        status: noise.one_of(&[RunStatus::Finished, RunStatus::Failed, RunStatus::Crashed, RunStatus::Killed]),
        experiment: noise.next().is_multiple_of(2).then(|| noise.one_of(&["cnn", "mlp"]).to_owned()),
        commit: noise.some(commit(number % 5)),
        snapshot: noise.some(commit(number % 3)),
        dirty: noise.next().is_multiple_of(2),
        branch: number.is_multiple_of(2).then(|| text(noise)),
        started,
        ended: noise.some(started + SignedDuration::from_secs(5)),
        duration_s: noise.some(5.0),
        cpu_s: noise.some(0.25),
        exit_code: noise.some(number as i32 % 3 - 1),
        signal: noise.some("SIGTERM".to_owned()),
        reason: noise.some(text(&mut Noise(number + 7))),
        note: noise.some(text(&mut Noise(number + 9))),
        removed: number.is_multiple_of(11).then_some(started),
        user: noise.one_of(&TEXTS).to_owned(),
        host: "laptop".to_owned(),
        command: vec!["python".to_owned(), text(noise)],
        folder: noise.some(RelPath::new("src/a").unwrap()),
        seed: noise.some(u64::MAX - number),
        params: texts(noise),
        metrics,
        tags: texts(noise),
        inputs: noise
            .some(RunInput { path: RelPath::new("data/x").unwrap(), name: "x".to_owned(), id: artifact(number) })
            .into_iter()
            .collect(),
        datasets: (0..number % 3)
            .map(|which| RunDataset {
                name: format!("wine{which}"),
                digest: "0f1e".to_owned(),
                source_type: "local".to_owned(),
                source: "{}".to_owned(),
                schema: noise.some("{}".to_owned()),
                profile: None,
                tags: [("mlflow.data.context".to_owned(), "train".to_owned())].into(),
            })
            .collect(),
        outputs: (0..number % 2)
            .map(|which| RunOutput {
                name: format!("model{which}"),
                artifact_type: "model".to_owned(),
                id: artifact(number),
                files: number,
                bytes: u64::MAX,
                path: noise.some(RelPath::new("out").unwrap()),
            })
            .collect(),
        left_out: LeftOut {
            more: noise.next() % 3,
            untracked: vec![
                Untracked { path: "data/".to_owned(), bytes: None },
                Untracked { path: "new.py".to_owned(), bytes: noise.some(99) },
            ],
            submodules: vec![Submodule { path: "lib".to_owned(), commit: CommitId::from_bytes([7; 20]), dirty: true }],
        },
        followed: Followed { tensorboard: vec![".".to_owned()], csv_logs: vec!["logs".to_owned()] },
        environment: [("os".to_owned(), noise.one_of(&["Debian", "Fedora"]).to_owned())].into(),
    }
}

/// A condition that may be anything, as somebody would write it.
fn random_query(noise: &mut Noise, depth: u32) -> String {
    let quoted = |noise: &mut Noise| format!("'{}'", noise.one_of(&TEXTS).replace('\'', "''"));
    let key = |noise: &mut Noise| format!("\"{}\"", noise.one_of(&KEYS).replace('"', "\"\""));
    let compare = |noise: &mut Noise| noise.one_of(&["=", "!=", "<", "<=", ">", ">="]);
    let equal = |noise: &mut Noise| noise.one_of(&["=", "!="]);
    let number = |noise: &mut Noise| noise.one_of(&["0", "0.5", "-3", "0.95", "1e300", "10"]);
    if depth > 0 && noise.next().is_multiple_of(2) {
        let (a, b) = (random_query(noise, depth - 1), random_query(noise, depth - 1));
        return match noise.next() % 3 {
            0 => format!("({a}) and ({b})"),
            1 => format!("({a}) or ({b})"),
            _ => format!("not ({a})"),
        };
    }
    match noise.next() % 18 {
        0 | 1 => format!("metrics.{} {} {}", key(noise), compare(noise), number(noise)),
        2 => {
            let aspect = noise.one_of(&["min", "max", "best", "last", "count", "best_step"]);
            format!("{aspect}(metrics.{}) {} {}", key(noise), compare(noise), number(noise))
        }
        3 => format!("params.{} {} {}", key(noise), compare(noise), quoted(noise)),
        4 => format!("params.{} {} {}", key(noise), compare(noise), number(noise)),
        5 => format!(
            "tags.{} {} '%{}%'",
            key(noise),
            noise.one_of(&["like", "not ilike"]),
            noise.one_of(&["a", "ö", "_"])
        ),
        6 => format!("tags.{} in ({}, {})", key(noise), quoted(noise), quoted(noise)),
        7 => format!(
            "{}.{} is {}null",
            noise.one_of(&["params", "tags", "metrics"]),
            key(noise),
            noise.one_of(&["", "not "])
        ),
        8 => format!("status {} {}", equal(noise), noise.one_of(&["finished", "'FAILED'", "killed"])),
        9 => format!("commit {} {}", equal(noise), noise.one_of(&["'0101'", "'02'", "''"])),
        10 => format!("input {} {}", equal(noise), noise.one_of(&["data/x", "x", "'0202'", "y"])),
        11 => format!("dataset.name {} 'wine1'", noise.one_of(&["=", "!=", "like", "not like"])),
        12 => noise.one_of(&["dirty", "not dirty", "output = model0", "output is null", "duration > 4s"]).to_owned(),
        13 => format!("started {} '2025-11-21T08:00:{}Z'", compare(noise), 10 + noise.next() % 40),
        14 => format!("{} {} {}", noise.one_of(&["note", "reason", "user", "branch"]), compare(noise), quoted(noise)),
        15 => format!("command like '%{}%'", noise.one_of(&["long long", "adam", "Größe"])),
        16 => format!(
            "{} is {}null",
            noise.one_of(&["signal", "seed", "ended", "experiment"]),
            noise.one_of(&["", "not "])
        ),
        _ => format!("exit_code {} {}", compare(noise), number(noise)),
    }
}

struct Place {
    _folder: tempfile::TempDir,
    workspace: Workspace,
}

fn ada() -> Identity {
    Identity { name: "Ada".to_owned(), email: "ada@example.org".to_owned() }
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Repository::init(folder.path()).unwrap();
        let workspace = Workspace::discover(folder.path()).unwrap();
        Self { _folder: folder, workspace }
    }

    fn with_runs(count: u64) -> Self {
        let place = Self::new();
        place.record(0..count);
        place
    }

    fn record(&self, numbers: std::ops::Range<u64>) {
        let whole = |number| WholeRun { run: random_run(number), series: Series::new(), log: Vec::new() };
        self.runs().record_all(numbers.map(whole), &ada()).unwrap();
    }

    fn runs(&self) -> Runs<'_> {
        Runs::new(&self.workspace)
    }

    fn database(&self) -> PathBuf {
        self.workspace.store.root().join("runs.db")
    }

    /// Asserts that a catalog answers from its file, and says the same as the records themselves.
    #[track_caller]
    fn check(&self, catalog: &Catalog) {
        self.check_answers(catalog);
        assert!(matches!(*catalog.base.lock().unwrap(), State::InFile(_)), "the file is of no use");
    }

    #[track_caller]
    fn check_answers(&self, catalog: &Catalog) {
        let runs = self.runs();
        let (all, _) = runs.list().unwrap();
        let found = catalog.search(&runs, &Search { removed: Removed::Shown, ..Search::default() }).unwrap();
        assert_eq!(comparable(&found.runs), comparable(&all));
        assert_eq!((found.total, found.known), (all.len(), all.len()));
    }
}

/// NaN is not equal to itself, and what is printed of it is.
fn comparable(runs: &[Run]) -> Vec<String> {
    runs.iter().map(|run| format!("{run:?}")).collect()
}

#[test]
fn every_answer_is_that_of_the_records_themselves() {
    let place = Place::with_runs(300);
    let runs = place.runs();
    let catalog = Catalog::open(&place.workspace);
    place.check(&catalog);
    let (all, _) = runs.list().unwrap();
    let keys =
        ["metrics.lr", "-params.optimizer", "tags.\"ä/ö\" desc", "started", "duration", "max(metrics.\"a b\")", "name"];
    let mut found_some = 0;
    for number in 0..250 {
        let noise = &mut Noise(number);
        let text = random_query(noise, 3);
        let query = Query::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let sort: Vec<SortKey> = (0..noise.next() % 3).map(|_| SortKey::parse(noise.one_of(&keys)).unwrap()).collect();
        let removed = noise.one_of(&[Removed::Hidden, Removed::Shown, Removed::Only]);
        let of_cnn = |experiment: Option<&str>| experiment != Some("cnn");
        let experiments: Option<OfExperiment<'_>> = if number % 5 == 0 { Some(&of_cnn) } else { None };
        let (offset, limit) = (noise.next() as usize % 4, noise.some(10));
        let search = Search { query: Some(&query), sort: &sort, experiments, removed, offset, limit };

        let mut expected: Vec<Run> = all
            .iter()
            .filter(|run| removed.admits(run.removed.is_some()) && query.matches(run))
            .filter(|run| number % 5 != 0 || of_cnn(run.experiment.as_deref()))
            .cloned()
            .collect();
        sort.iter().rev().for_each(|key| query::sort(&mut expected, key));
        let total = expected.len();
        let page: Vec<Run> = expected.into_iter().skip(offset).take(limit.unwrap_or(usize::MAX)).collect();

        let found = catalog.search(&runs, &search).unwrap();
        assert_eq!(comparable(&found.runs), comparable(&page), "{text}, {sort:?}");
        assert_eq!(found.total, total, "{text}");
        found_some += usize::from(total > 0 && total < all.len());
    }
    assert!(found_some > 125, "{found_some} queries tell runs apart");
    place.check(&catalog);
}

#[test]
fn what_changes_in_git_changes_here() {
    let place = Place::with_runs(300);
    let runs = place.runs();
    let catalog = Catalog::open(&place.workspace);
    place.check(&catalog);
    place.record(300..310);
    place.check(&catalog);
    // A value that a run had alone is gone from its column.
    let id = random_run(42).id;
    let change = |run: &mut Run| {
        run.params = [("only here".to_owned(), "yes".to_owned())].into();
        run.note = Some("changed".to_owned());
    };
    runs.amend(&id, "change", &mut change.clone()).unwrap();
    place.check(&catalog);
    let query = Query::parse("params.\"only here\" = 'yes' and note = 'changed'").unwrap();
    let search = Search { query: Some(&query), removed: Removed::Shown, ..Search::default() };
    assert_eq!(catalog.search(&runs, &search).unwrap().runs[0].id, id);
    assert!(catalog.names(&runs).unwrap().params.contains("only here"));
    runs.amend(&id, "change back", &mut |run| run.params.clear()).unwrap();
    assert_eq!(catalog.search(&runs, &search).unwrap().total, 0);
    assert!(!catalog.names(&runs).unwrap().params.contains("only here"));

    // Another process looks, and the ref goes back, elsewhere, and away.
    let tip = runs.tip().unwrap().unwrap();
    let repository = &place.workspace.repository;
    let history = repository.first_parents(&tip, 1000).unwrap();
    for target in [history[20].id, history[299].id, tip] {
        repository.hold(RUNS_REF, &target).unwrap();
        place.check(&catalog);
        place.check(&Catalog::open(&place.workspace));
    }
    repository.release(RUNS_REF).unwrap();
    place.check(&catalog);
    assert_eq!(catalog.names(&runs).unwrap(), Names::default());
    place.record(1000..1003);
    place.check(&catalog);
}

#[test]
fn a_record_that_cannot_be_read_is_told_of_until_it_can() {
    let place = Place::with_runs(3);
    let runs = place.runs();
    let catalog = Catalog::open(&place.workspace);
    place.check(&catalog);
    let id = random_run(1).id.to_string();
    let write = |content: &str| {
        let path = format!("{}/{id}/run.toml", &id[30..]);
        let author = ada();
        let commit = RefCommit {
            reference: RUNS_REF,
            expected: runs.tip().unwrap(),
            edits: vec![TreeEdit { path, content: Some(content.as_bytes().to_vec()) }],
            message: "by hand",
            extra_parents: Vec::new(),
            author: &author,
        };
        place.workspace.repository.commit_to_ref(&commit).unwrap();
    };
    let before = String::from_utf8(
        place
            .workspace
            .repository
            .read_at(&runs.tip().unwrap().unwrap(), &format!("{}/{id}/run.toml", &id[30..]), 1 << 20)
            .unwrap()
            .unwrap(),
    )
    .unwrap();
    write("no record");
    for catalog in [&catalog, &Catalog::open(&place.workspace)] {
        let found = catalog.search(&runs, &Search::default()).unwrap();
        assert!(found.runs.iter().all(|run| run.id.to_string() != id));
        let problems: Vec<String> = found.problems.iter().map(RunError::to_string).collect();
        assert_eq!(problems, runs.list().unwrap().1.iter().map(RunError::to_string).collect::<Vec<_>>());
        assert!(problems[0].contains(&id), "{problems:?}");
    }
    write(&before);
    assert_eq!(catalog.search(&runs, &Search::default()).unwrap().problems.len(), 0);
    place.check(&catalog);
}

#[test]
fn a_damaged_a_foreign_and_a_missing_file_are_made_anew() {
    let place = Place::with_runs(300);
    let fresh = || {
        let catalog = Catalog::open(&place.workspace);
        place.check(&catalog);
        drop(catalog);
        // All that is in the log is in the file, so that damage to the file is damage.
        let connection = Connection::open(place.database()).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(connection);
        fs::read(place.database()).unwrap()
    };
    let whole = fresh();
    assert!(whole.len() > 100_000);
    let damage = |bytes: Vec<u8>| {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", place.database().display()));
        }
        fs::write(place.database(), bytes).unwrap();
        place.check(&Catalog::open(&place.workspace));
    };
    damage(Vec::new());
    damage(b"SQLite format 3\0 and then nothing of it".to_vec());
    damage(b"something else".repeat(5000));
    damage(whole[..whole.len() / 2].to_vec());
    for number in 0..12 {
        let mut bytes = whole.clone();
        let at = Noise(number).next() as usize % bytes.len();
        bytes[at..].iter_mut().take(40).for_each(|byte| *byte = !*byte);
        damage(bytes);
    }
    fresh();
    let connection = Connection::open(place.database()).unwrap();
    connection.pragma_update(None, "user_version", 77).unwrap();
    drop(connection);
    place.check(&Catalog::open(&place.workspace));
    let connection = Connection::open(place.database()).unwrap();
    connection.execute_batch("DROP TABLE cells").unwrap();
    drop(connection);
    place.check(&Catalog::open(&place.workspace));
    // While it is open.
    let catalog = Catalog::open(&place.workspace);
    place.check(&catalog);
    fs::remove_file(place.database()).unwrap();
    place.check(&catalog);
    place.check(&Catalog::open(&place.workspace));
    place.record(400..405);
    place.check(&catalog);
}

#[test]
fn without_a_file_the_answer_is_the_same() {
    let place = Place::with_runs(20);
    // A folder where the file should be cannot be opened, removed or written, whoever tries.
    fs::create_dir(place.database()).unwrap();
    let catalog = Catalog::open(&place.workspace);
    place.check_answers(&catalog);
    place.record(20..25);
    place.check_answers(&catalog);
    assert!(matches!(*catalog.base.lock().unwrap(), State::InMemory(_)));
    assert_eq!(catalog.find(&place.runs(), &random_run(3).id.to_string()[..20]).unwrap().id, random_run(3).id);
}

#[test]
fn many_at_once_get_the_same_answers() {
    let place = Place::with_runs(300);
    let ids: Vec<u64> = (0..8).collect();
    ids.par_iter().for_each(|number| {
        let catalog = Catalog::open(&place.workspace);
        let runs = place.runs();
        for round in 0..3 {
            let found = catalog.search(&runs, &Search { removed: Removed::Shown, ..Search::default() }).unwrap();
            assert!(found.total >= 300, "{}", found.total);
            if number % 4 == 0 {
                place.record(1000 + number * 10 + round..1001 + number * 10 + round);
            }
        }
    });
    place.check(&Catalog::open(&place.workspace));
}

#[test]
fn runs_are_found_by_what_people_call_them() {
    let place = Place::with_runs(300);
    let runs = place.runs();
    let catalog = Catalog::open(&place.workspace);
    let (all, _) = runs.list().unwrap();
    let shown: Vec<&Run> = all.iter().filter(|run| run.removed.is_none()).collect();
    let same = |wanted: &str| {
        let (one, other) = (catalog.find(&runs, wanted), runs.find(wanted));
        match (&one, &other) {
            (Ok(one), Ok(other)) => assert_eq!(one.id, other.id, "{wanted}"),
            (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string(), "{wanted}"),
            _ => panic!("{wanted}: {one:?} and {other:?}"),
        }
        one.map(|run| run.id).ok()
    };
    assert_eq!(same("@"), Some(shown[0].id));
    assert_eq!(same("@~7"), Some(shown[7].id));
    assert_eq!(same("@~1000"), None);
    assert_eq!(same(&all[5].id.to_string()), Some(all[5].id));
    assert_eq!(same(&all[5].id.to_string()[..16].to_uppercase()), Some(all[5].id));
    assert_eq!(same("run-3"), None, "several are called so");
    assert_eq!(same("0000"), None);
    runs.amend(&all[9].id, "rename", &mut |run| run.name = "the \"one\"".to_owned()).unwrap();
    assert_eq!(same("the \"one\""), Some(all[9].id));
    runs.amend(&all[8].id, "rename", &mut |run| {
        run.name = "the \"one\"".to_owned();
        run.removed = Some(run.started);
    })
    .unwrap();
    assert_eq!(same("the \"one\"").is_some(), all[9].removed.is_none());
}
