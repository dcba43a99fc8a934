//! The registry in real repositories.

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::git::{Identity, RefCommit, Repository, TreeEdit};
use crate::store::{Entry, Manifest, Mode};
use crate::track::Workspace;

struct Fixture {
    _folder: TempDir,
    workspace: Workspace,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        repository.set_config("user.name", "Ada Tester").unwrap();
        repository.set_config("user.email", "ada@example.com").unwrap();
        let workspace = Workspace::discover(folder.path()).unwrap();
        Self { _folder: folder, workspace }
    }

    fn registry(&self) -> Registry<'_> {
        Registry::new(&self.workspace)
    }

    /// An artifact in the store that holds `text`.
    fn artifact(&self, text: &str) -> Resolved {
        let writer = self.workspace.store.writer().unwrap();
        let (digest, size) = writer.add(&mut text.as_bytes(), "a text").unwrap();
        let manifest = Manifest::new(vec![Entry { path: None, mode: Mode::File, size, digest }]).unwrap();
        let id = writer.add_manifest(&manifest).unwrap();
        writer.finish().unwrap();
        Resolved {
            target: text.to_owned(),
            id,
            name: "model".to_owned(),
            artifact_type: "model".to_owned(),
            run: None,
            commit: None,
        }
    }

    fn with_versions(count: u64) -> Self {
        let fixture = Self::new();
        for version in 1..=count {
            let registered = fixture.registry().register("digits", &fixture.artifact(&format!("{version}")), None);
            assert_eq!(registered.unwrap().version.version, version);
        }
        fixture
    }

    /// Writes to the registry's tree past the registry.
    fn plant(&self, path: &str, content: Option<&[u8]>) {
        let repository = &self.workspace.repository;
        let author = Identity { name: "Mallory".to_owned(), email: "m@example.com".to_owned() };
        let edits = vec![TreeEdit { path: path.to_owned(), content: content.map(<[u8]>::to_vec) }];
        let expected = repository.read_ref(REGISTRY_REF).unwrap();
        let commit = RefCommit {
            reference: REGISTRY_REF,
            expected,
            edits,
            message: "plant",
            extra_parents: Vec::new(),
            author: &author,
        };
        repository.commit_to_ref(&commit).unwrap();
    }

    fn alias(&self, alias: &str) -> Option<u64> {
        self.registry().model("digits").unwrap().aliases.get(alias).copied()
    }
}

#[test]
fn eight_threads_register_eight_versions() {
    let fixture = Fixture::new();
    let artifacts: Vec<Resolved> = (0..8).map(|number| fixture.artifact(&format!("artifact {number}"))).collect();
    let versions: BTreeSet<u64> = std::thread::scope(|scope| {
        let register = |artifact| move || fixture_register(artifact);
        fn fixture_register((fixture, artifact): (&Fixture, &Resolved)) -> u64 {
            // A workspace of its own for each, as for processes.
            let workspace = Workspace::discover(fixture.workspace.repository.work_dir().unwrap()).unwrap();
            Registry::new(&workspace).register("digits", artifact, Some("at once")).unwrap().version.version
        }
        let threads: Vec<_> = artifacts.iter().map(|artifact| scope.spawn(register((&fixture, artifact)))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(versions, (1..=8).collect());
    let model = fixture.registry().model("digits").unwrap();
    let ids: BTreeSet<_> = model.versions.iter().map(|version| version.id).collect();
    assert_eq!(ids, artifacts.iter().map(|artifact| artifact.id).collect());
    assert_eq!(fixture.registry().history("digits").unwrap().len(), 8);
}

#[test]
fn the_same_artifact_is_registered_once() {
    let fixture = Fixture::with_versions(2);
    let again = fixture.registry().register("digits", &fixture.artifact("1"), Some("other words")).unwrap();
    assert_eq!((again.version.version, again.is_new), (1, false));
    assert_eq!(again.version.by, "Ada Tester <ada@example.com>");
    assert_eq!(fixture.registry().models().unwrap()[0].versions.len(), 2);
}

#[test]
fn what_cannot_be_registered_changes_nothing() {
    let fixture = Fixture::new();
    let artifact = fixture.artifact("x");
    let registry = fixture.registry();
    let bad_name = registry.register("a:b", &artifact, None);
    assert!(matches!(bad_name, Err(RegistryError::BadName { .. })));
    let bad_note = registry.register("digits", &artifact, Some("red \x1b[31m"));
    assert!(matches!(bad_note, Err(RegistryError::BadNote { .. })));
    let absent = Resolved { id: crate::id::ArtifactId::from_bytes([1; 32]), ..artifact };
    assert!(matches!(registry.register("digits", &absent, None), Err(RegistryError::NotStored { .. })));
    assert_eq!(fixture.workspace.repository.read_ref(REGISTRY_REF).unwrap(), None);
}

#[test]
fn an_alias_moves_only_from_where_it_was_seen() {
    let fixture = Fixture::with_versions(3);
    let registry = fixture.registry();
    assert_eq!(registry.set_alias("digits", "production", 1, None).unwrap(), None);
    assert_eq!(registry.set_alias("digits", "production", 2, Some("better")).unwrap(), Some(1));
    let late = registry.move_alias(EventKind::Alias, "digits", "production", Some(1), Some(3), None);
    let message = late.unwrap_err().to_string();
    assert!(message.starts_with("`digits@production` points to v2 since 2"), "{message}");
    assert!(message.ends_with(", moved by Ada Tester: better"), "{message}");
    assert_eq!(fixture.alias("production"), Some(2));
    // That somebody else did the same is no conflict, and no event.
    registry.move_alias(EventKind::Alias, "digits", "production", Some(1), Some(2), None).unwrap();
    assert_eq!(registry.history("digits").unwrap().len(), 5);
}

#[test]
fn of_eight_threads_that_move_an_alias_one_wins() {
    let fixture = Fixture::with_versions(8);
    let results: Vec<Result<_, RegistryError>> = std::thread::scope(|scope| {
        let fixture = &fixture;
        let take = |version| {
            move || fixture.registry().move_alias(EventKind::Promote, "digits", "best", None, Some(version), None)
        };
        let threads: Vec<_> = (1..=8).map(|version| scope.spawn(take(version))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let winner = fixture.alias("best").unwrap();
    for (version, result) in (1..).zip(results) {
        match result {
            Ok(previous) => assert_eq!((version, previous), (winner, None)),
            Err(RegistryError::AliasMoved { now, .. }) => assert_eq!(*now, *format!("points to v{winner}")),
            Err(error) => panic!("{error}"),
        }
    }
    let moves = fixture.registry().history("digits").unwrap();
    assert_eq!(moves.iter().filter(|event| event.alias.is_some()).count(), 1);
}

#[test]
fn rolling_back_goes_back_and_not_forth() {
    let fixture = Fixture::with_versions(4);
    let registry = fixture.registry();
    for version in [1, 2, 3] {
        registry.promote("digits", "production", version, None).unwrap();
    }
    assert_eq!(registry.rollback("digits", "production", None).unwrap(), (3, 2));
    assert_eq!(registry.rollback("digits", "production", None).unwrap(), (2, 1));
    let end = registry.rollback("digits", "production", None);
    assert!(matches!(end, Err(RegistryError::NothingBefore { .. })));
    registry.promote("digits", "production", 4, None).unwrap();
    assert_eq!(registry.rollback("digits", "production", Some("worse")).unwrap(), (4, 1));
    let newest = registry.history("digits").unwrap().remove(0);
    assert_eq!((newest.what.as_str(), newest.note.as_deref()), ("production: v4 -> v1 (rolled back)", Some("worse")));
    assert_eq!(registry.remove_alias("digits", "production", None).unwrap(), 1);
    assert_eq!(fixture.alias("production"), None);
    assert!(matches!(registry.rollback("digits", "production", None), Err(RegistryError::NoAlias { .. })));
}

#[test]
fn versions_are_found_by_number_and_alias() {
    let fixture = Fixture::with_versions(2);
    let registry = fixture.registry();
    registry.set_alias("digits", "production", 1, None).unwrap();
    let find = |text: &str| registry.version(text).map(|(_, version)| version.version);
    assert_eq!([find("digits").unwrap(), find("digits@v1").unwrap(), find("digits@production").unwrap()], [2, 1, 1]);
    assert_eq!(find("digits@latest").unwrap(), 2);
    assert!(matches!(find("digits@v3"), Err(RegistryError::NoVersion { version: 3, .. })));
    assert!(matches!(find("digits@staging"), Err(RegistryError::NoAlias { .. })));
    assert!(matches!(find("digits@v99999999999999999999"), Err(RegistryError::BadTarget { .. })));
    match find("digts") {
        Err(RegistryError::NoModel { known, .. }) => assert_eq!(known, ["digits"]),
        other => panic!("{other:?}"),
    }
    let resolve = |target: &str| registry.resolve(Path::new("/nowhere"), target);
    assert_eq!(resolve("digits@production").unwrap().id, fixture.artifact("1").id);
    match resolve("digits@prodution").unwrap_err() {
        RegistryError::NoAlias { alias, .. } => assert_eq!(alias, "prodution"),
        error => panic!("{error}"),
    }
    match resolve("digitz").unwrap_err() {
        RegistryError::BadTarget { nearest, problem, .. } => {
            assert_eq!((nearest[0].as_str(), problem.as_str()), ("digits", "is neither a tracked path nor a model"));
        }
        error => panic!("{error}"),
    }
    for bad in ["", "@", "a\u{1b}[2J", "no/such/path", "run:", "run:nope", "run::", "digits@", "a@b@c"] {
        resolve(bad).unwrap_err();
    }
}

#[test]
fn what_is_not_valid_is_named_and_the_rest_still_reads() {
    let fixture = Fixture::with_versions(1);
    let version = br#"model = "digits"
version = 18446744073709551616
"#;
    for (path, content) in [
        ("digits/versions/18446744073709551616.toml", &b""[..]),
        ("digits/versions/2.toml", version),
        ("digits/versions/03.toml", b""),
        ("digits/versions/readme.md", b""),
        ("digits/versions/4.toml/deeper", b""),
        ("digits/aliases/production", b"v99999999999999999999\n"),
        ("digits/aliases/v7", b"v1\n"),
        ("digits/aliases/a\x1b[2J", b"v1\n"),
        ("a\nb/versions/1.toml", b""),
        ("a file", b"x"),
        ("file", b"x"),
    ] {
        fixture.plant(path, Some(content));
    }
    fixture.plant("other/versions/1.toml", Some(&vec![b'#'; 2 << 20]));
    let survey = fixture.registry().survey().unwrap();
    let mut places: Vec<String> = survey.problems.iter().map(|problem| problem.to_string()).collect();
    places.sort();
    assert_eq!(survey.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["digits", "other"]);
    assert_eq!(survey.models[0].versions.len(), 1);
    assert_eq!(places.len(), 12, "{places:#?}");
    assert!(places.iter().all(|place| !place.chars().any(char::is_control)), "{places:#?}");
    let artifact = fixture.artifact("new");
    let refused = fixture.registry().register("digits", &artifact, None);
    assert!(matches!(refused, Err(RegistryError::Malformed { .. })));
}

#[test]
fn a_model_may_be_there_before_its_first_version() {
    let fixture = Fixture::new();
    let registry = fixture.registry();
    let about = ModelAbout { description: Some("irises".to_owned()), ..ModelAbout::default() };
    let model = registry.create_model("Iris 2", &about).unwrap();
    assert_eq!((model.versions.len(), model.about.description.as_deref()), (0, Some("irises")));
    let again = registry.create_model("Iris 2", &about);
    assert!(matches!(again, Err(RegistryError::ModelExists { .. })));
    let registered = registry.register("Iris 2", &fixture.artifact("1"), None).unwrap();
    assert_eq!(registered.version.label(), "Iris 2@v1");
    assert_eq!(registry.version("Iris 2@v1").unwrap().0.about.description.as_deref(), Some("irises"));
    assert_eq!(registry.models().unwrap().len(), 1);
}

#[test]
fn what_is_said_changes_and_the_version_does_not() {
    let fixture = Fixture::with_versions(2);
    let registry = fixture.registry();
    let before = registry.version("digits@v1").unwrap().1;
    let say = &mut |about: &mut VersionAbout| {
        about.description = Some("better".to_owned());
        about.tags.insert("key".to_owned(), "value".to_owned());
        Ok(())
    };
    let model = registry.describe_version("digits", 1, say).unwrap();
    assert_eq!(model.about_version(1).tags["key"], "value");
    let (model, version) = registry.version("digits@v1").unwrap();
    assert_eq!((&version, model.note_of(&version)), (&before, Some("better")));
    assert!(matches!(registry.describe_version("digits", 3, say), Err(RegistryError::NoVersion { version: 3, .. })));
    let commits = registry.events().unwrap().len();
    registry.describe_version("digits", 1, say).unwrap();
    assert_eq!(registry.events().unwrap().len(), commits, "nothing changed, so there is no commit");
    assert_eq!(registry.changed_versions().unwrap(), []);
}

#[test]
fn removed_numbers_are_not_given_again_and_are_no_gap() {
    let fixture = Fixture::with_versions(3);
    let registry = fixture.registry();
    registry.set_alias("digits", "best", 3, None).unwrap();
    registry.remove_version("digits", 3).unwrap();
    registry.remove_version("digits", 1).unwrap();
    assert!(matches!(registry.remove_version("digits", 1), Err(RegistryError::NoVersion { version: 1, .. })));
    let model = registry.model("digits").unwrap();
    assert_eq!((model.versions.len(), model.aliases.len()), (1, 0));
    let registered = registry.register("digits", &fixture.artifact("new"), None).unwrap();
    assert_eq!(registered.version.version, 4);
    assert_eq!(registry.changed_versions().unwrap(), []);
    // The same done past the registry is found.
    fixture.plant("digits/versions/2.toml", None);
    let changed: Vec<_> = registry.changed_versions().unwrap().into_iter().map(|changed| changed.label).collect();
    assert_eq!(changed, ["digits@v2"]);
}

#[test]
fn a_renamed_model_keeps_its_versions_aliases_and_history() {
    let fixture = Fixture::with_versions(2);
    let registry = fixture.registry();
    registry.set_alias("digits", "best", 1, None).unwrap();
    registry.set_alias("digits", "best", 2, None).unwrap();
    registry
        .describe_version("digits", 2, &mut |about| {
            about.stage = Some("Staging".to_owned());
            Ok(())
        })
        .unwrap();
    registry.register("taken", &fixture.artifact("other"), None).unwrap();
    assert!(matches!(registry.rename_model("digits", "taken"), Err(RegistryError::ModelExists { .. })));
    assert!(matches!(registry.rename_model("nothing", "x"), Err(RegistryError::NoModel { .. })));
    let model = registry.rename_model("digits", "numbers").unwrap();
    assert_eq!((model.versions.len(), model.aliases["best"]), (2, 2));
    assert_eq!(model.about_version(2).stage.as_deref(), Some("Staging"));
    assert!(matches!(registry.model("digits"), Err(RegistryError::NoModel { .. })));
    assert_eq!(registry.changed_versions().unwrap(), []);
    let history: Vec<_> = registry.history("numbers").unwrap().into_iter().map(|event| event.what).collect();
    assert_eq!(history[0], "renamed from digits");
    assert_eq!(history.last().map(String::as_str), Some("registered v1"));
    assert_eq!(registry.rollback("numbers", "best", None).unwrap(), (2, 1));
    let planted = String::from_utf8(registry.tree().unwrap().unwrap().version_bytes("numbers", 1).unwrap().unwrap());
    fixture.plant("numbers/versions/1.toml", Some(planted.unwrap().replace("Ada", "Eve").as_bytes()));
    assert_eq!(registry.changed_versions().unwrap().len(), 1);
}

#[test]
fn a_removed_model_is_gone_and_its_name_is_free() {
    let fixture = Fixture::with_versions(2);
    let registry = fixture.registry();
    registry.remove_model("digits").unwrap();
    assert!(matches!(registry.model("digits"), Err(RegistryError::NoModel { .. })));
    assert!(matches!(registry.remove_model("digits"), Err(RegistryError::NoModel { .. })));
    assert_eq!(registry.changed_versions().unwrap(), []);
    let registered = registry.register("digits", &fixture.artifact("new"), None).unwrap();
    assert_eq!(registered.version.version, 1);
    assert_eq!(registry.changed_versions().unwrap(), []);
}

#[test]
fn mlflow_makes_a_new_version_of_the_same_artifact() {
    let fixture = Fixture::with_versions(1);
    let registry = fixture.registry();
    let about = VersionAbout { logged_model: Some("m-1".to_owned()), ..VersionAbout::default() };
    let details = Details { source: Some("models:/m-1".to_owned()), about, ..Details::default() };
    let registered = registry.register_anew("digits", &fixture.artifact("1"), &details).unwrap();
    assert_eq!((registered.version.version, registered.is_new), (2, true));
    let (model, version) = registry.version("digits@v2").unwrap();
    assert_eq!(version.source.as_deref(), Some("models:/m-1"));
    assert_eq!(model.about_version(2).logged_model.as_deref(), Some("m-1"));
}
