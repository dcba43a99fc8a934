//! Gates as `ml.toml` has them.

#![allow(clippy::disallowed_methods, reason = "a test writes its own ml.toml")]

use super::*;

fn load(text: &str, name: &str) -> Result<Option<Gate>, GateError> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(FILE_NAME), text).unwrap();
    Gate::load(folder.path(), name)
}

#[test]
fn a_gate_is_read_by_its_name() {
    let text = "[gates.production]\nrequire = [\"metrics.a >= 0.9\", 'verified and not dirty']\n[gates.staging]\n";
    let gate = load(text, "production").unwrap().unwrap();
    assert_eq!(gate.name(), "production");
    assert_eq!(gate.conditions().collect::<Vec<_>>(), ["metrics.a >= 0.9", "verified and not dirty"]);
    assert_eq!(load(text, "staging").unwrap().unwrap().conditions().count(), 0);
    assert_eq!(load(text, "champion").unwrap(), None);
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Gate::load(folder.path(), "production").unwrap(), None);
}

#[test]
fn a_condition_that_cannot_be_read_is_pointed_at() {
    let text = "# ü\n[gates.production]\nrequire = [\n  \"metrics.a >= 0.9\",\n  'metrics.a >= alias.',\n]\n";
    let error = load(text, "production").unwrap_err();
    assert!(matches!(error, GateError::Condition { line: 5, column: 17, .. }), "{error:?}");
    let told = error.to_string();
    let expected = "ml.toml: line 5, column 17: gates.production: `metrics.a >= alias.`: `alias.` needs the name of an \
                    alias after the point";
    assert!(told.ends_with(expected), "{told}");
}
