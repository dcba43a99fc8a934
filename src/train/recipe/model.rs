//! What is trained: networks, and classifiers that need none.

use serde::{Deserialize, Serialize};

use super::keys::Keys;
use super::{RecipeError, list};

/// The model, with its own keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "kebab-case")]
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
    /// ResNet-18 (He et al. 2015, arXiv:1512.03385), with torchvision's tensor names.
    Resnet18(ResnetConfig),
    /// ResNet-50 (He et al. 2015, with the stride in the 3×3 convolution), with torchvision's tensor names.
    Resnet50(ResnetConfig),
    /// A TorchScript module, scripted or traced in Python, that takes `[N, C, H, W]` (or `[N, F]`) and gives logits.
    Torchscript {
        /// The module's path in the work tree.
        file: String,
    },
    /// Multinomial naive Bayes over TF-IDF.
    NaiveBayes {
        /// How texts become numbers.
        #[serde(flatten)]
        features: TextFeatures,
        /// Additive (Laplace) smoothing.
        alpha: f64,
    },
    /// Logistic regression with an L2 penalty, over TF-IDF of texts or over numbers as they are.
    LogisticRegression {
        /// How texts become numbers.
        #[serde(flatten)]
        features: TextFeatures,
        /// The inverse of the penalty's strength.
        c: f64,
        /// Iterations at most.
        max_iter: u32,
    },
    /// Label propagation (Zhu and Ghahramani 2002) over a graph of nearest neighbours, for few labels.
    LabelPropagation(NeighborsConfig),
    /// Label spreading (Zhou et al. 2004) over a graph of nearest neighbours, for few labels.
    LabelSpreading {
        /// The graph.
        #[serde(flatten)]
        neighbors: NeighborsConfig,
        /// How much of a label comes from the neighbours, in 0..1.
        alpha: f64,
    },
    /// The most frequent class of the training examples, whatever the input: what others have to beat.
    Majority,
}

/// How a ResNet is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResnetConfig {
    /// What its first layers are.
    pub variant: ResnetVariant,
    /// A safetensors file with torchvision's or timm's weights, as a path in the work tree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

/// What a ResNet does with small images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResnetVariant {
    /// 7×7 with stride 2 and a max-pooling first, for images of about 224×224.
    Standard,
    /// The same, after images were scaled up to 224×224.
    Upsample,
    /// 3×3 with stride 1 and no pooling first, for images of about 32×32.
    Modified,
}

/// TF-IDF as scikit-learn's `TfidfVectorizer` computes it: words of two letters or more, in lower case, idf smoothed,
/// rows of length 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextFeatures {
    /// The shortest and the longest sequence of words that counts as a term.
    pub ngrams: Vec<u32>,
    /// Texts that a term has to be in.
    pub min_df: u32,
    /// The part of the texts that a term may be in, in 0..=1.
    pub max_df: f64,
    /// Terms at most, the most frequent ones; 0 is all.
    pub max_features: u32,
    /// `1 + ln(count)` in place of the count.
    pub sublinear_tf: bool,
}

/// A graph of nearest neighbours, of which only some examples keep their labels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NeighborsConfig {
    /// How texts become numbers.
    #[serde(flatten)]
    pub features: TextFeatures,
    /// Neighbours of each example.
    pub n_neighbors: u32,
    /// The part of the training examples whose labels are used, drawn from each class in proportion, in 0..=1.
    pub labeled_ratio: f64,
    /// Iterations at most.
    pub max_iter: u32,
    /// The change of the label distributions below which it has converged.
    pub tol: f64,
}

/// What a kind of model is trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learner {
    /// Steps of gradient descent: it has phases, batches, an optimizer.
    Gradient,
    /// One pass over the data.
    Direct,
}

/// The words for models in `ml.toml`, what each is trained with, and its own keys.
pub(super) const MODELS: &[(&str, Learner, &[&str])] = &[
    ("cnn", Learner::Gradient, &["filters", "hidden", "dropout"]),
    ("mlp", Learner::Gradient, &["hidden", "dropout"]),
    ("resnet18", Learner::Gradient, &["variant", "weights"]),
    ("resnet50", Learner::Gradient, &["variant", "weights"]),
    ("torchscript", Learner::Gradient, &["file"]),
    ("naive-bayes", Learner::Direct, &["ngrams", "min_df", "max_df", "max_features", "sublinear_tf", "alpha"]),
    (
        "logistic-regression",
        Learner::Direct,
        &["ngrams", "min_df", "max_df", "max_features", "sublinear_tf", "c", "max_iter"],
    ),
    ("label-propagation", Learner::Direct, NEIGHBOR_KEYS),
    ("label-spreading", Learner::Direct, SPREADING_KEYS),
    ("majority", Learner::Direct, &[]),
];

const NEIGHBOR_KEYS: &[&str] =
    &["ngrams", "min_df", "max_df", "max_features", "sublinear_tf", "n_neighbors", "labeled_ratio", "max_iter", "tol"];
const SPREADING_KEYS: &[&str] = &[
    "ngrams",
    "min_df",
    "max_df",
    "max_features",
    "sublinear_tf",
    "n_neighbors",
    "labeled_ratio",
    "max_iter",
    "tol",
    "alpha",
];

/// The entry of [`MODELS`] that the recipe names.
pub(super) fn find(keys: &Keys<'_>) -> Result<(&'static str, Learner, &'static [&'static str]), RecipeError> {
    let name = keys.text("model")?;
    let found = MODELS.iter().find(|(model, ..)| *model == name).copied();
    found.ok_or_else(|| {
        keys.wrong("model", format!("has to be {}, not `{name}`", list(MODELS.iter().map(|(name, ..)| *name))))
    })
}

impl ModelConfig {
    pub(super) fn read(name: &str, keys: &Keys<'_>) -> Result<Self, RecipeError> {
        Ok(match name {
            "mlp" => Self::Mlp {
                hidden: keys.sizes("hidden", &[256, 128], 65_536)?,
                dropout: keys.fraction("dropout", 0.1)?,
            },
            "cnn" => Self::Cnn {
                filters: keys.sizes("filters", &[16, 32], 4_096)?,
                hidden: keys.whole("hidden", 128, 1, 65_536)? as u32,
                dropout: keys.fraction("dropout", 0.25)?,
            },
            "resnet18" => Self::Resnet18(resnet(keys)?),
            "resnet50" => Self::Resnet50(resnet(keys)?),
            "torchscript" => Self::Torchscript { file: keys.text("file")? },
            "naive-bayes" => Self::NaiveBayes { features: text_features(keys)?, alpha: keys.positive("alpha", 1.0)? },
            "logistic-regression" => Self::LogisticRegression {
                features: text_features(keys)?,
                c: keys.positive("c", 1.0)?,
                max_iter: keys.whole("max_iter", 100, 1, 1_000_000)? as u32,
            },
            "label-propagation" => Self::LabelPropagation(neighbors(keys, 1000)?),
            "label-spreading" => {
                let alpha = keys.fraction("alpha", 0.2)?;
                if alpha == 0.0 {
                    return Err(keys.wrong("alpha", "has to be above 0 and below 1"));
                }
                Self::LabelSpreading { neighbors: neighbors(keys, 30)?, alpha }
            }
            _ => Self::Majority,
        })
    }

    /// The word for it in `ml.toml`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Mlp { .. } => "mlp",
            Self::Cnn { .. } => "cnn",
            Self::Resnet18(_) => "resnet18",
            Self::Resnet50(_) => "resnet50",
            Self::Torchscript { .. } => "torchscript",
            Self::NaiveBayes { .. } => "naive-bayes",
            Self::LogisticRegression { .. } => "logistic-regression",
            Self::LabelPropagation(_) => "label-propagation",
            Self::LabelSpreading { .. } => "label-spreading",
            Self::Majority => "majority",
        }
    }

    /// A file beside the data that it is made from: a module, or weights to start with.
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Resnet18(config) | Self::Resnet50(config) => config.weights.as_deref(),
            Self::Torchscript { file } => Some(file),
            _ => None,
        }
    }

    /// The key of the recipe that names [`Self::file`].
    pub fn file_key(&self) -> &'static str {
        match self {
            Self::Torchscript { .. } => "file",
            _ => "weights",
        }
    }

    /// Whether it has convolutions, which channels-last memory makes faster.
    pub fn is_convolutional(&self) -> bool {
        matches!(self, Self::Cnn { .. } | Self::Resnet18(_) | Self::Resnet50(_) | Self::Torchscript { .. })
    }
}

fn resnet(keys: &Keys<'_>) -> Result<ResnetConfig, RecipeError> {
    let variants = [
        ("standard", ResnetVariant::Standard),
        ("upsample", ResnetVariant::Upsample),
        ("modified", ResnetVariant::Modified),
    ];
    Ok(ResnetConfig { variant: keys.word("variant", &variants)?, weights: keys.optional_text("weights")? })
}

fn text_features(keys: &Keys<'_>) -> Result<TextFeatures, RecipeError> {
    let ngrams = keys.sizes("ngrams", &[1, 1], 8)?;
    let ngrams = match ngrams[..] {
        [both] => vec![both, both],
        [shortest, longest] if shortest <= longest => ngrams,
        _ => return Err(keys.wrong("ngrams", "has to be the shortest and the longest, like [1, 2]")),
    };
    let max_df = keys.positive("max_df", 1.0)?;
    if max_df > 1.0 {
        return Err(keys.wrong("max_df", format!("has to be at most 1, not {max_df}")));
    }
    Ok(TextFeatures {
        ngrams,
        min_df: keys.whole("min_df", 1, 1, 1 << 31)? as u32,
        max_df,
        max_features: keys.whole("max_features", 0, 0, 1 << 31)? as u32,
        sublinear_tf: keys.switch("sublinear_tf", false)?,
    })
}

fn neighbors(keys: &Keys<'_>, max_iter: u64) -> Result<NeighborsConfig, RecipeError> {
    let labeled_ratio = keys.positive("labeled_ratio", 0.2)?;
    if labeled_ratio > 1.0 {
        return Err(keys.wrong("labeled_ratio", format!("has to be at most 1, not {labeled_ratio}")));
    }
    Ok(NeighborsConfig {
        features: text_features(keys)?,
        n_neighbors: keys.whole("n_neighbors", 7, 1, 1 << 20)? as u32,
        labeled_ratio,
        max_iter: keys.whole("max_iter", max_iter, 1, 1_000_000)? as u32,
        tol: keys.number("tol", 1e-3)?,
    })
}
