//! What a run took of its machine, as charts: CPU, memory, disk, network and GPUs over the time since it started.

use std::collections::BTreeMap;

use crate::run::{Point, Series};
use crate::tui::chart::{Axis, ChartGrid, ChartGroup, ChartSettings, Tracks, tracks};

/// How values become those of a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// As they are.
    Same,
    /// What was counted since the start, as what is counted in a second.
    Rate,
}

/// A grid for the machine's figures: by time, since they are taken by the clock.
pub(super) fn grid() -> ChartGrid {
    ChartGrid::new(ChartSettings { axis: Axis::Elapsed, ..ChartSettings::default() })
}

/// Whether a metric is one of the machine's figures, as we or other tools take them.
pub(super) fn is_of_machine(metric: &str) -> bool {
    name_of(metric).is_some()
}

fn name_of(metric: &str) -> Option<&str> {
    metric.strip_prefix("system.").or_else(|| metric.strip_prefix("system/"))
}

/// The chart that a metric belongs to, its label there, and how its values are shown; none for what is of no machine.
fn place_of(metric: &str) -> Option<(String, String, Turn)> {
    let name = name_of(metric)?;
    let known: Option<(&str, &str, Turn)> = match name {
        "cpu_percent" => Some(("CPU, % of a core", "run", Turn::Same)),
        "machine.cpu_percent" => Some(("CPU of the machine, %", "", Turn::Same)),
        "memory_bytes" => Some(("memory, bytes", "run", Turn::Same)),
        "machine.memory_bytes" => Some(("memory, bytes", "machine", Turn::Same)),
        "disk.read_bytes" => Some(("disk, bytes a second", "read", Turn::Rate)),
        "disk.written_bytes" => Some(("disk, bytes a second", "written", Turn::Rate)),
        "machine.disk_free_bytes" => Some(("free on the disk, bytes", "", Turn::Same)),
        "network.received_bytes" => Some(("network, bytes a second", "received", Turn::Rate)),
        "network.sent_bytes" => Some(("network, bytes a second", "sent", Turn::Rate)),
        "processes" => Some(("processes", "", Turn::Same)),
        _ => None,
    };
    if let Some((title, label, turn)) = known {
        return Some((title.to_owned(), label.to_owned(), turn));
    }
    let gpu = name.strip_prefix("gpu").and_then(|rest| rest.split_once('.'));
    let gpu = gpu.filter(|(number, _)| number.parse::<u32>().is_ok());
    let titled = |title: &str| Some((title.to_owned(), format!("GPU {}", gpu?.0), Turn::Same));
    match gpu.map(|(_, quantity)| quantity) {
        Some("utilization_percent") => titled("GPU, %"),
        Some("memory_bytes") => titled("GPU memory, bytes"),
        Some("power_watts") => titled("GPU power, watts"),
        Some("temperature_celsius") => titled("GPU temperature, °C"),
        // What other tools log has names of its own.
        _ => Some((name.to_owned(), String::new(), Turn::Same)),
    }
}

/// The order of the charts: what most runs are short of first.
fn rank(title: &str) -> usize {
    const ORDER: [&str; 11] = [
        "GPU, %",
        "GPU memory, bytes",
        "CPU, % of a core",
        "memory, bytes",
        "CPU of the machine, %",
        "disk, bytes a second",
        "network, bytes a second",
        "free on the disk, bytes",
        "GPU power, watts",
        "GPU temperature, °C",
        "processes",
    ];
    ORDER.iter().position(|known| *known == title).unwrap_or(ORDER.len())
}

/// A run's own metrics, and the figures of its machine with the charts that they share.
pub(super) fn split(series: Series) -> (Tracks, Tracks) {
    let (machine, own): (Series, Series) = series.into_iter().partition(|(metric, _)| is_of_machine(metric));
    let mut groups: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    let mut figures = Series::new();
    for (metric, points) in machine {
        let Some((title, label, turn)) = place_of(&metric) else { continue };
        let points = match turn {
            Turn::Same => points,
            Turn::Rate => rates(&points),
        };
        groups.entry(title).or_default().push((metric.clone(), label));
        figures.insert(metric, points);
    }
    let mut groups: Vec<ChartGroup> =
        groups.into_iter().map(|(title, metrics)| ChartGroup { title, metrics }).collect();
    groups.sort_by(|one, other| (rank(&one.title), &one.title).cmp(&(rank(&other.title), &other.title)));
    (tracks(own), tracks(figures).grouped(groups))
}

/// What is counted in a second, at the end of each stretch between two points.
fn rates(points: &[Point]) -> Vec<Point> {
    let rate = |pair: &[Point]| {
        let [before, after] = pair else { return None };
        let seconds = after.time.duration_since(before.time).as_secs_f64();
        // A count that went down began anew.
        let more = if after.value < before.value { after.value } else { after.value - before.value };
        (seconds > 0.0).then(|| Point { value: more / seconds, ..*after })
    };
    points.windows(2).filter_map(rate).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn points(values: &[(i64, f64)]) -> Vec<Point> {
        let point = |(second, value): &(i64, f64)| Point {
            step: *second,
            time: Timestamp::from_second(*second).unwrap(),
            value: *value,
        };
        values.iter().map(point).collect()
    }

    #[test]
    fn figures_of_one_kind_share_a_chart() {
        let names = [
            "system.cpu_percent",
            "system.machine.memory_bytes",
            "system.memory_bytes",
            "system.gpu0.utilization_percent",
            "system.gpu1.utilization_percent",
            "system/gpu_0_utilization_percentage",
            "system.gpux.odd",
            "loss",
        ];
        let series: Series = names.iter().map(|name| ((*name).to_owned(), points(&[(1, 1.0), (2, 2.0)]))).collect();
        let (_, machine) = split(series);
        let shown: Vec<(String, Vec<String>)> = machine
            .groups()
            .iter()
            .map(|group| (group.title.clone(), group.metrics.iter().map(|(_, label)| label.clone()).collect()))
            .collect();
        let expected = [
            ("GPU, %", vec!["GPU 0", "GPU 1"]),
            ("CPU, % of a core", vec!["run"]),
            ("memory, bytes", vec!["machine", "run"]),
            ("gpu_0_utilization_percentage", vec![""]),
            ("gpux.odd", vec![""]),
        ];
        let expected: Vec<(String, Vec<String>)> = expected
            .into_iter()
            .map(|(title, labels)| (title.to_owned(), labels.into_iter().map(str::to_owned).collect()))
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn what_is_counted_since_the_start_becomes_a_rate() {
        let counted = points(&[(0, 0.0), (2, 100.0), (2, 100.0), (3, 400.0), (4, 50.0)]);
        let rates: Vec<(i64, f64)> = rates(&counted).iter().map(|point| (point.step, point.value)).collect();
        assert_eq!(rates, [(2, 50.0), (3, 300.0), (4, 50.0)]);
    }
}
