//! The directory of data: given by the configuration, or a temporary one that ends with the process.

use std::path::{Path, PathBuf};

use sluicegate_control::{Control, Store, StoreError};
use tempfile::TempDir;

use crate::config::Config;

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot make a temporary directory: {0}")]
    Temporary(std::io::Error),
    #[error("{}: {error}; put a backup in its place, or move it away and lose what it holds", path.display())]
    Rooms { path: PathBuf, error: StoreError },
}

/// The opened state; a temporary directory goes with it.
#[derive(Debug)]
pub struct State {
    store: Store,
    path: PathBuf,
    _temporary: Option<TempDir>,
}

impl State {
    pub fn open(config: &Config) -> Result<Self, StateError> {
        if !config.data_dir.is_empty() {
            return Self::at(Path::new(&config.data_dir), None);
        }
        if !config.development {
            tracing::warn!("no data_dir is set: rooms and what else is made by the API do not survive a restart");
        }
        let temporary = tempfile::Builder::new().prefix("sluicegate-").tempdir().map_err(StateError::Temporary)?;
        let path = temporary.path().to_owned();
        Self::at(&path, Some(temporary))
    }

    fn at(directory: &Path, temporary: Option<TempDir>) -> Result<Self, StateError> {
        Ok(Self { store: Store::open(directory)?, path: Store::path(directory), _temporary: temporary })
    }

    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// The rooms of an earlier process live again.
    pub async fn restore(&self, control: &Control) -> Result<(), StateError> {
        let rooms = control.restore().await.map_err(|error| StateError::Rooms { path: self.path.clone(), error })?;
        if rooms > 0 {
            tracing::info!(rooms, "rooms of an earlier process are open again");
        }
        Ok(())
    }

    /// What waits is written, the file is let go.
    pub fn close(self) {
        self.store.close();
    }
}
