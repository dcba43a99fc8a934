use proptest::prelude::*;

use super::*;
use crate::id::{CommitId, RunId};
use crate::run::{MetricSummary, RunStatus};

/// The summary of one point.
fn metric(last: f64) -> MetricSummary {
    MetricSummary { last, min: last, max: last, best_step: 0, count: 1, last_step: 0, last_time: Timestamp::UNIX_EPOCH }
}

fn run() -> Run {
    let commit: CommitId = "0123456789012345678901234567890123456789".parse().unwrap();
    let id: RunId = "0192f0c1a2b37def8123456789abcdef".parse().unwrap();
    let text = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Run {
        id,
        name: "brave-otter-12".to_owned(),
        status: RunStatus::Finished,
        experiment: Some("cnn".to_owned()),
        commit: Some(commit),
        snapshot: Some(commit),
        dirty: true,
        branch: None,
        started: "2026-11-20T08:00:00Z".parse().unwrap(),
        ended: Some("2026-11-20T10:00:00Z".parse().unwrap()),
        duration_s: Some(7200.0),
        cpu_s: None,
        exit_code: Some(0),
        signal: None,
        reason: None,
        note: None,
        removed: None,
        user: "ada".to_owned(),
        host: "laptop".to_owned(),
        command: vec!["python".to_owned(), "train.py".to_owned()],
        folder: None,
        seed: Some(7),
        params: text(&[("lr", "0.10"), ("optimizer", "adam"), ("a b", "it's"), ("layers", "10")]),
        metrics: [("val_accuracy", 0.95), ("val/f1 score", 0.5), ("loss", f64::NAN)]
            .map(|(name, value)| (name.to_owned(), metric(value)))
            .into(),
        tags: text(&[("mlflow.note", "Good Run")]),
        inputs: Vec::new(),
        datasets: Vec::new(),
        outputs: Vec::new(),
        left_out: Default::default(),
        followed: Default::default(),
        environment: Default::default(),
    }
}

fn now() -> Timestamp {
    "2026-11-21T09:00:00Z".parse().unwrap()
}

fn is_true(query: &str) -> bool {
    Query::parse_at(query, now()).unwrap_or_else(|error| panic!("{query}: {error}")).matches(&run())
}

fn error(query: &str) -> String {
    Query::parse_at(query, now()).expect_err(query).to_string()
}

#[test]
fn what_mlflow_accepts_means_the_same() {
    for query in [
        "",
        "metrics.val_accuracy > 0.9",
        "metric.val_accuracy >= .95 and metrics.val_accuracy <= 9.5e-1",
        "metrics.\"val/f1 score\" = 0.5",
        "metrics.`val/f1 score` < 1",
        "params.optimizer = 'adam' AND parameters.optimizer != \"sgd\"",
        "params.\"a b\" = 'it''s'",
        "params.optimizer LIKE 'a%m' and params.optimizer ILIKE 'A_AM'",
        "tags.mlflow.note ilike '%good%' and tag.`mlflow.note` like 'Good%'",
        "attributes.status = 'FINISHED' and status = 'finished'",
        "attribute.run_name IN ('x', 'brave-otter-12') and name not in ('x')",
        "run_id = '0192f0c1a2b37def8123456789abcdef'",
        "start_time > 1763000000000 and attributes.end_time < 4000000000000",
        "params.missing IS NULL and params.lr IS NOT NULL",
    ] {
        assert!(is_true(query), "{query}");
    }
}

#[test]
fn more_than_mlflow_accepts() {
    for query in [
        "(status = 'failed' or metrics.val_accuracy > 0.9) and not user = 'bob'",
        "dirty",
        "dirty = true and not dirty != 'true'",
        "duration > 1h and duration <= 2 hours",
        "duration >= 1h30m and duration = 7200 and duration < '3h'",
        "started > 2 days ago and started < 1d ago",
        "started > yesterday and started >= '2026-11-20' and started < 2026-11-20T08:00:01Z",
        "started < today",
        "params.lr = 0.1 and params.layers > '9' and params.layers > 9.5",
        "commit = 0123456 and snapshot != 'ffff'",
        "status in (finished, failed)",
        "command like '%train.py%' and exit_code = 0 and seed = 7",
        "name not like 'x%'",
    ] {
        assert!(is_true(query), "{query}");
    }
    assert!(!is_true("not dirty"));
    assert!(!is_true("metrics.missing != 3"), "nothing is known of what is not there");
    assert!(!is_true("metrics.loss < 1") && !is_true("metrics.loss > 1") && is_true("metrics.loss != 1"));
}

#[test]
fn artifacts_data_sets_commits_and_aspects_can_be_asked_for() {
    let mut run = run();
    let artifact = crate::id::ArtifactId::from_bytes([0xab; 32]);
    let path = crate::files::RelPath::new("data/x").unwrap();
    run.inputs = vec![crate::run::RunInput { path, name: "wine".to_owned(), id: artifact }];
    let dataset = |name: &str| crate::run::RunDataset {
        name: name.to_owned(),
        digest: "0f1e".to_owned(),
        source_type: "local".to_owned(),
        source: String::new(),
        schema: None,
        profile: None,
        tags: [("mlflow.data.context".to_owned(), "train".to_owned())].into(),
    };
    run.datasets = vec![dataset("a"), dataset("b")];
    run.note = Some("Look again".to_owned());
    run.status = RunStatus::Crashed;
    if let Some(metric) = run.metrics.get_mut("val_accuracy") {
        (metric.min, metric.max, metric.count) = (0.25, 0.75, 12);
    }
    let is_true =
        |query: &str| Query::parse_at(query, now()).unwrap_or_else(|error| panic!("{query}: {error}")).matches(&run);
    for query in [
        "input = data/x and input = wine and input = 'ABAB' and inputs in ('no', 'data/x') and input like 'data/%'",
        "input != data/y and not input != data/x and input not in (data/z) and input is not null",
        "output is null and output != model and not output = model",
        "dataset.name = 'a' and datasets.name != 'a' and dataset.digest IN ('0f1e') and dataset.context LIKE 'tr%'",
        "note ilike 'look%' and author = 'ada' and removed is null",
        "min(metrics.val_accuracy) = 0.25 and MAX(metric.`val_accuracy`) > 0.5 and best(metrics.val_accuracy) = 0.75",
        "count(metrics.val_accuracy) >= 12 and last(metrics.val_accuracy) = metrics.val_accuracy or dirty",
        "attributes.\"Run Name\" = 'brave-otter-12' and attributes.Created > 0",
        "status = 'FAILED' and status != 'failed' and status in ('FAILED') and status != scheduled",
        "commit in ('0123', 'ffff') and commit not in ('ffff') and commit != '' and id in ('0192f0c1')",
        "not commit in main..HEAD and (commit not in HEAD~5..v1^{} and dirty)",
    ] {
        // A value on the right is not in the grammar.
        if query.contains("= metrics.") {
            assert!(error(query).contains("expected a number"), "{query}");
        } else {
            assert!(is_true(query), "{query}");
        }
    }
    assert_eq!(error("max(params.x) = 1"), "`params.x` is not a metric at column 5");
    assert_eq!(
        error("dataset.nam = 'x'"),
        "of a data set there are `dataset.name`, `dataset.digest` and `dataset.context` at column 1"
    );
    assert_eq!(error("metrcs.x = 1"), "there is no `metrcs.`, did you mean `metrics.`, at column 1");
    assert_eq!(error("dirty adn dirty"), "expected `and` or `or`, found `adn`, did you mean `and`, at column 7");
    assert_eq!(error("user lke 'x'"), "expected an operator, found `lke`, did you mean `like`, at column 6");
    assert_eq!(
        error("commit in "),
        "expected commits such as main..HEAD, or `(` and some ids, found the end at column 11"
    );
    assert_eq!(error("input > 'x'"), "`input` can only be compared with `=` and `!=` at column 7");
}

#[test]
fn and_binds_stronger_than_or() {
    assert!(is_true("user = 'ada' or user = 'ada' and user = 'bob'"));
    assert!(!is_true("(user = 'ada' or user = 'ada') and user = 'bob'"));
}

#[test]
fn errors_say_what_and_where() {
    assert_eq!(error("metrics.acc >"), "expected a number, which `metrics.acc` is, found the end at column 14");
    assert_eq!(error("metrics.acc > 'high'"), "expected a number, which `metrics.acc` is, found 'high' at column 15");
    assert_eq!(error("statu = 'failed'"), "there is no attribute `statu`, did you mean `status`, at column 1");
    assert_eq!(
        error("val_accuracy > 1"),
        "there is no attribute `val_accuracy` (metrics are `metrics.val_accuracy`, parameters `params.val_accuracy`) at \
         column 1"
    );
    assert_eq!(
        error("status = 'done'"),
        "there is no status `done` (there are running, finished, failed, crashed, killed) at column 10"
    );
    assert_eq!(error("user = 'ada"), "the ' is never closed, opened at column 8");
    assert_eq!(error("dirty and ü§"), "unexpected `§` at column 12");
    assert_eq!(error("(dirty"), "expected `)`, found the end at column 7");
    assert_eq!(error("dirty user = 'x'"), "expected `and` or `or`, found `user` at column 7");
    assert_eq!(error("metrics.x like 'a'"), "`metrics.x` is not text, so `like` cannot be used at column 11");
    assert_eq!(error("user > "), "expected text in quotes, found the end at column 8");
    assert_eq!(error("models.x = 1"), "there is no `models.`: use metrics., params., tags. or attributes. at column 1");
    assert_eq!(error("status > 'failed'"), "`status` can only be compared with `=` and `!=` at column 8");
}

#[test]
fn hostile_queries_are_refused() {
    assert!(error(&"(".repeat(60_000)).contains("nested too deeply"));
    assert!(error(&"not ".repeat(10_000)).contains("nested too deeply"));
    assert!(error(&"x".repeat(70_000)).contains("too long"));
    assert!(error("started > 99999999999999999999999999999 years ago").contains("expected a time"));
    let many = vec!["dirty"; 6000].join(" and ");
    assert!(Query::parse(&many).is_ok_and(|query| query.matches(&run())));
}

#[test]
fn like_is_sqls() {
    let cases = [
        ("", "", true),
        ("", "%", true),
        ("abc", "a%c", true),
        ("abc", "%b%", true),
        ("abc", "a_c", true),
        ("abc", "a_", false),
        ("aXbXc", "a%b%c", true),
        ("ABC", "abc", false),
        ("ä", "_", true),
    ];
    for (text, pattern, expected) in cases {
        assert_eq!(is_like(text, pattern, false), expected, "{text} like {pattern}");
    }
    assert!(is_like("ÄBC", "ä%", true));
    assert!(!is_like(&"a".repeat(3000), &"%a".repeat(1000).replace("%a%a", "%aa%b"), false));
}

#[test]
fn sort_keys_are_read_and_missing_values_come_last() {
    let key = |text: &str| SortKey::parse(text).unwrap();
    assert_eq!(key("-metrics.loss"), key("metrics.loss DESC"));
    assert_eq!(key("metric.\"a b\" asc"), SortKey { key: "metrics.\"a b\"".to_owned(), descending: false });
    assert_eq!(key("start_time").key, "started");
    assert!(SortKey::parse("metrics.loss up").is_err());

    let named = |name: &str, value: Option<f64>| {
        let mut run = run();
        run.name = name.to_owned();
        run.metrics.clear();
        if let Some(last) = value {
            run.metrics.insert("loss".to_owned(), metric(last));
        }
        run
    };
    let mut runs =
        vec![named("none", None), named("nan", Some(f64::NAN)), named("high", Some(2.0)), named("low", Some(1.0))];
    let names = |runs: &[Run]| runs.iter().map(|run| run.name.clone()).collect::<Vec<_>>();
    sort(&mut runs, &key("metrics.loss"));
    assert_eq!(names(&runs), ["low", "high", "nan", "none"]);
    sort(&mut runs, &key("-metrics.loss"));
    assert_eq!(names(&runs), ["high", "low", "nan", "none"]);
}

#[test]
fn columns_are_text_for_people() {
    let run = run();
    let cases = [
        ("name", Some("brave-otter-12")),
        ("commit", Some("01234567")),
        ("started", Some("2026-11-20 08:00:00")),
        ("duration", Some("7200.0s")),
        ("metrics.val_accuracy", Some("0.95")),
        ("params.lr", Some("0.10")),
        ("dirty", Some("yes")),
        ("branch", None),
        ("nonsense", None),
    ];
    for (key, expected) in cases {
        assert_eq!(column(&run, key).as_deref(), expected, "{key}");
    }
    assert_eq!(
        [short_number(0.123_456_789), short_number(1e-9), short_number(1e300)],
        ["0.123457", "1.000e-9", "1.000e300"]
    );
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,200}") {
        let _ = Query::parse_at(&text, now()).map(|query| query.matches(&run()));
        let _ = SortKey::parse(&text);
        let _ = column(&run(), &text);
    }

    #[test]
    fn no_likely_text_panics(words in prop::collection::vec(prop::sample::select(vec![
        "metrics.", "metrics.loss", "params.\"a", "tags.`x`", "status", "started", "duration", "dirty", "not", "and", "or",
        "in", "is", "null", "like", "ilike", "(", ")", ",", "=", "!=", ">", "<=", "'x'", "\"", "'", "1", "-1e999", "0x",
        "2", "days", "ago", "1h30m", "2026-11-01", "9999999999999999999", "%", "é", "run_id", "yesterday", ".5", "-",
    ]), 0..12)) {
        let text = words.join(" ");
        let _ = Query::parse_at(&text, now()).map(|query| query.matches(&run()));
        let _ = Query::parse_at(&words.concat(), now());
    }

    #[test]
    fn fields_read_what_they_print(key in "[^\\x00]{1,20}") {
        let field = Field::Param(key);
        prop_assert_eq!(parse::parse_sort_key(&field.to_string()).unwrap().0, field);
    }
}
