//! Requests that are made again when they fail for a while, and a rate that is not exceeded.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::ObjectError;
use super::objects::{Listed, Objects, Pace};
use crate::files::Draft;

/// How often a request is made before its failure counts.
const ATTEMPTS: u32 = 8;
/// The same before the place has ever answered: then it is its name that is wrong, more often than not.
const FIRST_ATTEMPTS: u32 = 3;
/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);

/// A place whose passing failures are waited out.
#[derive(Debug)]
pub(super) struct Steady {
    objects: Box<dyn Objects>,
    /// Whether the place has answered.
    is_met: AtomicBool,
    /// How to wait. (Tests do not.)
    pause: fn(Duration),
}

impl Steady {
    pub(super) fn new(objects: Box<dyn Objects>) -> Self {
        Self { objects, is_met: AtomicBool::new(false), pause: thread::sleep }
    }

    /// One that does not wait between attempts.
    #[cfg(test)]
    pub(super) fn hasty(objects: Box<dyn Objects>) -> Self {
        Self { objects, is_met: AtomicBool::new(false), pause: |_| {} }
    }

    fn again<T>(&self, mut request: impl FnMut(&dyn Objects) -> Result<T, ObjectError>) -> Result<T, ObjectError> {
        for attempt in 1.. {
            let attempts = if self.is_met.load(Ordering::Relaxed) { ATTEMPTS } else { FIRST_ATTEMPTS };
            match request(&*self.objects) {
                Err(ObjectError::Unreachable { .. }) if attempt < attempts => (self.pause)(pause_after(attempt)),
                Err(error) => return Err(error),
                Ok(value) => {
                    self.is_met.store(true, Ordering::Relaxed);
                    return Ok(value);
                }
            }
        }
        unreachable!("the last attempt returns")
    }
}

/// How long to wait after so many failures: longer each time, and not all clients alike.
fn pause_after(failures: u32) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << (failures - 1).min(16)).min(LONGEST_PAUSE);
    // The clock's last digits are as good as a die, and need no generator.
    let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.subsec_nanos());
    let share = f64::from(nanos.wrapping_mul(2_654_435_761) >> 8) / f64::from(1u32 << 24);
    longest.mul_f64(0.5 + share / 2.0)
}

impl Objects for Steady {
    fn describe(&self) -> String {
        self.objects.describe()
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError> {
        self.again(|objects| objects.list(folder))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        self.again(|objects| objects.size(name))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let expected = range.end - range.start;
        let bytes = self.again(|objects| objects.read(name, range.clone()))?;
        if bytes.len() as u64 != expected {
            let problem = format!("{name} ended after {} of {expected} bytes", bytes.len());
            return Err(ObjectError::Failed { place: self.describe(), action: format!("read {name}"), problem });
        }
        Ok(bytes)
    }

    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        self.again(|objects| objects.put(name, content.clone()))
    }

    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        self.again(|objects| objects.put_file(name, path, pace))
    }

    fn fetch(&self, name: &str, size: u64, output: &mut Draft, pace: &Pace<'_>) -> Result<(), ObjectError> {
        self.again(|objects| objects.fetch(name, size, output, pace))
    }

    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        self.again(|objects| objects.remove(name))
    }

    fn at_once(&self) -> usize {
        self.objects.at_once()
    }

    fn gap(&self) -> u64 {
        self.objects.gap()
    }

    fn tells_times(&self) -> bool {
        self.objects.tells_times()
    }

    fn is_near(&self) -> bool {
        self.objects.is_near()
    }
}

/// A number of bytes a second that is not exceeded, however many threads send.
#[derive(Debug)]
pub(super) struct Limit {
    rate: Option<u64>,
    /// When all that was asked for so far may have been sent.
    free: Mutex<Instant>,
}

impl Limit {
    pub(super) fn new(rate: Option<u64>) -> Self {
        Self { rate: rate.filter(|rate| *rate > 0), free: Mutex::new(Instant::now()) }
    }

    /// Waits until so many bytes may be sent.
    pub(super) fn wait(&self, bytes: u64) {
        if let Some(pause) = self.pause(bytes, Instant::now()) {
            thread::sleep(pause);
        }
    }

    fn pause(&self, bytes: u64, now: Instant) -> Option<Duration> {
        let rate = self.rate?;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = (*free).max(now) + Duration::from_secs_f64(bytes as f64 / rate as f64);
        Some(*free - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        for (failures, longest) in [(1, FIRST_PAUSE), (2, 2 * FIRST_PAUSE), (50, LONGEST_PAUSE)] {
            let pause = pause_after(failures);
            assert!(pause >= longest / 2 && pause <= longest, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn a_rate_holds_over_many_pieces() {
        let limit = Limit::new(Some(1000));
        let now = Instant::now();
        limit.pause(0, now);
        assert_eq!(limit.pause(500, now).unwrap().as_millis(), 500);
        assert_eq!(limit.pause(1500, now).unwrap().as_millis(), 2000);
        // What was not used is not saved up.
        assert_eq!(limit.pause(100, now + Duration::from_secs(9)).unwrap().as_millis(), 100);
        assert_eq!(Limit::new(None).pause(1 << 40, now), None);
    }
}
