//! A made-up history, followed both ways, and names that would be markup.

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::files::RelPath;
use crate::git::Repository;
use crate::registry::{Registry, Resolved};
use crate::run::{RunDataset, RunInput, RunOutput};
use crate::store::{Entry, Manifest, Mode};
use crate::track::{Silent, TrackOptions, Workspace};

/// Runs that were never run.
#[derive(Default)]
struct Told {
    runs: BTreeMap<RunId, Run>,
}

impl Told {
    fn add(&mut self, number: u8, name: &str, inputs: &[(&str, ArtifactId)], outputs: &[ArtifactId]) -> RunId {
        let id = RunId::from_bytes([number; 16]);
        let mut run = Run::begun(id, "2026-11-21T08:00:00Z".parse().unwrap());
        run.name = name.to_owned();
        let input = |(path, id): &(&str, ArtifactId)| RunInput {
            path: RelPath::new(*path).unwrap(),
            name: "x".to_owned(),
            id: *id,
        };
        run.inputs = inputs.iter().map(input).collect();
        let output = |id: &ArtifactId| RunOutput {
            name: "model".to_owned(),
            artifact_type: "model".to_owned(),
            id: *id,
            files: 1,
            bytes: 2048,
            path: None,
        };
        run.outputs = outputs.iter().map(output).collect();
        self.runs.insert(id, run);
        id
    }
}

impl RunSource for Told {
    fn run(&self, run_id: &RunId) -> Result<Option<Run>, RunError> {
        Ok(self.runs.get(run_id).cloned())
    }

    fn runs_with(&self, artifact: &ArtifactId, part: Part, limit: usize) -> Result<(Vec<Run>, usize), RunError> {
        let has = |run: &&Run| match part {
            Part::Output => run.outputs.iter().any(|output| output.id == *artifact),
            Part::Input => run.inputs.iter().any(|input| input.id == *artifact),
        };
        let all: Vec<Run> = self.runs.values().filter(has).cloned().collect();
        Ok((all.iter().take(limit).cloned().collect(), all.len()))
    }
}

struct Fixture {
    _folder: TempDir,
    workspace: Workspace,
    told: Told,
    data: ArtifactId,
}

/// Data that was tracked, a run that made a model of it, a run that judged the model, and a version in production.
fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let repository = Repository::init(folder.path()).unwrap();
    repository.set_config("user.name", "Ada Tester").unwrap();
    repository.set_config("user.email", "ada@example.com").unwrap();
    let workspace = Workspace::discover(folder.path()).unwrap();
    crate::files::publish(&folder.path().join("x"), b"data", crate::files::Durability::Buffered).unwrap();
    workspace.track(&RelPath::new("x").unwrap(), &TrackOptions::default(), &Silent).unwrap();
    workspace.repository.run_git(&["add", "--all"]).unwrap();
    workspace.repository.run_git(&["commit", "--quiet", "--message", "Track \"the\" data"]).unwrap();
    let data = workspace.pointer(&RelPath::new("x").unwrap()).unwrap().id;
    let split = "{\"format\": 1, \"examples\": 10, \"parts\": {\"train\": \"0..7\", \"test\": \"7..10\"}}";
    let writer = workspace.store.writer().unwrap();
    let (digest, size) = writer.add(&mut split.as_bytes(), "split").unwrap();
    let path = Some(RelPath::new("split.json").unwrap());
    let model =
        writer.add_manifest(&Manifest::new(vec![Entry { path, mode: Mode::File, size, digest }]).unwrap()).unwrap();
    writer.finish().unwrap();
    let mut told = Told::default();
    let trained = told.add(1, "brave-otter-1", &[("x", data)], &[model]);
    let head = workspace.repository.head().unwrap().commit;
    told.runs.get_mut(&trained).unwrap().snapshot = head;
    told.add(2, "calm-heron-2", &[("x", data), ("models/m", model)], &[ArtifactId::from_bytes([5; 32])]);
    told.add(3, "other-run-3", &[("x", data)], &[ArtifactId::from_bytes([6; 32])]);
    let resolved = Resolved {
        target: "t".to_owned(),
        id: model,
        name: "model".to_owned(),
        artifact_type: "model".to_owned(),
        run: None,
        commit: None,
    };
    let registry = Registry::new(&workspace);
    registry.register_anew("digits", &resolved, &crate::registry::Details::default()).unwrap();
    registry.set_alias("digits", "production", 1, None).unwrap();
    Fixture { _folder: folder, workspace, told, data }
}

fn names(graph: &Graph, kind: NodeKind) -> Vec<&str> {
    graph.nodes.iter().filter(|node| node.kind == kind).map(|node| node.name.as_str()).collect()
}

#[test]
fn a_version_is_followed_to_its_rows_and_to_what_was_made_of_it() {
    let fixture = fixture();
    let (_, version) = Registry::new(&fixture.workspace).version("digits@production").unwrap();
    let graph = trace(&fixture.workspace, &fixture.told, &Start::Version(Box::new(version))).unwrap();
    assert_eq!(graph.target, "version:digits@v1");
    assert_eq!(names(&graph, NodeKind::Run), ["brave-otter-1", "calm-heron-2"], "and no sibling");
    assert_eq!(names(&graph, NodeKind::Rows), ["train 7, test 3"]);
    assert_eq!(names(&graph, NodeKind::Alias), ["digits@production"]);
    assert_eq!(names(&graph, NodeKind::Commit).len(), 1);
    let kinds: std::collections::BTreeSet<EdgeKind> = graph.edges.iter().map(|edge| edge.kind).collect();
    assert_eq!(kinds.len(), 7, "{kinds:?}");
    let read = |from: String, run: u8| Edge {
        from,
        to: format!("run:{}", RunId::from_bytes([run; 16])),
        kind: EdgeKind::Read,
    };
    assert!(graph.edges.contains(&read(format!("artifact:{}", fixture.data), 1)));
    assert!(graph.edges.contains(&read("version:digits@v1".to_owned(), 2)));
    assert_eq!(graph.left_out, 0);
    for edge in &graph.edges {
        assert!(graph.node(&edge.from).is_some() && graph.node(&edge.to).is_some(), "{edge:?}");
    }
    let text = to_text(&graph);
    let (up, down) = text.split_once("what came from it\n").unwrap();
    assert!(
        up.starts_with("digits@v1 (model, ") && up.contains("\n    made by run brave-otter-1 (running, "),
        "{text}"
    );
    assert!(up.contains("tracked by commit ") && up.contains("(Track \"the\" data)"), "{text}");
    assert!(down.contains("  alias digits@production\n") && down.contains("read by run calm-heron-2"), "{text}");
}

#[test]
fn data_is_followed_to_all_that_was_made_of_it() {
    let fixture = fixture();
    let start = Start::Artifact { id: fixture.data, name: "x".to_owned() };
    let graph = trace(&fixture.workspace, &fixture.told, &start).unwrap();
    assert_eq!(names(&graph, NodeKind::Run), ["brave-otter-1", "calm-heron-2", "other-run-3"]);
    assert_eq!(names(&graph, NodeKind::Version), ["digits@v1"]);
    let start = Start::Run(RunId::from_bytes([9; 16]));
    let missing = trace(&fixture.workspace, &fixture.told, &start).unwrap_err();
    assert!(matches!(missing, LineageError::NoRun { .. }));
}

#[test]
fn runs_that_go_in_a_circle_and_crowds_of_them_come_to_an_end() {
    let mut fixture = fixture();
    let (one, other) = (ArtifactId::from_bytes([11; 32]), ArtifactId::from_bytes([12; 32]));
    fixture.told.add(20, "first", &[("a", one)], &[other]);
    fixture.told.add(21, "second", &[("b", other)], &[one]);
    let start = Start::Artifact { id: one, name: "one".to_owned() };
    let graph = trace(&fixture.workspace, &fixture.told, &start).unwrap();
    assert_eq!(names(&graph, NodeKind::Run).len(), 2);
    assert!(to_text(&graph).contains("(see above)"));
    for number in 30..=250 {
        fixture.told.add(
            number,
            &format!("run-{number}"),
            &[("x", fixture.data)],
            &[ArtifactId::from_bytes([number; 32])],
        );
    }
    let start = Start::Artifact { id: fixture.data, name: "x".to_owned() };
    let graph = trace(&fixture.workspace, &fixture.told, &start).unwrap();
    assert_eq!(graph.left_out, 124, "224 runs read it, of which 100 are followed");
    assert!(to_text(&graph).contains(" more that are not shown\n"));
}

#[test]
fn no_name_becomes_markup() {
    let mut fixture = fixture();
    let hostile = "a\"]; b[shape=x] \\ <script>`*_#35; \u{1b}[2J\nclick n0 \"javascript:x\"";
    let id = fixture.told.add(40, hostile, &[], &[]);
    fixture.told.runs.get_mut(&id).unwrap().datasets = vec![RunDataset {
        name: "wine".to_owned(),
        digest: "0f".to_owned(),
        source_type: "http".to_owned(),
        source: "{}".to_owned(),
        schema: None,
        profile: None,
        tags: BTreeMap::new(),
    }];
    let graph = trace(&fixture.workspace, &fixture.told, &Start::Run(id)).unwrap();
    assert_eq!(names(&graph, NodeKind::External), ["wine"]);
    insta::assert_snapshot!(to_dot(&graph), @r#"
    digraph lineage {
      rankdir=LR;
      node [fontname="sans-serif"];
      n0 [label="run a\"]; b[shape=x] \\ <script>`*_#35; \\u{1b}[2J\\nclick n0 \"javascript:x\"\nrunning, 2026-11-21 08:00", shape=box, style=bold];
      n1 [label="external wine\nhttp, digest 0f", shape=cylinder];
      n1 -> n0 [label="read"];
    }
    "#);
    insta::assert_snapshot!(to_mermaid(&graph), @r#"
    flowchart LR
      n0["run a#34;#93;#59; b#91;shape#61;x#93; #92; #60;script#62;#96;#42;#95;#35;35#59; #92;u#123;1b#125;#91;2J#92;nclick n0 #34;javascript:x#34;<br/>running, 2026-11-21 08:00"]
      n1[("external wine<br/>http, digest 0f")]
      n1 -->|read| n0
      style n0 stroke-width:3px
    "#);
    let text = to_text(&graph);
    assert_eq!(text.lines().count(), 5, "{text}");
}
