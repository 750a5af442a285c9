//! What callers want of the store's thread: changes, the newest of each row, and who waits for them.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::rows::Change;
use super::{Counts, StoreError};

/// How long changes that nobody waits for gather.
const GATHER: Duration = Duration::from_secs(1);
/// How soon writing is tried again by itself after it failed.
const RETRY: Duration = Duration::from_secs(5);
/// Rows that wait while nothing can be written; what comes beyond is given up and counted.
const WAITING_MAX: usize = 65_536;

/// Key and field.
pub type Row = (String, String);
/// The newest of each row; none: taken away.
pub type Changes = BTreeMap<Row, Option<Vec<u8>>>;
pub type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub enum Read {
    One { key: String, field: String, answer: Answer<Option<Vec<u8>>> },
    All { key: String, answer: Answer<Vec<(String, Vec<u8>)>> },
}

/// What the thread does next.
pub struct Turn {
    pub changes: Changes,
    pub flushes: Vec<Answer<()>>,
    pub reads: Vec<Read>,
    pub is_last: bool,
}

#[derive(Default)]
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    changes: Changes,
    flushes: Vec<Answer<()>>,
    reads: Vec<Read>,
    /// When the changes are written even if nobody waits for them.
    due: Option<Instant>,
    is_closed: bool,
    failures: u64,
    dropped: u64,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Queue").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

impl Queue {
    pub fn put(&self, changes: impl IntoIterator<Item = Change>) {
        let mut waiting = self.lock();
        let before = waiting.due;
        for Change { key, field, value } in changes {
            let row = (key, field);
            if waiting.changes.len() >= WAITING_MAX && !waiting.changes.contains_key(&row) {
                waiting.dropped += 1;
                continue;
            }
            waiting.changes.insert(row, value);
            waiting.due.get_or_insert_with(|| Instant::now() + GATHER);
        }
        if before != waiting.due {
            self.changed.notify_one();
        }
    }

    pub fn flush(&self, answer: Answer<()>) {
        self.ask(|waiting| waiting.flushes.push(answer));
    }

    pub fn read(&self, read: Read) {
        self.ask(|waiting| waiting.reads.push(read));
    }

    /// A closed one drops the question: whoever asks hears that.
    fn ask(&self, ask: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.lock();
        if !waiting.is_closed {
            ask(&mut waiting);
            self.changed.notify_one();
        }
    }

    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_one();
    }

    pub fn counts(&self) -> Counts {
        let waiting = self.lock();
        Counts { failures: waiting.failures, dropped: waiting.dropped, waiting: waiting.changes.len() as u64 }
    }

    /// Waits for something to do. Changes come along when they are due or waited for.
    pub fn next(&self) -> Turn {
        let mut waiting = self.lock();
        loop {
            let now = Instant::now();
            let is_due = waiting.is_closed || !waiting.flushes.is_empty() || waiting.due.is_some_and(|due| due <= now);
            if is_due || !waiting.reads.is_empty() {
                return waiting.take(is_due);
            }
            waiting = match waiting.due {
                Some(due) => self.changed.wait_timeout(waiting, due - now).map_or_else(|error| error.into_inner().0, |(w, _)| w),
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Changes that could not be written wait again, except where newer ones came.
    pub fn put_back(&self, changes: Changes) {
        let mut waiting = self.lock();
        waiting.failures += 1;
        for (row, value) in changes {
            waiting.changes.entry(row).or_insert(value);
        }
        waiting.due = Some(Instant::now() + RETRY);
    }

    /// What waits for one row.
    pub fn waiting_one(&self, row: &Row) -> Option<Option<Vec<u8>>> {
        self.lock().changes.get(row).cloned()
    }

    /// What waits for the rows of one key.
    pub fn waiting_all(&self, key: &str) -> Vec<(String, Option<Vec<u8>>)> {
        let waiting = self.lock();
        let from = waiting.changes.range((key.to_owned(), String::new())..);
        from.take_while(|((found, _), _)| found == key).map(|((_, field), value)| (field.clone(), value.clone())).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // nothing in here can panic half-way
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, with_changes: bool) -> Turn {
        let mut turn =
            Turn { changes: Changes::new(), flushes: Vec::new(), reads: std::mem::take(&mut self.reads), is_last: self.is_closed };
        if with_changes {
            turn.changes = std::mem::take(&mut self.changes);
            turn.flushes = std::mem::take(&mut self.flushes);
            self.due = None;
        }
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_rows_wait_while_nothing_is_written() {
        let queue = Queue::default();
        let change = |number: usize| Change { key: number.to_string(), field: "f".to_owned(), value: Some(vec![1]) };
        queue.put((0..WAITING_MAX).map(change));
        assert_eq!((queue.counts().waiting, queue.counts().dropped), (WAITING_MAX as u64, 0));
        queue.put([change(7), change(WAITING_MAX)]);
        assert_eq!((queue.counts().waiting, queue.counts().dropped), (WAITING_MAX as u64, 1), "one that waits is replaced");
    }
}
