//! Who commits.

use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::{GitError, Repository};

/// A person, as git's configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// `user.name`
    pub name: String,
    /// `user.email`
    pub email: String,
}

impl Repository {
    /// Who commits, from git's configuration and environment.
    pub fn identity(&self) -> Result<Identity, GitError> {
        let repository = self.gix();
        let author = repository.author().ok_or(GitError::NoIdentity)?;
        let author = author.or_failed(|| "cannot read who the author is")?;
        let identity = Identity {
            name: author.name.trim().to_str_lossy().into_owned(),
            email: author.email.trim().to_str_lossy().into_owned(),
        };
        match identity.name.is_empty() || identity.email.is_empty() {
            true => Err(GitError::NoIdentity),
            false => Ok(identity),
        }
    }

    /// Who commits, or where git does not know: the user of this machine, for commits that must not fail for want of
    /// a name.
    pub fn identity_or_host(&self, user: &str, host: &str) -> Identity {
        self.identity().unwrap_or_else(|_| {
            let word = |text: &str, fallback: &str| {
                let word: String = text.chars().filter(|c| !c.is_control() && !"<> @".contains(*c)).collect();
                if word.is_empty() { fallback.to_owned() } else { word }
            };
            let name = word(user, "unknown");
            let email = format!("{name}@{}", word(host, "localhost"));
            Identity { name, email }
        })
    }
}

impl Identity {
    /// The signature of a commit made now.
    pub(super) fn signature(&self) -> Result<git2::Signature<'static>, GitError> {
        git2::Signature::now(&self.name, &self.email)
            .or_failed(|| format!("`{} <{}>` cannot be an author", self.name, self.email))
    }
}
