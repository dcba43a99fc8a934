//! Which metrics share a chart: one quantity, measured in training and in validation.

use std::collections::BTreeSet;

/// Words that tell the parts of the data apart, and what they are called in a legend.
const PARTS: [(&str, &str); 7] = [
    ("train", "train"),
    ("training", "train"),
    ("val", "val"),
    ("valid", "val"),
    ("validation", "val"),
    ("eval", "eval"),
    ("test", "test"),
];

/// A chart: what it shows, and which metrics make its lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quantity {
    /// `loss`, or the metric's whole name where it stands alone.
    pub(super) title: String,
    /// The metrics with the part that each was measured on; that is empty where it is not known.
    pub(super) metrics: Vec<(String, String)>,
}

/// The part and the quantity of a metric's name: `val_loss`, `val/loss` and `loss/val` are `loss` of `val`.
fn part_of(metric: &str) -> Option<(&'static str, &str)> {
    let lower = metric.to_ascii_lowercase();
    PARTS.iter().find_map(|(word, label)| {
        let before = lower.starts_with(word) && lower[word.len()..].starts_with(['_', '/', '.', '-']);
        let after = lower.ends_with(word) && lower[..lower.len() - word.len()].ends_with(['/', '_']);
        let quantity = match (before, after) {
            (true, _) => &metric[word.len() + 1..],
            (false, true) => &metric[..metric.len() - word.len() - 1],
            (false, false) => return None,
        };
        (!quantity.is_empty()).then_some((*label, quantity))
    })
}

/// The charts for some metrics, what was trained for first and the system's own figures last. Together, training and
/// validation share a chart; otherwise each metric has its own.
pub(super) fn quantities<'m>(metrics: impl IntoIterator<Item = &'m str>, together: bool) -> Vec<Quantity> {
    let metrics: BTreeSet<&str> = metrics.into_iter().collect();
    let mut charts: Vec<Quantity> = Vec::new();
    for metric in &metrics {
        let (label, title) = part_of(metric).filter(|_| together).unwrap_or(("", metric));
        let line = ((*metric).to_owned(), label.to_owned());
        match charts.iter_mut().find(|chart| chart.title == title) {
            Some(chart) => chart.metrics.push(line),
            None => charts.push(Quantity { title: title.to_owned(), metrics: vec![line] }),
        }
    }
    for chart in &mut charts {
        // `loss` beside `val_loss` is that of training, as Keras names them.
        let is_trained = |metrics: &[(String, String)]| metrics.iter().any(|(_, label)| label == "train");
        if chart.metrics.len() > 1 && !is_trained(&chart.metrics) {
            let plain = chart.metrics.iter_mut().filter(|(_, label)| label.is_empty());
            plain.for_each(|(_, label)| label.push_str("train"));
        }
        // Training in the first colour everywhere, whatever the alphabet says.
        chart.metrics.sort_by_key(|(_, label)| PARTS.iter().position(|(_, known)| known == label));
    }
    charts.sort_by_cached_key(|chart| (rank(&chart.title), chart.title.clone()));
    charts
}

fn rank(title: &str) -> u8 {
    match part_of(title).map_or(title, |(_, quantity)| quantity) {
        "loss" | "Loss" => 0,
        "accuracy" | "Accuracy" | "acc" => 1,
        "epoch" => 3,
        _ if title.starts_with("system.") || title.starts_with("system/") => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(metrics: &[&str], together: bool) -> Vec<String> {
        let chart = |chart: Quantity| {
            let lines: Vec<String> = chart.metrics.iter().map(|(metric, label)| format!("{label}={metric}")).collect();
            format!("{}: {}", chart.title, lines.join(" "))
        };
        quantities(metrics.iter().copied(), together).into_iter().map(chart).collect()
    }

    #[test]
    fn training_and_validation_share_a_chart() {
        let metrics = ["val_loss", "train_loss", "train/accuracy", "system.memory", "lr", "validation", "latest"];
        assert_eq!(
            summary(&metrics, true),
            [
                "loss: train=train_loss val=val_loss",
                "accuracy: train=train/accuracy",
                "latest: =latest",
                "lr: =lr",
                "validation: =validation",
                "system.memory: =system.memory",
            ]
        );
        assert_eq!(summary(&["loss", "val_loss", "epoch"], true), ["loss: train=loss val=val_loss", "epoch: =epoch"]);
        assert_eq!(summary(&["Loss/train", "Loss/test"], true), ["Loss: train=Loss/train test=Loss/test"]);
        assert_eq!(summary(&["loss"], true), ["loss: =loss"]);
    }

    #[test]
    fn apart_each_metric_has_a_chart() {
        assert_eq!(
            summary(&["lr", "val_loss", "train_loss"], false),
            ["train_loss: =train_loss", "val_loss: =val_loss", "lr: =lr"]
        );
    }

    #[test]
    fn names_of_others_do_no_harm() {
        for metric in ["", "val_", "val", "é", "trainé_loss", "/", "_val", "データ/val"] {
            assert_eq!(quantities([metric], true).len(), 1);
        }
        assert_eq!(part_of("データ/val"), Some(("val", "データ")));
        assert_eq!(part_of("trainé_loss"), None);
    }
}
