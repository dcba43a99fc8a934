//! OpenSSF Model Signing: what is said of an artifact's files, and whether that is so.
//!
//! The statement is in-toto's, with the predicate `https://model_signing/signature/v1.0`: each file with its digest, and
//! as the subject the SHA-256 of all digests. Readers of that version ignore what else a predicate has, so ours names the
//! artifact too: who trusts the signer then knows without hashing every file again which artifact is meant.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::bundle::Bundle;
use super::content::{Listing, Named, is_a_name, sha256_of};
use super::dsse::{Envelope, EnvelopeSignature, pre_authentication, shown};
use super::keys::hex;
use super::statement::one_line;
use super::{Form, Place, SignError, Signer, Subject, Target, ledger};
use crate::id::{ArtifactId, Digest};
use crate::store::Store;
use crate::track::{Progress, Workspace};

/// The type of a statement.
pub(super) const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The type of the predicate.
const PREDICATE_TYPE: &str = "https://model_signing/signature/v1.0";
/// What is not signed of a folder, as the format's own program leaves it out.
const LEFT_OUT: [&str; 4] = [".git", ".gitattributes", ".github", ".gitignore"];

/// Signs the files of an artifact with an elliptic-curve key and keeps the signature; its place, and whether it is new.
///
/// The contents are read from the store; nothing is checked out.
pub fn sign_model(
    workspace: &Workspace,
    signer: &Signer,
    target: &Target<'_>,
    progress: &dyn Progress,
) -> Result<(Place, bool), SignError> {
    let Some(key) = signer.curve_key() else {
        return Err(SignError::NoKey { problem: "the key is no elliptic-curve key in PEM".to_owned() });
    };
    let author = workspace.repository.identity()?;
    if !workspace.store.has_artifact(&target.id)? {
        return Err(SignError::NotStored { id: target.id });
    }
    let payload = statement(&workspace.store, target, progress)?;
    let bytes = key.sign(&pre_authentication(&payload));
    let envelope = Envelope { payload, signatures: vec![EnvelopeSignature { key_id: String::new(), bytes }] };
    let bundle = Bundle { hint: Some(key.public().hint()), envelope };
    let content = bundle.to_json().to_string().into_bytes();
    if content.len() as u64 > Form::ModelSigning.limit() {
        let problem = "it has too many files for this form: sign it with an SSH key".to_owned();
        return Err(SignError::NotSignable { what: one_line(target.label), problem });
    }
    let place = Place::of(Subject::Artifact(target.id), Form::ModelSigning, &content);
    let line = format!("Sign {} in the format of OpenSSF Model Signing", one_line(target.label));
    let is_new = ledger::keep(&workspace.repository, &author, &place, &content, &line)?;
    Ok((place, is_new))
}

/// The statement about an artifact, as it is signed.
fn statement(store: &Store, target: &Target<'_>, progress: &dyn Progress) -> Result<Vec<u8>, SignError> {
    let Listing { mut files, has_links } = Listing::of(store, &store.manifest(&target.id)?)?;
    files.retain(|file| !is_left_out(&file.name));
    if files.is_empty() {
        let problem = "it has no files that this form signs".to_owned();
        return Err(SignError::NotSignable { what: one_line(target.label), problem });
    }
    let hashes = sha256_of(store, &files, None, progress)?;
    let mut root = Sha256::new();
    let mut resources = Vec::with_capacity(files.len());
    for file in &files {
        let sha = hashes.get(&file.digest).and_then(|shas| shas.first()).copied().unwrap_or_default();
        root.update(sha);
        resources.push(json!({ "name": file.name, "algorithm": "sha256", "digest": hex(&sha) }));
    }
    let document = json!({
        "_type": STATEMENT_TYPE,
        "subject": [{ "name": one_line(target.name), "digest": { "sha256": hex(&root.finalize()) } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": has_links,
                "ignore_paths": LEFT_OUT,
            },
            "resources": resources,
            "git_ml": { "artifact": target.id },
        },
    });
    Ok(document.to_string().into_bytes())
}

/// Whether the format's own program does not look at a file.
fn is_left_out(name: &str) -> bool {
    LEFT_OUT.contains(&name.split('/').next().unwrap_or(name))
}

#[derive(Debug, Deserialize)]
struct RawStatement {
    #[serde(rename = "_type")]
    statement_type: String,
    subject: Vec<RawSubject>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: RawPredicate,
}

#[derive(Debug, Deserialize)]
struct RawSubject {
    digest: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct RawPredicate {
    serialization: RawSerialization,
    resources: Vec<RawResource>,
    git_ml: Option<RawGitMl>,
}

#[derive(Debug, Deserialize)]
struct RawSerialization {
    method: String,
    hash_type: String,
    shard_size: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct RawResource {
    name: String,
    algorithm: String,
    digest: String,
}

#[derive(Debug, Deserialize)]
struct RawGitMl {
    artifact: String,
}

/// How the contents of files were hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hashing {
    Sha256,
    /// Each so many bytes by themselves.
    Shards(u64),
    /// As manifests have it.
    Blake3,
}

/// What a signed statement says of a model's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedFiles {
    /// The artifact, where it names one.
    pub(super) artifact: Option<ArtifactId>,
    hashing: Hashing,
    /// The digests of files, or of their shards, in hexadecimal digits.
    digests: BTreeMap<String, String>,
}

/// How what was signed compares with an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It is that.
    Same,
    /// It is not.
    Differs(String),
    /// The contents are not here, and nothing else tells.
    NotHere,
}

impl SignedFiles {
    /// Reads the payload of a bundle.
    pub(super) fn parse(payload: &[u8]) -> Result<Self, String> {
        let raw: RawStatement =
            serde_json::from_slice(payload).map_err(|error| format!("its statement cannot be read: {error}"))?;
        if raw.statement_type != STATEMENT_TYPE {
            return Err(format!("its statement is `{}`", shown(&raw.statement_type)));
        }
        if raw.predicate_type != PREDICATE_TYPE {
            return Err(format!("its predicate is `{}`, not `{PREDICATE_TYPE}`", shown(&raw.predicate_type)));
        }
        let RawPredicate { serialization, resources, git_ml } = raw.predicate;
        // What writes it knows one kind of number.
        let is_size = |size: &f64| size.fract() == 0.0 && (1.0..=9e15).contains(size);
        let shard_size = serialization.shard_size.filter(is_size).map(|size| size as u64);
        let words = (serialization.method.as_str(), serialization.hash_type.as_str(), shard_size);
        let (hashing, algorithm) = match words {
            ("files", "sha256", _) => (Hashing::Sha256, "sha256".to_owned()),
            ("files", "blake3", _) => (Hashing::Blake3, "blake3".to_owned()),
            ("shards", "sha256", Some(size)) => (Hashing::Shards(size), format!("sha256-sharded-{size}")),
            (method, hash, _) => return Err(format!("its files are hashed as `{} {}`", shown(method), shown(hash))),
        };
        let mut root = Sha256::new();
        let mut digests = BTreeMap::new();
        for RawResource { name, algorithm: own, digest } in resources {
            let file = if matches!(hashing, Hashing::Shards(_)) { shard_of(&name) } else { Some(name.as_str()) };
            if !file.is_some_and(is_a_name) {
                return Err(format!("it names `{}`, which is no file of an artifact", shown(&name)));
            }
            let Ok(bytes) = digest.parse::<Digest>() else {
                return Err(format!("it has no digest of {}", shown(&name)));
            };
            if own != algorithm {
                return Err(format!("it has a digest of {} by `{}`", shown(&name), shown(&own)));
            }
            root.update(bytes.as_bytes());
            if digests.insert(name, digest).is_some() {
                return Err("it names a file twice".to_owned());
            }
        }
        let [RawSubject { digest }] = raw.subject.as_slice() else {
            return Err(format!("it has {} subjects", raw.subject.len()));
        };
        if digest.get("sha256") != Some(&hex(&root.finalize())) {
            return Err("its subject is not the digest of its files".to_owned());
        }
        let artifact = git_ml.map(|named| named.artifact.parse()).transpose();
        let artifact = artifact.map_err(|_| "it names an artifact that cannot be one".to_owned())?;
        Ok(Self { artifact, hashing, digests })
    }

    /// Compares it with an artifact: by the artifact's id where it names one and `by_content` is not asked for, else by
    /// the contents. `own` is the digest of the signature's own file, which may lie in the artifact.
    pub(super) fn compare(
        &self,
        store: &Store,
        artifact: &ArtifactId,
        own: &Digest,
        by_content: bool,
        progress: &dyn Progress,
    ) -> Result<Comparison, SignError> {
        if let Some(named) = &self.artifact
            && (named != artifact || !by_content)
        {
            let same =
                if named == artifact { Comparison::Same } else { differs(format!("it is about artifact {named}")) };
            return Ok(same);
        }
        if !store.has_artifact(artifact)? {
            return Ok(Comparison::NotHere);
        }
        let files = Listing::of(store, &store.manifest(artifact)?)?.files;
        let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
        let signed = |name: &str| match self.hashing {
            Hashing::Shards(_) => shard_of(name).map(str::to_owned),
            _ => Some(name.to_owned()),
        };
        for name in self.digests.keys() {
            if !signed(name).is_some_and(|name| names.contains(name.as_str())) {
                return Ok(differs(format!("it names {}, which the artifact does not have", shown(name))));
            }
        }
        let covers = |file: &&Named| !is_left_out(&file.name) && file.digest != *own;
        let files: Vec<Named> = files.iter().filter(covers).cloned().collect();
        let actual = self.hash(store, &files, progress)?;
        for (name, digest) in &actual {
            match self.digests.get(name) {
                Some(signed) if signed == digest => {}
                Some(_) => return Ok(differs(format!("{} is not what was signed", shown(name)))),
                None => return Ok(differs(format!("{} is not signed", shown(name)))),
            }
        }
        // What it names and is left out here was not looked at.
        match self.digests.keys().find(|name| !actual.contains_key(*name)) {
            Some(name) => Ok(differs(format!("it names {}, which was not compared", shown(name)))),
            None => Ok(Comparison::Same),
        }
    }

    /// The digests of files as they are, by the names that the statement uses.
    fn hash(
        &self,
        store: &Store,
        files: &[Named],
        progress: &dyn Progress,
    ) -> Result<BTreeMap<String, String>, SignError> {
        let shard = match self.hashing {
            Hashing::Blake3 => {
                return Ok(files.iter().map(|file| (file.name.clone(), file.digest.to_string())).collect());
            }
            Hashing::Sha256 => None,
            Hashing::Shards(size) => Some(size),
        };
        let hashes = sha256_of(store, files, shard, progress)?;
        let mut digests = BTreeMap::new();
        for file in files {
            let mut start = 0;
            for sha in hashes.get(&file.digest).into_iter().flatten() {
                let name = match shard {
                    None => file.name.clone(),
                    Some(size) => {
                        let end = (start + size).min(file.bytes);
                        let name = format!("{}:{start}:{end}", file.name);
                        start = end;
                        name
                    }
                };
                digests.insert(name, hex(sha));
            }
        }
        Ok(digests)
    }
}

fn differs(problem: String) -> Comparison {
    Comparison::Differs(problem)
}

/// The file of a shard that is called `file:start:end`.
fn shard_of(name: &str) -> Option<&str> {
    let (rest, end) = name.rsplit_once(':')?;
    let (file, start) = rest.rsplit_once(':')?;
    let is_number = |text: &str| !text.is_empty() && text.len() < 20 && text.bytes().all(|byte| byte.is_ascii_digit());
    (is_number(start) && is_number(end)).then_some(file)
}
