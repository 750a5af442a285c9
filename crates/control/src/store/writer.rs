//! The store's thread: takes what gathered, writes it at once, answers. A database that failed is opened anew.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::StoreError;
use super::file::{File, Place};
use super::queue::{Queue, Read, Turn};

pub fn start(place: Place, queue: Arc<Queue>) -> Result<JoinHandle<()>, StoreError> {
    let file = contained(&place, || File::open(&place))?;
    let mut writer = Writer { place, queue, file: Some(file), is_failing: false };
    let thread = std::thread::Builder::new().name("store".to_owned());
    thread.spawn(move || writer.run()).map_err(|error| StoreError::Write(error.to_string()))
}

/// A damaged file may make the database panic; that is an error like any other.
fn contained<T>(place: &Place, work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(place.damaged("the database panicked")))
}

struct Writer {
    place: Place,
    queue: Arc<Queue>,
    /// None: it failed and is to be opened anew.
    file: Option<File>,
    is_failing: bool,
}

impl Writer {
    fn run(&mut self) {
        loop {
            let Turn { changes, flushes, reads, is_last } = self.queue.next();
            if !changes.is_empty() || (!flushes.is_empty() && self.is_failing) {
                let written = self.with_file(|file| file.write(&changes));
                self.note(&written);
                for flush in flushes {
                    let _ = flush.send(written.clone());
                }
                if written.is_err() {
                    self.queue.put_back(changes);
                }
            } else {
                for flush in flushes {
                    let _ = flush.send(Ok(()));
                }
            }
            for read in reads {
                self.answer(read);
            }
            if is_last {
                return;
            }
        }
    }

    fn with_file<T>(&mut self, work: impl FnOnce(&File) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let (place, open) = (&self.place, self.file.take());
        let done = contained(place, || {
            let file = open.map_or_else(|| File::open(place), Ok)?;
            let done = work(&file)?;
            Ok((file, done))
        });
        done.map(|(file, done)| {
            self.file = Some(file);
            done
        })
    }

    /// The first failure of a row of them is worth a line, and its end.
    fn note(&mut self, written: &Result<(), StoreError>) {
        match written {
            Err(error) if !self.is_failing => {
                tracing::warn!(%error, "rooms go on, but what changes now does not survive a restart; trying again every few seconds");
            }
            Ok(()) if self.is_failing => tracing::info!("the state can be written again"),
            _ => {}
        }
        self.is_failing = written.is_err();
    }

    /// What waits to be written is newer than the file.
    fn answer(&mut self, read: Read) {
        match read {
            Read::One { key, field, answer } => {
                let row = (key, field);
                let value = match self.queue.waiting_one(&row) {
                    Some(value) => Ok(value),
                    None => self.with_file(|file| file.get(&row.0, &row.1)),
                };
                let _ = answer.send(value);
            }
            Read::All { key, answer } => {
                let rows = self.with_file(|file| file.list(&key));
                let merged = rows.map(|rows| {
                    let mut merged: BTreeMap<String, Vec<u8>> = rows.into_iter().collect();
                    for (field, value) in self.queue.waiting_all(&key) {
                        match value {
                            Some(value) => drop(merged.insert(field, value)),
                            None => drop(merged.remove(&field)),
                        }
                    }
                    merged.into_iter().collect()
                });
                let _ = answer.send(merged);
            }
        }
    }
}
