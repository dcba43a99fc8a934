//! A model as a bill of materials: CycloneDX 1.6 with a model card (an ML-BOM).
//!
//! The same version gives the same document on every machine: its time is that of the registration, and its serial number
//! is made of the rest.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::ExportError;
use crate::id::Digest;
use crate::registry::{Model, Version};
use crate::run::Run;
use crate::sign::{FileDigests, file_digests, python_package, source_uri};
use crate::track::{Progress, Workspace};
use crate::train::ModelFile;

/// The file of a trained model that says what the model is.
const MODEL_FILE: &str = "model.toml";
/// Bytes that it may have.
const MAX_MODEL_FILE: u64 = 4 << 20;

/// What a bill of materials is about.
#[derive(Debug, Clone, Copy)]
pub struct BillOf<'b> {
    /// The model.
    pub model: &'b Model,
    /// The version of it.
    pub version: &'b Version,
    /// The run that made it, where that is here.
    pub run: Option<&'b Run>,
    /// Where the code is found by others, as a URL; credentials in it are left out.
    pub source: Option<&'b str>,
}

/// The bill of materials of a model's version: the document.
///
/// The files are read from the store for their SHA-256, since most readers know no BLAKE3.
pub fn bill_of_materials(
    workspace: &Workspace,
    about: &BillOf<'_>,
    progress: &dyn Progress,
) -> Result<Value, ExportError> {
    let version = about.version;
    let manifest = workspace.store.manifest(&version.id)?;
    let files = file_digests(&workspace.store, &manifest, progress)?;
    let manifest_sha = hex(&Sha256::digest(manifest.to_bytes()));
    let label = version.label();
    let data = about.data();
    let packages = about.packages();
    let refs = |components: &[Value]| -> Vec<Value> {
        components.iter().filter_map(|component| component.get("bom-ref").cloned()).collect()
    };
    let depends_on: Vec<Value> = refs(&data).into_iter().chain(refs(&packages)).collect();
    let mut component = json!({
        "type": if version.artifact_type == "dataset" { "data" } else { "machine-learning-model" },
        "bom-ref": label,
        "name": version.model,
        "version": format!("v{}", version.version),
        "hashes": [
            { "alg": "SHA-256", "content": manifest_sha },
            { "alg": "BLAKE3", "content": version.id },
        ],
    });
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            component[key] = value;
        }
    };
    let note = about.model.note_of(version).or(about.model.about.description.as_deref());
    set("description", note.map(|note| json!(note)));
    set("pedigree", version.commit.map(|commit| json!({ "commits": [{ "uid": commit }] })));
    if version.artifact_type == "dataset" {
        set("data", Some(json!([{ "type": "dataset", "name": version.model }])));
    } else {
        set("modelCard", Some(about.model_card(workspace, &files, &refs(&data))));
    }
    set("externalReferences", about.references());
    set("components", Some(Value::Array(files.iter().map(|file| file_component(&label, file)).collect())));
    set("properties", Some(about.properties()));
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "",
        "version": 1,
        "metadata": {
            "timestamp": version.registered,
            "tools": { "components": [
                { "type": "application", "name": "git-ml", "version": env!("CARGO_PKG_VERSION") },
            ] },
            "authors": [author(&version.by)],
            "component": component,
        },
        "components": data.into_iter().chain(packages).collect::<Vec<_>>(),
        "dependencies": [{ "ref": label, "dependsOn": depends_on }],
    });
    let serial = serial_number(&document.to_string());
    document["serialNumber"] = json!(serial);
    Ok(document)
}

impl BillOf<'_> {
    /// The data that the run read: what is tracked, then what MLflow's clients described.
    fn data(&self) -> Vec<Value> {
        let Some(run) = self.run else { return Vec::new() };
        let tracked = run.inputs.iter().map(|input| {
            json!({
                "type": "data",
                "bom-ref": format!("data:{}", input.path),
                "name": input.name,
                "hashes": [{ "alg": "BLAKE3", "content": input.id }],
                "data": [{ "type": "dataset", "name": input.path }],
            })
        });
        let described = run.datasets.iter().enumerate().map(|(number, dataset)| {
            json!({
                "type": "data",
                "bom-ref": format!("dataset:{number}:{}", dataset.name),
                "name": dataset.name,
                "data": [{
                    "type": "dataset",
                    "name": dataset.name,
                    "contents": { "properties": [
                        { "name": "git-ml:digest", "value": dataset.digest },
                        { "name": "git-ml:source", "value": dataset.source },
                    ] },
                }],
            })
        });
        let mut all = BTreeMap::new();
        for component in tracked.chain(described) {
            all.entry(component["bom-ref"].to_string()).or_insert(component);
        }
        all.into_values().collect()
    }

    /// The libraries of the run's environment.
    fn packages(&self) -> Vec<Value> {
        let Some(run) = self.run else { return Vec::new() };
        let fact = |name: &str| run.environment.get(name);
        let lines = fact("python_packages").map(String::as_str).unwrap_or_default().lines();
        let library = |name: &str, version: &str, purl: String| json!({ "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl });
        let mut packages: BTreeMap<String, Value> = BTreeMap::new();
        for line in lines {
            if let (Some(purl), Some((name, version))) = (python_package(line), line.split_once("==")) {
                packages.insert(purl.clone(), library(name, version, purl));
            }
        }
        for (name, key) in [("libtorch", "libtorch"), ("git-ml", "git_ml")] {
            let plain = |version: &&String| version.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
            if let Some(version) = fact(key).filter(plain) {
                let purl = match name {
                    "git-ml" => format!("pkg:cargo/git-ml@{version}"),
                    name => format!("pkg:generic/{name}@{version}"),
                };
                packages.insert(purl.clone(), library(name, version, purl));
            }
        }
        packages.into_values().collect()
    }

    fn model_card(&self, workspace: &Workspace, files: &[FileDigests], data: &[Value]) -> Value {
        let mut parameters = Map::new();
        if let Some(file) = model_file(workspace, files) {
            parameters.insert("approach".to_owned(), json!({ "type": "supervised" }));
            parameters.insert("task".to_owned(), json!(file.task));
            let architecture = self.run.and_then(|run| run.params.get("model"));
            parameters.extend(architecture.map(|name| ("modelArchitecture".to_owned(), json!(name))));
            let format = |tensor: &crate::train::TensorSpec| {
                let sizes: Vec<String> = tensor.shape.iter().map(i64::to_string).collect();
                json!([{ "format": format!("{} {} [{}]", tensor.dtype, tensor.layout, sizes.join(", ")) }])
            };
            parameters.insert("inputs".to_owned(), format(&file.input));
            parameters.insert("outputs".to_owned(), format(&file.output));
        }
        if !data.is_empty() {
            let data: Vec<Value> = data.iter().map(|name| json!({ "ref": name })).collect();
            parameters.insert("datasets".to_owned(), json!(data));
        }
        let metrics = self.version.metrics.iter().filter(|(name, _)| !name.starts_with("system."));
        let metrics: Vec<Value> =
            metrics.map(|(name, summary)| json!({ "type": name, "value": summary.last.to_string() })).collect();
        let params = self.run.map(|run| &run.params).into_iter().flatten();
        let params = params.map(|(name, value)| property(&format!("params.{name}"), value));
        let seed = self.run.and_then(|run| run.seed).map(|seed| property("seed", &seed.to_string()));
        json!({
            "modelParameters": parameters,
            "quantitativeAnalysis": { "performanceMetrics": metrics },
            "properties": params.chain(seed).collect::<Vec<_>>(),
        })
    }

    /// Where the code is.
    fn references(&self) -> Option<Value> {
        let uri = self.source.and_then(source_uri)?;
        let url = uri.strip_prefix("git+").unwrap_or(&uri).to_owned();
        let comment = self.version.commit.map(|commit| format!("commit {commit}"));
        let mut reference = json!({ "type": "vcs", "url": url });
        if let Some(comment) = comment {
            reference["comment"] = json!(comment);
        }
        Some(json!([reference]))
    }

    fn properties(&self) -> Value {
        let version = self.version;
        let mut properties =
            vec![property("git-ml:artifact", &version.id.to_string()), property("git-ml:type", &version.artifact_type)];
        properties.extend(version.run.map(|run| property("git-ml:run", &run.to_string())));
        properties.extend(version.commit.map(|commit| property("git-ml:commit", &commit.to_string())));
        Value::Array(properties)
    }
}

fn property(name: &str, value: &str) -> Value {
    json!({ "name": name, "value": value })
}

fn file_component(label: &str, file: &FileDigests) -> Value {
    let name = file.path.as_ref().map_or(label, |path| path.as_str());
    json!({
        "type": "file",
        "bom-ref": format!("{label}:{name}"),
        "name": name,
        "hashes": [
            { "alg": "SHA-256", "content": file.sha256 },
            { "alg": "BLAKE3", "content": file.blake3 },
        ],
    })
}

/// `Ada <ada@example.org>` in two.
fn author(by: &str) -> Value {
    match by.split_once(" <").and_then(|(name, rest)| Some((name, rest.strip_suffix('>')?))) {
        Some((name, email)) => json!({ "name": name, "email": email }),
        None => json!({ "name": by }),
    }
}

/// What a model that was trained here says of itself; none of other models.
fn model_file(workspace: &Workspace, files: &[FileDigests]) -> Option<ModelFile> {
    let file = files.iter().find(|file| file.path.as_ref().is_some_and(|path| path.as_str() == MODEL_FILE))?;
    let text = workspace.store.read_to_vec(&file.blake3, MAX_MODEL_FILE).ok()?;
    toml::from_str(std::str::from_utf8(&text).ok()?).ok()
}

/// A serial number that is made of the document, in the form of a UUID (RFC 9562, version 8).
fn serial_number(document: &str) -> String {
    let digest = Digest::of(document.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("urn:uuid:{}", uuid::Uuid::from_bytes(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
