//! What the writers make of runs that anybody may have written.

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::run::MetricSummary;

/// Texts that mean something to Markdown, HTML, XML, a forge or a terminal.
const HOSTILE: [&str; 14] = [
    "<script>alert(1)</script>",
    "</code></td></table><img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>",
    "a | b \\| c \\",
    "`code` ``more``",
    "@everyone #1 !1 owner/repo#2 GH-3",
    "[x](javascript:alert(1)) ![y](http://example.com/z.png)",
    "http://example.com www.example.com a@example.com",
    "-->\n<!-- git-ml report -->",
    "\u{1b}[2J\u{202e}rtl\u{0}\u{ffff}",
    "{{ secrets }} ${{ github.token }} $(id) `id`",
    "&lt;b&gt; &#64;team ]]>",
    "    ",
    "",
];

fn summary(last: f64) -> MetricSummary {
    let last_time = Timestamp::UNIX_EPOCH;
    MetricSummary { last, min: last, max: last, best_step: 0, count: 1, last_step: 0, last_time }
}

fn measured(number: u8, texts: &[&str], value: f64) -> Measured {
    let mut run = Run::begun(RunId::from_bytes([number; 16]), Timestamp::UNIX_EPOCH);
    let text = |index: usize| texts[index % texts.len()].to_owned();
    run.name = text(0);
    run.experiment = Some(text(1));
    run.reason = Some(text(2));
    run.note = Some(text(3));
    for (index, name) in texts.iter().enumerate() {
        run.metrics.insert((*name).to_owned(), summary(value + index as f64));
        run.params.insert((*name).to_owned(), text(index + usize::from(number)));
    }
    let curve = Curve { points: vec![(0, value), (1, value + 1.0)] };
    Measured { curves: texts.iter().map(|name| ((*name).to_owned(), curve.clone())).collect(), run }
}

fn report(texts: &[&str], entries: usize) -> Report {
    let entry = Entry {
        title: texts[1 % texts.len()].to_owned(),
        here: measured(1, texts, 0.5),
        standing: Some(Standing::Older(2)),
        base: Some(measured(2, texts, 0.4)),
        others: vec![measured(3, texts, 0.3).run],
        stale_inputs: texts.iter().map(|text| (*text).to_owned()).collect(),
    };
    let commit = CommitId::from_bytes([7; 20]);
    let looked = |text: &str| crate::gate::Looked {
        what: text.to_owned(),
        value: text.into(),
        origin: crate::gate::Origin::default(),
        reason: None,
    };
    let condition = |text: &&str| crate::gate::Checked {
        condition: (*text).to_owned(),
        passed: false,
        known: true,
        looked: vec![looked(text)],
    };
    let outcome = Outcome {
        gate: texts[0].to_owned(),
        subject: texts[0].to_owned(),
        passed: false,
        conditions: texts.iter().map(condition).collect(),
    };
    let gates = vec![Judgement { gate: texts[0].to_owned(), outcomes: vec![outcome] }];
    let against = Against { revision: texts[0].to_owned(), base: commit, tip: commit, commits: 3, runs: 2 };
    Report {
        against: Some(against),
        entries: vec![entry; entries],
        gates,
        data: Vec::new(),
        events: Vec::new(),
        unreadable: 1,
    }
}

/// The tags of some HTML or XML.
fn tags(text: &str) -> BTreeMap<String, usize> {
    let mut tags = BTreeMap::new();
    for tag in text.split('<').skip(1) {
        let name = tag.split([' ', '>', '\n']).next().unwrap_or_default();
        *tags.entry(name.to_owned()).or_default() += 1;
    }
    tags
}

#[test]
fn hostile_texts_add_no_tag_to_a_page_or_a_picture() {
    let plain: Vec<String> = (0..HOSTILE.len()).map(|index| format!("plain{index}")).collect();
    let plain: Vec<&str> = plain.iter().map(String::as_str).collect();
    let (tame, hostile) = (report(&plain, 2), report(&HOSTILE, 2));
    let count = |report: &Report| {
        let mut tags = tags(&report.html());
        // An empty text is told in words.
        tags.retain(|tag, _| !tag.ends_with("code"));
        tags
    };
    assert_eq!(count(&hostile), count(&tame));
    let picture = hostile.picture().unwrap();
    assert_eq!(tags(&picture), tags(&tame.picture().unwrap()));
    assert!(!picture.contains(['\0', '\u{1b}', '\u{ffff}', '\u{202e}']));
    for text in [hostile.html(), hostile.markdown(None)] {
        assert!(!text.contains(['\u{1b}', '\u{202e}', '\0']), "{text}");
    }
    assert!(!tags(&hostile.html()).contains_key("script"));
}

#[test]
fn hostile_texts_stay_in_code_spans() {
    let text = report(&HOSTILE, 1).markdown(None);
    assert_eq!(text.lines().filter(|line| line.contains("<!--") && !line.contains('`')).count(), 1, "{text}");
    assert!(text.starts_with(&format!("{MARKER}\n")));
    // Without what stands in code spans there is nothing that a forge looks for.
    let ours: String = text.lines().map(without_code).collect::<Vec<_>>().join("\n");
    for sign in ["@", "http", "www.", "](", "script", "onerror", "$"] {
        assert!(!ours.contains(sign), "{sign} is outside of code:\n{ours}");
    }
}

/// A line without its code spans, read as CommonMark does: a span ends at as many backticks as it began with.
fn without_code(line: &str) -> String {
    let (mut rest, mut ours) = (line, String::new());
    while let Some(start) = rest.find('`') {
        ours.push_str(&rest[..start]);
        let fence = rest[start..].len() - rest[start..].trim_start_matches('`').len();
        let mut inner = &rest[start + fence..];
        loop {
            let end = inner.find('`').unwrap_or_else(|| panic!("a code span has no end: {line}"));
            let run = inner[end..].len() - inner[end..].trim_start_matches('`').len();
            inner = &inner[end + run..];
            if run == fence {
                break;
            }
        }
        rest = inner;
    }
    ours + rest
}

#[test]
fn a_report_fits_into_a_comment_however_long_it_would_be() {
    let names: Vec<String> = (0..3000).map(|index| format!("metric-{index}-{}", "é".repeat(200))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for entries in [1, 100] {
        let text = report(&names, entries).markdown(Some("report.svg"));
        assert!(text.len() <= MAX_BYTES, "{}", text.len());
        assert!(text.contains("more, not shown"), "{text}");
        assert!(text.ends_with('\n') && text.contains("![Curves"), "{text}");
    }
    let short = report(&["accuracy", "cnn"], 2).markdown(None);
    assert!(!short.contains("not shown"), "{short}");
}

proptest! {
    #[test]
    fn any_text_is_one_cell_and_one_line(texts in prop::collection::vec(any::<String>(), 1..5)) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let report = report(&texts, 1);
        let text = report.markdown(None);
        for line in text.lines().filter(|line| line.starts_with("| ")) {
            let bars = line.matches('|').count() - line.matches("\\|").count();
            prop_assert!(bars >= 4, "{line}");
        }
        text.lines().for_each(|line| drop(without_code(line)));
        prop_assert!(!report.html().contains("<script"));
    }
}
