//! `git ml trust`

use crate::config::{self, Config, Experiment};
use crate::git::Repository;
use crate::words::{count, printable};

use super::output::print_line;
use super::{Context, Failure};

/// Approve what this repository's ml.toml may run
///
/// A repository that was cloned runs nothing by itself: commands that ml.toml names are run only after you have read
/// them here and approved exactly that content. Any edit of ml.toml asks again.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take every approval of this repository back
    #[arg(long)]
    revoke: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let repository = Repository::discover(&context.folder)?;
    let trust = context.trust()?;
    if args.revoke {
        let revoked = trust.revoke(repository.common_dir())?;
        return print_line(&format!("took {} back", count(revoked as u64, "approval")));
    }
    let work_dir = repository.work_dir()?;
    let Some(content) = config::read(work_dir)? else {
        return print_line("there is no ml.toml here, so there is nothing to approve");
    };
    let config = Config::parse_bytes(&content, &work_dir.join(config::FILE_NAME))?;
    print_line(&describe(&config))?;
    if trust.is_approved(repository.common_dir(), &content) {
        return print_line("this content of ml.toml was approved already");
    }
    trust.approve(repository.common_dir(), &content)?;
    print_line("approved; `git ml trust --revoke` takes it back")
}

/// What an `ml.toml` may run, for people.
fn describe(config: &Config) -> String {
    let mut lines = vec!["ml.toml may run:".to_owned()];
    for (name, experiment) in &config.experiments {
        lines.push(format!("  {name}: {}", printable(&what(experiment))));
    }
    if config.experiments.is_empty() {
        lines.push("  nothing: it has no experiments".to_owned());
    }
    if let Some(experiment) = &config.hooks.pre_push.experiment {
        lines.push(format!("`git push` runs {} where what is pushed has no run of it", printable(experiment)));
    }
    lines.join("\n")
}

fn what(experiment: &Experiment) -> String {
    let model = experiment.recipe.get("model").and_then(toml::Value::as_str);
    match (&experiment.command, model) {
        (Some(command), _) => format!("$ {command}"),
        (None, Some(model)) => format!("trains the network `{model}`"),
        (None, None) => "trains a network".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_run_is_shown_without_tricks() {
        let text = "[experiments.a]\ncommand = \"rm -rf /\\u001b[2K\\nls\"\n[experiments.b]\nmodel = \"cnn\"\n\
                    [hooks.pre-push]\nexperiment = \"a\"\n";
        let config = Config::parse(text, std::path::Path::new("ml.toml")).unwrap();
        insta::assert_snapshot!(describe(&config), @r"
        ml.toml may run:
          a: $ rm -rf /\u{1b}[2K\nls
          b: trains the network `cnn`
        `git push` runs a where what is pushed has no run of it
        ");
    }
}
