//! `model.toml`: what a model artifact's other files are, for programs.

use serde::{Deserialize, Serialize};

use super::Recipe;
use super::recipe::ModelConfig;
use crate::id::{ArtifactId, Digest};

/// The content of `model.toml`. The same training makes the same file: no times, no run, no machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFile {
    /// The format's version: 1.
    pub format: u32,
    /// The task: `image-classification` or `tabular-classification`.
    pub task: String,
    /// The names of the classes, by label.
    pub classes: Vec<String>,
    /// How many numbers the model learnt.
    pub parameters: u64,
    /// The network.
    pub architecture: ModelConfig,
    /// What it takes.
    pub input: TensorSpec,
    /// What it gives.
    pub output: TensorSpec,
    /// What has to be done to an input before the model gets it.
    pub preprocessing: Preprocessing,
    /// What the model then does itself, first of all: nobody has to do it again.
    pub built_in_normalization: Normalization,
    /// The file that it started from: weights, or a module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_from: Option<FileSpec>,
    /// What it was trained on.
    pub data: TrainedOn,
    /// How the examples were divided.
    pub split: SplitSpec,
    /// The recipe, whole.
    pub recipe: Recipe,
    /// Versions of what made it.
    pub versions: Versions,
}

/// A tensor that goes into a model or comes out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// `float32`
    pub dtype: String,
    /// Its sizes; -1 is any.
    pub shape: Vec<i64>,
    /// What the sizes are: `NCHW` of images (number, channels, height, width), `NC` of numbers and of logits.
    pub layout: String,
}

/// From what a file has to the model's input, in this order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// What an image's channels are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Channels>,
    /// The height and the width that images are scaled to, bilinearly and with antialiasing, as Pillow's `resize` with
    /// `BILINEAR` does it; none where they had one size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resize: Option<[u32; 2]>,
    /// Pixels have to be divided by this; 1 of numbers, which are taken as they are.
    pub divide_by: f64,
}

/// What the channels of an image are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// One: how bright it is.
    Grey,
    /// Red, green and blue.
    Rgb,
}

/// From the model's input to what its first layer gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normalization {
    /// What is subtracted, a number a channel or column: the mean of what it was trained on.
    pub mean: Vec<f32>,
    /// What it is divided by then: their standard deviation.
    pub deviation: Vec<f32>,
}

/// The data of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainedOn {
    /// The path in the work tree.
    pub path: String,
    /// The artifact; none where the data was not tracked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<ArtifactId>,
    /// The files that were read.
    pub files: Vec<FileSpec>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FileSpec {
    /// Its name in the artifact.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// BLAKE3 of its content.
    pub blake3: Digest,
}

/// How examples were divided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SplitSpec {
    /// Examples to train on.
    pub train: u64,
    /// Examples for validation.
    pub validation: u64,
    /// Examples for the test.
    pub test: u64,
    /// `files` where the data has files for the test, `stratified` where it was drawn.
    pub test_from: String,
    /// BLAKE3 of which examples are where.
    pub digest: Digest,
}

/// Versions of what made a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// Of git-ml.
    pub git_ml: String,
    /// Of libtorch.
    pub libtorch: String,
}
