//! What `git ml push`, `pull` and `fetch` do with runs and the registry.

use serde_json::{Value, json};

use crate::config::{Config, ShareSnapshots};
use crate::git::Manner;
use crate::registry::{MergeStory, Mover};
use crate::share::{self, Exchange, KeptOut, Received, Registered, RegistryState, Sent, ShareError, SharedSignatures};
use crate::track::Workspace;
use crate::words::{count, printable};

use super::ask::ask;
use super::output::print_line;
use super::{Context, Failure};

/// The key of git's configuration that decides for one user.
const KEY: &str = "ml.shareSnapshots";
/// What was not taken in and is named; the rest is counted.
const NAMED: usize = 5;

/// Which way runs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From the remote only.
    Fetch,
    /// From the remote, then there.
    Push,
}

/// How an exchange of runs ended.
#[derive(Debug)]
pub(super) struct Shared {
    remote: String,
    received: Received,
    sent: Sent,
    registry: Registered,
    signatures: SharedSignatures,
}

/// Whether snapshots with code that is not committed may be shared: as the user's git says, else `ml.toml`.
pub(super) fn policy(workspace: &Workspace) -> Result<ShareSnapshots, Failure> {
    if let Some(value) = workspace.repository.config(KEY)? {
        return ShareSnapshots::parse(&value).ok_or_else(|| Failure::User {
            message: format!("git's configuration has {KEY} = `{}`", printable(&value)),
            hint: format!("`git config {KEY} true`, false or ask"),
        });
    }
    // A bare repository has no ml.toml.
    let config = workspace.repository.work_dir().ok().map(Config::load).transpose()?.unwrap_or_default();
    Ok(config.run.share_snapshots.unwrap_or(ShareSnapshots::Ask))
}

/// Exchanges runs and the registry with a git remote.
pub(super) fn exchange(context: &Context, workspace: &Workspace, remote: &str, way: Way) -> Result<Shared, Failure> {
    let author = workspace.repository.identity_or_host(&context.user(), &context.host());
    let exchange = Exchange { workspace, remote, author: &author, manner: Manner::Attended };
    let (received, sent) = match way {
        Way::Fetch => (share::fetch(&exchange)?, Sent::default()),
        Way::Push => {
            let policy = policy(workspace)?;
            share::push(&exchange, &mut |uncommitted, has_news| decide(policy, remote, uncommitted, has_news))?
        }
    };
    let registry = share::sync_registry(&exchange, way == Way::Push)?;
    let signatures = share::sync_signatures(&exchange, way == Way::Push)?;
    Ok(Shared { remote: remote.to_owned(), received, sent, registry, signatures })
}

fn decide(policy: ShareSnapshots, remote: &str, uncommitted: usize, has_news: bool) -> Result<bool, ShareError> {
    match policy {
        ShareSnapshots::Yes => Ok(true),
        ShareSnapshots::No => Ok(false),
        // Who said no once is not asked again as long as nothing is new.
        ShareSnapshots::Ask if !has_news => Ok(false),
        ShareSnapshots::Ask => {
            let runs = count(uncommitted as u64, "run");
            let question =
                format!("{runs} to be shared with {remote} hold code that is not committed. Share that code too?");
            ask(&question).ok_or(ShareError::Undecided { uncommitted })
        }
    }
}

impl Shared {
    /// Says what was exchanged, and fails where the registries of both sides cannot be brought together.
    pub(super) fn tell(&self, context: &Context, way: Way, is_json: bool) -> Result<(), Failure> {
        let Self { remote, received, registry, signatures, .. } = self;
        let kept_out: Vec<&KeptOut> = received.kept_out.iter().chain(&signatures.kept_out).collect();
        for KeptOut { path, problem } in kept_out.iter().take(NAMED) {
            context.warn(&format!("{remote} has {path}, which is kept out: {}", printable(problem)));
        }
        if kept_out.len() > NAMED {
            context.warn(&format!("{} more of {remote} are kept out", kept_out.len() - NAMED));
        }
        if !is_json {
            for line in self.lines() {
                print_line(&line)?;
            }
        }
        let MergeStory { not_taken, .. } = &registry.story;
        for line in registry.story.lines(remote) {
            context.say(&printable(&line));
        }
        let Some(first) = not_taken.first() else { return Ok(()) };
        let moves = match not_taken.len() {
            1 => format!("your move of {}@{} is not taken", first.model, first.alias),
            number => format!("{number} of your moves of aliases are not taken"),
        };
        let message = format!("{moves}: others had moved them on {remote} first");
        match way {
            Way::Fetch => {
                context.warn(&message);
                Ok(())
            }
            Way::Push => Err(Failure::User {
                message,
                hint: format!("all else is shared: look at `git ml model history {}`, then decide again", first.model),
            }),
        }
    }

    fn lines(&self) -> Vec<String> {
        let Self { remote, received, sent, registry, signatures } = self;
        let runs = |number: usize| count(number as u64, "run");
        let mut lines = Vec::new();
        match (received.added, received.changed) {
            (0, 0) => {}
            (added, 0) => lines.push(format!("{} new from {remote}", runs(added))),
            (0, changed) => lines.push(format!("{} changed on {remote}", runs(changed))),
            (added, changed) => lines.push(format!("{} new from {remote}, {changed} changed", runs(added))),
        }
        if *sent != Sent::default() {
            let mut line = format!("shared {} with {remote}", runs(sent.runs));
            if sent.with_code > 0 {
                line += &format!(", {} with code that is not committed", sent.with_code);
            }
            if sent.without_code > 0 {
                line += &format!(", {} without code that is not committed", sent.without_code);
            }
            lines.push(line);
        }
        match registry.state {
            RegistryState::Received => lines.push(format!("the registry is as on {remote}")),
            RegistryState::Sent => lines.push(format!("shared the registry with {remote}")),
            RegistryState::Merged => lines.push(format!("merged the registry of {remote} with ours")),
            RegistryState::MergedAndSent => {
                lines.push(format!("merged the registry of {remote} with ours, and shared it"));
            }
            RegistryState::Same | RegistryState::Ahead => {}
        }
        let SharedSignatures { received, sent, .. } = signatures;
        let words = |number: usize| count(number as u64, "signature");
        if *received > 0 {
            lines.push(format!("{} new from {remote}", words(*received)));
        }
        if *sent > 0 {
            lines.push(format!("shared {} with {remote}", words(*sent)));
        }
        lines
    }

    /// The git remote.
    pub(super) fn remote(&self) -> &str {
        &self.remote
    }

    /// Whether nothing went either way.
    pub(super) fn is_nothing(&self) -> bool {
        self.lines().is_empty()
    }

    /// As `--json` has it.
    pub(super) fn json(&self) -> Value {
        let Self { remote, received, sent, registry, signatures } = self;
        let kept_out = received.kept_out.iter().chain(&signatures.kept_out);
        let kept_out: Vec<Value> =
            kept_out.map(|KeptOut { path, problem }| json!({ "path": path, "problem": problem })).collect();
        json!({
            "remote": remote,
            "received": received.added,
            "changed": received.changed,
            "kept_out": kept_out,
            "sent": sent.runs,
            "with_uncommitted_code": sent.with_code,
            "without_uncommitted_code": sent.without_code,
            "registry": match registry.state {
                RegistryState::Same => "same",
                RegistryState::Received => "received",
                RegistryState::Sent => "sent",
                RegistryState::Ahead => "ahead",
                RegistryState::Merged => "merged",
                RegistryState::MergedAndSent => "merged-and-sent",
            },
            "signatures": { "received": signatures.received, "sent": signatures.sent },
            "registry_changes": story_json(&registry.story),
        })
    }
}

/// What became of our changes of the registry, as `--json` has it.
fn story_json(story: &MergeStory) -> Value {
    let mover = |mover: &Option<Mover>| {
        mover.as_ref().map(|Mover { by, when, note }| json!({ "by": by, "when": when, "note": note }))
    };
    let renumbered = story.renumbered.iter();
    let renumbered = renumbered.map(|one| json!({ "model": one.model, "from": one.from, "to": one.to }));
    let not_taken = story.not_taken.iter().map(|one| {
        json!({
            "model": one.model,
            "alias": one.alias,
            "version": one.wanted,
            "stands": one.stands,
            "first": mover(&one.first),
            "second": mover(&one.second),
        })
    });
    let kept = story.kept.iter().map(|(model, version)| json!({ "model": model, "version": version }));
    json!({
        "renumbered": renumbered.collect::<Vec<_>>(),
        "not_taken": not_taken.collect::<Vec<_>>(),
        "kept": kept.collect::<Vec<_>>(),
    })
}
