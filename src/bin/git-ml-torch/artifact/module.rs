//! `model.pt`: the model as TorchScript, which `torch.jit.load` opens with no code of ours.

use std::path::Path;

use tch::{CModule, Kind, Tensor, no_grad};

use crate::failure::{Failure, Result};
use crate::models::Mode;
use crate::training::Trained;

/// The largest difference between the model and its module that rounding explains.
const TOLERANCE: f64 = 1e-3;

/// Writes the model to `place`: a module of Python's with its new parameters and buffers, or else the model traced, with
/// dropout off and its weights as constants.
///
/// The weights have to be frozen, in float32 and contiguous. The file's bytes depend on the file's name, so that has to
/// be a fixed one.
pub(crate) fn write(trained: &Trained, place: &Path) -> Result<()> {
    let inputs = |count: i64| {
        let size = [&[count], trained.form.shape.input.as_slice()].concat();
        let numbers = Tensor::arange(size.iter().product::<i64>(), (Kind::Float, tch::Device::Cpu));
        (numbers.view(size.as_slice()) * 0.37).sin().abs()
    };
    if !trained.model.save(&trained.weights, place)? {
        let module = no_grad(|| {
            let mut forward = |inputs: &[Tensor]| vec![trained.model.forward(&inputs[0], Mode::EVALUATE)];
            CModule::create_by_tracing("Model", "forward", &[inputs(2)], &mut forward)
        })?;
        module.save(place)?;
    }

    // What was written is what people will use, with other numbers of examples than the one it was traced with.
    let written = CModule::load(place)?;
    let inputs = inputs(3);
    let difference = no_grad(|| -> Result<f64> {
        let expected = trained.model.forward(&inputs, Mode::EVALUATE);
        let largest = expected.abs().max().double_value(&[]).max(1.0);
        Ok((written.forward_ts(&[&inputs])? - expected).abs().max().double_value(&[]) / largest)
    })?;
    if difference.is_nan() || difference > TOLERANCE {
        return Err(Failure::new(format!("model.pt differs from the trained model by {difference}")));
    }
    Ok(())
}
