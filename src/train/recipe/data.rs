//! What is learnt from, and how it is divided and varied.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::Table;

use super::RecipeError;
use super::keys::Keys;
use super::ranges::Ranges;

/// The data of a recipe: where it is, how it is read, and how its examples are divided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataConfig {
    /// Its path in the work tree.
    pub data: String,
    /// What its files are.
    pub format: DataFormat,
    /// The height and the width that images are scaled to; none leaves them as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<[u32; 2]>,
    /// The column (or array) with the inputs: of texts, `text` if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<String>,
    /// The column (or array) with the labels: `label` if it is not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The part of the examples kept for validation where the data does not give it, in 0..1.
    pub validation: f64,
    /// The part of the examples kept for the test where the data does not give it, in 0..1.
    pub test: f64,
    /// Whether parts are drawn from each class in proportion.
    pub stratify: bool,
    /// Parts by name as ranges of examples, `0..8000` or `8000..`: of the test examples where the data gives them, else
    /// of all. What they name is not trained on.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub splits: BTreeMap<String, Ranges>,
}

/// What the files of a data set are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DataFormat {
    /// Told by the names of the files.
    Auto,
    /// MNIST's IDX files.
    Idx,
    /// CIFAR-10's binary files.
    Cifar,
    /// JPEG and PNG images, a folder for each class, with `train`, `validation` and `test` above or not.
    Folders,
    /// CSV files with a column of texts and a column of labels.
    Text,
    /// CSV files with columns of numbers and a column of labels.
    Table,
    /// A safetensors file with an array of inputs and an array of labels.
    Safetensors,
}

/// Random changes to training images, in each epoch anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Augment {
    /// Half of the images are mirrored left to right.
    pub flip: bool,
    /// Images get a border of so many black pixels on each side, and a window of the old size is cut out anywhere.
    pub crop: u32,
    /// A square of so many pixels is made grey, anywhere (DeVries and Taylor 2017, arXiv:1708.04552).
    pub cutout: u32,
    /// Brightness, contrast and saturation are each changed by a factor in `1 - color..1 + color`.
    pub color: f64,
}

impl Augment {
    /// Whether it changes nothing.
    pub fn is_none(&self) -> bool {
        *self == Self { flip: false, crop: 0, cutout: 0, color: 0.0 }
    }
}

/// What is subtracted from pixels (in 0..=1), and what they are divided by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalize {
    /// The mean and the standard deviation of each channel of the training examples.
    Data,
    /// Those of ImageNet, which pretrained weights want.
    Imagenet,
    /// 0 and 1.
    None,
}

pub(super) const DATA_KEYS: &[&str] =
    &["data", "format", "image_size", "input", "label", "validation", "test", "stratify", "splits"];
pub(super) const AUGMENT_KEYS: &[&str] = &["flip", "crop", "cutout", "color"];

impl DataConfig {
    /// The data at `path`, as recipes have it that say no more about it.
    pub fn of(path: &str) -> Self {
        Self {
            data: path.to_owned(),
            format: DataFormat::Auto,
            image_size: None,
            input: None,
            label: None,
            validation: 0.1,
            test: 0.2,
            stratify: true,
            splits: BTreeMap::new(),
        }
    }

    pub(super) fn read(keys: &Keys<'_>) -> Result<Self, RecipeError> {
        let formats = [
            ("auto", DataFormat::Auto),
            ("idx", DataFormat::Idx),
            ("cifar", DataFormat::Cifar),
            ("folders", DataFormat::Folders),
            ("text", DataFormat::Text),
            ("table", DataFormat::Table),
            ("safetensors", DataFormat::Safetensors),
        ];
        let image_size = match keys.sizes("image_size", &[], 4096)?[..] {
            [] => None,
            [side] => Some([side, side]),
            [height, width] => Some([height, width]),
            _ => return Err(keys.wrong("image_size", "has to be a side, or a height and a width")),
        };
        let none = Table::new();
        let named = keys.table("splits", &none)?;
        let mut splits = BTreeMap::new();
        for name in named.names() {
            if !crate::config::is_plain_name(name) || matches!(name, "train" | "validation") {
                return Err(named.wrong(name, "is not a name for a part: `train` and `validation` are what is left"));
            }
            if let Some(text) = named.joined_text(name)? {
                let ranges = text.parse::<Ranges>().map_err(|error| named.wrong(name, error.to_string()))?;
                splits.insert(name.to_owned(), ranges);
            }
        }
        let config = Self {
            data: keys.text("data")?,
            format: keys.word("format", &formats)?,
            image_size,
            input: keys.optional_text("input")?,
            label: keys.optional_text("label")?,
            validation: keys.fraction("validation", 0.1)?,
            test: keys.fraction("test", 0.2)?,
            stratify: keys.switch("stratify", true)?,
            splits,
        };
        if config.validation + config.test >= 1.0 {
            let both = config.validation + config.test;
            return Err(keys.wrong("validation", format!("and `test` together leave nothing to train on: {both}")));
        }
        if config.test == 0.0 {
            let problem = "has to be above 0: without test examples nobody knows what the model is worth";
            return Err(keys.wrong("test", problem));
        }
        Ok(config)
    }
}

impl Augment {
    pub(super) fn read(keys: &Keys<'_>) -> Result<Self, RecipeError> {
        keys.refuse_others(AUGMENT_KEYS)?;
        Ok(Self {
            flip: keys.switch("flip", false)?,
            crop: keys.whole("crop", 0, 0, 256)? as u32,
            cutout: keys.whole("cutout", 0, 0, 4096)? as u32,
            color: keys.fraction("color", 0.0)?,
        })
    }
}
