//! Installing hooks beside those that are there.
//!
//! What we put into a hook stands between two marks, and everything else is left as it is:
//!
//! - where there is no hook, the file is ours;
//! - a shell script gets the marked lines right after its first line, since a script may end anywhere;
//! - anything else (another language, a program, a link, a script that is switched off) is kept as
//!   `<name>.before-git-ml`, and ours runs it.

use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Hook, HookError};
use crate::files::{self, Draft, Durability};
use crate::git::Repository;

/// What our lines begin with.
pub(super) const BEGIN: &str = "# >>> git-ml >>>";
/// What our lines end with.
pub(super) const END: &str = "# <<< git-ml <<<";

/// What a hook that is kept under another name gets added to its own.
const KEPT_SUFFIX: &str = ".before-git-ml";

/// How a hook stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is nothing of ours.
    Absent,
    /// Ours is there, but not as this version installs it, or it cannot be run.
    Outdated,
    /// Ours is there and runs.
    Current,
}

/// What was done with a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// There was none: the file is ours.
    Created,
    /// Our lines were added to a script.
    Added,
    /// Another program was there: ours runs it, at this place.
    Chained(PathBuf),
    /// It was installed already.
    Unchanged,
    /// What was there before is back.
    Removed,
    /// There was nothing of ours.
    Absent,
}

/// A hook that was installed or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// Which.
    pub hook: Hook,
    /// Its file.
    pub path: PathBuf,
    /// What was done.
    pub outcome: Outcome,
}

/// Installs every hook; safe to repeat.
///
/// A folder outside of the repository serves other repositories too, and is only written with `outside`.
pub fn install(repository: &Repository, outside: bool) -> Result<Vec<Installed>, HookError> {
    let folder = hooks_dir(repository, outside)?;
    files::create_dir_all(&folder)?;
    let mut installed = Vec::new();
    for hook in Hook::ALL {
        let path = folder.join(hook.name());
        let outcome = install_one(hook, &path)?;
        installed.push(Installed { hook, path, outcome });
    }
    Ok(installed)
}

/// Takes our part out of every hook; what was there before is as it was.
pub fn uninstall(repository: &Repository, outside: bool) -> Result<Vec<Installed>, HookError> {
    let folder = hooks_dir(repository, outside)?;
    let mut removed = Vec::new();
    for hook in Hook::ALL {
        let path = folder.join(hook.name());
        let outcome = uninstall_one(&path)?;
        removed.push(Installed { hook, path, outcome });
    }
    Ok(removed)
}

/// How a hook stands, wherever git runs it from.
pub fn state(repository: &Repository, hook: Hook) -> Result<State, HookError> {
    let path = repository.hooks_dir()?.join(hook.name());
    let Some(found) = Found::read(&path)? else { return Ok(State::Absent) };
    let Some(script) = found.script() else { return Ok(State::Absent) };
    match script.ours {
        None => Ok(State::Absent),
        Some(ours) if found.runs && [own_block(hook), shared_block(hook)].contains(&ours) => Ok(State::Current),
        Some(_) => Ok(State::Outdated),
    }
}

fn hooks_dir(repository: &Repository, outside: bool) -> Result<PathBuf, HookError> {
    let folder = repository.hooks_dir()?;
    let real = real_place(&folder);
    let homes = [repository.work_dir().ok(), Some(repository.common_dir()), Some(repository.git_dir())];
    match outside || homes.into_iter().flatten().any(|home| real.starts_with(home)) {
        true => Ok(folder),
        false => Err(HookError::OutsideRepository { folder }),
    }
}

/// The place without symbolic links, also where its last folders are not there yet.
fn real_place(path: &Path) -> PathBuf {
    match (path.canonicalize(), path.parent(), path.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(parent), Some(name)) => real_place(parent).join(name),
        _ => path.to_path_buf(),
    }
}

fn install_one(hook: Hook, path: &Path) -> Result<Outcome, HookError> {
    let Some(found) = Found::read(path)? else {
        write_program(path, own_script(hook).as_bytes())?;
        return Ok(Outcome::Created);
    };
    let Some(script) = found.script().filter(|script| found.runs || script.is_ours_alone()) else {
        let kept = kept_place(path);
        if kept.symlink_metadata().is_ok() {
            return Err(HookError::KeptExists { path: kept });
        }
        files::rename(path, &kept)?;
        write_program(path, chaining_script(hook).as_bytes())?;
        return Ok(Outcome::Chained(kept));
    };
    let text = if script.is_ours_alone() { own_script(hook).to_owned() } else { script.with(&shared_block(hook)) };
    if found.runs && found.content == text.as_bytes() {
        return Ok(Outcome::Unchanged);
    }
    write_program(path, text.as_bytes())?;
    Ok(if script.is_ours_alone() { Outcome::Created } else { Outcome::Added })
}

fn uninstall_one(path: &Path) -> Result<Outcome, HookError> {
    let Some(found) = Found::read(path)? else { return Ok(Outcome::Absent) };
    let Some(script) = found.script().filter(|script| script.ours.is_some()) else { return Ok(Outcome::Absent) };
    let kept = kept_place(path);
    if script.after.contains(CHAIN) {
        files::remove_file(path)?;
        if kept.symlink_metadata().is_ok() {
            files::rename(&kept, path)?;
        }
    } else if script.is_ours_alone() {
        files::remove_file(path)?;
    } else {
        write_program(path, script.without_ours().as_bytes())?;
    }
    Ok(Outcome::Removed)
}

fn kept_place(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(KEPT_SUFFIX);
    PathBuf::from(name)
}

/// A hook's file as it was found.
struct Found {
    content: Vec<u8>,
    /// Whether git would run it: it is a file of its own that may be executed.
    runs: bool,
    is_link: bool,
}

impl Found {
    fn read(path: &Path) -> Result<Option<Self>, HookError> {
        let fail = |source| HookError::Read { path: path.to_path_buf(), source };
        let metadata = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(fail)?,
        };
        if metadata.is_dir() {
            return Err(fail(io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let is_link = metadata.is_symlink();
        let content = if metadata.is_file() { std::fs::read(path).map_err(fail)? } else { Vec::new() };
        let runs = metadata.is_file() && metadata.permissions().mode() & 0o111 != 0;
        Ok(Some(Self { content, runs, is_link }))
    }

    /// Its parts, if it is a script that a shell like `sh` reads.
    fn script(&self) -> Option<Script<'_>> {
        let text = std::str::from_utf8(&self.content).ok().filter(|text| !self.is_link && !text.contains('\0'))?;
        let first = text.lines().next().unwrap_or_default();
        // Without a first line that says otherwise git has the shell run it.
        let words = first.strip_prefix("#!").unwrap_or("/bin/sh").split_whitespace();
        let mut programs = words.map(|word| word.rsplit('/').next().unwrap_or(word)).filter(|word| *word != "env");
        let shell = programs.find(|word| !word.starts_with('-'))?;
        ["sh", "bash", "dash", "ash", "ksh", "zsh"].contains(&shell).then(|| Script::parse(text))
    }
}

/// A shell script around our lines.
struct Script<'a> {
    before: &'a str,
    ours: Option<String>,
    after: &'a str,
}

impl<'a> Script<'a> {
    fn parse(text: &'a str) -> Self {
        let marks = text.find(BEGIN).and_then(|begin| Some((begin, begin + text[begin..].find(END)? + END.len())));
        match marks {
            Some((begin, end)) => {
                let after = text[end..].strip_prefix('\n').unwrap_or(&text[end..]);
                Self { before: &text[..begin], ours: Some(format!("{}\n", &text[begin..end])), after }
            }
            None => {
                let first_line =
                    if text.starts_with("#!") { text.find('\n').map_or(text.len(), |at| at + 1) } else { 0 };
                Self { before: &text[..first_line], ours: None, after: &text[first_line..] }
            }
        }
    }

    /// Whether there is nothing in it but what we wrote.
    fn is_ours_alone(&self) -> bool {
        let is_nothing = |text: &str| text.lines().all(|line| line.trim().is_empty() || line.starts_with("#!"));
        self.ours.is_some() && is_nothing(self.before) && is_nothing(self.after)
    }

    fn with(&self, block: &str) -> String {
        let gap = if self.before.is_empty() || self.before.ends_with('\n') { "" } else { "\n" };
        format!("{}{gap}{block}{}", self.before, self.after)
    }

    fn without_ours(&self) -> String {
        format!("{}{}", self.before, self.after)
    }
}

/// The whole of a hook that is ours alone.
fn own_script(hook: Hook) -> &'static str {
    match hook {
        Hook::PostCheckout => include_str!("../../hooks/post-checkout"),
        Hook::PostMerge => include_str!("../../hooks/post-merge"),
        Hook::PreCommit => include_str!("../../hooks/pre-commit"),
        Hook::PrePush => include_str!("../../hooks/pre-push"),
    }
}

/// Our lines where the hook is ours alone.
fn own_block(hook: Hook) -> String {
    Script::parse(own_script(hook)).ours.unwrap_or_default()
}

/// Our lines in a script that goes on after them.
fn shared_block(hook: Hook) -> String {
    let name = hook.name();
    match hook {
        Hook::PostCheckout | Hook::PostMerge => format!(
            "{BEGIN}\n\
             # Brings tracked data in line with the pointers; added by `git ml hook install`.\n\
             if command -v git-ml >/dev/null 2>&1; then\n    \
                 git ml hook {name} \"$@\" || :\n\
             else\n    \
                 echo 'warning: git-ml is not on the PATH, so tracked data stays as it is' >&2\n\
             fi\n\
             {END}\n"
        ),
        Hook::PreCommit => format!(
            "{BEGIN}\n\
             # Refuses a commit that leaves changed data behind, or that has files which are too large for git; added by \
             `git ml hook install`.\n\
             if command -v git-ml >/dev/null 2>&1; then\n    \
                 git ml hook {name} \"$@\" || exit 1\n\
             else\n    \
                 echo 'warning: git-ml is not on the PATH, so the data beside the commit is not checked' >&2\n\
             fi\n\
             {END}\n"
        ),
        // What git says on stdin is for the rest of the script too.
        Hook::PrePush => format!(
            "{BEGIN}\n\
             # Sends the data that the pushed pointers need, and refuses a push that the checks of ml.toml do not let \
             through; added by `git ml hook install`.\n\
             if command -v git-ml >/dev/null 2>&1; then\n    \
                 git_ml_refs=$(cat)\n    \
                 printf '%s\\n' \"$git_ml_refs\" | git ml hook {name} \"$@\" || exit 1\n    \
                 if [ -n \"$git_ml_refs\" ]; then\n        \
                     exec <<GIT_ML_REFS\n\
             $git_ml_refs\n\
             GIT_ML_REFS\n    \
                 else\n        \
                     exec </dev/null\n    \
                 fi\n\
             else\n    \
                 echo 'warning: git-ml is not on the PATH, so what is pushed is not checked' >&2\n\
             fi\n\
             {END}\n"
        ),
    }
}

/// How a hook of ours runs the one that was there before.
const CHAIN: &str = "previous=$0.before-git-ml\n[ -x \"$previous\" ] || exit 0\nexec \"$previous\" \"$@\"\n";

/// The whole of a hook that runs another one after it.
fn chaining_script(hook: Hook) -> String {
    format!("#!/bin/sh\n{}{CHAIN}", shared_block(hook))
}

fn write_program(path: &Path, content: &[u8]) -> Result<(), HookError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut draft = Draft::new_in(folder)?;
    draft.write_all(content).map_err(|source| files::FileError::new("write", path, source))?;
    Ok(draft.publish(path, true, Durability::Synced)?)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write the hooks that they look at")]
mod tests {
    use std::fs;
    use std::process::{Command, Stdio};

    use super::*;

    struct Sandbox {
        folder: tempfile::TempDir,
    }

    impl Sandbox {
        /// A repository, and on the `PATH` of its hooks a `git-ml` that writes down how it was called.
        fn new() -> Self {
            let sandbox = Self { folder: tempfile::tempdir().unwrap() };
            Repository::init(sandbox.folder.path()).unwrap();
            fs::create_dir(sandbox.path("bin")).unwrap();
            let program =
                "#!/bin/sh\necho \"ours $*\" >>\"$OUT\"\n[ \"$2\" != pre-push ] || cat >>\"$OUT\"\nexit ${FAIL:-0}\n";
            sandbox.write("bin/git-ml", program, 0o755);
            sandbox
        }

        fn path(&self, path: &str) -> PathBuf {
            self.folder.path().join(path)
        }

        fn write(&self, path: &str, content: &str, mode: u32) {
            let place = self.path(path);
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            fs::write(&place, content).unwrap();
            fs::set_permissions(place, fs::Permissions::from_mode(mode)).unwrap();
        }

        fn repository(&self) -> Repository {
            Repository::discover(self.folder.path()).unwrap()
        }

        fn outcomes(&self) -> Vec<Outcome> {
            install(&self.repository(), false).unwrap().into_iter().map(|one| one.outcome).collect()
        }

        fn remove(&self) {
            uninstall(&self.repository(), false).unwrap();
        }

        /// Runs a hook as git does: what was written down, and whether it succeeded.
        fn run(&self, hook: &str, input: &str, fail: bool, with_git_ml: bool) -> (String, bool) {
            let out = self.path("out");
            let _ = fs::remove_file(&out);
            fs::write(self.path("input"), input).unwrap();
            // The shell puts the folder in front of the `PATH` that it has.
            let mut program = Command::new("sh");
            let line = "PATH=\"$1$PATH\" exec \"$2\" origin url";
            let bin = if with_git_ml { format!("{}:", self.path("bin").display()) } else { String::new() };
            program.args(["-c", line, "sh", &bin, &format!(".git/hooks/{hook}")]);
            program.current_dir(self.folder.path()).env("OUT", &out);
            program.env("FAIL", if fail { "1" } else { "0" }).stdin(fs::File::open(self.path("input")).unwrap());
            let status = program.stderr(Stdio::null()).status().unwrap();
            (fs::read_to_string(out).unwrap_or_default(), status.success())
        }
    }

    #[test]
    fn hooks_are_made_once_and_taken_away_again() {
        let sandbox = Sandbox::new();
        assert_eq!(sandbox.outcomes(), [Outcome::Created, Outcome::Created, Outcome::Created, Outcome::Created]);
        assert_eq!(
            sandbox.outcomes(),
            [Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged]
        );
        for hook in Hook::ALL {
            assert_eq!(state(&sandbox.repository(), hook).unwrap(), State::Current);
        }
        assert_eq!(
            sandbox.run("pre-push", "a b c d\n", false, true),
            ("ours hook pre-push origin url\na b c d\n".into(), true)
        );
        assert!(!sandbox.run("pre-push", "", true, true).1, "it can refuse");
        assert_eq!(sandbox.run("post-checkout", "", false, true).0, "ours hook post-checkout origin url\n");
        assert_eq!(sandbox.run("pre-push", "", false, false), (String::new(), true), "without git-ml git goes on");
        sandbox.remove();
        assert!(!sandbox.path(".git/hooks/pre-push").exists());
        assert_eq!(state(&sandbox.repository(), Hook::PrePush).unwrap(), State::Absent);
        sandbox.remove();
    }

    #[test]
    fn an_older_hook_of_ours_is_renewed() {
        let sandbox = Sandbox::new();
        sandbox.write(".git/hooks/post-merge", &format!("#!/bin/sh\n{BEGIN}\nexec old\n{END}\n"), 0o755);
        assert_eq!(state(&sandbox.repository(), Hook::PostMerge).unwrap(), State::Outdated);
        sandbox.outcomes();
        assert_eq!(fs::read_to_string(sandbox.path(".git/hooks/post-merge")).unwrap(), own_script(Hook::PostMerge));
    }

    #[test]
    fn a_script_keeps_all_it_did_and_its_input() {
        let sandbox = Sandbox::new();
        let script =
            "#!/usr/bin/env bash\nset -eu\nwhile read -r line; do echo \"theirs $line\" >>\"$OUT\"; done\nexit 3\n";
        sandbox.write(".git/hooks/pre-push", script, 0o755);
        sandbox.write(".git/hooks/post-checkout", "#!/bin/sh\necho theirs >>\"$OUT\"\nexit 0", 0o755);
        sandbox.write(".git/hooks/post-merge", "echo no first line", 0o755);
        sandbox.write(".git/hooks/pre-commit", "#!/bin/bash\necho theirs >>\"$OUT\"\nexit 5\n", 0o755);
        assert_eq!(sandbox.outcomes(), [Outcome::Added, Outcome::Added, Outcome::Added, Outcome::Added]);
        assert_eq!(
            sandbox.outcomes(),
            [Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged]
        );
        assert_eq!(state(&sandbox.repository(), Hook::PrePush).unwrap(), State::Current);
        let (out, success) = sandbox.run("pre-push", "a b $HOME `id`\nc d\n", false, true);
        let ours = "ours hook pre-push origin url\na b $HOME `id`\nc d\n";
        assert_eq!(out, format!("{ours}theirs a b $HOME `id`\ntheirs c d\n"));
        assert!(!success, "their exit code counts");
        assert_eq!(sandbox.run("pre-push", "", false, true).0, "ours hook pre-push origin url\n\n");
        assert!(!sandbox.run("pre-push", "a\n", true, true).0.contains("theirs"), "ours refused");
        assert_eq!(sandbox.run("pre-push", "a\n", false, false).0, "theirs a\n");
        let (out, success) = sandbox.run("post-checkout", "", true, true);
        assert_eq!((out.as_str(), success), ("ours hook post-checkout origin url\ntheirs\n", true));
        let (out, success) = sandbox.run("pre-commit", "", false, true);
        assert_eq!((out.as_str(), success), ("ours hook pre-commit origin url\ntheirs\n", false));
        let (out, success) = sandbox.run("pre-commit", "", true, true);
        assert_eq!((out.as_str(), success), ("ours hook pre-commit origin url\n", false), "ours refused");
        assert_eq!(sandbox.run("pre-commit", "", false, false).0, "theirs\n");
        sandbox.remove();
        assert_eq!(fs::read_to_string(sandbox.path(".git/hooks/pre-push")).unwrap(), script);
        assert!(fs::read_to_string(sandbox.path(".git/hooks/post-checkout")).unwrap().ends_with("\nexit 0"));
        assert_eq!(fs::read_to_string(sandbox.path(".git/hooks/post-merge")).unwrap(), "echo no first line");
    }

    #[test]
    fn other_programs_are_kept_and_run() {
        let sandbox = Sandbox::new();
        let program = "#!/usr/bin/awk -f\nBEGIN { while ((getline line < \"-\") > 0) print \"theirs \" line >> ENVIRON[\"OUT\"] }\n";
        sandbox.write(".git/hooks/pre-push", program, 0o755);
        sandbox.write("tools/merged", "#!/bin/sh\necho linked >>\"$OUT\"\n", 0o755);
        std::os::unix::fs::symlink("../../tools/merged", sandbox.path(".git/hooks/post-merge")).unwrap();
        let outcomes = sandbox.outcomes();
        assert!(
            matches!(&outcomes[..], [Outcome::Created, Outcome::Chained(_), Outcome::Created, Outcome::Chained(_)]),
            "{outcomes:?}"
        );
        assert_eq!(
            sandbox.outcomes(),
            [Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged, Outcome::Unchanged]
        );
        assert_eq!(sandbox.run("pre-push", "a\n", false, true).0, "ours hook pre-push origin url\na\ntheirs a\n");
        assert_eq!(sandbox.run("post-merge", "", false, true).0, "ours hook post-merge origin url\nlinked\n");
        sandbox.remove();
        assert_eq!(fs::read_to_string(sandbox.path(".git/hooks/pre-push")).unwrap(), program);
        assert!(sandbox.path(".git/hooks/post-merge").is_symlink());
        assert!(!sandbox.path(".git/hooks/post-merge.before-git-ml").exists());
    }

    #[test]
    fn a_hook_that_is_switched_off_stays_off() {
        let sandbox = Sandbox::new();
        sandbox.write(".git/hooks/pre-push", "#!/bin/sh\necho theirs >>\"$OUT\"\n", 0o644);
        assert!(matches!(sandbox.outcomes()[3], Outcome::Chained(_)));
        assert_eq!(sandbox.run("pre-push", "a\n", false, true).0, "ours hook pre-push origin url\na\n");
    }

    #[test]
    fn nothing_is_lost_where_the_kept_name_is_taken() {
        let sandbox = Sandbox::new();
        sandbox.write(".git/hooks/pre-push", "#!/usr/bin/perl\n", 0o755);
        sandbox.write(".git/hooks/pre-push.before-git-ml", "precious", 0o644);
        let error = install(&sandbox.repository(), false).unwrap_err();
        assert!(matches!(error, HookError::KeptExists { .. }), "{error:?}");
        assert_eq!(fs::read_to_string(sandbox.path(".git/hooks/pre-push.before-git-ml")).unwrap(), "precious");
    }

    #[test]
    fn the_hooks_path_is_respected_and_one_outside_is_refused() {
        let sandbox = Sandbox::new();
        let repository = sandbox.repository();
        repository.set_config("core.hooksPath", ".husky/_").unwrap();
        sandbox.outcomes();
        assert!(sandbox.path(".husky/_/pre-push").exists());
        let outside = tempfile::tempdir().unwrap();
        repository.set_config("core.hooksPath", outside.path().to_str().unwrap()).unwrap();
        assert!(matches!(install(&repository, false), Err(HookError::OutsideRepository { .. })));
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
        install(&repository, true).unwrap();
        assert!(outside.path().join("pre-push").exists());
    }
}
