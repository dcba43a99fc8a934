//! Recipes: what a native training does, as `[experiments.<name>]` in `ml.toml` gives it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::config::Experiment;

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

/// The network, with its own keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "lowercase")]
pub enum ModelConfig {
    /// A multilayer perceptron with ReLU between layers.
    Mlp {
        /// Units of each hidden layer.
        hidden: Vec<u32>,
        /// Probability of dropping a unit after each hidden layer.
        dropout: f64,
    },
    /// Convolutions of 3×3 with ReLU and 2×2 max-pooling, then one hidden layer.
    Cnn {
        /// Filters of each convolution.
        filters: Vec<u32>,
        /// Units of the hidden layer.
        hidden: u32,
        /// Probability of dropping a unit before the last layer.
        dropout: f64,
    },
}

/// Everything that decides a native training. Every value is a parameter of the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    /// The network.
    #[serde(flatten)]
    pub model: ModelConfig,
    /// The path of the data in the work tree.
    pub data: String,
    /// Passes over the training examples.
    pub epochs: u32,
    /// Examples in a step.
    pub batch_size: u32,
    /// `adam`, `adamw` or `sgd`.
    pub optimizer: String,
    /// The learning rate.
    pub lr: f64,
    /// Decoupled (`adamw`) or classic weight decay.
    pub weight_decay: f64,
    /// The seed of everything random.
    pub seed: u64,
    /// The part of the training examples kept for validation, in 0..1.
    pub validation: f64,
    /// The part of the examples kept for the test where the data has no test files, in 0..1.
    pub test: f64,
    /// Threads for computing; 0 takes all cores.
    pub threads: u32,
    /// `auto`, `cpu` or `cuda:N`.
    pub device: String,
}

/// The keys of every recipe. Each kind of model adds its own.
const COMMON_KEYS: &[&str] = &[
    "model",
    "data",
    "epochs",
    "batch_size",
    "optimizer",
    "lr",
    "weight_decay",
    "seed",
    "validation",
    "test",
    "threads",
    "device",
];
const MLP_KEYS: &[&str] = &["hidden", "dropout"];
const CNN_KEYS: &[&str] = &["filters", "hidden", "dropout"];
const MODELS: &[(&str, &[&str])] = &[("cnn", CNN_KEYS), ("mlp", MLP_KEYS)];

const OPTIMIZERS: &[&str] = &["adam", "adamw", "sgd"];
/// Layers of one kind that a model may have.
const MAX_LAYERS: usize = 16;

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
            values.insert(key.clone(), read_override(text));
        }
        let keys = Keys { values: &values };
        let name = keys.text("model", None)?;
        let Some((_, own_keys)) = MODELS.iter().find(|(model, _)| *model == name) else {
            return Err(bad(
                "model",
                format!("has to be {}, not `{name}`", list(MODELS.iter().map(|(name, _)| *name))),
            ));
        };
        keys.refuse_others(&name, own_keys)?;
        let model = match name.as_str() {
            "mlp" => ModelConfig::Mlp {
                hidden: keys.sizes("hidden", &[256, 128], 65_536)?,
                dropout: keys.fraction("dropout", 0.1)?,
            },
            _ => ModelConfig::Cnn {
                filters: keys.sizes("filters", &[16, 32], 4_096)?,
                hidden: keys.whole("hidden", 128, 1, 65_536)? as u32,
                dropout: keys.fraction("dropout", 0.25)?,
            },
        };
        let recipe = Self {
            model,
            data: keys.text("data", None)?,
            epochs: keys.whole("epochs", 10, 1, 100_000)? as u32,
            batch_size: keys.whole("batch_size", 64, 1, 1 << 20)? as u32,
            optimizer: keys.text("optimizer", Some("adam"))?,
            lr: keys.number("lr", 1e-3)?,
            weight_decay: keys.number("weight_decay", 0.0)?,
            seed: keys.whole("seed", 0, 0, i64::MAX as u64)?,
            validation: keys.fraction("validation", 0.1)?,
            test: keys.fraction("test", 0.2)?,
            threads: keys.whole("threads", 0, 0, 1024)? as u32,
            device: keys.text("device", Some("auto"))?,
        };
        recipe.check()?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), RecipeError> {
        if self.lr <= 0.0 {
            return Err(bad("lr", format!("has to be above 0, not {}", self.lr)));
        }
        if self.validation + self.test >= 1.0 {
            let both = self.validation + self.test;
            return Err(bad("validation", format!("and `test` together leave nothing to train on: {both}")));
        }
        if self.test == 0.0 {
            return Err(bad("test", "has to be above 0: without test examples nobody knows what the model is worth"));
        }
        if !OPTIMIZERS.contains(&self.optimizer.as_str()) {
            let problem = format!("has to be {}, not `{}`", list(OPTIMIZERS.iter().copied()), self.optimizer);
            return Err(bad("optimizer", problem));
        }
        let is_device = |name: &str| {
            matches!(name, "auto" | "cpu" | "cuda")
                || name.strip_prefix("cuda:").is_some_and(|number| number.parse::<u8>().is_ok())
        };
        if !is_device(&self.device) {
            return Err(bad("device", format!("has to be auto, cpu or cuda:N, not `{}`", self.device)));
        }
        Ok(())
    }

    /// Every value as a parameter of the run.
    pub fn params(&self) -> BTreeMap<String, String> {
        let join = |sizes: &[u32]| sizes.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let own = match &self.model {
            ModelConfig::Mlp { hidden, dropout } => {
                vec![("hidden", join(hidden)), ("dropout", dropout.to_string())]
            }
            ModelConfig::Cnn { filters, hidden, dropout } => {
                vec![("filters", join(filters)), ("hidden", hidden.to_string()), ("dropout", dropout.to_string())]
            }
        };
        let common = [
            ("model", self.model.name().to_owned()),
            ("data", self.data.clone()),
            ("epochs", self.epochs.to_string()),
            ("batch_size", self.batch_size.to_string()),
            ("optimizer", self.optimizer.clone()),
            ("lr", self.lr.to_string()),
            ("weight_decay", self.weight_decay.to_string()),
            ("seed", self.seed.to_string()),
            ("validation", self.validation.to_string()),
            ("test", self.test.to_string()),
            ("threads", self.threads.to_string()),
            ("device", self.device.clone()),
        ];
        own.into_iter().chain(common).map(|(key, value)| (key.to_owned(), value)).collect()
    }
}

impl ModelConfig {
    /// The word for it in `ml.toml`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mlp { .. } => "mlp",
            Self::Cnn { .. } => "cnn",
        }
    }
}

fn bad(key: &str, problem: impl Into<String>) -> RecipeError {
    RecipeError::BadValue { key: key.to_owned(), problem: problem.into() }
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(" or ")
}

/// What `-p key=text` means: a number, a list of numbers (`16,32` or `[16, 32]`), or else text.
fn read_override(text: &str) -> Value {
    let number = |text: &str| {
        let text = text.trim();
        let whole = text.parse().map(Value::Integer).ok();
        whole.or_else(|| text.parse().map(Value::Float).ok())
    };
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if inner.is_some() || text.contains(',') {
        let items = inner.unwrap_or(text).split(',').filter(|item| !item.trim().is_empty());
        if let Some(items) = items.map(number).collect() {
            return Value::Array(items);
        }
    }
    number(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Reads keys with their checks.
struct Keys<'v> {
    values: &'v Table,
}

impl Keys<'_> {
    fn refuse_others(&self, model: &str, own: &[&str]) -> Result<(), RecipeError> {
        for key in self.values.keys() {
            if COMMON_KEYS.contains(&key.as_str()) || own.contains(&key.as_str()) {
                continue;
            }
            if let Some((other, _)) = MODELS.iter().find(|(_, keys)| keys.contains(&key.as_str())) {
                return Err(bad(key, format!("belongs to the model `{other}`, not to `{model}`")));
            }
            let known = COMMON_KEYS.iter().chain(own);
            let nearest = known.map(|name| (strsim::damerau_levenshtein(key, name), name)).min();
            let nearest = nearest.filter(|(distance, _)| *distance <= 3).map(|(_, name)| (*name).to_owned());
            return Err(RecipeError::UnknownKey { key: key.clone(), nearest });
        }
        Ok(())
    }

    fn text(&self, key: &'static str, default: Option<&str>) -> Result<String, RecipeError> {
        match (self.values.get(key), default) {
            (Some(Value::String(text)), _) if !text.is_empty() => Ok(text.clone()),
            (Some(other), _) => Err(bad(key, format!("has to be text, not {other}"))),
            (None, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(RecipeError::Missing { key }),
        }
    }

    fn whole(&self, key: &'static str, default: u64, least: u64, most: u64) -> Result<u64, RecipeError> {
        let Some(value) = self.values.get(key) else { return Ok(default) };
        whole_in(value, least, most).ok_or_else(|| whole_problem(key, least, most, value))
    }

    fn number(&self, key: &'static str, default: f64) -> Result<f64, RecipeError> {
        match self.values.get(key) {
            None => Ok(default),
            Some(Value::Integer(value)) if *value >= 0 => Ok(*value as f64),
            Some(Value::Float(value)) if value.is_finite() && *value >= 0.0 => Ok(*value),
            Some(other) => Err(bad(key, format!("has to be a number from 0 up, not {other}"))),
        }
    }

    fn fraction(&self, key: &'static str, default: f64) -> Result<f64, RecipeError> {
        let value = self.number(key, default)?;
        if value < 1.0 { Ok(value) } else { Err(bad(key, format!("has to be below 1, not {value}"))) }
    }

    fn sizes(&self, key: &'static str, default: &[u32], most: u32) -> Result<Vec<u32>, RecipeError> {
        let most = u64::from(most);
        let items = match self.values.get(key) {
            None => return Ok(default.to_vec()),
            Some(Value::Array(items)) if (1..=MAX_LAYERS).contains(&items.len()) => items.as_slice(),
            Some(single @ Value::Integer(_)) => std::slice::from_ref(single),
            Some(other) => {
                return Err(bad(
                    key,
                    format!("has to be a list of 1 to {MAX_LAYERS} numbers like [64, 32], not {other}"),
                ));
            }
        };
        let size =
            |item| whole_in(item, 1, most).map(|size| size as u32).ok_or_else(|| whole_problem(key, 1, most, item));
        items.iter().map(size).collect()
    }
}

fn whole_in(value: &Value, least: u64, most: u64) -> Option<u64> {
    value.as_integer().and_then(|value| u64::try_from(value).ok()).filter(|value| (least..=most).contains(value))
}

fn whole_problem(key: &str, least: u64, most: u64, value: &Value) -> RecipeError {
    bad(key, format!("has to be a whole number from {least} to {most}, not {value}"))
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
        assert_eq!((made.epochs, made.lr, made.seed, made.batch_size), (3, 0.02, 7, 64));
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
        for text in [CNN, "model = 'mlp'\ndata = 'x'\nlr = 0.1\nhidden = [3]"] {
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
        `model` has to be cnn or mlp, not `rnn`
        `filters` belongs to the model `cnn`, not to `mlp`
        `optimizer` has to be adam or adamw or sgd, not `lion`
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
