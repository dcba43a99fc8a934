//! What a remote has, by its indexes: no content is fetched.

use rayon::prelude::*;

use crate::words::error_in_a_line;

use super::artifacts::{at_pointer_of, full_label};
use super::{Code, Finding, Inspection};

impl Inspection<'_> {
    /// Asks the remote for all that pointers, versions and the user name.
    pub(super) fn check_remote(&mut self) {
        let Some(remote) = self.remote else { return };
        let name = remote.name();
        if let Some((index, problem)) = remote.damaged_index().unwrap_or_default() {
            let message = format!("{index} of the remote {name} is damaged: {problem}");
            let hint = format!("`git ml push {name}` from a clone that has the data sends what it named once more");
            self.report(Code::RemoteUnreadable, format!("remote:{name}"), message, hint);
        }
        let store = &self.workspace.store;
        let wanted: Vec<_> =
            self.uses.iter().filter(|(_, uses)| uses.iter().any(|one| one.role.is_wanted_of_remotes())).collect();
        let answers: Vec<_> = wanted.par_iter().map(|(id, uses)| (*id, *uses, remote.has(store, id))).collect();
        let mut findings = Vec::new();
        for (id, uses, answer) in answers {
            let Some(label) = uses.iter().find(|one| one.role.is_wanted_of_remotes()).map(|one| &one.target) else {
                continue;
            };
            match answer {
                Ok(true) => {}
                Ok(false) => {
                    let message = format!("the remote {name} does not have all of {}", full_label(label, id));
                    let hint = format!("where the data is, `git ml push {name}` sends it");
                    let finding = Finding::new(Code::RemoteMissing, label, message, hint);
                    findings.push(at_pointer_of(finding, uses));
                }
                Err(error) => {
                    let message = format!("the remote {name} cannot be asked: {}", error_in_a_line(&error));
                    let hint = format!("`git ml remote list` shows where it is; `git ml fetch {name}` says more");
                    findings.push(Finding::new(Code::RemoteUnreadable, format!("remote:{name}"), message, hint));
                    // The others fail alike.
                    break;
                }
            }
        }
        self.findings.extend(findings);
    }
}
