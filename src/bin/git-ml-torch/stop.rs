//! Being asked to stop: the step in progress is finished, what is needed to go on is kept, and only then the signal does
//! what it does by default.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::failure::{Failure, Result};

/// Which signal came, if any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop {
    signal: Arc<AtomicUsize>,
}

impl Stop {
    /// From now on signals do nothing but set this.
    pub(crate) fn listen() -> Result<Self> {
        let stop = Self::default();
        for signal in [SIGHUP, SIGINT, SIGTERM] {
            signal_hook::flag::register_usize(signal, Arc::clone(&stop.signal), signal as usize)
                .map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))?;
        }
        Ok(stop)
    }

    /// Whether a signal came.
    pub(crate) fn is_wanted(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0
    }

    /// Ends this process as the signal that came does by default.
    pub(crate) fn obey(&self) {
        // What cannot be obeyed ends with the exit code that follows.
        let _ = signal_hook::low_level::emulate_default_handler(self.signal.load(Ordering::Relaxed) as i32);
    }
}
