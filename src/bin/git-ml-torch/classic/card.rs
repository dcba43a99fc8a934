//! README.md of such a model's artifact: the model card.

use git_ml::train::ModelFile;
use git_ml::train::data::Inputs;
use git_ml::train::recipe::ModelConfig;

use super::Parts;
use crate::artifact::class_row;
use crate::evaluate::Evaluation;

/// The card's text.
pub(super) fn card(parts: &Parts<'_>, model: &ModelFile) -> String {
    let Parts { job, data, fitted, train, validation, test, .. } = *parts;
    let what = match &data.inputs {
        Inputs::Texts(_) => "texts".to_owned(),
        Inputs::Numbers { columns, .. } => format!("rows of {columns} numbers"),
        Inputs::Images(images) => format!("{}×{} images", images.height(), images.width()),
    };
    let row = |name: &str, Evaluation { report, .. }: &Evaluation| {
        format!("| {name} | {} | {:.4} | {:.4} |\n", report.examples, report.accuracy, report.loss)
    };
    let examples = row("test", test)
        + &validation.map_or_else(String::new, |own| row("validation", own))
        + &row("training", train);
    let origin = model.data.artifact.map_or_else(
        || format!("`{}` (not tracked)", model.data.path),
        |id| format!("`{}`, artifact `{id}`", model.data.path),
    );
    let vocabulary = match &data.inputs {
        Inputs::Texts(_) => "`vocabulary.json` how a text becomes terms and which terms are columns, ",
        _ => "",
    };
    format!(
        "# {name}

A classifier of {what} into {count} classes. It is right on **{accuracy:.2} %** of {tested} test examples.

It is {architecture}, {parameters} numbers in all, made by git-ml {version}.

| examples | number | accuracy | loss |
| --- | ---: | ---: | ---: |
{examples}
## Use

It needs NumPy and safetensors, and nothing of ours. `probabilities(example)` gives the probability of each class, in the
order of `classes` in `model.toml`:

```python
{python}```

`model.safetensors` has what was learnt, {vocabulary}`model.toml` all of the facts for programs.

## Training

| | |
| --- | --- |
| data | {origin} |
| split | {trained} to train on, {validated} for validation, {tested} for the test |
| labels used | {labeled} |
| seed | {seed} |

## Test results by class

| class | precision | recall | F1 | examples |
| --- | ---: | ---: | ---: | ---: |
{classes}
![Confusion matrix](figures/confusion.png)

`predictions.parquet` has the prediction for every test example.

## Limits

It knows nothing but examples like those it was trained on, and has no class for anything else.
",
        name = job.experiment,
        count = model.classes.len(),
        accuracy = test.report.accuracy * 100.0,
        tested = test.report.examples,
        architecture = architecture(&model.architecture),
        parameters = model.parameters,
        version = model.versions.git_ml,
        python = fitted.classifier.in_numpy(data),
        trained = model.split.train,
        validated = model.split.validation,
        labeled = fitted.labeled,
        seed = model.recipe.seed,
        classes = test.report.classes.iter().map(class_row).collect::<String>(),
    )
}

fn architecture(config: &ModelConfig) -> String {
    match config {
        ModelConfig::NaiveBayes { alpha, .. } => format!("multinomial naive Bayes with a smoothing of {alpha}"),
        ModelConfig::LogisticRegression { c, .. } => format!("logistic regression with C = {c}"),
        ModelConfig::LabelPropagation(graph) => {
            format!("label propagation over the {} nearest neighbours", graph.n_neighbors)
        }
        ModelConfig::LabelSpreading { neighbors, alpha } => {
            format!("label spreading over the {} nearest neighbours with alpha = {alpha}", neighbors.n_neighbors)
        }
        _ => "the part of the examples that each class has, whatever the input".to_owned(),
    }
}
