//! What the dashboard remembers of a repository from one time to the next.

use serde::{Deserialize, Serialize};

/// A file that is larger was not written by us.
pub(super) const LIMIT: u64 = 1 << 20;

/// What is remembered: `.git/ml/ui.toml`. Whatever cannot be read is as if nothing had been remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Memory {
    /// The view that was left, by its tab's word.
    pub(super) view: String,
    /// The filter of the table of runs.
    pub(super) filter: String,
    /// What the runs are sorted by, with a minus where the largest come first.
    pub(super) sort: String,
    /// What they are grouped by; empty where they are not.
    pub(super) group: String,
    /// The columns; none where they follow from the runs.
    pub(super) columns: Vec<String>,
}

impl Memory {
    /// What a file says.
    pub(super) fn parse(text: &str) -> Self {
        toml::from_str(text).unwrap_or_default()
    }

    /// The file's text.
    pub(super) fn to_text(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_read_again_and_damage_is_ignored() {
        let memory = Memory {
            view: "Registry".to_owned(),
            filter: "params.lr = '0.1'".to_owned(),
            sort: "-metrics.val_loss".to_owned(),
            group: "experiment".to_owned(),
            columns: vec!["name".to_owned(), "spark:loss".to_owned()],
        };
        assert_eq!(Memory::parse(&memory.to_text()), memory);
        assert_eq!(Memory::parse("filter = \"a\"\nfrom_the_future = 1\n").filter, "a");
        assert_eq!(Memory::parse("filter = 3"), Memory::default());
    }
}
