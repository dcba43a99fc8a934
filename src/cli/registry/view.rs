//! Versions and names as JSON has them. A key without a value is null, never absent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::id::{ArtifactId, CommitId, RunId};
use crate::registry::{DataFacts, Kind, Model, Version};

use super::super::runs::json_metrics;

/// A name under the key of its kind: `model` or `dataset`.
#[derive(Debug, Serialize)]
pub(super) struct Name<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset: Option<&'a str>,
}

impl<'a> Name<'a> {
    pub(super) fn new(kind: Kind, name: &'a str) -> Self {
        match kind {
            Kind::Model => Self { model: Some(name), dataset: None },
            Kind::Dataset => Self { model: None, dataset: Some(name) },
        }
    }
}

/// A version as `show --json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct VersionView<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    version: u64,
    aliases: Vec<&'a str>,
    id: ArtifactId,
    run: Option<RunId>,
    commit: Option<CommitId>,
    metrics: Value,
    registered: Timestamp,
    by: &'a str,
    note: Option<&'a str>,
    #[serde(rename = "type")]
    artifact_type: &'a str,
    source: Option<&'a str>,
    deprecated: Option<&'a str>,
    tags: BTreeMap<String, String>,
    meta: &'a BTreeMap<String, String>,
    data: Option<DataView<'a>>,
}

impl<'a> VersionView<'a> {
    pub(super) fn new(model: &'a Model, version: &'a Version) -> Self {
        let about = model.about_versions.get(&version.version);
        Self {
            name: Name::new(model.about.kind, &model.name),
            version: version.version,
            aliases: model.aliases_of(version.version),
            id: version.id,
            run: version.run,
            commit: version.commit,
            metrics: json_metrics(&version.metrics),
            registered: version.registered,
            by: &version.by,
            note: model.note_of(version),
            artifact_type: &version.artifact_type,
            source: version.source.as_deref(),
            deprecated: about.and_then(|about| about.deprecated.as_deref()),
            tags: about.map(|about| about.tags.clone()).unwrap_or_default(),
            meta: &version.meta,
            data: version.data.as_ref().map(DataView::new),
        }
    }
}

/// What is known of data.
#[derive(Debug, Serialize)]
struct DataView<'a> {
    format: &'a str,
    examples: u64,
    /// How many classes there are.
    classes: Option<u64>,
    /// How many examples each class has, in the order of the classes' numbers.
    class_examples: Option<Vec<ClassView<'a>>>,
    shape: Option<&'a [u64]>,
    columns: Option<&'a [String]>,
    splits: &'a BTreeMap<String, u64>,
}

#[derive(Debug, Serialize)]
struct ClassView<'a> {
    name: &'a str,
    examples: u64,
}

impl<'a> DataView<'a> {
    fn new(facts: &'a DataFacts) -> Self {
        let classes = facts.classes.iter().zip(&facts.class_examples);
        let classes: Vec<_> = classes.map(|(name, examples)| ClassView { name, examples: *examples }).collect();
        Self {
            format: &facts.format,
            examples: facts.examples,
            classes: facts.class_count,
            class_examples: Some(classes).filter(|classes| !classes.is_empty()),
            shape: Some(facts.shape.as_slice()).filter(|shape| !shape.is_empty()),
            columns: Some(facts.columns.as_slice()).filter(|columns| !columns.is_empty()),
            splits: &facts.splits,
        }
    }
}

/// A name as `list --json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct NameView<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    version: Option<u64>,
    versions: usize,
    aliases: &'a BTreeMap<String, u64>,
    registered: Option<Timestamp>,
    by: Option<&'a str>,
    description: Option<&'a str>,
    tags: &'a BTreeMap<String, String>,
}

impl<'a> NameView<'a> {
    pub(super) fn new(model: &'a Model) -> Self {
        let newest = model.newest();
        Self {
            name: Name::new(model.about.kind, &model.name),
            version: newest.map(|version| version.version),
            versions: model.versions.len(),
            aliases: &model.aliases,
            registered: newest.map(|version| version.registered),
            by: newest.map(|version| version.by.as_str()),
            description: model.about.description.as_deref(),
            tags: &model.about.tags,
        }
    }
}
