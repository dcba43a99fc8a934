//! The merge driver for pointers: git's configuration names it, and an attribute says which files it is for.
//!
//! Both are this clone's own: `.git/config` and `.git/info/attributes`. A clone without git-ml merges pointers as text.

use std::io;
use std::path::PathBuf;

use super::HookError;
use super::install::{BEGIN, END, Outcome, State};
use crate::files::{self, Durability, create_dir_all};
use crate::git::Repository;

const NAME: (&str, &str) = ("merge.git-ml.name", "pointers of git ml");
const DRIVER: &str = "merge.git-ml.driver";
/// What git has a shell run. `%P` is quoted by git.
const COMMAND: &str = "if command -v git-ml >/dev/null 2>&1; then git ml hook merge-pointer %O %A %B %L %P; \
                       else git merge-file --marker-size=%L %A %O %B; fi";
const ATTRIBUTE: &str = "*.mlref merge=git-ml";

/// Installs the driver; safe to repeat.
pub fn install_driver(repository: &Repository) -> Result<Outcome, HookError> {
    if driver_state(repository)? == State::Current {
        return Ok(Outcome::Unchanged);
    }
    repository.set_config(NAME.0, NAME.1)?;
    repository.set_config(DRIVER, COMMAND)?;
    let place = place(repository);
    let text = read(repository)?;
    let without = without_ours(&text);
    let gap = if without.is_empty() || without.ends_with('\n') { "" } else { "\n" };
    if let Some(folder) = place.parent() {
        create_dir_all(folder)?;
    }
    files::publish(&place, format!("{without}{gap}{}", block()).as_bytes(), Durability::Synced)?;
    Ok(if without.is_empty() { Outcome::Created } else { Outcome::Added })
}

/// Takes the driver out again; what else the files say stays.
pub fn uninstall_driver(repository: &Repository) -> Result<Outcome, HookError> {
    if driver_state(repository)? == State::Absent {
        return Ok(Outcome::Absent);
    }
    for key in [NAME.0, DRIVER] {
        repository.unset_config(key)?;
    }
    let place = place(repository);
    let text = read(repository)?;
    match without_ours(&text) {
        without if without.is_empty() => files::remove_file(&place)?,
        without if without != text => files::publish(&place, without.as_bytes(), Durability::Synced)?,
        _ => {}
    }
    Ok(Outcome::Removed)
}

/// How the driver stands.
pub fn driver_state(repository: &Repository) -> Result<State, HookError> {
    let text = read(repository)?;
    let has_attribute = without_ours(&text) != text;
    Ok(match repository.config(DRIVER)? {
        None if !has_attribute => State::Absent,
        Some(command) if command == COMMAND && text.contains(&block()) => State::Current,
        _ => State::Outdated,
    })
}

fn place(repository: &Repository) -> PathBuf {
    repository.common_dir().join("info").join("attributes")
}

fn block() -> String {
    format!("{BEGIN}\n{ATTRIBUTE}\n{END}\n")
}

fn read(repository: &Repository) -> Result<String, HookError> {
    let path = place(repository);
    match std::fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text.map_err(|source| HookError::Read { path, source }),
    }
}

/// The text without our lines.
fn without_ours(text: &str) -> String {
    let marks = text.find(BEGIN).and_then(|begin| Some((begin, begin + text[begin..].find(END)? + END.len())));
    match marks {
        Some((begin, end)) => {
            let after = text[end..].strip_prefix('\n').unwrap_or(&text[end..]);
            format!("{}{after}", &text[..begin])
        }
        None => text.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write the file that they look at")]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_driver_comes_once_and_leaves_what_else_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::init(folder.path()).unwrap();
        let attributes = folder.path().join(".git/info/attributes");
        assert_eq!(driver_state(&repository).unwrap(), State::Absent);
        assert_eq!(uninstall_driver(&repository).unwrap(), Outcome::Absent);
        assert_eq!(install_driver(&repository).unwrap(), Outcome::Created);
        assert_eq!(install_driver(&repository).unwrap(), Outcome::Unchanged);
        assert_eq!(driver_state(&repository).unwrap(), State::Current);
        assert_eq!(uninstall_driver(&repository).unwrap(), Outcome::Removed);
        assert!(!attributes.exists());

        fs::create_dir_all(attributes.parent().unwrap()).unwrap();
        fs::write(&attributes, "*.png binary").unwrap();
        assert_eq!(install_driver(&repository).unwrap(), Outcome::Added);
        repository.set_config(DRIVER, "an older one").unwrap();
        assert_eq!(driver_state(&repository).unwrap(), State::Outdated);
        assert_eq!(install_driver(&repository).unwrap(), Outcome::Added);
        assert_eq!(fs::read_to_string(&attributes).unwrap(), format!("*.png binary\n{}", block()));
        uninstall_driver(&repository).unwrap();
        assert_eq!(fs::read_to_string(&attributes).unwrap(), "*.png binary\n");
        assert_eq!(repository.config(DRIVER).unwrap(), None);
    }
}
