//! What runs say they read: the commit with their code has the pointers to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::files::RelPath;
use crate::id::{ArtifactId, CommitId, RunId};
use crate::registry::Registry;
use crate::run::{RUNS_REF, Run, RunInput};
use crate::track::{POINTER_SUFFIX, Pointer};

use super::runs::{Checked, target_of};
use super::{Code, Inspection};

/// Bytes a pointer may have.
const MAX_POINTER: u64 = 64 * 1024;

/// What explains an input that no pointer of a commit names.
struct Explained {
    /// What runs made and what is registered.
    made: BTreeSet<ArtifactId>,
    /// What any run read at a path, for those that read what an earlier run did.
    read: BTreeSet<(RelPath, ArtifactId)>,
}

impl Inspection<'_> {
    /// Checks the inputs of every run against the commit with its code, and keeps which runs are as they say.
    pub(super) fn check_inputs(&mut self, runs: &BTreeMap<RunId, Checked>) {
        let mut memo = HashMap::new();
        let mut explained = None;
        let mut sound = BTreeSet::new();
        for Checked { run, folder, is_recalled, is_sound } in runs.values() {
            let mut is_sound = *is_sound;
            if !is_recalled {
                for input in self.unexplained(run, &mut memo) {
                    let explained = explained.get_or_insert_with(|| self.explanations(runs));
                    if explained.explains(run, input) {
                        continue;
                    }
                    is_sound = false;
                    self.not_in_commit(run, input);
                }
            }
            sound.extend(folder.filter(|_| is_sound));
        }
        self.memory.runs = sound;
    }

    fn not_in_commit(&mut self, run: &Run, input: &RunInput) {
        let (name, path, id) = (&run.name, &input.path, input.id.short());
        let snapshot = run.snapshot.map(|commit| commit.short()).unwrap_or_default();
        let message = format!(
            "run {name} says that it read {path} (artifact {id}), and its commit {snapshot} has no pointer to that"
        );
        let hint =
            format!("`git log -p --first-parent {RUNS_REF}` shows who changed the record; do not rely on the run");
        self.report(Code::InputNotInCommit, target_of(run), message, hint);
    }

    /// The inputs of a run that the pointers of its commit do not name. Where that commit is not here, nothing is said.
    fn unexplained<'r>(
        &self,
        run: &'r Run,
        memo: &mut HashMap<(CommitId, RelPath), Option<ArtifactId>>,
    ) -> Vec<&'r RunInput> {
        let repository = &self.workspace.repository;
        let Some(snapshot) = run.snapshot.filter(|snapshot| repository.has_commit(snapshot)) else { return Vec::new() };
        let mut named_at = |path: &RelPath| {
            *memo.entry((snapshot, path.clone())).or_insert_with(|| {
                let bytes = repository.read_at(&snapshot, &format!("{path}{POINTER_SUFFIX}"), MAX_POINTER);
                Pointer::parse(&bytes.ok()??).ok().map(|pointer| pointer.id)
            })
        };
        run.inputs.iter().filter(|input| named_at(&input.path) != Some(input.id)).collect()
    }

    fn explanations(&self, runs: &BTreeMap<RunId, Checked>) -> Explained {
        let all = || runs.values().map(|checked| &checked.run);
        let mut made: BTreeSet<ArtifactId> = all().flat_map(|run| &run.outputs).map(|output| output.id).collect();
        let models = Registry::new(self.workspace).survey().map(|survey| survey.models).unwrap_or_default();
        made.extend(models.iter().flat_map(|model| &model.versions).map(|version| version.id));
        let read = all().flat_map(|run| &run.inputs).map(|input| (input.path.clone(), input.id));
        Explained { made, read: read.collect() }
    }
}

impl Explained {
    fn explains(&self, run: &Run, input: &RunInput) -> bool {
        // The path of an artifact that was named by nothing else.
        let is_by_id = input.path.as_str().ends_with(&input.id.to_string());
        is_by_id
            || self.made.contains(&input.id)
            || was_left_out(run, &input.path)
            || reads_what_another_read(run) && self.read.contains(&(input.path.clone(), input.id))
    }
}

/// Whether a pointer was there that git did not track yet, or may have been.
fn was_left_out(run: &Run, path: &RelPath) -> bool {
    let pointer = format!("{path}{POINTER_SUFFIX}");
    let is_meant = |left_out: &str| match left_out.strip_suffix('/') {
        Some(folder) => pointer.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')),
        None => pointer == left_out,
    };
    run.left_out.more > 0 || run.left_out.untracked.iter().any(|untracked| is_meant(&untracked.path))
}

/// Whether a run goes on with another's work, or judges it: then it reads what that read, whatever is tracked now.
fn reads_what_another_read(run: &Run) -> bool {
    run.command.iter().any(|word| word == "--resume" || word == "--evaluate")
}
