//! Links the worker, and nothing else, to libtorch.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_TORCH").is_none() {
        return;
    }
    // torch-sys says where it found libtorch. It runs again when LIBTORCH changes, and then this does.
    let Some(libraries) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
        println!("cargo::error=torch-sys did not say where libtorch is: set LIBTORCH to what scripts/libtorch prints");
        return;
    };
    println!("cargo::rustc-env=GIT_ML_LIBTORCH_VERSION={}", version(&libraries).unwrap_or("unknown".to_owned()));
    let worker = |argument: String| println!("cargo::rustc-link-arg-bin=git-ml-torch={argument}");
    // Where `make install` puts libtorch is looked at first: an installed worker outlives the cache it was built with.
    worker("-Wl,-rpath,$ORIGIN/../lib/git-ml".to_owned());
    worker(format!("-Wl,-rpath,{}", libraries.display()));
    worker(format!("-L{}", libraries.display()));
    // Nothing names a symbol of the CUDA library, which registers itself when it is loaded; the linker would leave it
    // out.
    if libraries.join("libtorch_cuda.so").exists() {
        worker("-Wl,--no-as-needed,-ltorch_cuda,--as-needed".to_owned());
    }
}

/// The version that the headers beside `libraries` give.
fn version(libraries: &Path) -> Option<String> {
    let header = libraries.parent()?.join("include/torch/headeronly/version.h");
    println!("cargo::rerun-if-changed={}", header.display());
    let text = fs::read_to_string(header).ok()?;
    let part = |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{name} ")));
    Some(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("PATCH")?))
}
