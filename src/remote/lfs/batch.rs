//! What is said to an LFS server and what it answers: the batch API with the basic transfers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::pointer::{LfsPointer, Oid};

/// The media type of the API.
pub(super) const MEDIA_TYPE: &str = "application/vnd.git-lfs+json";

/// Objects that are asked for at a time, as git-lfs does.
pub(super) const MAX_OBJECTS: usize = 100;

/// An action is taken for expired so long before the server says it is.
const EXPIRY_MARGIN: Duration = Duration::from_secs(5);

/// How long an action of which the server says nothing is used.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);

/// Which way objects go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Operation {
    Upload,
    Download,
}

impl Operation {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Download => "download",
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Request<'r> {
    pub(super) operation: Operation,
    pub(super) transfers: [&'static str; 1],
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<Reference<'r>>,
    pub(super) objects: Vec<Object>,
}

/// The ref that the objects are for. Some servers decide by it who may write.
#[derive(Debug, Serialize)]
pub(super) struct Reference<'r> {
    pub(super) name: &'r str,
}

#[derive(Debug, Serialize)]
pub(super) struct Object {
    pub(super) oid: String,
    pub(super) size: u64,
}

impl From<&LfsPointer> for Object {
    fn from(pointer: &LfsPointer) -> Self {
        Self { oid: pointer.oid.to_string(), size: pointer.size }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) transfer: Option<String>,
    #[serde(default)]
    objects: Vec<AnswerObject>,
}

#[derive(Debug, Deserialize)]
struct AnswerObject {
    oid: String,
    #[serde(default)]
    actions: Option<BTreeMap<String, RawAction>>,
    /// What `actions` was called once, and some servers call it still.
    #[serde(default, rename = "_links")]
    links: Option<BTreeMap<String, RawAction>>,
    #[serde(default)]
    error: Option<Problem>,
}

/// Why an object cannot be moved.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    pub(super) message: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawAction {
    pub(super) href: String,
    #[serde(default)]
    pub(super) header: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) expires_in: Option<i64>,
    #[serde(default)]
    pub(super) expires_at: Option<String>,
}

/// Where and how an object is moved. It may hold a credential.
#[derive(Clone)]
pub(super) struct Action {
    pub(super) url: Url,
    pub(super) headers: BTreeMap<String, String>,
    expires: SystemTime,
}

impl RawAction {
    /// The action; none where its URL is none.
    pub(super) fn read(self, now: SystemTime) -> Option<Action> {
        let url = Url::parse(&self.href).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        let at = self.expires_at.and_then(|text| text.parse::<jiff::Timestamp>().ok()).map(SystemTime::from);
        // Seconds do not depend on two clocks. Zero, and the beginning of time, stand for nothing said.
        let life = self.expires_in.and_then(|seconds| u64::try_from(seconds).ok()).filter(|seconds| *seconds > 0);
        let expires = match (life, at) {
            (Some(seconds), _) => now + Duration::from_secs(seconds.min(30 * 24 * 3600)),
            (None, Some(at)) if at > SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30) => at,
            _ => now + DEFAULT_LIFE,
        };
        Some(Action { url, headers: self.header.unwrap_or_default(), expires })
    }
}

impl Action {
    pub(super) fn is_fresh(&self, now: SystemTime) -> bool {
        now + EXPIRY_MARGIN < self.expires
    }

    /// Whether it brings its own credential.
    pub(super) fn is_authorised(&self) -> bool {
        self.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization"))
    }
}

/// What is to be done for an object.
#[derive(Default)]
pub(super) struct Actions {
    pub(super) upload: Option<Action>,
    pub(super) verify: Option<Action>,
    pub(super) download: Option<Action>,
}

impl Answer {
    /// What is to be done for each of the objects asked for. An answer may leave some out or add others.
    pub(super) fn actions(self, now: SystemTime) -> BTreeMap<Oid, Result<Actions, Problem>> {
        let mut found = BTreeMap::new();
        for object in self.objects {
            let Some(oid) = Oid::parse(&object.oid) else { continue };
            let mut raw = object.actions.or(object.links).unwrap_or_default();
            let mut take = |name: &str| raw.remove(name).and_then(|action| action.read(now));
            let actions = Actions { upload: take("upload"), verify: take("verify"), download: take("download") };
            found.insert(oid, object.error.map_or(Ok(actions), Err));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(text: &str) -> Option<Action> {
        serde_json::from_str::<RawAction>(text).unwrap().read(SystemTime::now())
    }

    #[test]
    fn actions_expire_when_the_server_says() {
        let now = SystemTime::now();
        let after = |seconds| now + Duration::from_secs(seconds);
        let by_seconds =
            action(r#"{"href": "https://host/x", "expires_in": 900, "expires_at": "2016-11-10T15:29:07Z"}"#);
        assert!(by_seconds.as_ref().unwrap().is_fresh(after(800)) && !by_seconds.unwrap().is_fresh(after(900)));
        assert!(!action(r#"{"href": "https://host/x", "expires_at": "2016-11-10T15:29:07Z"}"#).unwrap().is_fresh(now));
        for silent in [
            r#"{"href": "https://host/x"}"#,
            r#"{"href": "https://host/x", "expires_in": 0, "expires_at": "0001-01-01T00:00:00Z"}"#,
        ] {
            assert!(action(silent).unwrap().is_fresh(after(60)), "{silent}");
            assert!(!action(silent).unwrap().is_fresh(after(600)), "{silent}");
        }
        assert!(action(r#"{"href": "file:///etc/passwd"}"#).is_none());
    }

    #[test]
    fn an_answer_says_what_is_to_be_done() {
        let oid = Oid::of(b"abc");
        let text = format!(
            r#"{{"transfer": "basic", "hash_algo": "sha256", "objects": [
                {{"oid": "{oid}", "size": 3, "authenticated": true, "actions": {{
                    "upload": {{"href": "https://host/u", "header": {{"authorization": "x"}}}},
                    "verify": {{"href": "https://host/v"}}}}}},
                {{"oid": "{missing}", "size": 1, "error": {{"code": 404, "message": "gone"}}}},
                {{"oid": "no oid", "size": 1}}]}}"#,
            missing = Oid::of(b"")
        );
        let mut actions = serde_json::from_str::<Answer>(&text).unwrap().actions(SystemTime::now());
        let found = actions.remove(&oid).unwrap().ok().unwrap();
        assert!(found.upload.as_ref().is_some_and(Action::is_authorised));
        assert!(found.verify.is_some_and(|action| !action.is_authorised()) && found.download.is_none());
        assert_eq!(actions.remove(&Oid::of(b"")).unwrap().err().map(|problem| problem.code), Some(404));
        assert!(actions.is_empty());
    }
}
