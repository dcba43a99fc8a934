//! Changing `ml.toml` without losing comments or the order of keys.

use std::path::Path;

use toml_edit::{DocumentMut, Item, Table};

use super::{ConfigError, Remote};

/// The text of an `ml.toml` with the remote `name` as given or, with none, removed; `path` is for errors.
pub fn set_remote(text: &str, path: &Path, name: &str, remote: Option<&Remote>) -> Result<String, ConfigError> {
    let fail = |message: String| ConfigError::Parse { path: path.to_path_buf(), message };
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| fail(error.to_string()))?;
    let section = document.entry("remotes").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let remotes = section.as_table_like_mut().ok_or_else(|| fail("`remotes` is not a table".to_owned()))?;
    match remote {
        Some(Remote { url, endpoint, region, limit_rate, allow_http, virtual_hosted }) => {
            let mut table = Table::new();
            table.insert("url", toml_edit::value(url));
            for (key, value) in [("endpoint", endpoint), ("region", region), ("limit-rate", limit_rate)] {
                if let Some(value) = value {
                    table.insert(key, toml_edit::value(value));
                }
            }
            for (key, value) in [("allow-http", allow_http), ("virtual-hosted", virtual_hosted)] {
                if *value {
                    table.insert(key, toml_edit::value(true));
                }
            }
            remotes.insert(name, Item::Table(table));
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
        let added = set_remote(text, path, "share", Some(&Remote::at("file:///mnt/x"))).unwrap();
        assert_eq!(added, format!("{text}\n[remotes.share]\nurl = \"file:///mnt/x\"\n"));
        assert_eq!(set_remote(&added, path, "share", None).unwrap(), text);
        assert!(set_remote("remotes = 3", path, "share", None).is_err());
        let remote = Remote {
            endpoint: Some("http://localhost:9000".to_owned()),
            region: Some("eu-west-1".to_owned()),
            virtual_hosted: true,
            ..Remote::at("s3://bucket/x")
        };
        let added = set_remote("", path, "cloud", Some(&remote)).unwrap();
        assert_eq!(crate::config::Config::parse(&added, path).unwrap().remotes["cloud"], remote);
    }
}
