//! The envelope around a signed document (Dead Simple Signing Envelope 1.0), and what of it is signed.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde::Deserialize;
use serde_json::{Value, json};

/// The type of a payload that is a statement of in-toto.
pub(super) const IN_TOTO: &str = "application/vnd.in-toto+json";
/// How many signatures an envelope may have.
const MAX_SIGNATURES: usize = 16;

/// A document of in-toto with its signatures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Envelope {
    /// The document.
    pub(super) payload: Vec<u8>,
    /// Signatures.
    pub(super) signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EnvelopeSignature {
    /// What whoever signed calls the key; nothing rests on it.
    pub(super) key_id: String,
    /// The signature.
    pub(super) bytes: Vec<u8>,
}

/// As JSON has it. A name that stands twice is refused.
#[derive(Debug, Deserialize)]
pub(super) struct RawEnvelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<RawSignature>,
}

#[derive(Debug, Deserialize)]
struct RawSignature {
    sig: String,
    keyid: Option<String>,
}

impl Envelope {
    /// Reads an envelope.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let raw = serde_json::from_slice(bytes).map_err(|error| format!("it is no DSSE envelope: {error}"))?;
        Self::from_raw(raw)
    }

    /// The envelope in what was read of a larger document.
    pub(super) fn from_raw(raw: RawEnvelope) -> Result<Self, String> {
        if raw.payload_type != IN_TOTO {
            return Err(format!("its payload is `{}`, not `{IN_TOTO}`", shown(&raw.payload_type)));
        }
        if raw.signatures.is_empty() || raw.signatures.len() > MAX_SIGNATURES {
            return Err(format!("it has {} signatures", raw.signatures.len()));
        }
        let signatures = raw.signatures.into_iter().map(|signature| {
            let bytes = decode(&signature.sig).ok_or("its signature is not base64")?;
            Ok(EnvelopeSignature { key_id: signature.keyid.unwrap_or_default(), bytes })
        });
        let signatures = signatures.collect::<Result<_, String>>()?;
        Ok(Self { payload: decode(&raw.payload).ok_or("its payload is not base64")?, signatures })
    }

    /// The envelope in JSON.
    pub(super) fn to_json(&self) -> Value {
        let signature = |signature: &EnvelopeSignature| json!({ "sig": STANDARD.encode(&signature.bytes), "keyid": signature.key_id });
        json!({
            "payload": STANDARD.encode(&self.payload),
            "payloadType": IN_TOTO,
            "signatures": self.signatures.iter().map(signature).collect::<Vec<_>>(),
        })
    }
}

/// What is signed: the payload with its type (DSSE's pre-authentication encoding).
pub(super) fn pre_authentication(payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {IN_TOTO} {} ", IN_TOTO.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Base64 in either alphabet, as the specification has it.
fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).ok()
}

/// A word of a file from elsewhere, short and printable.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(100).collect::<String>().escape_debug().to_string()
}
