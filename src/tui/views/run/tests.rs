//! The view of one run: what keys and the mouse do, what is asked for, and how it looks.

use jiff::{SignedDuration, Timestamp};
use ratatui::crossterm::event::KeyCode;
use ratatui::style::{Color, Modifier};

use crate::git::CommitInfo;
use crate::run::{LogPart, LogPlace, RunStatus};
use crate::tui::app::Action;
use crate::tui::content::log::LogPage;
use crate::tui::context::Load;
use crate::tui::effects::{Answer as AnyAnswer, Cancel, Effect, perform};
use crate::tui::files::{self, Focus};
use crate::tui::fixture::{Desk, FakeSource, now};
use crate::tui::keys::{Key, Scope, key, named};
use crate::tui::lend::Errand;
use crate::tui::mouse::{Mouse, MouseKind};
use crate::tui::tests::frame::{buffer, check_pictures, screen};
use crate::tui::theme::ColorDepth;
use crate::tui::views::View;

use super::code::Base;
use super::detail::Pane;
use super::load::{Answer, Request};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const ENTER: Key = named(KeyCode::Enter);
const ESC: Key = named(KeyCode::Esc);
const TAB: Key = named(KeyCode::Tab);
const UP: Key = named(KeyCode::Up);
const DOWN: Key = named(KeyCode::Down);
const LEFT: Key = named(KeyCode::Left);
const RIGHT: Key = named(KeyCode::Right);

fn later(milliseconds: i64) -> Timestamp {
    now() + SignedDuration::from_millis(milliseconds)
}

/// The second run, which has ended, open, after some keys.
fn open(size: (u16, u16), keys: &[Key]) -> Desk {
    let mut desk = Desk::new(size);
    desk.keys(&[DOWN, ENTER]);
    desk.keys(keys);
    desk
}

/// The run in progress, open, after some keys.
fn open_live(size: (u16, u16), keys: &[Key]) -> Desk {
    let mut desk = Desk::new(size);
    desk.keys(&[ENTER]);
    desk.keys(keys);
    desk
}

/// The effects that are left when whole records and the table have come.
fn settled(desk: &mut Desk, effects: Vec<Effect>) -> Vec<Effect> {
    let (mut waiting, mut others) = (effects, Vec::new());
    while let Some(effect) = waiting.pop() {
        let is_listing = matches!(effect, Effect::LoadRecords(_) | Effect::Runs(_));
        let answer = is_listing.then(|| perform(&mut desk.source, effect.clone(), Cancel(&|| false))).flatten();
        match answer {
            Some(answer) => waiting.extend(desk.app.update(Action::Loaded(Box::new(answer)))),
            None => others.insert(0, effect),
        }
    }
    others
}

fn pane(desk: &Desk) -> Pane {
    desk.app.views.run.pane
}

fn run_requests(effects: &[Effect]) -> Vec<&Request> {
    let request = |effect: &'_ Effect| matches!(effect, Effect::Run(_));
    let found = effects.iter().filter(|effect| request(effect));
    found.filter_map(|effect| if let Effect::Run(request) = effect { Some(request) } else { None }).collect()
}

#[test]
fn an_open_run_loads_what_is_shown_once() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[DOWN]);
    let run = desk.source.runs[1].clone();
    let effects = desk.press(ENTER);
    let effects = settled(&mut desk, effects);
    assert_eq!(run_requests(&effects), [&Request::Series(run.id, run.commit), &Request::Versions(run.id)]);
    assert_eq!((desk.app.view, desk.app.scope()), (View::Run, Scope::RunText));
    desk.carry_out(effects);
    assert!(!desk.app.views.run.charts.is_waiting());
    assert_eq!(desk.app.views.run.versions, Load::Ready(vec!["digits@v3 (staging)".to_owned()]));
    let effects = desk.press(key('L'));
    assert_eq!(run_requests(&effects), [&Request::Log(run.id, LogPlace::End)]);
    desk.carry_out(effects);
    assert_eq!(run_requests(&desk.refreshed(4000)), Vec::<&Request>::new(), "a run that has ended stays as it is");
    let effects = desk.press(key('M'));
    assert!(matches!(run_requests(&effects)[..], [Request::Lines(..)]), "{effects:?}");
    desk.carry_out(effects);
    assert_eq!(run_requests(&desk.refreshed(9000)), Vec::<&Request>::new());
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn every_pane_has_a_key_a_turn_and_a_place_for_the_mouse() {
    let mut desk = open(SMALL, &[]);
    assert_eq!(pane(&desk), Pane::Overview);
    let by_turns: Vec<Pane> = (0..6).map(|_| (desk.keys(&[TAB]), pane(&desk)).1).collect();
    let [first, others @ ..] = Pane::ALL;
    assert_eq!(by_turns, [&others[..], &[first]].concat());
    desk.keys(&[named(KeyCode::BackTab)]);
    assert_eq!(pane(&desk), Pane::Code);
    let by_keys: Vec<Pane> =
        ['O', 'C', 'L', 'F', 'M', 'D'].map(|name| (desk.keys(&[key(name)]), pane(&desk)).1).to_vec();
    assert_eq!(by_keys, Pane::ALL);
    desk.keys(&[key('O'), RIGHT, RIGHT]);
    assert_eq!(pane(&desk), Pane::Charts, "in the charts, arrows are theirs");
    desk.keys(&[key('L'), LEFT]);
    assert_eq!(pane(&desk), Pane::Charts);
    let line = screen(&desk).lines().nth(1).unwrap().to_owned();
    for pane_wanted in Pane::ALL {
        let before = line.split(pane_wanted.title()).next().unwrap();
        let column = u16::try_from(crate::tui::text::width(before)).unwrap();
        let effects = desk.app.update(Action::Mouse(Mouse { kind: MouseKind::Press, column, row: 1 }));
        desk.carry_out(effects);
        assert_eq!(pane(&desk), pane_wanted);
    }
}

#[test]
fn runs_follow_each_other_and_the_pane_stays() {
    let mut desk = open(SMALL, &[key('L'), key('J')]);
    let name = |desk: &Desk| desk.app.views.run.run(&desk.app.context).unwrap().name.clone();
    assert_eq!((name(&desk).as_str(), pane(&desk)), ("quiet-lynx-40", Pane::Log));
    desk.keys(&[key('K'), key('K')]);
    assert_eq!(name(&desk), "brave-otter-12");
    desk.keys(&[key(' ')]);
    assert_eq!(desk.app.context.marks.runs().len(), 1);
}

#[test]
fn an_answer_for_another_run_is_dropped() {
    let mut desk = Desk::new(SMALL);
    let other = desk.source.runs[5].id;
    let effects = desk.press(ENTER);
    let page = LogPage::of(&LogPart { start: 0, end: 2, total: 2, bytes: b"x\n".to_vec() });
    let answers = [
        Answer::Log(other, Ok(page)),
        Answer::Series(other, Err("gone".to_owned()), Some(Err("gone".to_owned()))),
        Answer::Versions(other, Err("gone".to_owned())),
        Answer::Code(other, Base::Commit, Err("gone".to_owned())),
    ];
    for answer in answers {
        desk.app.update(Action::Loaded(Box::new(AnyAnswer::Run(answer))));
    }
    let run = &desk.app.views.run;
    assert_eq!(run.versions, Load::Waiting);
    assert!(run.charts.is_waiting() && run.system.is_waiting() && !run.log.book.is_loaded());
    desk.carry_out(effects);
    assert!(!desk.app.views.run.charts.is_waiting());
}

#[test]
fn a_live_run_is_followed_to_its_end() {
    let mut desk = open_live(SMALL, &[key('L')]);
    let run = desk.app.views.run.run(&desk.app.context).unwrap().clone();
    assert!(screen(&desk).contains("following") && screen(&desk).contains("epoch 40/20"));
    desk.source.log.extend_from_slice(b"one more\n");
    let effects = desk.refreshed(500);
    assert!(matches!(run_requests(&effects)[..], [Request::Log(_, LogPlace::From(_))]), "{effects:?}");
    desk.carry_out(effects);
    assert!(screen(&desk).contains("one more"));
    assert_eq!(run_requests(&desk.app.update(Action::Tick(later(700)))), Vec::<&Request>::new());
    // It logs a point, then ends: its points once more, and the end of its log.
    desk.source.runs[0].metrics.get_mut("train_loss").unwrap().count += 1;
    desk.source.runs[0].status = RunStatus::Finished;
    let effects = desk.refreshed(1500);
    let asked = run_requests(&effects);
    assert!(asked.contains(&&Request::Series(run.id, run.commit)), "{effects:?}");
    assert!(asked.iter().any(|request| matches!(request, Request::Log(_, LogPlace::From(_)))), "{effects:?}");
}

#[test]
fn the_log_follows_until_someone_reads_further_up() {
    let mut desk = open_live(SMALL, &[key('L')]);
    assert!(desk.app.views.run.log.book.follows());
    desk.keys(&[UP, UP]);
    let before = screen(&desk);
    assert!(!before.contains("following") && !before.contains("epoch 40/20"));
    desk.source.log.extend_from_slice(b"a\nb\nc\n");
    let effects = desk.app.update(Action::Tick(later(1000)));
    desk.carry_out(effects);
    let lines = |text: &str| text.lines().skip(3).take(15).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&screen(&desk)), lines(&before), "what is read stays where it is");
    desk.keys(&[key('g'), UP]);
    assert!(screen(&desk).contains("epoch  1/20"));
    desk.keys(&[key('G')]);
    assert!(screen(&desk).contains("following"));
    let wheel = Mouse { kind: MouseKind::WheelUp, column: 5, row: 10 };
    desk.app.update(Action::Mouse(wheel));
    assert!(!desk.app.views.run.log.book.follows());
}

#[test]
fn the_log_is_searched_with_hits_that_are_seen() {
    let mut desk = open(SMALL, &[key('L'), key('/')]);
    assert_eq!(desk.app.scope(), Scope::Typing);
    desk.type_text("Epoch 1");
    desk.keys(&[ENTER]);
    assert!(screen(&desk).contains("no Epoch 1"), "{}", screen(&desk));
    desk.keys(&[key('/')]);
    desk.keys(&[named(KeyCode::Backspace); 7]);
    desk.type_text("epoch 3");
    desk.keys(&[ENTER]);
    assert!(screen(&desk).contains("epoch 3: 1 of 10"), "{}", screen(&desk));
    desk.keys(&[key('n')]);
    assert!(screen(&desk).contains("epoch 3: 2 of 10"));
    desk.keys(&[key('N'), key('N')]);
    assert!(screen(&desk).contains("epoch 3: 10 of 10"), "around at the start");
    let picture = buffer(&desk, ColorDepth::None);
    let reversed = picture.content.iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    assert!(reversed.count() >= "epoch 3".len());
    desk.keys(&[ESC]);
    assert_eq!((desk.app.view, screen(&desk).contains("of 10")), (View::Run, false), "Esc ends the search first");
    desk.keys(&[key('n')]);
    assert!(screen(&desk).contains("nothing was searched for"));
    desk.keys(&[key('/'), key('x'), ESC, ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn colours_of_a_log_are_shown_and_nothing_else_of_it_is_obeyed() {
    let mut source = FakeSource::default();
    source.log = b"\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07\x1b[5;5Hplain\n 10%\r100%\n".to_vec();
    let mut desk = Desk::over(source, SMALL);
    desk.keys(&[ENTER, key('L')]);
    let shown = screen(&desk);
    assert!(
        shown.contains("red plain") && shown.contains("100%") && !shown.contains("title") && !shown.contains(" 10%")
    );
    let picture = buffer(&desk, ColorDepth::True);
    assert!(picture.content.iter().any(|cell| cell.symbol() == "r" && cell.fg == Color::Red));
    let plain = buffer(&desk, ColorDepth::None);
    assert!(plain.content.iter().all(|cell| cell.fg != Color::Red));
}

#[test]
fn files_open_fold_and_are_looked_at() {
    let mut desk = open(LARGE, &[key('F')]);
    assert!(screen(&desk).contains("model") && screen(&desk).contains("figures"), "{}", screen(&desk));
    assert_eq!(desk.app.scope(), Scope::RunFiles);
    // The artifact, its folder with two files, then three files.
    desk.keys(&[DOWN, DOWN, DOWN, DOWN]);
    assert!(screen(&desk).contains("\"accuracy\": 0.9786"), "{}", screen(&desk));
    desk.keys(&[ENTER]);
    assert_eq!(desk.app.views.run.files.focus, Focus::Preview);
    desk.keys(&[DOWN, ESC]);
    assert_eq!((desk.app.views.run.files.focus, desk.app.view), (Focus::Tree, View::Run));
    desk.keys(&[UP]);
    assert!(screen(&desk).contains("PNG, 2×2") && screen(&desk).contains("▀"), "{}", screen(&desk));
    desk.keys(&[LEFT, LEFT]);
    assert!(!screen(&desk).contains("classes.csv"), "the folder is closed");
    desk.keys(&[RIGHT, UP, ENTER]);
    assert!(!screen(&desk).contains("figures"), "the artifact is closed");
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn files_and_logs_open_in_the_editor() {
    let mut desk = open(LARGE, &[key('F'), DOWN, DOWN]);
    let effects = desk.press(key('E'));
    let answer = perform(&mut desk.source, effects[0].clone(), Cancel(&|| false)).unwrap();
    let name = "figures/classes.csv";
    let errand = Errand::Read(name.to_owned(), name.as_bytes().to_vec());
    assert_eq!(desk.app.update(Action::Loaded(Box::new(answer))), [Effect::Lend(errand)]);
    let effects = desk.press(key('L'));
    desk.carry_out(effects);
    let effects = desk.press(key('E'));
    let answer = perform(&mut desk.source, effects[0].clone(), Cancel(&|| false)).unwrap();
    let lent = desk.app.update(Action::Loaded(Box::new(answer)));
    assert!(matches!(&lent[..], [Effect::Lend(Errand::Read(_, content))] if *content == desk.source.log), "{lent:?}");
    let failed = files::Answer::Read(Err("too much".to_owned()));
    desk.app.update(Action::Loaded(Box::new(AnyAnswer::Files(failed))));
    assert!(screen(&desk).contains("too much"));
}

#[test]
fn a_picture_without_colours_is_a_word() {
    let desk = open(LARGE, &[key('F'), DOWN, DOWN, DOWN]);
    let plain = buffer(&desk, ColorDepth::None);
    let text: String = plain.content.iter().map(ratatui::buffer::Cell::symbol).collect();
    assert!(text.contains("A picture of 2×2 pixels.") && !text.contains('▀'));
}

#[test]
fn a_small_screen_shows_the_tree_or_the_file() {
    let mut desk = open((60, 15), &[key('F'), DOWN, DOWN]);
    assert!(screen(&desk).contains("loss.png") && !screen(&desk).contains("f1"));
    desk.keys(&[ENTER]);
    assert!(screen(&desk).contains("class  ") && screen(&desk).contains("0.98"), "{}", screen(&desk));
    desk.keys(&[LEFT]);
    assert!(screen(&desk).contains("loss.png"));
}

#[test]
fn files_that_cannot_be_had_say_why() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[DOWN, ENTER]);
    let effects = desk.press(key('F'));
    assert!(screen(&desk).contains("loading …"));
    for effect in effects {
        let Effect::Files(files::Request::List(id)) = effect else { continue };
        let answer = files::Answer::List(id, Err("not in this store: `git ml pull` gets it".to_owned()));
        desk.app.update(Action::Loaded(Box::new(AnyAnswer::Files(answer))));
    }
    assert!(screen(&desk).contains("not in this store"), "{}", screen(&desk));
    // A run without artifacts.
    let mut desk = Desk::new(SMALL);
    desk.source.runs[1].inputs.clear();
    desk.source.runs[1].outputs.clear();
    let mut desk = Desk::over(desk.source, SMALL);
    desk.keys(&[DOWN, ENTER, key('F')]);
    assert!(screen(&desk).contains("no artifacts"));
}

#[test]
fn code_is_held_against_what_the_user_wants() {
    let mut desk = open(LARGE, &[key('D')]);
    assert!(screen(&desk).contains("Code against HEAD") && screen(&desk).contains("lr = 0.003"), "{}", screen(&desk));
    assert_eq!(desk.app.scope(), Scope::RunCode);
    desk.keys(&[key('n')]);
    assert!(screen(&desk).contains("╭─ notes.md"), "{}", screen(&desk));
    desk.keys(&[key('n'), key('n')]);
    assert!(screen(&desk).contains("No text: 4.0 KiB before"), "{}", screen(&desk));
    assert_eq!(desk.app.views.run.code.selected, 2);
    desk.keys(&[key('N'), key('b')]);
    assert!(screen(&desk).contains("The code is the same as in the branch point"), "{}", screen(&desk));
    let effects = desk.press(key('b'));
    assert!(matches!(run_requests(&effects)[..], [Request::Code { base: Base::Commit, .. }]));
    desk.carry_out(effects);
    assert!(screen(&desk).contains("Code against its commit"));
    // What was changed and not committed tells most of a run that had such changes.
    let mut dirty = Desk::new(SMALL);
    dirty.keys(&[ENTER, key('D')]);
    assert!(screen(&dirty).contains("Code against its commit"));
}

#[test]
fn a_comparison_that_fails_is_a_line() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[ENTER]);
    let effects = desk.press(key('D'));
    let id = desk.app.views.run.run_id.unwrap();
    assert!(screen(&desk).contains("Comparing …"));
    let answer = Answer::Code(id, Base::Commit, Err("object 1234 is not here".to_owned()));
    desk.app.update(Action::Loaded(Box::new(AnyAnswer::Run(answer))));
    assert!(screen(&desk).contains("object 1234 is not here") && !effects.is_empty());
    let mut source = FakeSource::default();
    source.runs[0].commit = None;
    let mut desk = Desk::over(source, SMALL);
    desk.keys(&[ENTER, key('D')]);
    assert!(screen(&desk).contains("No commit is known of this run"));
}

#[test]
fn the_overview_scrolls_no_further_than_it_reaches() {
    let mut desk = open((60, 15), &[key('G')]);
    let end = desk.app.views.run.overview_offset;
    desk.keys(&[DOWN]);
    assert_eq!(desk.app.views.run.overview_offset, end);
    desk.keys(&[UP]);
    assert_eq!(desk.app.views.run.overview_offset, end - 1);
}

#[test]
fn a_run_that_goes_while_it_is_shown_says_so() {
    let mut desk = open(SMALL, &[]);
    for name in ['O', 'C', 'L', 'F', 'M', 'D'] {
        desk.keys(&[key(name)]);
        let run = desk.source.runs.remove(1);
        let id = run.id;
        desk.app.update(Action::Loaded(Box::new(AnyAnswer::Records(vec![id], Ok(Vec::new())))));
        assert!(screen(&desk).contains("This run is not here any more."), "{name}");
        for pressed in [DOWN, LEFT, RIGHT, ENTER, key('n'), key('b')] {
            desk.press(pressed);
        }
        desk.source.runs.insert(1, run.clone());
        let effects = desk.app.update(Action::Loaded(Box::new(AnyAnswer::Records(vec![id], Ok(vec![run])))));
        desk.carry_out(effects);
    }
}

#[test]
fn what_a_record_says_is_in_the_overview() {
    let mut source = FakeSource::default();
    let run = &mut source.runs[1];
    run.note = Some("the best so far".to_owned());
    run.environment.insert("python".to_owned(), "3.11.2".to_owned());
    run.environment.insert("python_packages".to_owned(), "numpy==1.26.4\ntorch==2.13.0".to_owned());
    run.left_out.more = 3;
    run.dirty = true;
    let mut desk = Desk::over(source, (100, 90));
    desk.keys(&[DOWN, ENTER]);
    let shown = screen(&desk);
    for words in [
        "the best so far",
        "digits@v3 (staging)",
        "Halve the learning rate",
        "without 3 files",
        "Machine",
        "Versions",
        "3.11.2",
        "Python packages",
        "torch",
        "2.13.0",
        "table 2",
    ] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    let commit = CommitInfo { message: "x".to_owned(), ..desk.app.views.run.commit.ready().unwrap().clone() };
    assert_eq!(commit.subject(), "x");
}

#[test]
fn overview_pictures() {
    check_pictures("overview", |size| open(size, &[]));
}

#[test]
fn log_pictures() {
    check_pictures("log", |size| open_live(size, &[key('L')]));
}

#[test]
fn files_pictures() {
    check_pictures("files", |size| open(size, &[key('F'), DOWN, DOWN, DOWN, DOWN]));
}

#[test]
fn charts_of_a_run_have_the_keys_of_charts() {
    let mut desk = open(SMALL, &[key('C')]);
    assert_eq!(desk.app.scope(), Scope::RunCharts);
    assert!(screen(&desk).contains("accuracy") && !screen(&desk).contains("memory"), "{}", screen(&desk));
    desk.keys(&[ENTER]);
    assert!(desk.app.views.run.charts.is_maximised);
    desk.keys(&[ESC]);
    assert_eq!((desk.app.views.run.charts.is_maximised, desk.app.view), (false, View::Run), "out of the chart first");
    desk.keys(&[key('y'), key('J')]);
    assert!(desk.app.views.run.charts.settings.log_y, "how charts are shown stays for the next run");
    desk.keys(&[key('M')]);
    assert!(screen(&desk).contains("memory, bytes"), "{}", screen(&desk));
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn charts_pictures() {
    check_pictures("charts", |size| open(size, &[key('C')]));
}

#[test]
fn system_pictures() {
    check_pictures("system", |size| open(size, &[key('M')]));
}

#[test]
fn code_pictures() {
    check_pictures("code", |size| open(size, &[key('D')]));
}
