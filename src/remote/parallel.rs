//! Several requests at a time.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Runs `action` on each item, several at a time and begun in their order. After a failure none is begun.
pub(super) fn for_each<T: Send, E: Send>(
    items: Vec<T>,
    at_once: usize,
    action: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    if items.len() <= 1 {
        return items.into_iter().try_for_each(action);
    }
    let threads = at_once.clamp(1, items.len());
    let queue = Mutex::new(items.into_iter());
    let failure = Mutex::new(None);
    let work = || {
        loop {
            let Some(item) = queue.lock().unwrap_or_else(PoisonError::into_inner).next() else { return };
            if let Err(error) = action(item) {
                // Nothing is left for the others.
                queue.lock().unwrap_or_else(PoisonError::into_inner).by_ref().for_each(drop);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                return;
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// What `action` makes of each item, in their order.
pub(super) fn map<T: Send, R: Send, E: Send>(
    items: Vec<T>,
    at_once: usize,
    action: impl Fn(T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
    for_each(items.into_iter().enumerate().collect(), at_once, |(number, item)| {
        let result = action(item)?;
        *results[number].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        Ok(())
    })?;
    Ok(results.into_iter().filter_map(|result| result.into_inner().unwrap_or_else(PoisonError::into_inner)).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn all_are_done_in_order_and_a_failure_ends_it() {
        let doubled = map((0..100).collect(), 7, |number: u32| Ok::<_, ()>(2 * number)).unwrap();
        assert_eq!(doubled, (0..100).map(|number| 2 * number).collect::<Vec<_>>());
        let begun = AtomicUsize::new(0);
        let failed = for_each((0..1000).collect(), 4, |number| {
            begun.fetch_add(1, Ordering::SeqCst);
            if number == 3 { Err("three") } else { Ok(()) }
        });
        assert_eq!(failed, Err("three"));
        assert!(begun.into_inner() < 1000);
    }
}
