//! The artifacts: what keys and the mouse do, what is asked for, and how they look.

use ratatui::crossterm::event::KeyCode;

use crate::tui::app::Action;
use crate::tui::effects::{Answer as AnyAnswer, Effect};
use crate::tui::fixture::{Desk, now};
use crate::tui::keys::{Key, key, named};
use crate::tui::lend::Errand;
use crate::tui::mouse::{Mouse, MouseKind};
use crate::tui::tests::frame::{check_pictures, screen};
use crate::tui::views::View;

use super::load::{Answer, Request, Tracked};
use super::state::Part;

const SMALL: (u16, u16) = (80, 24);
const LARGE: (u16, u16) = (200, 50);
const ENTER: Key = named(KeyCode::Enter);
const ESC: Key = named(KeyCode::Esc);
const DOWN: Key = named(KeyCode::Down);
const RIGHT: Key = named(KeyCode::Right);
const LEFT: Key = named(KeyCode::Left);

fn open(size: (u16, u16), keys: &[Key]) -> Desk {
    let mut desk = Desk::new(size);
    desk.keys(&[key('4')]);
    desk.keys(keys);
    desk
}

#[test]
fn artifacts_come_at_once_and_how_they_stand_when_it_is_known() {
    let mut desk = Desk::new(SMALL);
    let effects = desk.press(key('4'));
    let is_ours = |effect: &Effect| matches!(effect, Effect::Artifacts(_));
    let effects: Vec<Effect> = effects.into_iter().filter(is_ours).collect();
    assert_eq!(effects, [Effect::Artifacts(Request::List), Effect::Artifacts(Request::Standings)]);
    assert!(screen(&desk).contains("Looking for artifacts …"));
    desk.carry_out(vec![effects[0].clone()]);
    let shown = screen(&desk);
    assert!(shown.contains("data/digits") && shown.contains('…') && !shown.contains("clean"), "{shown}");
    desk.carry_out(vec![effects[1].clone()]);
    let shown = screen(&desk);
    for words in ["clean", "modified", "missing", "unstored", "on origin", "yes", "no"] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    // Nothing is asked for again before it is due.
    let effects = desk.app.update(Action::Tick(now()));
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Artifacts(_))), "{effects:?}");
}

#[test]
fn what_cannot_be_read_is_a_line() {
    let mut desk = Desk::new(SMALL);
    desk.press(key('4'));
    let answer = Answer::List(Err("no work tree".to_owned()));
    desk.app.update(Action::Loaded(Box::new(AnyAnswer::Artifacts(answer))));
    assert!(screen(&desk).contains("The artifacts cannot be read: no work tree"));
    let faulty =
        Tracked { faulty: vec![("data/x.mlref".to_owned(), "not a valid pointer".to_owned())], ..Tracked::default() };
    desk.app.update(Action::Loaded(Box::new(AnyAnswer::Artifacts(Answer::List(Ok(faulty))))));
    assert!(screen(&desk).contains("data/x.mlref: not a valid pointer"), "{}", screen(&desk));
    desk.app.update(Action::Loaded(Box::new(AnyAnswer::Artifacts(Answer::List(Ok(Tracked::default()))))));
    assert!(screen(&desk).contains("Nothing is tracked yet"));
    desk.keys(&[DOWN, ENTER, RIGHT, ENTER, RIGHT, ENTER, key('F'), ENTER, LEFT]);
}

#[test]
fn versions_names_and_files_are_of_what_is_chosen() {
    let mut desk = open(LARGE, &[]);
    let shown = screen(&desk);
    for words in ["Take the second half", "digits@v2 (stable)", "brave-otter-12", "and 3 runs", "model.toml"] {
        assert!(shown.contains(words), "{words} in {shown}");
    }
    desk.keys(&[ENTER]);
    assert_eq!(desk.app.views.artifacts.part, Part::Versions);
    desk.keys(&[DOWN]);
    assert!(
        screen(&desk).contains("This version is not there.") || !screen(&desk).contains("digits@v2"),
        "{}",
        screen(&desk)
    );
    desk.keys(&[DOWN]);
    assert!(screen(&desk).contains("No run and no registered version."), "{}", screen(&desk));
    let commit = desk.app.views.artifacts.version_list()[2].commit.id;
    assert_eq!(desk.press(key('d')), [Effect::Lend(Errand::ShowCommit(commit))]);
    desk.keys(&[ESC]);
    assert_eq!((desk.app.views.artifacts.part, desk.app.view), (Part::List, View::Artifacts));
    desk.keys(&[DOWN]);
    assert!(screen(&desk).contains("3 files not as tracked"), "{}", screen(&desk));
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Runs);
}

#[test]
fn a_run_and_the_registry_are_one_key_away() {
    let mut desk = open(SMALL, &[RIGHT, RIGHT]);
    assert_eq!(desk.app.views.artifacts.part, Part::Names);
    desk.keys(&[DOWN, ENTER]);
    assert_eq!((desk.app.view, desk.app.views.run.run_id), (View::Run, Some(desk.source.runs[0].id)));
    desk.keys(&[ESC]);
    assert_eq!(desk.app.view, View::Artifacts);
    desk.keys(&[named(KeyCode::Up), ENTER]);
    assert_eq!(desk.app.view, View::Registry);
}

#[test]
fn files_are_looked_into_with_the_same_keys_as_those_of_a_run() {
    let mut desk = open(SMALL, &[key('F'), DOWN, DOWN, DOWN, DOWN]);
    assert!(screen(&desk).contains("Files of"), "{}", screen(&desk));
    desk.keys(&[ENTER]);
    assert!(screen(&desk).contains("\"accuracy\""), "{}", screen(&desk));
    desk.keys(&[ESC, ESC]);
    assert_eq!((desk.app.views.artifacts.part, desk.app.view), (Part::List, View::Artifacts));
}

#[test]
fn the_mouse_chooses_and_opens() {
    let mut desk = open(SMALL, &[]);
    let places = desk.app.views.artifacts.places(desk.app.context.body());
    let press = |desk: &mut Desk, kind, column, row| {
        let effects = desk.app.update(Action::Mouse(Mouse { kind, column, row }));
        desk.carry_out(effects);
    };
    press(&mut desk, MouseKind::Press, 5, places.list.y + 3);
    assert_eq!(desk.app.views.artifacts.chosen().unwrap().0.as_str(), "data/faces");
    press(&mut desk, MouseKind::WheelDown, 5, places.list.y + 3);
    assert_eq!(desk.app.views.artifacts.chosen().unwrap().0.as_str(), "data/words");
    let line = screen(&desk).lines().nth(usize::from(places.versions.y)).unwrap().to_owned();
    let column = u16::try_from(crate::tui::text::width(line.split("Named by").next().unwrap())).unwrap();
    press(&mut desk, MouseKind::Press, column, places.versions.y);
    assert_eq!(desk.app.views.artifacts.part, Part::Names, "{line}");
    press(&mut desk, MouseKind::DoublePress, 5, places.list.y + 2);
    assert_eq!(desk.app.views.artifacts.part, Part::Versions);
}

#[test]
fn artifacts_pictures() {
    check_pictures("artifacts", |size| open(size, &[DOWN]));
    check_pictures("artifacts_files", |size| open(size, &[key('F'), DOWN, DOWN]));
}
