//! The Python that a command runs with, and its packages: what the file system says, without starting it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Packages that are named.
const MAX_PACKAGES: usize = 2000;

/// `python`, its version; `python_path`, where it is; `python_packages`, a line `name==version` each. Nothing where the
/// command uses no Python that can be told: it is one, it is a script that names one, or an environment is active.
///
/// `search_path` is where commands are found, and `active` the folder of the active environment.
pub fn capture_python(
    command: &[String],
    folder: &Path,
    search_path: &[PathBuf],
    active: Option<&Path>,
) -> BTreeMap<String, String> {
    let program = command.first().and_then(|program| find(program, folder, search_path));
    let of_command =
        program.and_then(|program| if is_python(&program) { Some(program) } else { named_by(&program, search_path) });
    let python = of_command.or_else(|| Some(active?.join("bin/python")).filter(|python| python.exists()));
    let mut facts = BTreeMap::new();
    let Some(python) = python else { return facts };
    let (version, places) = installation(&python);
    facts.insert("python_path".to_owned(), python.display().to_string());
    facts.extend(version.map(|version| ("python".to_owned(), version)));
    let packages = packages(&places);
    if !packages.is_empty() {
        facts.insert("python_packages".to_owned(), packages.join("\n"));
    }
    facts
}

/// The file that a command's first word starts.
fn find(program: &str, folder: &Path, search_path: &[PathBuf]) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(folder.join(program)).filter(|place| place.is_file());
    }
    search_path.iter().map(|place| place.join(program)).find(|place| place.is_file())
}

fn is_python(program: &Path) -> bool {
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let rest = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// The Python that a script names in its first line, as the programs of packages do.
fn named_by(script: &Path, search_path: &[PathBuf]) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    File::open(script).ok()?.take(512).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.strip_prefix("#!")?.lines().next()?;
    let mut words = line.split_whitespace();
    let mut program = PathBuf::from(words.next()?);
    if program.file_name().is_some_and(|name| name == "env") {
        program = find(words.find(|word| !word.starts_with('-'))?, Path::new("/"), search_path)?;
    }
    is_python(&program).then_some(program)
}

/// The version of a Python as far as it is known, and the folders of its packages.
fn installation(python: &Path) -> (Option<String>, Vec<PathBuf>) {
    let prefix_of = |python: &Path| python.parent().and_then(Path::parent).map(Path::to_path_buf);
    let own = prefix_of(python).unwrap_or_default();
    let real = python.canonicalize().unwrap_or_else(|_| python.to_path_buf());
    let base = prefix_of(&real).unwrap_or_default();
    let config = std::fs::read_to_string(own.join("pyvenv.cfg")).unwrap_or_default();
    let setting = |wanted: &str| {
        let pairs = config.lines().filter_map(|line| line.split_once('='));
        pairs.map(|(name, value)| (name.trim(), value.trim())).find(|(name, _)| *name == wanted).map(|(_, value)| value)
    };
    let configured = setting("version").or_else(|| setting("version_info"));
    let real_name = real.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let short = match configured {
        Some(version) => Some(version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".")),
        None => real_name.strip_prefix("python").filter(|rest| rest.contains('.')).map(str::to_owned),
    };
    let Some(short) = short else { return (None, Vec::new()) };
    let header = base.join(format!("include/python{short}/patchlevel.h"));
    let patch = || {
        let text = std::fs::read_to_string(header).ok()?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix("#define PY_VERSION "))?;
        Some(line.split('"').nth(1)?.to_owned())
    };
    // `3.11.2.final.0`, as one tool writes it, is 3.11.2.
    let configured = configured.map(|version| version.split('.').take(3).collect::<Vec<_>>().join("."));
    let version = configured.or_else(patch).unwrap_or_else(|| short.clone());
    let is_environment = !config.is_empty();
    let sees_system = !is_environment || setting("include-system-site-packages") == Some("true");
    let mut places = vec![own.join(format!("lib/python{short}/site-packages"))];
    if sees_system {
        places.push(base.join(format!("lib/python{short}/site-packages")));
        if base == Path::new("/usr") {
            places.push(PathBuf::from(format!("/usr/local/lib/python{short}/dist-packages")));
            places.push(PathBuf::from("/usr/lib/python3/dist-packages"));
        }
    }
    (Some(version), places)
}

/// The packages in folders, `name==version`; of several with one name the first folder's counts, as for Python.
fn packages(places: &[PathBuf]) -> Vec<String> {
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for place in places {
        for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let known = name.to_str().and_then(|name| {
                let stem = name.strip_suffix(".dist-info").or_else(|| name.strip_suffix(".egg-info"))?;
                let (name, version) = stem.split_once('-')?;
                // An egg's name goes on with the version of Python.
                let version = version.split("-py").next().unwrap_or(version);
                Some((name.replace('_', "-").to_lowercase(), version.to_owned()))
            });
            if let Some((name, version)) = known
                && found.len() < MAX_PACKAGES
            {
                found.entry(name).or_insert(version);
            }
        }
    }
    found.into_iter().map(|(name, version)| format!("{name}=={version}")).collect()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make environments of their own")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn an_environment_is_read_without_starting_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = |path: &str| folder.path().join(path);
        fs::create_dir_all(place("venv/bin")).unwrap();
        fs::write(place("venv/bin/python"), "").unwrap();
        fs::write(place("venv/pyvenv.cfg"), "home = /usr/bin\nversion = 3.11.2\n").unwrap();
        for package in ["numpy-1.26.4.dist-info", "scikit_learn-1.5.0.dist-info", "old-2.0-py3.11.egg-info", "numpy"] {
            fs::create_dir_all(place("venv/lib/python3.11/site-packages").join(package)).unwrap();
        }
        let python = place("venv/bin/python");
        fs::write(place("venv/bin/torchrun"), format!("#!{}\nimport sys\n", python.display())).unwrap();
        let search_path = [place("venv/bin")];
        let captured = |words: &[&str], active: Option<&Path>| {
            let command: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            capture_python(&command, folder.path(), &search_path, active)
        };
        for facts in [
            captured(&["python", "t.py"], None),
            captured(&["torchrun", "t.py"], None),
            captured(&["venv/bin/python"], None),
            captured(&["sh", "t.sh"], Some(&place("venv"))),
        ] {
            assert_eq!(facts["python"], "3.11.2");
            assert_eq!(facts["python_packages"], "numpy==1.26.4\nold==2.0\nscikit-learn==1.5.0");
        }
        assert!(captured(&["sh", "t.sh"], None).is_empty());
        assert!(captured(&[], None).is_empty());
    }
}
