//! Findings as GitHub Actions takes them: workflow commands, which become annotations of a pull request.
//!
//! The form is that of "Workflow commands for GitHub Actions", with the escapes of actions/toolkit's `command.ts`.

use std::fmt::Write as _;

use crate::words::printable;

use super::Report;

/// A line for each finding.
pub fn to_github(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let level = finding.severity.as_str();
        let title = property(&format!("{}: {}", finding.code.as_str(), printable(&finding.target)));
        let message = data(&format!("{}\nhint: {}", printable(&finding.message), printable(&finding.hint)));
        // A finding of no file is shown with the job.
        let place = finding.file.as_ref().map(|file| format!("file={},", property(&printable(file))));
        // Writing to a string does not fail.
        let _ = writeln!(text, "::{level} {}title={title}::{message}", place.unwrap_or_default());
    }
    text
}

/// Text behind the second `::`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property, which ends with `,` or `::`.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::{Checked, Code, Finding};
    use super::*;

    #[test]
    fn no_text_of_a_finding_becomes_a_command() {
        let hostile = "a,b::c%0A\n::set-output name=x::y";
        let finding = Finding::new(Code::UnreadablePointer, hostile, hostile, "a hint").at_pointer("data/a,b:c");
        let other = Finding::new(Code::MissingCommit, "digits@v1", "no commit", "fetch it");
        let report = Report { ok: false, checked: Checked::default(), findings: vec![finding, other], elsewhere: 0 };
        insta::assert_snapshot!(to_github(&report), @r"
        ::error file=data/a%2Cb%3Ac.mlref,title=unreadable-pointer%3A a%2Cb%3A%3Ac%250A\n%3A%3Aset-output name=x%3A%3Ay::a,b::c%250A\n::set-output name=x::y%0Ahint: a hint
        ::warning title=missing-commit%3A digits@v1::no commit%0Ahint: fetch it
        ");
    }
}
