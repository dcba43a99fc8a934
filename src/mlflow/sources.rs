//! Where the files of a new version come from, as a client names it.

use super::Server;
use super::error::{ApiError, Code};
use super::message::decode;
use super::registry::{Request, error_of};
use super::versions;
use crate::files::RelPath;
use crate::id::{LoggedModelId, RunId};
use crate::registry::Resolved;
use crate::run::{LoggedModels, Owner, RunOutput, Runs, Uploads, add_output};
use crate::store::{Entry, Manifest, Mode};

/// The type of an artifact that is a file with the URI of something that is kept elsewhere.
pub(super) const LINK: &str = "link";

/// What a client says about the source of a version.
#[derive(Debug)]
pub(super) struct Source<'r> {
    uri: &'r str,
    run_id: &'r str,
    model_id: &'r str,
}

impl<'r> Source<'r> {
    /// The source in a message.
    pub(super) fn of(request: &'r Request) -> Self {
        Self { uri: &request.source, run_id: &request.run_id, model_id: &request.model_id }
    }
}

/// What was found there.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) artifact: Resolved,
    /// The run, where it is none of ours.
    pub(super) foreign_run: Option<String>,
    pub(super) logged_model: Option<String>,
    /// Where clients find the files, if neither at the source nor at the version.
    pub(super) location: Option<String>,
}

/// A path below the root of the proxied artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Of a run or logged model: the path below its root, none for the root itself.
    Owned(Owner, Option<RelPath>),
    /// Of a version: the model's name, the number, and the path.
    Version(String, String, Option<RelPath>),
}

/// What is meant by a path below the root of the proxied artifacts; none where it is nobody's.
///
/// Experiments may have a root of their own, so what counts is where the id of a run or model stands.
pub(super) fn place_of(path: &str) -> Result<Option<Place>, ApiError> {
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let rest_of = |from: usize| match segments.get(from..) {
        None | Some([]) => Ok(None),
        Some(rest) => safe_path(&rest.join("/")).map(Some),
    };
    if let ["registry", name, number, "artifacts", ..] = segments.as_slice() {
        return Ok(Some(Place::Version((*name).to_owned(), (*number).to_owned(), rest_of(4)?)));
    }
    for (at, pair) in segments.windows(2).enumerate() {
        let [id, "artifacts"] = pair else { continue };
        if let Ok(run_id) = id.parse::<RunId>() {
            return Ok(Some(Place::Owned(Owner::Run(run_id), rest_of(at + 2)?)));
        }
        if let Ok(model_id) = id.parse::<LoggedModelId>() {
            return Ok(Some(Place::Owned(Owner::Model(model_id), rest_of(at + 2)?)));
        }
    }
    Ok(None)
}

/// A path that a client names, below some root.
pub(super) fn safe_path(path: &str) -> Result<RelPath, ApiError> {
    // `a/./b/` is `a/b`; anything that would climb is refused.
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect();
    if path.starts_with('/') {
        return Err(ApiError::invalid("Invalid path"));
    }
    RelPath::new(segments.join("/")).map_err(|_| ApiError::invalid("Invalid path"))
}

fn invalid(source: &str, why: &str) -> ApiError {
    ApiError::invalid(format!("Invalid model version source: '{source}'. {why}"))
}

/// Refuses what points to files of the machine that serves, or climbs.
fn check(source: &Source<'_>) -> Result<(), ApiError> {
    let uri = source.uri;
    let scheme = uri.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default();
    let is_local = scheme.is_empty() || scheme == "file" || scheme.contains('/');
    if scheme == "file" {
        let host = uri[5..].strip_prefix("//").and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if !matches!(host, "" | "localhost" | "127.0.0.1") {
            return Err(ApiError::new(Code::InternalError, format!("{uri} is not a valid remote uri.")));
        }
    }
    if is_local {
        let which = if source.model_id.is_empty() { "run_id" } else { "model_id" };
        return Err(invalid(
            uri,
            &format!(
                "To use a local path as a model version source, the {which} request parameter has to be specified and \
                 the local path has to be contained within the artifact directory of the run specified by the {which}."
            ),
        ));
    }
    let mut text = uri.to_owned();
    loop {
        let decoded = decode(&text.replace('+', " "));
        if decoded == text || decoded.len() >= text.len() {
            text = decoded;
            break;
        }
        text = decoded;
    }
    let path = text.split_once(':').map_or(text.as_str(), |(_, rest)| rest);
    let path = path.split(['?', '#', ';']).next().unwrap_or_default();
    if text.contains('\0') || text.split('/').any(|segment| segment == "..") || path.split('/').any(|s| s == ".") {
        return Err(invalid(
            uri,
            "If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an \
             absolute path must be provided without relative path references present. Please provide an absolute path.",
        ));
    }
    Ok(())
}

/// Stores what a source names, or a link to it.
pub(super) fn locate(server: &Server, source: &Source<'_>) -> Result<Located, ApiError> {
    check(source)?;
    let given_model: Option<LoggedModelId> = source.model_id.parse().ok();
    let logged = given_model.map(|id| LoggedModels::new(&server.workspace).get(&id)).transpose()?.flatten();
    let mut run = Some(source.run_id.to_owned()).filter(|run| !run.is_empty());
    run = run.or_else(|| logged.as_ref().and_then(|model| model.run.clone()));
    let mut located = Located {
        artifact: link(server, source.uri)?,
        foreign_run: None,
        logged_model: Some(source.model_id.to_owned()).filter(|id| !id.is_empty()),
        location: None,
    };
    let place = match source.uri.split_once(':') {
        Some(("models", rest)) => {
            let rest = rest.trim_matches('/');
            match rest.parse::<LoggedModelId>() {
                Ok(model_id) => {
                    let model = LoggedModels::new(&server.workspace).get(&model_id)?;
                    run = run.or_else(|| model.and_then(|model| model.run));
                    located.logged_model.get_or_insert_with(|| model_id.to_string());
                    Some(Place::Owned(Owner::Model(model_id), None))
                }
                Err(_) => {
                    let (name, rest) = rest.split_once(['/', '@']).unwrap_or((rest, "latest"));
                    let (model, version) = server.registry().version(&format!("{name}@{rest}")).map_err(error_of)?;
                    let about = model.about_version(version.version);
                    located.artifact.id = version.id;
                    located.artifact.artifact_type.clone_from(&version.artifact_type);
                    located.location = Some(versions::location(&model, &version));
                    located.logged_model = located.logged_model.or(about.logged_model);
                    run = run.or(version.run.map(|run| run.to_string())).or(about.foreign_run);
                    None
                }
            }
        }
        Some(("runs", rest)) => {
            let (id, path) = rest.trim_start_matches('/').split_once('/').unwrap_or((rest, ""));
            match (id.parse::<RunId>(), path.trim_matches('/')) {
                (Ok(run_id), "") => Some(Place::Owned(Owner::Run(run_id), None)),
                (Ok(run_id), path) => Some(Place::Owned(Owner::Run(run_id), Some(safe_path(path)?))),
                (Err(_), _) => None,
            }
        }
        Some(("mlflow-artifacts", rest)) => {
            let path = match rest.strip_prefix("//") {
                // With a server's name before the path.
                Some(rest) if !rest.starts_with('/') => rest.split_once('/').map_or("", |(_, path)| path),
                _ => rest,
            };
            place_of(path).unwrap_or_default()
        }
        _ => None,
    };
    if let Some(Place::Owned(owner, path)) = &place
        && let Some(files) = Uploads::new(&server.workspace, *owner, server.author()).store(path.as_ref())?
    {
        let name = path.as_ref().map_or("model", |path| path.as_str());
        located.artifact.id = files.id;
        located.artifact.artifact_type = "model".to_owned();
        located.artifact.name = name.to_owned();
        let run_id = run.as_deref().and_then(|run| run.parse::<RunId>().ok());
        if let (Some(run_id), Owner::Run(_)) = (run_id, owner) {
            let artifact_type = "model".to_owned();
            let name = name.to_owned();
            let output =
                RunOutput { name, artifact_type, id: files.id, files: files.files, bytes: files.bytes, path: None };
            add_output(&server.workspace, &run_id, &output)?;
        }
    }
    let run_id = run.as_deref().and_then(|run| run.parse::<RunId>().ok());
    let known = run_id.map(|run_id| Runs::new(&server.workspace).get(&run_id)).transpose()?.flatten();
    match known {
        Some(known) => located.artifact.run = Some(known.id),
        None => located.foreign_run = run,
    }
    Ok(located)
}

/// An artifact that only says where the files are.
fn link(server: &Server, uri: &str) -> Result<Resolved, ApiError> {
    let writer = server.workspace.store.writer()?;
    let (digest, size) = writer.add(&mut format!("{uri}\n").as_bytes(), "a link")?;
    let manifest = Manifest::new(vec![Entry { path: None, mode: Mode::File, size, digest }])?;
    let id = writer.add_manifest(&manifest)?;
    writer.finish()?;
    Ok(Resolved {
        target: uri.to_owned(),
        id,
        name: LINK.to_owned(),
        artifact_type: LINK.to_owned(),
        run: None,
        commit: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str) -> Source<'_> {
        Source { uri, run_id: "", model_id: "" }
    }

    #[test]
    fn a_path_belongs_to_a_run_a_model_or_a_version() {
        let (run, model) = ("0192f0c1a2b37def8123456789abcdef", "m-0192f0c1a2b37def8123456789abcdef");
        let rel = |path: &str| Some(RelPath::new(path).unwrap());
        let run_id = Owner::Run(run.parse().unwrap());
        let model_id = Owner::Model(model.parse().unwrap());
        for (path, place) in [
            (format!("0/{run}/artifacts"), Some(Place::Owned(run_id, None))),
            (format!("/a/b/{run}/artifacts/x/./y/"), Some(Place::Owned(run_id, rel("x/y")))),
            (format!("0/models/{model}/artifacts/MLmodel"), Some(Place::Owned(model_id, rel("MLmodel")))),
            ("registry/a b/3/artifacts/x".to_owned(), Some(Place::Version("a b".to_owned(), "3".to_owned(), rel("x")))),
            (format!("0/{run}"), None),
            ("models/foo".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(place_of(&path).unwrap(), place, "{path}");
        }
        for bad in ["../x", "x/../../y", "x/.git/config", "a\\b", "con"] {
            assert!(place_of(&format!("0/{run}/artifacts/{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn sources_that_climb_or_are_local_are_refused() {
        for good in [
            "s3://bucket/path",
            "mlflow-artifacts:/models",
            "mlflow-artifacts:/models///",
            "mlflow-artifacts://host:9000/a",
            "mlflow-artifacts://host:9000/models/artifact/..../",
            "models:/m/1",
            "runs:/x/model",
            "dbfs:/a",
        ] {
            check(&source(good)).unwrap();
        }
        for bad in [
            "",
            "/tmp",
            "model",
            "file:///tmp",
            "../x",
            "s3://b/../x",
            "mlflow-artifacts:/a/%2e%2e/b",
            "mlflow-artifacts:/a/%252e%252e%252fb",
            "https://h/a/./b",
            "mlflow-artifacts://h/..%2f..%2fx",
            "s3://b/a%00",
        ] {
            assert!(check(&source(bad)).is_err(), "{bad}");
        }
    }
}
