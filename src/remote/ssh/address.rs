//! Where an SSH remote is: what its URL says.

use std::fmt;

/// A folder on a machine that `ssh` reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    /// None leaves it to the configuration of `ssh`.
    pub(super) user: Option<String>,
    /// A name, an address, or an alias of the configuration of `ssh`.
    pub(super) host: String,
    /// None leaves it to the configuration of `ssh`.
    pub(super) port: Option<u16>,
    /// From the root, or else from the user's home folder there.
    pub(super) folder: String,
}

/// What a shell would not take as it is, with which a name could reach the commands of the user's configuration.
const SPECIAL: &[char] =
    &['\'', '"', '`', '$', '\\', ';', '&', '<', '>', '|', '(', ')', '{', '}', '*', '?', '!', '#', '/', '[', ']'];

impl Address {
    /// Reads `ssh://[user@]host[:port]/folder`, or `[user@]host:folder` as `scp` has it. None if it is neither, and the
    /// reason where it is one that cannot be used.
    pub(crate) fn parse(url: &str) -> Option<Result<Self, &'static str>> {
        if let Some(rest) = url.strip_prefix("ssh://") {
            return Some(Self::from_url(rest));
        }
        // As git tells them apart: what has a slash before the colon is a path.
        let (host, folder) = match url.strip_prefix('[') {
            Some(rest) => rest.split_once("]:")?,
            None => url.split_once(':')?,
        };
        if url.contains("://") || host.contains('/') || folder.starts_with(':') {
            return None;
        }
        Some(Self::new(host, None, folder.to_owned()))
    }

    fn from_url(rest: &str) -> Result<Self, &'static str> {
        const FORM: &str = "it has to be ssh://host/a/folder";
        let (authority, path) = rest.split_at(rest.find('/').ok_or(FORM)?);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let (host, port) = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').or(rest.is_empty().then_some("")).ok_or(FORM)?),
            None => host.rsplit_once(':').unwrap_or((host, "")),
        };
        let port = match port {
            "" => None,
            port => Some(port.parse().ok().filter(|port| *port != 0).ok_or("its port is not one")?),
        };
        let path = percent_decoded(path).ok_or("a `%` in it is not followed by two hexadecimal digits")?;
        // `/~/x` is below the home folder, as for git.
        let folder = match path.strip_prefix("/~/") {
            Some(folder) => folder.to_owned(),
            None if path == "/~" => ".".to_owned(),
            None => path,
        };
        let target = user.map_or_else(|| host.to_owned(), |user| format!("{user}@{host}"));
        Self::new(&target, port, folder)
    }

    fn new(target: &str, port: Option<u16>, folder: String) -> Result<Self, &'static str> {
        let (user, host) = match target.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host.to_owned()),
            None => (None, target.to_owned()),
        };
        // `ssh` would take a name that begins with a dash for an option.
        let is_name = |name: &str| {
            !name.is_empty()
                && !name.starts_with('-')
                && !name.contains(SPECIAL)
                && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        };
        if !is_name(&host) || host.contains('%') || !user.as_deref().is_none_or(is_name) {
            return Err("its host or user is not a name that ssh can be given");
        }
        if user.as_deref().is_some_and(|user| user.contains(':')) {
            return Err("a password cannot be part of it: ssh asks for it, or uses a key");
        }
        let folder = match folder.trim_end_matches('/') {
            "" if folder.starts_with('/') => return Err("it has to name a folder, not the root"),
            "" | "~" => ".".to_owned(),
            folder => folder.strip_prefix("~/").unwrap_or(folder).to_owned(),
        };
        if folder.contains(char::is_control) || folder.split('/').any(|name| name == "..") {
            return Err("its folder has to be plain names");
        }
        Ok(Self { user, host, port, folder })
    }

    /// The folder there, from the root or from the user's home folder.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// What `ssh` is told to connect to.
    pub(super) fn target(&self) -> String {
        self.user.as_ref().map_or_else(|| self.host.clone(), |user| format!("{user}@{}", self.host))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bracketed = self.host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        formatter.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(formatter, "{user}@")?;
        }
        write!(formatter, "{open}{}{close}", self.host)?;
        if let Some(port) = self.port {
            write!(formatter, ":{port}")?;
        }
        match self.folder.as_str() {
            "." => formatter.write_str("/~"),
            folder if folder.starts_with('/') => formatter.write_str(folder),
            folder => write!(formatter, "/~/{folder}"),
        }
    }
}

/// A part of a URL with the bytes that it writes as `%xx`.
pub(crate) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digit = |at: usize| char::from(*tail.get(at)?).to_digit(16);
        bytes.push(u8::try_from(digit(0)? * 16 + digit(1)?).ok()?);
        rest = tail.get(2..)?;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(url: &str) -> String {
        Address::parse(url).unwrap().unwrap().to_string()
    }

    #[test]
    fn both_forms_are_read() {
        let address = Address::parse("ssh://ada@host.example:2222/srv/a%20b/").unwrap().unwrap();
        assert_eq!((address.target().as_str(), address.port), ("ada@host.example", Some(2222)));
        assert_eq!(address.folder, "/srv/a b");
        assert_eq!(shown("ssh://host/~/team/store"), "ssh://host/~/team/store");
        assert_eq!(shown("ssh://host/~"), "ssh://host/~");
        assert_eq!(shown("ssh://[::1]:22/x"), "ssh://[::1]:22/x");
        assert_eq!(shown("ssh://ada@[fe80::2]/x"), "ssh://ada@[fe80::2]/x");
        assert_eq!(shown("ada@host:team/ä store/"), "ssh://ada@host/~/team/ä store");
        assert_eq!(shown("host:/srv/x"), "ssh://host/srv/x");
        assert_eq!(shown("host:~/x"), "ssh://host/~/x");
        assert_eq!(shown("host:"), "ssh://host/~");
        assert_eq!(shown("[::1]:/srv/x"), "ssh://[::1]/srv/x");
    }

    #[test]
    fn other_places_are_none_of_ours() {
        for other in ["/srv/x", "file:///srv/x", "s3://bucket/x", "./a:b", "x", "https://host/x", "lfs::origin"] {
            assert_eq!(Address::parse(other), None, "{other}");
        }
    }

    #[test]
    fn what_could_be_an_option_or_a_command_is_refused() {
        for bad in [
            "ssh://-oProxyCommand=touch%20x/srv",
            "ssh://-oProxyCommand=x/srv",
            "-oProxyCommand=x:srv",
            "ssh://ada@-x/srv",
            "ssh://-l@host/srv",
            "ssh://a$(x)@host/srv",
            "ssh://ho`st/srv",
            "ssh://ho st/srv",
            "ssh://ho\nst/srv",
            "ssh://host%0a/srv",
            "ssh:///srv",
            "ssh://host",
            "ssh://host/",
            "ssh://host//",
            "ssh://host:0/x",
            "ssh://host:65536/x",
            "ssh://host:x/x",
            "ssh://host/a/../b",
            "ssh://host/a%2f..%2fb",
            "ssh://host/a%0ab",
            "ssh://host/a%00b",
            "ssh://host/a%zz",
            "ssh://host/a%2",
            "ssh://ada:secret@host/srv",
            "ssh://[::1/srv",
            "ssh://[::1]x/srv",
            "host:a/../../b",
        ] {
            assert!(matches!(Address::parse(bad), Some(Err(_))), "{bad:?}: {:?}", Address::parse(bad));
        }
    }
}
