//! What is signed with an SSH key: a few lines about an artifact.
//!
//! The kept file is the statement with the armoured signature behind it, so that both can be cut apart with any tool:
//!
//! ```text
//! git-ml statement 1
//! artifact 207a7872f61887f0a5384f3e4176d192c9dd9977cbeb58cd3be394c9f90faff4
//! name digits
//! type model
//! files 12
//! bytes 43812
//! signed 2026-11-21T08:00:00Z
//! -----BEGIN SSH SIGNATURE-----
//! …
//! ```

use jiff::Timestamp;

use super::sshsig::{ARMOUR_START, SshSig};
use super::{Form, Ledger, Place, SignError, Signer, Subject, Target, ledger, ssh};
use crate::id::ArtifactId;
use crate::track::Workspace;

/// The first line.
const FIRST_LINE: &str = "git-ml statement 1";

/// What somebody says of an artifact by signing it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// The artifact: the BLAKE3 of its manifest.
    pub artifact: ArtifactId,
    /// Its name where it was signed.
    pub name: String,
    /// Its type there.
    pub artifact_type: String,
    /// How many files it has.
    pub files: u64,
    /// Bytes of content in them.
    pub bytes: u64,
    /// When it was signed, as the signer says; whole seconds.
    pub signed: Timestamp,
}

impl Statement {
    /// The text, which is what is signed.
    pub fn to_text(&self) -> String {
        let Self { artifact, name, artifact_type, files, bytes, signed } = self;
        format!(
            "{FIRST_LINE}\nartifact {artifact}\nname {name}\ntype {artifact_type}\nfiles {files}\nbytes {bytes}\n\
             signed {signed}\n"
        )
    }

    /// Reads the text that [`Statement::to_text`] writes, and nothing else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let malformed = || "its statement does not follow the format".to_owned();
        let mut lines = text.split_terminator('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(format!("its first line is not `{FIRST_LINE}`"));
        }
        let mut field = |name: &str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.map(str::to_owned).ok_or_else(malformed)
        };
        let statement = Self {
            artifact: field("artifact")?.parse().map_err(|_| malformed())?,
            name: field("name")?,
            artifact_type: field("type")?,
            files: field("files")?.parse().map_err(|_| malformed())?,
            bytes: field("bytes")?.parse().map_err(|_| malformed())?,
            signed: field("signed")?.parse().map_err(|_| malformed())?,
        };
        // One text for one statement, and no word in it that could move a cursor.
        if statement.to_text() != text || text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(malformed());
        }
        Ok(statement)
    }

    /// The statement and the armoured signature of a kept file.
    pub fn split(content: &[u8]) -> Result<(&str, &str), String> {
        let text = std::str::from_utf8(content).map_err(|_| "it is not text".to_owned())?;
        let end = text.find(ARMOUR_START).ok_or_else(|| "it has no SSH signature".to_owned())?;
        Ok(text.split_at(end))
    }
}

/// Signs an artifact with an SSH key and keeps the signature; its place, and whether it is new.
///
/// Where the same key has signed the artifact before, that signature stays the one: a second says no more.
pub fn sign_statement(
    workspace: &Workspace,
    signer: &Signer,
    target: &Target<'_>,
    now: Timestamp,
) -> Result<(Place, bool), SignError> {
    let repository = &workspace.repository;
    let author = repository.identity()?;
    if !workspace.store.has_artifact(&target.id)? {
        return Err(SignError::NotStored { id: target.id });
    }
    let manifest = workspace.store.manifest(&target.id)?;
    let statement = Statement {
        artifact: target.id,
        name: one_line(target.name),
        artifact_type: one_line(target.artifact_type),
        files: manifest.entries().len() as u64,
        bytes: manifest.total_size(),
        signed: Timestamp::from_second(now.as_second()).unwrap_or(now),
    };
    let text = statement.to_text();
    let (armour, key) = signer.sign_ssh(workspace, text.as_bytes())?;
    let subject = Subject::Artifact(target.id);
    for old in Ledger::open(repository)?.of(&subject)? {
        if old.place.form == Form::Ssh
            && let Ok(content) = old.content(repository)?
            && is_by(signer.program(), &content, &target.id, &key)?
        {
            return Ok((old.place, false));
        }
    }
    let content = format!("{text}{armour}").into_bytes();
    let place = Place::of(subject, Form::Ssh, &content);
    let line = format!("Sign {} with an SSH key", one_line(target.label));
    let is_new = ledger::keep(repository, &author, &place, &content, &line)?;
    Ok((place, is_new))
}

/// Whether a kept file is a signature of an artifact by this key.
fn is_by(program: &str, content: &[u8], artifact: &ArtifactId, key: &[u8]) -> Result<bool, SignError> {
    let Ok((text, armour)) = Statement::split(content) else { return Ok(false) };
    let is_same = Statement::parse(text).is_ok_and(|statement| statement.artifact == *artifact)
        && SshSig::parse(armour).is_ok_and(|signature| signature.key == key);
    Ok(is_same && ssh::is_by_its_key(program, text.as_bytes(), armour)?)
}

/// A name as one line without control characters.
pub(super) fn one_line(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(250).collect()
}
