//! The union of two trees of runs, with what comes in checked first.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::ShareError;
use super::record::merge;
use crate::git::{GitError, ObjectName, PartKind, Put, Repository, TreePart};
use crate::id::{CommitId, LoggedModelId, RunId};
use crate::run::{
    LoggedModel, MAX_MODEL_RECORD, MODEL_RECORD, MODELS_FOLDER, RECORD_NAME, Run, RunStatus, file_limit, folder_in_tree,
};

/// Files that a run's folder may have.
const MAX_FILES: usize = 64;
/// The folder of what MLflow calls experiments.
const EXPERIMENTS: &str = "experiments";
/// Bytes that the file of an experiment may have.
const MAX_EXPERIMENT: u64 = 1 << 20;

/// Something in the tree of a remote that is not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOut {
    /// Its path in the tree.
    pub path: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Two trees as one.
#[derive(Debug)]
pub(super) struct Union {
    /// The tree.
    pub(super) tree: ObjectName,
    /// The runs that ours did not have.
    pub(super) added: usize,
    /// The runs that are not as ours had them.
    pub(super) changed: usize,
    /// What of theirs is not in it.
    pub(super) kept_out: Vec<KeptOut>,
}

/// The folders of all runs in a tree.
pub(super) fn run_folders(repository: &Repository, tree: &ObjectName) -> Result<BTreeMap<RunId, ObjectName>, GitError> {
    let mut folders = BTreeMap::new();
    for shelf in repository.parts_of(tree)?.into_iter().filter(is_shelf) {
        for part in repository.parts_of(&shelf.id)? {
            folders.extend(run_in(&shelf.name, &part).map(|run_id| (run_id, part.id)));
        }
    }
    Ok(folders)
}

/// The record in a run's folder.
pub(super) fn record_in(repository: &Repository, run_id: &RunId, folder: &ObjectName) -> Result<Run, ShareError> {
    let files = files_of(repository, folder)?;
    let malformed =
        || crate::run::RunError::Malformed { id: run_id.to_string(), problem: "it is not there".to_owned() };
    let record = files.get(RECORD_NAME).ok_or_else(malformed)?;
    let bytes = repository.read_file(record, limit_of(RECORD_NAME))?.ok_or_else(malformed)?;
    Ok(Run::from_record(&bytes, run_id)?)
}

/// Whether it is a folder of runs whose ids end with its name.
fn is_shelf(part: &TreePart) -> bool {
    let is_digit = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    part.kind == PartKind::Folder && part.name.len() == 2 && part.name.chars().all(is_digit)
}

/// The run whose folder it is; none for anything else.
fn run_in(shelf: &str, part: &TreePart) -> Option<RunId> {
    let run_id = part.name.parse::<RunId>().ok()?;
    (part.kind == PartKind::Folder && folder_in_tree(&run_id) == format!("{shelf}/{}", part.name)).then_some(run_id)
}

fn limit_of(name: &str) -> u64 {
    file_limit(name).unwrap_or_default()
}

fn files_of(repository: &Repository, folder: &ObjectName) -> Result<BTreeMap<String, ObjectName>, GitError> {
    let parts = repository.parts_of(folder)?.into_iter();
    Ok(parts.filter(|part| part.kind == PartKind::File).map(|part| (part.name, part.id)).collect())
}

/// The trees of two commits, and of the one that both come from, as they are merged.
pub(super) struct Sides<'r> {
    pub(super) repository: &'r Repository,
    pub(super) base: Option<CommitId>,
    pub(super) ours: Option<CommitId>,
    pub(super) theirs: CommitId,
}

/// One path on the three sides, theirs being there.
#[derive(Debug, Clone, Copy)]
struct Path {
    base: Option<ObjectName>,
    ours: Option<ObjectName>,
    theirs: ObjectName,
}

impl Path {
    /// Whether theirs has nothing that is new to ours.
    fn is_settled(&self) -> bool {
        self.ours == Some(self.theirs) || self.ours.is_some() && self.base == Some(self.theirs)
    }
}

impl Sides<'_> {
    /// Makes the union.
    pub(super) fn unite(&self) -> Result<Union, ShareError> {
        let repository = self.repository;
        let tree = |commit: &Option<CommitId>| match commit {
            Some(commit) => repository.tree_of(commit),
            None => repository.empty_tree(),
        };
        let (base, ours, theirs) = (tree(&self.base)?, tree(&self.ours)?, repository.tree_of(&self.theirs)?);
        let mut union = Union { tree: ours, added: 0, changed: 0, kept_out: Vec::new() };
        if ours == theirs {
            return Ok(union);
        }
        let mut puts = Vec::new();
        let [base, ours] = [&base, &ours].map(|tree| Folder::read(repository, Some(tree)));
        let (base, ours) = (base?, ours?);
        for part in repository.parts_of(&theirs)? {
            let path = Path { base: base.get(&part.name), ours: ours.get(&part.name), theirs: part.id };
            if path.ours == Some(path.theirs) {
                continue;
            }
            if is_shelf(&part) {
                self.unite_shelf(&part.name, path, &mut puts, &mut union)?;
            } else if part.name == EXPERIMENTS && part.kind == PartKind::Folder {
                self.unite_experiments(path, &mut puts, &mut union)?;
            } else if part.name == MODELS_FOLDER && part.kind == PartKind::Folder {
                self.unite_models(path, &mut puts, &mut union)?;
            } else {
                union.keep_out(&part.name, "this is no part of a log of runs");
            }
        }
        union.tree = repository.write_tree(&union.tree, &puts)?;
        Ok(union)
    }

    /// The runs whose ids end with the same digits.
    fn unite_shelf(
        &self,
        shelf: &str,
        path: Path,
        puts: &mut Vec<(String, Put)>,
        union: &mut Union,
    ) -> Result<(), ShareError> {
        let base = Folder::read(self.repository, path.base.as_ref())?;
        let ours = Folder::read(self.repository, path.ours.as_ref())?;
        for part in self.repository.parts_of(&path.theirs)? {
            let inner = Path { base: base.get(&part.name), ours: ours.get(&part.name), theirs: part.id };
            if inner.is_settled() {
                continue;
            }
            let place = format!("{shelf}/{}", part.name);
            let Some(run_id) = run_in(shelf, &part) else {
                union.keep_out(&place, "this is not the folder of a run");
                continue;
            };
            let run = match self.check(&run_id, &part.id)? {
                Ok(run) => run,
                Err(problem) => {
                    union.keep_out(&place, &problem);
                    continue;
                }
            };
            match inner.ours {
                None => {
                    union.added += 1;
                    puts.push((place, Put::Folder(part.id)));
                }
                Some(ours) => match self.unite_run(&place, &run_id, &run, inner, &ours)? {
                    Ok(files) if files.is_empty() => {}
                    Ok(files) => {
                        union.changed += 1;
                        puts.extend(files);
                    }
                    Err(problem) => union.keep_out(&place, &problem),
                },
            }
        }
        Ok(())
    }

    /// Checks the folder of a run that comes in: its record, or what is wrong with it.
    fn check(&self, run_id: &RunId, folder: &ObjectName) -> Result<Result<Run, String>, ShareError> {
        let parts = self.repository.parts_of(folder)?;
        if parts.len() > MAX_FILES {
            return Ok(Err(format!("it has {} files", parts.len())));
        }
        let mut record = None;
        for part in &parts {
            let Some(limit) = file_limit(&part.name).filter(|_| part.kind == PartKind::File) else {
                return Ok(Err(format!("it has `{}`, which is no file of a run", part.name.escape_debug())));
            };
            let bytes = self.repository.file_size(&part.id)?;
            if bytes > limit {
                return Ok(Err(format!("its {} has {bytes} bytes", part.name)));
            }
            if part.name == RECORD_NAME {
                record = self.repository.read_file(&part.id, limit)?;
            }
        }
        let Some(record) = record else { return Ok(Err(format!("it has no {RECORD_NAME}"))) };
        Ok(Run::from_record(&record, run_id).map_err(|error| error.to_string()))
    }

    /// The files in which a run that both have is to differ from ours; or why theirs is not taken.
    fn unite_run(
        &self,
        place: &str,
        run_id: &RunId,
        their_run: &Run,
        path: Path,
        ours: &ObjectName,
    ) -> Result<Result<Vec<(String, Put)>, String>, ShareError> {
        // Ours may be one that another git-ml wrote, or that is damaged: it stays then.
        let Ok(our_run) = record_in(self.repository, run_id, ours) else {
            return Ok(Err("the record that is here cannot be read".to_owned()));
        };
        if !our_run.has_the_beginning_of(their_run) {
            return Ok(Err("it differs from the run that is here in what never changes".to_owned()));
        }
        let [base, ours, theirs] = [path.base, path.ours, Some(path.theirs)].map(|folder| match folder {
            Some(folder) => files_of(self.repository, &folder),
            None => Ok(BTreeMap::new()),
        });
        let (base, ours, theirs) = (base?, ours?, theirs?);
        let record_path = format!("{place}/{RECORD_NAME}");
        let mut known = None;
        let mut newer = || {
            *known.get_or_insert_with(|| {
                let has_ended = |run: &Run| run.status != RunStatus::Running;
                let ended = has_ended(&our_run).cmp(&has_ended(their_run));
                ended.then_with(|| self.newer(&record_path, ours.get(RECORD_NAME), theirs.get(RECORD_NAME)))
            })
        };
        let mut puts = Vec::new();
        for (name, their_file) in &theirs {
            let file = Path { base: base.get(name).copied(), ours: ours.get(name).copied(), theirs: *their_file };
            let taken = match file.ours {
                Some(ours) if ours == file.theirs || file.base == Some(file.theirs) => continue,
                None => Put::File(file.theirs),
                Some(ours) if file.base == Some(ours) => Put::File(file.theirs),
                Some(ours) if name == RECORD_NAME => match self.merge_files(file, &ours, limit_of(name), &mut newer)? {
                    Some(merged) => Put::Bytes(merged),
                    None => continue,
                },
                Some(_) if newer() == Ordering::Less => Put::File(file.theirs),
                Some(_) => continue,
            };
            puts.push((format!("{place}/{name}"), taken));
        }
        Ok(Ok(puts))
    }

    fn unite_experiments(
        &self,
        path: Path,
        puts: &mut Vec<(String, Put)>,
        union: &mut Union,
    ) -> Result<(), ShareError> {
        let base = Folder::read(self.repository, path.base.as_ref())?;
        let ours = Folder::read(self.repository, path.ours.as_ref())?;
        for part in self.repository.parts_of(&path.theirs)? {
            let file = Path { base: base.get(&part.name), ours: ours.get(&part.name), theirs: part.id };
            let place = format!("{EXPERIMENTS}/{}", part.name);
            if file.is_settled() {
                continue;
            }
            let number = part.name.strip_suffix(".toml").unwrap_or_default();
            let is_named = !number.is_empty() && number.len() <= 40 && number.bytes().all(|byte| byte.is_ascii_digit());
            if part.kind != PartKind::File || !is_named {
                union.keep_out(&place, "this is no experiment");
                continue;
            }
            let is_readable =
                |text: &[u8]| std::str::from_utf8(text).is_ok_and(|text| text.parse::<toml::Table>().is_ok());
            self.unite_table(&place, file, MAX_EXPERIMENT, &is_readable, puts, union)?;
        }
        Ok(())
    }

    /// The logged models, a folder each as runs have them.
    fn unite_models(&self, path: Path, puts: &mut Vec<(String, Put)>, union: &mut Union) -> Result<(), ShareError> {
        let read = |id: Option<ObjectName>| Folder::read(self.repository, id.as_ref());
        let (base, ours) = (read(path.base)?, read(path.ours)?);
        for shelf in self.repository.parts_of(&path.theirs)? {
            if ours.get(&shelf.name) == Some(shelf.id) {
                continue;
            }
            let place = format!("{MODELS_FOLDER}/{}", shelf.name);
            if shelf.kind != PartKind::Folder {
                union.keep_out(&place, "this is no logged model");
                continue;
            }
            let (base, ours) = (read(base.get(&shelf.name))?, read(ours.get(&shelf.name))?);
            for part in self.repository.parts_of(&shelf.id)? {
                let inner = Path { base: base.get(&part.name), ours: ours.get(&part.name), theirs: part.id };
                if inner.is_settled() {
                    continue;
                }
                let place = format!("{place}/{}", part.name);
                let model_id = part.name.parse::<LoggedModelId>().ok();
                let model_id = model_id.filter(|_| part.kind == PartKind::Folder && part.name.ends_with(&shelf.name));
                let Some(model_id) = model_id else {
                    union.keep_out(&place, "this is no logged model");
                    continue;
                };
                let (base, ours) = (read(inner.base)?, read(inner.ours)?);
                for file in self.repository.parts_of(&inner.theirs)? {
                    let place = format!("{place}/{}", file.name);
                    if file.kind != PartKind::File || file.name != MODEL_RECORD {
                        union.keep_out(&place, "this is no file of a logged model");
                        continue;
                    }
                    let file = Path { base: base.get(&file.name), ours: ours.get(&file.name), theirs: file.id };
                    let is_readable = |bytes: &[u8]| LoggedModel::parse(bytes, &model_id).is_ok();
                    self.unite_table(&place, file, MAX_MODEL_RECORD, &is_readable, puts, union)?;
                }
            }
        }
        Ok(())
    }

    /// A TOML file that is merged field by field where both sides changed it.
    fn unite_table(
        &self,
        place: &str,
        file: Path,
        limit: u64,
        is_readable: &dyn Fn(&[u8]) -> bool,
        puts: &mut Vec<(String, Put)>,
        union: &mut Union,
    ) -> Result<(), ShareError> {
        let content = self.repository.read_file(&file.theirs, limit)?;
        if !content.as_deref().is_some_and(is_readable) {
            union.keep_out(place, "this cannot be read");
            return Ok(());
        }
        let taken = match file.ours {
            None => Put::File(file.theirs),
            Some(ours) if file.base == Some(ours) => Put::File(file.theirs),
            Some(ours) => {
                let mut newer = || self.newer(place, Some(&ours), Some(&file.theirs));
                match self.merge_files(file, &ours, limit, &mut newer)? {
                    Some(merged) => Put::Bytes(merged),
                    None => return Ok(()),
                }
            }
        };
        puts.push((place.to_owned(), taken));
        Ok(())
    }

    /// Merges two versions of a TOML file; none where ours stays.
    fn merge_files(
        &self,
        file: Path,
        ours: &ObjectName,
        limit: u64,
        newer: &mut dyn FnMut() -> Ordering,
    ) -> Result<Option<Vec<u8>>, ShareError> {
        let read = |id: &ObjectName| self.repository.read_file(id, limit);
        let base = file.base.as_ref().map(read).transpose()?.flatten();
        let (Some(our), Some(their)) = (read(ours)?, read(&file.theirs)?) else { return Ok(None) };
        Ok(merge(base.as_deref(), &our, &their, newer))
    }

    /// Which side changed a file last. Where the times are the same, the larger id goes first on all clones alike.
    fn newer(&self, path: &str, ours: Option<&ObjectName>, theirs: Option<&ObjectName>) -> Ordering {
        // A time that cannot be told is the oldest.
        let time = |tip: &CommitId| self.repository.changed_at(tip, path).ok().flatten();
        let times = self.ours.as_ref().map(time).cmp(&Some(time(&self.theirs)));
        times.then_with(|| ours.cmp(&theirs))
    }
}

impl Union {
    fn keep_out(&mut self, path: &str, problem: &str) {
        let path = path.chars().take(200).collect::<String>().escape_debug().to_string();
        self.kept_out.push(KeptOut { path, problem: problem.to_owned() });
    }
}

/// The names in a tree, to be asked for.
struct Folder(BTreeMap<String, ObjectName>);

impl Folder {
    /// Nothing is in a tree that is not there.
    fn read(repository: &Repository, tree: Option<&ObjectName>) -> Result<Self, GitError> {
        let parts = tree.map_or_else(|| Ok(Vec::new()), |tree| repository.parts_of(tree))?;
        Ok(Self(parts.into_iter().map(|part| (part.name, part.id)).collect()))
    }

    fn get(&self, name: &str) -> Option<ObjectName> {
        self.0.get(name).copied()
    }
}
