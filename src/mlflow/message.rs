//! Messages as MLflow sends them: protocol buffers spelled in JSON, or in a query string.
//!
//! Whole numbers come as numbers or as text, NaN and the infinities as text, fields that nobody knows are ignored, and
//! null is as good as absent.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::error::{ApiError, Code};

/// What follows the message about a parameter.
const SEE_DOCS: &str = " See the API docs for more information about request parameters.";

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Whole,
    Float,
    Truth,
    /// A list of messages.
    List,
    /// A list of texts.
    Texts,
    /// A message, or anything else that is not looked into here.
    Other,
}

/// A field that MLflow checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
    is_required: bool,
}

/// A field that may be absent.
pub(super) const fn optional(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: false }
}

/// A field that has to be there, and not as empty text. Endpoints ask for it with [`need`].
pub(super) const fn required(name: &'static str, kind: Kind) -> Field {
    Field { name, kind, is_required: true }
}

/// The value of a field that has to be there.
pub(super) fn need<'v>(name: &str, value: &'v str) -> Result<&'v str, ApiError> {
    if value.is_empty() { Err(missing(name)) } else { Ok(value) }
}

/// The error of a field that is not there.
pub(super) fn missing(name: &str) -> ApiError {
    ApiError::invalid(format!("Missing value for required parameter '{name}'.{SEE_DOCS}"))
}

/// The error of a value that a parameter cannot have.
pub(super) fn invalid_value(name: &str, value: &impl Serialize, why: &str) -> ApiError {
    let value = serde_json::to_string(value).unwrap_or_default();
    ApiError::invalid(format!("Invalid value {value} for parameter '{name}' supplied: {why}"))
}

/// Reads a message from a body.
pub(super) fn from_json<T: DeserializeOwned + Default>(body: &[u8], fields: &[Field]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).or_else(|error| match serde_json::from_slice(body) {
        // Old clients send a text that has the message in it.
        Ok(Value::String(inner)) if inner.trim_start().starts_with('{') => from_json(inner.as_bytes(), fields),
        Ok(Value::Object(values)) => Err(fault_of(&values, fields, &error)),
        Ok(Value::Null) => Ok(T::default()),
        Ok(_) => Err(ApiError::new(Code::BadRequest, "The body of the request is not a JSON object.")),
        Err(error) => Err(ApiError::new(Code::BadRequest, format!("The body of the request is not JSON: {error}"))),
    })
}

/// Reads a message that borrows from its body.
pub(super) fn borrowed<'m, T: Deserialize<'m>>(body: &'m [u8], fields: &[Field]) -> Result<T, ApiError> {
    let body = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| match serde_json::from_slice(body) {
        Ok(Value::Object(values)) => fault_of(&values, fields, &error),
        Ok(_) => ApiError::new(Code::BadRequest, "The body of the request is not a JSON object."),
        Err(error) => ApiError::new(Code::BadRequest, format!("The body of the request is not JSON: {error}")),
    })
}

/// Reads a message from the pairs of a query string.
pub(super) fn from_query<T: DeserializeOwned + Default>(
    pairs: &[(String, String)],
    fields: &[Field],
) -> Result<T, ApiError> {
    let mut values = Map::new();
    for (name, text) in pairs {
        let kind = fields.iter().find(|field| field.name == name).map(|field| field.kind);
        match kind {
            Some(Kind::Texts | Kind::List) => {
                let list = values.entry(name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
                list.as_array_mut().into_iter().for_each(|list| list.push(text.as_str().into()));
            }
            Some(Kind::Truth) => match text.to_ascii_lowercase().as_str() {
                truth @ ("true" | "false") => drop(values.insert(name.clone(), (truth == "true").into())),
                _ => {
                    let message = format!("Invalid boolean value: {text}, must be 'true' or 'false'.");
                    return Err(ApiError::invalid(message));
                }
            },
            // Of several the first counts.
            _ => drop(values.entry(name.as_str()).or_insert_with(|| text.as_str().into())),
        }
    }
    let message = Value::Object(values);
    T::deserialize(&message).map_err(|error| match &message {
        Value::Object(values) => fault_of(values, fields, &error),
        _ => ApiError::invalid(error.to_string()),
    })
}

/// What MLflow says of a message that cannot be read: the first field that is not as it has to be.
fn fault_of(values: &Map<String, Value>, fields: &[Field], error: &serde_json::Error) -> ApiError {
    for field in fields {
        let value = values.get(field.name).unwrap_or(&Value::Null);
        if field.is_required && (value.is_null() || value == "") {
            return missing(field.name);
        }
        if !value.is_null() && !is_of(value, field.kind) {
            let hint = format!(" Hint: Value was of type '{}'.{SEE_DOCS}", python_type(value));
            return invalid_value(field.name, value, &hint);
        }
    }
    ApiError::invalid(format!("The request cannot be read: {error}.{SEE_DOCS}"))
}

fn is_of(value: &Value, kind: Kind) -> bool {
    let text_parses = |parses: fn(&str) -> bool| value.as_str().is_some_and(parses);
    match kind {
        Kind::Text => value.is_string(),
        Kind::Whole => {
            value.is_number() || value.is_boolean() || text_parses(|text| text.trim().parse::<i64>().is_ok())
        }
        Kind::Float => {
            value.is_number() || value.is_boolean() || text_parses(|text| text.trim().parse::<f64>().is_ok())
        }
        Kind::Truth => value.is_boolean(),
        Kind::List => value.is_array(),
        Kind::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        Kind::Other => true,
    }
}

fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// A whole number, also where it came as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Whole(pub(super) i64);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;

        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
                Ok(Whole(value))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
                i64::try_from(value).map(Whole).map_err(|_| E::custom("a number is out of range"))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Whole, E> {
                let is_whole = value.fract() == 0.0 && value.abs() < 9.2e18;
                is_whole.then_some(Whole(value as i64)).ok_or_else(|| E::custom("a number is not whole"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Whole, E> {
                match text.trim().parse() {
                    Ok(value) => Ok(Whole(value)),
                    Err(_) => text.trim().parse().map_err(E::custom).and_then(|value| self.visit_f64(value)),
                }
            }
        }

        deserializer.deserialize_any(WholeVisitor)
    }
}

/// A number, also where it came as text; written as text where JSON has no number for it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Number(pub(super) f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;

        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
                Ok(Number(value as f64))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Number, E> {
                Ok(Number(value))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                // Also `NaN`, `Infinity` and `-Infinity`.
                text.trim().parse().map(Number).map_err(E::custom)
            }
        }

        deserializer.deserialize_any(NumberVisitor)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_finite() => serializer.serialize_f64(value),
            value if value.is_nan() => serializer.serialize_str("NaN"),
            value if value > 0.0 => serializer.serialize_str("Infinity"),
            _ => serializer.serialize_str("-Infinity"),
        }
    }
}

/// Which things a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum ViewType {
    #[default]
    ActiveOnly,
    DeletedOnly,
    All,
}

impl ViewType {
    /// Whether something that was removed, or was not, is shown.
    pub(super) fn shows(self, is_removed: bool) -> bool {
        match self {
            Self::ActiveOnly => !is_removed,
            Self::DeletedOnly => is_removed,
            Self::All => true,
        }
    }
}

impl<'de> Deserialize<'de> for ViewType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)?.to_string().trim_matches('"') {
            "ACTIVE_ONLY" | "1" => Ok(Self::ActiveOnly),
            "DELETED_ONLY" | "2" => Ok(Self::DeletedOnly),
            "ALL" | "3" => Ok(Self::All),
            _ => Err(D::Error::custom("there is no such view type")),
        }
    }
}

/// Reads null as if the field were absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The JSON with all numbers that are not whole as text, which is read to the last bit, and so with what Python writes
/// for NaN and the infinities.
pub(super) fn with_exact_numbers(json: &[u8]) -> Vec<u8> {
    let mut exact = Vec::with_capacity(json.len() + json.len() / 8);
    let mut at = 0;
    while at < json.len() {
        let start = at;
        match json[at] {
            b'"' => {
                at += 1;
                while at < json.len() && json[at] != b'"' {
                    at += if json[at] == b'\\' { 2 } else { 1 };
                }
                at = (at + 1).min(json.len());
                exact.extend_from_slice(&json[start..at]);
            }
            b'-' | b'0'..=b'9' | b'N' | b'I' => {
                while at < json.len() && (json[at].is_ascii_alphanumeric() || b"+-.".contains(&json[at])) {
                    at += 1;
                }
                let number = &json[start..at];
                let is_whole = number.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-');
                let is_token = matches!(number, b"NaN" | b"Infinity" | b"-Infinity");
                let is_float = !is_whole && number.iter().any(u8::is_ascii_digit);
                match is_float || is_token {
                    true => {
                        exact.push(b'"');
                        exact.extend_from_slice(number);
                        exact.push(b'"');
                    }
                    false => exact.extend_from_slice(number),
                }
            }
            byte => {
                exact.push(byte);
                at += 1;
            }
        }
    }
    exact
}

/// The pairs of a query string, decoded.
pub(super) fn parse_query(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
        })
        .collect()
}

/// Percent-encoded text, decoded; what is not UTF-8 is replaced.
pub(super) fn decode(text: &str) -> String {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Sample {
        #[serde(deserialize_with = "or_default")]
        name: String,
        start: Option<Whole>,
        value: Option<Number>,
        ids: Vec<String>,
    }

    const FIELDS: &[Field] = &[
        required("name", Kind::Text),
        optional("start", Kind::Whole),
        optional("value", Kind::Float),
        optional("ids", Kind::Texts),
    ];

    fn read(body: &str) -> Result<Sample, ApiError> {
        from_json(body.as_bytes(), FIELDS)
    }

    #[test]
    fn numbers_may_be_text_and_what_nobody_knows_is_ignored() {
        let sample = read(r#"{"name": null, "start": "12", "value": "-Infinity", "more": {"x": [1]}}"#).unwrap();
        assert_eq!(sample.name, "");
        assert_eq!(sample.start, Some(Whole(12)));
        assert_eq!(sample.value, Some(Number(f64::NEG_INFINITY)));
        assert_eq!(read(r#""{\"name\": \"x\"}""#).unwrap().name, "x");
        assert_eq!(read("").unwrap(), Sample::default());
    }

    #[test]
    fn a_field_of_another_type_is_named() {
        let said = |body: &str| read(body).unwrap_err().message;
        assert_eq!(
            said(r#"{"name": 123}"#),
            "Invalid value 123 for parameter 'name' supplied:  Hint: Value was of type 'int'. See the API docs for \
             more information about request parameters."
        );
        assert_eq!(
            said(r#"{"start": "soon"}"#),
            "Missing value for required parameter 'name'. See the API docs for more information about request \
             parameters."
        );
        for malformed in ["{", "[1]", "12", r#""text""#, "{\"name\": \"x\", \"start\": 1.5}"] {
            assert!(read(malformed).is_err(), "{malformed}");
        }
    }

    #[test]
    fn a_query_string_is_a_message_too() {
        let pairs = parse_query("name=a+b%2Fc&ids=1&ids=2&start=7&name=other&unknown=x");
        let sample: Sample = from_query(&pairs, FIELDS).unwrap();
        assert_eq!(sample.name, "a b/c");
        assert_eq!(sample.ids, ["1", "2"]);
        assert_eq!(sample.start, Some(Whole(7)));
    }

    #[test]
    fn numbers_are_read_to_the_last_bit() {
        let json =
            br#"{"name": "1.5 \\\" 2.5", "start": -7, "value": 0.30000000000000004, "x": [NaN, 1e5, -Infinity, 12]}"#;
        let exact = with_exact_numbers(json);
        let expected = r#"{"name": "1.5 \\\" 2.5", "start": -7, "value": "0.30000000000000004", "x": ["NaN", "1e5", "-Infinity", 12]}"#;
        assert_eq!(std::str::from_utf8(&exact), Ok(expected));
        let sample: Sample = from_json(&exact, FIELDS).unwrap();
        assert_eq!(sample.value, Some(Number(0.1 + 0.2)));
        // The nearest numbers to these texts, which a product of two roundings misses.
        for text in ["0.8444218515250481", "7.205759403792794e16", "5e-324", "2.2250738585072011e-308"] {
            let body = format!("{{\"name\": \"x\", \"value\": {text}}}");
            let sample: Sample = from_json(&with_exact_numbers(body.as_bytes()), FIELDS).unwrap();
            assert_eq!(sample.value.unwrap().0.to_bits(), text.parse::<f64>().unwrap().to_bits(), "{text}");
        }
        for malformed in ["{\"a\": \"x", "\"\\", "{\"value\": 1.2.3}", "-"] {
            assert!(from_json::<Sample>(&with_exact_numbers(malformed.as_bytes()), FIELDS).is_err(), "{malformed}");
        }
    }

    #[test]
    fn numbers_that_json_lacks_are_written_as_text() {
        let text = |value| serde_json::to_string(&Number(value)).unwrap();
        assert_eq!([text(f64::NAN), text(f64::INFINITY), text(0.5)], ["\"NaN\"", "\"Infinity\"", "0.5"]);
    }
}
