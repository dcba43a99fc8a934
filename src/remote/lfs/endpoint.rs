//! Where the LFS server of a git remote is, found as git-lfs finds it.

use std::net::IpAddr;

use reqwest::Url;

use super::super::ssh::Address;
use crate::git::{ConfigFile, GitError, Repository};

/// Where an LFS server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Behind this URL.
    Http(Url),
    /// Where `git-lfs-authenticate` on this machine says, for the repository at its folder.
    Ssh(Address),
}

/// What `lfs::…` may name: a git remote or the URL of a repository.
///
/// It may come from an `ml.toml` that somebody else wrote, and git's URLs can start programs.
pub(in crate::remote) fn check_remote(remote: &str) -> Result<(), &'static str> {
    if remote.is_empty() || remote.starts_with('-') || remote.contains(char::is_control) {
        return Err("it has to be lfs::REMOTE or lfs::https://host/repository.git");
    }
    if remote.starts_with("https://") || remote.starts_with("http://") {
        return match Url::parse(remote) {
            Ok(url) if url.has_host() && url.password().is_none() => Ok(()),
            _ => Err("what follows `lfs::` is no URL of a repository"),
        };
    }
    match Address::parse(remote) {
        Some(address) => address.map(drop),
        None if remote.contains([':', '/', '\\']) => {
            Err("what follows `lfs::` is no remote of git's and no URL of a repository")
        }
        None => Ok(()),
    }
}

/// The LFS server of a git remote, which is a name or a URL.
pub(super) fn find(repository: &Repository, remote: &str) -> Result<Result<Endpoint, &'static str>, GitError> {
    let named = !remote.contains([':', '/']);
    // The user's own configuration goes before the one that comes with the repository.
    let mut keys = vec!["lfs.url".to_owned()];
    if named {
        keys.push(format!("remote.{remote}.lfsurl"));
    }
    for key in &keys {
        let own = repository.config(key)?;
        let value = if own.is_none() { shared(repository, key)? } else { own };
        if let Some(value) = value {
            return Ok(parse(&value, false));
        }
    }
    Ok(parse(&repository.remote_url(remote)?, true))
}

/// A value of `.lfsconfig`.
fn shared(repository: &Repository, key: &str) -> Result<Option<String>, GitError> {
    match repository.work_dir() {
        Ok(folder) if folder.join(".lfsconfig").is_file() => {
            repository.config_in(ConfigFile::WorkTree(".lfsconfig"), key)
        }
        _ => repository.config_in(ConfigFile::Head(".lfsconfig"), key),
    }
}

/// The server that a URL names or, if it is that of a repository, implies.
fn parse(url: &str, is_repository: bool) -> Result<Endpoint, &'static str> {
    if let Some(address) = Address::parse(url) {
        return Ok(Endpoint::Ssh(address?));
    }
    let url = url.replacen("git://", "https://", 1);
    let mut url = match Url::parse(&url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        _ => return Err("that git remote has no LFS server: one is behind https:// or ssh://"),
    };
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&match (is_repository, path.ends_with(".git")) {
        (true, true) => format!("{path}/info/lfs"),
        (true, false) => format!("{path}.git/info/lfs"),
        (false, _) => path,
    });
    url.set_query(None);
    url.set_fragment(None);
    Ok(Endpoint::Http(url))
}

/// Whether what is sent to a URL can be read on the way.
pub(super) fn is_open(url: &Url) -> bool {
    let is_near = |host: &str| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    url.scheme() != "https" && !url.host_str().is_some_and(is_near)
}

/// A URL for people: without names, passwords and signatures.
pub(super) fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_where_git_lfs_looks_for_them() {
        let http = |url: &str, is_repository| match parse(url, is_repository) {
            Ok(Endpoint::Http(url)) => url.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(http("https://host/org/repo.git", true), "https://host/org/repo.git/info/lfs");
        assert_eq!(http("https://host/org/repo", true), "https://host/org/repo.git/info/lfs");
        assert_eq!(http("https://host/org/repo/", true), "https://host/org/repo.git/info/lfs");
        assert_eq!(http("git://host/org/repo.git", true), "https://host/org/repo.git/info/lfs");
        assert_eq!(http("https://host/lfs/", false), "https://host/lfs");
        assert!(matches!(parse("git@host:org/repo.git", true), Ok(Endpoint::Ssh(_))));
        assert!(matches!(parse("ssh://git@host/org/repo.git", true), Ok(Endpoint::Ssh(_))));
        for bad in ["/srv/repo.git", "file:///srv/repo.git", "../repo", "ext::sh -c x", ""] {
            assert!(parse(bad, true).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_remotes_and_urls_of_repositories_can_be_named() {
        for good in ["origin", "my.fork", "https://host/x.git", "ssh://git@host/x", "git@host:x/y.git"] {
            assert!(check_remote(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-x",
            "--upload-pack=x",
            "ext::sh -c x",
            "/srv/x",
            "../x",
            "file:///x",
            "a\nb",
            "https://me:secret@host/x",
            "-oProxyCommand=x:y",
        ] {
            assert!(check_remote(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_has_no_secret() {
        let url = Url::parse("https://me:secret@host/x?sig=secret#secret").unwrap();
        assert_eq!(shown(&url), "https://host/x");
        let open = |url| is_open(&Url::parse(url).unwrap());
        assert!(open("http://host/x") && open("http://127.0.0.1.host/x"));
        assert!(!open("https://host/x") && !open("http://127.0.0.1:9/x") && !open("http://[::1]/x"));
    }
}
