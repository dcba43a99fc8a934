//! The graph as text: for people, for Graphviz, for Mermaid. Names come from anybody, so what could be markup is escaped.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::words::printable;

use super::{Edge, Graph, Node, NodeKind};

/// Characters of a name that are shown.
const MAX_NAME: usize = 120;

/// Two trees, of what the target came from and of what came from it. What stands above already is not told again.
pub fn to_text(graph: &Graph) -> String {
    let mut text = String::new();
    if let Some(target) = graph.node(&graph.target) {
        text += &format!("{}\n", words_of(target));
    }
    for (title, is_up) in [("came from", true), ("what came from it", false)] {
        let mut seen = BTreeSet::from([graph.target.as_str()]);
        let mut lines = String::new();
        branch(graph, &graph.target, is_up, 1, &mut seen, &mut lines);
        if lines.is_empty() {
            lines = "  nothing that is known\n".to_owned();
        }
        text += &format!("{title}\n{lines}");
    }
    if graph.left_out > 0 {
        text += &format!("and {} more that are not shown\n", graph.left_out);
    }
    text
}

/// The neighbours of a node in one direction, each with theirs below it.
fn branch<'g>(graph: &'g Graph, id: &str, is_up: bool, depth: usize, seen: &mut BTreeSet<&'g str>, lines: &mut String) {
    for edge in &graph.edges {
        let (own, other) = if is_up { (&edge.to, &edge.from) } else { (&edge.from, &edge.to) };
        if own != id {
            continue;
        }
        let Some(node) = graph.node(other) else { continue };
        let is_new = seen.insert(&node.id);
        let again = if is_new { "" } else { " (see above)" };
        // Writing to a string does not fail.
        let _ = writeln!(lines, "{}{} {}{again}", "  ".repeat(depth), edge_words(edge, is_up), words_of(node));
        if is_new {
            branch(graph, other, is_up, depth + 1, seen, lines);
        }
    }
}

/// What an edge says, read from the one end or the other.
fn edge_words(edge: &Edge, is_up: bool) -> &'static str {
    use super::EdgeKind::{Alias, Code, Made, Part, Read, Registered, Tracked};
    match (edge.kind, is_up) {
        (Part, true) => "of",
        (Part, false) => "in part",
        (Read, true) => "read",
        (Read, false) => "read by",
        (Code, true) => "code",
        (Code, false) => "code of",
        (Tracked, true) => "tracked by",
        (Tracked, false) => "tracks",
        (Made, true) => "made by",
        (Made, false) => "made",
        (Registered, true) => "is",
        (Registered, false) => "registered as",
        (Alias, true) => "alias of",
        (Alias, false) => "alias",
    }
}

fn words_of(node: &Node) -> String {
    let kind = match node.kind {
        NodeKind::Commit | NodeKind::Run | NodeKind::Rows => format!("{} ", node.kind.as_str()),
        NodeKind::Data | NodeKind::External | NodeKind::Version | NodeKind::Alias => String::new(),
    };
    let detail = node.detail.as_ref().map(|detail| format!(" ({})", shown(detail))).unwrap_or_default();
    format!("{kind}{}{detail}", shown(&node.name))
}

/// A name in a line, of bounded length.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(MAX_NAME).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    printable(&short)
}

/// The graph in Graphviz's language.
pub fn to_dot(graph: &Graph) -> String {
    let mut text = "digraph lineage {\n  rankdir=LR;\n  node [fontname=\"sans-serif\"];\n".to_owned();
    for (number, node) in graph.nodes.iter().enumerate() {
        let shape = match node.kind {
            NodeKind::Rows => "note",
            NodeKind::Data | NodeKind::External => "cylinder",
            NodeKind::Commit => "plaintext",
            NodeKind::Run => "box",
            NodeKind::Version => "component",
            NodeKind::Alias => "oval",
        };
        let bold = if node.id == graph.target { ", style=bold" } else { "" };
        let label = lines_of(node).iter().map(|line| quoted_for_dot(line)).collect::<Vec<_>>().join("\\n");
        // Writing to a string does not fail.
        let _ = writeln!(text, "  n{number} [label=\"{label}\", shape={shape}{bold}];");
    }
    for (from, to, kind) in numbered(graph) {
        let _ = writeln!(text, "  n{from} -> n{to} [label=\"{kind}\"];");
    }
    text + "}\n"
}

/// In a quoted string of Graphviz only quotes and backslashes mean something.
fn quoted_for_dot(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The graph in Mermaid's language, which GitHub and GitLab draw in Markdown.
pub fn to_mermaid(graph: &Graph) -> String {
    let mut text = "flowchart LR\n".to_owned();
    for (number, node) in graph.nodes.iter().enumerate() {
        let (open, close) = match node.kind {
            NodeKind::Rows => ("[/", "/]"),
            NodeKind::Data | NodeKind::External => ("[(", ")]"),
            NodeKind::Commit => ("(", ")"),
            NodeKind::Run => ("[", "]"),
            NodeKind::Version => ("[[", "]]"),
            NodeKind::Alias => ("([", "])"),
        };
        let label = lines_of(node).iter().map(|line| quoted_for_mermaid(line)).collect::<Vec<_>>().join("<br/>");
        // Writing to a string does not fail.
        let _ = writeln!(text, "  n{number}{open}\"{label}\"{close}");
    }
    for (from, to, kind) in numbered(graph) {
        let _ = writeln!(text, "  n{from} -->|{kind}| n{to}");
    }
    if let Some(target) = graph.nodes.iter().position(|node| node.id == graph.target) {
        let _ = writeln!(text, "  style n{target} stroke-width:3px");
    }
    text
}

/// In Mermaid a label is Markdown with HTML in it: whatever is neither letter, digit nor plain becomes an entity.
fn quoted_for_mermaid(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | ',' | '/' | '-' | ':' | '@' | '(' | ')');
    text.chars().map(|c| if is_plain(c) { c.to_string() } else { format!("#{};", u32::from(c)) }).collect()
}

/// A node's label, line by line.
fn lines_of(node: &Node) -> Vec<String> {
    let name = format!("{} {}", node.kind.as_str(), shown(&node.name));
    [Some(name), node.detail.as_deref().map(shown)].into_iter().flatten().collect()
}

/// The edges, with the places of their nodes.
fn numbered(graph: &Graph) -> impl Iterator<Item = (usize, usize, &'static str)> {
    let place = |id: &str| graph.nodes.iter().position(|node| node.id == id);
    graph.edges.iter().filter_map(move |edge| Some((place(&edge.from)?, place(&edge.to)?, edge.kind.as_str())))
}
