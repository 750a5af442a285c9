//! The database file: one table of rows by key and field, one of what the file says of itself.

use std::fmt::Display;
use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{Builder, Database, DatabaseError, ReadableDatabase as _, StorageError, TableDefinition, TableError};

use super::StoreError;
use super::queue::Changes;

const ROWS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("rows");
const ABOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("sluicegate");
const FORMAT: &str = "format";
/// Of the rows; raised when an older version could not read them any more.
const FORMAT_KNOWN: u64 = 1;
const CACHE_BYTES: usize = 8 << 20;

/// Where the rows are.
#[derive(Clone, Debug)]
pub enum Place {
    File(PathBuf),
    Memory,
}

pub struct File(Database);

/// Nobody else may read what may hold passwords of trunks.
pub fn make_directory(directory: &Path) -> Result<(), StoreError> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| directory_error(directory, error))
}

/// So that a new file is still found when the power goes.
pub fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    let synced = std::fs::File::open(directory).and_then(|opened| opened.sync_all());
    synced.map_err(|error| directory_error(directory, error))
}

fn directory_error(directory: &Path, error: io::Error) -> StoreError {
    StoreError::Open { path: directory.display().to_string(), why: error.to_string() }
}

impl Place {
    fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Memory => "memory".to_owned(),
        }
    }

    pub fn damaged(&self, why: impl Display) -> StoreError {
        StoreError::Damaged { path: self.name(), why: why.to_string() }
    }

    fn open_error(&self, why: impl Display) -> StoreError {
        StoreError::Open { path: self.name(), why: why.to_string() }
    }

    fn explain(&self, error: DatabaseError) -> StoreError {
        match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => StoreError::Locked { path: self.name() },
            // so the database says that it is none
            DatabaseError::Storage(StorageError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => self.open_error(error),
            error => self.damaged(error),
        }
    }
}

impl File {
    /// Makes what is not there, checks what is: every page's sum, and the format.
    pub fn open(place: &Place) -> Result<Self, StoreError> {
        let mut builder = Builder::new();
        builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
        let database = match place {
            Place::File(path) => {
                let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
                let file = file.map_err(|error| place.open_error(error))?;
                builder.create_with_backend(FileBackend::new(file).map_err(|error| place.explain(error))?)
            }
            Place::Memory => builder.create_with_backend(InMemoryBackend::new()),
        };
        let file = Self(database.map_err(|error| place.explain(error))?);
        match file.format().map_err(|error| place.damaged(error))? {
            Some(found) if found > FORMAT_KNOWN => Err(StoreError::Newer { path: place.name(), found, known: FORMAT_KNOWN }),
            Some(_) => Ok(file),
            None => {
                file.make_new().map_err(|error| place.open_error(error))?;
                Ok(file)
            }
        }
    }

    /// None: the file is new. One that holds something else is not ours.
    fn format(&self) -> Result<Option<u64>, redb::Error> {
        let reading = self.0.begin_read()?;
        let found = match reading.open_table(ABOUT) {
            Ok(about) => about.get(FORMAT)?.map(|format| format.value()),
            Err(TableError::TableDoesNotExist(_)) => None,
            Err(error) => return Err(error.into()),
        };
        if found.is_none() && reading.list_tables()?.next().is_some() {
            return Err(redb::Error::Corrupted("it holds other tables than ours".to_owned()));
        }
        Ok(found)
    }

    fn make_new(&self) -> Result<(), redb::Error> {
        let writing = self.0.begin_write()?;
        writing.open_table(ABOUT)?.insert(FORMAT, FORMAT_KNOWN)?;
        writing.open_table(ROWS)?;
        Ok(writing.commit()?)
    }

    /// All or none, on the disk when it returns.
    pub fn write(&self, changes: &Changes) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let writing = self.0.begin_write()?;
            let mut rows = writing.open_table(ROWS)?;
            for ((key, field), value) in changes {
                let row = (key.as_str(), field.as_str());
                match value {
                    Some(value) => drop(rows.insert(row, value.as_slice())?),
                    None => drop(rows.remove(row)?),
                }
            }
            drop(rows);
            Ok(writing.commit()?)
        };
        write().map_err(|error| StoreError::Write(error.to_string()))
    }

    pub fn get(&self, key: &str, field: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let get = || -> Result<_, redb::Error> {
            let rows = self.0.begin_read()?.open_table(ROWS)?;
            Ok(rows.get((key, field))?.map(|value| value.value().to_vec()))
        };
        get().map_err(unreadable)
    }

    pub fn list(&self, key: &str) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let list = || -> Result<_, redb::Error> {
            let rows = self.0.begin_read()?.open_table(ROWS)?;
            let mut found = Vec::new();
            for row in rows.range((key, "")..)? {
                let (row, value) = row?;
                let (of, field) = row.value();
                if of != key {
                    break;
                }
                found.push((field.to_owned(), value.value().to_vec()));
            }
            Ok(found)
        };
        list().map_err(unreadable)
    }
}

fn unreadable(error: redb::Error) -> StoreError {
    StoreError::Read(error.to_string())
}
