//! Which rows of its data a model learned from, where the model says so.

use crate::files::RelPath;
use crate::id::ArtifactId;
use crate::store::Store;
use crate::train::data::Split;

/// The file of a model that says it.
const FILE: &str = "split.json";
/// Bytes that it may have.
const LIMIT: u64 = 64 << 20;

/// The rows in a line: `train 1257, validation 180, test 360 of 1797`; none where the artifact does not say, or is not
/// here.
pub(super) fn of_model(store: &Store, artifact: &ArtifactId) -> Option<String> {
    let manifest = store.manifest(artifact).ok()?;
    let entry = manifest.find(&RelPath::new(FILE).ok()?)?;
    let text = String::from_utf8(store.read_to_vec(&entry.digest, LIMIT).ok()?).ok()?;
    let split = Split::from_json(&text).ok()?;
    let mut parts: Vec<(&str, usize)> = split.parts().map(|(name, rows)| (name, rows.len())).collect();
    let order = ["train", "validation", "test"];
    parts.sort_by_key(|(name, _)| order.iter().position(|known| known == name).unwrap_or(order.len()));
    let parts: Vec<String> = parts.iter().map(|(name, rows)| format!("{name} {rows}")).collect();
    Some(parts.join(", "))
}
