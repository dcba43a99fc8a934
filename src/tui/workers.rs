//! The threads that carry effects out, so that no key ever waits for a disk.

use std::any::Any;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use super::effects::{Answer, Cancel, Effect, Kind, Lane, perform};
use super::source::{Closed, Problem, Source};

/// What is to be done with a source, or where there is none.
pub(super) type Work<'a> = &'a mut dyn FnMut(Result<&mut dyn Source, Problem>);

/// Opens a source and works with it; each thread has its own.
pub(super) type Opener = Arc<dyn Fn(Work<'_>) + Send + Sync>;

/// What a worker's thread says.
pub(super) enum Report {
    /// An effect was carried out.
    Answer(Box<Answer>),
    /// It panicked, with this.
    Panicked(Box<dyn Any + Send>),
}

/// An effect, and which one of its kind it is.
struct Job {
    effect: Effect,
    number: u64,
}

/// The number of the last effect of each kind.
#[derive(Debug, Default, Clone)]
struct Latest(Arc<Mutex<HashMap<Kind, u64>>>);

impl Latest {
    /// Gives out the next number of a kind: those before it do not count any more.
    fn next(&self, kind: Kind) -> u64 {
        let mut latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let number = latest.entry(kind).or_default();
        *number += 1;
        *number
    }

    fn is_superseded(&self, kind: Option<Kind>, number: u64) -> bool {
        let latest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kind.is_some_and(|kind| latest.get(kind).is_some_and(|latest| *latest != number))
    }
}

/// The threads, one for each lane.
pub(super) struct Workers {
    lanes: [Sender<Job>; Lane::ALL.len()],
    threads: Vec<JoinHandle<()>>,
    latest: Latest,
}

impl Workers {
    /// Starts the threads; they end when this is dropped.
    pub(super) fn start<F>(open: &Opener, report: F) -> Self
    where
        F: Fn(Report) + Clone + Send + 'static,
    {
        let latest = Latest::default();
        let mut threads = Vec::new();
        let lanes = Lane::ALL.map(|_| {
            let (sender, receiver) = channel();
            let (open, report, latest) = (open.clone(), report.clone(), latest.clone());
            threads.push(thread::spawn(move || {
                let result = catch_unwind(AssertUnwindSafe(|| serve(&open, &receiver, &latest, &report)));
                if let Err(payload) = result {
                    report(Report::Panicked(payload));
                }
            }));
            sender
        });
        Self { lanes, threads, latest }
    }

    /// Ends, after the changes that were asked for are made; what is only read for the screen is not waited for.
    pub(super) fn finish(self) {
        drop(self.lanes);
        let changes = Lane::ALL.iter().position(|lane| *lane == Lane::Changes);
        if let Some(thread) = changes.and_then(|place| self.threads.into_iter().nth(place)) {
            // One that panicked has nothing to do any more.
            let _ = thread.join();
        }
    }

    /// Hands an effect to its thread.
    pub(super) fn carry_out(&self, effect: Effect) {
        if let Effect::Cancel(kind) = effect {
            self.latest.next(kind);
            return;
        }
        let Some(lane) = effect.lane() else { return };
        let number = effect.kind().map_or(0, |kind| self.latest.next(kind));
        let place = Lane::ALL.iter().position(|known| *known == lane).unwrap_or(0);
        // A thread that panicked has said so, and the loop is about to end.
        let _ = self.lanes[place].send(Job { effect, number });
    }
}

/// Carries out what comes. The source is opened with the first effect, so that lanes that nobody uses cost nothing.
fn serve(open: &Opener, jobs: &Receiver<Job>, latest: &Latest, report: &dyn Fn(Report)) {
    let Ok(mut first) = jobs.recv().map(Some) else { return };
    open(&mut |source| {
        let mut closed;
        let source: &mut dyn Source = match source {
            Ok(source) => source,
            Err(problem) => {
                closed = Closed(problem);
                &mut closed
            }
        };
        while let Some(job) = first.take().or_else(|| jobs.recv().ok()) {
            let kind = job.effect.kind();
            let is_superseded = || latest.is_superseded(kind, job.number);
            if !is_superseded() {
                let answer = perform(source, job.effect, Cancel(&is_superseded));
                answer.into_iter().for_each(|answer| report(Report::Answer(Box::new(answer))));
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{self, FakeSource};
    use super::super::views::run;
    use super::*;
    use crate::run::LogPlace;

    fn answered(reports: &Receiver<Report>) -> Answer {
        match reports.recv() {
            Ok(Report::Answer(answer)) => *answer,
            _ => panic!("no answer"),
        }
    }

    #[test]
    fn only_the_last_of_the_details_is_loaded() {
        let (gate_sender, gate) = channel::<()>();
        let gate = Mutex::new(gate);
        let open: Opener = Arc::new(move |work| {
            // Not before all of them are waiting.
            gate.lock().unwrap().recv().unwrap();
            work(Ok(&mut FakeSource::default()));
        });
        let (sender, reports) = channel();
        let workers = Workers::start(&open, move |report| drop(sender.send(report)));
        let runs = fixture::runs();
        for run in &runs[..3] {
            workers.carry_out(Effect::Run(run::Request::Series(run.id, run.commit)));
        }
        workers.carry_out(Effect::Run(run::Request::Log(runs[1].id, LogPlace::End)));
        gate_sender.send(()).unwrap();
        let Answer::Run(run::Answer::Series(loaded, ..)) = answered(&reports) else { panic!() };
        assert_eq!(loaded, runs[2].id);
        assert!(matches!(answered(&reports), Answer::Run(run::Answer::Log(..))));
    }

    #[test]
    fn what_nobody_waits_for_is_told_so_and_gives_no_answer() {
        let latest = Latest::default();
        let number = latest.next("series");
        assert!(!latest.is_superseded(Some("series"), number) && !latest.is_superseded(None, 0));
        latest.next("series");
        let is_superseded = || latest.is_superseded(Some("series"), number);
        let run = fixture::runs().swap_remove(1);
        let effect = Effect::Run(run::Request::Series(run.id, None));
        assert!(perform(&mut FakeSource::default(), effect, Cancel(&is_superseded)).is_none());
    }

    #[test]
    fn threads_answer_and_say_what_they_died_of() {
        let open: Opener = Arc::new(|work| work(Ok(&mut FakeSource::default())));
        let (sender, reports) = channel();
        let workers = Workers::start(&open, move |report| drop(sender.send(report)));
        workers.carry_out(Effect::LoadRecords(Vec::new()));
        assert!(matches!(answered(&reports), Answer::Records(_, Ok(_))));

        let broken: Opener = Arc::new(|_| panic!("out of order"));
        let (sender, reports) = channel();
        let workers = Workers::start(&broken, move |report| drop(sender.send(report)));
        workers.carry_out(Effect::LoadRecords(Vec::new()));
        let Ok(Report::Panicked(payload)) = reports.recv() else { panic!("no panic was reported") };
        assert_eq!(payload.downcast_ref(), Some(&"out of order"));

        let closed: Opener = Arc::new(|work| work(Err("not a repository".to_owned())));
        let (sender, reports) = channel();
        let workers = Workers::start(&closed, move |report| drop(sender.send(report)));
        workers.carry_out(Effect::LoadRecords(Vec::new()));
        let Answer::Records(_, Err(problem)) = answered(&reports) else { panic!("no error") };
        assert_eq!(problem, "not a repository");
    }
}
