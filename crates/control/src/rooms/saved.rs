//! Rooms in the store: which rows a room has, and rooms made of rows again.

use std::collections::HashMap;
use std::sync::Arc;

use sluicegate_contract::RoomKey;
use sluicegate_proto::pb;
use sluicegate_room::saved::{Saved, Vacancy};
use sluicegate_room::{Room, RoomConfig};

use super::phase::Phase;
use super::{Rooms, moment};
use crate::auth::unix_secs;
use crate::entropy;
use crate::store::rows::{Change, ROOM_EMPTY, ROOM_INTERNAL, ROOMS, Text, Value as _};
use crate::store::{Store, StoreError};

/// The rows of a room as it is now.
pub fn changes(name: &str, saved: &Saved) -> [Change; 3] {
    let empty = match saved.vacancy {
        Some(vacancy) => ROOM_EMPTY.put(name, &write_vacancy(vacancy)),
        None => ROOM_EMPTY.delete(name),
    };
    [ROOMS.put(name, &saved.info), ROOM_INTERNAL.put(name, &saved.internal), empty]
}

/// The rows of a room that is over.
pub fn deletions(name: &str) -> [Change; 3] {
    [ROOMS.delete(name), ROOM_INTERNAL.delete(name), ROOM_EMPTY.delete(name)]
}

/// What became of a room that broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Remade {
    /// It is there again.
    Made,
    /// Its rows stay: the next process, or nobody, makes it of them.
    Kept,
    /// There was nothing to make it of.
    Gone,
}

impl Rooms {
    /// Makes the rooms of an earlier process again and opens the doors; says how many there are.
    pub async fn restore(&self) -> Result<usize, StoreError> {
        // before anybody can come in
        self.0.revocations.restore(unix_secs()).await?;
        let saved = load(&self.0.store).await?;
        let rooms = saved.len();
        for saved in saved {
            let name = saved.info.name.clone();
            self.find_or_make(&name, None, |key| Some(self.made_of(saved, key)));
        }
        self.0.phases.reach(Phase::Serving);
        Ok(rooms)
    }

    /// Puts a room as it was stored last in the place of a broken one: who comes back comes to the same.
    pub(super) async fn remake(&self, name: &str, broken: RoomKey) -> Remade {
        let saved = match load_one(&self.0.store, name).await {
            Ok(Some(saved)) => saved,
            Ok(None) => return Remade::Gone,
            Err(error) => {
                tracing::error!(%error, "the room cannot be made again now");
                return Remade::Kept;
            }
        };
        // the phase under the table's lock, as where rooms are made: a room that comes after the walk of a stop would never be told
        let make = |key| (self.phase() != Phase::Stopping).then(|| self.made_of(saved, key));
        if self.find_or_make(name, Some(broken), make).is_some() { Remade::Made } else { Remade::Kept }
    }

    fn made_of(&self, saved: Saved, key: RoomKey) -> Room {
        let (now, clock) = moment();
        let config: Arc<RoomConfig> = Arc::clone(&self.0.config);
        Room::restore(now, config, key, saved, clock, entropy::random())
    }
}

async fn load_one(store: &Store, name: &str) -> Result<Option<Saved>, StoreError> {
    let Some(info) = store.get(&ROOMS, name).await? else { return Ok(None) };
    let internal = store.get(&ROOM_INTERNAL, name).await?.unwrap_or_default();
    let vacancy = store.get(&ROOM_EMPTY, name).await?.map(|text| read_vacancy(name, &text)).transpose()?;
    Ok(Some(Saved { info: pb::Room { name: name.to_owned(), ..info }, internal, vacancy }))
}

async fn load(store: &Store) -> Result<Vec<Saved>, StoreError> {
    let mut internals: HashMap<_, _> = store.list(&ROOM_INTERNAL).await?.into_iter().collect();
    let mut empty: HashMap<_, _> = store.list(&ROOM_EMPTY).await?.into_iter().collect();
    let rooms = store.list(&ROOMS).await?.into_iter().map(|(name, mut info)| {
        let vacancy = empty.remove(&name).map(|text| read_vacancy(&name, &text)).transpose()?;
        let internal = internals.remove(&name).unwrap_or_default();
        info.name = name;
        Ok(Saved { info, internal, vacancy })
    });
    rooms.collect()
}

fn write_vacancy(Vacancy { since_ms, was_joined }: Vacancy) -> Text {
    Text(format!("{}|{since_ms}", if was_joined { "left" } else { "never" }))
}

fn read_vacancy(name: &str, text: &Text) -> Result<Vacancy, StoreError> {
    let read = || {
        let (how, since) = text.0.split_once('|')?;
        let was_joined = match how {
            "left" => true,
            "never" => false,
            _ => return None,
        };
        Some(Vacancy { since_ms: since.parse().ok()?, was_joined })
    };
    let (key, field) = (ROOM_EMPTY.key().to_owned(), name.to_owned());
    read().ok_or_else(|| StoreError::Row { key, field, why: String::from_utf8_lossy(&text.to_bytes()).into_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rows_and_back() {
        let store = Store::in_memory().unwrap();
        let saved = |name: &str, vacancy| Saved {
            info: pb::Room { name: name.to_owned(), sid: format!("RM_{name}"), ..Default::default() },
            internal: pb::RoomInternal { sync_streams: name == "a", ..Default::default() },
            vacancy,
        };
        let rooms = [
            saved("a", None),
            saved("b", Some(Vacancy { since_ms: 1, was_joined: false })),
            saved("c", Some(Vacancy { since_ms: i64::MAX, was_joined: true })),
        ];
        store.commit(rooms.iter().flat_map(|saved| changes(&saved.info.name, saved))).await.unwrap();
        assert_eq!(load(&store).await.unwrap(), rooms);
        // somebody came
        store.later(changes("b", &saved("b", None)));
        assert_eq!(load(&store).await.unwrap()[1].vacancy, None);
        store.commit(["a", "b", "c"].iter().flat_map(|name| deletions(name))).await.unwrap();
        assert!(load(&store).await.unwrap().is_empty());
        for text in ["", "left", "left|x", "gone|1"] {
            let row = read_vacancy("a", &Text(text.to_owned()));
            assert!(matches!(row, Err(StoreError::Row { .. })), "{text}");
        }
    }
}
