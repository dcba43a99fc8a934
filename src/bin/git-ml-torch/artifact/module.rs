//! `model.pt`: the model as TorchScript, which `torch.jit.load` opens with no code of ours.

use std::path::Path;

use tch::{CModule, Kind, Tensor, no_grad};

use crate::failure::{Failure, Result};
use crate::models::Mode;
use crate::training::Trained;

/// The largest difference between the model and its module that rounding explains.
const TOLERANCE: f64 = 1e-3;

/// Traces the model, with dropout off and its weights as constants, and writes it to `place`.
///
/// The weights have to be frozen. The file's bytes depend on the file's name, so that has to be a fixed one.
pub(crate) fn write(trained: &Trained, place: &Path) -> Result<()> {
    let images = |count: i64| {
        let size = [&[count], trained.form.shape.input.as_slice()].concat();
        let numbers = Tensor::arange(size.iter().product::<i64>(), (Kind::Float, tch::Device::Cpu));
        (numbers.view(size.as_slice()) * 0.37).sin().abs()
    };
    let module = no_grad(|| {
        let mut forward = |inputs: &[Tensor]| vec![trained.model.forward(&inputs[0], Mode::EVALUATE)];
        CModule::create_by_tracing("Model", "forward", &[images(2)], &mut forward)
    })?;
    module.save(place)?;

    // What was written is what people will use, with other numbers of images than the one it was traced with.
    let written = CModule::load(place)?;
    let images = images(3);
    let difference = no_grad(|| -> Result<f64> {
        let expected = trained.model.forward(&images, Mode::EVALUATE);
        let largest = expected.abs().max().double_value(&[]).max(1.0);
        Ok((written.forward_ts(&[&images])? - expected).abs().max().double_value(&[]) / largest)
    })?;
    if difference.is_nan() || difference > TOLERANCE {
        return Err(Failure::new(format!("model.pt differs from the trained model by {difference}")));
    }
    Ok(())
}
