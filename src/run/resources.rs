//! What a run takes while it goes: CPU, memory, disk, network and GPUs, as metrics `system.*`.
//!
//! | metric | what it is |
//! | --- | --- |
//! | `system.cpu_percent` | CPU of the command and all that it started; 100 is one core |
//! | `system.memory_bytes` | their resident memory |
//! | `system.processes` | how many they are |
//! | `system.disk.read_bytes`, `system.disk.written_bytes` | what they read from and wrote to disks, since the start |
//! | `system.machine.cpu_percent` | CPU of the machine; 100 is all cores |
//! | `system.machine.memory_bytes` | memory in use on the machine |
//! | `system.machine.disk_free_bytes` | what is free where the run is kept |
//! | `system.network.received_bytes`, `system.network.sent_bytes` | the machine's network without loopback, since the start |
//! | `system.gpu0.utilization_percent`, `.memory_bytes`, `.power_watts`, `.temperature_celsius` | of each NVIDIA GPU |
//!
//! The step of a value is the second of the run that it was taken in.

use std::path::{Path, PathBuf};
use std::time::Instant;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use sysinfo::{Networks, System};

/// Takes samples of one command's resources.
pub(super) struct Sampler {
    process: u32,
    folder: PathBuf,
    system: System,
    networks: Networks,
    /// Bytes that the machine had received and sent when this began.
    network_before: (u64, u64),
    /// CPU seconds at a moment: those of the command are none at its start.
    cpu_before: (Instant, f64),
    has_sampled: bool,
    gpus: Option<Nvml>,
}

impl Sampler {
    /// A sampler of the process `process`, which began at `started`, and of what it starts.
    pub(super) fn new(process: u32, folder: &Path, started: Instant) -> Self {
        let mut system = System::new();
        system.refresh_cpu_usage();
        let networks = Networks::new_with_refreshed_list();
        // Without a driver there is nothing to ask; to look for its library takes a while.
        let has_driver = ["/proc/driver/nvidia", "/dev/dxg"].iter().any(|place| Path::new(place).exists());
        Self {
            process,
            folder: folder.to_path_buf(),
            system,
            network_before: network_totals(&networks),
            networks,
            cpu_before: (started, 0.0),
            has_sampled: false,
            gpus: if has_driver { Nvml::init().ok() } else { None },
        }
    }

    /// The present values, by name, without `system.`.
    pub(super) fn sample(&mut self) -> Vec<(String, f64)> {
        let mut values = Vec::new();
        let mut add = |name: &str, value: f64| values.push((name.to_owned(), value));
        if let Some(tree) = Tree::of(self.process) {
            let now = Instant::now();
            let seconds = now.duration_since(self.cpu_before.0).as_secs_f64();
            if seconds > 0.0 {
                // What a process that ended took is its parent's only when that has waited for it.
                add("cpu_percent", (100.0 * (tree.cpu_seconds - self.cpu_before.1) / seconds).max(0.0));
            }
            self.cpu_before = (now, tree.cpu_seconds);
            add("memory_bytes", tree.memory as f64);
            add("processes", tree.processes as f64);
            if let Some((read, written)) = tree.disk {
                add("disk.read_bytes", read as f64);
                add("disk.written_bytes", written as f64);
            }
        }
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        // The first is since a moment ago, and says nothing.
        if self.has_sampled {
            add("machine.cpu_percent", f64::from(self.system.global_cpu_usage()));
        }
        self.has_sampled = true;
        add("machine.memory_bytes", self.system.used_memory() as f64);
        if let Ok(disk) = rustix::fs::statvfs(&self.folder) {
            add("machine.disk_free_bytes", disk.f_bavail as f64 * disk.f_frsize as f64);
        }
        self.networks.refresh(true);
        let (received, sent) = network_totals(&self.networks);
        add("network.received_bytes", received.saturating_sub(self.network_before.0) as f64);
        add("network.sent_bytes", sent.saturating_sub(self.network_before.1) as f64);
        for number in 0..self.gpus.as_ref().and_then(|gpus| gpus.device_count().ok()).unwrap_or(0) {
            let Some(gpu) = self.gpus.as_ref().and_then(|gpus| gpus.device_by_index(number).ok()) else { continue };
            // Each may be unknown to a device.
            let known = [
                ("utilization_percent", gpu.utilization_rates().ok().map(|rates| f64::from(rates.gpu))),
                ("memory_bytes", gpu.memory_info().ok().map(|memory| memory.used as f64)),
                ("power_watts", gpu.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1000.0)),
                ("temperature_celsius", gpu.temperature(TemperatureSensor::Gpu).ok().map(f64::from)),
            ];
            for (name, value) in known {
                value.into_iter().for_each(|value| add(&format!("gpu{number}.{name}"), value));
            }
        }
        values
    }
}

fn network_totals(networks: &Networks) -> (u64, u64) {
    let outside = networks.iter().filter(|(name, _)| !name.starts_with("lo"));
    outside
        .fold((0, 0), |(received, sent), (_, data)| (received + data.total_received(), sent + data.total_transmitted()))
}

/// What a process and all that it started take together.
#[derive(Debug, Default)]
struct Tree {
    cpu_seconds: f64,
    memory: u64,
    processes: usize,
    /// Bytes read and written; none where the system does not say.
    disk: Option<(u64, u64)>,
}

impl Tree {
    /// Of a process; none where the system tells nothing.
    fn of(process: u32) -> Option<Self> {
        let ticks_per_second = rustix::param::clock_ticks_per_second() as f64;
        let page = rustix::param::page_size() as u64;
        let mut tree = Self::default();
        for process in family(process) {
            let Ok(stat) = std::fs::read_to_string(format!("/proc/{process}/stat")) else { continue };
            // The second field is the program's name in parentheses, which may hold anything.
            let Some((_, fields)) = stat.rsplit_once(')') else { continue };
            let fields: Vec<u64> = fields.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
            // Its own time and that of children it waited for; then its resident pages.
            let ticks: u64 = fields.iter().skip(11).take(4).sum();
            tree.cpu_seconds += ticks as f64 / ticks_per_second;
            tree.memory += fields.get(21).copied().unwrap_or(0) * page;
            tree.processes += 1;
            let Ok(disk) = std::fs::read_to_string(format!("/proc/{process}/io")) else { continue };
            let value = |key: &str| {
                let found = disk.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
                found.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
            };
            let (read, written) = tree.disk.unwrap_or_default();
            tree.disk = Some((read + value("read_bytes"), written + value("write_bytes")));
        }
        (tree.processes > 0).then_some(tree)
    }
}

/// A process and those that it started, and they, as far as the system tells.
pub(super) fn family(process: u32) -> Vec<u32> {
    /// Processes that are looked at.
    const MOST: usize = 4096;
    let mut family = vec![process];
    let mut asked = 0;
    while let Some(parent) = family.get(asked).copied().filter(|_| family.len() < MOST) {
        asked += 1;
        // Each thread has the children that it started.
        let threads = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
        for thread in threads {
            let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    family
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_a_command_and_its_children_take_is_seen() {
        let started = Instant::now();
        let mut child = Command::new("sh").args(["-c", "while :; do :; done & wait"]).spawn().expect("a shell");
        let folder = tempfile::tempdir().expect("temporary folder");
        let mut sampler = Sampler::new(child.id(), folder.path(), started);
        let value = |values: &[(String, f64)], name: &str| {
            values.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
        };
        let mut values = sampler.sample();
        // A process takes CPU as soon as it is let to.
        while value(&values, "cpu_percent").unwrap_or_default() == 0.0 {
            assert!(started.elapsed().as_secs() < 60, "{values:?}");
            values = sampler.sample();
        }
        assert_eq!(value(&values, "processes"), Some(2.0), "{values:?}");
        assert!(value(&values, "memory_bytes") > Some(100_000.0), "{values:?}");
        for name in ["machine.memory_bytes", "machine.disk_free_bytes", "machine.cpu_percent"] {
            assert!(value(&values, name).is_some(), "{name}: {values:?}");
        }
        for process in family(child.id()) {
            let process = rustix::process::Pid::from_raw(process.cast_signed()).expect("a process");
            let _ = rustix::process::kill_process(process, rustix::process::Signal::KILL);
        }
        child.wait().expect("its end");
    }
}
