//! How the code of two commits differs.

use super::Sandbox;
use crate::git::{ChangedFile, CodeChanges, FileChange, FilePatch, PatchLine, PatchLineKind, Repository};
use crate::id::CommitId;

fn head(sandbox: &Sandbox) -> CommitId {
    sandbox.git(&["rev-parse", "HEAD"]).parse().unwrap()
}

fn commit(sandbox: &Sandbox, message: &str) -> CommitId {
    sandbox.git(&["add", "-A"]);
    sandbox.git(&["commit", "-qm", message]);
    head(sandbox)
}

fn patch_of(repository: &Repository, [old, new]: [&CommitId; 2], file: &ChangedFile) -> FilePatch {
    repository.file_patch(old, new, file, 1000).unwrap()
}

fn words(lines: &[PatchLine]) -> Vec<String> {
    let mark = |kind| match kind {
        PatchLineKind::Hunk => '@',
        PatchLineKind::Context => ' ',
        PatchLineKind::Added => '+',
        PatchLineKind::Removed => '-',
        PatchLineKind::Remark => '\\',
    };
    let number = |number: Option<u32>| number.map_or_else(|| "_".to_owned(), |number| number.to_string());
    let line = |line: &PatchLine| format!("{}{} {} {}", mark(line.kind), number(line.old), number(line.new), line.text);
    lines.iter().map(line).collect()
}

#[test]
fn changes_name_what_became_of_each_file() {
    let sandbox = Sandbox::new();
    sandbox.write("gone.py", "x = 1\n");
    sandbox.write("long.py", &"line\n".repeat(50));
    let old = commit(&sandbox, "more");
    sandbox.git(&["mv", "long.py", "src/moved.py"]);
    sandbox.git(&["rm", "-q", "gone.py"]);
    sandbox.write("code.py", "print(2)\nprint(3)\n");
    sandbox.write("new.bin", "a\0b");
    std::os::unix::fs::symlink("code.py", sandbox.top.join("link")).unwrap();
    let new = commit(&sandbox, "changes");
    let repository = sandbox.open();
    let CodeChanges { files, more } = repository.code_changes(&old, &new, 100).unwrap();
    let found: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.change.clone(), file.lines)).collect();
    assert_eq!(
        found,
        [
            ("code.py", FileChange::Modified, Some((2, 1))),
            ("gone.py", FileChange::Removed, Some((0, 1))),
            ("link", FileChange::Added, Some((1, 0))),
            ("new.bin", FileChange::Added, None),
            ("src/moved.py", FileChange::Renamed { from: "long.py".to_owned() }, Some((0, 0))),
        ]
    );
    assert_eq!(more, 0);
    let cut = repository.code_changes(&old, &new, 2).unwrap();
    assert_eq!((cut.files.len(), cut.more), (2, 3));
    assert_eq!(repository.code_changes(&old, &old, 100).unwrap(), CodeChanges::default());
}

#[test]
fn patches_have_lines_with_their_numbers() {
    let sandbox = Sandbox::new();
    sandbox.write("code.py", "one\ntwo\nthree\n");
    let old = commit(&sandbox, "old");
    sandbox.write("code.py", "one\n2\nthree");
    sandbox.write("name[1]*.txt", "odd\r\n");
    sandbox.write("new.bin", "a\0b");
    sandbox.write("large.txt", &"x".repeat(3 << 20));
    let new = commit(&sandbox, "new");
    let repository = sandbox.open();
    let files = repository.code_changes(&old, &new, 100).unwrap().files;
    let patch = |path: &str| {
        let file = files.iter().find(|file| file.path == path).unwrap();
        patch_of(&repository, [&old, &new], file)
    };
    let FilePatch::Lines { lines, is_cut: false } = patch("code.py") else { panic!("no lines") };
    assert_eq!(
        words(&lines),
        [
            "@_ _ @@ -1,3 +1,3 @@",
            " 1 1 one",
            "-2 _ two",
            "-3 _ three",
            "+_ 2 2",
            "+_ 3 three",
            "\\_ _ \\ No newline at end of file",
        ]
    );
    // A name is no pattern.
    let FilePatch::Lines { lines, .. } = patch("name[1]*.txt") else { panic!("no lines") };
    assert_eq!(words(&lines), ["@_ _ @@ -0,0 +1 @@", "+_ 1 odd"]);
    assert_eq!(patch("new.bin"), FilePatch::Binary { old: 0, new: 3 });
    assert_eq!(patch("large.txt"), FilePatch::TooLarge { old: 0, new: 3 << 20 });
    let file = files.iter().find(|file| file.path == "code.py").unwrap();
    let FilePatch::Lines { lines, is_cut: true } = repository.file_patch(&old, &new, file, 3).unwrap() else {
        panic!("not cut")
    };
    assert_eq!(lines.len(), 3);
}

#[test]
fn drivers_and_filters_of_the_repository_take_no_part() {
    let sandbox = Sandbox::new();
    let marker = sandbox.top.join("ran");
    sandbox.git(&["config", "diff.evil.textconv", &format!("touch '{}' && cat", marker.display())]);
    sandbox.git(&["config", "diff.evil.command", &format!("touch '{}' && true", marker.display())]);
    sandbox.write(".gitattributes", "*.py diff=evil\n");
    let old = commit(&sandbox, "attributes");
    sandbox.write("code.py", "print(2)\n");
    let new = commit(&sandbox, "code");
    let repository = sandbox.open();
    let files = repository.code_changes(&old, &new, 10).unwrap().files;
    assert!(matches!(patch_of(&repository, [&old, &new], &files[0]), FilePatch::Lines { .. }));
    assert!(!marker.exists());
}

#[test]
fn commits_of_a_path_are_those_that_changed_it() {
    let sandbox = Sandbox::new();
    let first = head(&sandbox);
    sandbox.write("data/[x].mlref", "1");
    let added = commit(&sandbox, "add");
    sandbox.write("data/x.mlref", "1");
    commit(&sandbox, "another");
    sandbox.write("data/[x].mlref", "2");
    let changed = commit(&sandbox, "change");
    let repository = sandbox.open();
    assert_eq!(repository.commits_of(&changed, "data/[x].mlref", 10).unwrap(), [changed, added]);
    assert_eq!(repository.commits_of(&changed, "data/[x].mlref", 1).unwrap(), [changed]);
    assert_eq!(repository.commits_of(&first, "data/[x].mlref", 10).unwrap(), []);
}

#[test]
fn the_trunk_is_what_origin_says_then_main() {
    let sandbox = Sandbox::new();
    let first = head(&sandbox);
    sandbox.git(&["switch", "-qc", "feature"]);
    let repository = sandbox.open();
    assert_eq!(repository.trunk().unwrap(), Some(first));
    sandbox.write("code.py", "print(2)\n");
    let second = commit(&sandbox, "second");
    sandbox.git(&["update-ref", "refs/remotes/origin/work", &second.to_string()]);
    sandbox.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/work"]);
    assert_eq!(sandbox.open().trunk().unwrap(), Some(second));
    assert_eq!(Sandbox::empty().open().trunk().unwrap(), None);
}
