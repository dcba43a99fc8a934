//! What is signed is found out; what is not, is refused, whatever it looks like.

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::bundle::Bundle;
use super::check::{Outcome, by_curve_key};
use super::dsse::{Envelope, EnvelopeSignature, pre_authentication};
use super::keys::{PrivateKey, PublicKey, hex};
use super::ledger::Place;
use super::model::SignedFiles;
use super::sshsig::{SshSig, armour, unarmour};
use super::trust::TrustedKey;
use super::{Form, Statement, Subject, Trust};
use crate::id::{ArtifactId, Digest, RunId};

fn p256(number: u8) -> PrivateKey {
    PrivateKey::P256(p256::ecdsa::SigningKey::from_slice(&[number; 32]).unwrap())
}

fn p384(number: u8) -> PrivateKey {
    PrivateKey::P384(p384::ecdsa::SigningKey::from_slice(&[number; 48]).unwrap())
}

fn trust_in(keys: &[PublicKey]) -> Trust {
    let keys = keys.iter().map(|key| TrustedKey { name: "ada".to_owned(), key: *key }).collect();
    Trust { allowed: None, revoked: None, keys, program: "false".to_owned() }
}

fn envelope(key: &PrivateKey, payload: &[u8]) -> Envelope {
    let bytes = key.sign(&pre_authentication(payload));
    Envelope { payload: payload.to_vec(), signatures: vec![EnvelopeSignature { key_id: String::new(), bytes }] }
}

fn bundle(key: &PrivateKey, payload: &[u8]) -> Vec<u8> {
    let bundle = Bundle { hint: Some(key.public().hint()), envelope: envelope(key, payload) };
    bundle.to_json().to_string().into_bytes()
}

/// What comes of a bundle for somebody who trusts these keys; none where it does not read.
fn outcome(content: &[u8], trusted: &[PublicKey]) -> Option<(Outcome, Vec<u8>)> {
    let Bundle { hint, envelope } = Bundle::parse(content).ok()?;
    Some((by_curve_key(&trust_in(trusted), &envelope, hint.as_deref()).outcome, envelope.payload))
}

/// A statement about files of these digests, as OpenSSF Model Signing has it.
fn statement(resources: &[(&str, &str, &str)]) -> Value {
    let mut root = Sha256::new();
    for (_, _, digest) in resources {
        if let Ok(digest) = digest.parse::<Digest>() {
            root.update(digest.as_bytes());
        }
    }
    let resource = |(name, algorithm, digest): &(&str, &str, &str)| json!({ "name": name, "algorithm": algorithm, "digest": digest });
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "m", "digest": { "sha256": hex(&root.finalize()) } }],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": { "method": "files", "hash_type": "sha256", "allow_symlinks": false },
            "resources": resources.iter().map(resource).collect::<Vec<_>>(),
        },
    })
}

fn digest(number: u8) -> String {
    Digest::from_bytes([number; 32]).to_string()
}

#[test]
fn a_key_counts_only_for_what_it_signed() {
    for (key, other) in [(p256(7), p256(8)), (p384(7), p384(8))] {
        let content = bundle(&key, b"payload");
        let judge = |trusted: &[PublicKey]| outcome(&content, trusted).unwrap().0;
        assert_eq!(judge(&[key.public()]), Outcome::Good);
        assert_eq!(judge(&[other.public(), key.public()]), Outcome::Good);
        assert_eq!(judge(&[other.public()]), Outcome::UnknownSigner);
        assert_eq!(judge(&[]), Outcome::UnknownSigner);
        assert_eq!(format!("{key:?}"), "PrivateKey");

        // Signed by one key and said to be by another.
        let false_hint = Bundle { hint: Some(other.public().hint()), envelope: envelope(&key, b"payload") };
        let false_hint = false_hint.to_json().to_string().into_bytes();
        assert_eq!(outcome(&false_hint, &[key.public(), other.public()]).unwrap().0, Outcome::Bad);
        assert_eq!(outcome(&false_hint, &[other.public()]).unwrap().0, Outcome::Bad);
    }
}

#[test]
fn no_changed_byte_of_a_bundle_changes_what_counts_as_signed() {
    let key = p256(7);
    let payload = statement(&[("a", "sha256", &digest(1))]).to_string().into_bytes();
    let good = bundle(&key, &payload);
    let mut refused = 0;
    for place in 0..good.len() {
        for change in [1_u8, 0x20, 0x80] {
            let mut content = good.clone();
            content[place] ^= change;
            match outcome(&content, &[key.public()]) {
                Some((Outcome::Good, signed)) => assert_eq!(signed, payload, "byte {place}"),
                _ => refused += 1,
            }
        }
    }
    assert!(refused > good.len(), "{refused} of {} changes were refused", 3 * good.len());
    for end in 0..good.len() {
        assert!(Bundle::parse(&good[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn statements_that_say_anything_twice_or_name_anything_outside_are_refused() {
    let (one, two) = (digest(1), digest(2));
    let parse = |statement: &Value| SignedFiles::parse(statement.to_string().as_bytes());
    assert!(parse(&statement(&[("a/b", "sha256", &one), (".gitattributes", "sha256", &two)])).is_ok());
    let named = |name: &str| statement(&[(name, "sha256", &one)]);
    for name in ["../x", "/etc/passwd", "a/../../x", "a//b", "", "a/", ".git/config", "a\0b", "a\nb"] {
        assert!(parse(&named(name)).is_err(), "{name:?}");
    }
    let problem = |statement: &Value| parse(statement).unwrap_err();
    assert_eq!(problem(&statement(&[("a", "sha256", &one), ("a", "sha256", &one)])), "it names a file twice");
    assert!(problem(&statement(&[("a", "md5", &one)])).contains("by `md5`"));
    assert!(problem(&statement(&[("a", "sha256", "abc")])).contains("no digest"));
    assert!(problem(&statement(&[("a", "sha256", &one.to_uppercase().replace('0', "A"))])).contains("no digest"));
    let with = |pointer: &str, value: Value| {
        let mut changed = named("a");
        *changed.pointer_mut(pointer).unwrap() = value;
        problem(&changed)
    };
    assert!(with("/_type", json!("https://in-toto.io/Statement/v0.1")).contains("Statement/v0.1"));
    assert!(with("/predicateType", json!("https://slsa.dev/provenance/v1")).contains("its predicate is"));
    assert_eq!(with("/subject/0/digest/sha256", json!(two)), "its subject is not the digest of its files");
    assert_eq!(with("/subject", json!([])), "it has 0 subjects");
    assert!(with("/predicate/serialization/hash_type", json!("md5")).contains("files md5"));
    assert!(with("/predicate/serialization/method", json!("\u{1b}[2J")).contains("\\u{1b}[2J"));
    assert!(with("/predicate/resources", json!("all")).contains("cannot be read"));
    let twice = named("a").to_string().replace("\"name\":\"a\"", "\"name\":\"a\",\"name\":\"b\"");
    assert!(SignedFiles::parse(twice.as_bytes()).unwrap_err().contains("duplicate field"));

    let shards = |name: &str, size: Value| {
        let mut changed = statement(&[(name, "sha256-sharded-100", &one)]);
        changed["predicate"]["serialization"] =
            json!({ "method": "shards", "hash_type": "sha256", "shard_size": size, "allow_symlinks": false });
        parse(&changed)
    };
    assert!(shards("a:0:100", json!(100)).is_ok() && shards("a:0:100", json!(100.0)).is_ok());
    for name in ["a", "a:0", ":0:1", "a:-1:1", "a:0:x", "../a:0:1", "a:0:99999999999999999999999"] {
        assert!(shards(name, json!(100)).is_err(), "{name}");
    }
    for size in [json!(0), json!(-1), json!(101), json!(100.5), json!(1e300), json!(null), json!("100")] {
        assert!(shards("a:0:100", size.clone()).is_err(), "{size}");
    }
}

#[test]
fn envelopes_of_another_kind_are_refused() {
    let good = envelope(&p256(7), b"{}").to_json();
    assert!(Envelope::parse(good.to_string().as_bytes()).is_ok());
    let with = |key: &str, value: Value| {
        let mut changed = good.clone();
        changed[key] = value;
        Envelope::parse(changed.to_string().as_bytes()).unwrap_err()
    };
    assert!(with("payloadType", json!("text/html")).contains("its payload is `text/html`"));
    assert_eq!(with("payload", json!("%%%")), "its payload is not base64");
    assert_eq!(with("signatures", json!([])), "it has 0 signatures");
    let many = vec![good["signatures"][0].clone(); 17];
    assert_eq!(with("signatures", json!(many)), "it has 17 signatures");
    assert!(Envelope::parse("[".repeat(100_000).as_bytes()).is_err());
    // The other alphabet of base64 is as good.
    let mut other = good.clone();
    other["payload"] = json!("_-8=");
    assert_eq!(Envelope::parse(other.to_string().as_bytes()).unwrap().payload, [255, 239]);
    // What is signed has the type of the payload in it, as the specification of DSSE has it.
    assert_eq!(pre_authentication(b"hello world"), b"DSSEv1 28 application/vnd.in-toto+json 11 hello world");
}

#[test]
fn places_have_one_path() {
    let artifact = Subject::Artifact(ArtifactId::from_bytes([0xab; 32]));
    let run = Subject::Run(RunId::from_bytes([0xcd; 16]));
    for (subject, form) in [(artifact, Form::Ssh), (artifact, Form::ModelSigning), (run, Form::Provenance)] {
        let place = Place::of(subject, form, b"content");
        assert_eq!(Place::parse(&place.path()), Some(place));
        for wrong in [
            place.path().to_uppercase(),
            format!("x/{}", place.path()),
            format!("{}/x", place.path()),
            place.path().replacen("ab/", "ac/", 1).replacen("cd/", "ce/", 1),
            place.path().replace(form.suffix(), "toml"),
            place.path().replacen("artifacts/", "runs/", 1).replacen("runs/cd", "artifacts/cd", 1),
        ] {
            assert_eq!(Place::parse(&wrong), None, "{wrong}");
        }
    }
    // An attestation is of a run, a signature of an artifact.
    assert_eq!(Place::parse(&Place::of(artifact, Form::Provenance, b"x").path()), None);
    assert_eq!(Place::parse(&Place::of(run, Form::Ssh, b"x").path()), None);
}

#[test]
fn a_signature_of_openssh_that_is_cut_anywhere_is_refused() {
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let key = [string(b"ssh-ed25519"), string(&[5; 32])].concat();
    let parts = [string(&key), string(b"git-ml"), string(b""), string(b"sha512"), string(&[9; 83])].concat();
    let blob = [b"SSHSIG\x00\x00\x00\x01", parts.as_slice()].concat();
    let armoured = armour(&blob);
    assert_eq!(unarmour(&armoured).unwrap(), blob);
    let signature = SshSig::parse(&armoured).unwrap();
    assert_eq!((signature.namespace.as_str(), &signature.key), ("git-ml", &key));
    for end in 0..blob.len() {
        assert!(SshSig::parse_blob(&blob[..end]).is_err(), "cut at {end}");
    }
    assert!(SshSig::parse_blob(&[blob.as_slice(), b"x"].concat()).is_err());
    let huge = [b"SSHSIG\x00\x00\x00\x01".as_slice(), &[0xff; 4], b"x"].concat();
    assert!(SshSig::parse_blob(&huge).is_err());
    assert!(SshSig::parse(&format!("{armoured}more")).is_err());
    assert!(unarmour(&armoured.replace("-----END", "----END")).is_err());
}

proptest! {
    #[test]
    fn nothing_that_is_read_panics(text in "\\PC{0,200}", bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = (Envelope::parse(&bytes), Bundle::parse(&bytes), SignedFiles::parse(&bytes));
        let _ = (Statement::parse(&text), Statement::split(&bytes), SshSig::parse_blob(&bytes), SshSig::parse(&text));
        let _ = (Place::parse(&text), PublicKey::from_pem(&text), super::trust::allowed_lines(&text, "A"));
    }

    #[test]
    fn statements_round_trip_and_have_one_text(
        name in "[^\\p{Cc}]{0,20}", files in any::<u64>(), bytes in any::<u64>(), second in 0_i64..4_000_000_000,
        cut in 0_usize..60,
    ) {
        let statement = Statement {
            artifact: ArtifactId::from_bytes([3; 32]),
            name,
            artifact_type: "model".to_owned(),
            files,
            bytes,
            signed: jiff::Timestamp::from_second(second).unwrap(),
        };
        let text = statement.to_text();
        prop_assert_eq!(Statement::parse(&text).unwrap(), statement);
        for changed in [text.replacen("files ", "files +", 1), text.replace('\n', "\r\n"), format!("{text}\n"), format!(" {text}")] {
            prop_assert!(Statement::parse(&changed).is_err());
        }
        let end = text.len().saturating_sub(cut + 1);
        if text.is_char_boundary(end) {
            prop_assert!(Statement::parse(&text[..end]).is_err());
        }
    }
}
