//! The common form of a line, read without a parser of JSON: an object of names without escapes and of numbers.
//!
//! What is not exactly of this form is left to the parser, so this only ever says what that would say.

use std::borrow::Cow;

use jiff::Timestamp;

use super::event::{Line, name_fault};

/// Keys that mean something else than a metric, and whose values are not numbers.
const GROUPS: [&str; 6] = ["metrics", "params", "tags", "failure", "progress", "git_ml"];

/// Reads a line of the common form; none for any other.
pub(super) fn parse(line: &[u8]) -> Option<Line<'_>> {
    let mut reader = Reader { rest: line };
    let mut read = Line::default();
    reader.take(b'{')?;
    loop {
        let name = reader.name()?;
        reader.take(b':')?;
        let number = reader.number()?;
        match name {
            "step" => read.step = Some(number.parse().ok()?),
            "time" => read.time = Some(time(number)?),
            _ if GROUPS.contains(&name) || name_fault(name).is_some() => return None,
            _ => read.metrics.push((Cow::Borrowed(name), number.parse().ok().filter(|value: &f64| value.is_finite())?)),
        }
        match reader.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    reader.skip_space();
    reader.rest.is_empty().then_some(read)
}

/// Seconds or milliseconds since 1970.
fn time(number: &str) -> Option<Timestamp> {
    super::event::time_of(number.parse().ok()?)
}

struct Reader<'l> {
    rest: &'l [u8],
}

impl<'l> Reader<'l> {
    fn skip_space(&mut self) {
        let space = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        self.rest = &self.rest[space..];
    }

    /// The next byte that is not space.
    fn next(&mut self) -> Option<u8> {
        self.skip_space();
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A text without escapes.
    fn name(&mut self) -> Option<&'l str> {
        self.take(b'"')?;
        let end = self.rest.iter().position(|byte| *byte == b'"')?;
        let (name, rest) = self.rest.split_at(end);
        self.rest = &rest[1..];
        let is_plain = name.iter().all(|byte| *byte >= 0x20 && *byte != b'\\');
        std::str::from_utf8(name).ok().filter(|_| is_plain)
    }

    /// A number as JSON has it.
    fn number(&mut self) -> Option<&'l str> {
        self.skip_space();
        let bytes = self.rest;
        let digits = |at: usize| bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut end = usize::from(bytes.first() == Some(&b'-'));
        let whole = digits(end);
        if whole == 0 || (whole > 1 && bytes[end] == b'0') {
            return None;
        }
        end += whole;
        if bytes.get(end) == Some(&b'.') {
            let fraction = digits(end + 1);
            if fraction == 0 {
                return None;
            }
            end += 1 + fraction;
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            end += 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let exponent = digits(end.min(bytes.len()));
            if exponent == 0 {
                return None;
            }
            end += exponent;
        }
        let (number, rest) = bytes.split_at(end);
        self.rest = rest;
        std::str::from_utf8(number).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Source, parse_json};
    use super::*;

    proptest::proptest! {
        #[test]
        fn it_reads_what_the_parser_reads(pieces in proptest::collection::vec(proptest::sample::select(vec![
            "{", "}", ":", ",", "\"", "\\", "1e9", "1e999", "-", "-1", "0.5", "01", "1.", "1e", "2E+3", "\"step\":", "\"time\": ",
            "\"a\": ", "\"loss\":", "\"tags\":", " ", "\u{e9}", "1763712000.25", "123456789012345678901234567890", "12", "\t",
        ]), 0..14)) {
            let text = pieces.concat();
            for line in [text.clone(), format!("{{{text}}}"), format!("{{\"a\": {text}}}"), format!("{{\"step\": 1, \"a\": {text}}}")] {
                if let Some(read) = parse(line.as_bytes()) {
                    proptest::prop_assert_eq!(Ok(read), parse_json(line.as_bytes(), Source::Command), "{}", line);
                }
            }
        }
    }

    #[test]
    fn the_common_form_is_read_and_others_are_left_alone() {
        let line = parse(b"{\"step\": 3, \"loss\": 0.25,\"time\":1763712000.25, \"n\":-7e-2 }").unwrap();
        assert_eq!(line.step, Some(3));
        assert_eq!(line.time.unwrap().to_string(), "2025-11-21T08:00:00.25Z");
        assert_eq!(line.metrics, [("loss".into(), 0.25), ("n".into(), -0.07)]);
        for other in [
            "{}",
            "{\"a\": NaN}",
            "{\"tags\": {}}",
            "{\"a\\u0062\": 1}",
            "{\"step\": 1.0}",
            "{\"a\": 1}x",
            "[1]",
            "{\"a\": \"b\"}",
        ] {
            assert_eq!(parse(other.as_bytes()), None, "{other}");
        }
    }
}
