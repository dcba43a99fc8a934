//! Who we are to an LFS server. Credentials come from the user's `git`, or from the server over SSH, and go to that
//! server only.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::SystemTime;

use reqwest::Url;

use super::batch::{Action, Operation, RawAction};
use super::endpoint::{self, Endpoint};
use crate::git::{Credential, GitError, Repository};
use crate::remote::SshProgram;
use crate::remote::ssh::Address;

/// Bytes of an answer of `git-lfs-authenticate` that are looked at.
const MAX_ANSWER: usize = 1 << 20;

/// Who we are to an LFS server.
pub(super) struct Access {
    repository: Repository,
    endpoint: Endpoint,
    /// Whether a credential may go where others can read it on the way.
    allow_http: bool,
    ssh: SshProgram,
    state: State,
    /// How often the state has changed.
    generation: u64,
    /// Where the server is and what it wants to be told, as it said over SSH.
    announced: BTreeMap<&'static str, Action>,
}

enum State {
    /// Nobody has asked.
    Unasked,
    /// A name and password, and whether the server has taken them.
    Known { credential: Credential, is_accepted: bool },
    /// One that is part of the configured URL.
    Given { username: String, password: String },
    /// There is none, or none that is taken.
    Refused(String),
}

impl Access {
    pub(super) fn new(
        repository: &Repository,
        endpoint: Endpoint,
        allow_http: bool,
        ssh: SshProgram,
    ) -> Result<Self, GitError> {
        let folder = repository.work_dir().unwrap_or(repository.git_dir());
        let state = match &endpoint {
            Endpoint::Http(url) => match url.password() {
                Some(password) => State::Given { username: decoded(url.username()), password: decoded(password) },
                None => State::Unasked,
            },
            Endpoint::Ssh(_) => State::Unasked,
        };
        let repository = Repository::discover(folder)?;
        Ok(Self { repository, endpoint, allow_http, ssh, state, generation: 0, announced: BTreeMap::new() })
    }

    /// The server's URL, and the headers to send there.
    pub(super) fn base(&mut self, operation: Operation) -> Result<(Url, BTreeMap<String, String>), String> {
        match &self.endpoint {
            Endpoint::Http(url) => {
                let mut bare = url.clone();
                let _ = bare.set_username("");
                let _ = bare.set_password(None);
                Ok((bare.clone(), self.for_url(&bare)))
            }
            Endpoint::Ssh(address) => {
                let word = operation.word();
                let now = SystemTime::now();
                let known = self.announced.get(word).filter(|known| known.is_fresh(now)).cloned();
                let known = match known {
                    Some(known) => known,
                    None => {
                        let fresh = authenticate(address, &self.ssh, word)?;
                        self.announced.insert(word, fresh.clone());
                        fresh
                    }
                };
                Ok((known.url, known.headers))
            }
        }
    }

    /// The headers for a URL that the server has named: none, unless it is the server itself.
    pub(super) fn for_url(&self, url: &Url) -> BTreeMap<String, String> {
        let Endpoint::Http(own) = &self.endpoint else { return BTreeMap::new() };
        if own.origin() != url.origin() || (endpoint::is_open(url) && !self.allow_http) {
            return BTreeMap::new();
        }
        let (username, password) = match &self.state {
            State::Known { credential, .. } => (&credential.username, &credential.password),
            State::Given { username, password } => (username, password),
            State::Unasked | State::Refused(_) => return BTreeMap::new(),
        };
        BTreeMap::from([("Authorization".to_owned(), format!("Basic {}", base64(&format!("{username}:{password}"))))])
    }

    /// Which of several credentials is sent now, one after the other.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Finds a credential after the server has asked for one, or for another than that of `generation`. Why not, where
    /// there is none.
    pub(super) fn ask(&mut self, generation: u64) -> Result<(), String> {
        // Several requests may be told at once, and one of them asks for all.
        if generation != self.generation {
            return match &self.state {
                State::Refused(problem) => Err(problem.clone()),
                _ => Ok(()),
            };
        }
        self.generation += 1;
        let Endpoint::Http(url) = &self.endpoint else {
            // What was said over SSH is not good any more.
            self.announced.clear();
            return Ok(());
        };
        if endpoint::is_open(url) && !self.allow_http {
            self.state = State::Refused("it asks for a password, and anybody could read it on the way".to_owned());
        }
        match &self.state {
            State::Refused(problem) => return Err(problem.clone()),
            State::Given { .. } => return self.refuse("the name and password in its URL are not taken"),
            State::Known { credential, is_accepted } => {
                // One that was good until now may only have run out: helpers that know a way renew it.
                let (credential, was_good) = (credential.clone(), *is_accepted);
                let _ = self.repository.judge_credential(&credential, false);
                if !was_good {
                    return self.refuse("the name and password are not taken");
                }
            }
            State::Unasked => {}
        }
        // Helpers know the repository, not the server beside it.
        let mut asked = url.clone();
        let path = asked.path().trim_end_matches("/info/lfs").to_owned();
        asked.set_path(&path);
        match self.repository.fill_credential(asked.as_str()) {
            Ok(Some(credential)) => {
                self.state = State::Known { credential, is_accepted: false };
                Ok(())
            }
            Ok(None) => self.refuse("it asks for a name and a password, and git has none for it"),
            Err(error) => self.refuse(&error.to_string()),
        }
    }

    fn refuse(&mut self, problem: &str) -> Result<(), String> {
        self.state = State::Refused(problem.to_owned());
        Err(problem.to_owned())
    }

    /// Notes that the server has answered: so it takes what it was told.
    pub(super) fn accepted(&mut self) {
        if let State::Known { credential, is_accepted } = &mut self.state
            && !std::mem::replace(is_accepted, true)
        {
            // Whether it is remembered is between the user and the helper.
            let _ = self.repository.judge_credential(credential, true);
        }
    }
}

/// Asks over SSH where the LFS server of a repository is, and for what it wants to be told.
fn authenticate(address: &Address, ssh: &SshProgram, operation: &str) -> Result<Action, String> {
    let repository = address.folder().trim_start_matches('/');
    let line = format!("git-lfs-authenticate '{}' {operation}", repository.replace('\'', r"'\''"));
    let mut command: Command = ssh.command_to(address, &line);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = command.output().map_err(|error| format!("`ssh` cannot be started: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it said nothing");
        let last: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
        return Err(format!("`git-lfs-authenticate` there failed: {last}"));
    }
    let answer = output.stdout.get(..output.stdout.len().min(MAX_ANSWER)).unwrap_or_default();
    let action = serde_json::from_slice::<RawAction>(answer).ok().and_then(|action| action.read(SystemTime::now()));
    let action = action.ok_or("what `git-lfs-authenticate` there said is no answer")?;
    if endpoint::is_open(&action.url) {
        return Err("the LFS server that it names is not encrypted".to_owned());
    }
    Ok(action)
}

/// A part of a URL without its `%`-signs.
fn decoded(text: &str) -> String {
    crate::remote::ssh::percent_decoded(text).unwrap_or_else(|| text.to_owned())
}

/// Base64 with padding.
fn base64(text: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut encoded = String::with_capacity(text.len().div_ceil(3) * 4);
    for group in text.as_bytes().chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (at, byte)| bits | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            match at <= group.len() {
                true => encoded.push(char::from(DIGITS[(bits >> (18 - 6 * at)) as usize & 63])),
                false => encoded.push('='),
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("ada:ÿ>?", "YWRhOsO/Pj8="),
        ] {
            assert_eq!(base64(text), expected, "{text}");
        }
    }
}
