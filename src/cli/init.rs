//! `git ml init`

use clap::ValueEnum;

use crate::hooks::{self, HookError, Outcome};
use crate::init::{self, Done, Forge, Template, find_template, templates, write_workflow};
use crate::words::{count, size};

use super::output::{Align, Bar, Table, print_line};
use super::{Context, Failure};

/// Set up git ml in this repository, or start a project from a template
///
/// Makes a git repository where there is none, the store, ml.toml and the hooks. It is safe to repeat, and changes
/// nothing that is there already.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Also write a working project of this kind
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// List the templates
    #[arg(long, conflicts_with = "template")]
    list_templates: bool,
    /// Also write what this forge's CI needs to verify every push and to report on pull requests
    #[arg(long, value_name = "FORGE", value_enum, conflicts_with = "list_templates")]
    ci: Option<Ci>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Ci {
    #[value(name = "github")]
    GitHub,
    #[value(name = "gitlab")]
    GitLab,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    if args.list_templates {
        return list();
    }
    let template = args.template.as_deref().map(find_template).transpose()?;
    let trust = context.trust().ok();
    let done = init::init(&context.folder, template, trust.as_ref(), &Bar::new(context))?;
    report(context, &done)?;
    install_hooks(context, &done)?;
    match (template, args.ci) {
        (Some(template), _) => next(context, template),
        (None, Some(_)) => {}
        (None, None) => next_without_template(context),
    }
    match args.ci {
        Some(Ci::GitHub) => set_up_ci(context, &done, Forge::GitHub),
        Some(Ci::GitLab) => set_up_ci(context, &done, Forge::GitLab),
        None => Ok(()),
    }
}

fn set_up_ci(context: &Context, done: &Done, forge: Forge) -> Result<(), Failure> {
    let workflow = write_workflow(&done.workspace, forge)?;
    for path in &workflow.written {
        context.say(&format!("wrote {path}"));
    }
    match &workflow.remote {
        Some(remote) => context.say(&format!("it asks the remote {remote} whether it has the data")),
        None => context.say(&format!("say in {} which remote has the data, as REMOTE", workflow.path)),
    }
    if let Some((path, lines)) = &workflow.missing {
        context.say(&format!("add this to {path}:\n\n{lines}"));
    }
    Ok(())
}

fn list() -> Result<(), Failure> {
    let mut table = Table::new([("template", Align::Left), ("what it is", Align::Left)]);
    for template in templates() {
        table.row(vec![template.name.to_owned(), template.description.to_owned()]);
    }
    print_line(&table.render(false))
}

fn report(context: &Context, done: &Done) -> Result<(), Failure> {
    let work_dir = done.workspace.repository.work_dir()?;
    if done.is_new {
        context.say(&format!("made a git repository in {}", work_dir.display()));
    }
    for path in &done.written {
        context.say(&format!("wrote {path}"));
    }
    for path in &done.left {
        context.say(&format!("left {path} as it is"));
    }
    for tracked in &done.tracked {
        let (files, bytes) = (tracked.pointer.files, tracked.pointer.bytes);
        context.say(&format!(
            "tracked {}: {}, {}, pointer {}",
            tracked.path,
            count(files, "file"),
            size(bytes),
            tracked.pointer_path
        ));
    }
    Ok(())
}

/// A repository whose hooks cannot be written is set up all the same.
fn install_hooks(context: &Context, done: &Done) -> Result<(), Failure> {
    let repository = &done.workspace.repository;
    let mut new = Vec::new();
    match hooks::install(repository, false) {
        Ok(installed) => {
            let names: Vec<&str> =
                installed.iter().filter(|one| one.outcome != Outcome::Unchanged).map(|one| one.hook.name()).collect();
            if !names.is_empty() {
                new.push(format!("the hooks {}", names.join(", ")));
            }
        }
        Err(error @ (HookError::OutsideRepository { .. } | HookError::KeptExists { .. })) => {
            context.warn(&format!("no hooks were installed: {error}; `git ml hook install` says what to do"));
        }
        Err(error) => return Err(error.into()),
    }
    if hooks::install_driver(repository)? != Outcome::Unchanged {
        new.push("the merge driver for pointers".to_owned());
    }
    if !new.is_empty() {
        context.say(&format!("installed {}", new.join(", and ")));
    }
    Ok(())
}

fn next(context: &Context, template: &Template) {
    context.say("\nType this next:");
    let width = template.next.iter().map(|(command, _)| command.chars().count()).max().unwrap_or(0);
    for (command, why) in template.next {
        context.say(&format!("    {command:width$}  # {why}"));
    }
}

fn next_without_template(context: &Context) {
    context.say("\nType this next:");
    context.say("    git ml track PATH          # keep a dataset or a model");
    context.say("    git ml run -- COMMAND      # run a training and keep all about it");
}
