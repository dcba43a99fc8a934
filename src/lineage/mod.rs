//! Lineage: what something came from, and what came from it, as one graph.
//!
//! An edge leads from what was there first: rows to the run that learned from them, data to the run that read it, a commit
//! to the run of its code and to the data whose pointer it brought, a run to what it made, an artifact to the version that
//! was registered of it, a version to its aliases. What something came from is looked for against the edges and what came
//! from it along them, each from the target on: what only shares an origin with it is not part of the graph.
//!
//! Architecture invariant: it only reads, asks for the runs of an artifact and never for all, and its size is bounded.

mod build;
mod draw;
mod rows;

pub use build::{Start, trace};
pub use draw::{to_dot, to_mermaid, to_text};

use serde::Serialize;

use crate::id::{ArtifactId, RunId};
use crate::registry::RegistryError;
use crate::run::{Run, RunError};

/// Where runs are asked for: the catalog of them, or whoever knows them.
pub trait RunSource {
    /// The run with an id; none if there is none.
    fn run(&self, run_id: &RunId) -> Result<Option<Run>, RunError>;

    /// The runs that made or read an artifact, the newest first, at most `limit`; and how many there are.
    fn runs_with(&self, artifact: &ArtifactId, part: Part, limit: usize) -> Result<(Vec<Run>, usize), RunError>;
}

/// What a run has to do with an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// It made it.
    Output,
    /// It read it.
    Input,
}

/// What went wrong on the way.
#[derive(Debug, thiserror::Error)]
pub enum LineageError {
    /// A run that was asked for is not there.
    #[error("there is no run {run}")]
    NoRun {
        /// Its id.
        run: RunId,
    },
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The registry, the work tree or git failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// What a node stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Rows of data: which examples a run learned from, and which it was judged by.
    Rows,
    /// An artifact.
    Data,
    /// Data that is not in the store, as a run described it.
    External,
    /// A commit of the code.
    Commit,
    /// A run.
    Run,
    /// A version of the registry.
    Version,
    /// An alias.
    Alias,
}

impl NodeKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Data => "data",
            Self::External => "external",
            Self::Commit => "commit",
            Self::Run => "run",
            Self::Version => "version",
            Self::Alias => "alias",
        }
    }
}

/// One thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Node {
    /// What tells it from all others: `artifact:<id>`, `run:<id>`, `commit:<id>`, `version:<name>@v3`, `alias:<name>@<alias>`.
    pub id: String,
    /// What it stands for.
    pub kind: NodeKind,
    /// How people name it.
    pub name: String,
    /// More about it, in a line.
    pub detail: Option<String>,
}

/// How one thing came from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// Rows of data.
    Part,
    /// A run read it.
    Read,
    /// A run ran its code.
    Code,
    /// A commit has the pointer to it.
    Tracked,
    /// A run made it.
    Made,
    /// It was registered as a version.
    Registered,
    /// An alias points to it.
    Alias,
}

impl EdgeKind {
    /// The words on the edge.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Part => "part",
            Self::Read => "read",
            Self::Code => "code",
            Self::Tracked => "tracked",
            Self::Made => "made",
            Self::Registered => "registered",
            Self::Alias => "alias",
        }
    }
}

/// One came from the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// The id of what was there first.
    pub from: String,
    /// The id of what came from it.
    pub to: String,
    /// How.
    pub kind: EdgeKind,
}

/// What a target came from and what came from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Graph {
    /// The id of the node that was asked for.
    pub target: String,
    /// The nodes, in the order in which they were found: the target first.
    pub nodes: Vec<Node>,
    /// The edges, sorted.
    pub edges: Vec<Edge>,
    /// How many things are not in it, because it would be too large.
    pub left_out: usize,
}

impl Graph {
    /// The node with an id.
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.iter().find(|node| node.id == id)
    }
}

#[cfg(test)]
mod tests;
