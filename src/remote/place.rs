//! Where a remote is: what its URL and its options say.

use std::fmt;
use std::path::{Path, PathBuf};

use super::ssh::Address;
use super::{RemoteError, lfs};
use crate::config;

/// Where a remote is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// A folder: `file:///a/folder`, or a path from the root.
    Folder(PathBuf),
    /// A part of a bucket: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container/prefix`.
    Bucket(Bucket),
    /// A folder on a machine that `ssh` reaches: `ssh://host/folder`, `host:folder`.
    Ssh(Address),
    /// The LFS server of a git remote: `lfs::origin`, `lfs::https://host/repository.git`.
    Lfs(String),
    /// A folder behind a web server, for reading: `https://host/path`.
    Web {
        /// As it was given, without a slash at the end.
        url: String,
    },
}

/// A part of a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bucket {
    pub(crate) kind: BucketKind,
    /// The storage account; Azure's only.
    pub(crate) account: Option<String>,
    /// The bucket, or Azure's container.
    pub(crate) name: String,
    /// The folder in it; empty for all of it.
    pub(crate) prefix: String,
    /// The server, where it is not the provider's own.
    pub(crate) endpoint: Option<String>,
    pub(crate) region: Option<String>,
    /// Whether the bucket is a part of the server's name rather than of the path.
    pub(crate) is_virtual_hosted: bool,
}

impl fmt::Display for Bucket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            BucketKind::S3 => "s3",
            BucketKind::Google => "gs",
            BucketKind::Azure => "az",
        };
        write!(formatter, "{scheme}://")?;
        let parts =
            self.account.iter().chain([&self.name]).chain(Some(&self.prefix).filter(|prefix| !prefix.is_empty()));
        formatter.write_str(&parts.map(String::as_str).collect::<Vec<_>>().join("/"))?;
        self.endpoint.as_ref().map_or(Ok(()), |endpoint| write!(formatter, " at {endpoint}"))
    }
}

/// Whose protocol a bucket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BucketKind {
    /// Amazon's, and that of many others.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// Words in the keys of URLs' queries that mark a secret.
const SECRETS: [&str; 8] = ["key", "secret", "token", "signature", "password", "credential", "sig", "auth"];

impl Place {
    /// Whether looking at it costs next to nothing.
    pub(crate) fn is_near(&self) -> bool {
        matches!(self, Self::Folder(_))
    }

    /// Whether a store can be set up there.
    pub(crate) fn is_writable(&self) -> bool {
        !matches!(self, Self::Web { .. })
    }

    /// Reads what is configured. A credential in it is refused, and not repeated in the error.
    pub(crate) fn parse(remote: &config::Remote) -> Result<Self, RemoteError> {
        for text in [Some(&remote.url), remote.endpoint.as_ref()].into_iter().flatten() {
            refuse_secrets(text)?;
        }
        let url = remote.url.as_str();
        let fail = |reason| RemoteError::BadUrl { url: url.to_owned(), reason };
        if remote.endpoint.is_some() || remote.region.is_some() {
            let is_bucket = ["s3://", "gs://", "az://"].iter().any(|scheme| url.starts_with(scheme));
            if !is_bucket {
                return Err(fail("an endpoint and a region are for buckets"));
            }
        }
        if let Some(git_remote) = url.strip_prefix("lfs::") {
            lfs::check_remote(git_remote).map_err(fail)?;
            return Ok(Self::Lfs(git_remote.to_owned()));
        }
        if let Some(address) = Address::parse(url) {
            return Ok(Self::Ssh(address.map_err(fail)?));
        }
        let (scheme, rest) = url.split_once("://").unwrap_or(("file", url));
        let place = match scheme {
            "file" => Self::Folder(folder_at(url, rest)?),
            "s3" => Self::Bucket(bucket(BucketKind::S3, rest, remote).map_err(fail)?),
            "gs" => Self::Bucket(bucket(BucketKind::Google, rest, remote).map_err(fail)?),
            "az" => Self::Bucket(bucket(BucketKind::Azure, rest, remote).map_err(fail)?),
            "http" | "https" if rest.trim_matches('/').is_empty() => return Err(fail("it names no server")),
            "http" | "https" if rest.contains(['?', '#']) => return Err(fail("a query cannot be part of it")),
            // What is read is checked against its digests, so a plain connection can lie to nobody.
            "http" | "https" => Self::Web { url: url.trim_end_matches('/').to_owned() },
            _ => return Err(fail("there are file://, s3://, gs://, az://, ssh://, https:// and lfs:: remotes")),
        };
        Ok(place)
    }
}

/// The folder that `path` names, from the root.
fn folder_at(url: &str, path: &str) -> Result<PathBuf, RemoteError> {
    if path.contains('\0') || !Path::new(path).is_absolute() {
        let reason = "the folder has to be given from the root: file:///a/folder";
        return Err(RemoteError::BadUrl { url: url.to_owned(), reason });
    }
    Ok(PathBuf::from(path))
}

fn bucket(kind: BucketKind, rest: &str, remote: &config::Remote) -> Result<Bucket, &'static str> {
    if rest.contains(['?', '#', '\\']) || rest.chars().any(char::is_control) {
        return Err("it is a bucket and a path, and nothing else");
    }
    let mut parts = rest.trim_end_matches('/').split('/');
    let account = match kind {
        BucketKind::Azure => Some(parts.next().unwrap_or_default().to_owned()),
        BucketKind::S3 | BucketKind::Google => None,
    };
    let name = parts.next().unwrap_or_default().to_owned();
    let is_name = |text: &str| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('.')
    };
    if !is_name(&name) || account.as_deref().is_some_and(|account| !is_name(account)) {
        return Err(match kind {
            BucketKind::Azure => "it has to be az://account/container/path",
            BucketKind::S3 => "it has to be s3://bucket/path",
            BucketKind::Google => "it has to be gs://bucket/path",
        });
    }
    let folders: Vec<&str> = parts.collect();
    if folders.iter().any(|folder| matches!(*folder, "" | "." | "..")) {
        return Err("its path has to be plain names");
    }
    if let Some(endpoint) = &remote.endpoint {
        check_endpoint(kind, endpoint, remote.allow_http)?;
    }
    Ok(Bucket {
        kind,
        account,
        name,
        prefix: folders.join("/"),
        endpoint: remote.endpoint.as_ref().map(|endpoint| endpoint.trim_end_matches('/').to_owned()),
        region: remote.region.clone(),
        is_virtual_hosted: remote.virtual_hosted,
    })
}

/// `ml.toml` comes with a clone, and what is signed for Google or Azure holds a token that opens every other bucket of
/// the user's too: so those go to the provider only, or to a server on this machine.
fn check_endpoint(kind: BucketKind, endpoint: &str, allow_http: bool) -> Result<(), &'static str> {
    let (scheme, rest) = endpoint.split_once("://").ok_or("an endpoint is https://host or http://localhost:port")?;
    let is_local = is_loopback(rest);
    match (scheme, kind) {
        _ if rest.is_empty() || rest.contains(['?', '#']) => {
            Err("an endpoint is https://host or http://localhost:port")
        }
        ("http" | "https", BucketKind::Google | BucketKind::Azure) if !is_local => {
            Err("an endpoint of this kind has to be on this machine")
        }
        ("http", _) if is_local || allow_http => Ok(()),
        ("http", _) => Err("its endpoint is not encrypted; `allow-http = true` beside it accepts that"),
        ("https", _) => Ok(()),
        _ => Err("an endpoint is https://host or http://localhost:port"),
    }
}

/// Whether `host:port/path` is on this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let authority = authority.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Refuses a URL with a user, a password or a key in it.
fn refuse_secrets(url: &str) -> Result<(), RemoteError> {
    let url = url.strip_prefix("lfs::").unwrap_or(url);
    let Some((scheme, rest)) = url.split_once("://") else { return Ok(()) };
    if scheme == "file" {
        return Ok(());
    }
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = path.split('/').next().unwrap_or_default();
    // The user of an SSH server is no secret, a password is.
    let is_secret = match authority.rsplit_once('@') {
        Some((user, _)) => user.contains(':') || scheme != "ssh",
        None => false,
    };
    let keys = query.split('&').map(|pair| pair.split('=').next().unwrap_or_default().to_ascii_lowercase());
    if is_secret || keys.into_iter().any(|key| SECRETS.iter().any(|secret| key.contains(secret))) {
        let shown = authority.rsplit('@').next().unwrap_or_default();
        return Err(RemoteError::SecretInUrl { url: format!("{scheme}://{shown}/…") });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Place, RemoteError> {
        Place::parse(&config::Remote::at(url))
    }

    fn with_endpoint(url: &str, endpoint: &str) -> Result<Place, RemoteError> {
        Place::parse(&config::Remote { endpoint: Some(endpoint.to_owned()), ..config::Remote::at(url) })
    }

    #[test]
    fn urls_say_what_and_where() {
        assert_eq!(parse("file:///a b/ü").unwrap(), Place::Folder("/a b/ü".into()));
        assert_eq!(parse("/mnt/x").unwrap(), Place::Folder("/mnt/x".into()));
        let Place::Bucket(bucket) = parse("s3://data/team/a/").unwrap() else { panic!("no bucket") };
        assert_eq!((bucket.kind, &*bucket.name, &*bucket.prefix), (BucketKind::S3, "data", "team/a"));
        let Place::Bucket(bucket) = parse("az://acc/box").unwrap() else { panic!("no bucket") };
        assert_eq!((bucket.account.as_deref(), &*bucket.name, &*bucket.prefix), (Some("acc"), "box", ""));
        assert!(matches!(parse("https://host/x/").unwrap(), Place::Web { url } if url == "https://host/x"));
        let Place::Ssh(address) = parse("ada@host:store").unwrap() else { panic!("not behind SSH") };
        assert_eq!(address.to_string(), "ssh://ada@host/~/store");
        assert_eq!(parse("lfs::origin").unwrap(), Place::Lfs("origin".to_owned()));
        assert_eq!(parse("lfs::https://host/x.git").unwrap(), Place::Lfs("https://host/x.git".to_owned()));
        for bad in ["lfs::", "lfs::-x", "lfs::ext::sh -c x", "lfs::/srv/x.git", "ssh://-x/y", "-x:y", "ssh://host"] {
            assert!(matches!(parse(bad), Err(RemoteError::BadUrl { .. })), "{bad:?}");
        }
        for bad in [
            "",
            "x",
            "ftp://host/x",
            "file://relative",
            "file:///a\0b",
            "s3://",
            "s3:///x",
            "s3://b/../x",
            "s3://b//x",
            "s3://b/x?versions",
            "az://account",
            "https://",
            "https://host/?list",
        ] {
            assert!(matches!(parse(bad), Err(RemoteError::BadUrl { .. })), "{bad:?}");
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for bad in [
            "s3://AKIA123:hunter2@bucket/x",
            "https://me:hunter2@host/x",
            "ssh://me:hunter2@host/x",
            "lfs::https://me:hunter2@host/x.git",
            "https://hunter2@host/x",
            "s3://bucket/x?secret_access_key=hunter2",
            "https://host/x?X-Amz-Signature=hunter2",
            "https://host/x?sig=hunter2",
        ] {
            let error = parse(bad).unwrap_err();
            assert!(matches!(error, RemoteError::SecretInUrl { .. }), "{bad}: {error}");
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{bad}: {error}");
        }
        let error = with_endpoint("s3://bucket/x", "https://me:hunter2@host").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[test]
    fn endpoints_are_encrypted_or_near() {
        for good in ["https://s3.example.com", "http://127.0.0.1:9000/", "http://localhost:1", "http://[::1]:9"] {
            assert!(with_endpoint("s3://bucket", good).is_ok(), "{good}");
        }
        for bad in ["http://example.com", "http://localhost.example.com", "example.com", "ftp://x", "https://"] {
            assert!(with_endpoint("s3://bucket", bad).is_err(), "{bad}");
        }
        assert!(with_endpoint("gs://bucket", "https://elsewhere.example").is_err());
        assert!(with_endpoint("gs://bucket", "http://127.0.0.1:4443").is_ok());
        assert!(with_endpoint("/a/folder", "https://host").is_err());
    }
}
