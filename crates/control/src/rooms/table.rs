//! Names and keys of the living rooms. One lock, held for look-ups only and never over an await.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluicegate_contract::RoomKey;
use sluicegate_proto::pb;
use tokio::sync::mpsc;

use super::Mail;

#[derive(Debug, Default)]
pub struct Table(Mutex<Maps>);

#[derive(Debug, Default)]
struct Maps {
    by_name: BTreeMap<String, Entry>,
    by_key: HashMap<RoomKey, mpsc::Sender<Mail>>,
    next_key: u32,
}

#[derive(Debug)]
struct Entry {
    key: RoomKey,
    inbox: mpsc::Sender<Mail>,
    /// The room as it last showed itself.
    snapshot: pb::Room,
}

impl Table {
    pub fn inbox(&self, name: &str) -> Option<mpsc::Sender<Mail>> {
        self.lock().by_name.get(name).map(|entry| entry.inbox.clone())
    }

    pub fn inbox_of(&self, key: RoomKey) -> Option<mpsc::Sender<Mail>> {
        self.lock().by_key.get(&key).cloned()
    }

    pub fn inboxes(&self) -> Vec<mpsc::Sender<Mail>> {
        self.lock().by_key.values().cloned().collect()
    }

    /// The room of this name; where there is none, what `make` makes with the next key.
    pub fn find_or_insert(
        &self,
        name: &str,
        make: impl FnOnce(RoomKey) -> Option<(mpsc::Sender<Mail>, pb::Room)>,
    ) -> Option<mpsc::Sender<Mail>> {
        let mut maps = self.lock();
        if let Some(entry) = maps.by_name.get(name) {
            return Some(entry.inbox.clone());
        }
        let key = RoomKey(maps.next_key);
        maps.next_key = maps.next_key.wrapping_add(1);
        let (inbox, snapshot) = make(key)?;
        maps.by_key.insert(key, inbox.clone());
        maps.by_name.insert(name.to_owned(), Entry { key, inbox: inbox.clone(), snapshot });
        Some(inbox)
    }

    pub fn update(&self, name: &str, key: RoomKey, snapshot: pb::Room) {
        if let Some(entry) = self.lock().by_name.get_mut(name).filter(|entry| entry.key == key) {
            entry.snapshot = snapshot;
        }
    }

    pub fn remove(&self, name: &str, key: RoomKey) {
        let mut maps = self.lock();
        maps.by_key.remove(&key);
        if maps.by_name.get(name).is_some_and(|entry| entry.key == key) {
            maps.by_name.remove(name);
        }
    }

    /// By name; no names are all.
    pub fn snapshots(&self, names: &[String]) -> Vec<pb::Room> {
        let maps = self.lock();
        let entries = maps.by_name.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
        entries.map(|(_, entry)| entry.snapshot.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        // nothing in here can panic half-way
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
