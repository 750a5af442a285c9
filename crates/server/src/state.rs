//! The state of the server: in the directory of data that the configuration gives, or in memory, where it ends with the process.

use std::path::Path;

use sluicegate_control::{Control, Store, StoreError};

use crate::config::Config;

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{place}: {error}; put a backup in its place, or move it away and lose what it holds")]
    Rooms { place: String, error: StoreError },
}

/// The opened state.
#[derive(Debug)]
pub struct State {
    store: Store,
    place: String,
}

impl State {
    /// Without a directory no file is made anywhere: the file system may be read-only.
    pub fn open(config: &Config) -> Result<Self, StateError> {
        let directory = Path::new(&config.data_dir);
        if !config.data_dir.is_empty() {
            return Ok(Self { store: Store::open(directory)?, place: Store::path(directory).display().to_string() });
        }
        if !config.development {
            tracing::warn!("no data_dir is set: rooms and what else is made by the API do not survive a restart");
        }
        Ok(Self { store: Store::in_memory()?, place: "memory".to_owned() })
    }

    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// The rooms of an earlier process live again.
    pub async fn restore(&self, control: &Control) -> Result<(), StateError> {
        let rooms = control.restore().await.map_err(|error| StateError::Rooms { place: self.place.clone(), error })?;
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
