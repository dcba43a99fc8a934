//! Reading `ml.toml`, with errors that name the line and the key that was probably meant.

use super::{Config, Experiment};

/// Reads the text of an `ml.toml`; an error is one line for people.
pub(super) fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|error| {
        let message = explain(error.message());
        match error.span() {
            Some(span) => format!("line {}: {message}", line_of(text, span.start)),
            None => message,
        }
    })?;
    for (name, experiment) in &config.experiments {
        check(name, experiment).map_err(|(key, problem)| match find_line(text, name, key) {
            Some(line) => format!("line {line}: experiment `{name}`: {problem}"),
            None => format!("experiment `{name}`: {problem}"),
        })?;
    }
    Ok(config)
}

/// Whether a name is letters, digits, `.`, `_` and `-`, and begins with a letter or digit.
pub fn is_plain_name(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_plain)
}

/// What is wrong with an experiment, beside the key it is wrong with.
fn check<'a>(name: &str, experiment: &'a Experiment) -> Result<(), (Option<&'a str>, String)> {
    if !is_plain_name(name) {
        return Err((
            None,
            "a name is letters, digits, `.`, `_` and `-`, and begins with a letter or digit".to_owned(),
        ));
    }
    let is_native = experiment.recipe.contains_key("model");
    match (&experiment.command, is_native) {
        (None, false) => {
            if let Some(key) = experiment.recipe.keys().find_map(|key| nearest_key(key).map(|near| (key, near))) {
                return Err((Some(key.0.as_str()), unknown_key(key.0, Some(key.1))));
            }
            Err((None, "it needs a `command`, or a `model` to train".to_owned()))
        }
        (Some(_), true) => Err((Some("model"), "it has a `command` and a `model`, and can be one only".to_owned())),
        (Some(command), false) if command.trim().is_empty() => {
            Err((Some("command"), "its `command` is empty".to_owned()))
        }
        (Some(_), false) => match experiment.recipe.keys().next() {
            Some(key) => Err((Some(key.as_str()), unknown_key(key, nearest_key(key)))),
            None => check_params(experiment),
        },
        (None, true) if !experiment.params.is_empty() => {
            let problem = "a `model` has no `params`: its settings are keys of their own".to_owned();
            Err((Some("params"), problem))
        }
        (None, true) => Ok(()),
    }
}

fn check_params(experiment: &Experiment) -> Result<(), (Option<&str>, String)> {
    for (key, value) in &experiment.params {
        if matches!(value, toml::Value::Table(_) | toml::Value::Array(_)) {
            return Err((Some(key.as_str()), format!("the parameter `{key}` has to be a text, a number or a boolean")));
        }
    }
    Ok(())
}

/// A key of experiments that `key` was probably meant to be.
fn nearest_key(key: &str) -> Option<&'static str> {
    nearest(
        key,
        ["description", "command", "params", "inputs", "outputs", "tensorboard", "csv_logs", "timeout", "model"]
            .into_iter(),
    )
}

/// The word that is most like `word`, if any is like it at all.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let similar = known.map(|candidate| (strsim::jaro_winkler(word, candidate), candidate));
    similar.filter(|(score, _)| *score > 0.75).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, candidate)| candidate)
}

fn unknown_key(key: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("there is no key `{key}`; did you mean `{near}`?"),
        None => format!("there is no key `{key}`"),
    }
}

/// What the parser says, in our words where it is about a key. `serde` writes such a message as "unknown field `a`,
/// expected one of `b`, `c`".
fn explain(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let Some((key, expected)) = line.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`')) else {
        return message.split_whitespace().collect::<Vec<_>>().join(" ");
    };
    let known = || expected.split('`').skip(1).step_by(2);
    match nearest(key, known()) {
        Some(near) => unknown_key(key, Some(near)),
        None => format!("{}; those known here are {}", unknown_key(key, None), known().collect::<Vec<_>>().join(", ")),
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let end = offset.min(text.len());
    text.as_bytes()[..end].iter().filter(|byte| **byte == b'\n').count() + 1
}

/// The line of `key` in the table of an experiment, or of the table where no key is given.
fn find_line(text: &str, experiment: &str, key: Option<&str>) -> Option<usize> {
    let header = |line: &str| {
        let name = line.trim().strip_prefix("[experiments.")?.split(']').next()?;
        Some(name.trim_matches(['"', '\'']) == experiment || name.split('.').next() == Some(experiment))
    };
    let start = text.lines().position(|line| header(line) == Some(true))?;
    let Some(key) = key else { return Some(start + 1) };
    let body = text.lines().enumerate().skip(start + 1);
    let own = body.take_while(|(_, line)| !line.trim_start().starts_with('[') || header(line) == Some(true));
    let has_key = |line: &str| line.split('=').next().is_some_and(|left| left.trim().trim_matches('"') == key);
    own.filter(|(_, line)| line.contains('=') && has_key(line)).map(|(number, _)| number + 1).next().or(Some(start + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ShareSnapshots;
    use super::*;

    fn fail(text: &str) -> String {
        parse(text).expect_err(text)
    }

    #[test]
    fn a_whole_file_is_read() {
        let config = parse(
            "[experiments.cnn]\nmodel = \"cnn\"\ndata = \"data/digits\"\nepochs = 3\n\
             [experiments.wrapped]\ncommand = \"python train.py --lr {lr}\"\nparams = { lr = 0.1 }\n\
             inputs = [\"data/x\"]\noutputs = [\"out/model\"]\n\
             [remotes.share]\nurl = \"file:///mnt/share\"\n\
             [hooks]\nrequire-pushed = false\n\
             [run]\nshare_snapshots = \"ask\"\nshare_every = \"5m\"\n\
             [gates.production]\nrequire = [\"metrics.test_accuracy >= 0.97\"]\n",
        )
        .unwrap();
        assert_eq!(config.experiments["cnn"].recipe["epochs"].as_integer(), Some(3));
        assert_eq!(config.experiments["wrapped"].params["lr"].as_float(), Some(0.1));
        assert_eq!(config.experiments["wrapped"].inputs[0].as_str(), "data/x");
        assert_eq!(config.hooks.require_pushed, Some(false));
        assert_eq!(config.hooks.checkout, None);
        assert_eq!(config.run.share_snapshots, Some(ShareSnapshots::Ask));
        assert_eq!(config.run.share_every, Some(Duration::from_secs(300)));
        assert_eq!(config.gates["production"].require.len(), 1);
        assert_eq!(parse("").unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        let cases = [
            (fail("\n[experimets.x]\n"), "line 2: there is no key `experimets`; did you mean `experiments`?"),
            (
                fail("[hooks]\nrequire_pushed = true\n"),
                "line 2: there is no key `require_pushed`; did you mean `require-pushed`?",
            ),
            (
                fail("[remotes.a]\nurl = \"x\"\nzzz = 1\n"),
                "line 3: there is no key `zzz`; those known here are url, endpoint, region, limit-rate, allow-http, virtual-hosted",
            ),
            (
                fail("[experiments.x]\ncommand = \"a\"\ninput = []\n"),
                "line 3: experiment `x`: there is no key `input`; did you mean `inputs`?",
            ),
            (
                fail("[experiments.x]\ncomand = \"a\"\n"),
                "line 2: experiment `x`: there is no key `comand`; did you mean `command`?",
            ),
        ];
        for (is, should) in cases {
            assert_eq!(is, should);
        }
    }

    #[test]
    fn values_that_make_no_sense_are_named_with_their_line() {
        let cases = [
            (fail("a = = 1"), "line 1: "),
            (fail("[hooks]\ncheckout = 3\n"), "line 2: invalid type: integer `3`, expected a boolean"),
            (fail("[remotes.a]\n"), "line 1: missing field `url`"),
            (fail("[experiments.a]\ninputs = [\"../x\"]\n"), "the path `../x` is not safe"),
            (fail("[experiments.a]\ncommand = 3\n"), "expected a string"),
            (fail("[run]\nshare_snapshots = 3\n"), "line 2: it has to be true, false or \"ask\""),
            (fail("[run]\nshare_every = \"5 ages\"\n"), "line 2: write it as 30s, 5m or 1h"),
            (fail("[experiments.a]\n"), "line 1: experiment `a`: it needs a `command`, or a `model` to train"),
            (
                fail("[experiments.a]\ncommand = \"x\"\nmodel = \"cnn\"\n"),
                "line 3: experiment `a`: it has a `command` and",
            ),
            (fail("[experiments.a]\ncommand = \"  \"\n"), "line 2: experiment `a`: its `command` is empty"),
            (fail("[experiments.\"-x\"]\ncommand = \"x\"\n"), "line 1: experiment `-x`: a name is"),
            (fail("[experiments.a]\ncommand = \"x\"\nparams = { a = [1] }\n"), "the parameter `a` has to be"),
            (
                fail("[experiments.a]\nmodel = \"cnn\"\nparams = { a = 1 }\n"),
                "line 3: experiment `a`: a `model` has no",
            ),
        ];
        for (is, should) in cases {
            assert!(is.contains(should) && !is.contains('\n'), "{is:?} does not say {should:?}");
        }
    }
}
