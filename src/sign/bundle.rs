//! Sigstore bundles, version 0.3, with the hint of a public key: the files of OpenSSF Model Signing.

use serde::Deserialize;
use serde_json::{Value, json};

use super::dsse::{Envelope, RawEnvelope, shown};

/// The type of the file.
const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// A bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bundle {
    /// Which key signed: the SHA-256 of its PEM. Nothing rests on it.
    pub(super) hint: Option<String>,
    /// The document and its signatures.
    pub(super) envelope: Envelope,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawBundle {
    media_type: String,
    verification_material: RawMaterial,
    dsse_envelope: RawEnvelope,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMaterial {
    public_key: Option<RawKey>,
}

#[derive(Debug, Deserialize)]
struct RawKey {
    hint: Option<String>,
}

impl Bundle {
    /// Reads a bundle.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let raw: RawBundle =
            serde_json::from_slice(bytes).map_err(|error| format!("it is no Sigstore bundle: {error}"))?;
        if raw.media_type != MEDIA_TYPE {
            return Err(format!("its media type is `{}`, not `{MEDIA_TYPE}`", shown(&raw.media_type)));
        }
        let Some(key) = raw.verification_material.public_key else {
            return Err("it is signed with a certificate, and git-ml checks public keys".to_owned());
        };
        let hint = key.hint.filter(|hint| !hint.is_empty());
        Ok(Self { hint, envelope: Envelope::from_raw(raw.dsse_envelope)? })
    }

    /// The bundle in JSON.
    pub(super) fn to_json(&self) -> Value {
        json!({
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {
                "publicKey": { "hint": self.hint.as_deref().unwrap_or_default() },
                "tlogEntries": [],
            },
            "dsseEnvelope": self.envelope.to_json(),
        })
    }
}
