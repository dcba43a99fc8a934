//! The lists that columns, the order and the groups are chosen from.

use crate::catalog::Names;
use crate::query::{Attribute, Field};

use super::super::super::overlay::{Item, Overlay, Picker, Purpose};
use super::columns::Kind;

/// Attributes that runs can be told apart and grouped by.
const ATTRIBUTES: [Attribute; 12] = [
    Attribute::Name,
    Attribute::Experiment,
    Attribute::Started,
    Attribute::Duration,
    Attribute::Commit,
    Attribute::Branch,
    Attribute::User,
    Attribute::Host,
    Attribute::Seed,
    Attribute::Note,
    Attribute::CpuSeconds,
    Attribute::ExitCode,
];

/// What runs are grouped by, other than parameters and tags.
const GROUPS: [Attribute; 6] =
    [Attribute::Experiment, Attribute::Commit, Attribute::Branch, Attribute::Status, Attribute::User, Attribute::Host];

/// The tag that the trials of a sweep have in common.
const SWEEP: &str = "sweep";

fn all_kinds(names: &Names) -> Vec<Kind> {
    let status = [Kind::attribute(Attribute::Status)];
    let attributes = ATTRIBUTES.map(Kind::attribute);
    let metrics = names.metrics.iter().flat_map(|name| [Kind::metric(name), Kind::Spark(name.clone())]);
    let params = names.params.iter().map(|name| Kind::Value(Field::Param(name.clone())));
    let tags = names.tags.iter().map(|name| Kind::Value(Field::Tag(name.clone())));
    status.into_iter().chain(attributes).chain(metrics).chain(params).chain(tags).collect()
}

fn item(kind: &Kind, is_chosen: bool) -> Item {
    let (label, note) = match kind {
        Kind::Spark(metric) => (format!("metrics.{metric}"), "its curve"),
        Kind::Value(Field::Attribute(_)) => (kind.key(), ""),
        Kind::Value(Field::Metric(..)) => (kind.key(), "last value"),
        Kind::Value(_) => (kind.key(), ""),
    };
    Item { key: kind.key(), label, note: note.to_owned(), is_chosen }
}

/// All columns, those that are shown first and in their order.
pub(super) fn columns(shown: &[Kind], names: &Names) -> Overlay {
    let mut items: Vec<Item> = shown.iter().map(|kind| item(kind, true)).collect();
    items.extend(all_kinds(names).iter().filter(|kind| !shown.contains(kind)).map(|kind| item(kind, false)));
    Overlay::Picker(Picker::many(Purpose::Columns, "Columns".to_owned(), items))
}

/// All that can be sorted by.
pub(super) fn sort(current: &str, names: &Names) -> Overlay {
    let sortable = |kind: &Kind| match kind {
        Kind::Spark(_) | Kind::Value(Field::Attribute(Attribute::Commit)) => None,
        kind => Some(item(kind, kind.key() == current)),
    };
    let items = all_kinds(names).iter().filter_map(sortable).collect();
    Overlay::Picker(Picker::one(Purpose::SortBy, "Sort by".to_owned(), items))
}

/// All that can be grouped by.
pub(super) fn groups(current: Option<&Field>, names: &Names) -> Overlay {
    let attributes = GROUPS.map(Field::Attribute);
    let tags = names.tags.iter().filter(|name| *name != SWEEP).map(|name| Field::Tag(name.clone()));
    let params = names.params.iter().map(|name| Field::Param(name.clone()));
    let fields = attributes.into_iter().chain([Field::Tag(SWEEP.to_owned())]).chain(params).chain(tags);
    let none =
        Item { key: String::new(), label: "not grouped".to_owned(), note: String::new(), is_chosen: current.is_none() };
    let item = |field: Field| Item {
        label: if field == Field::Tag(SWEEP.to_owned()) { SWEEP.to_owned() } else { field.to_string() },
        key: field.to_string(),
        note: String::new(),
        is_chosen: current == Some(&field),
    };
    let items = std::iter::once(none).chain(fields.map(item)).collect();
    Overlay::Picker(Picker::one(Purpose::GroupBy, "Group by".to_owned(), items))
}
