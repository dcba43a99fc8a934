//! Models that learn without libtorch, from the data to the artifact.

mod card;

use git_ml::train::classic::{self, ClassicError, Classifier, Fitted};
use git_ml::train::data::{Dataset, Inputs, Split, TEST, TRAIN, VALIDATION};
use git_ml::train::evaluation::Predictions;
use git_ml::train::{Job, ModelFile, Normalization, TensorSpec};

use crate::artifact::{self, Results};
use crate::evaluate::Evaluation;
use crate::failure::{Failure, Result};
use crate::log::RunLog;
use crate::say;

/// Everything that the artifact tells about.
struct Parts<'t> {
    job: &'t Job,
    data: &'t Dataset,
    split: &'t Split,
    fitted: &'t Fitted,
    train: &'t Evaluation,
    validation: Option<&'t Evaluation>,
    test: &'t Evaluation,
}

/// Learns from the data, says how good that is, and leaves the artifact.
pub(crate) fn train(job: &Job, data: &Dataset, split: &Split, log: &mut RunLog) -> Result<()> {
    let recipe = &job.recipe;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(recipe.threads as usize).build();
    let pool = pool.map_err(|error| Failure::new(format!("cannot start {} threads: {error}", recipe.threads)))?;
    let fitted = pool.install(|| classic::fit(&recipe.model, data, split.train(), recipe.seed))?;
    if fitted.labeled < split.train().len() {
        say(&format!("{} of {} labels are used", fitted.labeled, split.train().len()));
    }
    if !fitted.is_converged {
        say("it was stopped at max_iter, before it had converged");
    }
    let evaluate = |part: &str, indexes: &[u32]| {
        Evaluation::new(part, data, pool.install(|| predict(&fitted.classifier, data, indexes))?)
    };
    let train = evaluate(TRAIN, split.train())?;
    let validation = match split.validation() {
        [] => None,
        indexes => Some(evaluate(VALIDATION, indexes)?),
    };
    let mut metrics = vec![("train_loss", train.report.loss), ("train_accuracy", train.report.accuracy)];
    let mut line = format!("training: loss {:.4}, accuracy {:.4}", train.report.loss, train.report.accuracy);
    if let Some(Evaluation { report, .. }) = &validation {
        metrics.extend([("val_loss", report.loss), ("val_accuracy", report.accuracy)]);
        line += &format!("; validation: loss {:.4}, accuracy {:.4}", report.loss, report.accuracy);
    }
    say(&line);
    log.metrics(None, &metrics)?;
    let predictions = pool.install(|| predict(&fitted.classifier, data, split.test()))?;
    let test = Evaluation::tell(TEST, data, predictions, log)?;
    let validation = validation.as_ref();
    write(&Parts { job, data, split, fitted: &fitted, train: &train, validation, test: &test })
}

/// What a model predicts for the examples at `indexes`.
pub(crate) fn predict(classifier: &Classifier, data: &Dataset, indexes: &[u32]) -> Result<Predictions> {
    let classes = data.classes.len();
    let mut predictions = Predictions::new(classes);
    let probabilities = classifier.predict(data, indexes)?;
    for (index, row) in indexes.iter().zip(probabilities.chunks(classes)) {
        predictions.push(*index, data.labels[*index as usize], row)?;
    }
    Ok(predictions)
}

fn write(parts: &Parts<'_>) -> Result<()> {
    let Parts { job, data, split, fitted, validation, test, .. } = *parts;
    artifact::write_folder(&job.output, |folder| {
        let classifier = &fitted.classifier;
        artifact::publish(folder, "model.safetensors", &classifier.weights()?)?;
        if let Some(vocabulary) = classifier.vocabulary()? {
            artifact::publish(folder, "vocabulary.json", vocabulary.as_bytes())?;
        }
        let model_file = model_file(parts);
        artifact::publish(folder, "model.toml", artifact::to_toml(&model_file)?.as_bytes())?;
        artifact::publish(folder, "split.json", split.to_json().as_bytes())?;
        artifact::publish(folder, "README.md", card::card(parts, &model_file).as_bytes())?;
        artifact::write_results(&Results { data, history: &[], validation, evaluation: test }, folder)
    })
}

fn model_file(parts: &Parts<'_>) -> ModelFile {
    let Parts { job, data, split, fitted, .. } = *parts;
    let tensor = |name: &str, dtype: &str, shape: &[usize], layout: &str| TensorSpec {
        name: name.to_owned(),
        dtype: dtype.to_owned(),
        shape: [-1].into_iter().chain(shape.iter().map(|size| *size as i64)).collect(),
        layout: layout.to_owned(),
    };
    let (task, input) = match &data.inputs {
        Inputs::Texts(_) => ("text-classification", tensor("texts", "string", &[], "N")),
        Inputs::Numbers { columns, .. } => ("classification", tensor("numbers", "float32", &[*columns], "NC")),
        Inputs::Images(images) => {
            let shape = [images.height(), images.width(), images.channels()];
            ("image-classification", tensor("images", "uint8", &shape, "NHWC"))
        }
    };
    let (trained_on, split) = artifact::provenance(job, data, split);
    ModelFile {
        format: 1,
        task: task.to_owned(),
        classes: data.classes.clone(),
        parameters: fitted.classifier.parameters(),
        architecture: job.recipe.model.clone(),
        input,
        output: tensor("probabilities", "float64", &[data.classes.len()], "NC"),
        // The model takes pixels as the files have them.
        preprocessing: artifact::preprocessing(job, data, 1.0),
        built_in_normalization: Normalization { mean: Vec::new(), deviation: Vec::new() },
        made_from: None,
        data: trained_on,
        split,
        recipe: job.recipe.clone(),
        versions: artifact::versions(),
    }
}

impl From<ClassicError> for Failure {
    fn from(error: ClassicError) -> Self {
        let failure = Self::new(error.to_string());
        match error {
            ClassicError::Data(error) => error.into(),
            ClassicError::NoTerms { .. } => failure.hint("try `-p min_df=1` and `-p max_df=1.0`"),
            ClassicError::TooFewExamples { examples, .. } => {
                failure.hint(format!("try `-p n_neighbors={examples}` or less"))
            }
            _ => failure,
        }
    }
}
