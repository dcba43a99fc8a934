//! Who commits.

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
    ///
    /// git itself is asked, since only it knows what `git -c user.name=…` said. The answer is kept.
    pub fn identity(&self) -> Result<Identity, GitError> {
        if let Some(identity) = self.known_identity.get() {
            return Ok(identity.clone());
        }
        // Without this setting git makes a name up from the machine's. Exit code 128 says that it has none.
        let arguments = ["-c", "user.useConfigOnly=true", "var", "GIT_AUTHOR_IDENT"];
        let (code, output) = self.git().run_with_codes(&arguments, &[128])?;
        let identity = parse_ident(&String::from_utf8_lossy(&output)).filter(|_| code == 0);
        let identity = identity.ok_or(GitError::NoIdentity)?;
        Ok(self.known_identity.get_or_init(|| identity).clone())
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

    /// The same as a line of a commit has it.
    pub(super) fn signature_line(&self) -> Result<String, GitError> {
        let now = self.signature()?;
        let minutes = now.when().offset_minutes();
        let (sign, minutes) = if minutes < 0 { ('-', -minutes) } else { ('+', minutes) };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(['\n', '<', '>', '\0'], "");
        let (name, email) = (text(now.name_bytes()), text(now.email_bytes()));
        Ok(format!("{name} <{email}> {} {sign}{:02}{:02}", now.when().seconds(), minutes / 60, minutes % 60))
    }
}

/// Reads `Ada <ada@example.org> 1700000000 +0100`.
fn parse_ident(ident: &str) -> Option<Identity> {
    let (name, rest) = ident.split_once('<')?;
    let (email, _) = rest.split_once('>')?;
    let (name, email) = (name.trim(), email.trim());
    let is_whole = !name.is_empty() && !email.is_empty();
    is_whole.then(|| Identity { name: name.to_owned(), email: email.to_owned() })
}
