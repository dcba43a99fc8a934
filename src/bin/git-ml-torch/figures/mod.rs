//! The figures of what a model is worth, drawn as SVG and from there as PNG.

mod axes;
mod classes;
mod confusion;
mod curves;
mod drawing;
mod mistakes;
mod png;
mod reliability;
mod text;

#[cfg(test)]
mod tests;

pub(crate) use drawing::Drawing;

use git_ml::train::data::Dataset;

use crate::evaluate::Evaluation;
use crate::failure::Result;
use crate::training::Epoch;

/// All figures, by the names of their files.
pub(crate) fn all(data: &Dataset, history: &[Epoch], evaluation: &Evaluation) -> Result<Vec<(&'static str, Drawing)>> {
    let curves = (!history.is_empty()).then(|| ("curves", curves::curves(history, evaluation)));
    let mistakes = mistakes::worst_mistakes(data, evaluation)?.map(|drawing| ("mistakes", drawing));
    let always = [
        ("confusion", confusion::confusion(evaluation)),
        ("f1", classes::f1_by_class(evaluation)),
        ("reliability", reliability::reliability(evaluation)),
    ];
    Ok(curves.into_iter().chain(always).chain(mistakes).collect())
}

/// What a figure is of: `10,000 test examples`.
fn subject(evaluation: &Evaluation) -> String {
    let examples = evaluation.report.examples;
    let noun = if examples == 1 { "example" } else { "examples" };
    format!("{} {} {noun}", text::count(examples), evaluation.part)
}
