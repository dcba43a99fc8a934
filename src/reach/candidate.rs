//! Files that may name artifacts, and the ids that stand in them.

use crate::id::ArtifactId;
use crate::track::{POINTER_SUFFIX, Pointer};

/// Digits of an artifact's id.
const DIGITS: usize = 64;

/// What a file is by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Candidate {
    /// A pointer.
    Pointer,
    /// A run's record.
    Run,
    /// A version of the registry.
    Version,
    /// What a ref or a tag names without a path.
    Nameless,
}

/// What a file names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Reading {
    /// Every artifact whose id it spells.
    pub(super) ids: Vec<ArtifactId>,
    /// How to call the place.
    pub(super) label: String,
    /// What is wrong with it.
    pub(super) problem: Option<String>,
    /// Its version, if that is newer than can be read.
    pub(super) newer: Option<u64>,
}

impl Candidate {
    /// What the file at `path` is.
    pub(super) fn of(path: &str) -> Self {
        match path.rsplit('/').next().unwrap_or(path) {
            "" => Self::Nameless,
            "run.toml" => Self::Run,
            name if name.ends_with(POINTER_SUFFIX) => Self::Pointer,
            _ => Self::Version,
        }
    }

    /// What it names. Each of these has the ids of artifacts in hexadecimal digits, whatever else is in it.
    pub(super) fn read(self, content: &[u8], place: &str) -> Reading {
        let reading = Reading { ids: ids_in(content), label: place.to_owned(), ..Reading::default() };
        match self {
            Self::Pointer => match Pointer::parse(content) {
                Ok(pointer) => {
                    // What users put into it as metadata names nothing.
                    let label = place.replacen(POINTER_SUFFIX, "", 1);
                    Reading { ids: vec![pointer.id], label, ..reading }
                }
                Err(error) => {
                    let newer = version_of(content).filter(|version| *version > u64::from(Pointer::VERSION));
                    Reading { problem: Some(error.problem), newer, ..reading }
                }
            },
            Self::Run => {
                let name = value_of(content, "name").filter(|_| !reading.ids.is_empty());
                Reading { label: name.map_or(place.to_owned(), |name| format!("run {name}")), ..reading }
            }
            Self::Version => {
                let version = value_of(content, "model").zip(value_of(content, "version"));
                let label = version.map(|(model, version)| format!("{model}@v{version}"));
                Reading { label: label.unwrap_or_else(|| place.to_owned()), ..reading }
            }
            Self::Nameless => reading,
        }
    }
}

/// Every artifact's id that is spelled somewhere in `text`, each once.
pub(super) fn ids_in(text: &[u8]) -> Vec<ArtifactId> {
    let mut ids = Vec::new();
    for word in text.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == DIGITS) {
        let id = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
        ids.extend(id.filter(|id| !ids.contains(id)));
    }
    ids
}

/// The version that a file claims to have, however little else of it can be read.
fn version_of(content: &[u8]) -> Option<u64> {
    value_of(content, "version")?.parse().ok()
}

/// The value of a key on a line of its own, in the head of a TOML file.
fn value_of(content: &[u8], key: &str) -> Option<String> {
    let text = String::from_utf8_lossy(content);
    let mut lines = text.lines().take_while(|line| !line.starts_with('['));
    let value = lines.find_map(|line| line.trim().strip_prefix(key)?.trim_start().strip_prefix('='))?;
    Some(value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85";

    #[test]
    fn ids_are_found_wherever_they_stand_and_nothing_else_is() {
        let text = format!(
            "id = \"{ID}\"\nagain = {ID}\nlonger = {ID}0\ncommit = {}\nupper = {}",
            &ID[..40],
            ID.to_uppercase()
        );
        assert_eq!(ids_in(text.as_bytes()), [ID.parse::<ArtifactId>().unwrap()]);
        assert!(ids_in(b"").is_empty());
    }

    #[test]
    fn both_sides_of_a_conflict_count_and_a_newer_pointer_is_told() {
        let other = ID.replace('6', "7");
        let text = format!("version = 1\n<<<<<<< HEAD\nid = \"{ID}\"\n=======\nid = \"{other}\"\n>>>>>>> x\n");
        let reading = Candidate::Pointer.read(text.as_bytes(), "data/x.mlref");
        assert_eq!((reading.ids.len(), reading.newer), (2, None));
        assert_eq!(reading.problem.unwrap(), "line 2 has git's conflict markers");
        let newer = Candidate::Pointer.read(b"version = 7\nroots = [\"short\"]\n", "data/x.mlref");
        assert_eq!(newer.newer, Some(7));
    }

    #[test]
    fn places_are_named_as_people_know_them() {
        assert_eq!(Candidate::of("a/b.mlref"), Candidate::Pointer);
        assert_eq!(Candidate::of("ab/0123/run.toml"), Candidate::Run);
        assert_eq!(Candidate::of("digits/versions/3.toml"), Candidate::Version);
        assert_eq!(Candidate::of(""), Candidate::Nameless);
        let version = format!("model = \"digits\"\nversion = 3\nid = \"{ID}\"\n");
        assert_eq!(Candidate::Version.read(version.as_bytes(), "x").label, "digits@v3");
        let run = format!("id = \"00\"\nname = \"brave-otter\"\n[[inputs]]\nid = \"{ID}\"\n");
        assert_eq!(Candidate::Run.read(run.as_bytes(), "x").label, "run brave-otter");
    }
}
