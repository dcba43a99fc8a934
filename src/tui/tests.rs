//! The whole dashboard over a made-up repository: what keys do, and how it looks.

pub(super) mod frame;
mod pictures;
mod registry;

use jiff::{SignedDuration, Timestamp};
use ratatui::crossterm::event::KeyCode;

use crate::catalog::Row;
use crate::query::{Attribute, Field};
use crate::run::{Run, RunStatus};

use super::app::{Action, App};
use super::context::Load;
use super::effects::{Answer, Change, Effect};
use super::fixture::{Desk, FakeSource, now};
use super::keys::{Key, control, key, named, named_control};
use super::lend::Errand;
use super::memory::Memory;
use super::mouse::{Mouse, MouseKind};
use super::overlay::Overlay;
use super::views::registry::{self as registry_view, Focus};
use super::views::{Notice, View, runs};

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const ENTER: Key = named(KeyCode::Enter);
const ESC: Key = named(KeyCode::Esc);
const TAB: Key = named(KeyCode::Tab);
const DOWN: Key = named(KeyCode::Down);

fn later(milliseconds: i64) -> Timestamp {
    now() + SignedDuration::from_millis(milliseconds)
}

/// The chosen run.
fn selected_run(desk: &Desk) -> Run {
    let run_id = desk.app.views.runs.selected_row().unwrap().id();
    desk.source.runs.iter().find(|run| run.id == run_id).unwrap().clone()
}

fn selected(desk: &Desk) -> String {
    selected_run(desk).name
}

/// The runs that the table shows, in its order.
fn shown(desk: &Desk) -> Vec<Run> {
    let table = desk.app.views.runs.table().unwrap();
    let run = |row: Row<'_>| desk.source.runs.iter().find(|run| run.id == row.id()).unwrap().clone();
    table.rows_from(0).map(run).collect()
}

/// Whether an effect asks for the rows of the table.
fn is_table(effect: &Effect) -> bool {
    matches!(effect, Effect::Runs(runs::Request::Table(_)))
}

/// The effects, but for those that ask for the table and for whole records, and that remember where one is.
fn others(effects: Vec<Effect>) -> Vec<Effect> {
    let is_upkeep = |effect: &Effect| matches!(effect, Effect::LoadRecords(_) | Effect::Remember(_));
    effects.into_iter().filter(|effect| !is_table(effect) && !is_upkeep(effect)).collect()
}

fn history(model: &str) -> Effect {
    Effect::Registry(registry_view::Request::History(model.to_owned()))
}

#[test]
fn quitting_suspending_and_redrawing_are_effects() {
    let mut desk = Desk::new(SMALL);
    assert_eq!(desk.press(key('q')), [Effect::Quit]);
    assert_eq!(desk.press(control('c')), [Effect::Quit]);
    assert_eq!(desk.press(control('z')), [Effect::Suspend]);
    assert_eq!(desk.press(control('l')), [Effect::Redraw]);
    assert_eq!(desk.press(key('x')), []);
}

#[test]
fn the_start_asks_what_is_remembered_then_for_the_runs_once() {
    let mut app = App::new("digits".to_owned(), SMALL, now());
    assert_eq!(app.start(), [Effect::Recall, Effect::Registry(registry_view::Request::Models)]);
    assert_eq!(app.update(Action::Tick(later(5000))), [], "what is remembered says which runs");
    let effects = app.update(Action::Loaded(Box::new(Answer::Recalled(Memory::default()))));
    assert!(matches!(effects[..], [Effect::Runs(runs::Request::Table(_))]));
    assert_eq!(app.update(Action::Tick(later(9000))), [], "nothing is asked for twice");
    assert!(matches!(app.views.runs.sheet, Load::Waiting));
}

#[test]
fn runs_are_looked_at_twice_a_second_and_less_often_when_that_takes_long() {
    let mut desk = Desk::new(SMALL);
    assert_eq!(desk.app.update(Action::Tick(later(400))), []);
    let effects = desk.app.update(Action::Tick(later(500)));
    assert!(effects.iter().any(is_table));
    assert_eq!(desk.app.update(Action::Tick(later(1500))), []);
    desk.carry_out(effects);
    assert_eq!(desk.app.update(Action::Tick(later(5400))), [], "it took a second: five seconds between");
    assert!(desk.app.update(Action::Tick(later(5500))).iter().any(is_table));
}

#[test]
fn moving_stays_in_the_table_and_the_choice_on_the_screen() {
    let mut desk = Desk::new((80, 15));
    desk.keys(&[key('k'), named(KeyCode::PageUp)]);
    assert_eq!(selected(&desk), "brave-otter-12");
    desk.keys(&[key('j'), DOWN]);
    assert_eq!((selected(&desk).as_str(), desk.app.views.runs.offset), ("quiet-lynx-40", 0));
    desk.keys(&[key('G'), key('j')]);
    assert_eq!((selected(&desk).as_str(), desk.app.views.runs.offset), ("tidy-sparrow-1", 2));
    desk.keys(&[named(KeyCode::PageUp)]);
    assert_eq!(desk.app.views.runs.selected, 2);
    desk.keys(&[key('g')]);
    assert_eq!((desk.app.views.runs.selected, desk.app.views.runs.offset), (0, 0));
}

#[test]
fn the_chosen_run_stays_chosen_when_others_come() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[DOWN]);
    let mut runs = super::fixture::runs();
    let newest = Run {
        id: crate::id::RunId::from_bytes([9; 16]),
        name: "new-one-1".to_owned(),
        started: runs[0].started,
        ..runs[5].clone()
    };
    runs.insert(1, newest);
    desk.source.runs = runs;
    desk.wait(600);
    assert_eq!((selected(&desk).as_str(), desk.app.views.runs.selected), ("calm-heron-3", 2));
}

#[test]
fn the_help_scrolls_and_closes() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('?'), key('k')]);
    let offset = |desk: &Desk| match desk.app.overlays.last() {
        Some(Overlay::Help(help)) => Some((help.offset, help.scroll_limit(&desk.app.context))),
        _ => None,
    };
    assert_eq!(offset(&desk).unwrap().0, 0);
    desk.keys(&[key('j'); 200]);
    let (end, limit) = offset(&desk).unwrap();
    assert!(end == limit && end > 20);
    assert_eq!(desk.press(key('q')), [], "it closes the help, not the dashboard");
    assert_eq!(offset(&desk), None);
}

#[test]
fn the_registry_loads_the_history_of_the_chosen_model() {
    let mut desk = Desk::new(SMALL);
    let effects = desk.press(TAB);
    assert_eq!(others(effects.clone()), [history("digits")], "the models were asked for a moment ago");
    desk.carry_out(effects);
    assert!(desk.app.views.registry.history.ready().is_some());
    let effects = desk.press(DOWN);
    assert_eq!(others(effects), [history("mnist-mlp")]);
    assert_eq!(desk.app.views.registry.history, Load::Waiting);
    assert_eq!(others(desk.app.update(Action::Tick(later(1900)))), []);
    let models = Effect::Registry(registry_view::Request::Models);
    assert_eq!(others(desk.app.update(Action::Tick(later(2000)))), [models], "while the registry is shown");
}

#[test]
fn a_version_leads_to_its_run_and_back() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('2'), ENTER]);
    assert_eq!(desk.app.views.registry.focus, Focus::Versions);
    desk.keys(&[DOWN, ENTER]);
    assert_eq!(
        (desk.app.view, desk.app.views.run.run(&desk.app.context).unwrap().name.as_str()),
        (View::Run, "bold-ember-21")
    );
    desk.keys(&[ESC]);
    assert_eq!((desk.app.view, desk.app.views.registry.focus), (View::Registry, Focus::Versions));
    desk.keys(&[ESC, ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn a_version_whose_run_is_not_here_says_so() {
    let mut source = FakeSource::default();
    source.runs.clear();
    source.models[1].versions[0].run = None;
    let mut desk = Desk::over(source, SMALL);
    desk.keys(&[key('2'), ENTER, ENTER]);
    assert!(desk.app.notice.as_ref().unwrap().words().contains("is not in this repository"));
    desk.keys(&[key('h'), DOWN, ENTER, ENTER]);
    assert_eq!(desk.app.notice, Some(Notice::Word("this version was not made by a run".to_owned())));
    desk.keys(&[key('k')]);
    assert_eq!(desk.app.notice, None);
}

#[test]
fn a_large_screen_loads_the_chosen_run_beside_the_table() {
    let mut desk = Desk::new(LARGE);
    assert!(!desk.app.views.runs.preview.charts.is_waiting());
    let next = desk.source.runs[1].clone();
    assert_eq!(desk.press(DOWN), [Effect::LoadRecords(vec![next.id])]);
    let mut desk = Desk::new(LARGE);
    desk.keys(&[DOWN]);
    assert_eq!(desk.app.views.runs.preview.run_id, Some(next.id));
    assert!(!desk.app.views.runs.preview.charts.is_waiting());
    let mut desk = Desk::new(SMALL);
    assert_eq!(others(desk.press(DOWN)), [], "a small one does not");
}

#[test]
fn sparklines_are_loaded_for_what_is_seen_and_again_when_it_changes() {
    let mut desk = Desk::new(LARGE);
    assert!(shown(&desk).iter().all(|run| !desk.app.views.runs.spark(&run.id, "val_accuracy").is_empty()));
    desk.source.runs[0].metrics.get_mut("val_loss").unwrap().count += 1;
    let effects = desk.refreshed(600);
    let sparks = effects.iter().find_map(|effect| match effect {
        Effect::Runs(runs::Request::Sparks { runs, .. }) => Some(runs.len()),
        _ => None,
    });
    assert_eq!(sparks, Some(1));
}

#[test]
fn a_filter_counts_as_it_is_typed_and_can_be_taken_back() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('/')]);
    desk.type_text("status = 'finished'");
    assert!(shown(&desk).iter().all(|run| run.status == RunStatus::Finished));
    assert_eq!(shown(&desk).len(), 8);
    desk.keys(&[ENTER]);
    assert_eq!(desk.app.views.runs.filter.text, "status = 'finished'");
    desk.keys(&[key('/')]);
    desk.type_text(" and");
    assert!(desk.app.views.runs.filter.error.is_some());
    assert_eq!(shown(&desk).len(), 8, "what counted last still does");
    desk.keys(&[ENTER]);
    assert!(desk.app.views.runs.filter.input.is_some(), "a query that is not valid is not kept");
    desk.keys(&[ESC]);
    assert_eq!((desk.app.views.runs.filter.text.as_str(), shown(&desk).len()), ("status = 'finished'", 8));
    desk.keys(&[ESC]);
    assert_eq!(shown(&desk).len(), 12);
}

#[test]
fn pasted_text_is_only_taken_where_text_is_typed() {
    let mut desk = Desk::new(SMALL);
    desk.app.update(Action::Paste("q\n".to_owned()));
    desk.keys(&[key('/')]);
    desk.app.update(Action::Paste("name = 'x'\n".to_owned()));
    assert_eq!(desk.app.views.runs.filter.input.as_ref().unwrap().text(), "name = 'x'");
}

#[test]
fn sorting_goes_through_the_columns_best_first() {
    let mut desk = Desk::new(SMALL);
    let sorted = |desk: &Desk| (desk.app.views.runs.sort.key.clone(), desk.app.views.runs.sort.descending);
    assert_eq!(sorted(&desk), ("started".to_owned(), true));
    desk.keys(&[key('s')]);
    assert_eq!(sorted(&desk), ("duration".to_owned(), true));
    desk.keys(&[key('s')]);
    assert_eq!(sorted(&desk), ("metrics.val_accuracy".to_owned(), true));
    let values: Vec<f64> = shown(&desk).iter().map(|run| run.metrics["val_accuracy"].last).collect();
    assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
    desk.keys(&[key('S')]);
    assert_eq!(sorted(&desk), ("metrics.val_accuracy".to_owned(), false));
    desk.keys(&[key('s')]);
    assert_eq!(sorted(&desk), ("metrics.val_loss".to_owned(), false), "the smallest loss first");
}

#[test]
fn what_cannot_be_loaded_is_said_and_tried_again() {
    let mut desk = Desk::new(SMALL);
    let effects = desk.app.update(Action::Tick(later(600)));
    let Some(Effect::Runs(runs::Request::Table(request))) = effects.into_iter().find(is_table) else { panic!() };
    let failed = runs::Answer::Table(request, Err("cannot read refs/ml/runs".to_owned()));
    desk.app.update(Action::Loaded(Box::new(Answer::Runs(failed))));
    assert!(matches!(desk.app.views.runs.sheet, Load::Failed(_)));
    desk.wait(1200);
    assert_eq!(shown(&desk).len(), 12);
}

#[test]
fn marked_runs_are_compared_and_unmarked() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key(' '), key(' '), key('c')]);
    assert_eq!((desk.app.view, desk.app.context.marks.runs().len()), (View::Compare, 2));
    desk.keys(&[key('u'), ESC]);
    assert_eq!((desk.app.view, desk.app.context.marks.runs().len()), (View::Runs, 0));
    assert_eq!(desk.app.views.runs.selected, 2, "marking goes on to the next run");
}

#[test]
fn the_palette_finds_and_does_what_keys_do() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key(':')]);
    desk.type_text("other way");
    desk.keys(&[ENTER]);
    assert!(desk.app.overlays.is_empty());
    assert!(!desk.app.views.runs.sort.descending);
    desk.keys(&[key(':')]);
    desk.type_text("nothing like this");
    assert_eq!(desk.press(ENTER), []);
    desk.keys(&[ESC]);
    assert!(desk.app.overlays.is_empty());
    desk.keys(&[key(':')]);
    desk.type_text("quit");
    assert_eq!(desk.press(ENTER).last(), Some(&Effect::Quit));
}

#[test]
fn a_note_is_asked_for_written_and_shown() {
    let mut desk = Desk::new(SMALL);
    let run_id = desk.source.runs[0].id;
    desk.keys(&[key('e')]);
    desk.type_text("try a q");
    assert_eq!(desk.press(ENTER), [Effect::Change(Change::Note(run_id, "try a q".to_owned()))]);
    desk.keys(&[key('e')]);
    desk.type_text("again");
    desk.keys(&[ENTER]);
    assert_eq!(desk.app.notice, Some(Notice::Word("noted on brave-otter-12".to_owned())));
    assert_eq!(desk.source.runs[0].note.as_deref(), Some("again"));
}

#[test]
fn an_error_stays_until_it_is_dismissed_and_a_word_does_not() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[ENTER]);
    desk.app.update(Action::Loaded(Box::new(Answer::Changed(Err("the disk is full".to_owned())))));
    desk.keys(&[DOWN]);
    assert_eq!(desk.app.notice, Some(Notice::Error("the disk is full".to_owned())));
    desk.keys(&[ESC]);
    assert_eq!((&desk.app.notice, desk.app.view), (&None, View::Run), "Esc goes to the error first");
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn the_mouse_chooses_opens_sorts_and_turns_pages() {
    let mut desk = Desk::new(SMALL);
    let mut press = |kind, column, row| {
        let effects = desk.app.update(Action::Mouse(Mouse { kind, column, row }));
        desk.carry_out(effects);
        (desk.app.view, selected(&desk), desk.app.views.runs.sort.clone())
    };
    assert_eq!(press(MouseKind::Press, 10, 4).1, "calm-heron-3");
    assert_eq!(press(MouseKind::WheelDown, 10, 4).1, "bold-ember-21");
    assert_eq!(press(MouseKind::Press, 10, 20).1, "bold-ember-21", "there is no row");
    let sort = press(MouseKind::Press, 56, 2).2;
    assert_eq!((sort.key.as_str(), sort.descending), ("metrics.val_accuracy", true));
    assert!(!press(MouseKind::Press, 56, 2).2.descending);
    assert_eq!(press(MouseKind::DoublePress, 10, 3).0, View::Run);
    assert_eq!(press(MouseKind::Press, 73, 0).0, View::Sweeps);
}

#[test]
fn a_run_is_removed_after_a_yes_only() {
    let mut desk = Desk::new(SMALL);
    let delete = named(KeyCode::Delete);
    desk.keys(&[delete]);
    assert!(desk.app.notice.as_ref().unwrap().words().contains("in progress"));
    desk.keys(&[DOWN, delete, key('n')]);
    assert_eq!(shown(&desk).len(), 12);
    desk.keys(&[delete, key('y')]);
    assert!(shown(&desk).iter().all(|run| run.name != "calm-heron-3"));
    assert_eq!(desk.app.context.records.known, Some(11));
}

#[test]
fn a_column_to_sort_by_can_be_found_by_its_letters() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('o')]);
    desk.type_text("valoss");
    desk.keys(&[ENTER]);
    let sort = &desk.app.views.runs.sort;
    assert_eq!((sort.key.as_str(), sort.descending), ("metrics.val_loss", false));
}

#[test]
fn runs_are_grouped_and_groups_are_folded() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('b')]);
    desk.type_text("experiment");
    desk.keys(&[ENTER]);
    assert_eq!(desk.app.views.runs.group, Some(Field::Attribute(Attribute::Experiment)));
    let experiments: Vec<Option<String>> = shown(&desk).into_iter().map(|run| run.experiment).collect();
    let cnn = experiments.iter().filter(|name| name.as_deref() == Some("cnn")).count();
    assert!(experiments[..cnn].iter().all(|name| name.as_deref() == Some("cnn")), "{experiments:?}");
    assert_eq!(experiments.last(), Some(&None), "those without come last");
    // From a run of the group to its heading, which then hides it.
    desk.keys(&[key('g'), DOWN, DOWN, key('h')]);
    assert!(desk.app.views.runs.selected_row().is_none());
    desk.keys(&[DOWN, DOWN]);
    assert_eq!(selected_run(&desk).experiment.as_deref(), Some("mlp"));
    desk.keys(&[key('z'), key('G')]);
    assert_eq!(desk.app.views.runs.selected, 2, "three headings are left");
    desk.keys(&[ENTER, DOWN]);
    assert_eq!(selected_run(&desk).experiment, None);
    desk.keys(&[key('b'), named(KeyCode::Home)]);
    desk.type_text("not");
    desk.keys(&[ENTER]);
    assert_eq!(desk.app.views.runs.group, None);
}

#[test]
fn columns_are_chosen_ordered_and_given_back() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('v')]);
    let before: Vec<String> = desk.app.views.runs.columns.iter().map(|column| column.kind.key()).collect();
    assert_eq!(before[..2], ["status", "name"]);
    // The second line goes off, and a tag comes.
    desk.keys(&[DOWN, key(' ')]);
    desk.type_text("paper");
    desk.keys(&[key(' '), ENTER]);
    let chosen: Vec<String> = desk.app.views.runs.columns.iter().map(|column| column.kind.key()).collect();
    assert!(!chosen.contains(&"name".to_owned()) && chosen.contains(&"tags.paper".to_owned()), "{chosen:?}");
    // A line can be moved.
    desk.keys(&[key('v'), named_control(KeyCode::Down), ENTER]);
    assert_eq!(desk.app.views.runs.columns[1].kind.key(), "status");
    let memory = desk.source.memory.clone();
    desk.wait(300);
    assert_ne!(desk.source.memory, memory, "it is remembered");
}

#[test]
fn a_run_is_found_by_letters_of_its_name() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[DOWN, key('f')]);
    desk.type_text("wrmced");
    assert_eq!(selected(&desk), "warm-cedar-5");
    desk.keys(&[ESC]);
    assert_eq!(selected(&desk), "calm-heron-3", "and back");
    desk.keys(&[key('f')]);
    desk.type_text("-1");
    let first = selected(&desk);
    desk.keys(&[DOWN]);
    assert_ne!(selected(&desk), first);
    desk.keys(&[named(KeyCode::Up), ENTER]);
    assert_eq!((selected(&desk), desk.app.views.runs.find.is_none()), (first, true));
}

#[test]
fn a_query_is_completed_as_it_is_typed() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('/')]);
    desk.type_text("status = 'fa");
    desk.keys(&[TAB]);
    let text = |desk: &Desk| desk.app.views.runs.filter.input.as_ref().unwrap().text();
    assert_eq!(text(&desk), "status = 'failed'");
    assert!(shown(&desk).iter().all(|run| run.status == RunStatus::Failed));
    desk.keys(&[control('u')]);
    desk.type_text("params.l");
    desk.keys(&[TAB]);
    assert_eq!(text(&desk), "params.lr");
    desk.type_text(" = '0.0");
    desk.keys(&[TAB]);
    let first = text(&desk);
    desk.keys(&[TAB]);
    assert!(first.starts_with("params.lr = '0.0") && text(&desk) != first, "the next one is tried");
}

#[test]
fn where_one_was_is_remembered() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('/')]);
    desk.type_text("status = 'finished'");
    desk.keys(&[ENTER, key('s'), key('2')]);
    let effects = desk.press(key('q'));
    let [Effect::Remember(memory), Effect::Quit] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!((memory.view.as_str(), memory.sort.as_str()), ("Registry", "-duration"));
    let mut source = FakeSource::default();
    source.memory = memory.clone();
    let desk = Desk::over(source, SMALL);
    assert_eq!((desk.app.view, shown(&desk).len()), (View::Registry, 8));
    assert_eq!(desk.app.views.runs.sort.key, "duration");
}

#[test]
fn ids_are_copied_and_commits_are_shown() {
    let mut desk = Desk::new(SMALL);
    let run = selected_run(&desk);
    assert_eq!(desk.press(key('i')), [Effect::Copy(run.id.to_string())]);
    assert!(desk.app.notice.as_ref().unwrap().words().starts_with("copied "));
    assert_eq!(desk.press(key('I')), [Effect::Copy(run.commit.unwrap().to_string())]);
    let snapshot = Errand::ShowCommit(run.snapshot.unwrap());
    assert_eq!(desk.press(key('d')), [Effect::Lend(snapshot)], "with its changes, as the work tree had some");
    desk.app.update(Action::Failed("cannot run `vi`".to_owned()));
    assert_eq!(desk.app.notice, Some(Notice::Error("cannot run `vi`".to_owned())));
}
