//! Buckets and web servers, through the `object_store` crate.
//!
//! Its own requests run on a small runtime in here; to the rest of the program this blocks as files do.

use std::error::Error as _;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Once};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpError;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::path::Path as ObjectPath;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStore, ObjectStoreExt, PutPayload, RetryConfig};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::layout::{CATALOG, INDEXES, ROOT, parse_catalog};
use super::objects::{Listed, Objects, PIECE, Pace, write_at};
use super::place::{Bucket, BucketKind};
use super::{Environment, ObjectError, RemoteError, credentials};
use crate::files::Draft;

/// Up to so many bytes an object is sent in one request.
const ONE_REQUEST: u64 = 2 * PIECE;
/// How long nothing may come from a server. Lines that are dead end sooner: the system asks whether the other side is there.
const NO_ANSWER: Duration = Duration::from_secs(600);
/// Parts of one object that are under way at a time.
const PARTS_AT_ONCE: usize = 2;

/// A bucket, or a folder behind a web server.
#[derive(Debug)]
pub(super) struct Cloud {
    /// As people know it.
    place: String,
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    /// Whether it can only be read, and not listed.
    is_web: bool,
    runtime: Runtime,
}

impl Cloud {
    /// A bucket.
    pub(super) fn bucket(bucket: &Bucket, environment: &Environment) -> Result<Self, RemoteError> {
        prepare_encryption();
        let place = bucket.to_string();
        let endpoint = bucket.endpoint.as_deref();
        let options = client_options(endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")));
        let store: Result<Arc<dyn ObjectStore>, Error> = match bucket.kind {
            BucketKind::S3 => {
                let mut builder = credentials::amazon(AmazonS3Builder::new(), environment)
                    .map_err(|problem| RemoteError::NoCredentials { place: place.clone(), problem })?
                    .with_bucket_name(&bucket.name)
                    .with_client_options(options)
                    .with_retry(retries())
                    .with_virtual_hosted_style_request(bucket.is_virtual_hosted);
                if let Some(region) = &bucket.region {
                    builder = builder.with_region(region);
                }
                if let Some(endpoint) = endpoint {
                    builder = builder.with_endpoint(match (bucket.is_virtual_hosted, endpoint.split_once("://")) {
                        (true, Some((scheme, host))) => format!("{scheme}://{}.{host}", bucket.name),
                        _ => endpoint.to_owned(),
                    });
                }
                builder.build().map(|store| Arc::new(store) as _)
            }
            BucketKind::Google => {
                let builder = credentials::google(GoogleCloudStorageBuilder::new(), environment)
                    .with_bucket_name(&bucket.name)
                    .with_client_options(options)
                    .with_retry(retries());
                let builder = match endpoint {
                    Some(endpoint) => builder.with_base_url(endpoint),
                    None => builder,
                };
                builder.build().map(|store| Arc::new(store) as _)
            }
            BucketKind::Azure => {
                let builder = credentials::azure(MicrosoftAzureBuilder::new(), environment)
                    .with_account(bucket.account.as_deref().unwrap_or_default())
                    .with_container_name(&bucket.name)
                    .with_client_options(options)
                    .with_retry(retries());
                let builder = match endpoint {
                    Some(endpoint) => builder.with_endpoint(endpoint.to_owned()).with_allow_http(true),
                    None => builder,
                };
                builder.build().map(|store| Arc::new(store) as _)
            }
        };
        Self::new(place, store, &bucket.prefix, false)
    }

    /// A folder behind a web server.
    pub(super) fn web(url: &str) -> Result<Self, RemoteError> {
        prepare_encryption();
        let options = client_options(url.starts_with("http://"));
        let store = HttpBuilder::new().with_url(url).with_client_options(options).with_retry(retries()).build();
        Self::new(url.to_owned(), store.map(|store| Arc::new(store) as _), "", true)
    }

    fn new(
        place: String,
        store: Result<Arc<dyn ObjectStore>, Error>,
        prefix: &str,
        is_web: bool,
    ) -> Result<Self, RemoteError> {
        let fail = |problem| {
            let action = "be set up".to_owned();
            ObjectError::Failed { place: place.clone(), action, problem }
        };
        // What the builders say names options, and may quote what they have been given.
        let store = store.map_err(|_| fail("its options or the credentials for it do not fit".to_owned()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| fail(error.to_string()))?;
        Ok(Self { place, store, prefix: ObjectPath::from(prefix), is_web, runtime })
    }

    fn path(&self, name: &str) -> ObjectPath {
        self.prefix.parts().chain(ObjectPath::from(name).parts()).collect()
    }

    fn fail(&self, action: &str, name: &str, error: &Error) -> ObjectError {
        explain(&self.place, action, name, error)
    }

    /// Fails if it is the bucket that is not there, rather than an object in it.
    fn check_bucket(&self) -> Result<(), ObjectError> {
        let mut listing = self.store.list(Some(&self.path(INDEXES)));
        match self.runtime.block_on(listing.next()) {
            Some(Err(error)) => Err(self.fail("list", INDEXES, &error)),
            _ => Ok(()),
        }
    }

    fn refuse_writing<T>(&self, name: &str) -> Result<T, ObjectError> {
        let (place, action) = (self.place.clone(), format!("write {name}"));
        Err(ObjectError::Denied { place, action, problem: "it is for reading only".to_owned() })
    }

    async fn send(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let (target, fail) = (self.path(name), |error: Error| self.fail("write", name, &error));
        let cannot_read = |error: std::io::Error| ObjectError::Failed {
            place: self.place.clone(),
            action: format!("take {name}"),
            problem: error.to_string(),
        };
        let mut file = File::open(path).map_err(cannot_read)?;
        let size = file.metadata().map_err(cannot_read)?.len();
        if size <= ONE_REQUEST {
            pace(size);
            let piece = read_piece(&mut file, size).map_err(cannot_read)?;
            return self.store.put(&target, piece.into()).await.map(drop).map_err(fail);
        }
        let mut upload = self.store.put_multipart(&target).await.map_err(fail)?;
        let mut parts = JoinSet::new();
        let mut left = size;
        let sent = loop {
            let is_full = parts.len() >= PARTS_AT_ONCE;
            if is_full || left == 0 {
                match parts.join_next().await {
                    Some(Ok(Ok(()))) => continue,
                    Some(Ok(Err(error))) => break Err(fail(error)),
                    Some(Err(error)) => break Err(fail(error.into())),
                    None => break Ok(()),
                }
            }
            let count = left.min(PIECE);
            pace(count);
            match read_piece(&mut file, count) {
                Ok(piece) => parts.spawn(upload.put_part(PutPayload::from(piece))),
                Err(error) => break Err(cannot_read(error)),
            };
            left -= count;
        };
        let completed = match sent {
            Ok(()) => upload.complete().await.map(drop).map_err(fail),
            Err(error) => Err(error),
        };
        if completed.is_err() {
            parts.shutdown().await;
            // Parts that stay behind are litter that the provider's own rules remove.
            let _ = upload.abort().await;
        }
        completed
    }
}

fn read_piece(file: &mut File, count: u64) -> std::io::Result<Bytes> {
    let mut bytes = vec![0; count as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}

impl Objects for Cloud {
    fn describe(&self) -> String {
        self.place.clone()
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError> {
        if self.is_web {
            // A web server cannot be listed. The catalog says what there is, and nobody removes anything through it.
            return match (folder, self.size(CATALOG)?) {
                (INDEXES, Some(size)) => Ok(parse_catalog(&String::from_utf8_lossy(&self.read(CATALOG, 0..size)?))),
                _ => Ok(Vec::new()),
            };
        }
        let path = self.path(folder);
        let listing = self.store.list(Some(&path)).try_collect::<Vec<_>>();
        let found = self.runtime.block_on(listing).map_err(|error| self.fail("list", folder, &error))?;
        let listed = found.into_iter().filter_map(|meta| {
            let name = meta.location.prefix_match(&path)?.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>();
            let modified = Some(meta.last_modified.timestamp());
            Some(Listed { name: format!("{folder}/{}", name.join("/")), size: meta.size, modified })
        });
        Ok(listed.collect())
    }

    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        match self.runtime.block_on(self.store.head(&self.path(name))) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(error) => match self.fail("read", name, &error) {
                // An answer to HEAD does not say what is missing.
                ObjectError::NotFound { .. } if name == ROOT && !self.is_web => self.check_bucket().map(|()| None),
                ObjectError::NotFound { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let path = self.path(name);
        let fail = |error| self.fail("read", name, &error);
        match self.runtime.block_on(self.store.get_range(&path, range.clone())) {
            Ok(bytes) => Ok(bytes),
            // Plain servers may give all of an object whatever is asked for.
            Err(Error::NotSupported { .. } | Error::Generic { .. }) if self.is_web => {
                let whole =
                    self.runtime.block_on(async { self.store.get(&path).await?.bytes().await }).map_err(fail)?;
                let end = range.end.min(whole.len() as u64);
                Ok(whole.slice(range.start.min(end) as usize..end as usize))
            }
            Err(error) => Err(fail(error)),
        }
    }

    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        if self.is_web {
            return self.refuse_writing(name);
        }
        let path = self.path(name);
        let put = self.runtime.block_on(self.store.put(&path, content.into()));
        put.map(drop).map_err(|error| self.fail("write", name, &error))
    }

    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        if self.is_web {
            return self.refuse_writing(name);
        }
        self.runtime.block_on(self.send(name, path, pace))
    }

    fn fetch(&self, name: &str, size: u64, output: &mut Draft, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let fail = |error| self.fail("read", name, &error);
        self.runtime.block_on(async {
            let mut stream = self.store.get(&self.path(name)).await.map_err(fail)?.into_stream();
            let mut position = 0;
            while let Some(bytes) = stream.try_next().await.map_err(fail)? {
                let end = position + bytes.len() as u64;
                if end > size {
                    break;
                }
                pace(bytes.len() as u64);
                write_at(output, &bytes, position)?;
                position = end;
            }
            match position == size {
                true => Ok(()),
                false => Err(ObjectError::Failed {
                    place: self.place.clone(),
                    action: format!("read {name}"),
                    problem: format!("it has another size than the {size} bytes that an index says"),
                }),
            }
        })
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        if self.is_web {
            return self.refuse_writing(name);
        }
        let path = self.path(name);
        match self.runtime.block_on(self.store.delete(&path)) {
            Err(error) => match self.fail("remove", name, &error) {
                ObjectError::NotFound { .. } => Ok(()),
                other => Err(other),
            },
            Ok(()) => Ok(()),
        }
    }

    fn at_once(&self) -> usize {
        6
    }

    fn gap(&self) -> u64 {
        512 << 10
    }
}

/// Encryption needs a provider, chosen once a process.
fn prepare_encryption() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // It fails only where somebody has chosen one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

fn client_options(allow_http: bool) -> ClientOptions {
    ClientOptions::new()
        .with_allow_http(allow_http)
        .with_connect_timeout(Duration::from_secs(10))
        // A pack takes as long as it takes, on a slow link or with a limit. What ends a request is that nothing comes:
        // no answer to what was sent, which is at most two pieces, or no more of an answer that has begun.
        .with_timeout_disabled()
        .with_read_timeout(NO_ANSWER)
}

/// Passing failures of one request, which are waited out a part at a time; longer ones are waited out above.
fn retries() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(1), base: 2.0 };
    RetryConfig { backoff, max_retries: 2, retry_timeout: Duration::from_secs(60) }
}

/// An error in our words. Of what the other side said only the code and the message are repeated: the rest can hold
/// parts of requests, which are signed.
fn explain(place: &str, action: &str, name: &str, error: &Error) -> ObjectError {
    let place = place.to_owned();
    let action = format!("{action} {name}");
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    let mut innermost = String::new();
    let mut is_network = false;
    while let Some(inner) = cause {
        is_network |= inner.is::<HttpError>();
        innermost = inner.to_string();
        if let Some((status, body)) = answer(&innermost) {
            return refused(place, action, name, status, body);
        }
        if innermost.starts_with("Received redirect without LOCATION") {
            return ObjectError::Failed { place, action, problem: "it is in another region".to_owned() };
        }
        cause = inner.source();
    }
    let told = error.to_string();
    if told.contains("169.254.169.254")
        || told.contains("metadata.google.internal")
        || told.contains("latest/api/token")
    {
        let problem = "there are no credentials in the environment, in files, or of this machine".to_owned();
        return ObjectError::Denied { place, action, problem };
    }
    if is_network {
        return ObjectError::Unreachable { place, problem: one_line(&innermost) };
    }
    match error {
        Error::NotFound { .. } => ObjectError::NotFound { place, name: name.to_owned() },
        _ => ObjectError::Failed { place, action, problem: "the answer was not understood".to_owned() },
    }
}

/// The status and the body of an answer that is an error. The crate does not export the type that has them.
fn answer(text: &str) -> Option<(u16, &str)> {
    if let Some(body) = text.strip_prefix("Server returned error response: ") {
        return Some((500, body));
    }
    let rest = text.strip_prefix("Server returned non-2xx status code: ")?;
    let (status, body) = rest.split_once(':').unwrap_or((rest, ""));
    Some((status.split(' ').next()?.parse().ok()?, body))
}

/// What an answer that is none means.
fn refused(place: String, action: String, name: &str, status: u16, body: &str) -> ObjectError {
    let (code, message) = (element(body, "Code"), element(body, "Message"));
    let problem = match (code, message) {
        (Some(code), Some(message)) => format!("{status} {code}: {}", one_line(message)),
        (Some(code), None) => format!("{status} {code}"),
        _ => format!("it answered {status}"),
    };
    match (status, code.unwrap_or_default()) {
        (_, "NoSuchBucket" | "ContainerNotFound") => {
            ObjectError::Failed { place, action, problem: "there is no such bucket".to_owned() }
        }
        (401 | 403, _) | (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired" | "InvalidAccessKeyId") => {
            ObjectError::Denied { place, action, problem }
        }
        (404, _) => ObjectError::NotFound { place, name: name.to_owned() },
        (408 | 425 | 429 | 500..=599, _) => ObjectError::Unreachable { place, problem },
        _ => ObjectError::Failed { place, action, problem },
    }
}

/// The text of an XML element.
fn element<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let (_, rest) = body.split_once(&format!("<{name}>"))?;
    rest.split_once("</").map(|(text, _)| text.trim()).filter(|text| !text.is_empty())
}

/// At most a line of text of others.
fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> ObjectError {
        refused("s3://bucket".to_owned(), "write x".to_owned(), "x", status, body)
    }

    #[test]
    fn answers_are_told_apart_and_their_secrets_kept() {
        let body = "<?xml version=\"1.0\"?><Error><Code>SignatureDoesNotMatch</Code><Message>No match.</Message>\
                    <AWSAccessKeyId>AKIAHIDDEN</AWSAccessKeyId><StringToSign>hidden</StringToSign></Error>";
        let denied = told(403, body);
        assert_eq!(denied.to_string(), "s3://bucket does not let us write x: 403 SignatureDoesNotMatch: No match.");
        assert!(!format!("{denied:?}").to_lowercase().contains("hidden"));
        assert!(matches!(told(404, ""), ObjectError::NotFound { .. }));
        assert!(
            matches!(told(404, "<Code>NoSuchBucket</Code>"), ObjectError::Failed { problem, .. } if problem == "there is no such bucket")
        );
        for busy in [429, 500, 502, 503, 504] {
            assert!(matches!(told(busy, "<Code>SlowDown</Code>"), ObjectError::Unreachable { .. }), "{busy}");
        }
        assert!(matches!(told(400, "<Code>ExpiredToken</Code>"), ObjectError::Denied { .. }));
        assert!(matches!(told(400, "<Code>EntityTooLarge</Code>"), ObjectError::Failed { .. }));
    }
}
