//! What learns in a phase, and what stays as it is.

use git_ml::train::recipe::Phase;
use tch::{Tensor, nn};

use crate::failure::{Failure, Result};

/// Names of layers that an error lists.
const SHOWN: usize = 12;

/// The parameters of a model by name: what learns, if nothing is frozen. Statistics are none.
pub(crate) fn parameters(weights: &nn::VarStore) -> Vec<(String, Tensor)> {
    let variables = weights.variables().into_iter();
    let mut parameters: Vec<_> = variables.filter(|(_, own)| own.requires_grad()).collect();
    parameters.sort_by(|(one, _), (other, _)| one.cmp(other));
    parameters
}

/// Lets the parameters of a model learn, but for those of the layers that `phase` freezes; the number of frozen layers.
pub(crate) fn unfreeze(parameters: &[(String, Tensor)], layers: &[String], phase: &Phase) -> Result<usize> {
    let frozen = match &phase.unfreeze_from {
        Some(first) => layers.iter().position(|layer| layer == first).ok_or_else(|| unknown(first, layers))?,
        None if phase.freeze => layers.len().saturating_sub(1),
        None => 0,
    };
    for (name, own) in parameters {
        let _ = own.set_requires_grad(!layers[..frozen].iter().any(|layer| is_of(name, layer)));
    }
    Ok(frozen)
}

/// Whether a tensor belongs to a layer.
fn is_of(tensor: &str, layer: &str) -> bool {
    tensor.strip_prefix(layer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn unknown(name: &str, layers: &[String]) -> Failure {
    let mut nearest: Vec<_> = layers.iter().map(|layer| (strsim::jaro_winkler(name, layer), layer.as_str())).collect();
    nearest.sort_by(|(left, _), (right, _)| right.total_cmp(left));
    let more = if nearest.len() > SHOWN { format!(" and {} more", nearest.len() - SHOWN) } else { String::new() };
    let names: Vec<_> = nearest.into_iter().take(SHOWN).map(|(_, layer)| layer).collect();
    let line = format!("there is no layer `{name}` to unfreeze from; this model has {}{more}", names.join(", "));
    Failure::new(line).hint("correct `unfreeze_from` in ml.toml")
}
