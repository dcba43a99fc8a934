//! One evaluation from the job file to the artifact.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use git_ml::train::data::{Dataset, Split, TEST};
use git_ml::train::evaluation::Predictions;
use git_ml::train::recipe::DataConfig;
use git_ml::train::{EvaluateJob, ModelFile, Progress};
use tch::Device;

use super::saved::Saved;
use super::{Evaluation, predict};
use crate::artifact::{self, Results};
use crate::classic;
use crate::failure::{Failure, Result};
use crate::input::InputForm;
use crate::job::{data_source, read_job, what};
use crate::log::RunLog;
use crate::native;
use crate::say;

/// The name of the part that other data is where it has none of its own.
const ALL: &str = "all";
/// The file of a model artifact that says which examples were in which part.
const SPLIT: &str = "split.json";
/// Names that an error lists.
const SHOWN: usize = 12;

/// Does what the job file says.
pub(crate) fn evaluate(place: &Path, log: &mut RunLog) -> Result<()> {
    let job: EvaluateJob = read_job(place)?;
    let saved = Saved::open(&job.store, &job.model)?;
    let recipe = &saved.file.recipe;
    tch::set_num_threads(recipe.threads.max(1) as i32);
    native::be_deterministic()?;

    let config = DataConfig { data: job.data_path.clone(), ..recipe.data.clone() };
    let mut data = Dataset::read(&data_source(&job.store, &job.data)?, &config)?;
    let (part, indexes) = choose(parts(&job, &saved, &data)?, job.split.as_deref(), &job.data_path)?;
    take_classes(&mut data, &saved.file, &job.data_path)?;
    let data = Arc::new(data);
    say(&format!("{}: {} {} in {part}", job.data_path, indexes.len(), what(&data.inputs)));

    let predictions = match recipe.training {
        Some(_) => predict_by_network(&job, &saved, &data, &indexes, log)?,
        None => classic::predict(&saved.classifier()?, &data, &indexes)?,
    };
    let evaluation = Evaluation::tell(&part, &data, predictions, log)?;
    let results = Results { data: &data, history: &[], validation: None, evaluation: &evaluation };
    artifact::write_folder(&job.output, |folder| artifact::write_results(&results, folder))
}

fn predict_by_network(
    job: &EvaluateJob,
    saved: &Saved,
    data: &Arc<Dataset>,
    indexes: &[u32],
    log: &mut RunLog,
) -> Result<Predictions> {
    let mut form = InputForm::new(data, Device::Cpu, false)?;
    // What is brightest in other data is no reason to divide by another number.
    form.scale = saved.file.preprocessing.divide_by;
    check_input(&form, &saved.file, &job.data_path)?;
    let network = saved.network(&form.shape)?;
    let mut progress = Watch::new(indexes.len());
    predict(&|inputs| network.forward(inputs), &form, data, indexes, |done| log.progress(|| progress.at(done)))
}

/// The parts of the data by name: of the model's own data as they were when it was trained, of other data those that
/// its files give, and all of it.
fn parts(job: &EvaluateJob, saved: &Saved, data: &Dataset) -> Result<BTreeMap<String, Vec<u32>>> {
    if !job.is_own {
        let given = data.given.iter().map(|(name, range)| (name.clone(), range.clone().collect()));
        return Ok(given.chain([(ALL.to_owned(), (0..data.len() as u32).collect())]).collect());
    }
    let split = match saved.read(SPLIT)? {
        Some(json) => Split::from_json(&String::from_utf8_lossy(&json))?,
        None => data.split(&saved.file.recipe.data, saved.file.recipe.seed)?,
    };
    let is_within = |(_, part): (&str, &[u32])| part.iter().all(|index| (*index as usize) < data.len());
    if split.digest() != saved.file.split.digest || !split.parts().all(is_within) {
        let line = format!("{} is divided otherwise than when the model was trained", job.data_path);
        return Err(Failure::new(line).hint("give the data with `--data`, to evaluate on all of it"));
    }
    Ok(split.parts().map(|(name, part)| (name.to_owned(), part.to_vec())).collect())
}

/// The part that was asked for; else the test, or all.
fn choose(mut parts: BTreeMap<String, Vec<u32>>, wanted: Option<&str>, data_path: &str) -> Result<(String, Vec<u32>)> {
    let name = wanted.unwrap_or(if parts.contains_key(TEST) { TEST } else { ALL });
    match parts.remove(name) {
        Some(indexes) if !indexes.is_empty() => Ok((name.to_owned(), indexes)),
        Some(_) => Err(Failure::new(format!("the split `{name}` of {data_path} has no examples"))),
        None => {
            let names: Vec<_> = parts.into_keys().collect();
            let line = format!("{data_path} has no split `{name}`");
            Err(Failure::new(line).hint(format!("it has {}", names.join(", "))))
        }
    }
}

/// Gives the data the model's classes, in the model's order.
fn take_classes(data: &mut Dataset, model: &ModelFile, data_path: &str) -> Result<()> {
    let label = |class: &String| {
        let found = model.classes.iter().position(|known| known == class);
        found.map(|label| label as u32).ok_or_else(|| {
            let more = if model.classes.len() > SHOWN { ", …" } else { "" };
            let known = model.classes.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let line = format!("{data_path} has the class `{class}`, which the model does not know");
            Failure::new(line).hint(format!("its classes are {known}{more}"))
        })
    };
    let labels = data.classes.iter().map(label).collect::<Result<Vec<_>>>()?;
    data.labels.iter_mut().for_each(|own| *own = labels[*own as usize]);
    data.classes.clone_from(&model.classes);
    Ok(())
}

/// The data has to have inputs like those that the model was trained on.
fn check_input(form: &InputForm, model: &ModelFile, data_path: &str) -> Result<()> {
    let wanted = model.input.shape.get(1..).unwrap_or_default();
    let found = form.shape.input.as_slice();
    if wanted == found {
        return Ok(());
    }
    let shown = |shape: &[i64]| match shape {
        [channels, height, width] => {
            format!("images of {height}×{width} with {channels} channel{}", if *channels == 1 { "" } else { "s" })
        }
        [columns] => format!("{columns} numbers"),
        other => format!("{other:?}"),
    };
    Err(Failure::new(format!("the model takes {}, and {data_path} has {}", shown(wanted), shown(found))))
}

/// How far the evaluation is, as one epoch.
struct Watch {
    started: Instant,
    total: usize,
}

impl Watch {
    fn new(total: usize) -> Self {
        Self { started: Instant::now(), total }
    }

    fn at(&mut self, done: &Predictions) -> Progress {
        let rows = done.rows();
        let count = rows.len().max(1) as f64;
        let speed = rows.len() as f64 / self.started.elapsed().as_secs_f64().max(1e-6);
        Progress {
            epoch: 1,
            epochs: 1,
            step: rows.len() as u64,
            steps: self.total as u64,
            loss: rows.iter().map(|row| row.loss).sum::<f64>() / count,
            accuracy: rows.iter().filter(|row| row.truth == row.prediction).count() as f64 / count,
            samples_per_second: speed,
            seconds_left: (self.total - rows.len()) as f64 / speed.max(1e-6),
        }
    }
}
