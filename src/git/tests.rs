//! Tests against real repositories, made by the user's `git`.
#![allow(clippy::disallowed_methods, reason = "tests write the work trees that they look at")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod patch;

use super::*;
use crate::files::RelPath;
use crate::id::{CommitId, Digest};

/// A repository with one commit, in a folder whose name has a space and an umlaut.
struct Sandbox {
    _folder: tempfile::TempDir,
    top: PathBuf,
}

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self::empty();
        sandbox.write("code.py", "print(1)\n");
        sandbox.write("src/ä b.py", "print(2)\n");
        sandbox.git(&["add", "-A"]);
        sandbox.git(&["commit", "-qm", "first\n\nbody"]);
        sandbox
    }

    fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap().join("a repö");
        fs::create_dir(&top).unwrap();
        let sandbox = Self { _folder: folder, top };
        sandbox.git(&["init", "-q", "-b", "main"]);
        sandbox.git(&["config", "user.name", "Ada"]);
        sandbox.git(&["config", "user.email", "ada@example.org"]);
        sandbox
    }

    fn write(&self, path: &str, content: &str) {
        let place = self.top.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    fn git(&self, arguments: &[&str]) -> String {
        git_in(&self.top, arguments)
    }

    fn open(&self) -> Repository {
        Repository::discover(&self.top).unwrap()
    }

    /// All of the repository that a snapshot must not touch.
    fn state(&self) -> (Digest, String, String) {
        let index = fs::read(self.top.join(".git/index")).unwrap();
        let head = fs::read_to_string(self.top.join(".git/HEAD")).unwrap() + &self.git(&["rev-parse", "HEAD"]);
        let refs = self.git(&["for-each-ref"]);
        (Digest::of(&index), head, refs)
    }
}

fn git_in(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(arguments).current_dir(folder).env("GIT_OPTIONAL_LOCKS", "0");
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn ada() -> Identity {
    Identity { name: "Ada".to_owned(), email: "ada@example.org".to_owned() }
}

fn path(text: &str) -> RelPath {
    RelPath::new(text).unwrap()
}

fn edit(path: &str, content: &str) -> TreeEdit {
    TreeEdit { path: path.to_owned(), content: Some(content.as_bytes().to_vec()) }
}

fn commit_runs(
    repository: &Repository,
    expected: Option<CommitId>,
    edits: Vec<TreeEdit>,
) -> Result<CommitId, GitError> {
    let author = ada();
    let extra_parents = Vec::new();
    repository.commit_to_ref(&RefCommit {
        reference: "refs/ml/runs",
        expected,
        edits,
        message: "brave-otter-12: finished\n",
        extra_parents,
        author: &author,
    })
}

#[test]
fn a_repository_is_found_from_its_top_below_it_and_its_git_folder() {
    let sandbox = Sandbox::new();
    for start in ["", "src", ".git", ".git/refs"] {
        let repository = Repository::discover(&sandbox.top.join(start)).unwrap();
        assert_eq!(repository.git_dir(), sandbox.top.join(".git"), "{start}");
        assert_eq!(repository.common_dir(), sandbox.top.join(".git"));
        assert_eq!(repository.work_dir().unwrap(), sandbox.top, "{start}");
    }
}

#[test]
fn no_repository_is_an_error_that_names_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    for start in [folder.path().to_path_buf(), folder.path().join("missing")] {
        let error = Repository::discover(&start).unwrap_err();
        assert!(matches!(&error, GitError::NotARepository { start: named } if *named == start), "{error:?}");
    }
}

#[test]
fn init_makes_a_repository_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = Repository::init(folder.path()).unwrap();
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    assert_eq!(Repository::init(&below).unwrap().git_dir(), first.git_dir());
    assert!(first.head().unwrap().commit.is_none());
}

#[test]
fn a_linked_work_tree_shares_the_common_folder() {
    let sandbox = Sandbox::new();
    let linked = sandbox.top.parent().unwrap().join("linked tree");
    sandbox.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "-b", "side"]);
    let repository = Repository::discover(&linked).unwrap();
    assert_eq!(repository.work_dir().unwrap(), linked);
    assert_eq!(repository.common_dir(), sandbox.top.join(".git"));
    assert_eq!(repository.git_dir(), sandbox.top.join(".git/worktrees/linked-tree"));
    assert_eq!(repository.head().unwrap().branch.as_deref(), Some("side"));

    fs::write(linked.join("code.py"), "print(3)\n").unwrap();
    let snapshot = repository.snapshot("as it ran", &[], ada).unwrap();
    assert!(snapshot.dirty && !sandbox.open().is_dirty().unwrap());
    assert_eq!(repository.read_at(&snapshot.commit, "code.py", 99).unwrap().unwrap(), b"print(3)\n");
    let id = commit_runs(&repository, None, vec![edit("a", "1")]).unwrap();
    assert_eq!(sandbox.open().read_ref("refs/ml/runs").unwrap(), Some(id));
}

#[test]
fn a_bare_repository_has_refs_and_no_work_tree() {
    let sandbox = Sandbox::new();
    let bare = sandbox.top.parent().unwrap().join("bare.git");
    sandbox.git(&["clone", "-q", "--bare", ".", bare.to_str().unwrap()]);
    let repository = Repository::discover(&bare).unwrap();
    assert!(matches!(repository.work_dir(), Err(GitError::Bare)));
    assert!(matches!(repository.is_dirty(), Err(GitError::Bare)));
    assert!(matches!(repository.snapshot("x", &[], ada), Err(GitError::Bare)));
    assert_eq!(repository.head().unwrap().branch.as_deref(), Some("main"));
    commit_runs(&repository, None, vec![edit("a", "1")]).unwrap();
}

#[test]
fn somebody_elses_repository_is_refused() {
    let sandbox = Sandbox::new();
    // Only root can give a folder away.
    let git_dir = sandbox.top.join(".git");
    if std::os::unix::fs::chown(&git_dir, Some(12345), None).is_err() {
        return;
    }
    let error = Repository::discover(&sandbox.top).unwrap_err();
    assert!(matches!(&error, GitError::NotTrusted { path } if *path == sandbox.top), "{error:?}");
}

#[test]
fn head_is_a_branch_detached_or_unborn() {
    let sandbox = Sandbox::new();
    let commit = sandbox.git(&["rev-parse", "HEAD"]).parse().unwrap();
    assert_eq!(sandbox.open().head().unwrap(), Head { branch: Some("main".to_owned()), commit: Some(commit) });
    sandbox.git(&["checkout", "-q", "--detach"]);
    assert_eq!(sandbox.open().head().unwrap(), Head { branch: None, commit: Some(commit) });
    let empty = Sandbox::empty();
    let unborn = empty.open();
    assert_eq!(unborn.head().unwrap(), Head { branch: Some("main".to_owned()), commit: None });
    assert!(matches!(unborn.resolve("HEAD"), Err(GitError::NoCommit)));
    assert!(matches!(unborn.snapshot("x", &[], ada), Err(GitError::NoCommit)));
    assert!(unborn.tracked_below(&path("x")).unwrap().is_empty());
}

#[test]
fn revisions_resolve_to_commits() {
    let sandbox = Sandbox::new();
    sandbox.git(&["tag", "-m", "annotated", "v1"]);
    sandbox.git(&["commit", "-qm", "second", "--allow-empty"]);
    let repository = sandbox.open();
    let first: CommitId = sandbox.git(&["rev-parse", "HEAD~1"]).parse().unwrap();
    for revision in ["HEAD~1", "v1", "main^", &first.to_string(), &first.short()] {
        assert_eq!(repository.resolve(revision).unwrap(), first, "{revision}");
    }
    for revision in ["nope", "HEAD~7", "HEAD:code.py", "--all", "", "main..v1"] {
        let error = repository.resolve(revision).unwrap_err();
        assert!(matches!(error, GitError::UnknownRevision { .. }), "{revision}: {error:?}");
    }
}

#[test]
fn commits_and_their_trees_can_be_read() {
    let sandbox = Sandbox::new();
    sandbox.write("data/x.mlref", "pointer");
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-qm", "second"]);
    let repository = sandbox.open();
    let tip = repository.resolve("HEAD").unwrap();
    let history = repository.first_parents(&tip, 9).unwrap();
    assert_eq!(history.iter().map(CommitInfo::subject).collect::<Vec<_>>(), ["second", "first"]);
    assert_eq!(history[1].message, "first\n\nbody\n");
    assert_eq!((history[0].author.as_str(), history[0].email.as_str()), ("Ada", "ada@example.org"));
    assert_eq!(history[0].parents, [history[1].id]);
    assert_eq!(repository.first_parents(&tip, 1).unwrap().len(), 1);

    assert_eq!(repository.read_at(&tip, "src/ä b.py", 99).unwrap().unwrap(), b"print(2)\n");
    for missing in ["nope", "src", "src/nope", "code.py/x", ""] {
        assert_eq!(repository.read_at(&tip, missing, 99).unwrap(), None, "{missing}");
    }
    assert!(matches!(repository.read_at(&tip, "code.py", 3), Err(GitError::TooLarge { bytes: 9, .. })));
    let names = |folder: &str| {
        repository.list_at(&tip, folder).unwrap().into_iter().map(|entry| entry.name).collect::<Vec<_>>()
    };
    assert_eq!(names(""), ["code.py", "data", "src"]);
    assert_eq!(names("src"), ["ä b.py"]);
    assert!(names("nope").is_empty() && names("code.py").is_empty());
    assert_eq!(repository.find_at(&tip, ".mlref").unwrap(), ["data/x.mlref"]);
}

#[test]
fn commits_and_files_that_others_lack_are_found() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let first = repository.resolve("HEAD").unwrap();
    sandbox.write("data/x.mlref", "one");
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-qm", "second"]);
    sandbox.write("data/x.mlref", "two");
    sandbox.git(&["commit", "-qam", "third"]);
    let tip = repository.resolve("HEAD").unwrap();
    let unknown = CommitId::from_bytes([7; 20]);
    let second = repository.resolve("HEAD~1").unwrap();
    assert_eq!(repository.reachable(&[tip], &[first, unknown]).unwrap(), [tip, second]);
    assert!(repository.reachable(&[first], &[tip]).unwrap().is_empty());
    let added = |tips: &[CommitId], hidden: &[CommitId]| {
        repository
            .added_files(tips, hidden, ".mlref", 99)
            .unwrap()
            .into_iter()
            .map(|file| file.content.unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(added(&[tip], &[first, unknown]), [b"one", b"two"]);
    assert_eq!(added(&[tip], &[second]), [b"two"]);
    assert!(added(&[], &[]).is_empty() && added(&[first], &[]).is_empty());
}

#[test]
fn the_index_says_what_git_tracks() {
    let sandbox = Sandbox::new();
    sandbox.write("src2/x", "not below src");
    sandbox.write("src/back\\slash", "a name that is no RelPath");
    sandbox.git(&["add", "-A"]);
    let repository = sandbox.open();
    assert_eq!(repository.tracked_below(&path("src")).unwrap(), [path("src"), path("src/ä b.py")]);
    assert_eq!(repository.tracked_below(&path("code.py")).unwrap(), [path("code.py")]);
    assert!(repository.tracked_below(&path("sr")).unwrap().is_empty());
    assert_eq!(repository.tracked_with_suffix(".py").unwrap(), [path("code.py"), path("src/ä b.py")]);
}

#[test]
fn staged_unstaged_and_deleted_files_are_dirt_and_untracked_ones_are_not() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    sandbox.write("untracked", "");
    assert!(!repository.is_dirty().unwrap());
    sandbox.write("code.py", "print(9)\n");
    assert!(repository.is_dirty().unwrap());
    sandbox.git(&["checkout", "-q", "."]);
    fs::remove_file(sandbox.top.join("code.py")).unwrap();
    assert!(repository.is_dirty().unwrap());
    sandbox.git(&["checkout", "-q", "."]);
    sandbox.git(&["add", "untracked"]);
    assert!(repository.is_dirty().unwrap());
}

#[test]
fn a_snapshot_holds_the_work_tree_and_leaves_the_rest_byte_for_byte() {
    let sandbox = Sandbox::new();
    sandbox.write("gone.py", "");
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-qm", "second"]);
    sandbox.write("code.py", "staged\n");
    sandbox.write("new.py", "new, staged\n");
    sandbox.git(&["add", "code.py", "new.py"]);
    sandbox.write("code.py", "unstaged\n");
    sandbox.write("untracked.py", "");
    fs::remove_file(sandbox.top.join("gone.py")).unwrap();
    // Somebody's hooks must not run, and a lock of the index must not matter.
    sandbox.write(".git/hooks/post-index-change", "#!/bin/sh\ntouch hook-ran\n");
    let hook = sandbox.top.join(".git/hooks/post-index-change");
    fs::set_permissions(hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    sandbox.write(".git/index.lock", "");
    let before = (sandbox.state(), sandbox.git(&["status", "--porcelain"]));

    let repository = sandbox.open();
    let snapshot = repository.snapshot("snapshot", &[], ada).unwrap();
    assert_eq!((sandbox.state(), sandbox.git(&["status", "--porcelain"])), before);
    assert!(!sandbox.top.join("hook-ran").exists());
    assert_eq!(fs::read_dir(sandbox.top.join(".git/ml")).unwrap().count(), 0);

    assert!(snapshot.dirty);
    let info = repository.commit(&snapshot.commit).unwrap();
    assert_eq!((info.parents, info.message.as_str()), (vec![snapshot.head], "snapshot"));
    let read = |path: &str| repository.read_at(&snapshot.commit, path, 99).unwrap();
    assert_eq!(read("code.py").unwrap(), b"unstaged\n");
    assert_eq!(read("new.py").unwrap(), b"new, staged\n");
    assert_eq!(read("gone.py").or(read("untracked.py")), None);
    assert_eq!(read("src/ä b.py").unwrap(), b"print(2)\n");
    fs::remove_file(sandbox.top.join(".git/index.lock")).unwrap();
    assert!(sandbox.git(&["fsck"]).is_empty() || !sandbox.git(&["fsck"]).contains("error"));
}

#[test]
fn a_clean_work_tree_is_its_own_snapshot() {
    let sandbox = Sandbox::new();
    let head = sandbox.open().resolve("HEAD").unwrap();
    let snapshot = sandbox.open().snapshot("snapshot", &[], ada).unwrap();
    assert_eq!(snapshot, Snapshot { head, commit: head, dirty: false, left_out: LeftOut::default() });
    // Only the time of a file differs.
    sandbox.write("code.py", "print(1)\n");
    assert!(!sandbox.open().snapshot("snapshot", &[], ada).unwrap().dirty);
}

#[test]
fn of_a_submodule_only_its_commit_counts() {
    let (library, sandbox) = (Sandbox::new(), Sandbox::new());
    let url = library.top.to_str().unwrap();
    sandbox.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", url, "library"]);
    sandbox.git(&["commit", "-qm", "a submodule"]);
    let inside = sandbox.top.join("library");
    fs::write(inside.join("code.py"), "changed\n").unwrap();
    assert!(!sandbox.open().is_dirty().unwrap());
    let left_out = sandbox.open().snapshot("snapshot", &[], ada).unwrap().left_out;
    let commit = library.open().resolve("HEAD").unwrap();
    assert_eq!(left_out.submodules, [Submodule { path: "library".to_owned(), commit, dirty: true }]);
    for setting in ["user.name=Ada", "user.email=ada@example.org"] {
        let (key, value) = setting.split_once('=').unwrap();
        git_in(&inside, &["config", key, value]);
    }
    git_in(&inside, &["commit", "-qam", "further"]);
    let snapshot = sandbox.open().snapshot("snapshot", &[], ada).unwrap();
    assert!(snapshot.dirty);
    assert!(!snapshot.left_out.submodules[0].dirty && snapshot.left_out.submodules[0].commit != commit);
    let recorded = sandbox.git(&["rev-parse", &format!("{}:library", snapshot.commit)]);
    assert_eq!(recorded, git_in(&inside, &["rev-parse", "HEAD"]));
    let nested = Repository::discover(&inside).unwrap();
    assert_eq!(nested.work_dir().unwrap(), inside);
    assert_eq!(nested.git_dir(), sandbox.top.join(".git/modules/library"));
}

#[test]
fn untracked_files_stay_out_and_are_named_unless_a_pattern_takes_them() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitignore", "*.log\n");
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-qm", "ignore"]);
    for (path, content) in
        [("new.py", "new\n"), ("lib/a.py", ""), ("lib/b.txt", "12"), ("a.log", ""), ("lib/.env", "x")]
    {
        sandbox.write(path, content);
    }
    fs::File::create(sandbox.top.join("huge.py")).unwrap().set_len((10 << 20) + 1).unwrap();
    let named = |left_out: &LeftOut| left_out.untracked.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    let snapshot = |patterns: &[&str]| {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        sandbox.open().snapshot("snapshot", &patterns, ada).unwrap()
    };
    let without = snapshot(&[]);
    assert!(!without.dirty);
    assert_eq!(named(&without.left_out), ["lib/", "huge.py", "new.py"]);
    assert_eq!(without.left_out.untracked[1].bytes, Some((10 << 20) + 1));
    let before = sandbox.state();
    let with = snapshot(&["*.py", "lib/**", "nothing", "*.log"]);
    assert_eq!(sandbox.state(), before);
    assert!(with.dirty);
    assert_eq!(named(&with.left_out), ["huge.py", "lib/.env"]);
    let tree = sandbox.git(&["ls-tree", "-r", "--name-only", &with.commit.to_string()]);
    assert!(["new.py", "lib/a.py", "lib/b.txt"].iter().all(|path| tree.lines().any(|line| line == *path)), "{tree}");
    assert!(!["huge.py", "lib/.env", "a.log"].iter().any(|path| tree.lines().any(|line| line == *path)), "{tree}");
    // Who writes a whole path means it.
    assert_eq!(named(&snapshot(&["lib/.env"]).left_out), ["huge.py", "new.py", "lib/b.txt", "lib/a.py"]);
}

#[test]
fn line_endings_that_git_normalises_are_no_change() {
    let sandbox = Sandbox::new();
    sandbox.write(".gitattributes", "*.py text\n");
    sandbox.git(&["config", "core.safecrlf", "true"]);
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-qm", "attributes"]);
    sandbox.write("code.py", "print(1)\r\n");
    assert!(!sandbox.open().snapshot("snapshot", &[], ada).unwrap().dirty);
    sandbox.write("code.py", "print(5)\r\n");
    let snapshot = sandbox.open().snapshot("snapshot", &[], ada).unwrap();
    assert_eq!(sandbox.open().read_at(&snapshot.commit, "code.py", 99).unwrap().unwrap(), b"print(5)\n");
}

#[test]
fn a_snapshot_of_a_half_merged_work_tree_holds_what_is_on_the_disk() {
    let sandbox = Sandbox::new();
    sandbox.git(&["checkout", "-qb", "side"]);
    sandbox.write("code.py", "side\n");
    sandbox.git(&["commit", "-qam", "side"]);
    sandbox.git(&["checkout", "-q", "main"]);
    sandbox.write("code.py", "main\n");
    sandbox.git(&["commit", "-qam", "main"]);
    assert!(
        !Command::new("git").args(["merge", "-q", "side"]).current_dir(&sandbox.top).output().unwrap().status.success()
    );
    let before = sandbox.state();
    let snapshot = sandbox.open().snapshot("snapshot", &[], ada).unwrap();
    assert_eq!(sandbox.state(), before);
    let code = sandbox.open().read_at(&snapshot.commit, "code.py", 999).unwrap().unwrap();
    assert!(String::from_utf8(code).unwrap().contains("<<<<<<<"));
}

#[test]
fn commits_to_a_ref_edit_its_tree_and_keep_its_history() {
    let sandbox = Sandbox::new();
    let before = sandbox.state();
    let repository = sandbox.open();
    let head = repository.resolve("HEAD").unwrap();
    let first =
        commit_runs(&repository, None, vec![edit("aa/1/run.toml", "one"), edit("bb/2/run.toml", "two")]).unwrap();
    assert_eq!(repository.read_ref("refs/ml/runs").unwrap(), Some(first));
    let removal = TreeEdit { path: "aa/1/run.toml".to_owned(), content: None };
    let absent = TreeEdit { path: "zz/none".to_owned(), content: None };
    let author = ada();
    let second = repository
        .commit_to_ref(&RefCommit {
            reference: "refs/ml/runs",
            expected: Some(first),
            edits: vec![removal, absent, edit("bb/2/run.toml", "old"), edit("bb/2/run.toml", "new")],
            message: "second",
            extra_parents: vec![head],
            author: &author,
        })
        .unwrap();
    assert_eq!(repository.find_at(&second, "").unwrap(), ["bb/2/run.toml"]);
    assert_eq!(repository.read_at(&second, "bb/2/run.toml", 9).unwrap().unwrap(), b"new");
    assert_eq!(repository.commit(&second).unwrap().parents, [first, head]);
    assert_eq!(repository.refs("refs/ml/").unwrap(), [("refs/ml/runs".to_owned(), second)]);
    assert!(repository.refs("refs/nothing/").unwrap().is_empty());
    assert_eq!(repository.read_ref("refs/ml/none").unwrap(), None);
    sandbox.git(&["update-ref", "-d", "refs/ml/runs"]);
    assert_eq!(sandbox.state(), before);
    assert_eq!(sandbox.git(&["status", "--porcelain"]), "");
}

#[test]
fn many_commits_at_once_are_as_those_made_one_by_one() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let head = repository.resolve("HEAD").unwrap();
    let commit = |edits: Vec<TreeEdit>, message: &str, extra_parents: &[CommitId]| BulkCommit {
        edits,
        message: message.to_owned(),
        extra_parents: extra_parents.to_vec(),
    };
    let name = "refs/ml/runs";
    let first = [commit(Vec::new(), "begin\n", &[]), commit(vec![edit("a/ä \"b\\", "1")], "one\n\nbody ü\n", &[head])];
    repository.commit_all_to_ref(name, None, &first, &ada()).unwrap();
    let tip = repository.read_ref(name).unwrap().unwrap();
    let gone = TreeEdit { path: "a/ä \"b\\".to_owned(), content: None };
    let second = [commit(vec![edit("c", "2\n"), edit("c", "3\n")], "two", &[]), commit(vec![gone], "three", &[])];
    assert!(matches!(repository.commit_all_to_ref(name, None, &second, &ada()), Err(GitError::RefMoved { .. })));
    assert_eq!(repository.read_ref(name).unwrap(), Some(tip));
    repository.commit_all_to_ref(name, Some(tip), &second, &ada()).unwrap();

    let tip = repository.read_ref(name).unwrap().unwrap();
    let history = repository.first_parents(&tip, 10).unwrap();
    assert_eq!(history.iter().map(CommitInfo::subject).collect::<Vec<_>>(), ["three", "two", "one", "begin"]);
    assert_eq!((history[2].parents[1], history[2].message.as_str()), (head, "one\n\nbody ü\n"));
    assert_eq!(repository.read_at(&history[2].id, "a/ä \"b\\", 10).unwrap().unwrap(), b"1");
    assert_eq!(repository.files_at(&tip, 10).unwrap(), [("c".to_owned(), b"3\n".to_vec())]);
    assert_eq!(sandbox.git(&["for-each-ref", "refs/ml/drafts"]), "");
    sandbox.git(&["fsck", "--strict"]);
}

#[test]
fn a_repository_that_is_open_sees_however_many_packs_appear() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    for number in 0..40 {
        sandbox.write("code.py", &format!("print({number})\n"));
        sandbox.git(&["commit", "-qam", "more"]);
        sandbox.git(&["repack", "-dq"]);
        let head = repository.resolve("HEAD").unwrap();
        assert_eq!(repository.commit(&head).unwrap().subject(), "more");
    }
    assert!(fs::read_dir(sandbox.top.join(".git/objects/pack")).unwrap().count() > 80);
}

#[test]
fn a_ref_that_moved_refuses_the_commit() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    let first = commit_runs(&repository, None, vec![edit("a", "1")]).unwrap();
    let second = commit_runs(&repository, Some(first), vec![edit("b", "2")]).unwrap();
    for stale in [None, Some(first)] {
        let error = commit_runs(&repository, stale, vec![edit("c", "3")]).unwrap_err();
        assert!(matches!(error, GitError::RefMoved { .. }), "{error:?}");
    }
    assert_eq!(repository.read_ref("refs/ml/runs").unwrap(), Some(second));
    // Packed and loose refs are the same to it.
    sandbox.git(&["pack-refs", "--all"]);
    commit_runs(&repository, Some(second), vec![edit("c", "3")]).unwrap();
}

#[test]
fn many_writers_lose_no_commit() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let repository = &repository;
            scope.spawn(move || {
                for number in 0..10 {
                    loop {
                        let tip = repository.read_ref("refs/ml/runs").unwrap();
                        match commit_runs(repository, tip, vec![edit(&format!("{thread}/{number}"), "x")]) {
                            Ok(_) => break,
                            Err(GitError::RefMoved { .. }) => {}
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                }
            });
        }
    });
    let tip = repository.read_ref("refs/ml/runs").unwrap().unwrap();
    assert_eq!(repository.find_at(&tip, "").unwrap().len(), 40);
    assert_eq!(repository.first_parents(&tip, 99).unwrap().len(), 40);
}

#[test]
fn a_lock_that_a_killed_process_left_is_cleared() {
    let sandbox = Sandbox::new();
    sandbox.write(".git/refs/ml/runs.lock", "");
    commit_runs(&sandbox.open(), None, vec![edit("a", "1")]).unwrap();
    assert!(!sandbox.top.join(".git/refs/ml/runs.lock").exists());
}

#[test]
fn paths_that_git_forbids_are_refused() {
    let sandbox = Sandbox::new();
    for bad in ["../x", ".git/config", "a/../b", "a\0b", "/x", ""] {
        assert!(commit_runs(&sandbox.open(), None, vec![edit(bad, "x")]).is_err(), "{bad:?}");
    }
    assert_eq!(sandbox.open().read_ref("refs/ml/runs").unwrap(), None);
}

#[test]
fn settings_round_trip() {
    let sandbox = Sandbox::new();
    let repository = sandbox.open();
    assert_eq!(repository.config("ml.x").unwrap(), None);
    repository.set_config("ml.x", "a \"value\"\nof two lines").unwrap();
    assert_eq!(repository.config("ml.x").unwrap().as_deref(), Some("a \"value\"\nof two lines"));
    repository.unset_config("ml.x").unwrap();
    repository.unset_config("ml.x").unwrap();
    assert_eq!(repository.config("ml.x").unwrap(), None);
    assert_eq!(repository.identity().unwrap(), ada());
    assert!(repository.remotes().unwrap().is_empty());
    sandbox.git(&["remote", "add", "origin", "/nowhere"]);
    assert_eq!(repository.remotes().unwrap(), ["origin"]);
}

#[test]
fn the_hooks_folder_follows_core_hooks_path() {
    let sandbox = Sandbox::new();
    let repository = Repository::discover(&sandbox.top.join("src")).unwrap();
    assert_eq!(repository.hooks_dir().unwrap(), sandbox.top.join(".git/hooks"));
    sandbox.git(&["config", "core.hooksPath", ".husky"]);
    assert_eq!(repository.hooks_dir().unwrap(), sandbox.top.join(".husky"));
    sandbox.git(&["config", "core.hooksPath", "/elsewhere/hooks"]);
    assert_eq!(repository.hooks_dir().unwrap(), PathBuf::from("/elsewhere/hooks"));
}

#[test]
fn a_name_that_git_cannot_use_is_made_usable() {
    let sandbox = Sandbox::new();
    sandbox.git(&["config", "user.name", ""]);
    let repository = sandbox.open();
    if repository.identity().is_err() {
        let identity = repository.identity_or_host("root <x>", "");
        assert_eq!((identity.name.as_str(), identity.email.as_str()), ("rootx", "rootx@localhost"));
        assert!(identity.signature().is_ok());
    }
}

#[test]
fn a_failing_git_says_which_command_and_why() {
    let error = Sandbox::new().open().run_git(&["cat-file", "-p", "nope"]).unwrap_err();
    assert_eq!(error.to_string(), "`git cat-file -p nope` failed: fatal: Not a valid object name nope");
}
