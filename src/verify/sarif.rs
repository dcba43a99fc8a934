//! Findings as SARIF 2.1.0 (OASIS), which GitHub code scanning and editors read.

use serde_json::{Value, json};

use crate::id::Digest;

use super::{Code, Finding, Report, Severity};

/// The schema of the format.
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// Where to read about findings, in the repository of this program.
const PAGE: &str = "docs/findings.md";

/// The document: a rule for each kind of finding, and a result for each finding.
pub fn to_sarif(report: &Report) -> Value {
    let rules: Vec<Value> = Code::ALL.iter().map(|code| rule(*code)).collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "git-ml", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(severity: Severity) -> &'static str {
    severity.as_str()
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "shortDescription": {"text": code.summary()},
        "help": {"text": format!("{} {PAGE} explains it, and what to do.", code.summary())},
        "defaultConfiguration": {"level": level(code.severity())},
    })
}

fn result(finding: &Finding) -> Value {
    let Finding { severity, code, target, message, hint, .. } = finding;
    let index = Code::ALL.iter().position(|other| other == code);
    // The same finding has the same print, whatever its words are by then.
    let print = Digest::of(format!("{}\n{target}", code.as_str()).as_bytes());
    json!({
        "ruleId": code.as_str(),
        "ruleIndex": index,
        "level": level(*severity),
        "message": {"text": format!("{message}. Hint: {hint}")},
        "locations": [{
            "physicalLocation": {"artifactLocation": {"uri": uri(&finding.place())}},
            "logicalLocations": [{"fullyQualifiedName": target}],
        }],
        "partialFingerprints": {"finding/v1": print.to_string()},
    })
}

/// A path as a relative reference (RFC 3986): every byte but those that mean nothing else is escaped.
fn uri(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/@+=!$'()*;&".contains(&byte);
    let escape = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Checked;
    use super::*;

    #[test]
    fn every_finding_has_its_rule_and_a_place() {
        let findings = vec![
            Finding::new(Code::UnreadablePointer, "data/ä b.mlref", "it is bad", "mend it").at_pointer("data/ä b"),
            Finding::new(Code::DamagedPack, "pack:12", "it is bad", "mend it"),
            Finding::new(Code::MissingCommit, "digits@v1", "no commit", "fetch it"),
            Finding::new(Code::UnreadableRef, "refs/ml/runs", "no commit", "fetch it"),
            Finding::new(Code::ForeignFile, "refs/ml/runs:x", "a file", "look"),
        ];
        let report = Report { ok: false, checked: Checked::default(), findings, elsewhere: 0 };
        let document = to_sarif(&report);
        let run = &document["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        assert_eq!(rules.len(), Code::ALL.len());
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(rules[index]["id"], result["ruleId"]);
            assert_eq!(rules[index]["defaultConfiguration"]["level"], result["level"]);
        }
        let places: Vec<&Value> = run["results"]
            .as_array()
            .unwrap()
            .iter()
            .map(|result| &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"])
            .collect();
        let expected = [
            "data/%C3%A4%20b.mlref",
            ".git/ml/packs/12.pack",
            ".git/refs/ml/registry",
            ".git/refs/ml/runs",
            ".git/refs/ml/runs",
        ];
        assert_eq!(places, expected);
    }
}
