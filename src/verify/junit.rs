//! Findings as JUnit's XML, which Jenkins, GitLab and others show as tests.
//!
//! The document follows both schemas in use: Ant's (`JUnit.xsd`, which wants every attribute and element of a suite) and
//! that of Jenkins' xUnit plugin (`junit-10.xsd`). A kind of finding is a test: it passes where nothing was found, and
//! fails once for each target.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::{Code, Finding, Report, Severity};

/// Where and when a verification ran.
#[derive(Debug, Clone, Copy)]
pub struct Suite<'s> {
    /// The machine.
    pub host: &'s str,
    /// When it began.
    pub started: Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// The document. Errors are failures; warnings are told in the suite's output.
pub fn to_junit(report: &Report, suite: &Suite<'_>) -> String {
    let mut failed: BTreeMap<(Code, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| finding.severity == Severity::Error) {
        failed.entry((finding.code, &finding.target)).or_default().push(finding);
    }
    let passed: Vec<&Code> =
        Code::ALL.iter().filter(|code| !failed.keys().any(|(failed, _)| failed == *code)).collect();
    let (tests, failures) = (failed.len() + passed.len(), failed.len());
    let Suite { host, started, seconds } = suite;
    let (host, started) = (escape(host), started.strftime("%Y-%m-%dT%H:%M:%S"));
    // Writing to a string does not fail.
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n".to_owned();
    let _ = writeln!(
        text,
        "  <testsuite id=\"0\" package=\"git-ml\" name=\"verify\" timestamp=\"{started}\" hostname=\"{host}\" \
         tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{seconds:.3}\">"
    );
    text += "    <properties>\n";
    let super::Checked { artifacts, files, bytes, runs, versions, signatures } = report.checked;
    let counts = [
        ("artifacts", artifacts),
        ("files", files),
        ("bytes", bytes),
        ("runs", runs),
        ("versions", versions),
        ("signatures", signatures),
    ];
    for (name, value) in counts {
        let _ = writeln!(text, "      <property name=\"{name}\" value=\"{value}\"/>");
    }
    text += "    </properties>\n";
    for ((code, target), findings) in &failed {
        let name = escape(&format!("{}: {target}", code.as_str()));
        let message = escape(&findings.first().map(|finding| finding.message.clone()).unwrap_or_default());
        let told: Vec<String> =
            findings.iter().map(|finding| format!("{}\nhint: {}", finding.message, finding.hint)).collect();
        let _ = writeln!(text, "    <testcase name=\"{name}\" classname=\"git-ml.verify\" time=\"0\">");
        let _ = writeln!(
            text,
            "      <failure type=\"{}\" message=\"{message}\">{}</failure>",
            code.as_str(),
            escape(&told.join("\n"))
        );
        text += "    </testcase>\n";
    }
    for code in passed {
        let _ = writeln!(text, "    <testcase name=\"{}\" classname=\"git-ml.verify\" time=\"0\"/>", code.as_str());
    }
    let warnings = report.findings.iter().filter(|finding| finding.severity == Severity::Warning);
    let warnings: Vec<String> = warnings
        .map(|finding| format!("warning[{}]: {}\nhint: {}", finding.code.as_str(), finding.message, finding.hint))
        .collect();
    let _ = writeln!(text, "    <system-out>{}</system-out>", escape(&warnings.join("\n")));
    text += "    <system-err></system-err>\n  </testsuite>\n</testsuites>\n";
    text
}

/// Text as XML holds it. Of control characters it allows tabs and line ends alone.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\n' | '\t' => escaped.push(c),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c if c.is_control() => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::Checked;
    use super::*;

    fn document(findings: Vec<Finding>) -> String {
        let report = Report { ok: false, checked: Checked { files: 3, ..Checked::default() }, findings, elsewhere: 0 };
        let started = "2026-11-21T08:00:00.5Z".parse().unwrap();
        to_junit(&report, &Suite { host: "a<b", started, seconds: 1.25 })
    }

    #[test]
    fn each_kind_is_a_test_that_fails_once_for_each_target() {
        let text = document(vec![
            Finding::new(Code::DamagedPack, "pack:1", "it is \"bad\" & <worse>\u{1b}[2J", "mend it"),
            Finding::new(Code::DamagedPack, "pack:1", "and so on", "mend it"),
            Finding::new(Code::DamagedPack, "pack:2", "it is bad", "mend it"),
            Finding::new(Code::MissingCommit, "digits@v1", "no commit", "fetch it"),
        ]);
        let tests = Code::ALL.len() + 1;
        let suite = format!(
            "<testsuite id=\"0\" package=\"git-ml\" name=\"verify\" timestamp=\"2026-11-21T08:00:00\" \
             hostname=\"a&lt;b\" tests=\"{tests}\" failures=\"2\" errors=\"0\" time=\"1.250\">"
        );
        assert!(text.contains(&suite), "{text}");
        assert_eq!(text.matches("<testcase ").count(), tests);
        let failure = "<failure type=\"damaged-pack\" message=\"it is &quot;bad&quot; &amp; &lt;worse&gt;\\u{1b}[2J\">";
        assert!(text.contains(failure), "{text}");
        assert!(text.contains("and so on\nhint: mend it</failure>"), "{text}");
        assert!(text.contains("<system-out>warning[missing-commit]: no commit\nhint: fetch it</system-out>"), "{text}");
        assert!(text.contains("<testcase name=\"missing-commit\" classname=\"git-ml.verify\" time=\"0\"/>"), "{text}");
    }
}
