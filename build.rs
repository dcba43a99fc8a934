//! Links the worker, and nothing else, to libtorch.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "torch")]
    worker::link();
}

#[cfg(feature = "torch")]
mod worker {
    use std::env;
    use std::fs;
    use std::path::{Path, PathBuf};

    pub(crate) fn link() {
        // torch-sys says where it found libtorch. It runs again when LIBTORCH changes, and then this does.
        let Some(libraries) = env::var_os("DEP_TCH_LIBTORCH_LIB").map(PathBuf::from) else {
            println!(
                "cargo::error=torch-sys did not say where libtorch is: set LIBTORCH to what scripts/libtorch prints"
            );
            return;
        };
        println!("cargo::rustc-env=GIT_ML_LIBTORCH_VERSION={}", version(&libraries).unwrap_or("unknown".to_owned()));
        let worker = |argument: String| println!("cargo::rustc-link-arg-bin=git-ml-torch={argument}");
        // Where `make install` puts libtorch is looked at first: an installed worker outlives the cache it was built with.
        worker("-Wl,-rpath,$ORIGIN/../lib/git-ml".to_owned());
        worker(format!("-Wl,-rpath,{}", libraries.display()));
        worker(format!("-L{}", libraries.display()));
        compile_native(&libraries, worker);
        // Nothing names a symbol of the CUDA library, which registers itself when it is loaded; the linker would leave it
        // out.
        if libraries.join("libtorch_cuda.so").exists() {
            worker("-Wl,--no-as-needed,-ltorch_cuda,--as-needed".to_owned());
        }
    }

    /// Compiles the worker's own C++. What `cc` would tell cargo would link it to git-ml too.
    fn compile_native(libraries: &Path, link: impl Fn(String)) {
        const FOLDER: &str = "src/bin/git-ml-torch";
        let sources = ["native.cpp", "models/script.cpp"].map(|name| format!("{FOLDER}/{name}"));
        for source in sources.iter().chain(&[format!("{FOLDER}/guarded.h")]) {
            println!("cargo::rerun-if-changed={source}");
        }
        let include = libraries.with_file_name("include");
        let mut build = cc::Build::new();
        build.cpp(true).std("c++20").files(sources).include(&include).include(include.join("torch/csrc/api/include"));
        // The headers are not ours to mend.
        build.cargo_metadata(false).warnings(false).compile("git_ml_native");
        let Some(folder) = env::var_os("OUT_DIR").map(PathBuf::from) else { return };
        link(folder.join("libgit_ml_native.a").display().to_string());
        for library in ["-ltorch", "-ltorch_cpu", "-lc10", "-lstdc++"] {
            link(library.to_owned());
        }
    }

    /// The version that the headers beside `libraries` give.
    fn version(libraries: &Path) -> Option<String> {
        let header = libraries.parent()?.join("include/torch/headeronly/version.h");
        println!("cargo::rerun-if-changed={}", header.display());
        let text = fs::read_to_string(header).ok()?;
        let part =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{name} ")));
        Some(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("PATCH")?))
    }
}
