//! TorchScript modules with all of their tensors, through `script.cpp`.

#![allow(unsafe_code, reason = "a few calls of C++, whose module and tensors live for the call")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use tch::{Device, Tensor};

use crate::native::told;

type Take = extern "C" fn(*mut c_void, *const c_char, *mut c_void, bool);

unsafe extern "C" {
    fn git_ml_script_free(module: *mut c_void);
    fn git_ml_script_load(bytes: *const c_char, size: usize, cuda: c_int, module: *mut *mut c_void) -> *mut c_char;
    fn git_ml_script_forward(module: *mut c_void, input: *mut c_void, output: *mut *mut c_void) -> *mut c_char;
    fn git_ml_script_train(module: *mut c_void, on: bool, frozen: *const *const c_char, count: usize) -> *mut c_char;
    fn git_ml_script_tensors(module: *mut c_void, data: *mut c_void, take: Take) -> *mut c_char;
    fn git_ml_script_save(
        module: *mut c_void,
        mean: *mut c_void,
        deviation: *mut c_void,
        place: *const c_char,
    ) -> *mut c_char;
}

/// What libtorch said, in a line.
pub(super) type ScriptResult<T> = Result<T, String>;

/// A loaded module.
pub(super) struct Script {
    module: *mut c_void,
}

/// A tensor of a module, by its name: `layer1.0.weight`.
pub(super) struct ScriptTensor {
    pub(super) name: String,
    /// The module's own: a change of its content is a change of the module.
    pub(super) tensor: Tensor,
    /// A parameter, not a buffer.
    pub(super) is_parameter: bool,
}

impl Script {
    /// Reads the bytes of a saved module.
    pub(super) fn load(bytes: &[u8], device: Device) -> ScriptResult<Self> {
        let cuda = match device {
            Device::Cuda(index) => index as c_int,
            _ => -1,
        };
        let mut module = ptr::null_mut();
        // SAFETY: the bytes and `module` outlive the call.
        check(unsafe { git_ml_script_load(bytes.as_ptr().cast(), bytes.len(), cuda, &mut module) })?;
        Ok(Self { module })
    }

    /// What the module gives for `inputs`.
    pub(super) fn forward(&self, inputs: &Tensor) -> ScriptResult<Tensor> {
        let mut output = ptr::null_mut();
        // SAFETY: the module is there until `self` is dropped, `inputs` and `output` outlive the call.
        check(unsafe { git_ml_script_forward(self.module, handle(inputs), &mut output) })?;
        // SAFETY: it is a new tensor, which nobody else has.
        Ok(unsafe { Tensor::from_ptr(output.cast()) })
    }

    /// Switches to training or to evaluation; the children in `frozen` stay in evaluation.
    pub(super) fn train(&self, on: bool, frozen: &[String]) -> ScriptResult<()> {
        let names: Vec<_> = frozen.iter().filter_map(|name| CString::new(name.as_str()).ok()).collect();
        let pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
        // SAFETY: the module is there until `self` is dropped, and the names outlive the call.
        check(unsafe { git_ml_script_train(self.module, on, pointers.as_ptr(), pointers.len()) })
    }

    /// All parameters, then all buffers.
    pub(super) fn tensors(&self) -> ScriptResult<Vec<ScriptTensor>> {
        let mut found: Vec<ScriptTensor> = Vec::new();
        // SAFETY: the module is there until `self` is dropped; `found` outlives the call, in which alone `take` is used.
        check(unsafe { git_ml_script_tensors(self.module, ptr::from_mut(&mut found).cast(), take) })?;
        Ok(found)
    }

    /// Writes a module that subtracts `mean` from its inputs, divides them by `deviation`, and hands them to this one.
    pub(super) fn save(&self, mean: &Tensor, deviation: &Tensor, place: &Path) -> ScriptResult<()> {
        let place = CString::new(place.as_os_str().as_bytes()).map_err(|error| error.to_string())?;
        // SAFETY: the module is there until `self` is dropped; the tensors and the path outlive the call.
        check(unsafe { git_ml_script_save(self.module, handle(mean), handle(deviation), place.as_ptr()) })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // SAFETY: it was made by `load`, and nobody uses it any more.
        unsafe { git_ml_script_free(self.module) }
    }
}

extern "C" fn take(data: *mut c_void, name: *const c_char, tensor: *mut c_void, is_parameter: bool) {
    // SAFETY: `data` is the list that `tensors` handed in; the name ends with a zero byte; the tensor is new and ours.
    let (found, name, tensor) =
        unsafe { (&mut *data.cast::<Vec<ScriptTensor>>(), CStr::from_ptr(name), Tensor::from_ptr(tensor.cast())) };
    found.push(ScriptTensor { name: name.to_string_lossy().into_owned(), tensor, is_parameter });
}

/// A tensor as C++ gets it. libtorch's tensors are counted references whose content may be changed by whoever has one.
fn handle(tensor: &Tensor) -> *mut c_void {
    tensor.as_ptr().cast::<c_void>().cast_mut()
}

fn check(error: *mut c_char) -> ScriptResult<()> {
    told(error).map_or(Ok(()), |text| Err(reason(&text)))
}

/// The line that says what is wrong: TorchScript puts its own trace before it.
fn reason(text: &str) -> String {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let told = lines().rev().find_map(|line| line.strip_prefix("RuntimeError: "));
    told.or_else(|| lines().next()).unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_stands_behind_torchscripts_trace() {
        let text = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript:\n  x\n\
                    RuntimeError: mat1 and mat2 shapes cannot be multiplied (2x64 and 100x10)\n";
        assert_eq!(reason(text), "mat1 and mat2 shapes cannot be multiplied (2x64 and 100x10)");
        assert_eq!(reason("\nfile not found\nmore"), "file not found");
        let told = Script::load(b"no module", Device::Cpu).err().unwrap();
        assert!(!told.is_empty() && !told.contains('\n'), "{told}");
    }
}
