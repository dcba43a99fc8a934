//! Changes of models as a whole, and of what is said about them and their versions.

use jiff::Timestamp;

use crate::git::TreeEdit;

use super::about::{self, ModelAbout, VersionAbout};
use super::change::{Wanted, check_note, no_version};
use super::events::ModelChange;
use super::names::check_model_name;
use super::tree::{Tree, alias_path, version_path};
use super::{EventKind, Model, Registry, RegistryError};

impl Registry<'_> {
    /// Makes a model that has no version yet; an error if there is one of that name.
    pub fn create_model(&self, name: &str, about: &ModelAbout) -> Result<Model, RegistryError> {
        check_model_name(name)?;
        let about = ModelAbout { created: Some(Timestamp::now()), ..about.clone() };
        let message =
            ModelChange { kind: EventKind::Create, model: name, version: None, from: None, note: None }.message();
        self.change(&mut |tree| {
            if tree.map(|tree| tree.model(name)).transpose()?.flatten().is_some() {
                return Err(RegistryError::ModelExists { model: name.to_owned() });
            }
            Ok(Some(Wanted { edits: vec![model_edit(name, &about)?], message: message.clone() }))
        })?;
        self.model(name)
    }

    /// Changes what is said about a model.
    pub fn describe_model(
        &self,
        name: &str,
        change: &mut dyn FnMut(&mut ModelAbout) -> Result<(), RegistryError>,
    ) -> Result<Model, RegistryError> {
        let message =
            ModelChange { kind: EventKind::Describe, model: name, version: None, from: None, note: None }.message();
        self.change_model(name, &mut |model| {
            let mut about = model.about.clone();
            change(&mut about)?;
            if about == model.about {
                return Ok(None);
            }
            Ok(Some(Wanted { edits: vec![model_edit(name, &about)?], message: message.clone() }))
        })
    }

    /// Changes what is said about a version.
    pub fn describe_version(
        &self,
        name: &str,
        version: u64,
        change: &mut dyn FnMut(&mut VersionAbout) -> Result<(), RegistryError>,
    ) -> Result<Model, RegistryError> {
        let change_of =
            ModelChange { kind: EventKind::Describe, model: name, version: Some(version), from: None, note: None };
        let message = change_of.message();
        self.change_model(name, &mut |model| {
            if model.find(version).is_none() {
                return Err(no_version(model, version));
            }
            let before = model.about_version(version);
            let mut about = before.clone();
            change(&mut about)?;
            if about == before {
                return Ok(None);
            }
            Ok(Some(Wanted { edits: vec![version_edit(name, version, &about)?], message: message.clone() }))
        })
    }

    /// Gives a model another name. Its versions keep their numbers.
    pub fn rename_model(&self, name: &str, new_name: &str) -> Result<Model, RegistryError> {
        check_model_name(new_name)?;
        let change_of =
            ModelChange { kind: EventKind::Rename, model: new_name, version: None, from: Some(name), note: None };
        let message = change_of.message();
        self.change(&mut |tree| {
            let (tree, model) = find(tree, name)?;
            if tree.model(new_name)?.is_some() {
                return Err(RegistryError::ModelExists { model: new_name.to_owned() });
            }
            let mut edits = removal(&model);
            let about = ModelAbout { updated: Some(Timestamp::now()), ..model.about.clone() };
            edits.push(model_edit(new_name, &about)?);
            for version in &model.versions {
                let path = version_path(new_name, version.version);
                let mut version = version.clone();
                version.model = new_name.to_owned();
                let text = version.to_toml().map_err(|problem| malformed(&path, problem))?;
                edits.push(TreeEdit { path, content: Some(text.into_bytes()) });
            }
            for (version, about) in &model.about_versions {
                edits.push(version_edit(new_name, *version, about)?);
            }
            for (alias, version) in &model.aliases {
                let content = Some(format!("v{version}\n").into_bytes());
                edits.push(TreeEdit { path: alias_path(new_name, alias), content });
            }
            Ok(Some(Wanted { edits, message: message.clone() }))
        })?;
        self.model(new_name)
    }

    /// Removes a version and the aliases that point to it. Its number is not given again.
    pub fn remove_version(&self, name: &str, version: u64) -> Result<(), RegistryError> {
        let change_of =
            ModelChange { kind: EventKind::Remove, model: name, version: Some(version), from: None, note: None };
        let message = change_of.message();
        self.change_model(name, &mut |model| {
            if model.find(version).is_none() {
                return Err(no_version(model, version));
            }
            let mut about = ModelAbout { updated: Some(Timestamp::now()), ..model.about.clone() };
            about.removed.push(version);
            let mut edits = vec![
                TreeEdit { path: version_path(name, version), content: None },
                TreeEdit { path: about::version_path(name, version), content: None },
                model_edit(name, &about)?,
            ];
            let aliases = model.aliases_of(version).into_iter();
            edits.extend(aliases.map(|alias| TreeEdit { path: alias_path(name, alias), content: None }));
            Ok(Some(Wanted { edits, message: message.clone() }))
        })
        .map(drop)
    }

    /// Removes a version that no alias points to. Its number is not given again.
    pub fn delete_version(&self, name: &str, version: u64, note: Option<&str>) -> Result<(), RegistryError> {
        let message = message_with(EventKind::Remove, name, Some(version), note)?;
        self.change_model(name, &mut |model| {
            let label = model.find(version).ok_or_else(|| no_version(model, version))?.label();
            in_use(label, model.aliases_of(version))?;
            let mut about = ModelAbout { updated: Some(Timestamp::now()), ..model.about.clone() };
            about.removed.push(version);
            let edits = vec![
                TreeEdit { path: version_path(name, version), content: None },
                TreeEdit { path: about::version_path(name, version), content: None },
                model_edit(name, &about)?,
            ];
            Ok(Some(Wanted { edits, message: message.clone() }))
        })
        .map(drop)
    }

    /// Removes a model without aliases, with all its versions. The history keeps what there was.
    pub fn delete_model(&self, name: &str, note: Option<&str>) -> Result<(), RegistryError> {
        let message = message_with(EventKind::RemoveModel, name, None, note)?;
        self.change(&mut |tree| {
            let (_, model) = find(tree, name)?;
            in_use(model.name.clone(), model.aliases.keys().map(String::as_str).collect())?;
            Ok(Some(Wanted { edits: removal(&model), message: message.clone() }))
        })
        .map(drop)
    }

    /// Says that a version is not to be used any more, and why; without a reason, that it may be used again.
    pub fn deprecate(&self, name: &str, version: u64, reason: Option<&str>) -> Result<Model, RegistryError> {
        let kind = if reason.is_some() { EventKind::Deprecate } else { EventKind::Restore };
        let message = message_with(kind, name, Some(version), reason)?;
        self.change_model(name, &mut |model| {
            if model.find(version).is_none() {
                return Err(no_version(model, version));
            }
            let mut about = model.about_version(version);
            if about.deprecated.as_deref() == reason {
                return Ok(None);
            }
            about.deprecated = reason.map(str::to_owned);
            about.updated = Some(Timestamp::now());
            Ok(Some(Wanted { edits: vec![version_edit(name, version, &about)?], message: message.clone() }))
        })
    }

    /// Removes a model with all its versions. The history keeps what there was.
    pub fn remove_model(&self, name: &str) -> Result<(), RegistryError> {
        let change_of =
            ModelChange { kind: EventKind::RemoveModel, model: name, version: None, from: None, note: None };
        let message = change_of.message();
        self.change(&mut |tree| {
            let (_, model) = find(tree, name)?;
            Ok(Some(Wanted { edits: removal(&model), message: message.clone() }))
        })
        .map(drop)
    }

    /// Commits what `decide` wants of a model as it is now, and returns the model as it is then.
    fn change_model(
        &self,
        name: &str,
        decide: &mut dyn FnMut(&Model) -> Result<Option<Wanted>, RegistryError>,
    ) -> Result<Model, RegistryError> {
        check_model_name(name)?;
        self.change(&mut |tree| decide(&find(tree, name)?.1))?;
        self.model(name)
    }
}

/// The message of a change with a remark.
fn message_with(
    kind: EventKind,
    model: &str,
    version: Option<u64>,
    note: Option<&str>,
) -> Result<String, RegistryError> {
    let note = check_note(note)?;
    Ok(ModelChange { kind, model, version, from: None, note }.message())
}

fn in_use(label: String, aliases: Vec<&str>) -> Result<(), RegistryError> {
    match aliases.is_empty() {
        true => Ok(()),
        false => Err(RegistryError::InUse { label, aliases: aliases.into_iter().map(str::to_owned).collect() }),
    }
}

/// A model that has to be there.
fn find<'r>(tree: Option<Tree<'r>>, name: &str) -> Result<(Tree<'r>, Model), RegistryError> {
    check_model_name(name)?;
    let tree = tree.ok_or_else(|| RegistryError::NoModel { model: name.to_owned(), known: Vec::new() })?;
    let model = tree.model(name)?.ok_or_else(|| tree.no_model(name))?;
    Ok((tree, model))
}

/// The edits that remove all of a model.
fn removal(model: &Model) -> Vec<TreeEdit> {
    let name = &model.name;
    let mut paths = vec![about::model_path(name)];
    paths.extend(model.versions.iter().map(|version| version_path(name, version.version)));
    paths.extend(model.about_versions.keys().map(|version| about::version_path(name, *version)));
    paths.extend(model.aliases.keys().map(|alias| alias_path(name, alias)));
    paths.into_iter().map(|path| TreeEdit { path, content: None }).collect()
}

pub(super) fn model_edit(model: &str, about: &ModelAbout) -> Result<TreeEdit, RegistryError> {
    let path = about::model_path(model);
    let content = about::to_toml(about).map_err(|problem| malformed(&path, problem))?;
    Ok(TreeEdit { path, content: Some(content) })
}

pub(super) fn version_edit(model: &str, version: u64, about: &VersionAbout) -> Result<TreeEdit, RegistryError> {
    let path = about::version_path(model, version);
    let content = about::to_toml(about).map_err(|problem| malformed(&path, problem))?;
    Ok(TreeEdit { path, content: Some(content) })
}

fn malformed(place: &str, problem: String) -> RegistryError {
    RegistryError::Malformed { place: place.to_owned(), problem }
}
