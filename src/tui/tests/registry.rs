//! Changing the registry: what is asked before, and what is then done.

use super::*;

fn at_registry(source: FakeSource) -> Desk {
    let mut desk = Desk::over(source, SMALL);
    desk.keys(&[key('2'), ENTER]);
    desk
}

/// Types into a picker until one line is left, and takes it.
fn choose(desk: &mut Desk, letters: &str) {
    desk.type_text(letters);
    desk.keys(&[ENTER]);
}

#[test]
fn a_version_is_promoted_after_a_look_at_its_gate() {
    let mut desk = at_registry(FakeSource::default());
    desk.keys(&[key('p')]);
    assert!(matches!(desk.app.overlays.last(), Some(Overlay::Picker(_))));
    choose(&mut desk, "prod");
    assert!(matches!(desk.app.overlays.last(), Some(Overlay::Confirm(_))));
    assert!(desk.source.changes.is_empty(), "nothing moves before the user says so");
    desk.keys(&[key('y')]);
    assert_eq!(desk.source.changes, ["digits@production: v2 -> v3"]);
    assert_eq!(desk.app.notice, Some(Notice::Word("digits@production: v2 -> v3".to_owned())));
    let models = desk.app.views.registry.models.ready().unwrap();
    assert_eq!(models[0].aliases["production"], 3, "the models are looked at again");
}

#[test]
fn what_is_not_confirmed_is_not_done() {
    let mut desk = at_registry(FakeSource::default());
    for keys in [[key('p'), ENTER, ESC], [key('b'), ENTER, key('n')], [key('a'), ESC, ESC]] {
        desk.keys(&keys);
        assert!(desk.app.overlays.is_empty());
    }
    assert!(desk.source.changes.is_empty());
}

#[test]
fn a_gate_that_refuses_is_overridden_only_for_a_reason() {
    let mut source = FakeSource::default();
    source.refuses = true;
    let mut desk = at_registry(source);
    desk.keys(&[key('p')]);
    choose(&mut desk, "prod");
    desk.keys(&[ENTER]);
    assert!(matches!(desk.app.overlays.last(), Some(Overlay::Prompt(_))));
    desk.keys(&[ENTER]);
    assert!(desk.source.changes.is_empty());
    desk.keys(&[key('p')]);
    choose(&mut desk, "prod");
    desk.keys(&[ENTER]);
    desk.type_text("known bad labels");
    desk.keys(&[ENTER]);
    assert_eq!(desk.source.changes, ["digits@production: v2 -> v3 (known bad labels)"]);
}

#[test]
fn an_alias_is_rolled_back_pointed_elsewhere_made_and_removed() {
    let mut desk = at_registry(FakeSource::default());
    desk.keys(&[key('b')]);
    choose(&mut desk, "prod");
    desk.keys(&[ENTER]);
    desk.keys(&[DOWN, DOWN, key('a')]);
    choose(&mut desk, "stag");
    desk.keys(&[ENTER]);
    desk.keys(&[key('a')]);
    choose(&mut desk, "another");
    desk.type_text("shadow");
    desk.keys(&[ENTER, ENTER]);
    desk.keys(&[named(KeyCode::Delete)]);
    choose(&mut desk, "champ");
    desk.keys(&[ENTER]);
    assert_eq!(
        desk.source.changes,
        [
            "digits@production: v2 -> v1",
            "digits@staging: v3 -> v1",
            "digits@shadow -> v1",
            "digits@champion removed (was v2)",
        ]
    );
}

#[test]
fn a_model_without_aliases_has_none_to_roll_back() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('2'), DOWN, key('b')]);
    assert_eq!(desk.app.overlays.len(), 0);
    assert!(desk.app.notice.as_ref().unwrap().words().contains("no alias yet"));
}

#[test]
fn the_models_of_runs_are_registered_from_where_they_are_looked_at() {
    let mut desk = Desk::new(SMALL);
    desk.keys(&[key('R')]);
    assert!(desk.app.notice.as_ref().unwrap().words().contains("has no output"));
    desk.keys(&[DOWN]);
    let run_id = desk.app.views.runs.selected_row().unwrap().id();
    desk.keys(&[key('R')]);
    assert!(matches!(desk.app.overlays.last(), Some(Overlay::Prompt(_))));
    desk.keys(&[control('u')]);
    desk.type_text("digits");
    desk.keys(&[ENTER]);
    desk.keys(&[ENTER, key('R'), ENTER]);
    desk.keys(&[key('2'), key('R'), ENTER]);
    let target = format!("run:{run_id}:model");
    let name = desk.source.changes[1].rsplit(' ').next().unwrap().to_owned();
    assert_eq!(
        desk.source.changes,
        [format!("{target} as digits"), format!("{target} as {name}"), "run:@ as digits".to_owned()]
    );
    assert_eq!(desk.app.notice, Some(Notice::Word("registered digits@v4".to_owned())));
}

#[test]
fn a_question_that_comes_late_does_not_open_over_another_view() {
    let mut desk = at_registry(FakeSource::default());
    desk.keys(&[key('p')]);
    desk.type_text("prod");
    let effects = desk.press(ENTER);
    desk.keys(&[key('1')]);
    desk.carry_out(effects);
    assert_eq!((desk.app.view, desk.app.overlays.len()), (View::Runs, 0));
}

#[test]
fn the_lower_half_shows_the_history_of_an_alias_or_what_a_version_came_from() {
    let mut desk = at_registry(FakeSource::default());
    desk.keys(&[key('f')]);
    assert_eq!(desk.app.views.registry.history_alias(), Some("champion"));
    desk.keys(&[key('f'), key('f')]);
    assert_eq!(desk.app.views.registry.history_alias(), Some("staging"));
    desk.keys(&[key('f')]);
    assert_eq!(desk.app.views.registry.history_alias(), None);
    let effects = desk.press(key('i'));
    assert!(matches!(effects[..], [Effect::Registry(registry_view::Request::Origin(_))]), "{effects:?}");
    desk.carry_out(effects);
    assert!(desk.app.views.registry.origin().ready().is_some());
    assert_eq!(desk.press(key('i')), []);
}
