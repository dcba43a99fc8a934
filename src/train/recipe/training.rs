//! How networks are trained: phases, optimizers, learning rates, precision.

use serde::{Deserialize, Serialize};
use toml::Table;

use super::RecipeError;
use super::data::{Augment, Normalize};
use super::keys::Keys;

/// Everything that decides how a network is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainingConfig {
    /// Examples in a step.
    pub batch_size: u32,
    /// What is done one after the other; at least one.
    pub phases: Vec<Phase>,
    /// The part of a label's weight that goes to all classes alike, in 0..1 (Szegedy et al. 2015, arXiv:1512.00567).
    pub label_smoothing: f64,
    /// What an example counts in the loss.
    pub class_weights: ClassWeights,
    /// The largest norm that all gradients together may have; 0 is no limit.
    pub clip: f64,
    /// Epochs without a lower validation loss after which training stops; 0 is never.
    pub early_stopping: u32,
    /// Whether the weights of the epoch with the lowest validation loss are kept in the end, or the last ones.
    pub keep: Keep,
    /// Random changes to training images.
    pub augment: Augment,
    /// What is done to pixels first of all, within the model.
    pub normalize: Normalize,
    /// `cpu`, `cuda:N`, or `auto`.
    pub device: String,
    /// The numbers that are computed with.
    pub precision: Precision,
    /// Whether images lie in memory as `[N, H, W, C]`.
    pub channels_last: Choice,
}

/// A part of a training with settings of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Passes over the training examples.
    pub epochs: u32,
    /// What makes steps of gradients.
    pub optimizer: OptimizerKind,
    /// The learning rate.
    pub lr: f64,
    /// The momentum of `sgd`.
    pub momentum: f64,
    /// Weight decay, decoupled from the gradients in `adamw`.
    pub weight_decay: f64,
    /// How the learning rate goes on.
    pub schedule: Schedule,
    /// Epochs in which the learning rate rises from 0, first of all.
    pub warmup: f64,
    /// Of `step`: epochs between two changes.
    pub step_size: u32,
    /// Of `step` and `plateau`: what the learning rate is multiplied by.
    pub gamma: f64,
    /// Of `plateau`: epochs without a lower validation loss before a change.
    pub patience: u32,
    /// Of `cosine` and `plateau`: what the learning rate does not fall below.
    pub min_lr: f64,
    /// Whether all but the last layer stays as it is.
    pub freeze: bool,
    /// The first layer that learns; those before it stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfreeze_from: Option<String>,
}

/// What makes steps of gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Kingma and Ba 2014, arXiv:1412.6980.
    Adam,
    /// Adam with decoupled weight decay: Loshchilov and Hutter 2017, arXiv:1711.05101.
    Adamw,
    /// Stochastic gradient descent with momentum.
    Sgd,
}

/// How the learning rate goes on within a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// As it is.
    Constant,
    /// Multiplied by `gamma` every `step_size` epochs.
    Step,
    /// Half a cosine down to `min_lr` (Loshchilov and Hutter 2016, arXiv:1608.03983, without restarts).
    Cosine,
    /// Up from a 25th to `lr` in 3 of 10 steps, then down to a 250,000th (Smith and Topin 2017, arXiv:1708.07120).
    OneCycle,
    /// Multiplied by `gamma` when the validation loss has not fallen for more than `patience` epochs.
    Plateau,
}

/// What an example counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassWeights {
    /// All the same.
    None,
    /// As much as its class is rare: `examples / (classes * examples of the class)`.
    Balanced,
}

/// Which weights are kept in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Those after the last step.
    Last,
    /// Those of the epoch with the lowest validation loss.
    Best,
}

/// The numbers that are computed with; weights are kept in 32 bits in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// `bf16` where the processor has instructions for it, else `fp32`.
    Auto,
    /// 32 bits.
    Fp32,
    /// bfloat16 where it is safe, by autocast.
    Bf16,
    /// 16 bits where it is safe, by autocast, with scaled gradients: on CUDA alone.
    Fp16,
}

/// Yes, no, or what is best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Choice {
    /// What is best.
    Auto,
    /// Yes.
    #[serde(rename = "true")]
    Yes,
    /// No.
    #[serde(rename = "false")]
    No,
}

pub(super) const TRAINING_KEYS: &[&str] = &[
    "batch_size",
    "label_smoothing",
    "class_weights",
    "clip",
    "early_stopping",
    "keep",
    "augment",
    "normalize",
    "device",
    "precision",
    "channels_last",
];
pub(super) const PHASE_KEYS: &[&str] = &[
    "epochs",
    "optimizer",
    "lr",
    "momentum",
    "weight_decay",
    "schedule",
    "warmup",
    "step_size",
    "gamma",
    "patience",
    "min_lr",
    "freeze",
    "unfreeze_from",
];
/// Phases that a recipe may have.
const MAX_PHASES: usize = 16;

impl TrainingConfig {
    pub(super) fn read(keys: &Keys<'_>) -> Result<Self, RecipeError> {
        let none = Table::new();
        let device = keys.optional_text("device")?.unwrap_or_else(|| "auto".to_owned());
        let is_device = matches!(device.as_str(), "auto" | "cpu" | "cuda")
            || device.strip_prefix("cuda:").is_some_and(|number| number.parse::<u8>().is_ok());
        if !is_device {
            return Err(keys.wrong("device", format!("has to be auto, cpu or cuda:N, not `{device}`")));
        }
        let precisions = [
            ("auto", Precision::Auto),
            ("fp32", Precision::Fp32),
            ("bf16", Precision::Bf16),
            ("fp16", Precision::Fp16),
        ];
        let phases = read_phases(keys)?;
        if let Some(first) = phases.first()
            && phases.len() == 1
            && first.freeze
            && first.unfreeze_from.is_some()
        {
            return Err(keys.wrong("freeze", "and `unfreeze_from` say different things; give one of them"));
        }
        let channels_last = [("auto", Choice::Auto), ("true", Choice::Yes), ("false", Choice::No)];
        let normalize = [("data", Normalize::Data), ("imagenet", Normalize::Imagenet), ("none", Normalize::None)];
        let early_stopping = keys.whole("early_stopping", 0, 0, 100_000)? as u32;
        // Who stops because it got worse does not want what came after the best.
        let keep = if early_stopping > 0 { Keep::Best } else { Keep::Last };
        Ok(Self {
            batch_size: keys.whole("batch_size", 64, 1, 1 << 20)? as u32,
            phases,
            label_smoothing: keys.fraction("label_smoothing", 0.0)?,
            class_weights: keys
                .word("class_weights", &[("none", ClassWeights::None), ("balanced", ClassWeights::Balanced)])?,
            clip: keys.number("clip", 0.0)?,
            early_stopping,
            keep: keys.word_or("keep", &[("last", Keep::Last), ("best", Keep::Best)], keep)?,
            augment: Augment::read(&keys.table("augment", &none)?)?,
            normalize: keys.word("normalize", &normalize)?,
            device,
            precision: keys.word("precision", &precisions)?,
            channels_last: keys.word("channels_last", &channels_last)?,
        })
    }

    /// Epochs of all phases.
    pub fn epochs(&self) -> u32 {
        self.phases.iter().map(|phase| phase.epochs).sum()
    }
}

/// The tables `phase1`, `phase2`, … in order, each with the recipe's own keys as its defaults; or those keys alone.
fn read_phases(keys: &Keys<'_>) -> Result<Vec<Phase>, RecipeError> {
    let base = Phase::read(keys, &Phase::default())?;
    let names: Vec<_> = keys.names().filter(|key| is_phase(key)).collect();
    if names.is_empty() {
        return Ok(vec![base]);
    }
    let none = Table::new();
    (1..=names.len())
        .map(|number| {
            let name = format!("phase{number}");
            if number > MAX_PHASES || !keys.has(&name) {
                let problem = format!("is missing: phases are numbered from 1 to at most {MAX_PHASES} without a gap");
                return Err(keys.wrong(&name, problem));
            }
            let own = keys.table(&name, &none)?;
            own.refuse_others(PHASE_KEYS)?;
            Phase::read(&own, &base)
        })
        .collect()
}

/// Whether a key is the name of a phase: `phase1`.
pub(super) fn is_phase(key: &str) -> bool {
    key.strip_prefix("phase").is_some_and(|number| !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit()))
}

impl Default for Phase {
    fn default() -> Self {
        Self {
            epochs: 10,
            optimizer: OptimizerKind::Adam,
            lr: 1e-3,
            momentum: 0.9,
            weight_decay: 0.0,
            schedule: Schedule::Constant,
            warmup: 0.0,
            step_size: 10,
            gamma: 0.1,
            patience: 5,
            min_lr: 0.0,
            freeze: false,
            unfreeze_from: None,
        }
    }
}

impl Phase {
    fn read(keys: &Keys<'_>, default: &Self) -> Result<Self, RecipeError> {
        let optimizers = [("adam", OptimizerKind::Adam), ("adamw", OptimizerKind::Adamw), ("sgd", OptimizerKind::Sgd)];
        let schedules = [
            ("constant", Schedule::Constant),
            ("step", Schedule::Step),
            ("cosine", Schedule::Cosine),
            ("one-cycle", Schedule::OneCycle),
            ("plateau", Schedule::Plateau),
        ];
        let phase = Self {
            epochs: keys.whole("epochs", default.epochs.into(), 1, 100_000)? as u32,
            optimizer: keys.word_or("optimizer", &optimizers, default.optimizer)?,
            lr: keys.positive("lr", default.lr)?,
            momentum: keys.fraction("momentum", default.momentum)?,
            weight_decay: keys.number("weight_decay", default.weight_decay)?,
            schedule: keys.word_or("schedule", &schedules, default.schedule)?,
            warmup: keys.number("warmup", default.warmup)?,
            step_size: keys.whole("step_size", default.step_size.into(), 1, 100_000)? as u32,
            gamma: keys.positive("gamma", default.gamma)?,
            patience: keys.whole("patience", default.patience.into(), 0, 100_000)? as u32,
            min_lr: keys.number("min_lr", default.min_lr)?,
            freeze: keys.switch("freeze", default.freeze)?,
            unfreeze_from: keys.optional_text("unfreeze_from")?.or_else(|| default.unfreeze_from.clone()),
        };
        if phase.warmup > 0.0 && phase.schedule == Schedule::OneCycle {
            return Err(keys.wrong("warmup", "is a part of the schedule `one-cycle` already"));
        }
        Ok(phase)
    }
}
