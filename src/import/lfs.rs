//! Importing what Git LFS keeps.
//!
//! The files that git has as pointers of Git LFS leave git's index, and pointers of ours take their place there. A
//! folder in which git has nothing else becomes one artifact.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::digest::Expected;
use super::{Contents, ImportError, ImportOptions, Imported, Target, Wanted};
use crate::files::{self, Draft, Durability, RelPath};
use crate::git::Repository;
use crate::remote::{LfsClient, LfsPointer, MAX_LFS_POINTER};
use crate::track::{Progress, Workspace};

const TOOL: &str = "Git LFS";

/// Attributes with which our own small files stay out of Git LFS wherever a pattern of theirs has them.
const ATTRIBUTES: &str = "\n# Pointers and rules of git-ml are no contents of Git LFS.\n\
     *.mlref !filter !diff !merge text\n.gitignore !filter !diff !merge text\n";

pub(super) fn import(
    workspace: &Workspace,
    paths: &[RelPath],
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<Imported, ImportError> {
    let repository = &workspace.repository;
    let work_dir = repository.work_dir()?;
    let tracked = tracked_files(repository)?;
    let kept = pointers(repository, &tracked)?;
    let targets = targets(&tracked, &kept, paths)?;
    if targets.is_empty() {
        return Err(ImportError::Nothing { tool: TOOL });
    }
    let mut lacking = Vec::new();
    for target in &targets {
        let found = target.lacking(work_dir)?;
        // What git has and the work tree has not, somebody deleted.
        if let Some(deleted) = found.iter().find(|wanted| !wanted.path.under(work_dir).exists()) {
            return Err(ImportError::Changed { path: deleted.path.clone() });
        }
        lacking.extend(found);
    }
    let mut imported = Imported::default();
    if options.dry_run {
        imported.skipped.extend(targets.iter().map(|target| (target.path.to_string(), "it would be imported")));
        return Ok(imported);
    }
    let contents = Cache::new(repository, options, &lacking)?;
    super::bring(workspace, &lacking, &contents, progress)?;
    for target in &targets {
        // Git LFS has it no more from here on, and what it had is in its cache.
        repository.run_git(&["rm", "--cached", "--quiet", "-r", "--", &literal(&target.path)])?;
        let tracked = match super::track(workspace, target, progress) {
            Ok(tracked) => tracked,
            Err(error) => {
                repository.run_git(&["reset", "--quiet", "--", &literal(&target.path)])?;
                return Err(error.into());
            }
        };
        let rules = target.path.parent().map_or(".gitignore".to_owned(), |folder| format!("{folder}/.gitignore"));
        let ours = [tracked.pointer_path.to_string(), rules];
        keep_from_lfs(repository, work_dir, &ours)?;
        repository.run_git(&[
            "add",
            "--",
            &format!(":(top,literal){}", ours[0]),
            &format!(":(top,literal){}", ours[1]),
        ])?;
        imported.tracked.push(tracked);
    }
    Ok(imported)
}

fn literal(path: &RelPath) -> String {
    format!(":(top,literal){path}")
}

/// The files of git's index, and whether they may be run.
fn tracked_files(repository: &Repository) -> Result<BTreeMap<RelPath, bool>, ImportError> {
    let output = repository.run_git(&["ls-files", "--stage", "-z"])?;
    let mut found = BTreeMap::new();
    for line in output.split(|byte| *byte == 0) {
        let Ok(line) = std::str::from_utf8(line) else { continue };
        let Some((fields, path)) = line.split_once('\t') else { continue };
        // What no artifact can be called stays with git.
        if let Ok(path) = RelPath::new(path) {
            found.insert(path, fields.starts_with("100755"));
        }
    }
    Ok(found)
}

/// The pointers of Git LFS that git has at HEAD and in its index alike.
fn pointers(
    repository: &Repository,
    tracked: &BTreeMap<RelPath, bool>,
) -> Result<BTreeMap<RelPath, LfsPointer>, ImportError> {
    let Some(head) = repository.head()?.commit else { return Ok(BTreeMap::new()) };
    let staged = repository.run_git(&["diff-index", "--cached", "--name-only", "-z", "HEAD"])?;
    let staged: BTreeSet<&[u8]> = staged.split(|byte| *byte == 0).collect();
    let mut found = BTreeMap::new();
    for (path, content) in repository.files_at(&head, MAX_LFS_POINTER)? {
        let Some(pointer) = LfsPointer::parse(&content) else { continue };
        let Ok(path) = RelPath::new(path) else { continue };
        if tracked.contains_key(&path) {
            if staged.contains(path.as_str().as_bytes()) {
                return Err(ImportError::Changed { path });
            }
            found.insert(path, pointer);
        }
    }
    Ok(found)
}

/// What becomes an artifact: the topmost folders in which git has nothing else, and single files.
fn targets(
    tracked: &BTreeMap<RelPath, bool>,
    kept: &BTreeMap<RelPath, LfsPointer>,
    paths: &[RelPath],
) -> Result<Vec<Target>, ImportError> {
    let mut mixed: BTreeSet<RelPath> = BTreeSet::new();
    for path in tracked.keys().filter(|path| !kept.contains_key(*path)) {
        let mut folder = path.parent();
        while let Some(above) = folder {
            folder = above.parent();
            mixed.insert(above);
        }
    }
    let mut grouped: BTreeMap<RelPath, Vec<Wanted>> = BTreeMap::new();
    for (path, pointer) in kept {
        let mut top = path.clone();
        // A folder that the user named is as far up as it goes.
        while let Some(folder) = top.parent().filter(|folder| !mixed.contains(folder) && !paths.contains(&top)) {
            top = folder;
        }
        let is_executable = tracked.get(path).copied().unwrap_or_default();
        let placeholder = Some(pointer.text().into_bytes());
        let content = Expected::Lfs(*pointer);
        grouped.entry(top).or_default().push(Wanted { path: path.clone(), content, is_executable, placeholder });
    }
    let all: Vec<Target> =
        grouped.into_iter().map(|(path, files)| Target { is_folder: !kept.contains_key(&path), path, files }).collect();
    for path in paths {
        let is_kept = |target: &Target| target.is_meant(std::slice::from_ref(path));
        if !all.iter().any(is_kept) {
            return Err(ImportError::NotKept { path: path.clone(), tool: TOOL });
        }
    }
    Ok(all.into_iter().filter(|target| target.is_meant(paths)).collect())
}

/// Sees to it that our own files at these paths are no contents of Git LFS.
fn keep_from_lfs(repository: &Repository, work_dir: &Path, ours: &[String]) -> Result<(), ImportError> {
    let filtered = || -> Result<Option<String>, ImportError> {
        for path in ours {
            let output = repository.run_git(&["check-attr", "-z", "filter", "--", path])?;
            if output.split(|byte| *byte == 0).nth(2) == Some(b"lfs") {
                return Ok(Some(path.clone()));
            }
        }
        Ok(None)
    };
    if filtered()?.is_none() {
        return Ok(());
    }
    let place = work_dir.join(".gitattributes");
    let mut text = match std::fs::read(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(ImportError::Read { path: place, source }),
    };
    text.extend_from_slice(ATTRIBUTES.as_bytes());
    files::publish(&place, &text, Durability::Synced)?;
    // The attributes of a folder count more than those above it.
    if let Some(path) = filtered()? {
        return Err(ImportError::Filtered { path });
    }
    repository.run_git(&["add", "--", ":(top,literal).gitattributes"])?;
    Ok(())
}

/// Git LFS's own cache, and the server behind it.
struct Cache<'o> {
    folder: PathBuf,
    repository: &'o Repository,
    options: &'o ImportOptions,
    client: OnceLock<LfsClient>,
}

impl<'o> Cache<'o> {
    fn new(repository: &'o Repository, options: &'o ImportOptions, lacking: &[&Wanted]) -> Result<Self, ImportError> {
        let folder = match repository.config("lfs.storage")? {
            Some(folder) => repository.common_dir().join(folder),
            None => repository.common_dir().join("lfs"),
        };
        let cache = Self { folder: folder.join("objects"), repository, options, client: OnceLock::new() };
        let missing: Vec<LfsPointer> = lacking
            .iter()
            .filter_map(|wanted| match &wanted.content {
                Expected::Lfs(pointer) if !cache.place(pointer).is_file() => Some(*pointer),
                _ => None,
            })
            .collect();
        if !missing.is_empty() {
            // All that is missing is asked for at once, before anything is changed.
            let available = cache.client()?.available(&missing)?;
            let lost = lacking.iter().find(|wanted| match &wanted.content {
                Expected::Lfs(pointer) => missing.contains(pointer) && !available.contains(pointer),
                Expected::Dvc { .. } => false,
            });
            if let Some(lost) = lost {
                return Err(ImportError::Missing { path: lost.path.clone(), expected: lost.content.to_string() });
            }
        }
        Ok(cache)
    }

    fn place(&self, pointer: &LfsPointer) -> PathBuf {
        let oid = pointer.oid.to_string();
        self.folder.join(&oid[..2]).join(&oid[2..4]).join(&oid)
    }

    fn client(&self) -> Result<&LfsClient, ImportError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let remote = match &self.options.git_remote {
            Some(remote) => remote.clone(),
            None => default_remote(self.repository)?,
        };
        // A password goes nowhere where others can read it on the way.
        let client = LfsClient::new(self.repository, &remote, false, self.options.environment.ssh()?)?;
        Ok(self.client.get_or_init(|| client))
    }
}

impl Contents for Cache<'_> {
    fn fetch(&self, wanted: &Wanted, draft: &mut Draft) -> Result<(), ImportError> {
        let Expected::Lfs(pointer) = &wanted.content else { return Ok(()) };
        let place = self.place(pointer);
        match File::open(&place) {
            Ok(mut file) => {
                draft.copy_from(&mut file).map_err(|source| ImportError::Read { path: place, source })?;
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(self.client()?.download(pointer, draft, &|_| ())?)
            }
            Err(source) => Err(ImportError::Read { path: place, source }),
        }
    }
}

/// The git remote that the branch follows, or else `origin`, or the only one there is.
fn default_remote(repository: &Repository) -> Result<String, ImportError> {
    if let Some(branch) = repository.head()?.branch
        && let Some(remote) = repository.config(&format!("branch.{branch}.remote"))?
    {
        return Ok(remote);
    }
    let remotes = repository.remotes()?;
    match remotes.as_slice() {
        [only] => Ok(only.clone()),
        _ => Ok("origin".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::Oid;

    fn path(text: &str) -> RelPath {
        RelPath::new(text).unwrap()
    }

    fn grouped(kept: &[&str], others: &[&str], named: &[&str]) -> Vec<(String, usize)> {
        let pointer = LfsPointer { oid: Oid::of(b"x"), size: 1 };
        let kept_files: BTreeMap<RelPath, LfsPointer> = kept.iter().map(|text| (path(text), pointer)).collect();
        let tracked = kept.iter().chain(others).map(|text| (path(text), false)).collect();
        let named: Vec<RelPath> = named.iter().map(|text| path(text)).collect();
        let found = targets(&tracked, &kept_files, &named).unwrap();
        found.into_iter().map(|target| (target.path.to_string(), target.files.len())).collect()
    }

    #[test]
    fn folders_with_nothing_else_become_one_artifact() {
        let kept = ["data/images/a/1.png", "data/images/b/2.png", "models/x.pt", "top.bin"];
        assert_eq!(
            grouped(&kept, &["data/README.md", "code.py"], &[]),
            [("data/images".to_owned(), 2), ("models".to_owned(), 1), ("top.bin".to_owned(), 1)]
        );
        assert_eq!(
            grouped(&kept, &["data/README.md"], &["data/images/a", "models/x.pt"]),
            [("data/images/a".to_owned(), 1), ("models/x.pt".to_owned(), 1)]
        );
        assert_eq!(grouped(&kept, &[], &["data"]), [("data".to_owned(), 2)]);
    }
}
