//! Where a run happens: what is known without starting anything.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;

/// What this machine is: `os`, `kernel`, `architecture`, `container`, `cpu`, `cores`, `memory_bytes`, `gpu`, `gpu_driver`
/// and `git_ml`.
pub fn capture_environment() -> BTreeMap<String, String> {
    let system = rustix::system::uname();
    let text = |words: &std::ffi::CStr| words.to_string_lossy().into_owned();
    let cores = std::thread::available_parallelism().ok();
    let facts = [
        ("architecture", Some(text(system.machine()))),
        ("container", container()),
        ("cores", cores.map(|cores| cores.to_string())),
        ("cpu", cpu()),
        ("git_ml", Some(env!("CARGO_PKG_VERSION").to_owned())),
        ("gpu", gpus()),
        ("gpu_driver", gpu_driver()),
        ("kernel", Some(format!("{} {}", text(system.sysname()), text(system.release())))),
        ("memory_bytes", memory()),
        ("os", os_name()),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What keeps the processes of this machine apart from those of its host, where that says so.
fn container() -> Option<String> {
    let marks = [
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
        ("/run/.containerenv", "podman"),
        ("/.dockerenv", "docker"),
        ("/singularity", "singularity"),
    ];
    let found = marks.iter().find(|(place, _)| std::path::Path::new(place).exists());
    found.map(|(_, name)| (*name).to_owned())
}

/// The version of NVIDIA's driver.
fn gpu_driver() -> Option<String> {
    let text = head("/proc/driver/nvidia/version")?;
    let line = text.lines().find(|line| line.contains("NVRM version"))?;
    let is_version = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    line.split_whitespace().find(is_version).map(str::to_owned)
}

/// The start of a file of the system's; `/proc` makes its files as they are read, so the rest costs nothing.
fn head(path: &str) -> Option<String> {
    let mut bytes = vec![0; 8192];
    let count = File::open(path).ok()?.read(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes[..count]).into_owned())
}

/// The value of the first line `key<separator>value`.
fn value_of<'t>(text: &'t str, key: &str, separator: char) -> Option<&'t str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(separator)?;
        (name.trim() == key).then(|| value.trim())
    })
}

fn cpu() -> Option<String> {
    value_of(&head("/proc/cpuinfo")?, "model name", ':').map(str::to_owned)
}

fn memory() -> Option<String> {
    let text = head("/proc/meminfo")?;
    let kibibytes: u64 = value_of(&text, "MemTotal", ':')?.strip_suffix("kB")?.trim().parse().ok()?;
    Some((kibibytes * 1024).to_string())
}

fn os_name() -> Option<String> {
    let text = head("/etc/os-release")?;
    value_of(&text, "PRETTY_NAME", '=').map(|name| name.trim_matches('"').to_owned())
}

/// The names of NVIDIA's devices, as their driver gives them.
fn gpus() -> Option<String> {
    let folders = std::fs::read_dir("/proc/driver/nvidia/gpus").ok()?;
    let mut names: Vec<_> = folders
        .filter_map(|folder| head(folder.ok()?.path().join("information").to_str()?))
        .filter_map(|text| value_of(&text, "Model", ':').map(str::to_owned))
        .collect();
    names.sort();
    (!names.is_empty()).then(|| names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known() {
        let environment = capture_environment();
        for key in ["architecture", "cores", "git_ml", "kernel"] {
            assert!(environment.get(key).is_some_and(|value| !value.is_empty()), "{key}: {environment:?}");
        }
    }

    #[test]
    fn values_are_found_by_their_key() {
        assert_eq!(value_of("a: 1\nb b\t: 2 : 3\n", "b b", ':'), Some("2 : 3"));
        assert_eq!(value_of("a: 1", "b", ':'), None);
    }
}
