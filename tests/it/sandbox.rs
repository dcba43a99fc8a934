//! A place of its own for a test: a repository, a home folder and an environment that nothing from outside reaches.
//!
//! `git` finds the `git-ml` that was just built, so that `git ml …` is tested through git itself. The worker is on
//! the `PATH` only where a test puts one there ([`Sandbox::fake_worker`], [`Sandbox::use_worker`]), even where the
//! real one was built.

#![allow(dead_code, reason = "two test programs share this file, and neither needs all of it")]

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A test's own repository, home folder and environment. Dropping it removes them.
#[derive(Debug)]
pub(crate) struct Sandbox {
    root: TempDir,
    repo: PathBuf,
    variables: Vec<(String, String)>,
}

/// Content that does not compress and is the same for the same number.
pub(crate) fn noise(number: u64, bytes: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_le_bytes());
    }
    content.truncate(bytes);
    content
}

impl Sandbox {
    /// A repository on the branch `main` with one commit.
    pub(crate) fn new() -> Self {
        let sandbox = Self::without_commit();
        sandbox.write("README.md", "A repository for a test.\n");
        sandbox.commit("Begin");
        sandbox
    }

    /// A repository that has no commit yet.
    pub(crate) fn without_commit() -> Self {
        let sandbox = Self::without_repository();
        sandbox.git(&["init", "--quiet", "--initial-branch=main"]).success();
        sandbox
    }

    /// A folder that is in no repository.
    pub(crate) fn without_repository() -> Self {
        let root = TempDir::with_prefix("git-ml-test-").expect("a temporary folder");
        // As `pwd` prints it: on some systems the temporary folder is behind a symbolic link.
        let real_root = root.path().canonicalize().expect("the temporary folder");
        let sandbox = Self { repo: real_root.join("repo"), root, variables: Vec::new() };
        for folder in ["repo", "home", "bin", "tmp"] {
            fs::create_dir(real_root.join(folder)).expect("a folder in the sandbox");
        }
        let config = "[user]\n\tname = Ada Tester\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n\
                      [protocol \"file\"]\n\tallow = always\n";
        fs::write(real_root.join("home/.gitconfig"), config).expect("git's configuration");
        sandbox
    }

    /// The repository's top folder, where commands start.
    pub(crate) fn repo(&self) -> &Path {
        &self.repo
    }

    /// The folder that holds everything of this sandbox.
    pub(crate) fn root(&self) -> &Path {
        self.repo.parent().expect("the repository is in the root")
    }

    /// The home folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// A path in the repository.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.repo.join(path)
    }

    /// Sets a variable for every command from now on.
    pub(crate) fn set_env(&mut self, name: &str, value: impl Into<String>) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.into()));
    }

    /// A command in the repository with the sandbox's environment, to be run in any way.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        let home = self.home();
        command
            .current_dir(&self.repo)
            .env_clear()
            .env("PATH", self.search_path())
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join(".config"))
            .env("XDG_DATA_HOME", home.join(".local/share"))
            .env("XDG_STATE_HOME", home.join(".local/state"))
            .env("XDG_CACHE_HOME", home.join(".cache"))
            .env("TMPDIR", self.root().join("tmp"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", home.join(".gitconfig"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_PAGER", "cat")
            .env("USER", "ada")
            .env("TERM", "dumb")
            .env("TZ", "UTC")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null());
        // Where libtorch is found, and what coverage tools need, comes from outside.
        for kept in ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "OMP_WAIT_POLICY"] {
            if let Some(value) = std::env::var_os(kept) {
                command.env(kept, value);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `git-ml` in the repository with the sandbox's environment.
    pub(crate) fn git_ml_command(&self) -> Command {
        self.command(program_folder().join("git-ml"))
    }

    /// Runs `git-ml` in the repository.
    #[must_use = "assert how it ended: `.success()`, `.code(1)`"]
    pub(crate) fn git_ml(&self, arguments: &[&str]) -> Output {
        let mut command = self.git_ml_command();
        command.args(arguments);
        self.run(command)
    }

    /// Runs `git-ml` in a folder of the repository, or in any other.
    #[must_use = "assert how it ended: `.success()`, `.code(1)`"]
    pub(crate) fn git_ml_in(&self, folder: impl AsRef<Path>, arguments: &[&str]) -> Output {
        let mut command = self.git_ml_command();
        command.current_dir(self.repo.join(folder)).args(arguments);
        self.run(command)
    }

    /// Runs `git` in the repository.
    #[must_use = "assert how it ended: `.success()`, `.code(1)`"]
    pub(crate) fn git(&self, arguments: &[&str]) -> Output {
        let mut command = self.command("git");
        command.args(arguments);
        self.run(command)
    }

    /// Runs a line of shell in the repository.
    #[must_use = "assert how it ended: `.success()`, `.code(1)`"]
    pub(crate) fn shell(&self, line: &str) -> Output {
        let mut command = self.command("sh");
        command.args(["-c", line]);
        self.run(command)
    }

    /// Runs a command of [`Sandbox::command`] to its end.
    #[must_use = "assert how it ended: `.success()`, `.code(1)`"]
    pub(crate) fn run(&self, mut command: Command) -> Output {
        let shown = shown(&command);
        let output = command.output().unwrap_or_else(|error| panic!("cannot run {shown}: {error}"));
        self.collect(shown, output)
    }

    /// Runs a command with `input` on its stdin.
    #[must_use = "assert how it ended: `.success()`, `.code(1)`"]
    pub(crate) fn run_with_input(&self, mut command: Command, input: &[u8]) -> Output {
        let shown = shown(&command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {shown}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        // A command that ends before it has read all of its input is no failure of the test.
        let _ = stdin.write_all(input);
        drop(stdin);
        self.collect(shown, child.wait_with_output().expect("the child was started"))
    }

    fn collect(&self, command: String, output: std::process::Output) -> Output {
        Output {
            command: self.normalise(&command),
            status: output.status,
            normalised_stdout: self.normalise(&String::from_utf8_lossy(&output.stdout)),
            normalised_stderr: self.normalise(&String::from_utf8_lossy(&output.stderr)),
            stdout_bytes: output.stdout,
            stderr_bytes: output.stderr,
        }
    }

    /// Writes a file in the repository, with the folders above it.
    pub(crate) fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.repo.join(path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).expect("the file's folder");
        }
        fs::write(&path, content).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
    }

    /// Writes a program: a file that can be run.
    pub(crate) fn write_program(&self, path: impl AsRef<Path>, content: &str) {
        let path = self.repo.join(path);
        self.write(&path, content);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("the program's mode");
    }

    /// A file of the repository, as text.
    pub(crate) fn read(&self, path: impl AsRef<Path>) -> String {
        String::from_utf8(self.read_bytes(path)).expect("the file is UTF-8")
    }

    /// A file of the repository.
    pub(crate) fn read_bytes(&self, path: impl AsRef<Path>) -> Vec<u8> {
        let path = self.repo.join(path);
        fs::read(&path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// Whether there is anything at a path of the repository.
    pub(crate) fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.repo.join(path).symlink_metadata().is_ok()
    }

    /// Adds everything that git does not ignore, commits it, and returns the commit's id.
    pub(crate) fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]).success();
        self.git(&["commit", "--quiet", "--allow-empty", "--no-verify", "--message", message]).success();
        self.git(&["rev-parse", "HEAD"]).success().stdout().trim().to_owned()
    }

    /// Makes a linked work tree on a new branch of that name, beside the repository, and returns its folder.
    pub(crate) fn linked_work_tree(&self, name: &str) -> PathBuf {
        let folder = self.root().join(name);
        let shown = folder.to_str().expect("the sandbox's paths are UTF-8");
        self.git(&["worktree", "add", "--quiet", "-b", name, shown]).success();
        folder
    }

    /// Clones the repository beside itself and returns the clone's folder.
    pub(crate) fn clone_to(&self, name: &str) -> PathBuf {
        let folder = self.root().join(name);
        self.git(&["clone", "--quiet", ".", folder.to_str().expect("the sandbox's paths are UTF-8")]).success();
        folder
    }

    /// Puts a shell script in the worker's place. It is started as the worker is: `git-ml-torch train JOB`.
    pub(crate) fn fake_worker(&self, body: &str) {
        self.write_program(self.root().join("bin/git-ml-torch"), &format!("#!/bin/sh\n{body}\n"));
    }

    /// Puts a real worker on the `PATH`.
    pub(crate) fn use_worker(&self, program: impl AsRef<Path>) {
        std::os::unix::fs::symlink(program, self.root().join("bin/git-ml-torch")).expect("a link to the worker");
    }

    fn search_path(&self) -> std::ffi::OsString {
        let outside = std::env::var_os("PATH").unwrap_or_default();
        // A worker that is installed on this machine must not be found.
        let others = std::env::split_paths(&outside).filter(|folder| !folder.join("git-ml-torch").exists());
        let own = [self.root().join("bin"), program_folder().to_path_buf()];
        std::env::join_paths(own.into_iter().chain(others)).expect("no colon in the paths")
    }

    /// Replaces what differs from one sandbox to the next: its folders, run ids and commit ids.
    fn normalise(&self, text: &str) -> String {
        let replacements = [
            (self.repo.clone(), "<repo>"),
            (self.home(), "<home>"),
            (self.root().to_path_buf(), "<root>"),
            (self.root.path().to_path_buf(), "<root>"),
            (program_folder().to_path_buf(), "<bin>"),
        ];
        let mut text = text.to_owned();
        for (path, name) in replacements {
            text = text.replace(path.to_str().expect("the sandbox's paths are UTF-8"), name);
        }
        replace_ids(&text)
    }
}

/// How a command ended and what it printed.
///
/// Its `Display` is normalised and shows all three together, for snapshots.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    command: String,
    status: ExitStatus,
    stdout_bytes: Vec<u8>,
    stderr_bytes: Vec<u8>,
    normalised_stdout: String,
    normalised_stderr: String,
}

impl Output {
    /// Asserts that it ended with 0.
    #[track_caller]
    pub(crate) fn success(self) -> Self {
        self.code(0)
    }

    /// Asserts its exit code; a signal counts as 128 and its number.
    #[track_caller]
    pub(crate) fn code(self, expected: i32) -> Self {
        assert_eq!(self.exit_code(), expected, "`{}` should have ended with {expected}:\n{self}", self.command);
        self
    }

    /// Asserts that stderr is exactly one `error:` line with a `hint:` after it, and the exit code 1 or 2.
    #[track_caller]
    pub(crate) fn one_line_error(self) -> Self {
        let lines: Vec<&str> = self.normalised_stderr.lines().collect();
        let errors = lines.iter().filter(|line| line.starts_with("error: ")).count();
        let hints = lines.iter().filter(|line| line.starts_with("hint: ")).count();
        assert!(matches!(self.exit_code(), 1 | 2), "`{}` should have failed:\n{self}", self.command);
        assert!(errors == 1 && hints >= 1, "`{}` should give one error and a hint:\n{self}", self.command);
        self
    }

    /// The exit code; a signal counts as 128 and its number.
    pub(crate) fn exit_code(&self) -> i32 {
        self.status.code().or_else(|| self.status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }

    /// What it wrote to stdout, as it is.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.stdout_bytes.clone()).expect("stdout is UTF-8")
    }

    /// The bytes it wrote to stdout.
    pub(crate) fn stdout_bytes(&self) -> &[u8] {
        &self.stdout_bytes
    }

    /// What it wrote to stderr, as it is.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.stderr_bytes.clone()).expect("stderr is UTF-8")
    }

    /// What it wrote to stdout, normalised.
    pub(crate) fn normalised_stdout(&self) -> &str {
        &self.normalised_stdout
    }

    /// What it wrote to stderr, normalised.
    pub(crate) fn normalised_stderr(&self) -> &str {
        &self.normalised_stderr
    }

    /// Stdout, read as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout_bytes)
            .unwrap_or_else(|error| panic!("`{}` should have printed JSON ({error}):\n{self}", self.command))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in [("stdout", &self.normalised_stdout), ("stderr", &self.normalised_stderr)] {
            if !text.is_empty() {
                writeln!(formatter, "--- {name}")?;
                formatter.write_str(text)?;
                if !text.ends_with('\n') {
                    formatter.write_str("⏎\n")?;
                }
            }
        }
        match self.status.signal() {
            Some(signal) => write!(formatter, "--- signal {signal}"),
            None => write!(formatter, "--- exit {}", self.exit_code()),
        }
    }
}

/// A folder that holds the built `git-ml` and nothing else, so that no worker is found beside it.
fn program_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bin");
        fs::create_dir_all(&folder).expect("a folder for the program");
        // Several test programs may do this at once: the name appears whole or not at all.
        let draft = folder.join(format!("draft-{}", std::process::id()));
        fs::hard_link(env!("CARGO_BIN_EXE_git-ml"), &draft)
            .or_else(|_| fs::copy(env!("CARGO_BIN_EXE_git-ml"), &draft).map(|_| ()))
            .expect("the program in its folder");
        fs::rename(&draft, folder.join("git-ml")).expect("the program in its folder");
        // A rename of a hard link onto itself leaves both names.
        let _ = fs::remove_file(&draft);
        folder
    })
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Replaces whole words of 32 hexadecimal digits by `<run>` and of 40 by `<commit>`; those of 64 are digests of
/// content, which are the same everywhere.
fn replace_ids(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|character: char| character.is_ascii_alphanumeric()) {
        let (before, word_on) = rest.split_at(start);
        let end = word_on.find(|character: char| !character.is_ascii_alphanumeric()).unwrap_or(word_on.len());
        let (word, after) = word_on.split_at(end);
        let is_hex = word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        out.push_str(before);
        out.push_str(match word.len() {
            32 if is_hex => "<run>",
            40 if is_hex => "<commit>",
            _ => word,
        });
        rest = after;
    }
    out.push_str(rest);
    out
}

#[test]
fn what_differs_from_one_sandbox_to_the_next_is_replaced() {
    let sandbox = Sandbox::new();
    let output =
        sandbox.shell("pwd; git rev-parse HEAD; echo $HOME/x >&2; printf 0123456789abcdef0123456789abcdef; exit 3");
    assert_eq!(output.code(3).to_string(), "--- stdout\n<repo>\n<commit>\n<run>⏎\n--- stderr\n<home>/x\n--- exit 3");
}

#[test]
fn git_finds_the_program_that_was_built_and_nothing_of_the_user() {
    let sandbox = Sandbox::new();
    let found = sandbox
        .shell("command -v git-ml; git config --list --show-origin | grep -v /home/.gitconfig | grep -v .git/config");
    assert_eq!(found.normalised_stdout(), "<bin>/git-ml\n");
    sandbox.git(&["ml", "--version"]).success();
}
