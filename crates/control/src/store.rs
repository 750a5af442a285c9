//! What outlives the process: rows under LiveKit's key names with LiveKit's protobuf bytes, in one file of an embedded database.
//!
//! Callers await; one thread owns the file and writes everything that has gathered in one transaction with one fsync. What was
//! answered with `Ok` by [`Store::commit`] or [`Store::flush`] survives a kill -9. While nothing can be written (a full disk),
//! durable callers get the error, everything else waits here, is read from here, and is tried again.

mod file;
mod queue;
pub mod rows;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use file::Place;
use queue::{Queue, Read};
use rows::{Change, Hash, Value};

/// The file in the directory of data.
const FILE_NAME: &str = "store.redb";

/// Clear enough for whoever reads it: at the start it names the file and the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("{path} is in use by another process: each server needs a data_dir of its own")]
    Locked { path: String },
    #[error(
        "{path} was written by a newer version (its format is {found}, this version knows {known}): start that version, or move the file away and lose what it holds"
    )]
    Newer { path: String, found: u64, known: u64 },
    #[error("{path} is damaged or no file of ours ({why}): put a backup in its place, or move it away and lose what it holds")]
    Damaged { path: String, why: String },
    #[error("cannot open {path}: {why}")]
    Open { path: String, why: String },
    #[error("the row {field} of {key} cannot be read: {why}")]
    Row { key: String, field: String, why: String },
    #[error("the state cannot be written: {0}")]
    Write(String),
    #[error("the state cannot be read: {0}")]
    Read(String),
    #[error("the store is closed")]
    Closed,
}

/// A handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: Arc<Queue>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl Store {
    /// Opens or makes the file in this directory, which is made where there is none. Blocks: for the start.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        file::make_directory(directory)?;
        let store = Self::start(Place::File(Self::path(directory)))?;
        file::sync_directory(directory)?;
        Ok(store)
    }

    /// Nothing outlives the process.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::start(Place::Memory)
    }

    fn start(place: Place) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let writer = writer::start(place, Arc::clone(&queue))?;
        Ok(Self(Arc::new(Inner { queue, writer: Mutex::new(Some(writer)) })))
    }

    /// Where the file is in this directory.
    pub fn path(directory: &Path) -> PathBuf {
        directory.join(FILE_NAME)
    }

    /// All of these changes or none; returns when they are on the disk.
    pub async fn commit(&self, changes: impl IntoIterator<Item = Change>) -> Result<(), StoreError> {
        self.later(changes);
        self.flush().await
    }

    /// Within about a second, together. Reads see them at once.
    pub fn later(&self, changes: impl IntoIterator<Item = Change>) {
        self.0.queue.put(changes);
    }

    /// Returns when everything that was said before is on the disk.
    pub async fn flush(&self) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.flush(answer);
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    pub async fn get<V: Value>(&self, hash: &Hash<V>, field: &str) -> Result<Option<V>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.read(Read::One { key: hash.key().to_owned(), field: field.to_owned(), answer });
        let bytes = answered.await.unwrap_or(Err(StoreError::Closed))?;
        bytes.map(|bytes| hash.decode(field, &bytes)).transpose()
    }

    /// All fields of a hash, by field.
    pub async fn list<V: Value>(&self, hash: &Hash<V>) -> Result<Vec<(String, V)>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.queue.read(Read::All { key: hash.key().to_owned(), answer });
        let rows = answered.await.unwrap_or(Err(StoreError::Closed))?;
        rows.into_iter().map(|(field, bytes)| hash.decode(&field, &bytes).map(|value| (field, value))).collect()
    }

    /// Writes what waits and lets the file go. Blocks: for the end.
    pub fn close(&self) {
        self.0.queue.close();
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if writer.is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the store's thread panicked");
        }
    }

    /// Attempts to write that failed, and changes that wait for one.
    pub fn counts(&self) -> Counts {
        self.0.queue.counts()
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub failures: u64,
    /// Given up while nothing could be written.
    pub dropped: u64,
    pub waiting: u64,
}
