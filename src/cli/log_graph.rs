//! `git ml log --graph`: git's own graph of commits, with the runs below the commit that each ran on.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::id::CommitId;
use crate::run::Run;
use crate::track::Workspace;
use crate::words::printable;

use super::log::{cell, title};
use super::output::print_line;
use super::{Context, Failure};

/// A line of git's graph.
#[derive(Debug, PartialEq, Eq)]
enum Line<'l> {
    /// Only lines and dots, between commits.
    Edges(&'l str),
    /// A commit: the graph before it, its id, whether it has parents, and what git says of it.
    Commit { edges: &'l str, id: CommitId, has_parents: bool, words: &'l str },
}

/// Prints the commits from HEAD and from the runs' commits on, as far back as there are runs.
pub(super) fn print(context: &Context, workspace: &Workspace, runs: &[Run], columns: &[String]) -> Result<(), Failure> {
    let repository = &workspace.repository;
    let mut by_commit: BTreeMap<CommitId, Vec<&Run>> = BTreeMap::new();
    let (placed, elsewhere): (Vec<&Run>, Vec<&Run>) =
        runs.iter().partition(|run| run.commit.is_some_and(|commit| repository.has_commit(&commit)));
    for run in placed {
        by_commit.entry(run.commit.unwrap_or(CommitId::from_bytes([0; 20]))).or_default().push(run);
    }
    let tips: BTreeSet<CommitId> = by_commit.keys().copied().chain(repository.head()?.commit).collect();
    let graph = repository.graph(&tips.into_iter().collect::<Vec<_>>())?;
    let now = Timestamp::now();
    let mut shown = Vec::new();
    for line in graph.lines().map(parse) {
        if by_commit.is_empty() {
            break;
        }
        match line {
            Line::Edges(edges) => shown.push(edges.trim_end().to_owned()),
            Line::Commit { edges, id, has_parents, words } => {
                shown.push(format!("{edges}{}", printable(words)).trim_end().to_owned());
                // Below the commit its line goes on, if it does.
                let below = edges.replace('*', if has_parents { "|" } else { " " });
                let runs = by_commit.remove(&id).unwrap_or_default();
                shown.extend(runs.into_iter().map(|run| format!("{below}  {}", words_of(context, run, columns, now))));
            }
        }
    }
    if !elsewhere.is_empty() {
        shown.push("without a commit that is here".to_owned());
        shown.extend(elsewhere.into_iter().map(|run| format!("  {}", words_of(context, run, columns, now))));
    }
    print_line(&shown.join("\n"))
}

fn parse(line: &str) -> Line<'_> {
    let mut parts = line.splitn(4, '\0');
    let (edges, id, parents, words) = (parts.next(), parts.next(), parts.next(), parts.next());
    match (edges, id.and_then(|id| id.parse().ok()), parts.next()) {
        (Some(edges), Some(id), None) => Line::Commit {
            edges,
            id,
            has_parents: parents.is_some_and(|parents| !parents.is_empty()),
            words: words.unwrap_or_default(),
        },
        _ => Line::Edges(line),
    }
}

/// A run in a line: its name, and each of the columns that it has a value in.
fn words_of(context: &Context, run: &Run, columns: &[String], now: Timestamp) -> String {
    let name = printable(&run.name);
    let mut words = vec![if context.colour { format!("\x1b[1m{name}\x1b[0m") } else { name }];
    for key in columns.iter().filter(|key| !["name", "commit"].contains(&key.as_str())) {
        let Some(value) = cell(run, key, now).filter(|value| !value.is_empty()) else { continue };
        let is_plain = ["status", "experiment", "started", "duration"].contains(&key.as_str());
        words.push(printable(&if is_plain { value } else { format!("{} {value}", title(key)) }));
    }
    let star = if run.dirty { ", with changes on top" } else { "" };
    format!("{}{star}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_graph_is_a_commit_or_edges() {
        let id = "0123456789012345678901234567890123456789";
        let line = format!("| * \0{id}\0abc\0abc1234 A \"b\"");
        let expected =
            Line::Commit { edges: "| * ", id: id.parse().unwrap(), has_parents: true, words: "abc1234 A \"b\"" };
        assert_eq!(parse(&line), expected);
        assert_eq!(parse("|/"), Line::Edges("|/"));
    }
}
