//! A few lines of Python with NumPy that predict from a model's files, for its README.

use super::matrix::Rows;
use super::{Classifier, Learned, images};
use crate::train::data::{Dataset, Inputs};

const WORDS: &str = r#"
v = json.load(open("vocabulary.json", encoding="utf-8"))
column = {term: at for at, term in enumerate(v["terms"])}

def features(text):
    words, (shortest, longest) = re.findall(v["token_pattern"], text.lower()), v["ngrams"]
    terms = [" ".join(words[i:i + n]) for n in range(shortest, longest + 1) for i in range(len(words) - n + 1)]
    x = np.bincount(np.array([column[t] for t in terms if t in column], dtype=int), minlength=len(column)) * 1.0
"#;

const LOGARITHM: &str = "    x[x > 0] = 1 + np.log(x[x > 0])\n";

const LENGTH: &str = r#"    x *= w["idf"]
    return x / (np.linalg.norm(x) or 1)
"#;

const NUMBERS: &str = r#"
def features(numbers):
    return np.asarray(numbers, dtype=np.float32).astype(float)
"#;

const COLOURS: &str = r#"
def colours(pixels):
    shades = (pixels.astype(int) * 8 // LEVELS).reshape(-1, 3) @ [64, 8, 1]
    return np.sqrt(np.bincount(shades, minlength=512) / len(shades)).astype(np.float32)

def features(pixels):  # [H, W, 3], as the file has them
    h, w = pixels.shape[0] // 4, pixels.shape[1] // 4
    middle = pixels[h:pixels.shape[0] - h, w:pixels.shape[1] - w]
    return np.concatenate([colours(pixels), colours(middle)]).astype(float)
"#;

const GREY: &str = r#"
def features(pixels):  # [H, W], as the file has them
    h, w = pixels.shape[0] // SIDE, pixels.shape[1] // SIDE
    cells = pixels[:h * SIDE, :w * SIDE].reshape(h, SIDE, w, SIDE)
    return (cells.sum((1, 3)).ravel() / np.float32(SIDE * SIDE * SCALE)).astype(np.float32).astype(float)
"#;

const NAIVE_BAYES: &str = r#"
def probabilities(example):
    score = features(example) @ w["log_parts"].T + w["log_priors"]
    p = np.exp(score - score.max())
    return p / p.sum()
"#;

const TWO_CLASSES: &str = r#"
def probabilities(example):
    p = 1 / (1 + np.exp(-(features(example) @ w["weights"][0] + w["intercepts"][0])))
    return np.array([1 - p, p])
"#;

const MANY_CLASSES: &str = r#"
def probabilities(example):
    score = features(example) @ w["weights"].T + w["intercepts"]
    p = np.exp(score - score.max())
    return p / p.sum()
"#;

const SPARSE: &str = r#"
of = np.repeat(np.arange(len(w["labeled"])), np.diff(w["rows.starts"].astype(int)))
squares = np.bincount(of, w["rows.values"] ** 2, minlength=len(w["labeled"]))

def distances(x):
    products = np.bincount(of, w["rows.values"] * x[w["rows.columns"]], minlength=len(squares))
    return np.maximum((x ** 2).sum() - 2 * products + squares, 0)
"#;

const DENSE: &str = r#"
def distances(x):
    return ((w["rows"].astype(float) - x) ** 2).sum(1)
"#;

const NEIGHBORS: &str = r#"
def probabilities(example):
    nearest = np.argsort(distances(features(example)), kind="stable")[:COUNT]
    p = w["distributions"][nearest].sum(0)
    return p / p.sum() if p.any() else np.full_like(p, 1 / len(p))
"#;

const MAJORITY: &str = r#"
def probabilities(example):
    return w["parts"]
"#;

impl Classifier {
    /// Python that defines `probabilities(example)`, which gives the probability of each class as this model does.
    /// `data` is of the kind that the model takes.
    pub fn in_numpy(&self, data: &Dataset) -> String {
        let mut text = match &self.words {
            Some(_) => "import json, re\n",
            None => "",
        }
        .to_owned();
        text += "import numpy as np\nfrom safetensors.numpy import load_file\n\nw = load_file(\"model.safetensors\")\n";
        if !matches!(self.learned, Learned::Majority(_)) {
            text += &self.features_in_numpy(&data.inputs);
        }
        match &self.learned {
            Learned::NaiveBayes(_) => text += NAIVE_BAYES,
            Learned::Logistic(_) if self.classes == 2 => text += TWO_CLASSES,
            Learned::Logistic(_) => text += MANY_CLASSES,
            Learned::Neighbors(model) => {
                text += if matches!(model.rows, Rows::Sparse(_)) { SPARSE } else { DENSE };
                text += &NEIGHBORS.replace("COUNT", &model.count.to_string());
            }
            Learned::Majority(_) => text += MAJORITY,
        }
        text
    }

    fn features_in_numpy(&self, inputs: &Inputs) -> String {
        match (&self.words, inputs) {
            (Some(words), _) if words.sublinear_tf() => [WORDS, LOGARITHM, LENGTH].concat(),
            (Some(_), _) => [WORDS, LENGTH].concat(),
            (None, Inputs::Images(shape)) if shape.channels() == 1 => {
                GREY.replace("SIDE", &images::cell_side(shape).to_string()).replace("SCALE", &shape.scale().to_string())
            }
            (None, Inputs::Images(shape)) => COLOURS.replace("LEVELS", &(shape.scale() + 1.0).to_string()),
            (None, _) => NUMBERS.to_owned(),
        }
    }
}
