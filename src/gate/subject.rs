//! What gates are asked about: a version of the registry, or a run that has none yet.

use std::borrow::Cow;

use crate::query::{Claim, Fact, Field, Found, Item, Query, Reference, Subject, Value};
use crate::registry::{Model, REGISTRY_REF, Registry, Resolved, Version};
use crate::run::{RECORD_NAME, RUNS_REF, Run, Runs, folder_in_tree};
use crate::track::Workspace;

use super::{GateError, Origin, Testimony, Witness};

/// A version or a run that a gate judges.
#[derive(Clone)]
pub struct Candidate<'w> {
    workspace: &'w Workspace,
    witness: &'w dyn Witness,
    /// The model whose aliases are meant where a condition names none.
    model: Option<Model>,
    version: Option<Version>,
    run: Option<Run>,
}

impl std::fmt::Debug for Candidate<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Candidate").field("label", &self.label()).finish_non_exhaustive()
    }
}

impl<'w> Candidate<'w> {
    /// A version of a model as it is now.
    pub fn version(
        workspace: &'w Workspace,
        witness: &'w dyn Witness,
        model: &Model,
        version: &Version,
    ) -> Result<Self, GateError> {
        let run = run_of(workspace, version)?;
        Ok(Self { workspace, witness, model: Some(model.clone()), version: Some(version.clone()), run })
    }

    /// A run, as before a push. Aliases are those of `model`, or where none is given of the only model there is.
    pub fn run(
        workspace: &'w Workspace,
        witness: &'w dyn Witness,
        run: &Run,
        model: Option<&str>,
    ) -> Result<Self, GateError> {
        let registry = Registry::new(workspace);
        let model = match model {
            Some(name) => registry.model(name).ok(),
            None => {
                let mut models = registry.survey()?.models;
                models.retain(|model| model.newest().is_some_and(|newest| newest.artifact_type != "dataset"));
                if models.len() == 1 { models.pop() } else { None }
            }
        };
        Ok(Self { workspace, witness, model, version: None, run: Some(run.clone()) })
    }

    /// How people name it: `digits@v3`, or the run's name.
    pub fn label(&self) -> String {
        match (&self.version, &self.run) {
            (Some(version), _) => version.label(),
            (None, Some(run)) => run.name.clone(),
            (None, None) => String::new(),
        }
    }

    pub(super) fn workspace(&self) -> &'w Workspace {
        self.workspace
    }

    /// What is to be verified or signed: the version, or all that the run made.
    fn artifacts(&self) -> Vec<Resolved> {
        if let Some(version) = &self.version {
            return vec![Resolved::from(version.clone())];
        }
        let outputs = self.run.iter().flat_map(|run| run.outputs.iter().map(move |output| (run, output)));
        let resolved = outputs.map(|(run, output)| Resolved {
            target: format!("run:{}:{}", run.name, output.name),
            id: output.id,
            name: output.name.clone(),
            artifact_type: output.artifact_type.clone(),
            run: Some(run.id),
            commit: run.snapshot,
        });
        resolved.collect()
    }

    fn testify(&self, claim: Claim) -> Testimony {
        let artifacts = self.artifacts();
        if artifacts.is_empty() {
            return Testimony {
                holds: None,
                words: format!("{} made nothing that could be {}", self.label(), claim.as_str()),
            };
        }
        match claim {
            Claim::Verified => self.witness.verified(&artifacts),
            Claim::Signed => self.witness.signed(&artifacts),
        }
    }

    /// The model that an alias is of, and the alias: of `digits@production`, or of `production` alone.
    fn model_of<'a>(&'a self, alias: &'a str) -> Result<(Cow<'a, Model>, &'a str), String> {
        if let Some((name, alias)) = alias.rsplit_once('@') {
            let model = Registry::new(self.workspace).model(name).map_err(|error| error.to_string())?;
            return Ok((Cow::Owned(model), alias));
        }
        match &self.model {
            Some(model) => Ok((Cow::Borrowed(model), alias)),
            None => Err(format!("which model's {alias} is meant cannot be told: write alias.MODEL@{alias}")),
        }
    }
}

impl Subject for Candidate<'_> {
    type Origin = Origin;

    fn field(&self, field: &Field) -> Found<Origin> {
        let (value, origin, reason) = look(field, self.model.as_ref(), self.version.as_ref(), self.run.as_ref());
        Found { what: field.to_string(), value, origin, reason }
    }

    fn reference(&self, alias: &str, field: &Field) -> Reference<Origin> {
        let what = format!("alias.{alias}");
        let without =
            |reason: String| Found { what: what.clone(), value: None, origin: Origin::default(), reason: Some(reason) };
        let registry_is_empty = || Registry::new(self.workspace).survey().is_ok_and(|survey| survey.models.is_empty());
        let (model, alias) = match self.model_of(alias) {
            Ok(found) => found,
            Err(_) if registry_is_empty() => {
                return Reference::Absent(without(
                    "no model is registered yet, so there is nothing to compare with".to_owned(),
                ));
            }
            Err(reason) => return Reference::There(without(reason)),
        };
        let Some(number) = model.aliases.get(alias) else {
            let name = &model.name;
            return Reference::Absent(without(format!(
                "{name}@{alias} does not exist yet, so there is nothing to compare with"
            )));
        };
        let Some(version) = model.find(*number) else {
            return Reference::There(without(format!(
                "{}@{alias} points to v{number}, which is not there",
                model.name
            )));
        };
        let run = run_of(self.workspace, version).ok().flatten();
        let (value, origin, reason) = look(field, Some(&model), Some(version), run.as_ref());
        let reason = reason.map(|reason| format!("{}@{alias} is v{number}: {reason}", model.name));
        Reference::There(Found { what, value, origin, reason })
    }

    fn claim(&self, claim: Claim) -> Found<Origin> {
        let Testimony { holds, words } = self.testify(claim);
        let origin = Origin { version: self.version.as_ref().map(Version::label), ..Origin::default() };
        Found { what: claim.as_str().to_owned(), value: holds.map(Value::Truth), origin, reason: Some(words) }
    }
}

/// The versions that a query chooses, of all that are registered: each with its model.
pub fn versions_where<'m>(
    workspace: &Workspace,
    models: &'m [Model],
    query: &Query,
) -> Result<Vec<(&'m Model, &'m Version)>, GateError> {
    let mut chosen = Vec::new();
    for model in models {
        for version in &model.versions {
            // Most queries ask for what the version has itself, and a run costs a read.
            let mut run = None;
            let mut value_of = |field: &Field| {
                let (value, ..) = look(field, Some(model), Some(version), None);
                if value.is_some() || matches!(field, Field::Fact(_)) {
                    return value;
                }
                let run = run.get_or_insert_with(|| run_of(workspace, version).ok().flatten());
                look(field, Some(model), Some(version), run.as_ref()).0
            };
            if query.holds(&mut value_of) {
                chosen.push((model, version));
            }
        }
    }
    Ok(chosen)
}

/// The run that made a version, where its record is here.
fn run_of(workspace: &Workspace, version: &Version) -> Result<Option<Run>, GateError> {
    match &version.run {
        Some(run_id) => Ok(Runs::new(workspace).get(run_id)?),
        None => Ok(None),
    }
}

/// A field's value with where it came from, or why there is none.
fn look(
    field: &Field,
    model: Option<&Model>,
    version: Option<&Version>,
    run: Option<&Run>,
) -> (Option<Value<'static>>, Origin, Option<String>) {
    let label = version.map(Version::label);
    let of_version = || Origin {
        run: run.map(|run| run.name.clone()),
        version: label.clone(),
        file: version.map(|version| format!("{REGISTRY_REF}:{}/versions/{}.toml", version.model, version.version)),
    };
    let of_run = |run: &Run| Origin {
        run: Some(run.name.clone()),
        version: label.clone(),
        file: Some(format!("{RUNS_REF}:{}/{RECORD_NAME}", folder_in_tree(&run.id))),
    };
    let subject = || label.clone().or_else(|| run.map(|run| format!("run {}", run.name))).unwrap_or_default();
    if let Field::Fact(fact) = field {
        let value = model.zip(version).and_then(|(model, version)| fact_of(fact, model, version));
        let reason = value.is_none().then(|| format!("{} has no {field}", subject()));
        return (value, of_version(), reason);
    }
    // What was registered counts before what the run's record says by now.
    if let Some(value) = version.and_then(|version| field.of_metrics(&version.metrics)) {
        return (Some(value), of_version(), None);
    }
    let Some(run) = run else {
        let reason = match version.and_then(|version| version.run) {
            Some(run_id) => format!("{} has no {field}, and the run {run_id} that made it is not here", subject()),
            None => format!("{} has no {field}, since no run is known that made it", subject()),
        };
        return (None, of_version(), Some(reason));
    };
    let mut value = field.of(run).map(Value::into_owned);
    if value.is_none() && field.is_of_artifacts() {
        value = Some(Value::Items(Vec::new()));
    }
    let reason = value.is_none().then(|| format!("{} has no {field}", subject()));
    (value, of_run(run), reason)
}

fn fact_of(fact: &Fact, model: &Model, version: &Version) -> Option<Value<'static>> {
    let text = |text: &str| Some(Value::Text(Cow::Owned(text.to_owned())));
    let about = model.about_version(version.version);
    match fact {
        Fact::Name => text(&model.name),
        Fact::Version => Some(Value::Number(version.version as f64)),
        Fact::Registered => Some(Value::Moment(version.registered)),
        Fact::By => text(&version.by),
        Fact::Type => text(&version.artifact_type),
        Fact::Aliases => {
            let item = |alias: &str| Item { names: vec![Cow::Owned(alias.to_owned())], id: Cow::Borrowed("") };
            Some(Value::Items(model.aliases_of(version.version).into_iter().map(item).collect()))
        }
        Fact::Deprecated => Some(Value::Truth(about.deprecated.is_some())),
        Fact::Run => version.run.map(|run| Value::Text(Cow::Owned(run.to_string()))),
        Fact::Data(key) => version.data.as_ref().and_then(|data| data.value_of(key)).map(|value| match value {
            crate::registry::DataValue::Number(number) => Value::Number(number),
            crate::registry::DataValue::Text(text) => Value::Text(Cow::Owned(text)),
        }),
        Fact::Meta(key) => version.meta.get(key).and_then(|value| text(value)),
    }
}
