//! The form of OpenSSH's signatures, as far as it has to be read: which key, which namespace.
//!
//! The form is OpenSSH's `PROTOCOL.sshsig`. Whether a signature is right, `ssh-keygen` says.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest as _, Sha256};

/// The first line of an armoured signature.
pub(super) const ARMOUR_START: &str = "-----BEGIN SSH SIGNATURE-----\n";
/// Its last line.
const ARMOUR_END: &str = "-----END SSH SIGNATURE-----";
/// The characters of its other lines.
const COLUMNS: usize = 70;
/// Bytes that an armoured signature may have: those of the largest keys have some 3,000.
pub(super) const MAX_ARMOUR: usize = 16 << 10;

/// What a signature says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SshSig {
    /// The public key, in OpenSSH's binary form.
    pub(super) key: Vec<u8>,
    /// What it was made for.
    pub(super) namespace: String,
}

impl SshSig {
    /// Reads an armoured signature.
    pub(super) fn parse(armour: &str) -> Result<Self, String> {
        Self::parse_blob(&unarmour(armour)?)
    }

    /// Reads the binary form.
    pub(super) fn parse_blob(blob: &[u8]) -> Result<Self, String> {
        let malformed = || "it is not a signature of OpenSSH's form".to_owned();
        let rest = blob.strip_prefix(b"SSHSIG\x00\x00\x00\x01").ok_or_else(malformed)?;
        let (key, rest) = take_string(rest).ok_or_else(malformed)?;
        let (namespace, rest) = take_string(rest).ok_or_else(malformed)?;
        let (_reserved, rest) = take_string(rest).ok_or_else(malformed)?;
        let (_hash, rest) = take_string(rest).ok_or_else(malformed)?;
        let (_signature, rest) = take_string(rest).ok_or_else(malformed)?;
        let namespace = std::str::from_utf8(namespace).map_err(|_| malformed())?;
        if !rest.is_empty() || key_type(key).is_none() {
            return Err(malformed());
        }
        Ok(Self { key: key.to_vec(), namespace: namespace.to_owned() })
    }

    /// The key as people know it: `ssh-ed25519 SHA256:…`.
    pub(super) fn key_words(&self) -> String {
        format!("{} {}", key_type(&self.key).unwrap_or("?"), fingerprint(&self.key))
    }
}

/// The fingerprint of a public key, as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(key: &[u8]) -> String {
    format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(key)))
}

/// The binary form of an armoured signature.
pub(super) fn unarmour(armour: &str) -> Result<Vec<u8>, String> {
    let malformed = || "its armour is not that of an SSH signature".to_owned();
    if armour.len() > MAX_ARMOUR {
        return Err(format!("its armour has {} bytes", armour.len()));
    }
    let body = armour.strip_prefix(ARMOUR_START).ok_or_else(malformed)?;
    let (body, after) = body.split_once(ARMOUR_END).ok_or_else(malformed)?;
    if !after.trim_end().is_empty() {
        return Err("something comes after its signature".to_owned());
    }
    STANDARD.decode(body.replace(['\n', '\r'], "")).map_err(|_| malformed())
}

/// The armour of a signature in binary form.
pub(super) fn armour(blob: &[u8]) -> String {
    let text = STANDARD.encode(blob);
    let mut armour = ARMOUR_START.to_owned();
    for line in text.as_bytes().chunks(COLUMNS) {
        armour.extend(line.iter().copied().map(char::from));
        armour.push('\n');
    }
    armour + ARMOUR_END + "\n"
}

/// The kind of a public key: `ssh-ed25519`.
fn key_type(key: &[u8]) -> Option<&str> {
    let (name, _) = take_string(key)?;
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()))
}

/// A string with its length before it, and what follows.
fn take_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
}
