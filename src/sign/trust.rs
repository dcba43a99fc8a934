//! Whom the user trusts, as their configuration of git says.

use std::fs;
use std::path::{Path, PathBuf};

use super::SignError;
use super::keys::PublicKey;
use crate::git::Repository;

/// What SSH signatures of ours are made for: a signature that was made for something else proves nothing here.
pub const SSH_NAMESPACE: &str = "git-ml";
/// The key of git's configuration with the file of allowed SSH signers, which git itself uses for commits.
const ALLOWED_SIGNERS: &str = "gpg.ssh.allowedSignersFile";
/// The key with the file of SSH keys that are trusted no more.
const REVOKED: &str = "gpg.ssh.revocationFile";
/// The key with the program that signs and verifies with SSH keys.
const PROGRAM: &str = "gpg.ssh.program";
/// The key with the file of elliptic-curve keys that are trusted.
const TRUSTED_KEYS: &str = "ml.trustedKeys";
/// Bytes that a file of keys may have.
const MAX_FILE: u64 = 16 << 20;

/// The program that signs and verifies with SSH keys.
pub(super) fn ssh_program(repository: &Repository) -> Result<String, SignError> {
    Ok(repository.config_path(PROGRAM)?.map_or_else(|| "ssh-keygen".to_owned(), |path| path.display().to_string()))
}

/// An elliptic-curve key that the user trusts.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    /// Whose it is: the line above the key in its file; else the digest of the key.
    pub name: String,
    /// The key.
    pub(super) key: PublicKey,
}

/// Whom the user trusts.
#[derive(Debug, Clone)]
pub struct Trust {
    /// The file of allowed SSH signers, and its content.
    pub(super) allowed: Option<(PathBuf, String)>,
    /// The file of SSH keys that are trusted no more.
    pub(super) revoked: Option<PathBuf>,
    /// Elliptic-curve keys.
    pub(super) keys: Vec<TrustedKey>,
    /// The program that verifies SSH signatures.
    pub(super) program: String,
}

impl Trust {
    /// What the user's configuration of git says. A file that it names and that cannot be read is an error.
    pub fn of(repository: &Repository) -> Result<Self, SignError> {
        let allowed = match configured(repository, ALLOWED_SIGNERS)? {
            Some(path) => {
                let text = read(ALLOWED_SIGNERS, &path)?;
                Some((path, text))
            }
            None => None,
        };
        let revoked = configured(repository, REVOKED)?;
        if let Some(path) = &revoked {
            // Without it a key that is revoked would count.
            fs::metadata(path).map_err(|error| untrustworthy(REVOKED, path, error.to_string()))?;
        }
        let keys = match configured(repository, TRUSTED_KEYS)? {
            Some(path) => {
                let text = read(TRUSTED_KEYS, &path)?;
                parse_keys(&text).map_err(|problem| untrustworthy(TRUSTED_KEYS, &path, problem))?
            }
            None => Vec::new(),
        };
        Ok(Self { allowed, revoked, keys, program: ssh_program(repository)? })
    }

    /// Whether nobody is trusted, so that no signature can be good.
    pub fn is_empty(&self) -> bool {
        self.allowed.is_none() && self.keys.is_empty()
    }
}

/// A file that git's configuration names, relative to the top of the work tree.
fn configured(repository: &Repository, key: &str) -> Result<Option<PathBuf>, SignError> {
    let base = repository.work_dir().unwrap_or(repository.git_dir());
    Ok(repository.config_path(key)?.filter(|path| !path.as_os_str().is_empty()).map(|path| base.join(path)))
}

fn read(key: &'static str, path: &Path) -> Result<String, SignError> {
    let fail = |problem: String| untrustworthy(key, path, problem);
    let bytes = fs::metadata(path).map_err(|error| fail(error.to_string()))?.len();
    if bytes > MAX_FILE {
        return Err(fail(format!("it has {bytes} bytes")));
    }
    fs::read_to_string(path).map_err(|error| fail(error.to_string()))
}

fn untrustworthy(key: &'static str, path: &Path, problem: String) -> SignError {
    SignError::Untrustworthy { key, path: path.to_path_buf(), problem }
}

/// The keys of a file in PEM, each with the line above it as its name.
fn parse_keys(text: &str) -> Result<Vec<TrustedKey>, String> {
    const START: &str = "-----BEGIN ";
    const END: &str = "-----END ";
    let mut keys = Vec::new();
    let mut name: Option<String> = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if !line.starts_with(START) {
            let words = line.trim_start_matches('#').trim();
            name = if words.is_empty() { name } else { Some(super::statement::one_line(words)) };
            continue;
        }
        let mut block = format!("{line}\n");
        for inner in lines.by_ref() {
            block.push_str(inner.trim());
            block.push('\n');
            if inner.trim().starts_with(END) {
                break;
            }
        }
        let number = keys.len() + 1;
        let key = PublicKey::from_pem(&block).map_err(|problem| format!("key {number} of it {problem}"))?;
        keys.push(TrustedKey { name: name.take().unwrap_or_else(|| key.words()), key });
    }
    match keys.is_empty() {
        true => Err("it has no key in PEM".to_owned()),
        false => Ok(keys),
    }
}

/// A line of a file of allowed signers that is about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AllowedLine {
    /// The pattern of who may sign: `ada@example.com`, `*@example.com,bob`.
    pub(super) principals: String,
    /// From when on, in digits.
    pub(super) valid_after: Option<String>,
    /// Until when, in digits.
    pub(super) valid_before: Option<String>,
    /// For what.
    pub(super) namespaces: Option<String>,
}

/// The lines of a file of allowed signers that are about a key in base64.
///
/// They say whom to ask `ssh-keygen` for, and why it refused. What is trusted, it alone decides.
pub(super) fn allowed_lines(text: &str, key: &str) -> Vec<AllowedLine> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| allowed_line(line, key)).collect()
}

fn allowed_line(line: &str, key: &str) -> Option<AllowedLine> {
    let words = words_of(line);
    let place = words.iter().position(|word| word == key)?;
    // principals, options, the key's type, the key
    let (principals, options) = words.get(..place.checked_sub(1)?)?.split_first()?;
    let options: Vec<&str> = options.iter().flat_map(|word| split_options(word)).collect();
    let option = |name: &str| {
        let value = options.iter().find_map(|option| {
            let (key, value) = option.split_once('=')?;
            key.eq_ignore_ascii_case(name).then_some(value)
        });
        value.map(|value| value.trim_matches('"').to_owned())
    };
    Some(AllowedLine {
        principals: principals.trim_matches('"').to_owned(),
        valid_after: option("valid-after"),
        valid_before: option("valid-before"),
        namespaces: option("namespaces"),
    })
}

/// The words of a line; what stands in quotes is no end of a word.
fn words_of(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        is_quoted ^= c == '"';
        match words.last_mut() {
            Some(word) if !c.is_whitespace() || is_quoted => word.push(c),
            Some(word) if word.is_empty() => {}
            _ => words.push(String::new()),
        }
    }
    words
}

/// Options with commas between them, which may also stand in quotes.
fn split_options(word: &str) -> Vec<&str> {
    let mut options = Vec::new();
    let (mut start, mut is_quoted) = (0, false);
    for (at, c) in word.char_indices() {
        is_quoted ^= c == '"';
        if c == ',' && !is_quoted {
            options.push(&word[start..at]);
            start = at + 1;
        }
    }
    options.push(&word[start..]);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_a_key_are_found_with_their_options() {
        let text = "# a comment AAAA\n\
            ada@example.com ssh-ed25519 AAAA comment\n\
            *@example.com,bob  valid-before=\"20300101\",valid-after=\"20200101Z\" ssh-ed25519 AAAA\n\
            \"with space\" namespaces=\"git,git-ml\",cert-authority ssh-rsa AAAA\n\
            eve ssh-ed25519 AAAAB\nssh-ed25519 AAAA\nAAAA\n";
        let lines = allowed_lines(text, "AAAA");
        let principals: Vec<&str> = lines.iter().map(|line| line.principals.as_str()).collect();
        assert_eq!(principals, ["ada@example.com", "*@example.com,bob", "with space"]);
        assert_eq!(lines[1].valid_before.as_deref(), Some("20300101"));
        assert_eq!(lines[1].valid_after.as_deref(), Some("20200101Z"));
        assert_eq!(lines[2].namespaces.as_deref(), Some("git,git-ml"));
        assert_eq!(allowed_lines("", "AAAA"), []);
    }
}
