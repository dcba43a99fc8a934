//! DVC's own files: what they say of outputs, and its configuration.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What DVC says of one output.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Out {
    #[serde(default)]
    pub(super) path: String,
    /// Of a folder, with `.dir` at its end.
    #[serde(default)]
    pub(super) md5: Option<String>,
    /// `md5` since version 3, and nothing before.
    #[serde(default)]
    pub(super) hash: Option<String>,
    #[serde(default)]
    pub(super) size: Option<u64>,
    #[serde(default)]
    pub(super) remote: Option<String>,
    #[serde(default)]
    pub(super) isexec: bool,
    /// False for what git keeps.
    #[serde(default)]
    pub(super) cache: Option<bool>,
}

#[derive(Debug, Deserialize)]
struct DvcFile {
    #[serde(default)]
    outs: Vec<Out>,
    #[serde(default)]
    wdir: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Lock {
    #[serde(default)]
    stages: BTreeMap<String, Stage>,
}

#[derive(Debug, Deserialize)]
struct Stage {
    #[serde(default)]
    outs: Vec<Out>,
}

#[derive(Debug, Deserialize)]
struct Pipeline {
    #[serde(default)]
    stages: BTreeMap<String, PipelineStage>,
}

#[derive(Debug, Deserialize)]
struct PipelineStage {
    #[serde(default)]
    wdir: Option<String>,
}

/// A file in a folder that DVC keeps.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Member {
    pub(super) md5: String,
    pub(super) relpath: String,
}

/// The outputs of a `.dvc` file, each with the folder that its path begins in, from the file's own.
pub(super) fn parse_dvc(text: &str) -> Result<Vec<(String, Out)>, String> {
    let file: DvcFile = serde_saphyr::from_str(text).map_err(|error| first_line(&error.to_string()))?;
    let folder = file.wdir.unwrap_or_default();
    Ok(file.outs.into_iter().map(|out| (folder.clone(), out)).collect())
}

/// The outputs of a `dvc.lock`, with the folders of their stages, which the `dvc.yaml` beside it names.
pub(super) fn parse_lock(text: &str, pipeline: Option<&str>) -> Result<Vec<(String, Out)>, String> {
    let lock: Lock = serde_saphyr::from_str(text).map_err(|error| first_line(&error.to_string()))?;
    // A pipeline may be written in ways that only DVC reads; then its stages are where it is.
    let pipeline = pipeline.and_then(|text| serde_saphyr::from_str::<Pipeline>(text).ok());
    let folder_of = |stage: &str| {
        let stages = &pipeline.as_ref()?.stages;
        // `train@0` is one of several that `train` stands for.
        let stage = stages.get(stage).or_else(|| stages.get(stage.split('@').next()?))?;
        stage.wdir.clone().filter(|folder| !folder.contains("${"))
    };
    let outs = |(name, stage): (String, Stage)| {
        let folder = folder_of(&name).unwrap_or_default();
        stage.outs.into_iter().map(move |out| (folder.clone(), out)).collect::<Vec<_>>()
    };
    Ok(lock.stages.into_iter().flat_map(outs).collect())
}

/// The files of a folder, as its list in the cache has them.
pub(super) fn parse_folder(text: &[u8]) -> Result<Vec<Member>, String> {
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// DVC's configuration: values by section and key, such as `remote "storage"` and `url`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings(BTreeMap<(String, String), String>);

impl Settings {
    /// Takes what a file says over what was said before.
    pub(super) fn read(&mut self, text: &str) {
        let mut section = String::new();
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                section = name.trim().trim_matches('\'').to_owned();
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with(['#', ';'])) {
                let value = value.trim();
                let unquoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
                self.0.insert((section.clone(), key.trim().to_owned()), unquoted.unwrap_or(value).to_owned());
            }
        }
    }

    pub(super) fn value(&self, section: &str, key: &str) -> Option<&str> {
        self.0.get(&(section.to_owned(), key.to_owned())).map(String::as_str)
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_all_versions_are_read() {
        let text = "wdir: ..\nouts:\n- md5: 900150983cd24fb0d6963f7d28e17f72\n  size: 3\n  hash: md5\n  path: data.csv\n\
                    - md5: aa.dir\n  nfiles: 2\n  path: images\n  remote: storage\nfrozen: true\ndeps: []\n";
        let outs = parse_dvc(text).unwrap();
        assert_eq!(outs[0].0, "..");
        assert_eq!(
            (outs[0].1.path.as_str(), outs[0].1.size, outs[0].1.hash.as_deref()),
            ("data.csv", Some(3), Some("md5"))
        );
        assert_eq!((outs[1].1.md5.as_deref(), outs[1].1.remote.as_deref()), (Some("aa.dir"), Some("storage")));
        let lock = "schema: '2.0'\nstages:\n  train@0:\n    cmd: x\n    deps: []\n    outs:\n    - path: m.pt\n      md5: bb\n      isexec: true\n";
        let pipeline = "stages:\n  train:\n    foreach: [a]\n    do: {cmd: x}\n    wdir: src\n";
        let outs = parse_lock(lock, Some(pipeline)).unwrap();
        assert_eq!((outs[0].0.as_str(), outs[0].1.path.as_str(), outs[0].1.isexec), ("src", "m.pt", true));
        assert_eq!(parse_lock(lock, Some("stages: [")).unwrap()[0].0, "");
        assert!(parse_dvc("outs: 3\n").is_err() && parse_dvc("a: [").is_err());
        assert!(parse_dvc("frozen: true\n").unwrap().is_empty());
    }

    #[test]
    fn later_settings_count() {
        let mut settings = Settings::default();
        settings.read("[core]\n    remote = storage\n['remote \"storage\"']\n    url = s3://bucket/x\n# no = thing\n");
        settings.read("['remote \"storage\"']\nurl = '../elsewhere'\n");
        assert_eq!(settings.value("core", "remote"), Some("storage"));
        assert_eq!(settings.value("remote \"storage\"", "url"), Some("../elsewhere"));
        assert_eq!(settings.value("core", "no"), None);
    }
}
