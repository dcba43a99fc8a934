//! README.md of a model artifact: the model card.

use git_ml::train::ModelFile;
use git_ml::train::evaluation::ClassReport;
use git_ml::train::recipe::ModelConfig;

use super::Parts;

/// The card's text.
pub(super) fn card(parts: &Parts<'_>, model: &ModelFile) -> String {
    let report = &parts.test.report;
    let (channels, height, width) = parts.trained.form.shape.image().unwrap_or_default();
    let sides = format!("{height}×{width}");
    let data = model.data.artifact.map_or_else(
        || format!("`{}` (not tracked)", model.data.path),
        |id| format!("`{}`, artifact `{id}`", model.data.path),
    );
    let classes: String = report.classes.iter().map(class_row).collect();
    let validation = parts.trained.history.last().and_then(|epoch| Some((epoch.val_accuracy?, epoch.val_loss?)));
    let validation = validation.map_or_else(String::new, |(accuracy, loss)| {
        format!("| validation | {} | {accuracy:.4} | {loss:.4} |\n", model.split.validation)
    });
    let last = parts.trained.history.last();
    let train = last.map_or_else(String::new, |epoch| {
        format!(
            "| training, last epoch | {} | {:.4} | {:.4} |\n",
            model.split.train, epoch.train_accuracy, epoch.train_loss
        )
    });
    let test_from = if parts.data.given.contains_key("test") {
        "the data's own test files"
    } else {
        "drawn from each class in proportion"
    };
    let recipe = &model.recipe;
    let pixels = model.preprocessing.divide_by;
    format!(
        "# {name}

A classifier of {sides} images into {count} classes. It is right on **{accuracy:.2} %** of {examples} test images.

It is {architecture}, {parameters} parameters in all, trained by git-ml {version} with libtorch {libtorch}.

| examples | number | accuracy | loss |
| --- | ---: | ---: | ---: |
| test | {examples} | {test_accuracy:.4} | {test_loss:.4} |
{validation}{train}
![Loss and accuracy by epoch](figures/curves.png)

## Use

`model.pt` is TorchScript: it needs PyTorch and nothing of ours. It takes pixels divided by {pixels}, as `float32` of shape
`[N, {channels}, {height}, {width}]`; the normalisation is inside. It gives one logit a class.

```python
import torch

model = torch.jit.load(\"model.pt\").eval()
images = torch.zeros(1, {channels}, {height}, {width})  # pixels / {pixels}
with torch.no_grad():
    probabilities = model(images).softmax(dim=1)
```

`model.safetensors` has the weights by name, `model.toml` all of the facts for programs.

## Training

| | |
| --- | --- |
| data | {data} |
| split | {train_count} to train on, {validation_count} for validation, {examples} for the test ({test_from}) |
| epochs | {epochs} |
| seed | {seed}, {threads} threads |

## Test results by class

| class | precision | recall | F1 | examples |
| --- | ---: | ---: | ---: | ---: |
{classes}
![Confusion matrix](figures/confusion.png)

`predictions.parquet` has the prediction for every test image: `id` (its name, or its number in {index_of}), `truth`,
`prediction`, `probability`, and the probability of each class.

## Limits

It knows nothing but images like those it was trained on, and has no class for anything else.
",
        name = parts.job.experiment,
        count = model.classes.len(),
        architecture = architecture(&model.architecture),
        parameters = model.parameters,
        version = model.versions.git_ml,
        libtorch = model.versions.libtorch,
        accuracy = report.accuracy * 100.0,
        examples = report.examples,
        test_accuracy = report.accuracy,
        test_loss = report.loss,
        train_count = model.split.train,
        validation_count = model.split.validation,
        epochs = parts.trained.history.len(),
        seed = recipe.seed,
        threads = recipe.threads,
        index_of = if parts.data.given.contains_key("test") { "the test file" } else { "the data's file" },
    )
}

fn architecture(config: &ModelConfig) -> String {
    let join = |sizes: &[u32]| sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
    match config {
        ModelConfig::Mlp { hidden, .. } => format!("a multilayer perceptron with hidden layers of {}", join(hidden)),
        ModelConfig::Cnn { filters, hidden, .. } => {
            format!("a convolutional network: convolutions of {} filters and a hidden layer of {hidden}", join(filters))
        }
        other => format!("a `{}`", other.name()),
    }
}

fn class_row(class: &ClassReport) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let name = class.name.replace('|', "\\|");
    let (precision, recall, f1) = (shown(class.precision), shown(class.recall), shown(class.f1));
    format!("| {name} | {precision} | {recall} | {f1} | {} |\n", class.support)
}
