//! What MLflow accepts as names and values, and what it says of the others.

use super::error::ApiError;
use super::message::invalid_value;

/// Characters of the name of a metric, parameter or tag.
const MAX_KEY: usize = 250;
/// Characters of a parameter's value; what is longer is cut.
const MAX_PARAM_VALUE: usize = 6000;
/// Characters of a tag's value; what is longer is cut.
const MAX_TAG_VALUE: usize = 8000;
/// Metrics in a batch.
pub(super) const MAX_METRICS: usize = 1000;
/// Parameters in a batch, and tags.
pub(super) const MAX_PARAMS_AND_TAGS: usize = 100;
/// All of these together.
pub(super) const MAX_ENTITIES: usize = 1000;
/// Characters of an experiment's name.
const MAX_EXPERIMENT_NAME: usize = 500;
/// Characters of the value of an experiment's tag.
const MAX_EXPERIMENT_TAG_VALUE: usize = 20_000;

/// Checks the name of a metric, parameter or tag; `path` is where it stands in the request.
pub(super) fn check_name(name: &str, path: &str) -> Result<(), ApiError> {
    let is_plain = |c: char| c.is_alphanumeric() || "_/.- :".contains(c);
    if !name.chars().all(is_plain) {
        let why = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), \
                   colon(:) and slashes (/).";
        return Err(invalid_value(path, &name, why));
    }
    let normal = normal_path(name);
    if normal != name || normal == "." || normal.starts_with("..") || normal.starts_with('/') {
        let why = format!(
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. \
             This name would resolve to '{normal}'"
        );
        return Err(invalid_value(path, &name, &why));
    }
    Ok(())
}

/// A path as Python's `posixpath.normpath` has it.
fn normal_path(path: &str) -> String {
    if path.is_empty() {
        return ".".to_owned();
    }
    // Two slashes at the start stay two, as POSIX allows.
    let root = match path.len() - path.trim_start_matches('/').len() {
        0 => "",
        2 => "//",
        _ => "/",
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => drop(parts.pop()),
            ".." if !root.is_empty() => {}
            part => parts.push(part),
        }
    }
    let normal = format!("{root}{}", parts.join("/"));
    if normal.is_empty() { ".".to_owned() } else { normal }
}

/// Checks that a text has at most so many characters.
pub(super) fn check_length(what: &str, limit: usize, text: &str) -> Result<(), ApiError> {
    // Most are far shorter, also in bytes.
    if text.len() <= limit || text.chars().count() <= limit {
        return Ok(());
    }
    Err(ApiError::invalid(format!("'{what}' exceeds the maximum length of {limit} characters")))
}

fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit { text.to_owned() } else { text.chars().take(limit).collect() }
}

/// Checks a metric's name, at `path` in the request.
pub(super) fn check_metric_name(name: &str, path: &str) -> Result<(), ApiError> {
    check_name(name, path)?;
    check_length("Metric name", MAX_KEY, name)
}

/// Checks a parameter, and gives it as it is kept.
pub(super) fn param(key: &str, value: &str, path: &str) -> Result<(String, String), ApiError> {
    check_name(key, path)?;
    check_length("Param key", MAX_KEY, key)?;
    Ok((key.to_owned(), cut(value, MAX_PARAM_VALUE)))
}

/// Checks a tag of a run, and gives it as it is kept.
pub(super) fn tag(key: &str, value: &str, path: &str) -> Result<(String, String), ApiError> {
    check_name(key, path)?;
    check_length(path, MAX_KEY, key)?;
    Ok((key.to_owned(), cut(value, MAX_TAG_VALUE)))
}

/// Checks a tag of an experiment.
pub(super) fn check_experiment_tag(key: &str, value: &str) -> Result<(), ApiError> {
    check_name(key, "key")?;
    check_length("key", MAX_KEY, key)?;
    check_length("value", MAX_EXPERIMENT_TAG_VALUE, value)
}

/// Checks an experiment's name.
pub(super) fn check_experiment_name(name: &str) -> Result<(), ApiError> {
    if name.is_empty() {
        return Err(ApiError::invalid(format!("Invalid experiment name: '{name}'")));
    }
    check_length("name", MAX_EXPERIMENT_NAME, name)
}

/// Checks that a batch is not too large.
pub(super) fn check_batch(what: &str, limit: usize, count: usize) -> Result<(), ApiError> {
    if count <= limit {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "A batch logging request can contain at most {limit} {what}. Got {count} {what}. Please split up {what} across \
         multiple requests and try again."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_mlflow_takes() {
        for name in ["loss", "val/loss", "a b", "a:b", "x.y-z_1", "Größe", "a..b", ".hidden"] {
            assert!(check_name(name, "key").is_ok(), "{name}");
        }
        for name in ["", "a//b", "./a", "a/", "../a", "/a", "a/../b", ".", "a\nb", "a*b", "a\"b"] {
            assert!(check_name(name, "key").is_err(), "{name}");
        }
        let said = check_name("a/../b", "metrics[0].name").unwrap_err().message;
        assert_eq!(
            said,
            "Invalid value \"a/../b\" for parameter 'metrics[0].name' supplied: Names may be treated as files in certain \
             cases, and must not resolve to other names when treated as such. This name would resolve to 'b'"
        );
    }

    #[test]
    fn long_values_are_cut_and_long_names_refused() {
        assert_eq!(param("a", &"ä".repeat(6001), "key").unwrap().1.chars().count(), 6000);
        assert!(tag(&"x".repeat(251), "", "key").is_err());
        assert!(tag(&"ä".repeat(250), "", "key").is_ok());
    }
}
