//! Identifiers: content digests, run ids and commit ids, each a type of its own.
//!
//! Architecture invariant: ids of different kinds never convert silently. To turn one into another, code has to
//! spell out [`Digest`] in between, which is visible in review.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Text that is not the hexadecimal form of an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected} lowercase hexadecimal digits")]
pub struct ParseIdError {
    text: String,
    expected: usize,
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], ParseIdError> {
    let fail = || ParseIdError { text: text.chars().take(80).collect(), expected: 2 * N };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(fail());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let high = hex_value(pair[0]).ok_or_else(fail)?;
        let low = hex_value(pair[1]).ok_or_else(fail)?;
        *byte = high << 4 | low;
    }
    Ok(bytes)
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn write_hex(bytes: &[u8], formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    // Manifests have one for each file, so this does not go through the formatting of numbers.
    let mut text = [0; 64];
    let pairs = text.as_chunks_mut::<2>().0;
    for (pair, byte) in pairs.iter_mut().zip(bytes) {
        *pair = [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
    }
    formatter.write_str(std::str::from_utf8(&text[..2 * bytes.len().min(32)]).unwrap_or_default())
}

macro_rules! hex_id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $length]);

        impl $name {
            /// The id with these raw bytes.
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }

            /// The first eight hexadecimal digits, for people.
            pub fn short(&self) -> String {
                self.to_string()[..8].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_hex(text).map(Self)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.to_string()
            }
        }
    };
}

hex_id! {
    /// A BLAKE3 digest of some bytes.
    Digest, 32
}
hex_id! {
    /// An artifact: the BLAKE3 of its manifest's bytes.
    ArtifactId, 32
}
hex_id! {
    /// A pack: the BLAKE3 of its footer, which lists the digests of all that is in it.
    PackId, 32
}
hex_id! {
    /// A git commit (SHA-1).
    CommitId, 20
}
hex_id! {
    /// A run: a UUIDv7, so ids sort by the time the run started.
    RunId, 16
}

/// A model that MLflow's client logged: `m-` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LoggedModelId([u8; 16]);

impl LoggedModelId {
    /// A new id.
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }
}

impl fmt::Display for LoggedModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("m-")?;
        write_hex(&self.0, formatter)
    }
}

impl FromStr for LoggedModelId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let digits = text.strip_prefix("m-").unwrap_or_default();
        parse_hex(digits).map(Self).map_err(|error| ParseIdError { text: text.chars().take(80).collect(), ..error })
    }
}

impl TryFrom<String> for LoggedModelId {
    type Error = ParseIdError;

    fn try_from(text: String) -> Result<Self, ParseIdError> {
        text.parse()
    }
}

impl From<LoggedModelId> for String {
    fn from(id: LoggedModelId) -> Self {
        id.to_string()
    }
}

impl Digest {
    /// The BLAKE3 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl ArtifactId {
    /// The content digest under which the store keeps the artifact's manifest.
    pub fn manifest_digest(&self) -> Digest {
        Digest(self.0)
    }
}

impl RunId {
    /// A new id for a run that starts now.
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().into_bytes())
    }

    /// Whether the id begins with the time at which the run started. Those that come from elsewhere may not.
    pub fn has_time(&self) -> bool {
        // The years 2020 to 2100, in milliseconds: of random digits that say that they are such an id, few are in them.
        const YEARS: std::ops::Range<u64> = 1_577_836_800_000..4_102_444_800_000;
        let time = self.0[..6].iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
        self.0[6] >> 4 == 7 && self.0[8] >> 6 == 2 && YEARS.contains(&time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_rejects_what_is_not_canonical() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert_eq!(digest.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
        for bad in ["", "6437", &digest.to_string().to_uppercase(), &"g".repeat(64), &"é".repeat(32)] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_id_of_a_logged_model_round_trips() {
        let id = LoggedModelId::generate();
        assert_eq!(id.to_string().parse::<LoggedModelId>(), Ok(id));
        for bad in ["", "m-", "m-12", &id.to_string()[2..], &id.to_string().to_uppercase(), &format!("{id}0")] {
            assert!(bad.parse::<LoggedModelId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn run_ids_sort_by_time() {
        let first = RunId::generate();
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert!(first < RunId::generate());
        assert!(first.has_time());
        assert!(!RunId::from_bytes([0x77; 16]).has_time());
    }
}
