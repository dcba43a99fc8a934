//! Pages of lists: how many entries a client gets at once, and where the next page begins.

use serde::{Deserialize, Serialize};

use super::error::ApiError;

/// Entries of a page that a client may ask for.
const MAX_RESULTS: i64 = 50_000;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[derive(Debug, Serialize, Deserialize)]
struct Token {
    offset: u64,
}

/// The part of a list that a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    /// The page with at most `max_results` entries where `token` says.
    pub(super) fn new(max_results: i64, token: &str) -> Result<Self, ApiError> {
        let refuse = |must: &str| {
            let message =
                format!("Invalid value {max_results} for parameter 'max_results' supplied. It must be {must}");
            Err(ApiError::invalid(message))
        };
        if max_results < 1 {
            return refuse("a positive integer");
        }
        if max_results > MAX_RESULTS {
            return refuse(&format!("at most {MAX_RESULTS}"));
        }
        Ok(Self { offset: offset_of(token)?, limit: usize::try_from(max_results).unwrap_or(usize::MAX) })
    }

    /// Cuts the page out of a list, and gives the token of the next one, if there is more.
    pub(super) fn cut<T>(self, list: &mut Vec<T>) -> Option<String> {
        let end = self.offset.saturating_add(self.limit);
        let next = (end < list.len()).then(|| token_of(end));
        list.truncate(end);
        list.drain(..self.offset.min(list.len()));
        next
    }
}

fn token_of(offset: usize) -> String {
    encode(format!("{{\"offset\": {offset}}}").as_bytes())
}

fn offset_of(token: &str) -> Result<usize, ApiError> {
    if token.is_empty() {
        return Ok(0);
    }
    let undecodable = || ApiError::invalid("Invalid page token, could not base64-decode");
    let decoded = decode(token).ok_or_else(undecodable)?;
    let parsed: Option<Token> = serde_json::from_slice(&decoded).ok();
    parsed.and_then(|token| usize::try_from(token.offset).ok()).ok_or_else(|| {
        ApiError::invalid(format!("Invalid page token, decoded value={}", String::from_utf8_lossy(&decoded)))
    })
}

/// Base64, as MLflow's own servers make their tokens.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let number =
            group.iter().fold(0, |number: u32, byte| number << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::new();
    for group in digits.chunks(4) {
        let mut number = 0;
        for digit in group {
            let value = DIGITS.iter().position(|known| known == digit)?;
            number = number << 6 | u32::try_from(value).ok()?;
        }
        let missing = 4 - group.len();
        number <<= 6 * missing;
        let whole = number.to_be_bytes();
        bytes.extend_from_slice(whole.get(1..4 - missing.min(3))?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_end() {
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let mut list: Vec<u32> = (0..10).collect();
            let next = Page::new(4, &token).unwrap().cut(&mut list);
            seen.extend(list);
            let Some(next) = next else { break };
            token = next;
        }
        assert_eq!(seen, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn tokens_are_base64_of_json() {
        assert_eq!(token_of(1), "eyJvZmZzZXQiOiAxfQ==");
        for offset in [0, 7, 12, 123, 99_999_999] {
            assert_eq!(offset_of(&token_of(offset)).unwrap(), offset);
        }
        for token in ["x", "####", "eyJvZmZzZXQ", "bm8=", "e30="] {
            assert!(offset_of(token).is_err(), "{token}");
        }
        assert!(Page::new(0, "").is_err() && Page::new(50_001, "").is_err() && Page::new(50_000, "").is_ok());
    }
}
