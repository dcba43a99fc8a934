//! What libtorch can do and tch has no call for, through `native.cpp`.

#![allow(unsafe_code, reason = "a few calls of C++, each with tensors that live for the call")]

use std::ffi::{CStr, c_char, c_void};

use tch::Tensor;

use crate::failure::{Failure, Result};

type Handles = *const *mut c_void;

unsafe extern "C" {
    fn git_ml_free(text: *mut c_char);
    fn git_ml_autocast_begin(cuda: bool, half: bool) -> *mut c_char;
    fn git_ml_autocast_end(cuda: bool) -> *mut c_char;
    fn git_ml_keep_memory();
    fn git_ml_deterministic() -> *mut c_char;
    fn git_ml_adam(
        parameters: Handles,
        means: Handles,
        squares: Handles,
        steps: Handles,
        count: usize,
        rate: f64,
        beta1: f64,
        beta2: f64,
        decay: f64,
        epsilon: f64,
        decoupled: bool,
    ) -> *mut c_char;
    fn git_ml_sgd(
        parameters: Handles,
        buffers: Handles,
        count: usize,
        rate: f64,
        momentum: f64,
        decay: f64,
        first: bool,
    ) -> *mut c_char;
    fn git_ml_zero_gradients(parameters: Handles, count: usize) -> *mut c_char;
    fn git_ml_unscale(parameters: Handles, count: usize, factor: f64, finite: *mut bool) -> *mut c_char;
    fn git_ml_clip(parameters: Handles, count: usize, most: f64, norm: *mut f64) -> *mut c_char;
}

/// Tensors as C++ gets them. libtorch's tensors are counted references whose content may be changed by whoever has one.
fn handles(tensors: &[Tensor]) -> Vec<*mut c_void> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast::<c_void>().cast_mut()).collect()
}

/// The text of an error that C++ gave; none if it gave none.
pub(crate) fn told(error: *mut c_char) -> Option<String> {
    if error.is_null() {
        return None;
    }
    // SAFETY: it is a text of guarded.h's, which ends with a zero byte and is ours to free.
    let text = unsafe { CStr::from_ptr(error).to_string_lossy().into_owned() };
    // SAFETY: as above, and nobody has it any more.
    unsafe { git_ml_free(error) };
    Some(text)
}

fn check(error: *mut c_char) -> Result<()> {
    told(error).map_or(Ok(()), |text| Err(Failure::from_libtorch(&text)))
}

/// Where libtorch computes in 16 bits, while this is there.
#[must_use]
pub(crate) struct Autocast {
    cuda: bool,
}

impl Autocast {
    /// Begins to compute in bfloat16, or in float16.
    pub(crate) fn begin(cuda: bool, half: bool) -> Result<Self> {
        // SAFETY: it takes no pointers.
        check(unsafe { git_ml_autocast_begin(cuda, half) })?;
        Ok(Self { cuda })
    }
}

impl Drop for Autocast {
    fn drop(&mut self) {
        // SAFETY: it takes no pointers. What can fail in it is setting a switch that was set before.
        let _ = check(unsafe { git_ml_autocast_end(self.cuda) });
    }
}

/// Keeps freed memory for what is allocated next.
pub(crate) fn keep_memory() {
    // SAFETY: it takes no pointers.
    unsafe { git_ml_keep_memory() };
}

/// Lets libtorch choose what gives the same bits for the same input.
pub(crate) fn be_deterministic() -> Result<()> {
    // SAFETY: it takes no pointers.
    check(unsafe { git_ml_deterministic() })
}

/// The constants of Adam (Kingma and Ba 2014, arXiv:1412.6980).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adam {
    pub(crate) rate: f64,
    pub(crate) beta1: f64,
    pub(crate) beta2: f64,
    pub(crate) decay: f64,
    pub(crate) epsilon: f64,
    /// Whether weights decay beside the gradients' step (AdamW) or within it.
    pub(crate) decoupled: bool,
}

/// A step of Adam. Each parameter has its running means of gradients and of their squares, and its count of steps.
pub(crate) fn adam(
    adam: &Adam,
    parameters: &[Tensor],
    means: &[Tensor],
    squares: &[Tensor],
    steps: &[Tensor],
) -> Result<()> {
    let Adam { rate, beta1, beta2, decay, epsilon, decoupled } = *adam;
    let count = parameters.len().min(means.len()).min(squares.len()).min(steps.len());
    let lists = [parameters, means, squares, steps].map(handles);
    let [own, means, squares, steps] = &lists;
    // SAFETY: each list has `count` tensors, which outlive the call.
    check(unsafe {
        git_ml_adam(
            own.as_ptr(),
            means.as_ptr(),
            squares.as_ptr(),
            steps.as_ptr(),
            count,
            rate,
            beta1,
            beta2,
            decay,
            epsilon,
            decoupled,
        )
    })
}

/// A step of stochastic gradient descent; in the `first` one the buffers of momentum hold nothing.
pub(crate) fn sgd(
    parameters: &[Tensor],
    buffers: &[Tensor],
    rate: f64,
    momentum: f64,
    decay: f64,
    first: bool,
) -> Result<()> {
    let count = parameters.len().min(buffers.len());
    let lists = [parameters, buffers].map(handles);
    // SAFETY: each list has `count` tensors, which outlive the call.
    check(unsafe { git_ml_sgd(lists[0].as_ptr(), lists[1].as_ptr(), count, rate, momentum, decay, first) })
}

/// Forgets the gradients.
pub(crate) fn zero_gradients(parameters: &[Tensor]) -> Result<()> {
    let list = handles(parameters);
    // SAFETY: the tensors outlive the call.
    check(unsafe { git_ml_zero_gradients(list.as_ptr(), list.len()) })
}

/// Multiplies the gradients by `factor`; whether all of them are finite.
pub(crate) fn unscale(parameters: &[Tensor], factor: f64) -> Result<bool> {
    let list = handles(parameters);
    let mut finite = true;
    // SAFETY: the tensors and `finite` outlive the call.
    check(unsafe { git_ml_unscale(list.as_ptr(), list.len(), factor, &mut finite) })?;
    Ok(finite)
}

/// Scales the gradients down so that their common norm is at most `most`; the norm that they had.
pub(crate) fn clip(parameters: &[Tensor], most: f64) -> Result<f64> {
    let list = handles(parameters);
    let mut norm = 0.0;
    // SAFETY: the tensors and `norm` outlive the call.
    check(unsafe { git_ml_clip(list.as_ptr(), list.len(), most, &mut norm) })?;
    Ok(norm)
}
