//! Recipes: what a native training does, as `[experiments.<name>]` in `ml.toml` gives it.

mod data;
mod keys;
mod model;
mod ranges;
mod training;

pub use data::{Augment, DataConfig, DataFormat, Normalize};
pub use model::{Learner, ModelConfig, NeighborsConfig, ResnetConfig, ResnetVariant, TextFeatures};
pub use ranges::{Ranges, RangesError};
pub use training::{Choice, ClassWeights, Keep, OptimizerKind, Phase, Precision, Schedule, TrainingConfig};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::config::Experiment;

use keys::Keys;

/// A recipe that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// A key that recipes do not have.
    #[error("there is no key `{key}`{}", nearest.as_ref().map(|name| format!("; did you mean `{name}`?")).unwrap_or_default())]
    UnknownKey {
        /// The key.
        key: String,
        /// The nearest right one.
        nearest: Option<String>,
    },
    /// A value of the wrong type or out of its range.
    #[error("`{key}` {problem}")]
    BadValue {
        /// The key.
        key: String,
        /// What is wrong: `has to be a number above 0, not -1`.
        problem: String,
    },
    /// A key that is needed.
    #[error("`{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
}

/// Everything that decides a native training. Every value is a parameter of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The model.
    #[serde(flatten)]
    pub model: ModelConfig,
    /// What it learns from.
    #[serde(flatten)]
    pub data: DataConfig,
    /// The seed of everything random.
    pub seed: u64,
    /// Threads for computing; 0 takes all cores.
    pub threads: u32,
    /// How it learns; none where the model does not learn in steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub training: Option<TrainingConfig>,
}

/// What a machine has that `auto` in a recipe depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Processor cores.
    pub cores: u32,
    /// Whether the processor has instructions for bfloat16.
    pub has_bf16: bool,
    /// CUDA devices that the worker sees.
    pub cuda_devices: u32,
}

const COMMON_KEYS: &[&str] = &["model", "seed", "threads"];

impl Recipe {
    /// Reads an experiment's keys, with `overrides` from the command line taking precedence; the rest is defaults.
    pub fn new(experiment: &Experiment, overrides: &[(String, String)]) -> Result<Self, RecipeError> {
        if !experiment.params.is_empty() {
            return Err(bad(
                "params",
                "belongs to an experiment with a command; a native one has its keys beside `model`",
            ));
        }
        let mut values = experiment.recipe.clone();
        for (key, text) in overrides {
            keys::set_override(&mut values, key, text);
        }
        let keys = Keys::new(&values);
        let (name, learner, own_keys) = model::find(&keys)?;
        refuse_others(&keys, name, learner, own_keys)?;
        Ok(Self {
            model: ModelConfig::read(name, &keys)?,
            data: DataConfig::read(&keys)?,
            seed: keys.whole("seed", 0, 0, i64::MAX as u64)?,
            threads: keys.whole("threads", 0, 0, 1024)? as u32,
            training: match learner {
                Learner::Gradient => Some(TrainingConfig::read(&keys)?),
                Learner::Direct => None,
            },
        })
    }

    /// Puts what this machine has in the place of every `auto`, because another choice gives other bits.
    pub fn settle(&mut self, machine: &Machine) {
        if self.threads == 0 {
            self.threads = machine.cores;
        }
        let is_convolutional = self.model.is_convolutional();
        let Some(training) = &mut self.training else { return };
        if training.device == "auto" {
            training.device = if machine.cuda_devices > 0 { "cuda:0" } else { "cpu" }.to_owned();
        }
        if training.precision == Precision::Auto {
            let has_bf16 = training.device != "cpu" || machine.has_bf16;
            training.precision = if has_bf16 { Precision::Bf16 } else { Precision::Fp32 };
        }
        if training.channels_last == Choice::Auto {
            training.channels_last = if is_convolutional { Choice::Yes } else { Choice::No };
        }
    }

    /// Every value as a parameter of the run: `lr`, `augment.flip`, `phase1.lr`. They make the same recipe again.
    pub fn params(&self) -> BTreeMap<String, String> {
        let mut params = BTreeMap::new();
        let Ok(Json::Object(mut values)) = serde_json::to_value(self) else { return params };
        if let Some(Json::Object(mut training)) = values.remove("training") {
            let phases = training.remove("phases");
            values.extend(training);
            match phases {
                Some(Json::Array(mut phases)) if phases.len() == 1 => {
                    if let Json::Object(phase) = phases.remove(0) {
                        values.extend(phase);
                    }
                }
                Some(Json::Array(phases)) => {
                    let numbered = (1..).zip(phases);
                    values.extend(numbered.map(|(number, phase)| (format!("phase{number}"), phase)));
                }
                _ => {}
            }
        }
        for (key, value) in values {
            flatten(&mut params, key, &value);
        }
        params
    }
}

impl Machine {
    /// What this machine has; `cuda_devices` is what the worker sees.
    pub fn here(cuda_devices: u32) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        #[cfg(target_arch = "x86_64")]
        let has_bf16 = std::arch::is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        let has_bf16 = false;
        Self { cores, has_bf16, cuda_devices }
    }
}

fn flatten(params: &mut BTreeMap<String, String>, key: String, value: &Json) {
    let text = match value {
        Json::Object(inner) => {
            return inner.iter().for_each(|(name, value)| flatten(params, format!("{key}.{name}"), value));
        }
        Json::Array(items) => items.iter().map(Json::to_string).collect::<Vec<_>>().join(","),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    };
    params.insert(key, text);
}

fn refuse_others(keys: &Keys<'_>, name: &str, learner: Learner, own: &[&str]) -> Result<(), RecipeError> {
    let mut known = [COMMON_KEYS, data::DATA_KEYS, own].concat();
    if learner == Learner::Gradient {
        known.extend([training::TRAINING_KEYS, training::PHASE_KEYS].concat());
    }
    for key in keys.names() {
        if known.contains(&key) || learner == Learner::Gradient && training::is_phase(key) {
            continue;
        }
        if let Some((other, ..)) = model::MODELS.iter().find(|(.., keys)| keys.contains(&key)) {
            return Err(keys.wrong(key, format!("belongs to the model `{other}`, not to `{name}`")));
        }
        if training::TRAINING_KEYS.contains(&key) || training::PHASE_KEYS.contains(&key) || training::is_phase(key) {
            return Err(keys.wrong(key, format!("belongs to networks; `{name}` does not learn in steps")));
        }
        return Err(RecipeError::UnknownKey { key: key.to_owned(), nearest: keys::nearest(key, &known) });
    }
    Ok(())
}

fn bad(key: &str, problem: impl Into<String>) -> RecipeError {
    RecipeError::BadValue { key: key.to_owned(), problem: problem.into() }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipe(text: &str, overrides: &[(&str, &str)]) -> Result<Recipe, String> {
        let experiment = Experiment { recipe: text.parse().unwrap(), ..Experiment::default() };
        let overrides: Vec<_> = overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Recipe::new(&experiment, &overrides).map_err(|error| error.to_string())
    }

    const CNN: &str = "model = 'cnn'\ndata = 'data/digits'\n";

    #[test]
    fn overrides_win_over_ml_toml_which_wins_over_defaults() {
        let made = recipe(&format!("{CNN}epochs = 3\nlr = 1"), &[("lr", "2e-2"), ("filters", "8,16"), ("seed", "7")]);
        let made = made.unwrap();
        let training = made.training.clone().unwrap();
        assert_eq!((training.phases[0].epochs, training.phases[0].lr), (3, 0.02));
        assert_eq!((made.seed, training.batch_size), (7, 64));
        assert_eq!(made.model, ModelConfig::Cnn { filters: vec![8, 16], hidden: 128, dropout: 0.25 });
        let params = made.params();
        assert_eq!(
            (params["filters"].as_str(), params["lr"].as_str(), params["model"].as_str()),
            ("8,16", "0.02", "cnn")
        );
        assert_eq!(recipe("model = 'mlp'\ndata = 'x'", &[("hidden", "[10]")]).unwrap().params()["hidden"], "10");
    }

    #[test]
    fn parameters_as_they_are_recorded_make_the_same_recipe_again() {
        let two_phases = "model = 'resnet50'\ndata = 'x'\nweights = 'w'\nbatch_size = 8\nimage_size = 64\n\
             [phase1]\nfreeze = true\nepochs = 2\n[phase2]\nunfreeze_from = 'layer4'\nlr = 1e-4\n[augment]\nflip = true\n\
             [splits]\ntest = '0..8000'\nsimulation = '8000..'";
        let texts = [
            CNN,
            "model = 'mlp'\ndata = 'x'\nlr = 0.1\nhidden = [3]",
            "model = 'naive-bayes'\ndata = 'x'\nngrams = [1, 2]\nalpha = 0.5",
            "model = 'label-spreading'\ndata = 'x'\nlabeled_ratio = 0.1",
            "model = 'majority'\ndata = 'x'",
            two_phases,
        ];
        for text in texts {
            let made = recipe(text, &[]).unwrap();
            let params = made.params();
            let overrides: Vec<_> = params.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(recipe("", &overrides).unwrap(), made);
        }
    }

    #[test]
    fn a_recipe_round_trips_through_json() {
        let made = recipe(CNN, &[]).unwrap();
        let json = serde_json::to_string(&made).unwrap();
        assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), made);
    }

    #[test]
    fn wrong_recipes_are_told_in_a_line() {
        let wrong = |text: &str, overrides: &[(&str, &str)]| recipe(&format!("{CNN}{text}"), overrides).unwrap_err();
        let told = [
            wrong("epoch = 3", &[]),
            wrong("", &[("learning_rate_of_everything", "1")]),
            wrong("", &[("lr", "-1")]),
            wrong("", &[("lr", "0")]),
            wrong("", &[("epochs", "0")]),
            wrong("", &[("epochs", "many")]),
            wrong("", &[("filters", "16,x")]),
            wrong("", &[("filters", "16,0")]),
            wrong("", &[("model", "rnn")]),
            wrong("", &[("filters", "16"), ("model", "mlp")]),
            wrong("", &[("optimizer", "lion")]),
            wrong("", &[("device", "tpu")]),
            wrong("", &[("validation", "0.5"), ("test", "0.5")]),
            wrong("", &[("dropout", "1")]),
            wrong("", &[("seed", "-3")]),
            wrong("", &[("lr", "nan")]),
            recipe("data = 'x'", &[]).unwrap_err(),
            recipe("model = 'cnn'", &[]).unwrap_err(),
        ];
        insta::assert_snapshot!(told.join("\n"), @r#"
        there is no key `epoch`; did you mean `epochs`?
        there is no key `learning_rate_of_everything`
        `lr` has to be a number from 0 up, not -1
        `lr` has to be above 0, not 0
        `epochs` has to be a whole number from 1 to 100000, not 0
        `epochs` has to be a whole number from 1 to 100000, not "many"
        `filters` has to be a list of 1 to 16 numbers like [64, 32], not "16,x"
        `filters` has to be a whole number from 1 to 4096, not 0
        `model` has to be cnn, mlp, resnet18, resnet50, torchscript, naive-bayes, logistic-regression, label-propagation, label-spreading or majority, not `rnn`
        `filters` belongs to the model `cnn`, not to `mlp`
        `optimizer` has to be adam, adamw or sgd, not `lion`
        `device` has to be auto, cpu or cuda:N, not `tpu`
        `validation` and `test` together leave nothing to train on: 1
        `dropout` has to be below 1, not 1
        `seed` has to be a whole number from 0 to 9223372036854775807, not -3
        `lr` has to be a number from 0 up, not nan
        `model` is missing
        `data` is missing
        "#);
    }
}
