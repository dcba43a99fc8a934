//! A repository that is whole, and what is found in it.

#![allow(clippy::disallowed_methods, reason = "damage is written past the one place that writes files")]

mod clean;
mod damage;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use tempfile::TempDir;

use super::*;
use crate::files::RelPath;
use crate::git::{Identity, Put, RefCommit, Repository, TreeEdit};
use crate::id::{Digest, PackId, RunId};
use crate::registry::{REGISTRY_REF, Registry};
use crate::run::{Launch, LiveRun, Observer, RUNS_REF, Run, Runs, Supervision};
use crate::store::{Entry, Manifest, Mode};
use crate::track::{Silent, TrackOptions};

struct Mute;

impl Observer for Mute {}

/// A repository for a test.
pub(super) struct Fixture {
    pub(super) folder: TempDir,
    pub(super) workspace: Workspace,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        repository.set_config("user.name", "Ada Tester").unwrap();
        repository.set_config("user.email", "ada@example.com").unwrap();
        Self::at(folder)
    }

    pub(super) fn at(folder: TempDir) -> Self {
        let workspace = Workspace::discover(folder.path()).unwrap();
        Self { folder, workspace }
    }

    /// A copy of a repository with two tracked folders and a tracked file, three runs, two versions of which one is in
    /// production, and two branches.
    pub(super) fn whole() -> Self {
        static TEMPLATE: OnceLock<TempDir> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let fixture = Self::new();
            fixture.write("README.md", b"A repository for a test.\n");
            fixture.commit();
            fixture.write("data/x/a.txt", b"some text");
            fixture.write("data/x/b/c.bin", &noise(300_000));
            fixture.write("data/y/one.txt", b"one");
            fixture.write("z.bin", b"a single file");
            for path in ["data/x", "data/y", "z.bin"] {
                fixture.track(path);
            }
            fixture.commit();
            for number in [1, 2] {
                let run = fixture.run(&format!("weights {number}"));
                let registry = Registry::new(&fixture.workspace);
                let output = registry.resolve(fixture.folder.path(), &format!("run:{}", run.name)).unwrap();
                registry.register("digits", &output, None).unwrap();
                registry.promote("digits", "production", number, None).unwrap();
            }
            fixture.run("weights that nobody registered");
            fixture.git(&["branch", "other"]);
            let Self { folder, .. } = fixture;
            folder
        });
        let folder = tempfile::tempdir().unwrap();
        copy_folder(template.path(), folder.path());
        Self::at(folder)
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(super) fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "{text}");
        self.write(path, text.replace(from, to).as_bytes());
    }

    pub(super) fn track(&self, path: &str) {
        self.workspace.track(&RelPath::new(path).unwrap(), &TrackOptions::default(), &Silent).unwrap();
    }

    pub(super) fn git(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.workspace.repository.run_git(arguments).unwrap()).unwrap().trim().to_owned()
    }

    pub(super) fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "a commit"]);
    }

    /// How a command of the shell is run.
    pub(super) fn launch(&self, script: &str) -> Launch {
        Launch {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            folder: self.folder.path().to_owned(),
            shown_command: None,
            variables: vec![("OUT".to_owned(), self.path(".git/weights").display().to_string())],
            experiment: None,
            name: None,
            params: BTreeMap::from([("lr".to_owned(), "0.1".to_owned())]),
            tags: BTreeMap::new(),
            seed: None,
            inputs: crate::run::inputs_from_pointers(&self.workspace, &[]).unwrap(),
            outputs: Vec::new(),
            user: "ada".to_owned(),
            host: "here".to_owned(),
            environment: BTreeMap::new(),
            untracked: Vec::new(),
            supervision: Supervision::default(),
        }
    }

    /// A run with a metric, a line of log and an output.
    pub(super) fn run(&self, weights: &str) -> Run {
        let script = format!(
            "echo '{{\"step\": 1, \"loss\": 0.5}}' >> \"$GIT_ML_LOG\"; echo words; echo '{weights}' > \"$OUT\""
        );
        let outputs = vec![("weights".to_owned(), "model".to_owned(), self.path(".git/weights"))];
        let launch = Launch { outputs, ..self.launch(&script) };
        let live = LiveRun::start(&self.workspace, &launch).unwrap();
        let ended = live.supervise(&self.workspace, &launch, &mut Mute).unwrap();
        assert_eq!((ended.exit_code, ended.run.outputs.len(), ended.warnings.len()), (0, 1, 0));
        ended.run
    }

    pub(super) fn verify(&self, scope: Scope, depth: Depth) -> Report {
        // As the next process sees it.
        let workspace = Workspace::discover(self.folder.path()).unwrap();
        verify(&workspace, &Request::of(scope, depth), &Silent).unwrap()
    }

    /// The codes found.
    #[track_caller]
    pub(super) fn codes(&self, depth: Depth) -> BTreeSet<&'static str> {
        codes_of(&self.verify(Scope::All, depth))
    }

    /// Changes a ref of ours past those who keep it.
    pub(super) fn plant(&self, reference: &str, path: &str, content: Option<&[u8]>) {
        self.plant_saying(reference, path, content, "plant");
    }

    /// The same with a message.
    pub(super) fn plant_saying(&self, reference: &str, path: &str, content: Option<&[u8]>, message: &str) {
        let repository = &self.workspace.repository;
        let author = Identity { name: "Mallory".to_owned(), email: "m@example.com".to_owned() };
        let edits = vec![TreeEdit { path: path.to_owned(), content: content.map(<[u8]>::to_vec) }];
        let expected = repository.read_ref(reference).unwrap();
        let extra_parents = Vec::new();
        let commit = RefCommit { reference, expected, edits, message, extra_parents, author: &author };
        repository.commit_to_ref(&commit).unwrap();
    }

    pub(super) fn read_ref(&self, reference: &str, path: &str) -> String {
        let repository = &self.workspace.repository;
        let tip = repository.read_ref(reference).unwrap().unwrap();
        String::from_utf8(repository.read_at(&tip, path, 1 << 20).unwrap().unwrap()).unwrap()
    }

    /// Replaces text in the record of a run.
    pub(super) fn edit_record(&self, run: &Run, from: &str, to: &str) {
        let path = format!("{}/run.toml", crate::run::folder_in_tree(&run.id));
        let text = self.read_ref(RUNS_REF, &path);
        assert!(text.contains(from), "{text}");
        self.plant(RUNS_REF, &path, Some(text.replace(from, to).as_bytes()));
    }

    /// The run that no version names: the newest.
    pub(super) fn plain_run(&self) -> Run {
        Runs::new(&self.workspace).list().unwrap().0.remove(0)
    }

    /// The file of a version.
    pub(super) fn version_file(&self, number: u64) -> String {
        self.read_ref(REGISTRY_REF, &format!("digits/versions/{number}.toml"))
    }

    pub(super) fn packs(&self) -> Vec<(PackId, PathBuf)> {
        let packs = self.workspace.store.packs().unwrap();
        packs.into_iter().map(|pack| (pack.id, pack.path)).collect()
    }

    /// The packs that hold the artifact at a path.
    pub(super) fn packs_of(&self, path: &str) -> Vec<PathBuf> {
        let id = self.workspace.pointer(&RelPath::new(path).unwrap()).unwrap().id;
        let manifest = self.workspace.store.manifest(&id).unwrap();
        let of = |digest| self.workspace.store.packs_of(&digest).unwrap();
        let packs: BTreeSet<PackId> = manifest.entries().iter().flat_map(|entry| of(entry.digest)).collect();
        self.packs().into_iter().filter(|(pack, _)| packs.contains(pack)).map(|(_, path)| path).collect()
    }

    /// Stores a manifest of these paths; of each the content is its path, stored only where `with_content`.
    pub(super) fn store(&self, paths: &[&str], excess: u64, with_content: bool) -> ArtifactId {
        let writer = self.workspace.store.writer().unwrap();
        let mut entries = Vec::new();
        for path in paths {
            if with_content {
                writer.add(&mut path.as_bytes(), "content").unwrap();
            }
            let (digest, size) = (Digest::of(path.as_bytes()), path.len() as u64 + excess);
            entries.push(Entry { path: Some(RelPath::new(*path).unwrap()), mode: Mode::File, size, digest });
        }
        let id = writer.add_manifest(&Manifest::new(entries).unwrap()).unwrap();
        writer.finish().unwrap();
        id
    }

    /// Stores text as if it were a manifest.
    pub(super) fn store_text(&self, text: &str) -> ArtifactId {
        let writer = self.workspace.store.writer().unwrap();
        let (digest, _) = writer.add(&mut text.as_bytes(), "no manifest").unwrap();
        writer.finish().unwrap();
        ArtifactId::from_bytes(*digest.as_bytes())
    }

    pub(super) fn point_to(&self, path: &str, id: ArtifactId, files: u64, bytes: u64) {
        let text = format!(
            "version = 1\nname = \"x\"\ntype = \"dataset\"\nkind = \"folder\"\nid = \"{id}\"\nfiles = {files}\nbytes = {bytes}\n"
        );
        self.write(path, text.as_bytes());
    }
}

pub(super) fn codes_of(report: &Report) -> BTreeSet<&'static str> {
    for finding in &report.findings {
        assert!(!finding.hint.is_empty() && !finding.message.contains('\n'), "{finding:?}");
    }
    report.findings.iter().map(|finding| finding.code.as_str()).collect()
}

/// Bytes that do not compress, the same every time.
pub(super) fn noise(count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

pub(super) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (entry, place) = (entry.unwrap(), to.to_path_buf());
        let place = place.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &place),
            false => drop(fs::copy(entry.path(), place).unwrap()),
        }
    }
}

/// Writes a file anew, as one that was replaced.
pub(super) fn replace(place: &Path, bytes: &[u8]) {
    fs::remove_file(place).unwrap();
    fs::write(place, bytes).unwrap();
}

#[test]
fn only_what_was_asked_for() {
    let fixture = Fixture::whole();
    fixture.point_to("lost.mlref", ArtifactId::from_bytes([9; 32]), 1, 4);
    let registry = Registry::new(&fixture.workspace);
    let ask = |target: &str| {
        let resolved = registry.resolve(fixture.folder.path(), target).unwrap();
        fixture.verify(Scope::Targets(vec![resolved]), Depth::Unproved)
    };
    for target in ["digits@production", "data/x", "run:@"] {
        let report = ask(target);
        assert_eq!((report.findings, report.checked.artifacts), (Vec::new(), 1), "{target}");
    }
    assert_eq!(ask("lost").findings[0].code, Code::MissingArtifact);
    fixture.edit("data/x.mlref", "files = 2", "files = 3");
    assert_eq!(ask("data/x").findings[0].code, Code::PointerMismatch);
}

#[test]
fn one_flipped_byte_anywhere_in_a_pack_names_artifact_file_and_pack() {
    let fixture = Fixture::new();
    fixture.write("data/x/a.txt", b"some text");
    fixture.write("data/x/b.txt", b"other text");
    fixture.write("data/x/c.bin", &noise(100_000));
    fixture.track("data/x");
    fixture.commit();
    let [(pack, place)] = &fixture.packs()[..] else { panic!("one pack") };
    let original = fs::read(place).unwrap();
    let manifest_id = fixture.workspace.pointers().unwrap().into_values().next().unwrap().id;
    let manifest = fixture.workspace.store.manifest(&manifest_id).unwrap();
    // Every byte but those in the middle of the large file's chunks.
    let ends = (0..2000).chain(original.len() - 2500..original.len());
    let positions = ends.chain((2000..original.len() - 2500).step_by(1999)).step_by(7);
    assert_eq!(fixture.codes(Depth::Everything), BTreeSet::new());
    for position in positions {
        let mut damaged = original.clone();
        damaged[position] ^= 0x10;
        replace(place, &damaged);
        // That it was verified before makes no difference: the file is another.
        let report = fixture.verify(Scope::Checkout, Depth::Unproved);
        assert!(!report.ok, "byte {position}");
        let names_all = |finding: &Finding| {
            let message = &finding.message;
            message.contains("data/x (artifact ")
                && (message.contains(", file ") || message.contains("manifest"))
                && message.contains(&pack.to_string())
        };
        assert!(report.findings.iter().any(names_all), "byte {position}: {:#?}", report.findings);
        // What is not damaged still reads, and nothing reads wrong.
        let workspace = Workspace::discover(fixture.folder.path()).unwrap();
        let reads = manifest.entries().iter().filter(|entry| {
            let read = workspace.store.read_to_vec(&entry.digest, 1 << 20);
            read.is_ok_and(|bytes| Digest::of(&bytes) == entry.digest)
        });
        assert!(reads.count() >= 2, "byte {position}");
    }
}

#[test]
fn what_was_verified_is_not_read_again_unless_it_changed() {
    /// How much a verification was about to read.
    #[derive(Default)]
    struct Meter(std::sync::Mutex<Vec<u64>>);
    impl Progress for Meter {
        fn start(&self, _what: &str, bytes: Option<u64>) {
            self.0.lock().unwrap().extend(bytes);
        }
    }
    let fixture = Fixture::whole();
    let read = |depth| {
        let workspace = Workspace::discover(fixture.folder.path()).unwrap();
        let meter = Meter::default();
        let report = verify(&workspace, &Request::of(Scope::All, depth), &meter).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!((report.checked.artifacts, report.checked.files), (6, 7));
        meter.0.into_inner().unwrap()
    };
    // Times of a moment ago prove nothing yet.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let cold = read(Depth::Unproved);
    assert!(cold.len() == 1 && cold[0] > 300_000, "{cold:?}");
    assert_eq!(read(Depth::Unproved), Vec::<u64>::new());
    assert_eq!(read(Depth::Everything), cold);
    assert_eq!(read(Depth::Index), Vec::<u64>::new());
    // The same bytes in another file are verified again, and so is all without the memory.
    let [place] = &fixture.packs_of("data/x")[..] else { panic!("one pack") };
    let bytes = fs::read(place).unwrap();
    replace(place, &bytes);
    std::thread::sleep(std::time::Duration::from_millis(30));
    let again = read(Depth::Unproved);
    assert!(again.len() == 1 && again[0] >= 300_000 && again[0] <= cold[0], "{again:?}");
    assert_eq!(read(Depth::Unproved), Vec::<u64>::new());
    fs::remove_file(fixture.path(".git/ml/verified")).unwrap();
    assert_eq!(read(Depth::Unproved), cold);
    // A memory that somebody wrote is none.
    fixture.edit(".git/ml/verified", "artifact ", "artifacT ");
    assert_eq!(read(Depth::Unproved), cold);
}
