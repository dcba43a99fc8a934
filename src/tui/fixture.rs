//! A made-up repository for tests: a dozen runs, two models, always the same.

mod files;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::catalog::Names;
use crate::diff::ArtifactChange;
use crate::files::RelPath;
use crate::gate::{Checked, Outcome};
use crate::git::{ChangedFile, CodeChanges, CommitInfo, FileChange, FilePatch, PatchLine, PatchLineKind};
use crate::id::{ArtifactId, CommitId, Digest, RunId};
use crate::registry::{EventKind, Model, ModelAbout, RegistryEvent, Version};
use crate::run::{LogPart, LogPlace, MetricSummary, Point, Run, RunInput, RunOutput, RunStatus, Series};

use super::app::{Action, App};
use super::content::preview::Preview;
use super::effects::{Cancel, Effect, perform};
use super::files::{FileKey, FileList};
use super::keys::Key;
use super::memory::Memory;
use super::source::{Problem, Source, sheet_of};
use super::views::artifacts::{self, Standings, Tracked};
use super::views::registry::{Consider, Considered, Move, Origin};
use super::views::run::{Base, CodeDiff};
use super::views::runs::{self as runs_view, Sheet, TableRequest};
use super::views::sweeps::{Sweep, sweeps_of};

/// What the clock says.
pub(super) fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

const NAMES: [&str; 12] = [
    "brave-otter-12",
    "calm-heron-3",
    "quiet-lynx-40",
    "swift-maple-7",
    "bold-ember-21",
    "gentle-river-9",
    "keen-falcon-33",
    "warm-cedar-5",
    "lucid-comet-18",
    "merry-brook-2",
    "proud-willow-27",
    "tidy-sparrow-1",
];
const EPOCHS: [u32; 12] = [7, 20, 20, 3, 20, 20, 9, 20, 20, 20, 20, 1];

fn status(index: usize) -> RunStatus {
    match index {
        0 => RunStatus::Running,
        3 => RunStatus::Failed,
        6 => RunStatus::Crashed,
        11 => RunStatus::Killed,
        _ => RunStatus::Finished,
    }
}

fn bytes<const N: usize>(seed: &str) -> [u8; N] {
    let digest = Digest::of(seed.as_bytes());
    std::array::from_fn(|index| digest.as_bytes()[index % 32])
}

fn before(minutes: i64) -> Timestamp {
    Timestamp::from_second(now().as_second() - 60 * minutes).unwrap()
}

fn curve(index: usize, metric: &str, epoch: u32) -> f64 {
    let speed = 0.15 + 0.03 * ((index * 7) % 12) as f64;
    let left = (-speed * f64::from(epoch)).exp();
    let wobble = 0.01 * (f64::from(epoch) * 1.7 + index as f64).sin();
    let value = match metric {
        "train_loss" => 0.02 + 2.2 * left,
        "val_loss" => 0.06 + 2.2 * left + wobble + 0.002 * f64::from(epoch),
        "train_accuracy" => 1.0 - 0.85 * left,
        "val_accuracy" => 0.985 - 0.85 * left + wobble * 0.5,
        _ => 1.2e9 + 1e6 * f64::from(epoch),
    };
    // One run diverges: its loss is not a number from then on.
    if index == 3 && epoch >= 2 && metric.ends_with("loss") { f64::NAN } else { value }
}

/// The points of a run.
pub(super) fn series(index: usize) -> Series {
    let metrics = ["train_loss", "val_loss", "train_accuracy", "val_accuracy", "system.memory_bytes"];
    let started = run(index, BTreeMap::new()).started.as_second();
    let mut series: Series = metrics
        .iter()
        .map(|metric| {
            let point = |epoch: u32| Point {
                step: i64::from(epoch),
                time: Timestamp::from_second(started + i64::from(epoch)).unwrap(),
                value: curve(index, metric, epoch),
            };
            ((*metric).to_owned(), (1..=EPOCHS[index]).map(point).collect())
        })
        .collect();
    if status(index) == RunStatus::Finished {
        let value = curve(index, "val_accuracy", EPOCHS[index]) - 0.004;
        let time = Timestamp::from_second(started + 30).unwrap();
        series.insert("test_accuracy".to_owned(), vec![Point { step: 20, time, value }]);
    }
    series
}

fn run(index: usize, metrics: BTreeMap<String, MetricSummary>) -> Run {
    let status = status(index);
    let started = before([2, 31, 58, 125, 300, 420, 1500, 1600, 4000, 9000, 30_000, 60_000][index]);
    let duration = 4.5 * f64::from(EPOCHS[index]) + index as f64 / 10.0;
    let ended = status != RunStatus::Running;
    let learning_rate = ["0.01", "0.003", "0.001", "1.0"][index % 4];
    let params = [("epochs", "20"), ("batch_size", "64"), ("lr", learning_rate), ("model", "cnn"), ("seed", "1")];
    let environment = [
        ("os", "linux"),
        ("cpu", "AMD EPYC 7763"),
        ("cores", "8"),
        ("memory_bytes", "33285996544"),
        ("git_ml", "0.1.0"),
    ];
    let output = RunOutput {
        name: "model".to_owned(),
        artifact_type: "model".to_owned(),
        id: ArtifactId::from_bytes(bytes(&format!("model {index}"))),
        files: 9,
        bytes: 1_482_311,
        path: None,
    };
    let mut snapshot: [u8; 20] = bytes(&format!("commit {}", index / 3));
    snapshot[0] ^= u8::from(index.is_multiple_of(3));
    Run {
        id: RunId::from_bytes(bytes(NAMES[index])),
        name: NAMES[index].to_owned(),
        status,
        experiment: (index != 9).then(|| if index % 4 == 2 { "mlp" } else { "cnn" }.to_owned()),
        commit: Some(CommitId::from_bytes(bytes(&format!("commit {}", index / 3)))),
        snapshot: Some(CommitId::from_bytes(snapshot)),
        dirty: index.is_multiple_of(3),
        branch: Some("main".to_owned()),
        started,
        ended: ended.then_some(started),
        duration_s: ended.then_some(duration),
        cpu_s: ended.then_some(duration * 1.8),
        exit_code: match status {
            RunStatus::Finished => Some(0),
            RunStatus::Failed => Some(1),
            _ => None,
        },
        signal: (status == RunStatus::Killed).then(|| "SIGKILL".to_owned()),
        reason: (status == RunStatus::Failed).then(|| "the loss is not a number at epoch 2".to_owned()),
        note: None,
        removed: None,
        user: "ada".to_owned(),
        host: "workbench".to_owned(),
        command: ["git-ml-torch", "train", "job.json"].map(str::to_owned).to_vec(),
        folder: None,
        seed: Some(1),
        params: params.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        metrics,
        tags: BTreeMap::from([("paper".to_owned(), "table 2".to_owned())]),
        inputs: vec![RunInput {
            path: RelPath::new("data/digits").unwrap(),
            name: "digits".to_owned(),
            id: ArtifactId::from_bytes(bytes("digits")),
        }],
        datasets: Vec::new(),
        outputs: if status == RunStatus::Finished { vec![output] } else { Vec::new() },
        left_out: Default::default(),
        followed: Default::default(),
        environment: environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
    }
}

/// The runs, newest first.
pub(super) fn runs() -> Vec<Run> {
    let whole = |index: usize| {
        let metrics = series(index)
            .iter()
            .map(|(name, points)| (name.clone(), MetricSummary::of(name, points).unwrap()))
            .collect();
        run(index, metrics)
    };
    (0..NAMES.len()).map(whole).collect()
}

fn version(model: &str, number: u64, index: usize) -> Version {
    let run = runs().swap_remove(index);
    Version {
        model: model.to_owned(),
        version: number,
        id: ArtifactId::from_bytes(bytes(&format!("model {index}"))),
        artifact_type: "model".to_owned(),
        run: Some(run.id),
        commit: run.commit,
        metrics: run.metrics,
        registered: before(600 - 100 * i64::try_from(number).unwrap()),
        by: "Ada Lovelace <ada@example.com>".to_owned(),
        note: (number == 2).then(|| "smaller learning rate".to_owned()),
        source: None,
        data: None,
        meta: BTreeMap::new(),
    }
}

/// The models.
pub(super) fn models() -> Vec<Model> {
    let aliases = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect();
    vec![
        Model {
            name: "digits".to_owned(),
            versions: vec![version("digits", 1, 8), version("digits", 2, 4), version("digits", 3, 1)],
            aliases: aliases(&[("champion", 2), ("production", 2), ("staging", 3)]),
            about: ModelAbout::default(),
            about_versions: BTreeMap::new(),
        },
        Model {
            name: "mnist-mlp".to_owned(),
            versions: vec![version("mnist-mlp", 1, 2)],
            aliases: aliases(&[]),
            about: ModelAbout::default(),
            about_versions: BTreeMap::new(),
        },
    ]
}

fn event(what: &str, minutes: i64) -> RegistryEvent {
    RegistryEvent {
        commit: CommitInfo {
            id: CommitId::from_bytes(bytes(what)),
            parents: Vec::new(),
            message: format!("digits: {what}\n"),
            author: "Ada Lovelace".to_owned(),
            email: "ada@example.com".to_owned(),
            time: before(minutes),
        },
        model: "digits".to_owned(),
        what: what.to_owned(),
        kind: EventKind::Alias,
        version: None,
        alias: None,
        previous: None,
        renamed_from: None,
        note: None,
        overridden: None,
    }
}

/// The made-up repository.
#[derive(Debug, Clone)]
pub(super) struct FakeSource {
    pub(super) runs: Vec<Run>,
    pub(super) memory: Memory,
    number: u64,
    pub(super) models: Vec<Model>,
    pub(super) log: Vec<u8>,
    /// Whether the gates refuse.
    pub(super) refuses: bool,
    /// The changes of the registry that were made, in words.
    pub(super) changes: Vec<String>,
}

impl Default for FakeSource {
    fn default() -> Self {
        let line = |epoch: u32| format!("\x1b[2mepoch {epoch:>2}/20\x1b[0m  loss {:.4}\n", 2.0 / f64::from(epoch));
        Self {
            runs: runs(),
            memory: Memory::default(),
            number: 0,
            models: models(),
            log: (1..=40).map(line).collect::<String>().into_bytes(),
            refuses: false,
            changes: Vec::new(),
        }
    }
}

impl Source for FakeSource {
    fn problem(&self) -> Problem {
        "this is not in the made-up repository".to_owned()
    }

    fn set_note(&mut self, run_id: &RunId, text: &str) -> Result<String, Problem> {
        let run = self.runs.iter_mut().find(|run| run.id == *run_id);
        let run = run.ok_or_else(|| "no such run".to_owned())?;
        run.note = Some(text.to_owned());
        Ok(format!("noted on {}", run.name))
    }

    fn recall(&mut self) -> Memory {
        self.memory.clone()
    }

    fn remember(&mut self, memory: &Memory) -> Result<(), Problem> {
        self.memory = memory.clone();
        Ok(())
    }

    fn sheet(&mut self, request: &TableRequest) -> Result<Option<Sheet>, Problem> {
        self.number += 1;
        Ok(Some(sheet_of(self.runs.clone(), request, self.number)))
    }

    fn records(&mut self, run_ids: &[RunId]) -> Result<Vec<Run>, Problem> {
        Ok(self.runs.iter().filter(|run| run_ids.contains(&run.id)).cloned().collect())
    }

    fn names(&mut self) -> Result<Names, Problem> {
        Ok(Names {
            metrics: self.runs.iter().flat_map(|run| run.metrics.keys().cloned()).collect(),
            params: self.runs.iter().flat_map(|run| run.params.keys().cloned()).collect(),
            tags: self.runs.iter().flat_map(|run| run.tags.keys().cloned()).collect(),
        })
    }

    fn code_changes(&mut self, _old: &CommitId, _new: &CommitId, _limit: usize) -> Result<CodeChanges, Problem> {
        let file = |path: &str, change, lines| ChangedFile { path: path.to_owned(), change, lines };
        let files = vec![
            file("ml.toml", FileChange::Modified, Some((1, 1))),
            file("src/augment.py", FileChange::Added, Some((12, 0))),
            file("weights.bin", FileChange::Removed, None),
        ];
        Ok(CodeChanges { files, more: 0 })
    }

    fn file_patch(
        &mut self,
        _old: &CommitId,
        _new: &CommitId,
        file: &ChangedFile,
        _limit: usize,
    ) -> Result<FilePatch, Problem> {
        if file.lines.is_none() {
            return Ok(FilePatch::Binary { old: 4096, new: 0 });
        }
        let line = |kind, old, new, text: &str| PatchLine { kind, old, new, text: text.to_owned() };
        let lines = vec![
            line(PatchLineKind::Hunk, None, None, "@@ -3,3 +3,3 @@"),
            line(PatchLineKind::Context, Some(3), Some(3), "[experiments.cnn.params]"),
            line(PatchLineKind::Removed, Some(4), None, "lr = 0.003"),
            line(PatchLineKind::Added, None, Some(4), "lr = 0.001"),
        ];
        Ok(FilePatch::Lines { lines, is_cut: false })
    }

    fn artifact_change(
        &mut self,
        path: &RelPath,
        _before: &ArtifactId,
        _after: &ArtifactId,
    ) -> Result<Option<ArtifactChange>, Problem> {
        Err(format!("{path} cannot be compared in a made-up repository"))
    }

    fn artifact_file(&mut self, artifact: &ArtifactId, path: &str, _limit: u64) -> Result<Option<Vec<u8>>, Problem> {
        // The second run tells more sevens from ones than the third does.
        let better = *artifact == ArtifactId::from_bytes(bytes("model 1"));
        let sevens = if better { [2, 0, 98] } else { [20, 1, 79] };
        let text = serde_json::json!({
            "train": { "epoch": 20, "accuracy": 0.99, "loss": 0.1 },
            "test": {
                "classes": [{ "name": "one" }, { "name": "four" }, { "name": "seven" }],
                "confusion": [[97, 0, 3], [1, 99, 0], sevens],
            },
        });
        Ok((path == "metrics.json").then(|| text.to_string().into_bytes()))
    }

    fn remove_run(&mut self, run_id: &RunId) -> Result<String, Problem> {
        self.runs.retain(|run| run.id != *run_id);
        Ok("removed".to_owned())
    }

    fn series(&mut self, run_id: &RunId) -> Result<Series, Problem> {
        let known = runs().iter().position(|run| run.id == *run_id);
        known.map(series).ok_or_else(|| "no such run".to_owned())
    }

    fn log_part(&mut self, _run_id: &RunId, place: LogPlace, limit: u64) -> Result<LogPart, Problem> {
        let total = self.log.len() as u64;
        let (start, end) = match place {
            LogPlace::End => (total.saturating_sub(limit), total),
            LogPlace::Before(end) => (end.saturating_sub(limit), end),
            LogPlace::From(start) => (start.min(total), start.saturating_add(limit).min(total)),
        };
        let index = |place: u64| usize::try_from(place).unwrap();
        Ok(LogPart { start, end, total, bytes: self.log[index(start)..index(end)].to_vec() })
    }

    fn code(&mut self, base: Base, commit: &CommitId, _snapshot: &CommitId) -> Result<CodeDiff, Problem> {
        let id = if base == Base::Head { CommitId::from_bytes(bytes("head")) } else { *commit };
        let files = if base == Base::BranchPoint { Vec::new() } else { files::changed() };
        Ok(CodeDiff { old: self.commit(&id)?, changes: CodeChanges { files, more: 0 } })
    }

    fn versions_of(&mut self, run_id: &RunId) -> Result<Vec<String>, Problem> {
        Ok(artifacts::versions_with(&self.models, |version| version.run == Some(*run_id)))
    }

    fn files(&mut self, id: &ArtifactId) -> Result<FileList, Problem> {
        files::list(id)
    }

    fn preview(&mut self, key: &FileKey) -> Result<Preview, Problem> {
        files::look(key)
    }

    fn file(&mut self, key: &FileKey) -> Result<Vec<u8>, Problem> {
        Ok(key.path.clone().into_bytes())
    }

    fn sweeps(&mut self) -> Result<Option<Vec<Sweep>>, Problem> {
        Ok(Some(sweeps_of(self.runs.iter())))
    }

    fn tracked(&mut self) -> Result<Tracked, Problem> {
        Ok(files::tracked())
    }

    fn standings(&mut self) -> Result<Standings, Problem> {
        Ok(files::standings())
    }

    fn artifact_versions(&mut self, path: &RelPath) -> Result<Vec<artifacts::Version>, Problem> {
        files::versions(path)
    }

    fn artifact_names(&mut self, id: &ArtifactId) -> Result<artifacts::Names, Problem> {
        Ok(files::names(id, &self.runs))
    }
    fn commit(&mut self, commit_id: &CommitId) -> Result<CommitInfo, Problem> {
        Ok(CommitInfo { id: *commit_id, message: "Halve the learning rate\n".to_owned(), ..event("", 0).commit })
    }

    fn models(&mut self) -> Result<Option<Vec<Model>>, Problem> {
        Ok(Some(self.models.clone()))
    }

    fn origin(&mut self, version: &Version) -> Result<Origin, Problem> {
        let run = self.runs.iter().find(|run| Some(run.id) == version.run).cloned();
        let commit = version.commit.map(|commit_id| self.commit(&commit_id)).transpose()?;
        Ok(Origin { run, commit })
    }

    fn consider(&mut self, wanted: &Consider) -> Result<Considered, Problem> {
        let Consider { kind, model, alias, version } = wanted.clone();
        let known = self.models.iter().find(|known| known.name == model).ok_or_else(|| "no such model".to_owned())?;
        let from = known.aliases.get(&alias).copied();
        let to = if kind == EventKind::Rollback { Some(1) } else { version };
        let condition = Checked {
            condition: "metrics.test_accuracy >= 0.97".to_owned(),
            passed: !self.refuses,
            known: true,
            looked: Vec::new(),
        };
        let subject = format!("{model}@v{}", to.unwrap_or_default());
        let gate = version.map(|_| Outcome {
            gate: alias.clone(),
            subject,
            passed: !self.refuses,
            conditions: vec![condition],
        });
        let failed = gate.iter().flat_map(Outcome::failed).map(Checked::to_string).collect();
        let wanted = Move { kind, model, alias, from, to, failed };
        Ok(Considered { wanted, gate, last: from.map(|_| event("production: v1 -> v2", 90)) })
    }

    fn move_alias(&mut self, wanted: &Move, reason: Option<&str>) -> Result<String, Problem> {
        let known = self.models.iter_mut().find(|known| known.name == wanted.model);
        let aliases = &mut known.ok_or_else(|| "no such model".to_owned())?.aliases;
        match wanted.to {
            Some(version) => aliases.insert(wanted.alias.clone(), version),
            None => aliases.remove(&wanted.alias),
        };
        let why = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        self.changes.push(format!("{}{why}", wanted.words()));
        Ok(wanted.words())
    }

    fn register(&mut self, target: &str, model: &str) -> Result<String, Problem> {
        self.changes.push(format!("{target} as {model}"));
        Ok(format!("registered {model}@v4"))
    }

    fn history(&mut self, _model: &str) -> Result<Vec<RegistryEvent>, Problem> {
        Ok(vec![
            event("production: v1 -> v2", 90),
            event("staging: v2 -> v3", 200),
            event("registered v3", 300),
            event("registered v2", 400),
            event("registered v1", 500),
        ])
    }
}

/// An app over a made-up repository, its effects carried out at once.
pub(super) struct Desk {
    pub(super) app: App,
    pub(super) source: FakeSource,
}

impl Desk {
    /// A desk with everything loaded.
    pub(super) fn new(size: (u16, u16)) -> Self {
        Self::over(FakeSource::default(), size)
    }

    /// A desk over this source, with everything loaded.
    pub(super) fn over(source: FakeSource, size: (u16, u16)) -> Self {
        let mut desk = Self { app: App::new("digits · main".to_owned(), size, now()), source };
        let effects = desk.app.start();
        desk.carry_out(effects);
        desk
    }

    /// Carries effects out, and those that follow from them.
    pub(super) fn carry_out(&mut self, effects: Vec<Effect>) {
        let mut waiting = effects;
        while let Some(effect) = waiting.pop() {
            if let Some(answer) = perform(&mut self.source, effect, Cancel(&|| false)) {
                waiting.extend(self.app.update(Action::Loaded(Box::new(answer))));
            }
        }
    }

    /// Lets so many milliseconds go by since the start, and carries out what is due.
    pub(super) fn wait(&mut self, milliseconds: i64) {
        let now = now() + SignedDuration::from_millis(milliseconds);
        let effects = self.app.update(Action::Tick(now));
        self.carry_out(effects);
    }

    /// Lets so many milliseconds go by since the start, loads the rows anew, and returns what follows from them.
    pub(super) fn refreshed(&mut self, milliseconds: i64) -> Vec<Effect> {
        let now = now() + SignedDuration::from_millis(milliseconds);
        let (mut waiting, mut others) = (self.app.update(Action::Tick(now)), Vec::new());
        while let Some(effect) = waiting.pop() {
            let is_listing = matches!(effect, Effect::LoadRecords(_) | Effect::Runs(runs_view::Request::Table(_)));
            let answer = is_listing.then(|| perform(&mut self.source, effect.clone(), Cancel(&|| false))).flatten();
            match answer {
                Some(answer) => waiting.extend(self.app.update(Action::Loaded(Box::new(answer)))),
                None => others.push(effect),
            }
        }
        others
    }

    /// Presses a key and returns the effects.
    pub(super) fn press(&mut self, key: Key) -> Vec<Effect> {
        self.app.update(Action::Press(key))
    }

    /// Presses keys and carries out what they ask for.
    pub(super) fn keys(&mut self, keys: &[Key]) {
        for key in keys {
            let effects = self.press(*key);
            self.carry_out(effects);
        }
    }

    /// Types text.
    pub(super) fn type_text(&mut self, text: &str) {
        let keys: Vec<Key> = text.chars().map(super::keys::key).collect();
        self.keys(&keys);
    }
}
