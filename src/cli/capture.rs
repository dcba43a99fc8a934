//! What a run's record keeps of the surroundings: variables that are allowed, Python, and arguments as parameters.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::run::capture_python;

use super::Context;

/// Variables of the environment that change what a training does, and that a record keeps.
const VARIABLES: [&str; 8] = [
    "CONDA_DEFAULT_ENV",
    "CUDA_VISIBLE_DEVICES",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "PYTHONHASHSEED",
    "SLURM_JOB_ID",
    "VIRTUAL_ENV",
];

/// Words in the names of variables whose values are nobody else's business.
const SECRET: [&str; 7] = ["TOKEN", "KEY", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "AUTH"];

/// The Python of a command.
pub(super) fn python(context: &Context, command: &[String], folder: &Path) -> BTreeMap<String, String> {
    let search_path: Vec<PathBuf> =
        context.variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].iter().find_map(|name| context.variable(name)).map(PathBuf::from);
    capture_python(command, folder, &search_path, active.as_deref())
}

/// Variables that change what a training does, as they are now.
pub(super) fn variables(context: &Context) -> Vec<(String, String)> {
    VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), context.variable(name)?))).collect()
}

/// The variables of the environment that `ml.toml` has a run keep.
pub(super) fn allowed_variables(allowed: &[String], is_trusted: bool) -> Vec<(String, String)> {
    let all = std::env::vars_os();
    let texts = all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    texts.filter(|(name, value)| !value.is_empty() && is_allowed(name, allowed, is_trusted)).collect()
}

/// Whether a variable is on the list. What looks like a secret has to be named as a whole, in a file that the user
/// approved: `ml.toml` comes with a clone, and records are shared.
fn is_allowed(name: &str, allowed: &[String], is_trusted: bool) -> bool {
    let upper = name.to_ascii_uppercase();
    let is_secret = SECRET.iter().any(|word| upper.contains(word));
    allowed.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start) && !is_secret,
        None => name == pattern && (!is_secret || is_trusted),
    })
}

/// The parameters among a command's arguments: `lr=0.1`, `--depth 3`, `--depth=3`, and `--flag`, which is `true`.
///
/// What stands before the first of them, as the name of a script does, is none; nor is what follows a `--`.
pub(super) fn params_from_args(command: &[String]) -> BTreeMap<String, String> {
    let is_name = |text: &str| {
        text.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '+')
            && text.chars().all(|c| c.is_alphanumeric() || "_-./+@".contains(c))
    };
    let is_option =
        |word: &str| word.strip_prefix("--").is_some_and(|rest| is_name(rest.split('=').next().unwrap_or(rest)));
    let mut params = BTreeMap::new();
    let mut words = command.iter().skip(1).take_while(|word| *word != "--").peekable();
    while let Some(word) = words.next() {
        let (name, value) = match (word.strip_prefix("--"), word.split_once('=')) {
            (Some(option), Some(_)) => match option.split_once('=') {
                Some((name, value)) if is_name(name) => (name, value.to_owned()),
                _ => continue,
            },
            (Some(option), None) if is_name(option) => {
                // `-1` is a value, `-v` an option of another kind.
                let is_value = |next: &&String| {
                    !next.contains('=') && !is_option(next) && (!next.starts_with('-') || next.parse::<f64>().is_ok())
                };
                (option, words.next_if(is_value).cloned().unwrap_or_else(|| "true".to_owned()))
            }
            (None, Some((name, value))) if is_name(name) => (name, value.to_owned()),
            _ => continue,
        };
        // Hydra adds keys as `+key=value`.
        params.insert(name.trim_start_matches('+').to_owned(), value);
    }
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_parameters_in_each_of_their_forms() {
        let words = "python -u t.py lr=0.1 --depth 3 --name=a=b --flag --shift -1 +model.size=2 -v input.csv --last";
        let command: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let expected = [
            ("depth", "3"),
            ("flag", "true"),
            ("last", "true"),
            ("lr", "0.1"),
            ("model.size", "2"),
            ("name", "a=b"),
            ("shift", "-1"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(params_from_args(&command), BTreeMap::from(expected));
        let behind: Vec<String> = ["run", "--", "a=b"].map(str::to_owned).to_vec();
        assert!(params_from_args(&behind).is_empty());
    }

    #[test]
    fn secrets_are_kept_only_where_an_approved_file_names_them() {
        let allowed: Vec<String> = ["MY_*", "HF_TOKEN", "PLAIN"].map(str::to_owned).to_vec();
        assert!(is_allowed("MY_LR", &allowed, false) && is_allowed("PLAIN", &allowed, false));
        assert!(!is_allowed("MY_API_KEY", &allowed, true) && !is_allowed("OTHER", &allowed, true));
        assert!(is_allowed("HF_TOKEN", &allowed, true) && !is_allowed("HF_TOKEN", &allowed, false));
    }
}
