//! README.md of a model artifact: the model card.

use git_ml::train::evaluation::{ClassReport, Report};
use git_ml::train::recipe::{ModelConfig, OptimizerKind, Phase, ResnetConfig, ResnetVariant};
use git_ml::train::{Channels, ModelFile};
use git_ml::words::count;

use super::Parts;

/// The card's text.
pub(super) fn card(parts: &Parts<'_>, model: &ModelFile) -> String {
    let report = &parts.test.report;
    let classes: String = report.classes.iter().map(class_row).collect();
    let input = Input::of(model);
    let has_test_files = parts.data.given.contains_key("test");
    format!(
        "# {name}

A classifier of {what} into {count} classes. It is right on **{percent:.2} %** of {examples} test examples.

It is {architecture}, {parameters} parameters in all, trained by git-ml {version} with libtorch {libtorch}.

| examples | number | accuracy | loss |
| --- | ---: | ---: | ---: |
{measured}
![Loss and accuracy by epoch](figures/curves.png)

## Use

`model.pt` is TorchScript: it needs PyTorch and nothing of ours. {takes} It gives one logit a class, in the order of
`classes` in `model.toml`.

```python
import tomllib

import torch

classes = tomllib.load(open(\"model.toml\", \"rb\"))[\"classes\"]
model = torch.jit.load(\"model.pt\").eval()  # on a GPU: map_location=\"cuda\"
{example}
with torch.no_grad():
    probabilities = model(inputs).softmax(dim=1)[0]
print(classes[probabilities.argmax()], float(probabilities.max()))
```
{from_file}
`model.safetensors` has the weights by name, `model.toml` all of the facts for programs.

## Training

| | |
| --- | --- |
| data | {data} |
{made_from}| split | {train} to train on, {validation} for validation, {test} for the test ({test_from}) |
{phases}| seed | {seed}, {threads} threads |

## Test results by class

| class | precision | recall | F1 | examples |
| --- | ---: | ---: | ---: | ---: |
{classes}
![Confusion matrix](figures/confusion.png)

`predictions.parquet` has the prediction for every test example: `id` (its name, or its number in {index_of}), `truth`,
`prediction`, `probability`, and the probability of each class. `figures/` has these figures and others as PNG and SVG.

## Limits

It knows nothing but {what} like those it was trained on, and has no class for anything else.
",
        name = parts.job.experiment,
        what = input.what,
        count = model.classes.len(),
        architecture = architecture(&model.architecture),
        parameters = model.parameters,
        version = model.versions.git_ml,
        libtorch = model.versions.libtorch,
        percent = report.accuracy * 100.0,
        examples = report.examples,
        measured = measured(parts),
        takes = input.takes,
        example = input.example,
        from_file = input.from_file,
        data = model.data.artifact.map_or_else(
            || format!("`{}` (not tracked)", model.data.path),
            |id| format!("`{}`, artifact `{id}`", model.data.path),
        ),
        made_from = model.made_from.as_ref().map_or_else(String::new, |file| {
            format!("| made from | `{}`, BLAKE3 `{}` |\n", file.name, file.blake3)
        }),
        train = model.split.train,
        validation = model.split.validation,
        test = model.split.test,
        test_from = if has_test_files { "the data's own" } else { "drawn from all" },
        phases = phases(model),
        seed = model.recipe.seed,
        threads = model.recipe.threads,
        index_of = if has_test_files { "the test files" } else { "the data" },
    )
}

/// What the model takes, in words and in Python.
struct Input {
    what: String,
    takes: String,
    /// Python that makes `inputs`.
    example: String,
    /// How `inputs` come from a file.
    from_file: String,
}

impl Input {
    fn of(model: &ModelFile) -> Self {
        let Some((channels, [height, width])) = model.preprocessing.channels.zip(sides(model)) else {
            let columns = model.input.shape.last().copied().unwrap_or_default();
            return Self {
                what: format!("rows of {columns} numbers"),
                takes: format!(
                    "It takes numbers as they are, as `float32` of shape `[N, {columns}]`; the normalisation is inside."
                ),
                example: format!(
                    "inputs = torch.zeros(1, {columns})  # a row's numbers, in the data's order of columns"
                ),
                from_file: String::new(),
            };
        };
        let scale = model.preprocessing.divide_by;
        let (planes, kind, mode) = match channels {
            Channels::Grey => (1, "grey", "L"),
            Channels::Rgb => (3, "colour", "RGB"),
        };
        let resized = model
            .preprocessing
            .resize
            .map_or_else(String::new, |_| format!(", scaled to {height}×{width} as Pillow's `BILINEAR` does it"));
        // Pixels of 0 to 16 are no picture file's.
        let from_file = if scale == 255.0 {
            format!(
                "
From a picture file:

```python
import numpy
from PIL import Image

picture = Image.open(\"picture.png\").convert(\"{mode}\").resize(({width}, {height}), Image.Resampling.BILINEAR)
image = torch.from_numpy(numpy.array(picture)).reshape({height}, {width}, {planes})
inputs = image.permute(2, 0, 1).unsqueeze(0).float() / {scale}
```
"
            )
        } else {
            String::new()
        };
        Self {
            what: format!("{kind} images of {height}×{width}"),
            takes: format!(
                "It takes the pixels of {kind} images{resized}, divided by {scale}, as `float32` of shape `[N, {planes}, {height}, \
                 {width}]`; the normalisation is inside."
            ),
            example: format!(
                "image = torch.randint({high}, ({height}, {width}, {planes}))  # an image's pixels, 0 to {scale}\n\
                 inputs = image.permute(2, 0, 1).unsqueeze(0).float() / {scale}",
                high = scale + 1.0,
            ),
            from_file,
        }
    }
}

fn sides(model: &ModelFile) -> Option<[i64; 2]> {
    match model.input.shape[..] {
        [_, _, height, width] => Some([height, width]),
        _ => None,
    }
}

/// Rows of what was measured on each part.
fn measured(parts: &Parts<'_>) -> String {
    let row = |name: &str, number: u64, accuracy: f64, loss: f64| {
        format!("| {name} | {number} | {accuracy:.4} | {loss:.4} |\n")
    };
    let of = |name: &str, report: &Report| row(name, report.examples, report.accuracy, report.loss);
    let mut rows = of("test", &parts.test.report);
    if let Some(validation) = parts.validation {
        rows += &of("validation", &validation.report);
    }
    if let Some(last) = parts.trained.history.last() {
        rows += &row("training, last epoch", parts.split.train().len() as u64, last.train_accuracy, last.train_loss);
    }
    rows
}

/// A row for each phase.
fn phases(model: &ModelFile) -> String {
    let phases = model.recipe.training.as_ref().map_or(&[][..], |training| &training.phases);
    let row = |(number, phase): (usize, &Phase)| {
        let name = if phases.len() == 1 { "training".to_owned() } else { format!("phase {number}") };
        let optimizer = match phase.optimizer {
            OptimizerKind::Adam => "Adam",
            OptimizerKind::Adamw => "AdamW",
            OptimizerKind::Sgd => "SGD",
        };
        let frozen = match &phase.unfreeze_from {
            Some(first) => format!(", what stands before `{first}` stays as it was"),
            None if phase.freeze => ", all but the last layer stays as it was".to_owned(),
            None => String::new(),
        };
        let epochs = count(phase.epochs.into(), "epoch");
        format!("| {name} | {epochs} of {optimizer}, learning rate {}{frozen} |\n", phase.lr)
    };
    (1..).zip(phases).map(row).collect()
}

fn architecture(config: &ModelConfig) -> String {
    let join = |sizes: &[u32]| sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
    let resnet = |layers: u32, config: &ResnetConfig| {
        let variant = match config.variant {
            ResnetVariant::Standard => "",
            ResnetVariant::Upsample => ", which scales its images up to 224×224 first",
            ResnetVariant::Modified => ", whose first convolution is 3×3 for small images",
        };
        let start = if config.weights.is_some() { ", begun with weights of another training" } else { "" };
        format!("a ResNet-{layers}{start}{variant}")
    };
    match config {
        ModelConfig::Mlp { hidden, .. } => format!("a multilayer perceptron with hidden layers of {}", join(hidden)),
        ModelConfig::Cnn { filters, hidden, .. } => {
            format!("a convolutional network: convolutions of {} filters and a hidden layer of {hidden}", join(filters))
        }
        ModelConfig::Resnet18(config) => resnet(18, config),
        ModelConfig::Resnet50(config) => resnet(50, config),
        ModelConfig::Torchscript { file } => format!("the TorchScript module `{file}`"),
        other => format!("a `{}`", other.name()),
    }
}

/// The row of a class in the table of test results.
pub(crate) fn class_row(class: &ClassReport) -> String {
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let name = class.name.replace('|', "\\|");
    let (precision, recall, f1) = (shown(class.precision), shown(class.recall), shown(class.f1));
    format!("| {name} | {precision} | {recall} | {f1} | {} |\n", class.support)
}
