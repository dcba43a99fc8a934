//! A run's record in bytes, twenty times as fast to read as its text.
//!
//! The environment is kept apart: most runs of a project share one.

use std::collections::BTreeMap;

use super::bytes::{Reader, put_float, put_moment, put_number, put_signed, put_text};
use crate::files::RelPath;
use crate::git::{LeftOut, Submodule, Untracked};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::run::{Followed, MetricSummary, Run, RunDataset, RunInput, RunOutput, RunStatus};

const STATUSES: [RunStatus; 5] =
    [RunStatus::Running, RunStatus::Finished, RunStatus::Failed, RunStatus::Crashed, RunStatus::Killed];

/// The bytes of a record, without its environment.
pub(super) fn encode(run: &Run) -> Vec<u8> {
    // Spelled out, so that a new field cannot be forgotten here; it takes a new `VERSION` of the cache, too.
    let Run {
        id,
        name,
        status,
        experiment,
        commit,
        snapshot,
        dirty,
        branch,
        started,
        ended,
        duration_s,
        cpu_s,
        exit_code,
        signal,
        reason,
        note,
        removed,
        user,
        host,
        command,
        folder,
        seed,
        params,
        metrics,
        tags,
        inputs,
        datasets,
        outputs,
        left_out: LeftOut { more, untracked, submodules },
        followed: Followed { tensorboard, csv_logs },
        environment: _,
    } = run;
    let mut bytes = Vec::with_capacity(1024);
    let to = &mut bytes;
    to.extend_from_slice(id.as_bytes());
    put_text(to, name);
    to.push(STATUSES.iter().position(|known| known == status).unwrap_or_default() as u8);
    put_moment(to, *started);
    to.push(u8::from(*dirty));
    for text in [experiment, branch, signal, reason, note] {
        put_option(to, text.as_deref(), put_text);
    }
    for commit in [commit, snapshot] {
        put_option(to, commit.as_ref(), |to, commit| to.extend_from_slice(commit.as_bytes()));
    }
    for time in [ended, removed] {
        put_option(to, *time, put_moment);
    }
    for seconds in [duration_s, cpu_s] {
        put_option(to, *seconds, put_float);
    }
    put_option(to, exit_code.map(i64::from), put_signed);
    put_option(to, *seed, put_number);
    put_text(to, user);
    put_text(to, host);
    put_list(to, command, |to, word| put_text(to, word));
    put_option(to, folder.as_ref().map(RelPath::as_str), put_text);
    put_texts(to, params);
    put_texts(to, tags);
    put_number(to, metrics.len() as u64);
    for (name, MetricSummary { last, min, max, best_step, count, last_step, last_time }) in metrics {
        put_text(to, name);
        [last, min, max].into_iter().for_each(|value| put_float(to, *value));
        put_signed(to, *best_step);
        put_number(to, *count);
        put_signed(to, *last_step);
        put_moment(to, *last_time);
    }
    put_list(to, inputs, |to, RunInput { path, name, id }| {
        put_text(to, path.as_str());
        put_text(to, name);
        to.extend_from_slice(id.as_bytes());
    });
    put_list(to, datasets, |to, RunDataset { name, digest, source_type, source, schema, profile, tags }| {
        [name, digest, source_type, source].into_iter().for_each(|text| put_text(to, text));
        [schema, profile].into_iter().for_each(|text| put_option(to, text.as_deref(), put_text));
        put_texts(to, tags);
    });
    put_list(to, outputs, |to, RunOutput { name, artifact_type, id, files, bytes, path }| {
        put_text(to, name);
        put_text(to, artifact_type);
        to.extend_from_slice(id.as_bytes());
        put_number(to, *files);
        put_number(to, *bytes);
        put_option(to, path.as_ref().map(RelPath::as_str), put_text);
    });
    put_number(to, *more);
    put_list(to, untracked, |to, Untracked { path, bytes }| {
        put_text(to, path);
        put_option(to, *bytes, put_number);
    });
    put_list(to, submodules, |to, Submodule { path, commit, dirty }| {
        put_text(to, path);
        to.extend_from_slice(commit.as_bytes());
        to.push(u8::from(*dirty));
    });
    for places in [tensorboard, csv_logs] {
        put_list(to, places, |to, place| put_text(to, place));
    }
    bytes
}

/// The record in some bytes, with an environment that was kept apart; none where they are not one.
pub(super) fn decode(bytes: &[u8], environment: BTreeMap<String, String>) -> Option<Run> {
    let from = &mut Reader(bytes);
    let id = RunId::from_bytes(from.array()?);
    let name = from.text()?.to_owned();
    let status = *STATUSES.get(usize::from(from.byte()?))?;
    let started = from.moment()?;
    let dirty = from.byte()? != 0;
    let mut text = || option(from, |from| from.text().map(str::to_owned));
    let (experiment, branch, signal, reason, note) = (text()?, text()?, text()?, text()?, text()?);
    let mut commit = || option(from, |from| from.array().map(CommitId::from_bytes));
    let (commit, snapshot) = (commit()?, commit()?);
    let (ended, removed) = (option(from, Reader::moment)?, option(from, Reader::moment)?);
    let (duration_s, cpu_s) = (option(from, Reader::float)?, option(from, Reader::float)?);
    let exit_code = option(from, |from| i32::try_from(from.signed()?).ok())?;
    let seed = option(from, Reader::number)?;
    let (user, host) = (from.text()?.to_owned(), from.text()?.to_owned());
    let command = list(from, |from| from.text().map(str::to_owned))?;
    let folder = option(from, |from| RelPath::new(from.text()?).ok())?;
    let (params, tags) = (texts(from)?, texts(from)?);
    let metric = |from: &mut Reader<'_>| {
        let name = from.text()?.to_owned();
        let summary = MetricSummary {
            last: from.float()?,
            min: from.float()?,
            max: from.float()?,
            best_step: from.signed()?,
            count: from.number()?,
            last_step: from.signed()?,
            last_time: from.moment()?,
        };
        Some((name, summary))
    };
    let metrics = list(from, metric)?.into_iter().collect();
    let input = |from: &mut Reader<'_>| {
        let path = RelPath::new(from.text()?).ok()?;
        Some(RunInput { path, name: from.text()?.to_owned(), id: ArtifactId::from_bytes(from.array()?) })
    };
    let inputs = list(from, input)?;
    let dataset = |from: &mut Reader<'_>| {
        Some(RunDataset {
            name: from.text()?.to_owned(),
            digest: from.text()?.to_owned(),
            source_type: from.text()?.to_owned(),
            source: from.text()?.to_owned(),
            schema: option(from, |from| from.text().map(str::to_owned))?,
            profile: option(from, |from| from.text().map(str::to_owned))?,
            tags: texts(from)?,
        })
    };
    let datasets = list(from, dataset)?;
    let output = |from: &mut Reader<'_>| {
        Some(RunOutput {
            name: from.text()?.to_owned(),
            artifact_type: from.text()?.to_owned(),
            id: ArtifactId::from_bytes(from.array()?),
            files: from.number()?,
            bytes: from.number()?,
            path: option(from, |from| RelPath::new(from.text()?).ok())?,
        })
    };
    let outputs = list(from, output)?;
    let more = from.number()?;
    let untracked =
        |from: &mut Reader<'_>| Some(Untracked { path: from.text()?.to_owned(), bytes: option(from, Reader::number)? });
    let untracked = list(from, untracked)?;
    let submodule = |from: &mut Reader<'_>| {
        let (path, commit) = (from.text()?.to_owned(), CommitId::from_bytes(from.array()?));
        Some(Submodule { path, commit, dirty: from.byte()? != 0 })
    };
    let left_out = LeftOut { more, untracked, submodules: list(from, submodule)? };
    let mut places = || list(from, |from| from.text().map(str::to_owned));
    let followed = Followed { tensorboard: places()?, csv_logs: places()? };
    let run = Run {
        id,
        name,
        status,
        experiment,
        commit,
        snapshot,
        dirty,
        branch,
        started,
        ended,
        duration_s,
        cpu_s,
        exit_code,
        signal,
        reason,
        note,
        removed,
        user,
        host,
        command,
        folder,
        seed,
        params,
        metrics,
        tags,
        inputs,
        datasets,
        outputs,
        left_out,
        followed,
        environment,
    };
    from.0.is_empty().then_some(run)
}

/// The bytes of texts by name.
pub(super) fn encode_texts(texts: &BTreeMap<String, String>) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_texts(&mut bytes, texts);
    bytes
}

/// The texts by name that some bytes are.
pub(super) fn decode_texts(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
    let mut reader = Reader(bytes);
    texts(&mut reader).filter(|_| reader.0.is_empty())
}

fn put_option<T>(to: &mut Vec<u8>, value: Option<T>, put: impl Fn(&mut Vec<u8>, T)) {
    to.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(to, value);
    }
}

fn put_list<T>(to: &mut Vec<u8>, values: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    put_number(to, values.len() as u64);
    values.iter().for_each(|value| put(to, value));
}

fn put_texts(to: &mut Vec<u8>, texts: &BTreeMap<String, String>) {
    put_number(to, texts.len() as u64);
    for (name, value) in texts {
        put_text(to, name);
        put_text(to, value);
    }
}

fn option<'b, T>(from: &mut Reader<'b>, get: impl Fn(&mut Reader<'b>) -> Option<T>) -> Option<Option<T>> {
    match from.byte()? {
        0 => Some(None),
        _ => get(from).map(Some),
    }
}

fn list<'b, T>(from: &mut Reader<'b>, get: impl Fn(&mut Reader<'b>) -> Option<T>) -> Option<Vec<T>> {
    let count = from.number()?;
    (0..count).map(|_| get(from)).collect()
}

fn texts(from: &mut Reader<'_>) -> Option<BTreeMap<String, String>> {
    let pair = |from: &mut Reader<'_>| Some((from.text()?.to_owned(), from.text()?.to_owned()));
    Some(list(from, pair)?.into_iter().collect())
}
