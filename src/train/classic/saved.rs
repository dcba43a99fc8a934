//! The files of a model: `model.safetensors`, and for texts `vocabulary.json`.
//!
//! | tensor | of | shape | what |
//! | --- | --- | --- | --- |
//! | `idf` | texts | terms | the inverse document frequency of each term |
//! | `log_parts` | naive Bayes | classes, columns | logarithm of each column's part of a class |
//! | `log_priors` | naive Bayes | classes | logarithm of each class's part of the examples |
//! | `weights` | logistic regression | classes, columns | of two classes one row, for the second |
//! | `intercepts` | logistic regression | classes | of two classes one, for the second |
//! | `rows` | label propagation | examples, columns | the training examples, where they are dense |
//! | `rows.starts`, `rows.columns`, `rows.values` | label propagation | | the same as compressed sparse rows |
//! | `distributions` | label propagation | examples, classes | how much each example is of each class |
//! | `labeled` | label propagation | examples | 1 where the example's label was used |
//! | `parts` | majority | classes | each class's part of the examples |

use safetensors::{Dtype, SafeTensorError, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::logistic::{self, Logistic};
use super::matrix::{Dense, Rows, Sparse};
use super::naive_bayes::NaiveBayes;
use super::tfidf::Tfidf;
use super::words::TOKEN_PATTERN;
use super::{ClassicError, Classifier, Learned, Neighbors};
use crate::train::recipe::{ModelConfig, NeighborsConfig};

const WEIGHTS: &str = "model.safetensors";
const VOCABULARY: &str = "vocabulary.json";

/// The content of `vocabulary.json`: how a text becomes terms, and which terms are columns.
#[derive(Debug, Serialize, Deserialize)]
struct Vocabulary {
    /// The format's version: 1.
    format: u32,
    /// Whether texts are put in lower case first: always.
    lowercase: bool,
    /// What a word is, as a regular expression of Python's.
    token_pattern: String,
    /// The shortest and the longest sequence of words that is a term.
    ngrams: [usize; 2],
    /// Whether counts become `1 + ln(count)`.
    sublinear_tf: bool,
    /// The length of each row: `l2`, that is 1.
    norm: String,
    /// The terms, in the order of the columns.
    terms: Vec<String>,
}

impl Classifier {
    /// The bytes of `model.safetensors`.
    pub fn weights(&self) -> Result<Vec<u8>, ClassicError> {
        let classes = self.classes;
        let mut tensors = Tensors::default();
        if let Some(words) = &self.words {
            tensors.doubles("idf", &[words.idf().len()], words.idf());
        }
        match &self.learned {
            Learned::NaiveBayes(model) => {
                let log_parts = transposed(&model.log_parts, classes);
                tensors.doubles("log_parts", &[classes, self.columns()], &log_parts);
                tensors.doubles("log_priors", &[classes], &model.log_priors);
            }
            Learned::Logistic(model) => {
                let outputs = model.intercepts.len();
                tensors.doubles("weights", &[outputs, self.columns()], &transposed(&model.weights, outputs));
                tensors.doubles("intercepts", &[outputs], &model.intercepts);
            }
            Learned::Neighbors(model) => {
                tensors.doubles("distributions", &[model.is_labeled.len(), classes], &model.distributions);
                let labeled = model.is_labeled.iter().map(|is_labeled| u8::from(*is_labeled)).collect();
                tensors.push("labeled", Dtype::U8, &[model.is_labeled.len()], labeled);
                match &model.rows {
                    Rows::Dense(rows) => {
                        let bytes = rows.values.iter().flat_map(|value| value.to_le_bytes()).collect();
                        tensors.push("rows", Dtype::F32, &[model.rows.len(), rows.columns], bytes);
                    }
                    Rows::Sparse(rows) => {
                        let starts = rows.starts.iter().flat_map(|start| (*start as u64).to_le_bytes()).collect();
                        tensors.push("rows.starts", Dtype::U64, &[rows.starts.len()], starts);
                        let columns = rows.indexes.iter().flat_map(|index| index.to_le_bytes()).collect();
                        tensors.push("rows.columns", Dtype::U32, &[rows.indexes.len()], columns);
                        tensors.doubles("rows.values", &[rows.values.len()], &rows.values);
                    }
                }
            }
            Learned::Majority(parts) => tensors.doubles("parts", &[classes], parts),
        }
        tensors.to_bytes().map_err(|error| malformed(WEIGHTS, format!("cannot be made: {error}")))
    }

    /// The text of `vocabulary.json`; none where the inputs are not texts.
    pub fn vocabulary(&self) -> Result<Option<String>, ClassicError> {
        let Some(words) = &self.words else { return Ok(None) };
        let vocabulary = Vocabulary {
            format: 1,
            lowercase: true,
            token_pattern: TOKEN_PATTERN.to_owned(),
            ngrams: words.ngrams(),
            sublinear_tf: words.sublinear_tf(),
            norm: "l2".to_owned(),
            terms: words.terms().to_vec(),
        };
        let text = serde_json::to_string_pretty(&vocabulary);
        Ok(Some(text.map_err(|error| malformed(VOCABULARY, format!("cannot be made: {error}")))? + "\n"))
    }

    /// The model that these files hold. `model` is what it was trained as, and `classes` how many classes it knows.
    pub fn load(
        model: &ModelConfig,
        classes: usize,
        weights: &[u8],
        vocabulary: Option<&str>,
    ) -> Result<Self, ClassicError> {
        if classes < 2 {
            return Err(malformed("model.toml", "has fewer than two classes".to_owned()));
        }
        let tensors = SafeTensors::deserialize(weights)
            .map_err(|error| malformed(WEIGHTS, format!("is not in the format of safetensors: {error}")))?;
        let words = vocabulary.map(|text| read_words(text, &tensors)).transpose()?;
        let columns = |found: usize| match &words {
            Some(words) if words.idf().len() != found => Err(malformed(
                WEIGHTS,
                format!("is made for {found} terms, and {VOCABULARY} has {}", words.idf().len()),
            )),
            _ => Ok(found),
        };
        let table = |name: &str, rows: usize| {
            let values = doubles(&tensors, name, None)?;
            if values.is_empty() || values.len() % rows != 0 {
                return Err(malformed(WEIGHTS, format!("has {} numbers in `{name}`, not {rows} rows", values.len())));
            }
            columns(values.len() / rows)?;
            Ok(transposed(&values, values.len() / rows))
        };
        let learned = match model {
            ModelConfig::NaiveBayes { .. } => Learned::NaiveBayes(NaiveBayes {
                log_parts: table("log_parts", classes)?,
                log_priors: doubles(&tensors, "log_priors", Some(classes))?,
            }),
            ModelConfig::LogisticRegression { .. } => {
                let outputs = logistic::outputs(classes);
                Learned::Logistic(Logistic {
                    weights: table("weights", outputs)?,
                    intercepts: doubles(&tensors, "intercepts", Some(outputs))?,
                })
            }
            ModelConfig::LabelPropagation(config) | ModelConfig::LabelSpreading { neighbors: config, .. } => {
                let neighbors = read_neighbors(&tensors, config, classes)?;
                columns(neighbors.rows.columns())?;
                Learned::Neighbors(neighbors)
            }
            ModelConfig::Majority => Learned::Majority(doubles(&tensors, "parts", Some(classes))?),
            _ => return Err(ClassicError::Network { model: model.name() }),
        };
        Ok(Self { words, classes, learned })
    }
}

fn read_words(text: &str, tensors: &SafeTensors<'_>) -> Result<Tfidf, ClassicError> {
    let vocabulary: Vocabulary =
        serde_json::from_str(text).map_err(|error| malformed(VOCABULARY, format!("does not read: {error}")))?;
    let Vocabulary { format, lowercase, token_pattern, ngrams: [shortest, longest], norm, .. } = &vocabulary;
    if *format != 1 || !lowercase || token_pattern != TOKEN_PATTERN || norm != "l2" {
        return Err(malformed(VOCABULARY, "is of another version than this program's".to_owned()));
    }
    if *shortest == 0 || shortest > longest {
        return Err(malformed(VOCABULARY, format!("has ngrams of {shortest} to {longest} words")));
    }
    let idf = doubles(tensors, "idf", Some(vocabulary.terms.len()))?;
    Ok(Tfidf::new(vocabulary.ngrams, vocabulary.sublinear_tf, vocabulary.terms, idf))
}

fn read_neighbors(
    tensors: &SafeTensors<'_>,
    config: &NeighborsConfig,
    classes: usize,
) -> Result<Neighbors, ClassicError> {
    let is_labeled: Vec<bool> = bytes(tensors, "labeled", Dtype::U8)?.iter().map(|flag| *flag != 0).collect();
    let examples = is_labeled.len();
    let count = config.n_neighbors as usize;
    if count == 0 || count > examples {
        return Err(malformed(WEIGHTS, format!("has {examples} examples for n_neighbors = {count}")));
    }
    let distributions = doubles(tensors, "distributions", Some(examples * classes))?;
    let rows = if let Ok(view) = tensors.tensor("rows") {
        let columns = match view.shape() {
            [rows, columns] if *rows == examples && *columns > 0 => *columns,
            shape => return Err(malformed(WEIGHTS, format!("has `rows` of the shape {shape:?}"))),
        };
        let values = bytes(tensors, "rows", Dtype::F32)?.as_chunks().0.iter();
        Rows::Dense(Dense { columns, values: values.map(|bytes| f32::from_le_bytes(*bytes)).collect() })
    } else {
        Rows::Sparse(read_sparse(tensors, examples)?)
    };
    Ok(Neighbors { rows, distributions, is_labeled, count })
}

fn read_sparse(tensors: &SafeTensors<'_>, examples: usize) -> Result<Sparse, ClassicError> {
    let starts = bytes(tensors, "rows.starts", Dtype::U64)?.as_chunks().0.iter();
    let starts: Vec<usize> = starts.map(|bytes| u64::from_le_bytes(*bytes) as usize).collect();
    let indexes = bytes(tensors, "rows.columns", Dtype::U32)?.as_chunks().0.iter();
    let indexes: Vec<u32> = indexes.map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let values = doubles(tensors, "rows.values", Some(indexes.len()))?;
    // Without words the columns are those that are used: a description of other images would have others.
    let columns = match tensors.tensor("idf") {
        Ok(idf) => idf.shape().iter().product(),
        Err(_) => super::images::COLUMNS,
    };
    let is_whole =
        starts.len() == examples + 1 && starts[0] == 0 && starts[examples] == indexes.len() && starts.is_sorted();
    if !is_whole || indexes.iter().any(|index| *index as usize >= columns) {
        return Err(malformed(WEIGHTS, "has sparse rows that are damaged".to_owned()));
    }
    Ok(Sparse { columns, starts, indexes, values })
}

/// Tensors by name, as safetensors takes them.
#[derive(Default)]
struct Tensors(Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>);

impl Tensors {
    fn push(&mut self, name: &'static str, dtype: Dtype, shape: &[usize], bytes: Vec<u8>) {
        self.0.push((name, dtype, shape.to_vec(), bytes));
    }

    fn doubles(&mut self, name: &'static str, shape: &[usize], values: &[f64]) {
        self.push(name, Dtype::F64, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect());
    }

    fn to_bytes(&self) -> Result<Vec<u8>, SafeTensorError> {
        let views: Vec<_> = self
            .0
            .iter()
            .map(|(name, dtype, shape, bytes)| Ok((*name, TensorView::new(*dtype, shape.clone(), bytes)?)))
            .collect::<Result<_, SafeTensorError>>()?;
        safetensors::serialize(views, None)
    }
}

/// The bytes of a tensor that has to be there, of this type.
fn bytes<'a>(tensors: &SafeTensors<'a>, name: &str, dtype: Dtype) -> Result<&'a [u8], ClassicError> {
    let view = tensors.tensor(name).map_err(|_| malformed(WEIGHTS, format!("has no `{name}`")))?;
    if view.dtype() != dtype {
        return Err(malformed(WEIGHTS, format!("has `{name}` as {:?}, not {dtype:?}", view.dtype())));
    }
    Ok(view.data())
}

/// The numbers of a tensor; `count` is how many there have to be.
fn doubles(tensors: &SafeTensors<'_>, name: &str, count: Option<usize>) -> Result<Vec<f64>, ClassicError> {
    let values = bytes(tensors, name, Dtype::F64)?.as_chunks().0.iter();
    let values: Vec<f64> = values.map(|bytes| f64::from_le_bytes(*bytes)).collect();
    match count {
        Some(count) if count != values.len() => {
            Err(malformed(WEIGHTS, format!("has {} numbers in `{name}`, not {count}", values.len())))
        }
        _ => Ok(values),
    }
}

/// From `[_, columns]` to `[columns, _]`.
fn transposed(values: &[f64], columns: usize) -> Vec<f64> {
    (0..columns).flat_map(|column| values.iter().skip(column).step_by(columns).copied()).collect()
}

fn malformed(file: &'static str, problem: String) -> ClassicError {
    ClassicError::Malformed { file, problem }
}
