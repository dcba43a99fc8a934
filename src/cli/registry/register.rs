//! `git ml model register` and `git ml dataset register`

use std::collections::BTreeMap;
use std::path::Path;

use crate::registry::{DataFacts, Details, EventKind, Kind, Registry, Resolved, VersionAbout, check_alias_name};
use crate::store::Store;
use crate::train::data::{Facts, Source};
use crate::words::{printable, with_causes};

use super::super::output::{print_json, print_line};
use super::super::{Failure, key_value};
use super::Desk;
use super::moves::{self, GatedArgs, Which};
use super::view::VersionView;

/// Classes whose names a version keeps; of more only the number is kept.
const MAX_CLASSES: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct RegisterArgs {
    /// A run (`run:@`, `run:NAME:OUTPUT`), a tracked path, another version, or an artifact's id
    target: String,
    /// The name to register it under
    #[arg(long, value_name = "MODEL")]
    name: String,
    /// A remark to keep with the version
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// A tag of the version
    #[arg(long = "tag", value_name = "NAME=VALUE", value_parser = key_value::parse)]
    tags: Vec<(String, String)>,
    /// The column of a data set's tables that has the classes [default: label]
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Point this alias to the version, if its gate in ml.toml lets it through
    #[arg(long)]
    alias: Option<String>,
    /// Point the alias there although its gate refuses; the reason is kept in the history
    #[arg(long = "override", value_name = "REASON", requires = "alias")]
    #[arg(value_parser = clap::builder::NonEmptyStringValueParser::new())]
    reason: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn register(desk: Desk<'_>, args: &RegisterArgs) -> Result<(), Failure> {
    let Desk { context, workspace, kind } = desk;
    let registry = &Registry::new(workspace);
    // Before the version is made, so that a bad alias does not leave one without it.
    if let Some(alias) = &args.alias {
        check_alias_name(alias)?;
    }
    let artifact = registry.resolve(&context.folder, &args.target)?;
    let details = Details {
        note: args.note.clone(),
        kind,
        data: match kind {
            Kind::Dataset => facts(desk, &artifact, args.label.as_deref())?,
            Kind::Model => None,
        },
        meta: meta(desk, &args.target, &artifact),
        about: VersionAbout { tags: key_value::map(&args.tags), ..VersionAbout::default() },
        ..Details::default()
    };
    let registered = registry.register_with(&args.name, &artifact, &details)?;
    let version = registered.version;
    if !registered.is_new {
        context.say(&format!("{} has this artifact of this run already", version.label()));
    }
    let mut is_refused = false;
    if let Some(alias) = &args.alias {
        let gated = GatedArgs::new(args.note.as_deref(), args.reason.as_deref());
        let which = Which { model: &args.name, alias };
        is_refused = moves::try_point(desk, EventKind::Alias, which, version.version, &gated)?.is_refused();
    }
    match args.json {
        true => print_json(&VersionView::new(&registry.model(&args.name)?, &version))?,
        false => print_line(&version.label())?,
    }
    if is_refused { Err(Failure::Verification) } else { Ok(()) }
}

/// What the user said of the artifact where it is tracked.
fn meta(desk: Desk<'_>, target: &str, artifact: &Resolved) -> BTreeMap<String, String> {
    let path = desk.workspace.rel_path(&desk.context.folder, Path::new(target)).ok();
    let pointer = path.and_then(|path| desk.workspace.pointer(&path).ok());
    pointer.filter(|pointer| pointer.id == artifact.id).map(|pointer| pointer.meta).unwrap_or_default()
}

/// What is in the data. Data of no format that is known can be registered too, and nothing is known of it then.
fn facts(desk: Desk<'_>, artifact: &Resolved, label: Option<&str>) -> Result<Option<DataFacts>, Failure> {
    let store = Store::open(desk.workspace.store.root())?;
    let found = Source::artifact(store, &artifact.id).and_then(|source| Facts::read(&source, &artifact.name, label));
    match found {
        Ok(facts) => Ok(Some(data_facts(facts))),
        Err(error) => {
            desk.context.say(&format!("nothing is known of what is in it: {}", printable(&with_causes(&error))));
            Ok(None)
        }
    }
}

fn data_facts(facts: Facts) -> DataFacts {
    let Facts { format, examples, classes, shape, columns, splits } = facts;
    let class_count = classes.as_ref().map(|classes| classes.len() as u64);
    let (classes, class_examples) =
        classes.filter(|classes| classes.len() <= MAX_CLASSES).unwrap_or_default().into_iter().unzip();
    DataFacts { format: format.to_owned(), examples, class_count, classes, class_examples, shape, columns, splits }
}
