//! The whole dashboard over a made-up repository: what keys do, and how it looks.

mod pictures;

use jiff::{SignedDuration, Timestamp};
use ratatui::crossterm::event::KeyCode;

use crate::run::RunStatus;

use super::app::{Action, Load, View};
use super::detail::Pane;
use super::effects::{Answer, Effect, perform};
use super::fixture::{Desk, FakeSource, now};
use super::keys::{control, key, named};
use super::models::Focus;
use super::source::Listing;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const ENTER: super::keys::Key = named(KeyCode::Enter);
const ESC: super::keys::Key = named(KeyCode::Esc);
const TAB: super::keys::Key = named(KeyCode::Tab);
const DOWN: super::keys::Key = named(KeyCode::Down);

fn later(milliseconds: i64) -> Timestamp {
    now() + SignedDuration::from_millis(milliseconds)
}

fn selected(desk: &Desk) -> &str {
    &desk.app.table.selected_run().unwrap().name
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
fn the_start_asks_for_runs_and_models_once() {
    let mut app = super::app::App::new("digits".to_owned(), SMALL, now());
    assert_eq!(app.start(), [Effect::LoadRuns, Effect::LoadModels]);
    assert_eq!(app.update(Action::Tick(later(5000))), [], "nothing is asked for twice");
    assert_eq!(app.table.state, Load::Waiting);
}

#[test]
fn runs_are_looked_at_twice_a_second_and_less_often_when_that_takes_long() {
    let mut desk = Desk::new(SMALL);
    assert_eq!(desk.app.update(Action::Tick(later(400))), []);
    assert_eq!(desk.app.update(Action::Tick(later(500))), [Effect::LoadRuns]);
    assert_eq!(desk.app.update(Action::Tick(later(1500))), []);
    let answer = Answer::Runs(Ok(Some(Listing { runs: super::fixture::runs(), problems: Vec::new() })));
    desk.app.update(Action::Loaded(answer));
    assert_eq!(desk.app.update(Action::Tick(later(5400))), [], "it took a second: five seconds between");
    assert_eq!(desk.app.update(Action::Tick(later(5500))), [Effect::LoadRuns]);
}

#[test]
fn moving_stays_in_the_table_and_the_choice_on_the_screen() {
    let mut desk = Desk::new((80, 15));
    desk.keys(&[key('k'), named(KeyCode::PageUp)]);
    assert_eq!(selected(&desk), "brave-otter-12");
    desk.keys(&[key('j'), DOWN]);
    assert_eq!((selected(&desk), desk.app.table.offset), ("quiet-lynx-40", 0));
    desk.keys(&[key('G'), key('j')]);
    assert_eq!((selected(&desk), desk.app.table.offset), ("tidy-sparrow-1", 2));
    desk.keys(&[named(KeyCode::PageUp)]);
    assert_eq!(desk.app.table.selected, 2);
    desk.keys(&[key('g')]);
    assert_eq!((desk.app.table.selected, desk.app.table.offset), (0, 0));
}

#[test]
fn the_chosen_run_stays_chosen_when_others_come() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[DOWN]);
    let mut runs = super::fixture::runs();
    let newest =
        crate::run::Run { id: crate::id::RunId::from_bytes([9; 16]), name: "new-one-1".to_owned(), ..runs[5].clone() };
    runs.insert(0, newest);
    desk.app.update(Action::Loaded(Answer::Runs(Ok(Some(Listing { runs, problems: Vec::new() })))));
    assert_eq!((selected(&desk), desk.app.table.selected), ("calm-heron-3", 2));
}

#[test]
fn an_open_run_loads_its_charts_and_log_once() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[DOWN]);
    let run = desk.app.table.selected_run().unwrap().clone();
    let effects = desk.press(ENTER);
    assert_eq!(effects, [Effect::LoadDetail(run.id, run.commit), Effect::LoadLog(run.id)]);
    assert_eq!(desk.app.view, View::Run);
    desk.carry_out(effects);
    assert!(matches!(desk.app.detail.charts, Load::Ready(_)) && matches!(desk.app.detail.log, Load::Ready(_)));
    desk.app.update(Action::Tick(later(100)));
    assert_eq!(desk.app.update(Action::Tick(later(4000))), [Effect::LoadRuns], "a run that has ended stays as it is");
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn a_live_run_is_followed_to_its_end() {
    let mut desk = Desk::new(SMALL);
    let run = desk.app.table.selected_run().unwrap().clone();
    desk.keys(&[ENTER]);
    let mut effects = desk.app.update(Action::Tick(later(500)));
    assert_eq!(effects, [Effect::LoadRuns, Effect::LoadLog(run.id)]);
    // Nothing new: the log again, not the charts.
    desk.carry_out(std::mem::take(&mut effects));
    assert_eq!(desk.app.update(Action::Tick(later(700))), []);
    // It logs a point, then ends.
    let metric = desk.source.listing.runs[0].metrics.get_mut("train_loss").unwrap();
    metric.count += 1;
    desk.source.listing.runs[0].status = RunStatus::Finished;
    let answer = perform(&mut desk.source, Effect::LoadRuns).unwrap();
    let effects = desk.app.update(Action::Loaded(answer));
    assert_eq!(effects, [Effect::LoadDetail(run.id, run.commit), Effect::LoadLog(run.id)]);
}

#[test]
fn an_answer_for_another_run_is_dropped() {
    let mut desk = Desk::new(SMALL);
    let other = desk.app.table.all()[5].id;
    let effects = desk.press(ENTER);
    desk.app.update(Action::Loaded(Answer::Log(other, Ok(vec!["not this one".to_owned()]))));
    desk.app.update(Action::Loaded(Answer::Detail(other, Err("gone".to_owned()), Some(Err("gone".to_owned())))));
    assert_eq!((&desk.app.detail.log, &desk.app.detail.charts), (&Load::Waiting, &Load::Waiting));
    desk.carry_out(effects);
    assert!(desk.app.detail.log.ready().is_some());
}

#[test]
fn panes_take_turns_and_runs_follow_each_other() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[ENTER]);
    let panes: Vec<Pane> = (0..3)
        .map(|_| {
            desk.keys(&[TAB]);
            desk.app.detail.pane
        })
        .collect();
    assert_eq!(panes, [Pane::Log, Pane::Overview, Pane::Charts]);
    desk.keys(&[named(KeyCode::BackTab)]);
    assert_eq!(desk.app.detail.pane, Pane::Overview);
    desk.keys(&[key('n'), key('n')]);
    assert_eq!(
        (desk.app.current_run().unwrap().name.as_str(), desk.app.detail.pane),
        ("quiet-lynx-40", Pane::Overview)
    );
    desk.keys(&[key('p'), ESC]);
    assert_eq!(selected(&desk), "calm-heron-3");
}

#[test]
fn the_log_follows_until_someone_reads_further_up() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[ENTER, TAB]);
    let size = desk.app.size;
    assert_eq!(desk.app.detail.log_back, 0);
    desk.keys(&[key('k'), key('k')]);
    assert_eq!(desk.app.detail.log_back, 2);
    // Three more lines come: what is read stays where it is.
    desk.source.log.extend_from_slice(b"a\nb\nc\n");
    let effects = desk.app.update(Action::Tick(later(1000)));
    desk.carry_out(effects);
    assert_eq!(desk.app.detail.log_back, 5);
    desk.keys(&[key('g'), key('k')]);
    assert_eq!(desk.app.detail.log_back, 43 - usize::from(super::layout::run(size).log.height - 2));
    desk.keys(&[key('G')]);
    assert_eq!(desk.app.detail.log_back, 0);
}

#[test]
fn the_overview_and_the_charts_scroll_no_further_than_they_reach() {
    let mut desk = Desk::new((60, 15));
    desk.keys(&[ENTER]);
    desk.keys(&[DOWN; 10]);
    assert_eq!(desk.app.detail.charts_offset, 2, "three charts, one at a time");
    desk.keys(&[named(KeyCode::BackTab), key('G')]);
    let end = desk.app.detail.overview_offset;
    desk.keys(&[DOWN]);
    assert_eq!(desk.app.detail.overview_offset, end);
    desk.keys(&[key('k')]);
    assert_eq!(desk.app.detail.overview_offset, end - 1);
}

#[test]
fn the_help_scrolls_and_closes() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('?'), key('k')]);
    assert_eq!(desk.app.help, Some(0));
    desk.keys(&[key('j'); 100]);
    assert_eq!(desk.app.help, Some(super::views::help::scroll_limit(SMALL)));
    assert_eq!(desk.press(key('q')), [], "it closes the help, not the dashboard");
    assert_eq!(desk.app.help, None);
}

#[test]
fn the_registry_loads_the_history_of_the_chosen_model() {
    let mut desk = Desk::new(SMALL);
    let effects = desk.press(TAB);
    assert_eq!(effects, [Effect::LoadModels, Effect::LoadHistory("digits".to_owned())]);
    desk.carry_out(effects);
    assert!(desk.app.models.history.ready().is_some());
    assert_eq!(desk.press(DOWN), [Effect::LoadHistory("mnist-mlp".to_owned())]);
    assert_eq!(desk.app.models.history, Load::Waiting);
    assert_eq!(desk.app.update(Action::Tick(later(1900))), [Effect::LoadRuns]);
    assert_eq!(desk.app.update(Action::Tick(later(2000))), [Effect::LoadModels], "while the registry is shown");
}

#[test]
fn a_version_leads_to_its_run_and_back() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('2'), ENTER]);
    assert_eq!(desk.app.models.focus, Focus::Versions);
    desk.keys(&[DOWN, ENTER]);
    assert_eq!((desk.app.view, desk.app.current_run().unwrap().name.as_str()), (View::Run, "bold-ember-21"));
    desk.keys(&[ESC]);
    assert_eq!((desk.app.view, desk.app.models.focus), (View::Registry, Focus::Versions));
    desk.keys(&[ESC, ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn a_version_whose_run_is_not_here_says_so() {
    let mut source = FakeSource::default();
    source.listing.runs.clear();
    source.models[1].versions[0].run = None;
    let mut desk = Desk::over(source, SMALL);
    desk.keys(&[key('2'), ENTER, ENTER]);
    assert!(desk.app.notice.as_ref().unwrap().contains("is not in this repository"));
    desk.keys(&[key('h'), DOWN, ENTER, ENTER]);
    assert_eq!(desk.app.notice.as_deref(), Some("this version was not made by a run"));
    desk.keys(&[key('k')]);
    assert_eq!(desk.app.notice, None);
}

#[test]
fn a_large_screen_loads_the_chosen_run_beside_the_table() {
    let mut desk = Desk::new(LARGE);
    assert!(desk.app.detail.charts.ready().is_some());
    let next = desk.app.table.all()[1].clone();
    assert_eq!(desk.press(DOWN), [Effect::LoadDetail(next.id, next.commit)]);
    let mut desk = Desk::new(SMALL);
    assert_eq!(desk.press(DOWN), [], "a small one does not");
}

#[test]
fn sparklines_are_loaded_for_what_is_seen_and_again_when_it_changes() {
    let desk = Desk::new(LARGE);
    assert!(desk.app.table.all().iter().all(|run| !desk.app.table.spark(&run.id).is_empty()));
    let mut desk = Desk::new(LARGE);
    desk.source.listing.runs[0].metrics.get_mut("val_loss").unwrap().count += 1;
    let answer = perform(&mut desk.source, Effect::LoadRuns).unwrap();
    let effects = desk.app.update(Action::Loaded(answer));
    let Some(Effect::LoadSparks { runs, .. }) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(runs.len(), 1);
}

#[test]
fn a_filter_counts_as_it_is_typed_and_can_be_taken_back() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('/')]);
    desk.type_text("status = 'finished'");
    assert!(desk.app.table.shown().all(|run| run.status == RunStatus::Finished));
    assert_eq!(desk.app.table.shown().len(), 8);
    desk.keys(&[ENTER]);
    assert_eq!(desk.app.table.filter.text, "status = 'finished'");
    desk.keys(&[key('/')]);
    desk.type_text(" and");
    assert!(desk.app.table.filter.error.is_some());
    assert_eq!(desk.app.table.shown().len(), 8, "what counted last still does");
    desk.keys(&[ENTER]);
    assert!(desk.app.table.filter.input.is_some(), "a query that is not valid is not kept");
    desk.keys(&[ESC]);
    assert_eq!((desk.app.table.filter.text.as_str(), desk.app.table.shown().len()), ("status = 'finished'", 8));
    desk.keys(&[ESC]);
    assert_eq!(desk.app.table.shown().len(), 12);
}

#[test]
fn pasted_text_is_only_taken_where_text_is_typed() {
    let mut desk = Desk::new(SMALL);
    desk.app.update(Action::Paste("q\n".to_owned()));
    desk.keys(&[key('/')]);
    desk.app.update(Action::Paste("name = 'x'\n".to_owned()));
    assert_eq!(desk.app.table.filter.input.as_ref().unwrap().text(), "name = 'x'");
}

#[test]
fn sorting_goes_through_the_columns_best_first() {
    let mut desk = Desk::new(SMALL);
    let sorted = |desk: &Desk| (desk.app.table.sort.key.clone(), desk.app.table.sort.descending);
    assert_eq!(sorted(&desk), ("started".to_owned(), true));
    desk.keys(&[key('s')]);
    assert_eq!(sorted(&desk), ("duration".to_owned(), true));
    desk.keys(&[key('s')]);
    assert_eq!(sorted(&desk), ("metrics.val_accuracy".to_owned(), true));
    let values: Vec<f64> = desk.app.table.shown().map(|run| run.metrics["val_accuracy"].last).collect();
    assert!(values.is_sorted_by(|a, b| a >= b), "{values:?}");
    desk.keys(&[key('S')]);
    assert_eq!(sorted(&desk), ("metrics.val_accuracy".to_owned(), false));
    desk.keys(&[key('s')]);
    assert_eq!(sorted(&desk), ("metrics.val_loss".to_owned(), false), "the smallest loss first");
}

#[test]
fn what_cannot_be_loaded_is_said_and_tried_again() {
    let mut desk = Desk::new(SMALL);
    desk.app.update(Action::Loaded(Answer::Runs(Err("cannot read refs/ml/runs".to_owned()))));
    assert!(matches!(desk.app.table.state, Load::Failed(_)));
    assert_eq!(desk.app.update(Action::Tick(later(600))), [Effect::LoadRuns]);
    desk.app.update(Action::Loaded(Answer::Runs(Ok(None))));
    assert_eq!(desk.app.table.state, Load::Ready(()));
}
