//! Names of models and aliases, and what stands after the `@` of a target.

use super::RegistryError;

/// Bytes a name may have.
const MAX_NAME: usize = 250;
/// Versions a model may have. Far beyond any use, and far below where numbers or memory would run out.
pub(super) const MAX_VERSION: u64 = 1_000_000;
/// The word that always means the newest version.
pub(super) const LATEST: &str = "latest";

/// Checks the name of a model.
pub fn check_model_name(name: &str) -> Result<(), RegistryError> {
    match find_fault(name, |c| c == ' ') {
        None if name.ends_with(' ') => Err("it ends with a space"),
        None => Ok(()),
        Some(reason) => Err(reason),
    }
    .map_err(|reason| RegistryError::BadName { name: escape(name), what: "a model", reason })
}

/// Checks the name of an alias, which must not look like a version.
pub fn check_alias_name(name: &str) -> Result<(), RegistryError> {
    let reason = match find_fault(name, |_| false) {
        Some(reason) => reason,
        None if looks_like_version(name) => "it looks like a version",
        None if name == LATEST => "it always means the newest version",
        None => return Ok(()),
    };
    Err(RegistryError::BadName { name: escape(name), what: "an alias", reason })
}

/// What is wrong with a name, which may have letters, digits, `.`, `_`, `-`, and what else `allows` says.
fn find_fault(name: &str, allows: impl Fn(char) -> bool) -> Option<&'static str> {
    match name.chars().next() {
        None => return Some("it is empty"),
        Some(first) if !first.is_alphanumeric() && first != '_' => {
            return Some("it does not begin with a letter or digit");
        }
        Some(_) => {}
    }
    if name.len() > MAX_NAME {
        return Some("it is longer than 250 bytes");
    }
    let is_allowed = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-') || allows(c);
    if name.chars().all(is_allowed) {
        None
    } else {
        Some("it has a character other than letters, digits, `.`, `_` and `-`")
    }
}

fn looks_like_version(name: &str) -> bool {
    let digits = name.strip_prefix(['v', 'V']).unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Text from outside, cut and without control characters, for messages.
pub(super) fn escape(text: &str) -> String {
    let shown = text.chars().take(80);
    shown.map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}

/// Which of a model's versions is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Selector {
    /// The one with the highest number.
    Newest,
    /// The one with this number.
    Number(u64),
    /// The one that an alias points to.
    Alias(String),
}

impl Selector {
    /// Reads what stands after the `@`: `v3`, `latest` or an alias.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text == LATEST {
            return Ok(Self::Newest);
        }
        if looks_like_version(text) {
            return parse_version(text).map(Self::Number).ok_or("is not a version: versions are v1, v2, …");
        }
        match find_fault(text, |_| false) {
            None => Ok(Self::Alias(text.to_owned())),
            Some(_) => Err("has no version or alias after the `@`"),
        }
    }
}

/// The number of `v3` as people write it, or `3`.
pub fn parse_version(text: &str) -> Option<u64> {
    let digits = text.strip_prefix(['v', 'V']).unwrap_or(text);
    parse_number(digits)
}

/// A version's number in its one spelling: no sign, no leading zero, not 0.
pub(crate) fn parse_number(digits: &str) -> Option<u64> {
    let is_canonical = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.parse().ok()?;
    (is_canonical && number <= MAX_VERSION).then_some(number)
}

/// Those of `known` that look most like `wanted`, nearest first.
pub(super) fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut near: Vec<(f64, &str)> = known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(wanted, name), name))
        .filter(|(likeness, name)| *likeness > 0.75 || name.contains(wanted))
        .collect();
    near.sort_by(|left, right| right.0.total_cmp(&left.0).then(left.1.cmp(right.1)));
    near.into_iter().take(5).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_words() {
        for good in ["digits", "a", "9lives", "cnn-v2.1_final", "_x", "modèle", &"x".repeat(250)] {
            check_model_name(good).unwrap();
            check_alias_name(good).unwrap();
        }
        // MLflow's models have such names; an alias never.
        check_model_name("Iris 2").unwrap();
        assert!(check_alias_name("Iris 2").is_err());
        let long = "x".repeat(251);
        for bad in ["", ".x", "-x", "a/b", " a", "a ", "a\tb", "a@b", "a:b", "a\nb", "..", "a\u{1b}[2J", &long] {
            assert!(matches!(check_model_name(bad), Err(RegistryError::BadName { .. })), "{bad:?}");
            assert!(check_alias_name(bad).is_err(), "{bad:?}");
        }
        for version_like in ["v1", "V20", "3", "007", "latest"] {
            check_model_name(version_like).unwrap();
            assert!(check_alias_name(version_like).is_err(), "{version_like}");
        }
        assert_eq!(
            check_model_name("a\u{1b}[2J").unwrap_err().to_string(),
            "`a\\u{1b}[2J` cannot be the name of a model: it has a character other than letters, digits, `.`, `_` and `-`"
        );
    }

    #[test]
    fn versions_have_one_spelling_in_files_and_a_bound() {
        assert_eq!(parse_version("v3"), Some(3));
        assert_eq!(parse_version("3"), Some(3));
        for bad in ["v", "", "v0", "v01", "v-1", "v+1", "v 1", "v1000001", "v18446744073709551616", "v٣"] {
            assert_eq!(parse_version(bad), None, "{bad}");
        }
    }

    #[test]
    fn selectors() {
        assert_eq!(Selector::parse("v12"), Ok(Selector::Number(12)));
        assert_eq!(Selector::parse("production"), Ok(Selector::Alias("production".to_owned())));
        assert_eq!(Selector::parse("latest"), Ok(Selector::Newest));
        for bad in ["", "v0", "v99999999999999999999", "a b", "@"] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_nearest_names_come_first() {
        assert_eq!(nearest("digts", ["mnist", "digits", "cifar"]), ["digits"]);
        assert_eq!(nearest("zzz", ["mnist", "digits"]), Vec::<String>::new());
    }
}
