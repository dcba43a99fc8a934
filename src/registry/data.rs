//! What a version knows of its data without the bytes: how many examples, which classes, which parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is known of data, taken down when a version is registered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataFacts {
    /// How it is kept: `idx`, `cifar`, `folders`, `table`, `text` or `safetensors`.
    pub format: String,
    /// How many examples it has.
    pub examples: u64,
    /// How many classes it has; none where nothing says which there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_count: Option<u64>,
    /// The names of the classes, in the order of their numbers; empty where there are too many to list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<String>,
    /// How many examples each of these has, in the same order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_examples: Vec<u64>,
    /// The shape of an example: channels, height and width, or how many numbers. Empty where it is not the same for all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shape: Vec<u64>,
    /// The names of the columns of a table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// How many examples each part has that the data's own files give: `train`, `validation`, `test`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub splits: BTreeMap<String, u64>,
}

/// A value that a query can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum DataValue {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl DataFacts {
    /// What stands under a key: `format`, `examples`, `classes` and `columns` (how many), `class.NAME` and `split.NAME`
    /// (how many examples); none where there is no such thing.
    pub fn value_of(&self, key: &str) -> Option<DataValue> {
        let number = |number: u64| Some(DataValue::Number(number as f64));
        match key.split_once('.') {
            Some(("class", name)) => {
                let index = self.classes.iter().position(|class| class == name)?;
                number(*self.class_examples.get(index)?)
            }
            Some(("split", name)) => number(*self.splits.get(name)?),
            Some(_) => None,
            None => match key {
                "format" => Some(DataValue::Text(self.format.clone())),
                "examples" => number(self.examples),
                "classes" => number(self.class_count?),
                "columns" if self.columns.is_empty() => None,
                "columns" => number(self.columns.len() as u64),
                _ => None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_found() {
        let facts = DataFacts {
            format: "folders".to_owned(),
            examples: 5,
            class_count: Some(2),
            classes: vec!["cat".to_owned(), "big.dog".to_owned()],
            class_examples: vec![2, 3],
            splits: BTreeMap::from([("test".to_owned(), 1)]),
            ..DataFacts::default()
        };
        let number = |key: &str| match facts.value_of(key) {
            Some(DataValue::Number(number)) => Some(number),
            _ => None,
        };
        assert_eq!(["examples", "classes", "class.big.dog", "split.test"].map(number), [5.0, 2.0, 3.0, 1.0].map(Some));
        assert_eq!(["columns", "class.cow", "split.train", "shape", "x.y"].map(number), [None; 5]);
        assert_eq!(facts.value_of("format"), Some(DataValue::Text("folders".to_owned())));
    }
}
