//! Provenance of runs: which code, data and parameters made which outputs, where and when.
//!
//! The statement is in-toto's, the predicate is SLSA Provenance 1 (slsa.dev/spec/v1.0/provenance), in a DSSE envelope. An
//! output is a subject as a whole, by its manifest, and file by file; docs/signing.md has every field.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::check::{Depth, Verdict, by_curve_key, by_ssh};
use super::content::file_digests;
use super::dsse::{Envelope, EnvelopeSignature, pre_authentication, shown};
use super::keys::hex;
use super::model::STATEMENT_TYPE;
use super::statement::one_line;
use super::{Form, Ledger, Outcome, Place, SignError, Signer, Subject, Trust, ledger, sshsig};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::run::{Run, RunStatus, Runs};
use crate::store::{Manifest, Mode, Store, StoreError};
use crate::track::{Progress, Workspace};

/// The type of the predicate.
const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// What kind of build a run is: what its parameters mean.
const BUILD_TYPE: &str = "https://crates.io/crates/git-ml#run-v1";
/// Who builds: git-ml, on a machine of whoever signs.
const BUILDER: &str = "https://crates.io/crates/git-ml#supervisor-v1";
/// Files that are subjects of their own; where there are more, the manifests stand for them.
const MAX_FILES: usize = 10_000;
/// What of the environment is told elsewhere, or says only where things are on one machine.
const NOT_TOLD: [&str; 2] = ["python_packages", "python_path"];

/// Attests how a run's outputs were made, and keeps the attestation; its place, and whether it is new.
///
/// `source` is where the code is found by others, as a URL; credentials in it are left out. What the same key said of the
/// run before, if nothing of it changed, stays.
pub fn attest(
    workspace: &Workspace,
    signer: &Signer,
    run: &Run,
    source: Option<&str>,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<(Place, bool), SignError> {
    let repository = &workspace.repository;
    let author = repository.identity()?;
    let refuse =
        |problem: &str| SignError::NotSignable { what: format!("run {}", run.name), problem: problem.to_owned() };
    if run.status == RunStatus::Running {
        return Err(refuse("it goes on"));
    }
    if run.outputs.is_empty() {
        return Err(refuse("it has no outputs, and an attestation is about them"));
    }
    let statement = Provenance { run, source, signed: now }.statement(&workspace.store, progress)?;
    let payload = statement.to_string().into_bytes();
    let message = pre_authentication(&payload);
    let signature = match signer.curve_key() {
        Some(key) => EnvelopeSignature { key_id: key.public().hint(), bytes: key.sign(&message) },
        None => {
            let (armour, key) = signer.sign_ssh(workspace, &message)?;
            let malformed = |message| SignError::NotSigned { program: signer.program().to_owned(), message };
            let bytes = sshsig::unarmour(&armour).map_err(malformed)?;
            EnvelopeSignature { key_id: sshsig::fingerprint(&key), bytes }
        }
    };
    let subject = Subject::Run(run.id);
    for old in Ledger::open(repository)?.of(&subject)? {
        if let Ok(content) = old.content(repository)?
            && says_the_same(signer, &content, &statement, &signature)?
        {
            return Ok((old.place, false));
        }
    }
    let content = Envelope { payload, signatures: vec![signature] }.to_json().to_string().into_bytes();
    if content.len() as u64 > Form::Provenance.limit() {
        return Err(refuse("its attestation would be too large"));
    }
    let place = Place::of(subject, Form::Provenance, &content);
    let line = format!("Attest run {}", one_line(&run.name));
    let is_new = ledger::keep(repository, &author, &place, &content, &line)?;
    Ok((place, is_new))
}

/// Whether an attestation that is kept differs from a new one by the time alone, and is by the same key.
fn says_the_same(
    signer: &Signer,
    content: &[u8],
    statement: &Value,
    signature: &EnvelopeSignature,
) -> Result<bool, SignError> {
    let Ok(envelope) = Envelope::parse(content) else { return Ok(false) };
    let [old] = envelope.signatures.as_slice() else { return Ok(false) };
    let timeless = |mut value: Value| {
        if let Some(metadata) = value.pointer_mut("/predicate/runDetails/metadata").and_then(Value::as_object_mut) {
            metadata.remove(SIGNED_ON);
        }
        value
    };
    let before = serde_json::from_slice(&envelope.payload).unwrap_or(Value::Null);
    if old.key_id != signature.key_id || timeless(before) != timeless(statement.clone()) {
        return Ok(false);
    }
    let message = pre_authentication(&envelope.payload);
    match signer.curve_key() {
        Some(key) => Ok(key.public().verifies(&message, &old.bytes)),
        None => super::ssh::is_by_its_key(signer.program(), &message, &sshsig::armour(&old.bytes)),
    }
}

/// The field of the metadata with the time of signing, which the specification leaves to vendors.
const SIGNED_ON: &str = "gitml_signedOn";

/// What is said of a run.
struct Provenance<'p> {
    run: &'p Run,
    source: Option<&'p str>,
    signed: Timestamp,
}

impl Provenance<'_> {
    fn statement(&self, store: &Store, progress: &dyn Progress) -> Result<Value, SignError> {
        let run = self.run;
        Ok(json!({
            "_type": STATEMENT_TYPE,
            "subject": self.subjects(store, progress)?,
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "buildDefinition": {
                    "buildType": BUILD_TYPE,
                    "externalParameters": self.external_parameters(),
                    "internalParameters": {
                        "head": run.commit,
                        "dirty": run.dirty,
                        "status": run.status,
                        "user": run.user,
                        "host": run.host,
                        "environment": self.environment(),
                    },
                    "resolvedDependencies": self.dependencies(store)?,
                },
                "runDetails": {
                    "builder": { "id": BUILDER, "version": self.versions() },
                    "metadata": {
                        "invocationId": run.id,
                        "startedOn": run.started,
                        "finishedOn": run.ended,
                        SIGNED_ON: Timestamp::from_second(self.signed.as_second()).unwrap_or(self.signed),
                    },
                },
            },
        }))
    }

    /// The outputs, each by its manifest, and their files.
    fn subjects(&self, store: &Store, progress: &dyn Progress) -> Result<Vec<Value>, SignError> {
        let mut subjects = Vec::new();
        let mut files = 0;
        for output in &self.run.outputs {
            if !store.has_artifact(&output.id)? {
                return Err(SignError::NotStored { id: output.id });
            }
            let manifest = store.manifest(&output.id)?;
            let digest = manifest_digests(&manifest);
            subjects.push(json!({ "name": format!("{}.manifest", output.name), "digest": digest }));
            files += manifest.entries().iter().filter(|entry| entry.mode != Mode::Symlink).count();
            if files > MAX_FILES {
                continue;
            }
            for file in file_digests(store, &manifest, progress)? {
                let name = file.path.map_or_else(|| output.name.clone(), |path| format!("{}/{path}", output.name));
                let digest = json!({ "sha256": file.sha256, "blake3": file.blake3 });
                subjects.push(json!({ "name": name, "digest": digest }));
            }
        }
        Ok(subjects)
    }

    /// What whoever started the run chose.
    fn external_parameters(&self) -> Map<String, Value> {
        let run = self.run;
        let mut parameters = Map::new();
        parameters.extend(run.experiment.as_ref().map(|name| ("experiment".to_owned(), json!(name))));
        parameters.insert("command".to_owned(), json!(run.command));
        parameters.extend(run.folder.as_ref().map(|folder| ("folder".to_owned(), json!(folder))));
        parameters.insert("parameters".to_owned(), json!(run.params));
        parameters.extend(run.seed.map(|seed| ("seed".to_owned(), json!(seed))));
        parameters
    }

    fn environment(&self) -> BTreeMap<&String, &String> {
        self.run.environment.iter().filter(|(name, _)| !NOT_TOLD.contains(&name.as_str())).collect()
    }

    /// The code, the data and the packages.
    fn dependencies(&self, store: &Store) -> Result<Vec<Value>, SignError> {
        let run = self.run;
        let mut dependencies = Vec::new();
        if let Some(code) = &run.snapshot {
            let mut descriptor = json!({ "name": "code", "digest": { "gitCommit": code } });
            if let Some(uri) = self.source.and_then(source_uri) {
                descriptor["uri"] = json!(uri);
            }
            dependencies.push(descriptor);
        }
        for input in &run.inputs {
            // The data itself need not be here to be named.
            let digest = match store.manifest(&input.id) {
                Ok(manifest) => manifest_digests(&manifest),
                Err(StoreError::Missing { .. }) => json!({ "blake3": input.id }),
                Err(error) => return Err(error.into()),
            };
            dependencies.push(json!({ "name": format!("{}.manifest", input.path), "digest": digest }));
        }
        let packages = run.environment.get("python_packages").map(String::as_str).unwrap_or_default();
        let packages = packages.lines().filter_map(python_package);
        dependencies.extend(packages.map(|uri| json!({ "uri": uri })));
        Ok(dependencies)
    }

    fn versions(&self) -> BTreeMap<&'static str, &String> {
        let known = [("git-ml", "git_ml"), ("libtorch", "libtorch"), ("python", "python")];
        known.into_iter().filter_map(|(name, key)| Some((name, self.run.environment.get(key)?))).collect()
    }
}

/// The digests of an artifact: those of its manifest, which `git ml manifest` prints.
fn manifest_digests(manifest: &Manifest) -> Value {
    let text = manifest.to_bytes();
    json!({ "sha256": hex(&Sha256::digest(&text)), "blake3": manifest.id() })
}

/// The package URL of a line `name==version`, as Python's packages are listed in a run's environment.
pub fn python_package(line: &str) -> Option<String> {
    let (name, version) = line.split_once("==")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    if name.is_empty() || version.is_empty() || !name.chars().all(is_plain) {
        return None;
    }
    // A local version has a plus, which package URLs spell out.
    let version: String = version.chars().map(|c| if is_plain(c) { c.to_string() } else { percent(c) }).collect();
    Some(format!("pkg:pypi/{}@{version}", name.to_lowercase().replace('_', "-")))
}

fn percent(c: char) -> String {
    let mut bytes = [0; 4];
    c.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The URI of a git remote as others reach it: without credentials, and none of places on this machine.
pub fn source_uri(url: &str) -> Option<String> {
    let is_plain = |text: &str| !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control());
    if !is_plain(url) {
        return None;
    }
    let (scheme, host, path) = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/')?;
            (scheme, host, path)
        }
        // As `ssh` has it: git@host:path
        None => {
            let (host, path) = url.split_once(':')?;
            ("ssh", host, path.trim_start_matches('/'))
        }
    };
    if !["http", "https", "ssh", "git"].contains(&scheme) {
        return None;
    }
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let is_host = |host: &str| !host.is_empty() && !host.contains(['/', '\\']);
    (is_host(host) && !path.is_empty()).then(|| format!("git+{scheme}://{host}/{path}"))
}

#[derive(Debug, Deserialize)]
struct RawStatement {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<RawDescriptor>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: RawPredicate,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct RawDescriptor {
    name: Option<String>,
    #[serde(default)]
    digest: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawPredicate {
    build_definition: RawDefinition,
    run_details: RawDetails,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDefinition {
    build_type: String,
    #[serde(default)]
    resolved_dependencies: Vec<RawDescriptor>,
}

#[derive(Debug, Deserialize)]
struct RawDetails {
    metadata: RawMetadata,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMetadata {
    invocation_id: String,
    #[serde(rename = "gitml_signedOn")]
    signed: Option<Timestamp>,
}

/// What an attestation says, as far as it is compared.
struct Attested {
    run: RunId,
    signed: Option<Timestamp>,
    subjects: Vec<RawDescriptor>,
    dependencies: Vec<RawDescriptor>,
}

impl Attested {
    fn parse(payload: &[u8]) -> Result<Self, String> {
        let raw: RawStatement =
            serde_json::from_slice(payload).map_err(|error| format!("its statement cannot be read: {error}"))?;
        let definition = raw.predicate.build_definition;
        for (found, wanted) in [
            (&raw.statement_type, STATEMENT_TYPE),
            (&raw.predicate_type, PREDICATE_TYPE),
            (&definition.build_type, BUILD_TYPE),
        ] {
            if found != wanted {
                return Err(format!("it is `{}`, not `{wanted}`", shown(found)));
            }
        }
        let RawMetadata { invocation_id, signed } = raw.predicate.run_details.metadata;
        let run = invocation_id.parse().map_err(|_| "it names no run".to_owned())?;
        Ok(Self { run, signed, subjects: raw.subject, dependencies: definition.resolved_dependencies })
    }

    fn digests(descriptors: &[RawDescriptor], algorithm: &str) -> BTreeSet<String> {
        descriptors.iter().filter_map(|descriptor| descriptor.digest.get(algorithm).cloned()).collect()
    }

    /// Where the record of the run says something else.
    fn difference(&self, run: &Run) -> Option<String> {
        let subjects = Self::digests(&self.subjects, "blake3");
        let read = Self::digests(&self.dependencies, "blake3");
        let code = Self::digests(&self.dependencies, "gitCommit");
        let lacks = |known: &BTreeSet<String>, id: &ArtifactId| !known.contains(&id.to_string());
        if let Some(output) = run.outputs.iter().find(|output| lacks(&subjects, &output.id)) {
            return Some(format!("it does not know the output {} of the run", shown(&output.name)));
        }
        if let Some(input) = run.inputs.iter().find(|input| lacks(&read, &input.id)) {
            return Some(format!("it does not know that the run read {}", shown(input.path.as_str())));
        }
        let snapshot: BTreeSet<String> = run.snapshot.iter().map(CommitId::to_string).collect();
        (snapshot != code).then(|| "the code of the run is another commit".to_owned())
    }
}

/// Checks an attestation of a run: who made it, and whether the run's record says the same.
pub(super) fn check_provenance(
    workspace: &Workspace,
    trust: &Trust,
    run_id: &RunId,
    content: &[u8],
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Verdict, SignError> {
    let read = || {
        let envelope = Envelope::parse(content)?;
        let attested = Attested::parse(&envelope.payload)?;
        Ok::<_, String>((envelope, attested))
    };
    let (envelope, attested) = match read() {
        Ok(read) => read,
        Err(problem) => return Ok(Verdict::new(Outcome::Unreadable, problem)),
    };
    let verdict = Verdict { signed: attested.signed, ..by_anybody(trust, &envelope, attested.signed)? };
    if !verdict.is_good() {
        return Ok(verdict);
    }
    if attested.run != *run_id {
        return Ok(verdict.becomes(Outcome::Mismatch, format!("it is about run {}", attested.run)));
    }
    let Some(run) = Runs::new(workspace).get(run_id)? else {
        return Ok(verdict.becomes(Outcome::NotHere, format!("run {run_id} is not here")));
    };
    if let Some(problem) = attested.difference(&run) {
        return Ok(verdict.becomes(Outcome::Mismatch, problem));
    }
    if depth == Depth::Names {
        return Ok(verdict);
    }
    let now = Provenance { run: &run, source: None, signed: run.started };
    let subjects = match now.subjects(&workspace.store, progress) {
        Ok(subjects) => subjects,
        Err(SignError::NotStored { id }) => {
            return Ok(verdict.becomes(Outcome::NotHere, format!("artifact {id} is not in this store")));
        }
        Err(error) => return Err(error),
    };
    let subjects: Vec<RawDescriptor> = serde_json::from_value(Value::Array(subjects)).unwrap_or_default();
    match subjects == attested.subjects {
        true => Ok(verdict),
        false => Ok(verdict.becomes(Outcome::Mismatch, "its subjects are not the outputs of the run")),
    }
}

/// Who made the signatures of an envelope: the first that is good counts, else the first.
fn by_anybody(trust: &Trust, envelope: &Envelope, time: Option<Timestamp>) -> Result<Verdict, SignError> {
    let mut first: Option<Verdict> = None;
    for signature in &envelope.signatures {
        let verdict = match signature.bytes.starts_with(b"SSHSIG") {
            true => by_ssh(trust, &pre_authentication(&envelope.payload), &sshsig::armour(&signature.bytes), time)?,
            false => {
                let alone = Envelope { payload: envelope.payload.clone(), signatures: vec![signature.clone()] };
                let key_id = Some(signature.key_id.as_str()).filter(|id| !id.is_empty());
                by_curve_key(trust, &alone, key_id)
            }
        };
        if verdict.is_good() {
            return Ok(verdict);
        }
        first.get_or_insert(verdict);
    }
    Ok(first.unwrap_or_else(|| Verdict::new(Outcome::Unreadable, "it has no signature")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_code_has_no_credentials() {
        let uri = |url: &str| source_uri(url).unwrap_or_default();
        assert_eq!(uri("https://ada:secret@example.com/a/b.git"), "git+https://example.com/a/b.git");
        assert_eq!(uri("https://example.com/a.git?token=secret#x"), "git+https://example.com/a.git");
        assert_eq!(uri("git@example.com:a/b.git"), "git+ssh://example.com/a/b.git");
        assert_eq!(uri("ssh://git@example.com:22/a"), "git+ssh://example.com:22/a");
        for here in ["/home/ada/repo", "../repo", "file:///home/ada", "", "https://example.com", "https://a b/c", "a:"]
        {
            assert_eq!(source_uri(here), None, "{here}");
        }
    }

    #[test]
    fn packages_have_the_names_of_their_registry() {
        assert_eq!(python_package("Scikit_Learn==1.5.0").as_deref(), Some("pkg:pypi/scikit-learn@1.5.0"));
        assert_eq!(python_package("torch==2.13.0+cpu").as_deref(), Some("pkg:pypi/torch@2.13.0%2Bcpu"));
        assert_eq!([python_package("nothing"), python_package("==1"), python_package("a b==1")], [None, None, None]);
    }
}
