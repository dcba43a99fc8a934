//! What the user's `git` does over the network, and the credentials it knows.

use std::fmt;
use std::time::Duration;

use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::{GitError, Repository};
use crate::id::CommitId;

/// How a push of a ref ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The ref is there now.
    Done,
    /// The ref had moved meanwhile: fetch it, and try again.
    Outdated,
}

/// How the user's `git` talks to a remote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// The user waits for it, and may be asked for a password.
    Attended,
    /// Nobody is asked anything, and after this time it is given up.
    Unattended(Duration),
}

/// A name and a password for a URL, as the user's `git` found them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// The name.
    pub username: String,
    /// The password or token.
    pub password: String,
    /// All that git said, which it wants to be told again.
    description: Vec<u8>,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Credential").finish_non_exhaustive()
    }
}

impl Repository {
    /// Fetches the ref `theirs` of a git remote, which is a name or a URL, to the ref `ours`; none if it has none.
    pub fn fetch_ref(&self, remote: &str, theirs: &str, ours: &str) -> Result<Option<CommitId>, GitError> {
        // A pattern may match nothing, where a missing name is an error that only its words tell from others.
        let pattern = format!("+{theirs}*:{ours}*");
        let quiet = ["fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--recurse-submodules=no"];
        self.run_git(&[&quiet[..], &["--", remote, &pattern]].concat())?;
        self.read_ref(ours)
    }

    /// Fetches refs of a git remote, each to a ref of ours, with one connection. One that the remote does not have is
    /// removed here.
    pub fn fetch_refs(&self, remote: &str, refs: &[(&str, &str)], manner: Manner) -> Result<(), GitError> {
        let patterns: Vec<String> = refs.iter().map(|(theirs, ours)| format!("+{theirs}*:{ours}*")).collect();
        let mut arguments =
            vec!["fetch", "--quiet", "--no-tags", "--prune", "--no-write-fetch-head", "--recurse-submodules=no"];
        // What is fetched here must not start a garbage collection that others wait for.
        arguments.extend(["--no-auto-gc", "--", remote]);
        arguments.extend(patterns.iter().map(String::as_str));
        self.network_git(manner).run(&arguments).map(drop)
    }

    /// A `git` that talks to a remote.
    fn network_git(&self, manner: Manner) -> super::command::Git {
        match manner {
            Manner::Attended => self.git(),
            Manner::Unattended(patience) => self.git().unattended(patience),
        }
    }

    /// Pushes a commit to the ref `theirs` of a git remote, which is a name or a URL. Nobody's hooks run, and what is
    /// there is never overwritten.
    pub fn push_ref(&self, remote: &str, commit: &CommitId, theirs: &str) -> Result<Pushed, GitError> {
        self.push_ref_in(remote, commit, theirs, Manner::Attended)
    }

    /// The same, with or without the user at hand.
    pub fn push_ref_in(
        &self,
        remote: &str,
        commit: &CommitId,
        theirs: &str,
        manner: Manner,
    ) -> Result<Pushed, GitError> {
        let refspec = format!("{commit}:{theirs}");
        let arguments =
            ["push", "--quiet", "--porcelain", "--no-verify", "--recurse-submodules=no", "--", remote, &refspec];
        let (code, output) = self.network_git(manner).run_with_codes(&arguments, &[1])?;
        if code == 0 {
            return Ok(Pushed::Done);
        }
        let output = output.to_str_lossy().into_owned();
        let refused = output.lines().find(|line| line.starts_with('!')).unwrap_or("it said nothing");
        let reason = refused.rsplit('\t').next().unwrap_or(refused);
        // Two that push at once: one finds the ref moved, or locked, or no more as it was announced.
        let races = [
            "fetch first",
            "non-fast-forward",
            "stale info",
            "cannot lock ref",
            "failed to update ref",
            "incorrect old value",
        ];
        match races.iter().any(|race| reason.contains(race)) {
            true => Ok(Pushed::Outdated),
            false => Err(GitError::Command { command: format!("push … {theirs}"), message: reason.to_owned() }),
        }
    }

    /// The URL of a git remote, or of a URL, after what git's configuration puts in its place.
    pub fn remote_url(&self, remote: &str) -> Result<String, GitError> {
        let output = self.run_git(&["ls-remote", "--get-url", "--", remote])?;
        Ok(output.trim_end().to_str_lossy().into_owned())
    }

    /// One value of a file in the form of git's configuration, such as `.lfsconfig`; none if there is none, or no file.
    pub fn config_in(&self, source: ConfigFile<'_>, key: &str) -> Result<Option<String>, GitError> {
        let (option, place) = match source {
            ConfigFile::WorkTree(name) => ("--file", name.to_owned()),
            ConfigFile::Head(name) => ("--blob", format!("HEAD:{name}")),
        };
        // Exit code 1 says that there is no such key, or no such file, 128 that there is no such blob.
        let (code, output) =
            self.git().run_with_codes(&["config", "--null", option, &place, "--get", key], &[1, 128])?;
        let value = output.strip_suffix(b"\0").unwrap_or(&output);
        Ok((code == 0).then(|| value.to_str_lossy().into_owned()))
    }

    /// The name and password for a URL: from the user's credential helpers, or asked for on the terminal. None if there
    /// are none.
    pub fn fill_credential(&self, url: &str) -> Result<Option<Credential>, GitError> {
        if url.contains(['\n', '\r', '\0']) {
            return Ok(None);
        }
        // Exit code 128 says that nobody was there to be asked.
        let input = format!("url={url}\n\n").into_bytes();
        let (code, output) = self.git().input(input).run_with_codes(&["credential", "fill"], &[1, 128])?;
        if code != 0 {
            return Ok(None);
        }
        let text = output.to_str().or_failed(|| "the credential that git has is not text")?;
        let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        let (Some(username), Some(password)) = (value("username"), value("password")) else { return Ok(None) };
        let (username, password) = (username.to_owned(), password.to_owned());
        Ok(Some(Credential { username, password, description: output }))
    }

    /// Tells the user's credential helpers that a credential was accepted, or that it was not.
    pub fn judge_credential(&self, credential: &Credential, is_accepted: bool) -> Result<(), GitError> {
        let verdict = if is_accepted { "approve" } else { "reject" };
        self.git().input(credential.description.clone()).run(&["credential", verdict]).map(drop)
    }
}

/// A file in the form of git's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigFile<'n> {
    /// Of the work tree's top.
    WorkTree(&'n str),
    /// Of the commit at HEAD.
    Head(&'n str),
}
