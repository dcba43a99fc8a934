//! What the dashboard asks for, and the threads that do it, so that no key ever waits for a disk.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::git::CommitInfo;
use crate::id::{CommitId, RunId};
use crate::registry::{Model, RegistryEvent};

use super::runs::{Spark, Stamp};
use super::series::{self, Charts};
use super::source::{Listing, Problem, Source};
use super::text;

/// How much of a log is read from its end.
const LOG_BYTES: u64 = 256 * 1024;

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// End.
    Quit,
    /// Leave the terminal to the shell until it brings us back.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// List the runs.
    LoadRuns,
    /// List the models.
    LoadModels,
    /// Read what happened to a model.
    LoadHistory(String),
    /// Read the points of a run, and what its commit says.
    LoadDetail(RunId, Option<CommitId>),
    /// Read the end of a run's log.
    LoadLog(RunId),
    /// Read a metric of some runs for their sparklines.
    LoadSparks {
        /// The metric.
        metric: String,
        /// Places of a sparkline.
        width: usize,
        /// The runs.
        runs: Vec<(RunId, Stamp)>,
    },
}

/// What came of an effect.
#[derive(Debug)]
pub(super) enum Answer {
    Runs(Result<Option<Listing>, Problem>),
    Models(Result<Option<Vec<Model>>, Problem>),
    History(String, Result<Vec<RegistryEvent>, Problem>),
    Detail(RunId, Result<Charts, Problem>, Option<Result<CommitInfo, Problem>>),
    Log(RunId, Result<Vec<String>, Problem>),
    Sparks(String, Vec<Spark>),
}

/// Does what an effect asks for; none for those that the terminal's loop does itself.
pub(super) fn perform(source: &mut dyn Source, effect: Effect) -> Option<Answer> {
    Some(match effect {
        Effect::Quit | Effect::Suspend | Effect::Redraw => return None,
        Effect::LoadRuns => Answer::Runs(source.runs()),
        Effect::LoadModels => Answer::Models(source.models()),
        Effect::LoadHistory(model) => {
            let events = source.history(&model);
            Answer::History(model, events)
        }
        Effect::LoadDetail(run_id, commit_id) => {
            let charts = source.series(&run_id).map(|series| series::charts(&series));
            Answer::Detail(run_id, charts, commit_id.map(|commit_id| source.commit(&commit_id)))
        }
        Effect::LoadLog(run_id) => {
            Answer::Log(run_id, source.log_tail(&run_id, LOG_BYTES).map(|bytes| log_lines(&bytes)))
        }
        Effect::LoadSparks { metric, width, runs } => {
            let spark = |(run_id, stamp): (RunId, Stamp)| {
                // A series that cannot be read leaves its sparkline empty; opening the run says why.
                let series = source.series(&run_id).unwrap_or_default();
                let points = series.get(&metric).map(Vec::as_slice).unwrap_or_default();
                (run_id, stamp, series::spark(points, width))
            };
            let sparks = runs.into_iter().map(spark).collect();
            Answer::Sparks(metric, sparks)
        }
    })
}

/// The lines of a log's end; where it was cut, the line that was cut with it is left out.
fn log_lines(bytes: &[u8]) -> Vec<String> {
    let was_cut = u64::try_from(bytes.len()).is_ok_and(|length| length >= LOG_BYTES);
    let start = if was_cut { bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1) } else { 0 };
    text::log_lines(&bytes[start..])
}

/// What an effect gets where the source could not be opened.
fn failed(effect: Effect, problem: &Problem) -> Option<Answer> {
    let problem = problem.clone();
    Some(match effect {
        Effect::Quit | Effect::Suspend | Effect::Redraw => return None,
        Effect::LoadRuns => Answer::Runs(Err(problem)),
        Effect::LoadModels => Answer::Models(Err(problem)),
        Effect::LoadHistory(model) => Answer::History(model, Err(problem)),
        Effect::LoadDetail(run_id, _) => Answer::Detail(run_id, Err(problem.clone()), Some(Err(problem))),
        Effect::LoadLog(run_id) => Answer::Log(run_id, Err(problem)),
        Effect::LoadSparks { metric, .. } => Answer::Sparks(metric, Vec::new()),
    })
}

/// What is to be done with a source, or where there is none.
pub(super) type Work<'a> = &'a mut dyn FnMut(Result<&mut dyn Source, Problem>);

/// Opens a source and works with it; each thread has its own.
pub(super) type Opener = Arc<dyn Fn(Work<'_>) + Send + Sync>;

/// What a worker's thread says.
pub(super) enum Report {
    /// An effect was carried out.
    Answer(Answer),
    /// It panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

/// The threads. Lists, one run, and sparklines do not wait for each other.
pub(super) struct Workers {
    lists: Sender<Effect>,
    detail: Sender<Effect>,
    sparks: Sender<Effect>,
}

impl Workers {
    /// Starts the threads; they end when this is dropped.
    pub(super) fn start<F>(open: &Opener, report: F) -> Self
    where
        F: Fn(Report) + Clone + Send + 'static,
    {
        let spawn = || {
            let (sender, receiver) = channel();
            let (open, report) = (open.clone(), report.clone());
            thread::spawn(move || {
                let mut work = |source: Result<&mut dyn Source, Problem>| match source {
                    Ok(source) => work(|effect| perform(source, effect), &receiver, &report),
                    Err(problem) => work(|effect| failed(effect, &problem), &receiver, &report),
                };
                if let Err(payload) = catch_unwind(AssertUnwindSafe(|| open(&mut work))) {
                    report(Report::Panicked(payload));
                }
            });
            sender
        };
        Self { lists: spawn(), detail: spawn(), sparks: spawn() }
    }

    /// Hands an effect to its thread.
    pub(super) fn carry_out(&self, effect: Effect) {
        let thread = match effect {
            Effect::LoadDetail(..) | Effect::LoadLog(_) => &self.detail,
            Effect::LoadSparks { .. } => &self.sparks,
            _ => &self.lists,
        };
        // A thread that panicked has said so, and the loop is about to end.
        let _ = thread.send(effect);
    }
}

fn work(mut answer: impl FnMut(Effect) -> Option<Answer>, effects: &Receiver<Effect>, report: &dyn Fn(Report)) {
    while let Ok(first) = effects.recv() {
        let waiting: Vec<Effect> = std::iter::once(first).chain(effects.try_iter()).collect();
        for effect in still_wanted(waiting) {
            answer(effect).into_iter().for_each(|answer| report(Report::Answer(answer)));
        }
    }
}

/// Who moves through the runs quickly is past most of them before they are loaded: of the details only the last
/// counts.
fn still_wanted(waiting: Vec<Effect>) -> Vec<Effect> {
    let kind = |effect: &Effect| match effect {
        Effect::LoadDetail(..) => Some(0),
        Effect::LoadLog(_) => Some(1),
        _ => None,
    };
    let kinds: Vec<Option<u8>> = waiting.iter().map(kind).collect();
    let superseded = |index: usize| kinds[index].is_some() && kinds[index + 1..].contains(&kinds[index]);
    waiting.into_iter().enumerate().filter(|(index, _)| !superseded(*index)).map(|(_, effect)| effect).collect()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, FakeSource};
    use super::*;

    #[test]
    fn only_the_last_of_the_details_is_loaded() {
        let run = |index: usize| fixture::runs()[index].clone();
        let detail = |index: usize| Effect::LoadDetail(run(index).id, run(index).commit);
        let waiting = vec![detail(0), Effect::LoadRuns, detail(1), Effect::LoadLog(run(1).id), detail(2)];
        assert_eq!(still_wanted(waiting), [Effect::LoadRuns, Effect::LoadLog(run(1).id), detail(2)]);
    }

    #[test]
    fn threads_answer_and_say_what_they_died_of() {
        let open: Opener = Arc::new(|work| work(Ok(&mut FakeSource::default())));
        let (sender, reports) = channel();
        let workers = Workers::start(&open, move |report| drop(sender.send(report)));
        workers.carry_out(Effect::LoadRuns);
        assert!(matches!(reports.recv(), Ok(Report::Answer(Answer::Runs(Ok(Some(_)))))));

        let broken: Opener = Arc::new(|_| panic!("out of order"));
        let (sender, reports) = channel();
        let workers = Workers::start(&broken, move |report| drop(sender.send(report)));
        workers.carry_out(Effect::LoadModels);
        let Ok(Report::Panicked(payload)) = reports.recv() else { panic!("no panic was reported") };
        assert_eq!(payload.downcast_ref(), Some(&"out of order"));

        let closed: Opener = Arc::new(|work| work(Err("not a repository".to_owned())));
        let (sender, reports) = channel();
        let workers = Workers::start(&closed, move |report| drop(sender.send(report)));
        workers.carry_out(Effect::LoadRuns);
        assert!(matches!(reports.recv(), Ok(Report::Answer(Answer::Runs(Err(_))))));
    }

    #[test]
    fn a_line_that_was_cut_is_left_out() {
        let mut log = vec![b'x'; usize::try_from(LOG_BYTES).unwrap()];
        log[10] = b'\n';
        assert_eq!(log_lines(&log).len(), 1);
        assert_eq!(log_lines(b"a\nb"), ["a", "b"]);
    }
}
