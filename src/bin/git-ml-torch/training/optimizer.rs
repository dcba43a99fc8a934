//! What makes steps of gradients, with a state that can be saved: libtorch's own optimizers keep theirs to themselves.

use git_ml::train::recipe::{OptimizerKind, Phase};
use tch::{Device, Kind, Tensor, no_grad};

use crate::failure::{Failure, Result};
use crate::native;

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// An optimizer of the parameters that learn in a phase.
pub(super) struct Optimizer {
    kind: OptimizerKind,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    /// Running means of gradients; of `sgd` the momentum.
    means: Vec<Tensor>,
    /// Running means of the gradients' squares; none of `sgd`.
    squares: Vec<Tensor>,
    /// Steps done, a number each, as the fused kernels want it; none of `sgd`.
    steps: Vec<Tensor>,
    done: u64,
}

impl Optimizer {
    /// An optimizer that has done nothing yet of these parameters, in this order.
    pub(super) fn new(kind: OptimizerKind, parameters: Vec<(String, Tensor)>) -> Self {
        let (names, parameters): (Vec<_>, Vec<_>) = parameters.into_iter().unzip();
        let zeros = || no_grad(|| parameters.iter().map(Tensor::zeros_like).collect::<Vec<_>>());
        let is_sgd = kind == OptimizerKind::Sgd;
        let (means, squares) = (zeros(), if is_sgd { Vec::new() } else { zeros() });
        let counter = |_: &Tensor| Tensor::zeros([] as [i64; 0], (Kind::Float, Device::Cpu));
        let steps: Vec<_> = if is_sgd { Vec::new() } else { parameters.iter().map(counter).collect() };
        let steps = steps.into_iter().zip(&parameters).map(|(step, own)| step.to_device(own.device())).collect();
        Self { kind, names, parameters, means, squares, steps, done: 0 }
    }

    /// Forgets the gradients of the last step.
    pub(super) fn zero_gradients(&self) -> Result<()> {
        native::zero_gradients(&self.parameters)
    }

    /// Multiplies the gradients by `factor`; whether all of them are finite.
    pub(super) fn unscale(&self, factor: f64) -> Result<bool> {
        native::unscale(&self.parameters, factor)
    }

    /// Scales the gradients down to a common norm of at most `most`; the norm that they had.
    pub(super) fn clip(&self, most: f64) -> Result<f64> {
        native::clip(&self.parameters, most)
    }

    /// A step with the settings of `phase` at this learning rate.
    pub(super) fn step(&mut self, phase: &Phase, rate: f64) -> Result<()> {
        match self.kind {
            OptimizerKind::Sgd => {
                let first = self.done == 0;
                native::sgd(&self.parameters, &self.means, rate, phase.momentum, phase.weight_decay, first)?;
            }
            OptimizerKind::Adam | OptimizerKind::Adamw => {
                let decoupled = self.kind == OptimizerKind::Adamw;
                let decay = phase.weight_decay;
                let adam = native::Adam { rate, beta1: BETA1, beta2: BETA2, decay, epsilon: EPSILON, decoupled };
                native::adam(&adam, &self.parameters, &self.means, &self.squares, &self.steps)?;
            }
        }
        self.done += 1;
        Ok(())
    }

    /// Its state by name, for a checkpoint.
    pub(super) fn state(&self) -> Vec<(String, Tensor)> {
        let lists = [("mean", &self.means), ("square", &self.squares), ("step", &self.steps)];
        let named = lists.into_iter().flat_map(|(kind, tensors)| {
            self.names.iter().zip(tensors).map(move |(name, tensor)| (format!("{kind}.{name}"), tensor.shallow_clone()))
        });
        named.collect()
    }

    /// Goes on where the checkpoint was made, after `done` steps.
    pub(super) fn restore(&mut self, done: u64, find: impl Fn(&str) -> Option<Tensor>) -> Result<()> {
        for (name, own) in self.state() {
            let saved = find(&name).filter(|saved| saved.size() == own.size());
            let saved = saved.ok_or_else(|| Failure::new(format!("the checkpoint has no fitting `{name}`")))?;
            let mut own = own;
            no_grad(|| own.f_copy_(&saved))?;
        }
        self.done = done;
        Ok(())
    }

    /// Steps that were done.
    pub(super) fn done(&self) -> u64 {
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps of `0.5 * sum(x * x)`, whose gradient is `x`, from `[1, -2]`.
    fn stepped(kind: OptimizerKind, phase: &Phase, steps: usize) -> Vec<f64> {
        let parameter = Tensor::from_slice(&[1.0_f32, -2.0]).set_requires_grad(true);
        let mut optimizer = Optimizer::new(kind, vec![("x".to_owned(), parameter.shallow_clone())]);
        for _ in 0..steps {
            optimizer.zero_gradients().unwrap();
            (&parameter * &parameter * 0.5).sum(Kind::Float).backward();
            optimizer.step(phase, 0.1).unwrap();
        }
        (0..2).map(|index| (parameter.double_value(&[index]) * 1e3).round() / 1e3).collect()
    }

    #[test]
    fn steps_are_those_of_pytorch() {
        let phase = Phase { weight_decay: 0.1, momentum: 0.9, ..Phase::default() };
        // torch.optim with the same settings, in float32.
        assert_eq!(stepped(OptimizerKind::Sgd, &phase, 2), [0.693, -1.386]);
        assert_eq!(stepped(OptimizerKind::Adam, &phase, 3), [0.702, -1.701]);
        assert_eq!(stepped(OptimizerKind::Adamw, &phase, 3), [0.675, -1.644]);
    }

    #[test]
    fn a_common_norm_is_cut_and_gradients_that_are_not_finite_are_seen() {
        let parameter = Tensor::from_slice(&[3.0_f32, -4.0]).set_requires_grad(true);
        let optimizer = Optimizer::new(OptimizerKind::Sgd, vec![("x".to_owned(), parameter.shallow_clone())]);
        (&parameter * &parameter * 0.5).sum(Kind::Float).backward();
        assert!((optimizer.clip(1.0).unwrap() - 5.0).abs() < 1e-5);
        assert!((parameter.grad().norm().double_value(&[]) - 1.0).abs() < 1e-5);
        assert!(optimizer.unscale(0.5).unwrap());
        assert!((parameter.grad().norm().double_value(&[]) - 0.5).abs() < 1e-5);
        (&parameter * f64::INFINITY).sum(Kind::Float).backward();
        assert!(!optimizer.unscale(1.0).unwrap());
    }
}
