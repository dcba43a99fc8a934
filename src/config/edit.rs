//! Changing `ml.toml` without losing comments or the order of keys.

use std::path::Path;

use toml_edit::{DocumentMut, Item, Table};

use super::ConfigError;

/// The text of an `ml.toml` with the remote `name` added or, without a URL, removed; `path` is for errors.
pub fn set_remote(text: &str, path: &Path, name: &str, url: Option<&str>) -> Result<String, ConfigError> {
    let fail = |message: String| ConfigError::Parse { path: path.to_path_buf(), message };
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| fail(error.to_string()))?;
    let section = document.entry("remotes").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let remotes = section.as_table_like_mut().ok_or_else(|| fail("`remotes` is not a table".to_owned()))?;
    match url {
        Some(url) => {
            let mut remote = Table::new();
            remote.insert("url", toml_edit::value(url));
            remotes.insert(name, Item::Table(remote));
        }
        None => {
            remotes.remove(name);
        }
    }
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_file_stays_as_it_is() {
        let text = "# ours\n[experiments.a] # the first\ncommand = 'x'\n";
        let path = Path::new("ml.toml");
        let added = set_remote(text, path, "share", Some("file:///mnt/x")).unwrap();
        assert_eq!(added, format!("{text}\n[remotes.share]\nurl = \"file:///mnt/x\"\n"));
        assert_eq!(set_remote(&added, path, "share", None).unwrap(), text);
        assert!(set_remote("remotes = 3", path, "share", None).is_err());
    }
}
