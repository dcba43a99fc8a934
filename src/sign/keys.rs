//! Elliptic-curve keys in PEM: P-256 with SHA-256 and P-384 with SHA-384, as OpenSSF Model Signing pairs them.

use std::fmt;
use std::path::Path;

use p256::ecdsa::signature::{Signer as _, Verifier as _};
use p256::pkcs8::{DecodePrivateKey, DecodePublicKey, EncodePublicKey, LineEnding};
use sha2::{Digest as _, Sha256};

use super::SignError;

/// A private key. It is in no `Debug`, and its memory is cleared when it goes.
pub(super) enum PrivateKey {
    P256(p256::ecdsa::SigningKey),
    P384(p384::ecdsa::SigningKey),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("PrivateKey")
    }
}

impl PrivateKey {
    /// Reads what `openssl ecparam -genkey` and `openssl genpkey` write. `path` is for errors.
    pub(super) fn from_pem(text: &str, path: &Path) -> Result<Self, SignError> {
        let path = || path.to_path_buf();
        let bad = |problem: &str| SignError::BadKey { path: path(), problem: problem.to_owned() };
        if text.contains("ENCRYPTED") {
            return Err(SignError::EncryptedKey { path: path() });
        }
        if let Some(block) = block(text, "EC PRIVATE KEY") {
            return match (p256::SecretKey::from_sec1_pem(block), p384::SecretKey::from_sec1_pem(block)) {
                (Ok(key), _) => Ok(Self::P256(key.into())),
                (_, Ok(key)) => Ok(Self::P384(key.into())),
                _ => Err(bad("it is neither a P-256 nor a P-384 key")),
            };
        }
        if let Some(block) = block(text, "PRIVATE KEY") {
            return match (p256::SecretKey::from_pkcs8_pem(block), p384::SecretKey::from_pkcs8_pem(block)) {
                (Ok(key), _) => Ok(Self::P256(key.into())),
                (_, Ok(key)) => Ok(Self::P384(key.into())),
                _ => Err(bad("it is neither a P-256 nor a P-384 key")),
            };
        }
        match block(text, "PUBLIC KEY") {
            Some(_) => Err(bad("it is a public key, and only a private one signs")),
            None => Err(bad("it is neither an SSH key nor an elliptic-curve key in PEM")),
        }
    }

    /// The public key that belongs to it.
    pub(super) fn public(&self) -> PublicKey {
        match self {
            Self::P256(key) => PublicKey::P256(*key.verifying_key()),
            Self::P384(key) => PublicKey::P384(*key.verifying_key()),
        }
    }

    /// Signs a message (RFC 6979, so the same message gets the same signature); in DER.
    pub(super) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Self::P384(key) => {
                let signature: p384::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
        }
    }
}

/// A public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PublicKey {
    P256(p256::ecdsa::VerifyingKey),
    P384(p384::ecdsa::VerifyingKey),
}

impl PublicKey {
    /// Reads a block of PEM, or what is wrong with it.
    pub(super) fn from_pem(text: &str) -> Result<Self, String> {
        let Some(block) = block(text, "PUBLIC KEY") else {
            return Err("is no public key in PEM".to_owned());
        };
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(block) {
            return Ok(Self::P256(key));
        }
        let key = p384::ecdsa::VerifyingKey::from_public_key_pem(block).map(Self::P384);
        key.map_err(|_| "is neither a P-256 nor a P-384 key".to_owned())
    }

    /// The key in PEM, as OpenSSL writes it.
    fn to_pem(self) -> String {
        let pem = match self {
            Self::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Self::P384(key) => key.to_public_key_pem(LineEnding::LF),
        };
        // A key that was read can be written.
        pem.unwrap_or_default()
    }

    /// What a bundle of OpenSSF Model Signing calls the key: the SHA-256 of its PEM.
    pub(super) fn hint(self) -> String {
        hex(&Sha256::digest(self.to_pem().as_bytes()))
    }

    /// The key for people: `ecdsa-p256 3f2a…`.
    pub(super) fn words(self) -> String {
        let curve = match self {
            Self::P256(_) => "ecdsa-p256",
            Self::P384(_) => "ecdsa-p384",
        };
        format!("{curve} {}", &self.hint()[..16])
    }

    /// Whether a signature in DER is this key's.
    pub(super) fn verifies(self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(key) => p256::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
            Self::P384(key) => p384::ecdsa::Signature::from_der(signature)
                .is_ok_and(|signature| key.verify(message, &signature).is_ok()),
        }
    }
}

/// Bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The block of a PEM file with this label: `openssl ecparam` writes the curve before the key.
fn block<'t>(text: &'t str, label: &str) -> Option<&'t str> {
    let end = format!("-----END {label}-----");
    let start = text.find(&format!("-----BEGIN {label}-----"))?;
    let length = text[start..].find(&end)? + end.len();
    Some(&text[start..start + length])
}
