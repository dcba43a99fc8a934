//! Importing what DVC keeps.
//!
//! Each output of a `.dvc` file or a `dvc.lock` becomes an artifact of its own. DVC's files stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::digest::{Expected, md5_of};
use super::dvc_files::{self, Out, Settings};
use super::{Contents, ImportError, ImportOptions, Imported, Target, Wanted};
use crate::config;
use crate::files::{Draft, RelPath};
use crate::remote::{ObjectError, Objects, open_objects};
use crate::track::{Progress, Workspace};

const TOOL: &str = "DVC";

/// Bytes of a file of DVC's that are read.
const MAX_FILE: u64 = 64 << 20;

/// Bytes of a folder's list that are read.
const MAX_FOLDER: u64 = 1 << 30;

pub(super) fn import(
    workspace: &Workspace,
    paths: &[RelPath],
    options: &ImportOptions,
    progress: &dyn Progress,
) -> Result<Imported, ImportError> {
    let work_dir = workspace.repository.work_dir()?;
    let mut imported = Imported::default();
    let mut sources: BTreeMap<PathBuf, Sources> = BTreeMap::new();
    let mut targets: Vec<(PathBuf, Option<String>, Target)> = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, out) in outs(workspace)? {
        let is_meant = paths.is_empty() || paths.iter().any(|named| path == *named || path.starts_with(named));
        if !is_meant || !seen.insert(path.clone()) {
            continue;
        }
        let Some(md5) = out.md5.clone() else {
            imported.skipped.push((path.to_string(), "DVC has no MD5 of it"));
            continue;
        };
        if out.cache == Some(false) || !workspace.repository.tracked_below(&path)?.is_empty() {
            imported.skipped.push((path.to_string(), "git keeps it"));
            continue;
        }
        let root = root_of(work_dir, &path);
        let source = match sources.entry(root.clone()) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => entry.insert(Sources::of(&root, options)?),
        };
        let target = target(&path, &out, &md5, source)?;
        targets.push((root, out.remote, target));
    }
    for path in paths {
        let is_found = |found: &RelPath| found == path || found.starts_with(path);
        if !seen.iter().any(is_found) {
            return Err(ImportError::NotKept { path: path.clone(), tool: TOOL });
        }
    }
    if targets.is_empty() && imported.skipped.is_empty() {
        return Err(ImportError::Nothing { tool: TOOL });
    }
    for (root, remote, target) in &targets {
        let lacking = target.lacking(work_dir)?;
        if options.dry_run {
            imported.skipped.push((target.path.to_string(), "it would be imported"));
            continue;
        }
        if let Some(source) = sources.get_mut(root)
            && !lacking.is_empty()
        {
            source.use_remote(remote.as_deref(), options)?;
            super::bring(workspace, &lacking, source, progress)?;
        }
        imported.tracked.push(super::track(workspace, target, progress)?);
    }
    Ok(imported)
}

/// All outputs that DVC's files in git's index name.
fn outs(workspace: &Workspace) -> Result<Vec<(RelPath, Out)>, ImportError> {
    let repository = &workspace.repository;
    let work_dir = repository.work_dir()?;
    let mut found = Vec::new();
    let mut files = repository.tracked_with_suffix(".dvc")?;
    files.extend(repository.tracked_with_suffix("dvc.lock")?);
    for file in files {
        let is_lock = file.file_name() == "dvc.lock";
        if !is_lock && !file.file_name().ends_with(".dvc") {
            continue;
        }
        let place = crate::files::resolve_beneath(work_dir, &file)?;
        let Some(text) = read(&place)? else { continue };
        let parsed = match is_lock {
            true => {
                let pipeline = read(&place.with_file_name("dvc.yaml"))?;
                dvc_files::parse_lock(&text, pipeline.as_deref())
            }
            false => dvc_files::parse_dvc(&text),
        };
        let parsed = parsed.map_err(|problem| ImportError::Malformed { path: file.to_string(), problem })?;
        for (folder, out) in parsed {
            // What is elsewhere, DVC does not keep in the work tree.
            if out.path.contains("://") || out.path.starts_with('/') {
                continue;
            }
            found.push((joined(file.parent().as_ref(), &folder, &out.path)?, out));
        }
    }
    Ok(found)
}

fn read(place: &Path) -> Result<Option<String>, ImportError> {
    let fail = |source| ImportError::Read { path: place.to_path_buf(), source };
    match fs::metadata(place) {
        Ok(metadata) if metadata.len() > MAX_FILE => Err(fail(io::Error::other("it is too large"))),
        Ok(_) => fs::read_to_string(place).map(Some).map_err(fail),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(fail(error)),
    }
}

/// The path of an output: below a folder of the work tree, by way of `folder`, which may climb.
fn joined(base: Option<&RelPath>, folder: &str, path: &str) -> Result<RelPath, ImportError> {
    let mut names: Vec<&str> = base.map_or_else(Vec::new, |base| base.as_str().split('/').collect());
    for name in folder.split('/').chain(path.split('/')) {
        match name {
            "" | "." => {}
            // Above the top nothing is left to take off, and the path that comes out is refused.
            ".." if names.pop().is_some() => {}
            name => names.push(name),
        }
    }
    Ok(RelPath::new(names.join("/"))?)
}

/// The folder with the `.dvc` folder that is nearest above a path.
fn root_of(work_dir: &Path, path: &RelPath) -> PathBuf {
    let place = path.under(work_dir);
    let above = place.ancestors().skip(1).take_while(|folder| folder.starts_with(work_dir));
    above.filter(|folder| folder.join(".dvc").is_dir()).map(Path::to_path_buf).next().unwrap_or_else(|| work_dir.into())
}

/// What an output consists of. The list of a folder is fetched where it is not in the cache.
fn target(path: &RelPath, out: &Out, md5: &str, source: &mut Sources) -> Result<Target, ImportError> {
    let may_be_text = out.hash.is_none();
    let bad = |problem: &str| ImportError::Malformed { path: path.to_string(), problem: problem.to_owned() };
    let content = |md5: &str, size| match is_md5(md5) {
        true => Ok(Expected::Dvc { md5: md5.to_owned(), size, may_be_text }),
        false => Err(bad("it has an MD5 that is none")),
    };
    let wanted = |path: RelPath, content, is_executable| Wanted { path, content, is_executable, placeholder: None };
    let Some(folder) = md5.strip_suffix(".dir") else {
        let file = wanted(path.clone(), content(md5, out.size)?, out.isexec);
        return Ok(Target { path: path.clone(), is_folder: false, files: vec![file] });
    };
    content(folder, None)?;
    let list = source.folder_list(folder, path, out.remote.as_deref())?;
    let members = dvc_files::parse_folder(&list).map_err(|problem| bad(&problem))?;
    let mut files = Vec::new();
    for member in members {
        let member_path = path.join(&RelPath::new(member.relpath)?);
        files.push(wanted(member_path, content(&member.md5, None)?, false));
    }
    Ok(Target { path: path.clone(), is_folder: true, files })
}

fn is_md5(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// DVC's cache and its remotes.
struct Sources {
    dvc_folder: PathBuf,
    cache: PathBuf,
    settings: Settings,
    options: ImportOptions,
    /// The remote that is open, by its name.
    remote: Option<(String, Box<dyn Objects>)>,
}

impl Sources {
    fn of(root: &Path, options: &ImportOptions) -> Result<Self, ImportError> {
        let dvc_folder = root.join(".dvc");
        let mut settings = Settings::default();
        for name in ["config", "config.local"] {
            if let Some(text) = read(&dvc_folder.join(name))? {
                settings.read(&text);
            }
        }
        let cache = match settings.value("cache", "dir") {
            Some(folder) => dvc_folder.join(folder),
            None => dvc_folder.join("cache"),
        };
        Ok(Self { dvc_folder, cache, settings, options: options.clone(), remote: None })
    }

    /// Opens the remote of this name, or else the one that the configuration names; fine if there is none.
    fn use_remote(&mut self, name: Option<&str>, options: &ImportOptions) -> Result<(), ImportError> {
        let Some(name) = name.or(self.settings.value("core", "remote")).map(str::to_owned) else { return Ok(()) };
        if self.remote.as_ref().is_some_and(|(open, _)| *open == name) {
            return Ok(());
        }
        let section = format!("remote \"{name}\"");
        let Some(url) = self.settings.value(&section, "url") else { return Ok(()) };
        let url = match url.contains("://") {
            true => url.to_owned(),
            // A folder is given from the one that the configuration is in.
            false => self.dvc_folder.join(url).display().to_string(),
        };
        let value = |key| self.settings.value(&section, key).map(str::to_owned);
        let endpoint = value("endpointurl");
        let settings = config::Remote { endpoint, region: value("region"), ..config::Remote::at(&url) };
        self.remote = Some((name, open_objects(&settings, &options.environment)?));
        Ok(())
    }

    /// The list of a folder's files, checked.
    fn folder_list(&mut self, md5: &str, path: &RelPath, remote: Option<&str>) -> Result<Vec<u8>, ImportError> {
        let expected = format!("MD5 {md5}");
        let suffixed = format!("{}.dir", &md5[2..]);
        for place in self.places(&md5[..2], &suffixed) {
            let Ok(metadata) = fs::metadata(&place) else { continue };
            if metadata.len() > MAX_FOLDER {
                continue;
            }
            let list = fs::read(&place).map_err(|source| ImportError::Read { path: place, source })?;
            if md5_of(&list) == md5 {
                return Ok(list);
            }
        }
        let options = self.options.clone();
        self.use_remote(remote, &options)?;
        let missing = || ImportError::Missing { path: path.clone(), expected: format!("{expected}.dir") };
        let (_, objects) = self.remote.as_ref().ok_or_else(missing)?;
        let objects = &**objects;
        for name in names(&md5[..2], &suffixed) {
            let Some(size) = size_of(objects, &name)?.filter(|size| *size <= MAX_FOLDER) else { continue };
            let list = objects.read(&name, 0..size)?;
            if md5_of(&list) != md5 {
                return Err(ImportError::Damaged { path: path.clone(), expected });
            }
            return Ok(list.to_vec());
        }
        Err(missing())
    }

    fn places(&self, first: &str, rest: &str) -> [PathBuf; 2] {
        names(first, rest).map(|name| self.cache.join(name))
    }
}

/// Where a content is in a cache or at a remote: since version 3, and before.
fn names(first: &str, rest: &str) -> [String; 2] {
    [format!("files/md5/{first}/{rest}"), format!("{first}/{rest}")]
}

/// The size of an object. A remote that is not there at all has none either.
fn size_of(objects: &dyn Objects, name: &str) -> Result<Option<u64>, ObjectError> {
    match objects.size(name) {
        Err(ObjectError::NotFound { .. }) => Ok(None),
        size => size,
    }
}

impl Contents for Sources {
    fn fetch(&self, wanted: &Wanted, draft: &mut Draft) -> Result<(), ImportError> {
        let Expected::Dvc { md5, .. } = &wanted.content else { return Ok(()) };
        for place in self.places(&md5[..2], &md5[2..]) {
            match File::open(&place) {
                Ok(mut file) => {
                    draft.copy_from(&mut file).map_err(|source| ImportError::Read { path: place, source })?;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ImportError::Read { path: place, source }),
            }
        }
        let missing = || ImportError::Missing { path: wanted.path.clone(), expected: wanted.content.to_string() };
        let (_, objects) = self.remote.as_ref().ok_or_else(missing)?;
        let objects = &**objects;
        for name in names(&md5[..2], &md5[2..]) {
            match size_of(objects, &name)? {
                Some(size) => return Ok(objects.fetch(&name, size, draft, &|_| ())?),
                None => continue,
            }
        }
        Err(missing())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_stay_in_the_work_tree() {
        let base = RelPath::new("a/b").unwrap();
        assert_eq!(joined(Some(&base), "..", "x/./y").unwrap().as_str(), "a/x/y");
        assert_eq!(joined(None, "", "x").unwrap().as_str(), "x");
        for bad in ["../../../x", "../../..", ".git/hooks/x", "../../.git/config"] {
            assert!(joined(Some(&base), "", bad).is_err(), "{bad}");
        }
    }
}
