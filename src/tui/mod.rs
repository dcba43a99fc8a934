//! The terminal dashboard: one `App` with `update(Action) -> Effects`, and `draw(&App)`.
//!
//! Architecture invariant: `update` does no input or output; effects are carried out by the loop around it, those that
//! read the repository on threads of their own, so that no key waits for them.

mod app;
mod bindings;
mod chart;
mod content;
mod context;
mod effects;
mod files;
#[cfg(test)]
mod fixture;
mod fuzzy;
mod input;
mod keys;
mod layout;
mod lend;
mod list;
mod memory;
mod mouse;
mod overlay;
mod parts;
mod series;
mod source;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod views;
mod workers;

pub use terminal::Screen;
pub use theme::{Background, ColorDepth, Theme};

use std::any::Any;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use signal_hook::consts::signal::{SIGHUP, SIGINT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;

use crate::track::Workspace;
use crate::words::with_causes;

use app::{Action, App};
use effects::{Answer, Effect};
use keys::Key;
use mouse::Presses;
use source::RepositorySource;
use workers::{Opener, Report, Workers};

/// How often the clock moves on.
const TICK: Duration = Duration::from_millis(250);

/// What to show, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// A folder in the repository.
    pub folder: PathBuf,
    /// What the header calls it.
    pub place: String,
    /// The colours.
    pub theme: Theme,
}

/// Why the dashboard ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The user quit.
    Quit,
    /// This signal asked for it.
    Signal(i32),
}

/// Something that the loop waits for.
enum Incoming {
    Terminal(Event),
    TerminalLost(io::Error),
    Signal(i32),
    Answer(Box<Answer>),
    Panicked(Box<dyn Any + Send>),
}

/// Shows the dashboard until the user quits. Fails only where the terminal does; the terminal is given back in any
/// case.
pub fn run(options: &Options) -> io::Result<Outcome> {
    let folder = options.folder.clone();
    let open: Opener = Arc::new(move |work| match Workspace::discover(&folder) {
        Ok(workspace) => work(Ok(&mut RepositorySource::new(&workspace))),
        Err(error) => work(Err(with_causes(&error))),
    });
    let (sender, incoming) = channel();
    // Before the terminal is taken: a signal that comes then must not find it taken and nobody to give it back.
    listen_for_signals(&sender)?;
    let mut screen = Screen::enter()?;
    let mut app = App::new(options.place.clone(), screen.size()?, Timestamp::now());
    screen.draw(|frame| views::draw(frame, &app, &options.theme))?;
    let gate = Gate::default();
    listen_for_keys(&sender, &gate);
    let workers = Workers::start(&open, move |report| {
        // The loop may have ended, and with it all interest.
        let _ = sender.send(match report {
            Report::Answer(answer) => Incoming::Answer(answer),
            Report::Panicked(payload) => Incoming::Panicked(payload),
        });
    });
    let mut effects = app.start();
    let mut presses = Presses::default();
    let mut next_tick = Instant::now() + TICK;
    loop {
        let mut more = Vec::new();
        for effect in effects.drain(..) {
            match effect {
                Effect::Quit => {
                    // What is being changed or remembered is done to its end.
                    workers.finish();
                    return Ok(Outcome::Quit);
                }
                Effect::Copy(text) => screen.copy(&text)?,
                Effect::Lend(errand) => {
                    if let Err(problem) = gate.lend(&mut screen, || errand.run(&options.folder))? {
                        more.extend(app.update(Action::Failed(problem)));
                    }
                }
                Effect::Redraw => screen.clear()?,
                Effect::Suspend => gate.lend(&mut screen, suspend)?,
                load => workers.carry_out(load),
            }
        }
        effects.append(&mut more);
        // What the screen is now, whatever was said of it: a frame that does not fit would be torn.
        let size = screen.size()?;
        if size != app.context.size {
            effects.extend(app.update(Action::Resize(size.0, size.1)));
        }
        screen.draw(|frame| views::draw(frame, &app, &options.theme))?;
        for event in wait(&incoming, next_tick) {
            match event {
                Incoming::Terminal(event) => {
                    if let Some(action) = action_of(event, &mut presses) {
                        effects.extend(app.update(action));
                    }
                }
                Incoming::Answer(answer) => effects.extend(app.update(Action::Loaded(answer))),
                Incoming::Signal(signal) => return Ok(Outcome::Signal(signal)),
                Incoming::TerminalLost(error) => return Err(error),
                Incoming::Panicked(payload) => std::panic::resume_unwind(payload),
            }
        }
        if Instant::now() >= next_tick {
            next_tick = Instant::now() + TICK;
            effects.extend(app.update(Action::Tick(Timestamp::now())));
        }
    }
}

/// All that has happened, after waiting for it until `deadline`. One frame shows all of it.
fn wait(incoming: &Receiver<Incoming>, deadline: Instant) -> Vec<Incoming> {
    let first = match incoming.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
        Ok(first) => first,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Vec::new(),
    };
    std::iter::once(first).chain(incoming.try_iter()).collect()
}

fn action_of(event: Event, presses: &mut Presses) -> Option<Action> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => Key::of(&key).map(Action::Press),
        Event::Mouse(event) => presses.read(&event, Instant::now()).map(Action::Mouse),
        Event::Paste(text) => Some(Action::Paste(text)),
        Event::Resize(width, height) => Some(Action::Resize(width, height)),
        _ => None,
    }
}

fn listen_for_signals(sender: &Sender<Incoming>) -> io::Result<()> {
    let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT])?;
    let sender = sender.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            // Where the loop is gone, so is what the signal was to end.
            let _ = sender.send(Incoming::Signal(signal));
        }
    });
    Ok(())
}

/// Keeps the thread that reads keys from reading those of a program that the terminal is lent to.
#[derive(Debug, Clone, Default)]
struct Gate(Arc<(AtomicBool, Mutex<()>)>);

/// How long the thread that reads keys waits for one before it looks at the gate.
const READ: Duration = Duration::from_millis(40);

impl Gate {
    /// Reads what happens in the terminal next, unless the terminal is lent out.
    fn read(&self) -> io::Result<Option<Event>> {
        let (is_closed, reading) = &*self.0;
        if is_closed.load(Ordering::SeqCst) {
            thread::sleep(READ);
            return Ok(None);
        }
        let _reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
        if event::poll(READ)? { event::read().map(Some) } else { Ok(None) }
    }

    /// Lends the terminal out, its keys included.
    fn lend<T>(&self, screen: &mut Screen, meanwhile: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let (is_closed, reading) = &*self.0;
        is_closed.store(true, Ordering::SeqCst);
        // Whoever is reading now ends soon and does not begin again.
        drop(reading.lock().unwrap_or_else(PoisonError::into_inner));
        let result = screen.lend(meanwhile);
        is_closed.store(false, Ordering::SeqCst);
        result
    }
}

fn listen_for_keys(sender: &Sender<Incoming>, gate: &Gate) {
    let (sender, gate) = (sender.clone(), gate.clone());
    thread::spawn(move || {
        loop {
            let (incoming, lost) = match gate.read() {
                Ok(event) => (event.map(Incoming::Terminal), false),
                Err(error) => (Some(Incoming::TerminalLost(error)), true),
            };
            if incoming.is_some_and(|incoming| sender.send(incoming).is_err()) || lost {
                return;
            }
        }
    });
}

/// Stops this process as Ctrl-Z does, until the shell continues it.
fn suspend() -> io::Result<()> {
    signal_hook::low_level::emulate_default_handler(SIGTSTP)
}
