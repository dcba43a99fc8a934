//! Two clones and a bare remote, in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::git::{Identity, Manner, Repository};
use crate::registry::{EventKind, Model, RegistryError, Resolved};
use crate::store::{Entry, Manifest, Mode};
use crate::track::Workspace;

/// Models and aliases that the clones fight over.
const MODELS: [&str; 2] = ["digits", "Iris 2"];
const ALIASES: [&str; 3] = ["production", "staging", "best"];
/// Changes and exchanges in an interleaving.
const STEPS: usize = 16;

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn one_of<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        if list.is_empty() { None } else { list.get(self.below(list.len())) }
    }
}

/// A clone, and what its user knows.
struct Clone {
    workspace: Workspace,
    author: Identity,
    /// The aliases that were moved here since the last exchange.
    moved: BTreeSet<(&'static str, &'static str)>,
}

struct Fixture {
    folder: TempDir,
    clones: Vec<Clone>,
    artifacts: Vec<Resolved>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let origin = folder.path().join("origin.git");
        crate::files::create_dir_all(&origin).unwrap();
        Repository::init(&origin).unwrap().run_git(&["config", "core.bare", "true"]).unwrap();
        let clones = ["Ada", "Bob"].map(|name| Self::clone_of(&folder.path().join(name), &origin, name));
        let mut fixture = Self { folder, clones: clones.into(), artifacts: Vec::new() };
        fixture.artifacts = (0..4).map(|number| fixture.artifact(&format!("artifact {number}"))).collect();
        fixture
    }

    fn clone_of(place: &Path, origin: &Path, name: &str) -> Clone {
        crate::files::create_dir_all(place).unwrap();
        let repository = Repository::init(place).unwrap();
        repository.set_config("user.name", name).unwrap();
        repository.set_config("user.email", &format!("{name}@example.com")).unwrap();
        repository.run_git(&["remote", "add", "origin", origin.to_str().unwrap()]).unwrap();
        let workspace = Workspace::discover(place).unwrap();
        let author = workspace.repository.identity().unwrap();
        Clone { workspace, author, moved: BTreeSet::new() }
    }

    /// An artifact in the stores of both.
    fn artifact(&self, text: &str) -> Resolved {
        let mut id = None;
        for clone in &self.clones {
            let writer = clone.workspace.store.writer().unwrap();
            let (digest, size) = writer.add(&mut text.as_bytes(), "a text").unwrap();
            let manifest = Manifest::new(vec![Entry { path: None, mode: Mode::File, size, digest }]).unwrap();
            id = Some(writer.add_manifest(&manifest).unwrap());
            writer.finish().unwrap();
        }
        Resolved {
            target: text.to_owned(),
            id: id.unwrap(),
            name: "model".to_owned(),
            artifact_type: "model".to_owned(),
            run: None,
            commit: None,
        }
    }

    /// Nobody knows of any registry any more.
    fn forget(&mut self) {
        let origin = self.folder.path().join("origin.git/.git");
        let _ = crate::files::remove_file(&origin.join(REGISTRY_REF));
        for clone in &mut self.clones {
            clone.workspace.repository.release(REGISTRY_REF).unwrap();
            clone.workspace.repository.release(&tracking_ref("origin", REGISTRY_REF)).unwrap();
            clone.moved.clear();
        }
    }
}

/// What a version is, whatever its number.
type Content = (String, String, String, String);

impl Clone {
    fn registry(&self) -> Registry<'_> {
        Registry::signed(&self.workspace, self.author.clone())
    }

    fn models(&self) -> BTreeMap<String, Model> {
        self.registry().models().unwrap().into_iter().map(|model| (model.name.clone(), model)).collect()
    }

    fn contents(&self) -> BTreeSet<Content> {
        self.models().values().flat_map(|model| model.versions.iter().map(content)).collect()
    }

    fn target(&self, model: &str, alias: &str) -> Option<Content> {
        let model = self.registry().model(model).ok()?;
        model.find(*model.aliases.get(alias)?).map(content)
    }

    fn sync(&mut self, push: bool) {
        let before: Vec<_> =
            self.moved.iter().map(|(model, alias)| ((*model, *alias), self.target(model, alias))).collect();
        let manner = Manner::Attended;
        let exchange = Exchange { workspace: &self.workspace, remote: "origin", author: &self.author, manner };
        exchange.fetch().unwrap();
        let registered = sync_registry(&exchange, push).unwrap();
        // What was moved here is where it was moved to, or the user was told.
        for ((model, alias), was) in before {
            let is_told =
                registered.story.not_taken.iter().any(|one| (one.model.as_str(), one.alias.as_str()) == (model, alias));
            let is = self.target(model, alias);
            assert!(is == was || is_told, "{model}@{alias} was {was:?}, is {is:?}: {registered:#?}");
        }
        for one in &registered.story.not_taken {
            assert!(one.first.is_some() && one.second.is_some(), "nobody moved it: {one:#?}");
        }
        self.moved.clear();
    }

    /// Does something, or nothing where that cannot be done; says what became of versions.
    fn act(
        &mut self,
        dice: &mut Dice,
        artifacts: &[Resolved],
        lost: &mut BTreeSet<Content>,
        made: &mut BTreeSet<Content>,
    ) {
        let model = MODELS[dice.below(MODELS.len())];
        let alias = ALIASES[dice.below(ALIASES.len())];
        let present = self.registry().model(model).ok();
        let versions: Vec<u64> =
            present.iter().flat_map(|model| &model.versions).map(|version| version.version).collect();
        match dice.below(10) {
            0..3 => {
                let artifact = &artifacts[dice.below(artifacts.len())];
                let registered = self.registry().register_anew(model, artifact, &Default::default()).unwrap();
                made.insert(content(&registered.version));
            }
            3..6 => {
                let Some(version) = dice.one_of(&versions) else { return };
                let kind = if dice.below(2) == 0 { EventKind::Alias } else { EventKind::Promote };
                let expected = present.as_ref().and_then(|model| model.aliases.get(alias).copied());
                self.registry().move_alias(kind, model, alias, expected, Some(*version), None).unwrap();
                if expected != Some(*version) {
                    self.moved.insert((model, alias));
                }
            }
            6 => match self.registry().rollback(model, alias, None) {
                Ok(_) => drop(self.moved.insert((model, alias))),
                Err(
                    RegistryError::NoModel { .. } | RegistryError::NoAlias { .. } | RegistryError::NothingBefore { .. },
                ) => {}
                Err(error) => panic!("{error}"),
            },
            7 => match self.registry().remove_alias(model, alias, None) {
                Ok(_) => drop(self.moved.insert((model, alias))),
                Err(RegistryError::NoModel { .. } | RegistryError::NoAlias { .. }) => {}
                Err(error) => panic!("{error}"),
            },
            8 => {
                let Some(present) = present else { return };
                let free: Vec<u64> =
                    versions.into_iter().filter(|version| present.aliases_of(*version).is_empty()).collect();
                let Some(version) = dice.one_of(&free) else { return };
                lost.extend(present.find(*version).map(content));
                self.registry().remove_version(model, *version).unwrap();
            }
            _ => {
                if present.is_none() {
                    return;
                }
                let text = format!("said {}", dice.below(100));
                let mut say = |about: &mut crate::registry::ModelAbout| {
                    about.description = Some(text.clone());
                    Ok(())
                };
                self.registry().describe_model(model, &mut say).unwrap();
            }
        }
    }
}

fn content(version: &crate::registry::Version) -> Content {
    (version.model.clone(), version.id.to_string(), version.registered.to_string(), version.by.clone())
}

fn interleave(fixture: &mut Fixture, seed: u64) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut lost, mut made) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..STEPS {
        let clone = &mut fixture.clones[dice.below(2)];
        match dice.below(8) {
            0 => clone.sync(true),
            1 => clone.sync(false),
            _ => clone.act(&mut dice, &fixture.artifacts, &mut lost, &mut made),
        }
    }
    let [first, second] = if dice.below(2) == 0 { [0, 1] } else { [1, 0] };
    for clone in [first, second, first] {
        fixture.clones[clone].sync(true);
    }
    let tips: Vec<_> =
        fixture.clones.iter().map(|clone| clone.workspace.repository.read_ref(REGISTRY_REF).unwrap()).collect();
    assert_eq!(tips[0], tips[1], "both have the same history");
    let clone = &fixture.clones[0];
    let there = clone.contents();
    let kept: BTreeSet<Content> = made.difference(&lost).cloned().collect();
    assert!(kept.is_subset(&there), "lost: {:#?}", kept.difference(&there));
    assert!(there.is_subset(&made), "nothing comes from nowhere");
    for model in clone.models().values() {
        for (alias, version) in &model.aliases {
            assert!(model.find(*version).is_some(), "{alias} points to nothing");
        }
        let numbers: BTreeSet<u64> = model.versions.iter().map(|version| version.version).collect();
        let given: BTreeSet<u64> = numbers.iter().chain(&model.about.removed).copied().collect();
        assert_eq!(numbers.len() + model.about.removed.len(), given.len(), "removed and there: {model:#?}");
        let newest = numbers.last().copied().unwrap_or(0);
        assert!((1..=newest).all(|number| given.contains(&number)), "a gap: {numbers:?}, {:?}", model.about.removed);
        clone.registry().history(&model.name).unwrap();
    }
    assert_eq!(clone.registry().changed_versions().unwrap(), [], "the history accounts for every version");
}

/// How many interleavings there are; `GIT_ML_INTERLEAVINGS` sets another number.
#[allow(clippy::disallowed_methods, reason = "a test may be told how long to run")]
fn rounds() -> u64 {
    std::env::var("GIT_ML_INTERLEAVINGS").map_or(6, |number| number.parse().unwrap())
}

#[test]
#[allow(clippy::disallowed_methods, reason = "a test forgets a ref of a bare repository")]
fn random_interleavings_end_with_the_same_registry_and_nothing_lost() {
    let mut fixture = Fixture::new();
    for seed in 1..=rounds() {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| interleave(&mut fixture, seed)));
        if let Err(cause) = outcome {
            eprintln!("in the interleaving {seed}");
            std::panic::resume_unwind(cause);
        }
        fixture.forget();
        if seed % 100 == 0 {
            fixture = Fixture::new();
        }
    }
}

#[test]
fn a_merge_of_the_same_tips_is_the_same_tree_whoever_makes_it() {
    let mut fixture = Fixture::new();
    let artifacts = fixture.artifacts.clone();
    for (clone, artifact) in fixture.clones.iter().zip(&artifacts) {
        clone.registry().register("digits", artifact, None).unwrap();
        clone.registry().promote("digits", "production", 1, None).unwrap();
    }
    fixture.clones[0].sync(true);
    let second = fixture.clones[1].workspace.repository.read_ref(REGISTRY_REF).unwrap().unwrap();
    fixture.clones[1].sync(false);
    let merge = |clone: &Clone, first: CommitId| {
        let exchange =
            Exchange { workspace: &clone.workspace, remote: "x", author: &clone.author, manner: Manner::Attended };
        let (tip, story) = super::merge(&exchange, None, first, second).unwrap();
        (clone.workspace.repository.tree_of(&tip).unwrap(), story)
    };
    let first = fixture.clones[0].workspace.repository.read_ref(REGISTRY_REF).unwrap().unwrap();
    // The first clone gets the second's commits as anybody would.
    let bob = fixture.folder.path().join("Bob");
    let refspec = format!("{second}:refs/ml/remotes/bob/registry");
    let ada = &fixture.clones[0].workspace.repository;
    fixture.clones[1].workspace.repository.run_git(&["config", "uploadpack.allowAnySHA1InWant", "true"]).unwrap();
    ada.run_git(&["fetch", "--quiet", bob.to_str().unwrap(), &refspec]).unwrap();
    let (one, other) = (merge(&fixture.clones[0], first), merge(&fixture.clones[1], first));
    assert_eq!(one.0, other.0);
    assert_eq!(one.1.renumbered, other.1.renumbered);
    assert_eq!(one.1.not_taken.len(), 1);
}
