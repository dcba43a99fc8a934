//! The templates, embedded in the program.

use std::collections::BTreeMap;

use super::InitError;

/// A project to start from.
#[derive(Debug)]
pub struct Template {
    /// Its name.
    pub name: &'static str,
    /// What it is, in a line.
    pub description: &'static str,
    /// Its files by their paths.
    pub files: &'static [(&'static str, &'static [u8])],
    /// Those that are left out where the project has its own.
    pub optional: &'static [&'static str],
    /// What of it is tracked.
    pub data: &'static [Data],
    /// What to type next, with what it does.
    pub next: &'static [(&'static str, &'static str)],
}

/// An artifact of a template.
#[derive(Debug)]
pub struct Data {
    /// Its path.
    pub path: &'static str,
    /// Where it is from, as its pointer says.
    pub source: &'static str,
    /// Its licence.
    pub licence: &'static str,
}

impl Data {
    /// What its pointer says about where it is from.
    pub(super) fn meta(&self) -> BTreeMap<String, String> {
        [("source", self.source), ("licence", self.licence)]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

macro_rules! files {
    ($template:literal: $($path:literal),* $(,)?) => {
        &[$(($path, include_bytes!(concat!("../../templates/", $template, "/", $path)))),*]
    };
}

/// A template whose data is not in it: its name, what it is, and the experiment to begin with.
macro_rules! fetched {
    ($name:literal, $description:literal, $experiment:literal) => {
        Template {
            name: $name,
            description: $description,
            files: files!($name: ".github/workflows/verify.yml", ".gitignore", "README.md", "data/fetch", "ml.toml"),
            optional: OPTIONAL,
            data: &[],
            next: &[
                ("data/fetch", "download the data, or --from a FOLDER that has it"),
                (concat!("git ml track data/", $name), "git ml keeps its bytes"),
                (
                    concat!("git add --all && git commit -m 'Begin with ", $name, "'"),
                    "git gets the project and the pointer",
                ),
                (concat!("git ml train ", $experiment), "train the first experiment, as a run"),
                ("git ml ui", "watch it"),
            ],
        }
    };
}

/// What a project that was there before has of its own.
const OPTIONAL: &[&str] = &[".gitignore", "README.md"];

const TEMPLATES: &[Template] = &[
    Template {
        name: "digits",
        description: "reads handwritten digits: 1,797 images of 8×8, a small CNN and an MLP",
        files: files!("digits":
            ".github/workflows/verify.yml",
            ".gitignore",
            "README.md",
            "data/digits/images-idx3-ubyte.gz",
            "data/digits/labels-idx1-ubyte.gz",
            "ml.toml",
        ),
        optional: OPTIONAL,
        data: &[Data {
            path: "data/digits",
            source: "Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning \
                     Repository, https://doi.org/10.24432/C50P49",
            licence: "CC BY 4.0",
        }],
        next: &[
            ("git add --all && git commit -m 'Begin with digits'", "git gets the project and the pointer"),
            ("git ml train cnn", "train the network, as a run"),
            ("git ml ui", "watch it"),
        ],
    },
    fetched!("mnist", "reads handwritten digits: 70,000 images of 28×28, three CNNs up to 99 of 100 right", "baseline"),
    fetched!(
        "cifar10",
        "tells tiny photographs apart: three ResNet-18s, and a ResNet-50 that knows ImageNet",
        "modified"
    ),
    fetched!(
        "sentiment",
        "tells praise from blame in sentences: naive Bayes, logistic regression, few labels",
        "naive-bayes"
    ),
    fetched!("grocery", "tells photographs of groceries apart: a fifth of the labels, or all and a CNN", "few-labels"),
    Template {
        name: "python",
        description: "runs a Python script that knows nothing of git ml",
        files: files!("python":
            ".github/workflows/verify.yml",
            ".gitignore",
            "README.md",
            "data/make",
            "ml.toml",
            "train.py",
        ),
        optional: OPTIONAL,
        data: &[],
        next: &[
            ("python3 data/make", "make the data"),
            ("git ml track data/python", "git ml keeps its bytes"),
            ("git add --all && git commit -m 'Begin with python'", "git gets the project and the pointer"),
            ("git ml run train", "run the script"),
            ("git ml ui", "watch it"),
        ],
    },
];

/// Every template.
pub fn templates() -> &'static [Template] {
    TEMPLATES
}

/// The template called `name`.
pub fn find_template(name: &str) -> Result<&'static Template, InitError> {
    TEMPLATES.iter().find(|template| template.name == name).ok_or_else(|| InitError::UnknownTemplate {
        name: name.to_owned(),
        known: TEMPLATES.iter().map(|template| template.name).collect(),
    })
}
