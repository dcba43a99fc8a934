//! A network that was made in Python: a TorchScript module, scripted or traced.
//!
//! It is trusted as much as the recipe that names it: TorchScript has operations that read and write files.

use std::cell::Cell;
use std::panic;
use std::path::Path;

use tch::{Device, Kind, Tensor, nn, no_grad};

use super::script::Script;
use super::{Mode, ModelSource, Network, Shape};
use crate::failure::{Failure, Result};

/// How much two runs over the same example may differ.
const TOLERANCE: f64 = 1e-3;

pub(crate) struct Torchscript {
    /// What it is called in errors.
    name: String,
    /// As it was in Python, to be made a file again.
    bytes: Vec<u8>,
    script: Script,
    layers: Vec<String>,
    /// What the module was last switched to.
    mode: Cell<Option<Mode>>,
}

impl Torchscript {
    /// The module in `source`, whose tensors become variables of `store` under their own names.
    pub(crate) fn new(store: &nn::VarStore, shape: &Shape, source: &ModelSource) -> Result<Self> {
        let name = source.name.clone();
        let bytes = source.read()?;
        let script = Script::load(&bytes, store.device()).map_err(|problem| {
            // libtorch goes on with guesses at the cause.
            let problem = problem.split(". ").next().unwrap_or_default();
            let failure = Failure::new(format!("{name} is not a TorchScript module: {problem}"));
            failure.hint("save one in Python: `torch.jit.script(model).save(\"net.pt\")`")
        })?;
        let mut layers: Vec<String> = Vec::new();
        let mut learns = false;
        for found in script.tensors().map_err(|problem| Failure::new(format!("{name}: {problem}")))? {
            let (path, own_name) = place(store, &found.name);
            if found.is_parameter {
                if found.tensor.kind() != Kind::Float {
                    let line = format!("{name}: {} is of {:?}, and float32 is needed", found.name, found.tensor.kind());
                    return Err(Failure::new(line).hint("save it after `model.float()`"));
                }
                let layer = found.name.split('.').next().unwrap_or_default();
                if layers.iter().all(|known| known != layer) {
                    layers.push(layer.to_owned());
                }
            }
            let trainable = found.is_parameter && found.tensor.requires_grad();
            learns |= trainable;
            let _ = path.add(own_name, found.tensor, trainable);
        }
        if !learns {
            let line = format!("{name} has no parameters to train: `torch.jit.freeze` makes constants of them");
            return Err(Failure::new(line).hint("save the module without freezing it"));
        }
        let module = Self { name, bytes, script, layers, mode: Cell::new(None) };
        module.check(shape, store.device())?;
        Ok(module)
    }

    /// Refuses a module that does not give logits for each example by itself, before anything is trained.
    fn check(&self, shape: &Shape, device: Device) -> Result<()> {
        let name = &self.name;
        let inputs = |count: i64| {
            let size = [&[count], shape.input.as_slice()].concat();
            let numbers = Tensor::arange(size.iter().product::<i64>(), (Kind::Float, device)).view(size.as_slice());
            (numbers * 0.37).sin()
        };
        let run = |count: i64| {
            let ran = self.run(&inputs(count), Mode::EVALUATE);
            ran.map_err(|failure| {
                Failure::new(format!("{} (for {count} examples of {:?})", failure.line, shape.input))
                    .hint("it has to take float32 of [N, C, H, W], or [N, F] of numbers, for any N")
            })
        };
        let (two, classes) = (no_grad(|| run(2))?, shape.classes);
        if two.size() != [2, classes] {
            let line = format!(
                "{name} gives {:?} where the data has {classes} classes: for 2 examples of {:?} it has to be [2, {classes}]",
                two.size(),
                shape.input
            );
            return Err(Failure::new(line).hint("its last layer gives one number a class, before any softmax"));
        }
        let one = no_grad(|| run(1))?;
        if one.size() != [1, classes] || !one.allclose(&two.narrow(0, 0, 1), TOLERANCE, TOLERANCE, true) {
            let line =
                format!("{name} gives other logits for an example when others are beside it, in evaluation mode");
            return Err(
                Failure::new(line).hint("it was traced in training mode: script it, or trace it after `.eval()`")
            );
        }
        Ok(())
    }

    fn run(&self, inputs: &Tensor, mode: Mode) -> Result<Tensor> {
        let failed = |problem: String| {
            let failure = Failure::from_libtorch(&problem);
            Failure { line: format!("{}: {}", self.name, failure.line.trim_start_matches("libtorch: ")), ..failure }
        };
        if self.mode.get() != Some(mode) {
            let frozen = &self.layers[..mode.frozen.min(self.layers.len())];
            self.script.train(mode.train, frozen).map_err(failed)?;
            self.mode.set(Some(mode));
        }
        self.script.forward(inputs).map_err(failed)
    }
}

/// Where the tensor called `name` belongs.
fn place<'s, 'n>(store: &'s nn::VarStore, name: &'n str) -> (nn::Path<'s>, &'n str) {
    let (path, own_name) = name.rsplit_once('.').unwrap_or(("", name));
    let parts = path.split('.').filter(|part| !part.is_empty());
    (parts.fold(store.root(), |path, part| path.sub(part)), own_name)
}

impl Network for Torchscript {
    fn layers(&self) -> Vec<String> {
        self.layers.clone()
    }

    fn forward(&self, inputs: &Tensor, mode: Mode) -> Tensor {
        // As tch does with what libtorch says; the worker makes a line of it.
        self.run(inputs, mode).unwrap_or_else(|failure| panic::panic_any(failure))
    }

    fn save(&self, store: &nn::VarStore, mean: &Tensor, deviation: &Tensor, place: &Path) -> Result<bool> {
        let failed = |problem: String| Failure::new(format!("cannot write model.pt: {problem}"));
        // Made anew, so that nothing of it is left on another device or in another layout.
        let script = Script::load(&self.bytes, Device::Cpu).map_err(failed)?;
        let trained = store.variables();
        for found in script.tensors().map_err(failed)? {
            if let Some(value) = trained.get(&found.name) {
                no_grad(|| found.tensor.shallow_clone().f_copy_(value))?;
            }
        }
        script.save(mean, deviation, place).map_err(failed)?;
        Ok(true)
    }
}
