//! Tests against a server in this process that fails as it is told to.
#![allow(clippy::disallowed_methods, reason = "tests write files as users do")]

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::remote::layout::CATALOG;
use server::{Fault, Server};

/// Two clones of a repository, whose LFS server is one in this process.
struct Sandbox {
    folder: tempfile::TempDir,
    server: Server,
}

impl Sandbox {
    fn new() -> Self {
        let sandbox = Self { folder: tempfile::tempdir().unwrap(), server: Server::start() };
        for name in ["one", "two"] {
            sandbox.make_clone(name);
        }
        git(&sandbox.folder.path().join("one"), &["init", "-q", "--bare", "../origin.git"]);
        sandbox
    }

    fn make_clone(&self, name: &str) {
        let clone = self.folder.path().join(name);
        fs::create_dir(&clone).unwrap();
        Repository::init(&clone).unwrap();
        let origin = self.folder.path().join("origin.git");
        git(&clone, &["remote", "add", "origin", origin.to_str().unwrap()]);
        for (key, value) in [
            ("user.name", "Ada"),
            ("user.email", "ada@example.org"),
            ("lfs.url", &self.server.url("/org/repo.git/info/lfs")),
            // No helper of the machine's is asked.
            ("credential.helper", ""),
        ] {
            git(&clone, &["config", key, value]);
        }
    }

    fn objects(&self, clone: &str) -> LfsObjects {
        let repository = Repository::discover(&self.folder.path().join(clone)).unwrap();
        let mut objects = LfsObjects::new(&repository, "origin", false, SshProgram::default()).unwrap();
        objects.client.pause = |_| ();
        objects
    }

    /// Lets git answer with a password, and note what it was asked.
    fn set_password(&self, clone: &str, password: &str) {
        let log = self.asked();
        let helper = format!(
            "!f() {{ echo $1 >> '{}'; test $1 != get || printf 'username=ada\\npassword={password}\\n'; }}; f",
            log.display()
        );
        git(&self.folder.path().join(clone), &["config", "--add", "credential.helper", &helper]);
    }

    fn asked(&self) -> PathBuf {
        self.folder.path().join("asked")
    }

    fn file(&self, content: &[u8]) -> PathBuf {
        let place = self.folder.path().join(Oid::of(content).to_string());
        fs::write(&place, content).unwrap();
        place
    }

    fn output(&self) -> Draft {
        Draft::new_in(self.folder.path()).unwrap()
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Repository::discover(folder).unwrap().run_git(arguments).unwrap();
    String::from_utf8(output).unwrap()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn content_of(draft: &Draft) -> Vec<u8> {
    fs::read(draft.path()).unwrap()
}

#[test]
fn objects_are_kept_on_the_server_and_listed_in_the_repository() {
    let sandbox = Sandbox::new();
    let objects = sandbox.objects("one");
    assert_eq!(objects.size("git-ml.toml").unwrap(), None);
    assert!(objects.list("packs").unwrap().is_empty());
    objects.put("git-ml.toml", Bytes::from_static(b"version = 1\n")).unwrap();
    let content = pattern(3_000_001);
    let sent = AtomicU64::new(0);
    let pace = |bytes| _ = sent.fetch_add(bytes, Ordering::Relaxed);
    objects.put_file("packs/ab01.pack", &sandbox.file(&content), &pace).unwrap();
    assert_eq!(sent.load(Ordering::Relaxed), 3_000_001);
    assert_eq!(objects.list("packs").unwrap().len(), 1, "what was sent is listed for this client at once");
    objects.put("indexes/cd02.index", pattern(5000).into()).unwrap();
    objects.put(CATALOG, pattern(5000).into()).unwrap();
    assert_eq!(sandbox.server.count("verify"), 2);
    let listed = git(&sandbox.folder.path().join("origin.git"), &["ls-tree", "-r", "--name-only", LIST_REF]);
    assert_eq!(listed, "git-ml.toml\nindexes/cd/cd02.index\npacks/ab/ab01.pack\n");
    let pointer = git(&sandbox.folder.path().join("origin.git"), &["show", &format!("{LIST_REF}:packs/ab/ab01.pack")]);
    assert_eq!(pointer, LfsPointer { oid: Oid::of(&content), size: 3_000_001 }.text());

    let other = sandbox.objects("two");
    assert_eq!(other.size("packs/ab01.pack").unwrap(), Some(3_000_001));
    assert_eq!(other.read("git-ml.toml", 0..7).unwrap(), "version");
    for range in [0..0, 0..1, 1_000_000..2_000_000, 2_999_999..3_000_001, 0..3_000_001] {
        let expected = &content[range.start as usize..range.end as usize];
        assert!(other.read("packs/ab01.pack", range.clone()).unwrap() == expected, "{range:?}");
    }
    assert!(other.read("packs/ab01.pack", 3_000_000..3_000_002).is_err());
    let mut output = sandbox.output();
    other.fetch("packs/ab01.pack", 3_000_001, &mut output, &|_| ()).unwrap();
    assert!(content_of(&output) == content);
    assert!(matches!(other.read("packs/none", 0..1), Err(ObjectError::NotFound { .. })));

    // What the server has is not sent again, under whatever name.
    let uploads = sandbox.server.count("upload");
    other.put_file("packs/ab03.pack", &sandbox.file(&content), &|_| ()).unwrap();
    assert_eq!(sandbox.server.count("upload"), uploads);
    other.remove("packs/ab01.pack").unwrap();
    other.remove("packs/ab01.pack").unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    let names: Vec<String> = objects.list("packs").unwrap().into_iter().map(|listed| listed.name).collect();
    assert_eq!(names, ["packs/ab03.pack"]);
}

#[test]
fn of_two_that_push_at_once_both_are_listed() {
    let sandbox = Sandbox::new();
    std::thread::scope(|scope| {
        for clone in ["one", "two"] {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let objects = sandbox.objects(clone);
                for round in 0..5 {
                    objects.put(&format!("indexes/{clone}{round}"), Bytes::from_static(b"small")).unwrap();
                }
            });
        }
    });
    assert_eq!(sandbox.objects("one").list("indexes").unwrap().len(), 10);
}

#[test]
fn a_credential_is_asked_for_once_and_sent_to_the_server_alone() {
    let sandbox = Sandbox::new();
    sandbox.server.require("ada", "right");
    sandbox.set_password("one", "right");
    let objects = sandbox.objects("one");
    let contents: Vec<Vec<u8>> = (0..6).map(|at| pattern(2000 + at)).collect();
    std::thread::scope(|scope| {
        for content in &contents {
            let (objects, file) = (&objects, sandbox.file(content));
            scope.spawn(move || objects.put_file(&format!("packs/{}", content.len()), &file, &|_| ()).unwrap());
        }
    });
    assert_eq!(fs::read_to_string(sandbox.asked()).unwrap(), "get\nstore\n");
    assert!(!format!("{objects:?}").contains("right"));

    // Another server gets none of it.
    let stranger = Server::start();
    stranger.require("ada", "right");
    sandbox.server.set(Fault::SendElsewhere(stranger.url("")));
    let error = objects.put_file("packs/x", &sandbox.file(b"0123456789 elsewhere"), &|_| ()).unwrap_err();
    assert!(matches!(error, ObjectError::Denied { .. }), "{error}");
    assert!(stranger.requests().iter().all(|request| !request.to_lowercase().contains("authorization")));
    assert!(!stranger.requests().is_empty());
}

#[test]
fn a_wrong_password_is_said_once_and_never_repeated() {
    let sandbox = Sandbox::new();
    sandbox.server.require("ada", "right");
    let error = sandbox.objects("one").put_file("packs/x", &sandbox.file(&pattern(2000)), &|_| ()).unwrap_err();
    assert!(error.to_string().ends_with("it asks for a name and a password, and git has none for it"), "{error}");

    sandbox.set_password("one", "hunter2");
    let objects = sandbox.objects("one");
    for _ in 0..3 {
        let error = objects.put_file("packs/x", &sandbox.file(&pattern(2000)), &|_| ()).unwrap_err();
        assert!(matches!(error, ObjectError::Denied { .. }), "{error}");
        assert!(error.to_string().ends_with("the name and password are not taken"), "{error}");
        assert!(!format!("{error} {error:?} {objects:?}").contains("hunter2"), "{error:?}");
    }
    assert_eq!(fs::read_to_string(sandbox.asked()).unwrap(), "get\nerase\n");
    assert!(objects.list("packs").unwrap().is_empty(), "what was not sent is not listed");
}

#[test]
fn a_busy_server_is_waited_for_as_long_as_it_says() {
    static WAITED: AtomicU64 = AtomicU64::new(0);
    let sandbox = Sandbox::new();
    let mut objects = sandbox.objects("one");
    objects.client.pause = |wait| _ = WAITED.fetch_add(wait.as_secs(), Ordering::Relaxed);
    let file = sandbox.file(&pattern(2000));
    sandbox.server.set(Fault::Busy { times: 3, status: 429, retry_after: Some(7) });
    objects.put_file("packs/x", &file, &|_| ()).unwrap();
    assert_eq!(WAITED.load(Ordering::Relaxed), 21);
    for status in [500, 502, 503] {
        sandbox.server.set(Fault::Busy { times: 1, status, retry_after: None });
        let error = objects.put_file("packs/y", &sandbox.file(&pattern(2001)), &|_| ()).unwrap_err();
        assert!(matches!(error, ObjectError::Unreachable { .. }), "{error}");
    }
    sandbox.server.set(Fault::Busy { times: 1000, status: 429, retry_after: Some(1) });
    assert!(matches!(objects.put_file("packs/y", &file, &|_| ()), Err(ObjectError::Unreachable { .. })));
}

#[test]
fn links_that_have_expired_are_asked_for_again() {
    let sandbox = Sandbox::new();
    let content = pattern(100_000);
    let objects = sandbox.objects("one");
    sandbox.server.set(Fault::Expired { times: 1 });
    objects.put_file("packs/x", &sandbox.file(&content), &|_| ()).unwrap();
    assert_eq!(sandbox.server.count("batch"), 2);
    sandbox.server.set(Fault::Expired { times: 1 });
    assert!(objects.read("packs/x", 0..100_000).unwrap() == content);
    sandbox.server.set(Fault::Expired { times: 1000 });
    assert!(matches!(objects.read("packs/x", 0..7), Err(ObjectError::Failed { .. })));
    assert!(sandbox.server.count("batch") < 10);
}

#[test]
fn a_download_that_is_cut_off_goes_on_where_it_stopped() {
    let sandbox = Sandbox::new();
    let content = pattern(1_000_000);
    let objects = sandbox.objects("one");
    objects.put_file("packs/x", &sandbox.file(&content), &|_| ()).unwrap();
    sandbox.server.set(Fault::Truncated { times: 2, bytes: 400_000 });
    let mut output = sandbox.output();
    objects.fetch("packs/x", 1_000_000, &mut output, &|_| ()).unwrap();
    assert!(content_of(&output) == content);
    let ranges =
        sandbox.server.requests().iter().filter(|request| request.to_lowercase().contains("\nrange: bytes=")).count();
    assert_eq!(ranges, 2);
    sandbox.server.set(Fault::Truncated { times: 1000, bytes: 0 });
    for result in [objects.fetch("packs/x", 1_000_000, &mut output, &|_| ()), objects.read("packs/x", 5..9).map(drop)] {
        assert!(matches!(result, Err(ObjectError::Unreachable { .. })), "{result:?}");
    }
}

#[test]
fn wrong_bytes_are_an_error_and_servers_without_ranges_are_read_once() {
    let sandbox = Sandbox::new();
    let content = pattern(1_000_000);
    let objects = sandbox.objects("one");
    objects.put_file("packs/x", &sandbox.file(&content), &|_| ()).unwrap();
    sandbox.server.set(Fault::WrongBytes);
    let error = objects.fetch("packs/x", 1_000_000, &mut sandbox.output(), &|_| ()).unwrap_err();
    assert!(error.to_string().ends_with("what arrived is not what the name says"), "{error}");
    sandbox.server.set(Fault::NoRanges);
    for start in (0..1_000_000).step_by(100_000) {
        let part = objects.read("packs/x", start as u64..start as u64 + 50).unwrap();
        assert!(part == content[start..start + 50]);
    }
    assert_eq!(sandbox.server.count("download"), 2);
}

#[test]
fn answers_that_are_none_are_errors_without_secrets() {
    let sandbox = Sandbox::new();
    let objects = sandbox.objects("one");
    let file = sandbox.file(&pattern(2000));
    for (answer, expected) in [
        ("<html>", "its answer is not that of an LFS server"),
        (r#"{"objects": []}"#, "its answer does not have the object"),
        (r#"{"transfer": "tus", "objects": []}"#, "it wants a kind of transfer that it was not offered"),
    ] {
        sandbox.server.set(Fault::Answer(answer.to_owned()));
        let error = objects.put_file("packs/x", &file, &|_| ()).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    drop(objects);
    let gone = Server::start().url("/org/repo.git/info/lfs?token=hunter2");
    git(&sandbox.folder.path().join("one"), &["config", "lfs.url", &gone]);
    let objects = sandbox.objects("one");
    let error = objects.put_file("packs/x", &file, &|_| ()).unwrap_err();
    assert!(matches!(error, ObjectError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("Connection refused"), "{error}");
    assert!(!format!("{error:?}{objects:?}").contains("hunter2"));
}

#[test]
fn over_ssh_the_server_is_where_the_other_machine_says() {
    let sandbox = Sandbox::new();
    sandbox.server.require_header("RemoteAuth over-ssh");
    let url = sandbox.server.url("/org/repo.git/info/lfs");
    let said = sandbox.folder.path().join("said");
    let fake = sandbox.folder.path().join("fake-ssh");
    let answer =
        format!(r#"{{"href": "{url}", "header": {{"Authorization": "RemoteAuth over-ssh"}}, "expires_in": 3600}}"#);
    fs::write(&fake, format!("echo \"$@\" >> '{}'\necho '{answer}'\n", said.display())).unwrap();
    let clone = sandbox.folder.path().join("one");
    git(&clone, &["config", "--unset", "lfs.url"]);
    git(&clone, &["config", "remote.origin.lfsurl", "ssh://git@host:2222/org/it's.git"]);
    let ssh = SshProgram { line: Some(format!("sh '{}'", fake.display())), notice: None };
    let repository = Repository::discover(&clone).unwrap();
    let client = LfsClient::new(&repository, "origin", false, ssh).unwrap();
    let content: Bytes = pattern(5000).into();
    let pointer = LfsPointer { oid: Oid::of(&content), size: 5000 };
    for _ in 0..2 {
        client.upload(&pointer, Source::Memory(&content), &|_| ()).unwrap();
    }
    assert!(client.read(&pointer, 0..5000).unwrap() == content);
    let expected = |operation| format!("-p 2222 -- git@host git-lfs-authenticate 'org/it'\\''s.git' {operation}\n");
    assert_eq!(fs::read_to_string(&said).unwrap(), expected("upload") + &expected("download"));
    fs::write(&fake, "echo 'git-lfs-authenticate: command not found' >&2; exit 127\n").unwrap();
    let client = LfsClient::new(
        &repository,
        "origin",
        false,
        SshProgram { line: Some(format!("sh '{}'", fake.display())), notice: None },
    )
    .unwrap();
    let error = client.read(&pointer, 0..5000).unwrap_err();
    assert!(error.to_string().contains("command not found"), "{error}");
}

#[test]
fn what_is_shared_with_the_repository_says_where_the_server_is() {
    let sandbox = Sandbox::new();
    let clone = sandbox.folder.path().join("one");
    let place = || {
        Repository::discover(&clone)
            .map(|it| LfsClient::new(&it, "origin", false, SshProgram::default()))
            .unwrap()
            .map(|client| client.place)
    };
    git(&clone, &["config", "--unset", "lfs.url"]);
    assert!(matches!(place(), Err(RemoteError::BadUrl { .. })), "a folder has no server");
    git(&clone, &["remote", "set-url", "origin", "https://host/org/repo"]);
    assert_eq!(place().unwrap(), "https://host/org/repo.git/info/lfs");
    git(&clone, &["config", "url.https://mirror/.insteadOf", "https://host/"]);
    assert_eq!(place().unwrap(), "https://mirror/org/repo.git/info/lfs");
    git(&clone, &["config", "remote.origin.lfsurl", "https://elsewhere/lfs"]);
    assert_eq!(place().unwrap(), "https://elsewhere/lfs");
    fs::write(clone.join(".lfsconfig"), "[lfs]\n\turl = https://shared/lfs\n").unwrap();
    assert_eq!(place().unwrap(), "https://shared/lfs");
    git(&clone, &["config", "lfs.url", "https://ada:hunter2@own/lfs"]);
    assert_eq!(place().unwrap(), "https://own/lfs");
}

#[test]
fn a_client_can_be_shared_by_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Arc<LfsClient>>();
    is_shared::<LfsObjects>();
}
