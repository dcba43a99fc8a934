//! Repositories without fault, in every state that git can bring one into.

use super::*;

#[track_caller]
fn expect_clean(fixture: &Fixture) {
    for depth in [Depth::Index, Depth::Unproved, Depth::Unproved, Depth::Everything] {
        for scope in [Scope::Checkout, Scope::All] {
            let report = fixture.verify(scope, depth);
            assert_eq!(report.findings, [], "{depth:?}");
        }
    }
}

fn clone_of(fixture: &Fixture, options: &[&str]) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (format!("file://{}", fixture.folder.path().display()), folder.path().display().to_string());
    fixture.git(&[&["clone", "--quiet"], options, &[&from, &to]].concat());
    Fixture::at(folder)
}

#[test]
fn what_is_whole() {
    let fixture = Fixture::whole();
    let report = fixture.verify(Scope::All, Depth::Unproved);
    assert_eq!(report.findings, []);
    let Checked { artifacts, files, runs, versions, signatures, .. } = report.checked;
    assert_eq!((artifacts, files, runs, versions, signatures), (6, 7, 3, 2, 0));
    expect_clean(&fixture);
    expect_clean(&Fixture::new());
}

#[test]
fn after_renaming_removing_and_tracking_again() {
    let fixture = Fixture::whole();
    fs::rename(fixture.path("data/x/a.txt"), fixture.path("data/x/renamed.txt")).unwrap();
    fixture.track("data/x");
    expect_clean(&fixture);
    fixture.commit();
    expect_clean(&fixture);
    fixture.git(&["mv", "z.bin.mlref", "moved.bin.mlref"]);
    expect_clean(&fixture);
    fs::remove_file(fixture.path("data/y.mlref")).unwrap();
    expect_clean(&fixture);
    fixture.commit();
    fixture.run("weights of other data");
    expect_clean(&fixture);
    let registry = Registry::new(&fixture.workspace);
    registry.rollback("digits", "production", None).unwrap();
    registry.set_alias("digits", "staging", 2, Some("a remark")).unwrap();
    registry.remove_alias("digits", "staging", None).unwrap();
    expect_clean(&fixture);
    let run = fixture.plain_run();
    Runs::new(&fixture.workspace).amend(&run.id, "a note", &mut |run| run.note = Some("good".to_owned())).unwrap();
    expect_clean(&fixture);
}

#[test]
fn an_alias_that_was_set_right_with_an_event() {
    let fixture = Fixture::whole();
    fixture.plant(REGISTRY_REF, "digits/aliases/production", Some(b"v1\n"));
    assert_eq!(fixture.codes(Depth::Unproved), BTreeSet::from(["moved-alias"]));
    Registry::new(&fixture.workspace).set_alias("digits", "production", 2, None).unwrap();
    expect_clean(&fixture);
}

#[test]
fn a_merge_of_two_registries_that_gives_a_version_another_number() {
    let fixture = Fixture::whole();
    let repository = &fixture.workspace.repository;
    let registry = Registry::new(&fixture.workspace);
    let tip = || repository.read_ref(REGISTRY_REF).unwrap().unwrap();
    let resolve = |target: &str| registry.resolve(fixture.folder.path(), target).unwrap();
    let base = tip();
    registry.register("digits", &resolve("run:@"), None).unwrap();
    let ours = tip();
    repository.move_ref(REGISTRY_REF, Some(&ours), &base).unwrap();
    registry.register("digits", &resolve("data/x"), None).unwrap();
    registry.promote("digits", "production", 3, None).unwrap();
    let theirs = tip();
    let fourth = fixture.version_file(3).replace("version = 3", "version = 4");
    let author = Identity { name: "Ada".to_owned(), email: "ada@example.com".to_owned() };
    let merge = |alias: &str| {
        let bytes = |text: &str| Put::Bytes(text.as_bytes().to_vec());
        let puts = [
            ("digits/versions/4.toml".to_owned(), bytes(&fourth)),
            ("digits/aliases/production".to_owned(), bytes(alias)),
        ];
        let tree = repository.write_tree(&repository.tree_of(&ours).unwrap(), &puts).unwrap();
        let message = "Merge the registry of origin\n\nGit-ML-Event: merge\nGit-ML-Renumbered: 3 4 digits\n";
        let merge = repository.write_commit(&tree, &[ours, theirs], message, &author).unwrap();
        repository.move_ref(REGISTRY_REF, Some(&tip()), &merge).unwrap();
    };
    // Each side's alias is one that the merge may keep; another is not.
    for (alias, codes) in [("v4\n", &[][..]), ("v2\n", &[]), ("v1\n", &["moved-alias"]), ("v3\n", &["moved-alias"])] {
        merge(alias);
        assert_eq!(fixture.codes(Depth::Unproved), codes.iter().copied().collect(), "{alias}");
    }
}

#[test]
fn pointers_that_git_does_not_track_yet() {
    let fixture = Fixture::whole();
    fixture.write("new/data.txt", b"new data");
    fixture.track("new/data.txt");
    let run = fixture.run("weights of untracked data");
    assert!(run.inputs.iter().any(|input| input.path.as_str() == "new/data.txt"));
    fs::remove_file(fixture.path("new/data.txt.mlref")).unwrap();
    expect_clean(&fixture);
}

#[test]
fn a_detached_head_a_linked_work_tree_and_code_that_is_not_committed() {
    let fixture = Fixture::whole();
    fixture.git(&["checkout", "--quiet", "--detach"]);
    fixture.write("README.md", b"changed, and not committed\n");
    let run = fixture.run("weights of changed code");
    assert!(run.dirty);
    expect_clean(&fixture);
    let linked = tempfile::tempdir().unwrap();
    let place = linked.path().join("tree").display().to_string();
    fixture.git(&["worktree", "add", "--quiet", &place, "other"]);
    let workspace = Workspace::discover(&linked.path().join("tree")).unwrap();
    for depth in [Depth::Unproved, Depth::Everything] {
        let report = verify(&workspace, &Request::of(Scope::All, depth), &Silent).unwrap();
        assert_eq!(report.findings, []);
        assert_eq!(report.checked.artifacts, 7);
    }
}

#[test]
fn bare_and_shallow_clones() {
    let fixture = Fixture::whole();
    fixture.write("README.md", b"later\n");
    fixture.commit();
    for options in [&["--mirror"][..], &["--depth", "1"]] {
        let clone = clone_of(&fixture, options);
        let refs = "+refs/ml/*:refs/ml/*";
        clone.git(&["fetch", "--quiet", "origin", refs]);
        let store = clone.workspace.store.root().to_path_buf();
        fs::remove_dir_all(&store).unwrap();
        copy_folder(fixture.workspace.store.root(), &store);
        let clone = Fixture::at(clone.folder);
        expect_clean(&clone);
        assert_eq!(clone.verify(Scope::All, Depth::Index).checked.runs, 3);
    }
}

#[test]
fn revisions_and_ranges() {
    let fixture = Fixture::whole();
    let base = fixture.workspace.repository.head().unwrap().commit.unwrap();
    fixture.edit("data/x.mlref", "300009", "300008");
    fixture.commit();
    let bad = fixture.workspace.repository.head().unwrap().commit.unwrap();
    fixture.edit("data/x.mlref", "300008", "300009");
    fixture.commit();
    let tip = fixture.workspace.repository.head().unwrap().commit.unwrap();
    let ask = |tip: CommitId, hidden: Option<Vec<CommitId>>| {
        let revisions = Revisions { label: "here".to_owned(), tips: vec![tip], hidden };
        let report = fixture.verify(Scope::Revisions(vec![revisions]), Depth::Unproved);
        (codes_of(&report), report.checked.artifacts)
    };
    assert_eq!(ask(base, None), (BTreeSet::new(), 3));
    assert_eq!(ask(bad, None), (BTreeSet::from(["pointer-mismatch"]), 3));
    assert_eq!(ask(tip, None), (BTreeSet::new(), 3));
    assert_eq!(ask(tip, Some(vec![bad])), (BTreeSet::new(), 3));
    assert_eq!(ask(tip, Some(vec![base])), (BTreeSet::from(["pointer-mismatch"]), 3));
    assert_eq!(fixture.codes(Depth::Unproved), BTreeSet::new());
}

#[test]
fn an_index_that_names_a_pack_that_is_gone_or_is_not_there() {
    let fixture = Fixture::whole();
    let before: BTreeSet<PathBuf> = fixture.packs().into_iter().map(|(_, path)| path).collect();
    fixture.store(&["nobody", "names", "these"], 0, true);
    expect_clean(&fixture);
    for (_, path) in fixture.packs().into_iter().filter(|(_, path)| !before.contains(path)) {
        fs::remove_file(path).unwrap();
    }
    expect_clean(&fixture);
    fs::remove_dir_all(fixture.path(".git/ml/index")).unwrap();
    expect_clean(&fixture);
}

#[test]
fn a_run_that_is_at_work_and_one_that_is_hidden() {
    let fixture = Fixture::whole();
    let run = fixture.plain_run();
    let hidden = jiff::Timestamp::now();
    Runs::new(&fixture.workspace).amend(&run.id, "remove", &mut |run| run.removed = Some(hidden)).unwrap();
    let launch = fixture.launch("true");
    let live = LiveRun::start(&fixture.workspace, &launch).unwrap();
    let report = fixture.verify(Scope::All, Depth::Unproved);
    assert_eq!((report.findings, report.checked.runs), (Vec::new(), 4));
    live.supervise(&fixture.workspace, &launch, &mut Mute).unwrap();
    expect_clean(&fixture);
}
