//! The comparison: what keys do, what is asked for, and how it looks.

#![allow(clippy::disallowed_methods, reason = "a test writes the files of a repository")]

mod pictures;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::diff::{ArtifactChange, ClassCount, FileChanges, TableChange, Version};
use crate::files::RelPath;
use crate::id::ArtifactId;
use crate::run::Run;

use super::super::super::app::Action;
use super::super::super::effects::{Answer as AnyAnswer, Effect};
use super::super::super::fixture::{self, Desk, now};
use super::super::super::keys::{Command, Key, Scope, key, named};
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::theme::{Background, ColorDepth, Theme};
use super::super::{View, draw};
use super::data::Data;
use super::load::{Answer, DataChange, Evaluation, Request, parse_evaluations};
use super::matrix::{Matrices, difference, shares};
use super::panes::Pane;
use super::rows::{Section, sections};

const SMALL: (u16, u16) = (60, 15);
const MEDIUM: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const TAB: Key = named(KeyCode::Tab);
const DOWN: Key = named(KeyCode::Down);
const LEFT: Key = named(KeyCode::Left);
const RIGHT: Key = named(KeyCode::Right);

/// A desk with the second and the third run marked and compared, with that many panes further on.
fn desk(size: (u16, u16), panes: usize) -> Desk {
    let mut desk = Desk::new(size);
    desk.keys(&[DOWN, key(' '), key(' '), key('c')]);
    (0..panes).for_each(|_| desk.keys(&[TAB]));
    desk
}

fn buffer(desk: &Desk, depth: ColorDepth) -> Buffer {
    let theme = Theme::new(depth, Background::Dark);
    let size = desk.app.context.size;
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, &desk.app, &theme)).unwrap();
    terminal.backend().buffer().clone()
}

fn picture(desk: &Desk) -> String {
    text(&buffer(desk, ColorDepth::True))
}

fn text(buffer: &Buffer) -> String {
    let line = |y: u16| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

/// A desk with the code of the third and the fourth run.
fn code(size: (u16, u16)) -> Desk {
    let mut desk = Desk::new(size);
    desk.keys(&[DOWN, DOWN, key(' '), key(' '), key('c'), TAB, TAB]);
    desk
}

#[test]
fn keys_walk_through_the_panes_and_the_runs() {
    let mut desk = desk(MEDIUM, 0);
    let seen = |desk: &Desk| desk.app.views.compare.pane;
    let walked: Vec<Pane> = (0..5)
        .map(|_| {
            desk.keys(&[TAB]);
            seen(&desk)
        })
        .collect();
    assert_eq!(walked, [Pane::Charts, Pane::Code, Pane::Data, Pane::Confusion, Pane::Table]);
    desk.keys(&[named(KeyCode::BackTab)]);
    assert_eq!(seen(&desk), Pane::Confusion);
    desk.keys(&[named(KeyCode::Esc)]);
    assert_eq!(desk.app.view, View::Runs);
    // A third run: what is about two runs is about the first and the one that is chosen.
    desk.keys(&[key(' '), key('c')]);
    assert!(picture(&desk).contains("calm-heron-3 → quiet-lynx-40"));
    desk.keys(&[key('n')]);
    assert!(picture(&desk).contains("calm-heron-3 → swift-maple-7"));
    desk.keys(&[key('n'), key('p'), key('p')]);
    assert!(picture(&desk).contains("calm-heron-3 → quiet-lynx-40"));
    desk.keys(&[key('u')]);
    assert!(picture(&desk).contains("No runs are marked."));
}

#[test]
fn esc_leaves_what_is_open_in_the_charts_first() {
    let mut desk = desk(MEDIUM, 1);
    assert_eq!(desk.app.scope(), Scope::CompareCharts);
    desk.keys(&[named(KeyCode::Enter), key('v'), named(KeyCode::Esc)]);
    assert!(desk.app.view == View::Compare && desk.app.views.compare.charts.is_maximised);
    desk.keys(&[named(KeyCode::Esc)]);
    assert!(desk.app.view == View::Compare && !desk.app.views.compare.charts.is_maximised);
    desk.keys(&[named(KeyCode::Esc)]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn every_key_of_the_charts_does_something() {
    let mut desk = desk(LARGE, 1);
    let mut after = |pressed: Key| {
        let before = picture(&desk);
        desk.keys(&[pressed]);
        let shown = picture(&desk);
        assert_ne!(before, shown, "{}", pressed.label());
        shown
    };
    assert!(after(key('x')).contains("x: elapsed") && after(key('x')).contains("x: UTC"));
    assert!(after(key('x')).contains("x: epoch") && !after(key('x')).contains("x: "));
    assert!(after(key('X')).contains("log x") && !after(key('X')).contains("log x"));
    // The footer has these words too.
    assert!(after(key('y')).contains("─ log y ─") && !after(key('y')).contains("─ log y ─"));
    assert!(after(key('Y')).contains("outliers cut") && !after(key('Y')).contains("outliers cut"));
    assert!(after(key('s')).contains("smoothing 0.2") && after(key('s')).contains("smoothing 0.4"));
    assert!(after(key('S')).contains("smoothing 0.2") && !after(key('S')).contains("smoothing"));
    assert!(after(key('t')).contains("calm-heron-3 train") && !after(key('t')).contains("calm-heron-3 train"));
    assert!(after(key('+')).contains("zoomed"));
    after(key('>'));
    after(key('<'));
    assert!(!after(key('0')).contains("zoomed"));
    after(key('='));
    assert!(!after(key('-')).contains("zoomed"));
    after(key('v'));
    after(key('h'));
    after(key('l'));
    after(named(KeyCode::Home));
    after(key('v'));
    after(named(KeyCode::Enter));
    after(key('l'));
    after(key('h'));
}

#[test]
fn a_live_run_is_read_again_when_it_has_more_points() {
    let mut desk = Desk::new(MEDIUM);
    desk.keys(&[key(' '), key(' '), key('c'), TAB]);
    let live = desk.app.context.marks.runs()[0];
    let before = desk.app.views.compare.charts.charts.len();
    desk.source.runs[0].metrics.get_mut("val_loss").unwrap().count += 1;
    let effects = desk.refreshed(600);
    assert!(effects.contains(&Effect::Compare(Request::Series(live))), "{effects:?}");
    // What is there stays while it is read.
    assert_eq!(desk.app.views.compare.charts.charts.len(), before);
    assert!(!picture(&desk).contains("Loading"));
}

#[test]
fn a_chart_is_found_by_its_name() {
    let mut desk = desk(MEDIUM, 1);
    desk.keys(&[key('/')]);
    desk.type_text("mem");
    desk.keys(&[named(KeyCode::Enter)]);
    assert!(desk.app.overlays.is_empty() && desk.app.view == View::Compare);
    assert!(picture(&desk).contains(" system.memory_bytes "), "scrolled to it");
    desk.keys(&[named(KeyCode::Enter)]);
    assert!(picture(&desk).lines().nth(2).unwrap().starts_with("╭─ system.memory_bytes ─"));
}

#[test]
fn the_mouse_chooses_panes_and_scrolls() {
    let mut desk = desk(MEDIUM, 0);
    let title = u16::try_from(picture(&desk).lines().nth(1).unwrap().find("Data").unwrap()).unwrap();
    let mut mouse = |kind, column, row| {
        let effects = desk.app.update(Action::Mouse(Mouse { kind, column, row }));
        desk.carry_out(effects);
        (desk.app.views.compare.pane, picture(&desk))
    };
    let (_, before) = mouse(MouseKind::Release, 0, 0);
    let (_, scrolled) = mouse(MouseKind::WheelDown, 10, 10);
    assert_eq!(before, scrolled, "all of it is seen");
    assert_eq!(mouse(MouseKind::Press, title, 1).0, Pane::Data);
    assert_eq!(mouse(MouseKind::Press, 70, 1).0, Pane::Data, "nothing is there");
    assert_eq!(mouse(MouseKind::Press, 8, 1).0, Pane::Charts);
    mouse(MouseKind::DoublePress, 20, 6);
    assert!(desk.app.views.compare.charts.is_maximised);
}

#[test]
fn what_is_shown_is_asked_for_once() {
    let mut desk = desk(MEDIUM, 0);
    let runs: Vec<Run> =
        desk.app.context.marks.runs().iter().map(|id| desk.app.context.records.get(id).unwrap().clone()).collect();
    // Where one is is remembered at the next tick.
    desk.app.update(Action::Tick(now()));
    let asked = desk.press(TAB);
    let series = |run: &Run| Effect::Compare(Request::Series(run.id));
    assert_eq!(asked, [series(&runs[0]), series(&runs[1])]);
    assert_eq!(desk.app.update(Action::Tick(now())), [], "while they are being read");
    desk.carry_out(asked);
    assert_eq!(desk.app.update(Action::Tick(now())), []);

    let (old, new) = (runs[0].snapshot.unwrap(), runs[1].snapshot.unwrap());
    let asked = desk.press(TAB);
    if old == new {
        assert_eq!(asked, [], "the same code");
    } else {
        assert_eq!(asked, [Effect::Compare(Request::Code(old, new))]);
    }
    desk.carry_out(asked);
    let asked = desk.press(TAB);
    assert_eq!(asked, [Effect::Compare(Request::Data(runs[0].inputs.clone(), runs[1].inputs.clone()))]);
    desk.carry_out(asked);
    assert!(picture(&desk).contains("data/digits  the same"));
    let asked = desk.press(TAB);
    let evaluation = |run: &Run| Effect::Compare(Request::Evaluation(run.id, vec![run.outputs[0].id]));
    assert_eq!(asked, [evaluation(&runs[0]), evaluation(&runs[1])]);
    desk.carry_out(asked);
    assert_eq!(desk.app.update(Action::Tick(now())), []);
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut desk = desk(MEDIUM, 1);
    let run_id = desk.app.context.marks.runs()[0];
    let broken = |answer| Action::Loaded(Box::new(AnyAnswer::Compare(answer)));
    desk.app.update(broken(Answer::Evaluation(run_id, Err("the pack is damaged".to_owned()))));
    desk.keys(&[TAB, TAB, TAB]);
    assert!(picture(&desk).contains("the pack is damaged"));
    desk.keys(&[RIGHT, LEFT, LEFT]);
    assert!(picture(&desk).contains("the pack is damaged"), "of the first run alone too");
    // An answer for runs that are no longer compared changes nothing.
    let before = picture(&desk);
    desk.app.update(broken(Answer::Data(Vec::new(), Vec::new(), Vec::new())));
    desk.app.update(broken(Answer::Patch("gone.py".to_owned(), Err("late".to_owned()))));
    assert_eq!(picture(&desk), before);
}

#[test]
fn files_of_the_code_are_chosen_and_their_lines_shown() {
    // Of the third and the fourth run; the fourth has changes that are not committed.
    let mut desk = code((120, 20));
    let first = picture(&desk);
    assert!(first.contains("-lr = 0.003") && first.contains("+lr = 0.001"), "{first}");
    desk.keys(&[DOWN, DOWN]);
    assert!(picture(&desk).contains("This is no text: 4.0 KiB → 0 B."), "{}", picture(&desk));
    desk.keys(&[RIGHT, DOWN, LEFT, named(KeyCode::Home)]);
    assert!(picture(&desk).contains("+lr = 0.001"));
    let theme = Theme::new(ColorDepth::True, Background::Dark);
    let shown = buffer(&desk, ColorDepth::True);
    let colors: Vec<Color> = (0..shown.area.width)
        .flat_map(|x| (0..shown.area.height).map(move |y| (x, y)))
        .filter(|place| shown[*place].symbol() == "+")
        .map(|place| shown[place].fg)
        .collect();
    assert!(colors.contains(&theme.good.fg.unwrap()));
    // A press on another file chooses it.
    let row = picture(&desk).lines().position(|line| line.contains("weights.bin")).unwrap();
    let press = Mouse { kind: MouseKind::Press, column: 5, row: u16::try_from(row).unwrap() };
    let effects = desk.app.update(Action::Mouse(press));
    desk.carry_out(effects);
    assert!(picture(&desk).contains("This is no text"));
}

fn summary(sections: &[Section]) -> Vec<String> {
    sections
        .iter()
        .flat_map(|section| section.rows.iter().map(move |row| (section.title, row)))
        .map(|(title, row)| {
            let value = |value: &super::rows::Value| {
                format!("{}{}{}", value.words, value.delta, if value.is_best { "!" } else { "" })
            };
            format!("{title} {}: {}", row.name, row.values.iter().map(value).collect::<Vec<_>>().join(" | "))
        })
        .collect()
}

#[test]
fn rows_have_deltas_and_the_best_of_each_metric() {
    let runs = fixture::runs();
    let picked = [&runs[1], &runs[2], &runs[3]];
    let differing = summary(&sections(&picked, false, now()));
    let starting = |start: &str| differing.iter().find(|row| row.starts_with(start)).unwrap().as_str();
    assert_eq!(starting("Metrics val_accuracy"), "Metrics val_accuracy: 0.9822! | 0.9673-0.0149 | 0.7487-0.2335");
    // The least loss is the best one, and what is not a number is no contestant.
    assert_eq!(starting("Metrics val_loss"), "Metrics val_loss: 0.0974! | 0.1231+0.0257 | NaN");
    assert_eq!(starting("Parameters lr"), "Parameters lr: 0.003 | 0.001 | 1.0");
    assert!(!differing.iter().any(|row| row.contains("batch_size")), "all have the same");
    assert!(!starting("Metrics system").contains('!'), "memory is no contest");
    let all = summary(&sections(&picked, true, now()));
    assert!(all.iter().any(|row| row == "Parameters batch_size: 64 | 64 | 64"));
    assert!(summary(&sections(&[&runs[1], &runs[1]], false, Timestamp::UNIX_EPOCH)).is_empty());
}

#[test]
fn the_table_shows_also_what_is_the_same() {
    let mut desk = desk(LARGE, 0);
    assert!(!picture(&desk).contains("batch_size"));
    desk.keys(&[key('a')]);
    assert!(picture(&desk).contains("batch_size"));
}

#[test]
fn more_runs_than_have_room_are_a_key_away() {
    let mut desk = Desk::new(MEDIUM);
    desk.keys(&[key(' '), key(' '), key(' '), key(' '), key('c')]);
    let names = |desk: &Desk| {
        let shown = picture(desk);
        let heading = shown.lines().nth(3).unwrap().to_owned();
        ["brave-otter-12", "calm-heron-3", "quiet-lynx-40", "swift-maple-7"].map(|name| heading.contains(name))
    };
    assert_eq!(names(&desk), [true, true, true, false]);
    desk.keys(&[RIGHT, RIGHT, RIGHT]);
    assert_eq!(names(&desk), [true, false, true, true], "the first stays");
    desk.keys(&[LEFT]);
    assert_eq!(names(&desk), [true, true, true, false]);
}

fn evaluation(classes: &[&str], counts: &[&[u64]]) -> Evaluation {
    Evaluation {
        part: "test".to_owned(),
        classes: classes.iter().map(|class| (*class).to_owned()).collect(),
        counts: counts.iter().map(|row| row.to_vec()).collect(),
    }
}

#[test]
fn matrices_are_read_from_what_the_worker_writes() {
    let bytes = br#"{"train": {"epoch": 3, "accuracy": 0.5, "loss": 1.0},
        "validation": {"classes": [{"name": "a"}, {"name": "b"}], "confusion": [[1, 0], [0, 1]]},
        "test": {"examples": 4, "classes": [{"name": "a", "f1": null}, {"name": "b"}], "confusion": [[2, 1], [0, 1]]},
        "odd": {"classes": [{"name": "a"}], "confusion": [[1, 2]]}}"#;
    let found = parse_evaluations(bytes);
    assert_eq!(found.iter().map(|found| found.part.as_str()).collect::<Vec<_>>(), ["test", "validation"]);
    assert_eq!(found[0], evaluation(&["a", "b"], &[&[2, 1], &[0, 1]]));
    for bytes in [&b""[..], b"[]", b"{", b"{\"test\": 3}", b"\xff"] {
        assert_eq!(parse_evaluations(bytes), []);
    }
}

#[test]
fn the_difference_is_over_the_classes_that_both_know() {
    let first = evaluation(&["cat", "dog", "owl"], &[&[8, 2, 0], &[1, 9, 0], &[0, 0, 10]]);
    // In another order, and without the owl.
    let other = evaluation(&["dog", "cat"], &[&[10, 0], &[4, 6]]);
    let (classes, cells) = difference(&first, &other).unwrap();
    assert_eq!(classes, ["cat", "dog"]);
    let counts: Vec<Vec<i64>> = cells.iter().map(|row| row.iter().map(|cell| cell.count).collect()).collect();
    assert_eq!(counts, [[-2, 2], [-1, 1]]);
    // Fewer cats found is bad, more cats taken for dogs is bad, fewer dogs taken for cats is good.
    let signs: Vec<Vec<f64>> =
        cells.iter().map(|row| row.iter().map(|cell| cell.strength.signum()).collect()).collect();
    assert_eq!(signs, [[-1.0, -1.0], [1.0, 1.0]]);
    assert_eq!(difference(&first, &evaluation(&["fish"], &[&[1]])), None);
    assert_eq!(shares(&first)[0][1].strength, 0.2);
    assert_eq!(shares(&evaluation(&["none"], &[&[0]]))[0][0].strength, 0.0);
}

#[test]
fn many_classes_are_shades_that_can_be_scrolled() {
    let names: Vec<String> = (0..120).map(|class| format!("class {class:03}")).collect();
    let row = |truth: usize| (0..120).map(|class| if class == truth { 90 } else { u64::from(class == 7) }).collect();
    let found = Evaluation { part: "test".to_owned(), classes: names, counts: (0..120).map(row).collect() };
    let mut runs = fixture::runs();
    runs.truncate(2);
    let pair = [&runs[0], &runs[1]];
    let mut matrices = Matrices::default();
    pair.iter().for_each(|run| matrices.loaded(run.id, Ok(vec![found.clone()])));
    let theme = Theme::new(ColorDepth::None, Background::Dark);
    let area = Rect::new(0, 0, 90, 20);
    let shown = |matrices: &Matrices| {
        let mut terminal = Terminal::new(TestBackend::new(90, 20)).unwrap();
        terminal.draw(|frame| matrices.draw(pair, area, &theme, frame.buffer_mut())).unwrap();
        text(terminal.backend().buffer())
    };
    matrices.command(Command::Left, pair, area);
    matrices.command(Command::Left, pair, area);
    let first = shown(&matrices);
    assert!(first.contains("class 000 █") && first.contains("of 120 classes"), "{first}");
    matrices.command(Command::Last, pair, area);
    let last = shown(&matrices);
    assert!(last.contains("class 119") && last.contains("█│") || last.contains("█ │"), "{last}");
    matrices.command(Command::Right, pair, area);
    matrices.command(Command::Right, pair, area);
    assert!(!shown(&matrices).contains('█'), "the same twice has no difference");
}

#[test]
fn data_is_told_file_by_file() {
    let path = RelPath::new("data/digits").unwrap();
    let id = |byte: u8| ArtifactId::from_bytes([byte; 32]);
    let version = |byte: u8, files: u64| Version {
        id: id(byte),
        artifact_type: "dataset".to_owned(),
        files,
        bytes: 2048,
        is_listed: true,
    };
    let table = TableChange {
        columns_added: vec!["age".to_owned()],
        columns_removed: Vec::new(),
        rows_before: 100,
        rows_after: 140,
        rows_added: 50,
        rows_removed: 10,
    };
    let change = ArtifactChange {
        path: path.clone(),
        before: Some(version(1, 2)),
        after: Some(version(2, 3)),
        files: Some(FileChanges { added: Vec::new(), removed: Vec::new(), changed: Vec::new(), renamed: Vec::new() }),
        classes: vec![ClassCount { class: "cat".to_owned(), before: 500, after: 520 }],
        tables: vec![("train.csv".to_owned(), table)],
        tensors: Vec::new(),
        notes: vec!["test.csv: a quote is not closed".to_owned()],
    };
    let mut data = Data::default();
    assert!(data.wanted((Vec::new(), Vec::new())).is_some());
    assert!(data.wanted((Vec::new(), Vec::new())).is_none());
    let other = RelPath::new("data/extra").unwrap();
    let unclear = DataChange::Unclear(path, [id(3), id(4)], "the pack is damaged".to_owned());
    let changes = vec![DataChange::Changed(Box::new(change)), DataChange::Added(other, id(5)), unclear];
    data.loaded(&(Vec::new(), Vec::new()), changes);
    let theme = Theme::new(ColorDepth::True, Background::Dark);
    let mut terminal = Terminal::new(TestBackend::new(84, 16)).unwrap();
    terminal.draw(|frame| data.draw(frame.area(), &theme, frame.buffer_mut())).unwrap();
    insta::assert_snapshot!(text(terminal.backend().buffer()), @r"
    ╭─ Data ───────────────────────────────────────────────────────────────────────────╮
    │ data/digits  01010101 (2 files, 2.0 KiB) → 02020202 (3 files, 2.0 KiB)           │
    │   class cat: 500 → 520 pictures                                                  │
    │   train.csv: 100 → 140 rows, 50 added, 10 removed                                │
    │     columns that are new: age                                                    │
    │   test.csv: a quote is not closed                                                │
    │                                                                                  │
    │ data/extra  only the other run read it: 05050505                                 │
    │                                                                                  │
    │ data/digits  03030303 → 04040404                                                 │
    │   the pack is damaged                                                            │
    │                                                                                  │
    │                                                                                  │
    │                                                                                  │
    │                                                                                  │
    ╰──────────────────────────────────────────────────────────────────────────────────╯
    ");
}

/// A repository with two versions of data, code and models.
#[test]
fn a_repository_answers_what_the_comparison_asks() {
    use std::fs;

    use crate::git::Repository;
    use crate::run::RunInput;
    use crate::track::{Silent, TrackOptions, Workspace};

    use super::super::super::source::RepositorySource;

    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::init(folder.path()).unwrap();
    repository.set_config("user.name", "Ada Tester").unwrap();
    repository.set_config("user.email", "ada@example.com").unwrap();
    let workspace = Workspace::discover(folder.path()).unwrap();
    let path = |path: &str| RelPath::new(path).unwrap();
    let write = |path: &str, text: &str| {
        let place = folder.path().join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    };
    let state = |lr: &str, rows: &str, counts: &str| {
        write("train.py", &format!("lr = {lr}\n"));
        write("data/rows/train.csv", rows);
        let report = format!("{{\"test\": {{\"classes\": [{{\"name\": \"a\"}}], \"confusion\": [[{counts}]]}}}}");
        write("model/metrics.json", &report);
        let tracked = ["data/rows", "model"].map(|name| {
            workspace.track(&path(name), &TrackOptions::default(), &Silent).unwrap();
            workspace.pointers().unwrap()[&path(name)].id
        });
        repository.run_git(&["add", "--all"]).unwrap();
        repository.run_git(&["commit", "--quiet", "--message", "a state"]).unwrap();
        (repository.resolve("HEAD").unwrap(), tracked)
    };
    let (old, [old_data, old_model]) = state("0.1", "x,y\n1,2\n", "3");
    let (new, [new_data, new_model]) = state("0.2", "x,y\n1,2\n3,4\n", "4");
    let mut source = RepositorySource::new(&workspace);

    let Answer::Code(_, _, Ok(changes)) = Request::Code(old, new).perform(&mut source) else { panic!("no code") };
    let file = changes.files.iter().find(|file| file.path == "train.py").unwrap().clone();
    let Answer::Patch(_, Ok(patch)) = Request::Patch(old, new, file).perform(&mut source) else { panic!("no patch") };
    assert!(format!("{patch:?}").contains("lr = 0.2"), "{patch:?}");

    let input = |id| vec![RunInput { path: path("data/rows"), name: "rows".to_owned(), id }];
    let Answer::Data(_, _, changes) = Request::Data(input(old_data), input(new_data)).perform(&mut source) else {
        panic!("no data")
    };
    let [DataChange::Changed(change)] = changes.as_slice() else { panic!("{changes:?}") };
    let sizes = [&change.before, &change.after].map(|version| version.as_ref().map(|version| version.files));
    assert_eq!((change.tables[0].1.rows_added, sizes), (1, [Some(1), Some(1)]));
    // What is not here is said, and is no failure of the whole.
    let gone = ArtifactId::from_bytes([7; 32]);
    let Answer::Data(_, _, changes) = Request::Data(input(gone), input(new_data)).perform(&mut source) else {
        panic!("no data")
    };
    assert!(matches!(&changes[..], [DataChange::Changed(change)] if change.files.is_none()), "{changes:?}");

    let run_id = fixture::runs()[0].id;
    for (model, count) in [(old_model, 3), (new_model, 4)] {
        let Answer::Evaluation(_, found) = Request::Evaluation(run_id, vec![old_data, model]).perform(&mut source)
        else {
            panic!("no evaluation")
        };
        assert_eq!(found.unwrap(), [evaluation(&["a"], &[&[count]])], "data has none, the model does");
    }
    let Answer::Evaluation(_, found) = Request::Evaluation(run_id, vec![gone]).perform(&mut source) else {
        panic!("no evaluation")
    };
    assert!(found.is_err());
}
