//! The sweeps: what keys and the mouse do, and how they look.

use ratatui::crossterm::event::KeyCode;

use crate::run::RunStatus;
use crate::tui::app::Action;
use crate::tui::effects::{Answer as AnyAnswer, Effect};
use crate::tui::fixture::{Desk, FakeSource};
use crate::tui::keys::{Key, key, named};
use crate::tui::mouse::{Mouse, MouseKind};
use crate::tui::tests::frame::{buffer, check_pictures, screen};
use crate::tui::theme::ColorDepth;
use crate::tui::views::View;

use super::load::{Answer, Request};
use super::trial;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const ENTER: Key = named(KeyCode::Enter);
const ESC: Key = named(KeyCode::Esc);
const DOWN: Key = named(KeyCode::Down);
const RIGHT: Key = named(KeyCode::Right);
const LEFT: Key = named(KeyCode::Left);

/// Two sweeps: one of twenty trials, one of which failed and one of which goes on, and a small one.
fn source() -> FakeSource {
    let mut source = FakeSource::default();
    let number = |number: u8| f64::from(number);
    for index in 1..=20u8 {
        let lr = 10f64.powf(-number(index * 7 % 20) / 5.0);
        let width = 16 * u64::from(index * 3 % 5 + 1);
        let optimizer = ["adam", "sgd"][usize::from(index % 2)];
        let params = [
            ("lr", format!("{lr:.5}")),
            ("width", width.to_string()),
            ("optimizer", optimizer.to_owned()),
            ("seed", "1".to_owned()),
        ];
        let value = (lr.log10() + 2.0).powi(2) / 4.0 + number(index % 2) / 10.0 + 0.1;
        source.runs.push(trial("lr-search", index, &params, (index != 4).then_some(value)));
    }
    let last = source.runs.len() - 1;
    source.runs[last].status = RunStatus::Running;
    source.runs.push(trial("small", 0, &[("lr", "0.1".to_owned())], Some(0.7)));
    source
}

fn open(size: (u16, u16), keys: &[Key]) -> Desk {
    let mut desk = Desk::over(source(), size);
    desk.keys(&[key('5')]);
    desk.keys(keys);
    desk
}

fn chosen(desk: &Desk) -> String {
    desk.app.views.sweeps.trial().unwrap().name.clone()
}

#[test]
fn without_trials_the_view_says_how_to_begin() {
    let mut desk = Desk::new(SMALL);
    let effects = desk.press(key('5'));
    assert!(effects.contains(&Effect::Sweeps(Request::List)));
    assert!(screen(&desk).contains("Looking for sweeps …"));
    desk.carry_out(effects);
    assert!(screen(&desk).contains("Runs with the same tag `sweep` are trials of one"), "{}", screen(&desk));
    desk.app.update(Action::Loaded(Box::new(AnyAnswer::Sweeps(Answer::List(Err("damaged".to_owned()))))));
    assert!(screen(&desk).contains("The sweeps cannot be read: damaged"));
    desk.keys(&[DOWN, ENTER, key('m'), key('n'), key('s'), RIGHT]);
    assert!(screen(&desk).contains("damaged"));
}

#[test]
fn the_best_trial_stands_first_and_opens() {
    let mut desk = open(SMALL, &[]);
    let sweep = desk.app.views.sweeps.sweep().unwrap().clone();
    let objective = desk.app.views.sweeps.objective().unwrap();
    let best = &sweep.trials[sweep.best(&objective).unwrap()];
    assert_eq!((chosen(&desk), objective.metric.as_str()), (best.name.clone(), "val_loss"));
    desk.keys(&[key('s')]);
    assert_eq!(chosen(&desk), "trial-20", "the newest first");
    desk.keys(&[key('s'), DOWN, key(' ')]);
    assert_eq!(desk.app.context.marks.runs(), [desk.app.views.sweeps.trial().unwrap().run_id]);
    let run_id = desk.app.views.sweeps.trial().unwrap().run_id;
    desk.keys(&[ENTER]);
    assert_eq!((desk.app.view, desk.app.views.run.run_id), (View::Run, Some(run_id)));
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Sweeps);
}

#[test]
fn sweeps_metrics_and_parts_take_turns() {
    let mut desk = open(SMALL, &[]);
    assert!(screen(&desk).contains("lr-search") && screen(&desk).contains("1 of 2"));
    desk.keys(&[key('m')]);
    assert_eq!(desk.app.views.sweeps.objective().unwrap().metric, "train_loss");
    desk.keys(&[key('n')]);
    assert!(screen(&desk).contains("small") && screen(&desk).contains("val_loss"), "the choice is that of one sweep");
    desk.keys(&[key('N')]);
    assert_eq!(desk.app.views.sweeps.objective().unwrap().metric, "train_loss");
    let titles = ["Best so far", "Importance", "Parallel coordinates", "Trials"];
    for title in titles {
        desk.keys(&[RIGHT]);
        assert!(screen(&desk).contains(&format!("╭─ {title}")), "{title}: {}", screen(&desk));
    }
    desk.keys(&[LEFT]);
    assert!(screen(&desk).contains("╭─ Parallel coordinates"));
}

#[test]
fn what_matters_is_told_with_how_much_is_known() {
    let desk = open(LARGE, &[]);
    let shown = screen(&desk);
    assert!(shown.contains("of the rank") && shown.contains("words"), "{shown}");
    assert_eq!(desk.app.views.sweeps.parameters()[0], "lr");
    let desk = open(SMALL, &[key('n'), RIGHT, RIGHT]);
    assert!(screen(&desk).contains("All trials have the same parameters."), "{}", screen(&desk));
}

#[test]
fn the_chosen_trial_stays_chosen_when_others_come() {
    let mut desk = open(SMALL, &[DOWN, DOWN]);
    let before = chosen(&desk);
    desk.source.runs.push(trial("lr-search", 30, &[("lr", "0.5".to_owned())], Some(0.0001)));
    let effects = desk.app.update(Action::Tick(crate::tui::fixture::now() + jiff::SignedDuration::from_secs(3)));
    desk.carry_out(effects);
    assert_eq!((chosen(&desk), desk.app.views.sweeps.selected), (before, 3));
}

#[test]
fn the_mouse_chooses_trials_sweeps_and_parts() {
    let mut desk = open(LARGE, &[]);
    let places = desk.app.views.sweeps.places(desk.app.context.body());
    let press = |desk: &mut Desk, kind, column, row| {
        let effects = desk.app.update(Action::Mouse(Mouse { kind, column, row }));
        desk.carry_out(effects);
    };
    press(&mut desk, MouseKind::Press, places.trials.x + 4, places.trials.y + 5);
    assert_eq!(desk.app.views.sweeps.selected, 3);
    press(&mut desk, MouseKind::Press, places.sweeps.x + 4, places.sweeps.y + 2);
    assert!(screen(&desk).contains("2 of 2"));
    press(&mut desk, MouseKind::WheelDown, places.trials.x + 4, places.trials.y + 5);
    let mut small = open(SMALL, &[]);
    let line = screen(&small).lines().nth(1).unwrap().to_owned();
    let column = u16::try_from(crate::tui::text::width(line.split("Importance").next().unwrap())).unwrap();
    press(&mut small, MouseKind::Press, column, 1);
    assert!(screen(&small).contains("╭─ Importance"), "{}", screen(&small));
    press(&mut desk, MouseKind::DoublePress, places.trials.x + 4, places.trials.y + 2);
    assert_eq!(desk.app.view, View::Run);
}

#[test]
fn every_size_and_depth_can_be_drawn() {
    for size in [(60, 15), (61, 16), (110, 28), (111, 60), (300, 30)] {
        for part in 0..4 {
            let desk = open(size, &vec![RIGHT; part]);
            for depth in [ColorDepth::None, ColorDepth::Sixteen, ColorDepth::Indexed, ColorDepth::True] {
                assert_eq!(buffer(&desk, depth).area.width, size.0);
            }
        }
    }
}

#[test]
fn sweeps_pictures() {
    check_pictures("sweeps", |size| open(size, &[DOWN]));
    check_pictures("sweeps_parallel", |size| open(size, &[RIGHT, RIGHT, RIGHT]));
    check_pictures("sweeps_importance", |size| open(size, &[RIGHT, RIGHT]));
    check_pictures("sweeps_best", |size| open(size, &[RIGHT]));
}
