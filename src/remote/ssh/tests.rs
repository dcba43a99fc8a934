//! Tests against OpenSSH's own server. Where there is none they say so and pass.
#![allow(clippy::disallowed_methods, reason = "tests write and look at files as the other machine does")]

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use super::*;

#[allow(dead_code, reason = "shared with the tests of the whole program")]
#[path = "../../../tests/it/sshd.rs"]
mod sshd;

use sshd::Sshd;

fn objects_at(url: &str, line: &str) -> SshObjects {
    let address = Address::parse(url).unwrap().unwrap();
    SshObjects::new(address, SshProgram { line: Some(line.to_owned()), notice: None }).unwrap()
}

/// Bytes that are no run of equal ones, so that a block in the wrong place shows.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn objects_are_kept_and_read_over_one_connection() {
    let Some(sshd) = Sshd::start() else { return };
    let folder = sshd.folder().join("a 'störe'/of $HOME");
    let objects = objects_at(&format!("far:{}", folder.display()), &sshd.command());
    assert_eq!(objects.size("git-ml.toml").unwrap(), None);
    assert!(objects.list("packs").unwrap().is_empty());
    assert!(matches!(objects.read("packs/x", 0..1), Err(ObjectError::NotFound { .. })));

    objects.put("git-ml.toml", Bytes::from_static(b"version = 1\n")).unwrap();
    objects.put("git-ml.toml", Bytes::from_static(b"version = 2!\n")).unwrap();
    assert_eq!(fs::read(folder.join("git-ml.toml")).unwrap(), b"version = 2!\n");
    objects.put("empty", Bytes::new()).unwrap();
    assert_eq!(objects.size("empty").unwrap(), Some(0));

    let content = pattern(5_000_001);
    let source = sshd.folder().join("source");
    fs::write(&source, &content).unwrap();
    let sent = AtomicU64::new(0);
    objects.put_file("packs/a.pack", &source, &|bytes| _ = sent.fetch_add(bytes, Ordering::Relaxed)).unwrap();
    assert_eq!(sent.into_inner(), content.len() as u64);
    assert_eq!(fs::read(folder.join("packs/a.pack")).unwrap(), content);
    assert_eq!(objects.size("packs/a.pack").unwrap(), Some(5_000_001));
    for range in [0..0, 0..1, 7..300_000, 261_119..261_121, 4_999_999..5_000_001, 0..5_000_001] {
        let expected = &content[range.start as usize..range.end as usize];
        assert!(objects.read("packs/a.pack", range.clone()).unwrap() == expected, "{range:?}");
    }
    assert!(objects.read("packs/a.pack", 4_999_999..5_000_002).is_err(), "shorter is an error");

    let mut output = crate::files::Draft::new_in(sshd.folder()).unwrap();
    let fetched = AtomicU64::new(0);
    let pace = |bytes| _ = fetched.fetch_add(bytes, Ordering::Relaxed);
    objects.fetch("packs/a.pack", 5_000_001, &mut output, &pace).unwrap();
    assert!(fs::read(output.path()).unwrap() == content);
    assert_eq!(fetched.load(Ordering::Relaxed), 5_000_001);

    fs::write(folder.join("packs/a\nb"), "no name of ours").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("packs/link")).unwrap();
    objects.put("packs/deep/er", Bytes::from_static(b"1")).unwrap();
    let mut listed = objects.list("packs").unwrap();
    listed.sort_by(|left, right| left.name.cmp(&right.name));
    let shown: Vec<(&str, u64)> = listed.iter().map(|listed| (listed.name.as_str(), listed.size)).collect();
    assert_eq!(shown, [("packs/a.pack", 5_000_001), ("packs/deep/er", 1)]);
    let age = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    assert!(listed.iter().all(|listed| listed.modified.is_some_and(|time| (age - time).abs() < 60)));

    for _ in 0..2 {
        objects.remove("packs/a.pack").unwrap();
        assert!(!folder.join("packs/a.pack").exists());
    }
    assert_eq!(fs::read_dir(folder.join("tmp")).unwrap().count(), 0, "no draft is left");
    for bad in ["../x", "/x", "a//b", "a/../b", "a\nb", "", "."] {
        assert!(objects.put(bad, Bytes::new()).is_err(), "{bad:?}");
    }
    assert_eq!(sshd.connections(), 1);
}

#[test]
fn a_folder_may_be_given_from_the_home_folder() {
    let Some(sshd) = Sshd::start() else { return };
    for (at, url) in ["far:team/one", "ssh://far/~/team/two", "far:~/team/three"].iter().enumerate() {
        objects_at(url, &sshd.command()).put("x", Bytes::from_static(b"1")).unwrap();
        assert_eq!(fs::read_dir(sshd.home().join("team")).unwrap().count(), at + 1);
    }
}

#[test]
fn many_threads_share_the_connection() {
    let Some(sshd) = Sshd::start() else { return };
    let objects = objects_at("far:store", &sshd.command());
    std::thread::scope(|scope| {
        for thread in 0..8_usize {
            let objects = &objects;
            scope.spawn(move || {
                for round in 0..10 {
                    let (name, content) = (format!("packs/{thread}-{round}"), pattern(100_000 * thread + round));
                    objects.put(&name, content.clone().into()).unwrap();
                    assert!(objects.read(&name, 0..content.len() as u64).unwrap() == content);
                }
            });
        }
    });
    assert_eq!(objects.list("packs").unwrap().len(), 80);
    assert_eq!(sshd.connections(), 1);
}

#[test]
fn a_connection_that_is_cut_leaves_no_part_of_an_object_and_the_next_request_makes_another() {
    let Some(sshd) = Sshd::start() else { return };
    let objects = objects_at("far:store", &sshd.command());
    let source = sshd.folder().join("source");
    fs::write(&source, pattern(30_000_000)).unwrap();
    let sent = AtomicU64::new(0);
    let error = objects
        .put_file("packs/a.pack", &source, &|bytes| {
            let before = sent.fetch_add(bytes, Ordering::Relaxed);
            if before < 10_000_000 && before + bytes >= 10_000_000 {
                sshd.cut();
            }
        })
        .unwrap_err();
    assert!(matches!(error, ObjectError::Unreachable { .. }), "{error}");
    assert!(!sshd.home().join("store/packs/a.pack").exists());
    assert_eq!(fs::read_dir(sshd.home().join("store/tmp")).unwrap().count(), 1, "what it was cut off from");

    objects.put_file("packs/a.pack", &source, &|_| ()).unwrap();
    assert_eq!(objects.size("packs/a.pack").unwrap(), Some(30_000_000));
    assert_eq!(sshd.connections(), 2);
}

#[test]
fn drafts_of_clients_that_are_long_gone_are_removed() {
    let Some(sshd) = Sshd::start() else { return };
    let drafts = sshd.home().join("store/tmp");
    fs::create_dir_all(&drafts).unwrap();
    for (name, days) in [("old", 8), ("young", 6)] {
        let file = fs::File::create(drafts.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(days * 24 * 3600)).unwrap();
    }
    objects_at("far:store", &sshd.command()).put("x", Bytes::from_static(b"1")).unwrap();
    assert!(!drafts.join("old").exists() && drafts.join("young").exists());
}

#[test]
fn whoever_is_not_let_in_is_told_why_and_asked_once() {
    let Some(sshd) = Sshd::start() else { return };
    sshd.write_client_config("stranger.config", "stranger", &sshd.known_host());
    let objects = objects_at("far:store", &sshd.command_with("stranger.config"));
    for _ in 0..3 {
        let error = objects.size("x").unwrap_err();
        assert!(matches!(error, ObjectError::Denied { .. }), "{error}");
        assert_eq!(error.to_string(), "ssh://far/~/store does not let us in: Permission denied (publickey)");
    }
    assert!(sshd.log().matches("Connection closed by authenticating user").count() <= 1, "{}", sshd.log());

    sshd.write_client_config("unknown.config", "user", "");
    let error = objects_at("far:store", &sshd.command_with("unknown.config")).size("x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "ssh://far/~/store failed to connect: its key is not in `known_hosts`; `ssh far` shows it and adds it"
    );

    let stranger = fs::read_to_string(sshd.folder().join("stranger.pub")).unwrap();
    sshd.write_client_config("changed.config", "user", &format!("[127.0.0.1]:{} {stranger}", sshd.port()));
    let error = objects_at("far:store", &sshd.command_with("changed.config")).size("x").unwrap_err();
    assert!(error.to_string().contains("another key than `known_hosts` says"), "{error}");
}

#[test]
fn a_server_without_sftp_and_a_port_without_server_are_told_apart() {
    let Some(sshd) = Sshd::start_with(false) else { return };
    let error = objects_at("far:store", &sshd.command()).size("x").unwrap_err();
    assert_eq!(error.to_string(), "ssh://far/~/store failed to connect: that machine's SSH server has no SFTP");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = objects_at(&format!("ssh://127.0.0.1:{port}/x"), "ssh -F none").size("x").unwrap_err();
    assert!(matches!(error, ObjectError::Unreachable { .. }), "{error}");
    assert!(
        error.to_string().ends_with(&format!("connect to host 127.0.0.1 port {port}: Connection refused")),
        "{error}"
    );
    let error = objects_at("ssh://127.0.0.1/x", "no-such-program-anywhere").size("x").unwrap_err();
    assert!(error.to_string().contains("no-such-program-anywhere"), "{error}");
}

#[test]
fn a_machine_that_does_not_answer_is_not_waited_for_longer_than_the_user_said() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let begin = Instant::now();
    let url = format!("ssh://127.0.0.1:{port}/x");
    let error = objects_at(&url, "ssh -F none -o ConnectTimeout=1").size("x").unwrap_err();
    assert!(matches!(error, ObjectError::Unreachable { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
}

#[test]
fn what_ssh_waits_for_is_told_before_it_ends() {
    let Some(sshd) = Sshd::start() else { return };
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let line = format!("echo 'touch your key' >&2; sleep 1.5; {}", sshd.command());
    let notice: Notice = Arc::new(move |line: &str| teller.lock().unwrap().push(line.to_owned()));
    let program = SshProgram { line: Some(line), notice: Some(notice) };
    let objects = SshObjects::new(Address::parse("far:x").unwrap().unwrap(), program).unwrap();
    assert_eq!(objects.size("x").unwrap(), None);
    assert_eq!(*told.lock().unwrap(), ["touch your key"]);
}
