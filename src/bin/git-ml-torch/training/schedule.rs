//! The learning rate at each step.

use git_ml::train::recipe::{Phase, Schedule};

/// What a validation loss has to fall by, as a part of itself, to count as lower.
const PLATEAU_THRESHOLD: f64 = 1e-4;
/// Of the one-cycle policy: the part in which the rate rises, and what the highest rate is divided by at the start and
/// at the end.
const RISE: f64 = 0.3;
const START_DIVISOR: f64 = 25.0;
const END_DIVISOR: f64 = 25e4;

/// The learning rate of step `step` (from 0) of a phase with `steps_per_epoch` steps in each epoch, after epochs of the
/// phase with these validation losses.
pub(super) fn rate(phase: &Phase, step: u64, steps_per_epoch: u64, losses: &[f64]) -> f64 {
    let warmup = (phase.warmup * steps_per_epoch as f64).round();
    let total = phase.epochs as f64 * steps_per_epoch as f64;
    let step = step as f64;
    if step < warmup {
        return phase.lr * (step + 1.0) / (warmup + 1.0);
    }
    let epoch = (step / steps_per_epoch as f64).floor();
    match phase.schedule {
        Schedule::Constant => phase.lr,
        Schedule::Step => phase.lr * phase.gamma.powf((epoch / f64::from(phase.step_size)).floor()),
        Schedule::Cosine => {
            let part = (step - warmup) / (total - warmup).max(1.0);
            falling(phase.lr, phase.min_lr, part)
        }
        Schedule::OneCycle => {
            let top = (total * RISE - 1.0).max(1.0);
            if step <= top {
                falling(phase.lr / START_DIVISOR, phase.lr, step / top)
            } else {
                falling(phase.lr, phase.lr / END_DIVISOR, (step - top) / (total - 1.0 - top).max(1.0))
            }
        }
        Schedule::Plateau => (phase.lr * phase.gamma.powi(reductions(phase, losses))).max(phase.min_lr),
    }
}

/// Half a cosine from `from` to `to`.
fn falling(from: f64, to: f64, part: f64) -> f64 {
    to + (from - to) * (1.0 + (std::f64::consts::PI * part.min(1.0)).cos()) / 2.0
}

/// How often the rate was reduced after validation losses that did not fall.
fn reductions(phase: &Phase, losses: &[f64]) -> i32 {
    let mut best = f64::INFINITY;
    let (mut bad, mut reductions) = (0, 0);
    for loss in losses {
        if *loss < best * (1.0 - PLATEAU_THRESHOLD) {
            (best, bad) = (*loss, 0);
        } else {
            bad += 1;
        }
        if bad > phase.patience {
            (bad, reductions) = (0, reductions + 1);
        }
    }
    reductions
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(phase: &Phase, steps: u64, losses: &[f64]) -> Vec<f64> {
        (0..steps).map(|step| (rate(phase, step, 2, losses) * 1e4).round() / 1e4).collect()
    }

    #[test]
    fn schedules_go_as_those_of_pytorch() {
        let phase = |schedule, warmup| Phase { epochs: 4, lr: 1.0, schedule, warmup, step_size: 2, ..Phase::default() };
        assert_eq!(rates(&phase(Schedule::Constant, 1.0), 4, &[]), [0.3333, 0.6667, 1.0, 1.0]);
        assert_eq!(rates(&phase(Schedule::Step, 0.0), 8, &[]), [1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1]);
        // torch.optim.lr_scheduler.CosineAnnealingLR(T_max=8)
        let cosine = [1.0, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381];
        assert_eq!(rates(&phase(Schedule::Cosine, 0.0), 8, &[]), cosine);
        // torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=8)
        let cycle = [0.04, 0.8193, 0.9719, 0.8117, 0.556, 0.2831, 0.0766, 0.0];
        assert_eq!(rates(&phase(Schedule::OneCycle, 0.0), 8, &[]), cycle);
        let plateau = Phase { patience: 1, min_lr: 0.05, ..phase(Schedule::Plateau, 0.0) };
        assert_eq!(rate(&plateau, 6, 2, &[1.0, 0.5, 0.6]), 1.0);
        assert_eq!(rate(&plateau, 6, 2, &[1.0, 0.5, 0.6, 0.5]), 0.1);
        assert_eq!(rate(&plateau, 6, 2, &[1.0, 0.5, 0.6, 0.5, 0.5, 0.5]), 0.05);
    }
}
