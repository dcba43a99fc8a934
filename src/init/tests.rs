//! Tests in real folders.
#![allow(clippy::disallowed_methods, reason = "tests write the work trees that they look at")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::config::Config;
use crate::track::Silent;
use crate::train::Recipe;

fn set_up(folder: &Path, template: Option<&str>, trust: &TrustStore) -> Result<Done, InitError> {
    let template = template.map(|name| find_template(name).unwrap());
    init(folder, template, Some(trust), &Silent)
}

fn everything_below(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_entry(|entry| entry.file_name() != ".git")
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let path = entry.path().strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            (path, fs::read(entry.path()).unwrap())
        })
        .collect();
    found.sort();
    found
}

#[test]
fn every_template_is_whole() {
    for template in templates() {
        let name = template.name;
        // Every file of its folder is embedded, and those that can be run are scripts.
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates").join(name);
        let files: Vec<_> =
            template.files.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect();
        assert_eq!(files, everything_below(&folder), "{name}");
        for (path, content) in template.files {
            let mode = fs::metadata(folder.join(path)).unwrap().permissions().mode();
            assert_eq!(mode & 0o111 != 0, content.starts_with(b"#!"), "{name}: {path}");
            assert!(RelPath::new(*path).is_ok(), "{name}: {path}");
        }
        for optional in template.optional {
            assert!(template.files.iter().any(|(path, _)| path == optional), "{name}: {optional}");
        }
        let config = template.files.iter().find(|(path, _)| *path == config::FILE_NAME).expect("an ml.toml");
        let config = Config::parse_bytes(config.1, Path::new(config::FILE_NAME)).unwrap();
        assert!(!config.experiments.is_empty(), "{name}");
        for (experiment_name, experiment) in &config.experiments {
            assert!(experiment.description.is_some(), "{name}: {experiment_name}");
            let data = format!("data/{name}");
            match experiment.command {
                Some(_) => assert_eq!(experiment.inputs, [RelPath::new(data).unwrap()], "{name}: {experiment_name}"),
                None => {
                    let recipe = Recipe::new(experiment, &[]);
                    let recipe = recipe.unwrap_or_else(|error| panic!("{name}: {experiment_name}: {error}"));
                    assert_eq!(recipe.data.data, data, "{name}: {experiment_name}");
                }
            }
        }
        // What is to be typed names experiments that there are.
        let trained = template
            .next
            .iter()
            .find_map(|(line, _)| line.strip_prefix("git ml train ").or_else(|| line.strip_prefix("git ml run ")));
        assert!(config.experiments.contains_key(trained.unwrap()), "{name}");
    }
    Config::parse_bytes(PLAIN_CONFIG, Path::new(config::FILE_NAME)).unwrap();
    assert!(matches!(find_template("digts"), Err(InitError::UnknownTemplate { .. })));
}

#[test]
fn scripts_of_a_template_can_be_run() {
    let folder = tempfile::tempdir().unwrap();
    let trust = TrustStore::new(folder.path().join("trust"));
    let done = set_up(folder.path(), Some("python"), &trust).unwrap();
    assert!(done.tracked.is_empty());
    let is_program = |path: &str| fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o111 != 0;
    assert!(is_program("train.py") && is_program("data/make"));
    assert!(!is_program("ml.toml"));
}

#[test]
fn a_new_folder_becomes_a_repository_and_a_second_time_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let trust = TrustStore::new(folder.path().join("trust"));
    let top = folder.path().join("project");
    fs::create_dir(&top).unwrap();
    let done = set_up(&top, None, &trust).unwrap();
    assert!(done.is_new && top.join(".git/ml").is_dir());
    assert_eq!(done.written, [RelPath::new("ml.toml").unwrap()]);
    let common_dir = done.workspace.repository.common_dir();
    assert!(trust.is_approved(common_dir, PLAIN_CONFIG));
    let before = everything_below(&top);
    let again = set_up(&top, None, &trust).unwrap();
    assert!(!again.is_new && again.written.is_empty() && again.left.is_empty());
    assert_eq!(everything_below(&top), before);
}

#[test]
fn somebodys_ml_toml_stays_and_is_not_approved() {
    let folder = tempfile::tempdir().unwrap();
    let trust = TrustStore::new(folder.path().join("trust"));
    let top = folder.path().join("project");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("ml.toml"), "[experiments.x]\ncommand = \"x\"\n").unwrap();
    let done = set_up(&top, None, &trust).unwrap();
    assert_eq!(done.left, [RelPath::new("ml.toml").unwrap()]);
    let repository = done.workspace.repository;
    assert!(!trust.is_trusted(repository.common_dir(), repository.work_dir().unwrap()));
}

#[test]
fn the_digits_are_written_tracked_and_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let trust = TrustStore::new(folder.path().join("trust"));
    let top = folder.path().join("project");
    fs::create_dir(&top).unwrap();
    fs::write(top.join("README.md"), "mine").unwrap();
    // A plain ml.toml of an earlier `init` gives way.
    set_up(&top, None, &trust).unwrap();
    let done = set_up(&top, Some("digits"), &trust).unwrap();
    assert_eq!(done.left, [RelPath::new("README.md").unwrap()]);
    assert_eq!(done.tracked.len(), 1);
    assert_eq!(done.tracked[0].pointer.files, 2);
    assert_eq!(done.tracked[0].pointer.meta["licence"], "CC BY 4.0");
    assert!(top.join("data/digits.mlref").is_file());
    assert_eq!(fs::read(top.join("README.md")).unwrap(), b"mine");
    let repository = &done.workspace.repository;
    assert!(trust.is_trusted(repository.common_dir(), &top));
    let before = everything_below(&top);
    let again = set_up(&top, Some("digits"), &trust).unwrap();
    assert!(again.written.is_empty());
    assert_eq!(again.tracked[0].pointer.id, done.tracked[0].pointer.id);
    assert_eq!(everything_below(&top), before);
}

#[test]
fn conflicts_are_named_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let trust = TrustStore::new(folder.path().join("trust"));
    let top = folder.path().join("project");
    fs::create_dir_all(top.join("data/digits")).unwrap();
    fs::write(top.join("data/digits/labels-idx1-ubyte.gz"), "mine").unwrap();
    fs::write(top.join(".github"), "a file").unwrap();
    let before = everything_below(&top);
    let error = set_up(&top, Some("digits"), &trust).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the template would overwrite .github/workflows/verify.yml, data/digits/labels-idx1-ubyte.gz"
    );
    assert_eq!(everything_below(&top), before);
    assert!(!top.join(".git").exists());
    fs::remove_file(top.join(".github")).unwrap();
    std::os::unix::fs::symlink("/tmp", top.join(".github")).unwrap();
    assert!(matches!(set_up(&top, Some("digits"), &trust), Err(InitError::UnsafePath(_))));
}
