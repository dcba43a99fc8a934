//! `git ml model get` and `git ml dataset get`

use std::path::PathBuf;

use serde::Serialize;

use crate::id::ArtifactId;
use crate::registry::{Model, Version};
use crate::words::printable;

use super::super::output::{print_json, print_line};
use super::super::{Context, Failure};
use super::Desk;
use super::view::Name;

/// An exported version in JSON.
#[derive(Debug, Serialize)]
struct GetView<'a> {
    #[serde(flatten)]
    name: Name<'a>,
    version: u64,
    id: ArtifactId,
    path: PathBuf,
}

pub(super) fn get(desk: Desk<'_>, wanted: &str, output: Option<&PathBuf>, json: bool) -> Result<(), Failure> {
    let Desk { context, workspace, .. } = desk;
    desk.check_kind(wanted)?;
    let (model, version) = desk.registry().version(wanted)?;
    warn_if_deprecated(context, &model, &version);
    let place = match output {
        Some(output) => output.clone(),
        None => PathBuf::from(format!("{}-v{}", version.model, version.version)),
    };
    let whole = context.folder.join(&place);
    if whole.symlink_metadata().is_ok() {
        return Err(Failure::User {
            message: format!("{} exists already", place.display()),
            hint: "name another place with -o, or remove it first".to_owned(),
        });
    }
    workspace.export(&version.id, &whole)?;
    if json {
        let name = Name::new(desk.kind, &version.model);
        return print_json(&GetView { name, version: version.version, id: version.id, path: whole });
    }
    context.say(&format!("{} is in", version.label()));
    print_line(&place.display().to_string())
}

/// Warns of a version that is not to be used any more.
pub(super) fn warn_if_deprecated(context: &Context, model: &Model, version: &Version) {
    if let Some(reason) = model.about_version(version.version).deprecated {
        context.warn(&format!("{} is deprecated: {}", version.label(), printable(&reason)));
    }
}
