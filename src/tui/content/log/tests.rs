//! Reading and searching long logs, page by page.

use super::*;

const WIDTH: usize = 20;
const ROWS: usize = 5;

/// Numbered lines of ten bytes each.
fn log(lines: usize) -> String {
    (0..lines).map(|line| format!("line {line:04}\n")).collect()
}

/// A part of a log, as it is read, in pages of 100 lines.
fn part(log: &str, place: LogPlace) -> LogPart {
    let total = log.len() as u64;
    let (start, end) = match place {
        LogPlace::End => (total.saturating_sub(1000), total),
        LogPlace::Before(end) => (end.saturating_sub(1000), end),
        LogPlace::From(start) => (start.min(total), (start + 1000).min(total)),
    };
    let bytes = log.as_bytes()[start as usize..end as usize].to_vec();
    LogPart { start, end, total, bytes }
}

/// Loads what a book wants until it wants nothing more.
fn load(book: &mut LogBook, log: &str) {
    for _ in 0..100 {
        let Some(place) = book.wanted(ROWS, false) else { return };
        book.take(LogPage::of(&part(log, place)));
    }
    panic!("it never has enough: {:?}", book.wanted(ROWS, false));
}

fn shown(book: &LogBook) -> Vec<&str> {
    book.rows(WIDTH, ROWS).iter().map(|row| &row.line.text[row.part.clone()]).collect()
}

fn open(log: &str) -> LogBook {
    let mut book = LogBook::default();
    load(&mut book, log);
    book
}

#[test]
fn the_end_comes_first_and_the_rest_page_by_page() {
    let log = log(2000);
    let mut book = open(&log);
    assert!(book.follows());
    assert_eq!(shown(&book), ["line 1995", "line 1996", "line 1997", "line 1998", "line 1999"]);
    assert_eq!(book.pages.len(), 1);
    book.step(Step::Rows(-3), WIDTH, ROWS);
    load(&mut book, &log);
    assert_eq!(shown(&book)[0], "line 1992");
    assert!(book.start() < 19_920 - 10 * AHEAD as u64 + 1 && book.start() > 10_000, "not all of it: {}", book.start());
    for _ in 0..100 {
        book.step(Step::Rows(-30), WIDTH, ROWS);
        load(&mut book, &log);
    }
    assert_eq!((shown(&book)[0], book.percent()), ("line 0000", 0));
    book.step(Step::Rows(7), WIDTH, ROWS);
    assert_eq!(shown(&book)[0], "line 0007");
    book.step(Step::End, WIDTH, ROWS);
    load(&mut book, &log);
    assert_eq!((shown(&book)[4], book.follows()), ("line 1999", true));
    book.step(Step::Start, WIDTH, ROWS);
    load(&mut book, &log);
    assert_eq!(shown(&book)[0], "line 0000");
}

#[test]
fn going_down_to_the_end_follows_again() {
    let log = log(50);
    let mut book = open(&log);
    book.step(Step::Rows(-1), WIDTH, ROWS);
    assert!(!book.follows());
    book.step(Step::Rows(10), WIDTH, ROWS);
    assert!(book.follows());
    assert_eq!(shown(&book)[4], "line 0049");
}

#[test]
fn a_log_that_grows_is_read_from_its_last_line_on() {
    let mut text = log(50);
    text.push_str("half");
    let mut book = open(&text);
    assert_eq!(shown(&book)[4], "half");
    text.push_str(" and half\nnew");
    assert_eq!(book.wanted(ROWS, true), Some(LogPlace::From(500)));
    book.take(LogPage::of(&part(&text, LogPlace::From(500))));
    assert_eq!(shown(&book)[3..], ["half and half", "new"]);
    // Who reads further up stays there.
    book.step(Step::Rows(-10), WIDTH, ROWS);
    let before: Vec<String> = shown(&book).into_iter().map(str::to_owned).collect();
    text.push_str("er\n");
    let place = book.wanted(ROWS, true).unwrap();
    book.take(LogPage::of(&part(&text, place)));
    assert_eq!(shown(&book), before);
    // A log that is shorter is another one.
    let short = log(3);
    book.take(LogPage::of(&part(&short, LogPlace::End)));
    assert_eq!(shown(&book), ["line 0000", "line 0001", "line 0002"]);
}

#[test]
fn a_burst_is_jumped_over_by_whoever_follows() {
    let mut text = log(10);
    let mut book = open(&text);
    text.push_str(&log(1000));
    let place = book.wanted(ROWS, true).unwrap();
    book.take(LogPage::of(&part(&text, place)));
    assert_eq!(book.wanted(ROWS, false), Some(LogPlace::End));
    load(&mut book, &text);
    assert_eq!(shown(&book)[4], "line 0999");
}

#[test]
fn memory_is_bounded_wherever_one_reads() {
    let wide = format!("{}\n", "x".repeat(100_000));
    let text = wide.repeat(100);
    let part = |place: LogPlace| {
        let total = text.len() as u64;
        let (start, end) = match place {
            LogPlace::End => (total - 100_001, total),
            LogPlace::Before(end) => (end - 100_001, end),
            LogPlace::From(start) => (start, (start + 100_001).min(total)),
        };
        LogPart { start, end, total, bytes: text.as_bytes()[start as usize..end as usize].to_vec() }
    };
    let mut book = LogBook::default();
    let mut most = 0;
    for step in [Step::End, Step::Rows(-1), Step::Start, Step::Rows(1)] {
        book.step(step, 10_000, ROWS);
        for _ in 0..150 {
            let Some(place) = book.wanted(ROWS, false) else { break };
            book.take(LogPage::of(&part(place)));
            most = most.max(book.end() - book.start());
            assert!(book.pages.iter().zip(book.pages.iter().skip(1)).all(|(one, next)| one.end == next.start));
        }
        assert!(!book.rows(10_000, ROWS).is_empty());
    }
    assert!(most <= KEPT + 3 * PAGE, "{most}");
}

#[test]
fn searching_goes_from_hit_to_hit() {
    let text = log(2000);
    let mut book = open(&text);
    book.search_for("LINE 0".to_owned());
    assert_eq!(run_search(&mut book, &text), 0);
    assert!(!book.next_hit(true, WIDTH, ROWS));
    book.search_for("ne 0500".to_owned());
    assert_eq!(run_search(&mut book, &text), 1);
    load(&mut book, &text);
    assert_eq!(book.hit_number(), Some((Some(1), 1)));
    assert!(shown(&book).contains(&"line 0500"), "{:?}", shown(&book));
    book.search_for("77".to_owned());
    assert_eq!(run_search(&mut book, &text), 38);
    load(&mut book, &text);
    // The first below the place that was shown.
    assert!(shown(&book).contains(&"line 0577"), "{:?}", shown(&book));
    let mut visited = Vec::new();
    for _ in 0..38 {
        assert!(book.next_hit(true, WIDTH, ROWS));
        load(&mut book, &text);
        let line = format!("line {:04}", book.shown_hit().unwrap() / 10);
        assert!(shown(&book).contains(&line.as_str()), "{line} in {:?}", shown(&book));
        visited.push(line);
    }
    visited.sort();
    visited.dedup();
    assert_eq!(visited.len(), 38);
    book.next_hit(false, WIDTH, ROWS);
    load(&mut book, &text);
    assert_eq!(book.shown_hit(), Some(4770));
    book.search_for(String::new());
    assert_eq!(book.hit_number(), None);
}

fn run_search(book: &mut LogBook, text: &str) -> usize {
    let (needle, from) = book.wanted_search().unwrap();
    assert_eq!(book.wanted_search(), None);
    let hits = search(&needle, from, |start| Ok::<_, ()>(part(text, LogPlace::From(start)))).unwrap();
    book.take_hits(&needle, hits, WIDTH, ROWS);
    book.hit_number().unwrap().1
}

#[test]
fn what_comes_later_is_searched_too() {
    let mut text = "loss 1\nlo".to_owned();
    let mut book = open(&text);
    book.search_for("loss".to_owned());
    assert_eq!(run_search(&mut book, &text), 1);
    assert_eq!(book.wanted_search(), None);
    text.push_str("ss 2\n");
    let place = book.wanted(ROWS, true).unwrap();
    book.take(LogPage::of(&part(&text, place)));
    assert_eq!(run_search(&mut book, &text), 2);
}

#[test]
fn long_lines_take_several_rows() {
    let text = format!("{}\nshort\n", "0123456789".repeat(5));
    let mut book = LogBook::default();
    book.take(LogPage::of(&part(&text, LogPlace::End)));
    let rows = |book: &LogBook| {
        book.rows(20, 2).iter().map(|row| row.line.text[row.part.clone()].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(rows(&book), ["0123456789", "short"]);
    book.step(Step::Rows(-1), 20, 2);
    assert_eq!(rows(&book), ["01234567890123456789", "0123456789"]);
    book.step(Step::Rows(-5), 20, 2);
    assert_eq!(rows(&book), ["01234567890123456789", "01234567890123456789"]);
    book.step(Step::Rows(1), 20, 2);
    assert_eq!(rows(&book), ["01234567890123456789", "0123456789"]);
}

#[test]
fn needles_without_capitals_find_any_letters() {
    assert_eq!(matches("Loss loss LOSS", "loss"), [0..4, 5..9, 10..14]);
    assert_eq!(matches("Loss loss LOSS", "Loss"), vec![std::ops::Range { start: 0, end: 4 }]);
    assert_eq!(matches("aaa", "aa"), vec![std::ops::Range { start: 0, end: 2 }]);
    assert_eq!(matches("Über ÜBER", "über"), [0..5, 6..11]);
    assert!(matches("x", "").is_empty());
}
