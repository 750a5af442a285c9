//! Names and keys of the living rooms. One lock, held for look-ups only and never over an await.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sluicegate_contract::{Event, RoomKey};
use sluicegate_proto::pb;
use tokio::sync::mpsc;

use super::Mail;

#[derive(Debug, Default)]
pub struct Table(Mutex<Maps>);

#[derive(Debug, Default)]
struct Maps {
    by_name: BTreeMap<String, Entry>,
    media: HashMap<RoomKey, mpsc::Sender<Event>>,
    next_key: u32,
}

/// The two ways into a room's task.
#[derive(Debug)]
pub struct Doors {
    pub inbox: mpsc::Sender<Mail>,
    pub media: mpsc::Sender<Event>,
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

    /// False: the room had too many events waiting. It gets no more, and learns it from the end of its lane.
    pub fn route(&self, event: Event) -> bool {
        let mut maps = self.lock();
        let key = event.room();
        let Some(media) = maps.media.get(&key) else { return true };
        let is_full = matches!(media.try_send(event), Err(mpsc::error::TrySendError::Full(_)));
        if is_full {
            maps.media.remove(&key);
        }
        !is_full
    }

    /// Every room's, and how many participants it showed last.
    pub fn inboxes(&self) -> Vec<(mpsc::Sender<Mail>, usize)> {
        let size = |room: &pb::Room| usize::try_from(room.num_participants).unwrap_or(usize::MAX);
        self.lock().by_name.values().map(|entry| (entry.inbox.clone(), size(&entry.snapshot))).collect()
    }

    /// The room of this name; where there is none, or it is the `broken` one, what `make` makes with the next key.
    pub fn find_or_insert(
        &self,
        name: &str,
        broken: Option<RoomKey>,
        make: impl FnOnce(RoomKey) -> Option<(Doors, pb::Room)>,
    ) -> Option<mpsc::Sender<Mail>> {
        let mut maps = self.lock();
        if let Some(entry) = maps.by_name.get(name).filter(|entry| Some(entry.key) != broken) {
            return Some(entry.inbox.clone());
        }
        let key = RoomKey(maps.next_key);
        maps.next_key = maps.next_key.wrapping_add(1);
        let (Doors { inbox, media }, snapshot) = make(key)?;
        maps.media.insert(key, media);
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
        maps.media.remove(&key);
        if maps.by_name.get(name).is_some_and(|entry| entry.key == key) {
            maps.by_name.remove(name);
        }
    }

    /// By name; no names are all.
    pub fn snapshots(&self, names: &[String]) -> Vec<pb::Room> {
        let wanted: BTreeSet<&String> = names.iter().collect();
        let maps = self.lock();
        if wanted.is_empty() {
            return maps.by_name.values().map(|entry| entry.snapshot.clone()).collect();
        }
        wanted.into_iter().filter_map(|name| maps.by_name.get(name)).map(|entry| entry.snapshot.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        // nothing in here can panic half-way
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_contract::event::SessionEnd;
    use sluicegate_contract::key::SessionKey;

    use super::*;

    #[test]
    fn a_room_that_does_not_keep_up_stalls_nobody() {
        let table = Table::default();
        let mut lanes = Vec::new();
        for name in ["slow", "other"] {
            table.find_or_insert(name, None, |key| {
                let ((inbox, mails), (media, events)) = (mpsc::channel(1), mpsc::channel(1));
                // a full inbox is nothing to the media's events
                inbox.try_send(Mail::Shutdown).unwrap();
                lanes.push((key, mails, events));
                Some((Doors { inbox, media }, pb::Room::default()))
            });
        }
        let [(slow, _slow_mails, mut slow_events), (other, _other_mails, mut other_events)] = <[_; 2]>::try_from(lanes).unwrap();
        let event = |room| Event::SessionEnded { session: SessionKey { room, index: 0 }, why: SessionEnd::Panicked };
        assert!(table.route(event(slow)));
        assert!(!table.route(event(slow)), "the lane is full");
        assert!(table.route(event(other)) && other_events.try_recv().is_ok());
        assert!(slow_events.try_recv().is_ok());
        assert_eq!(slow_events.try_recv().err(), Some(mpsc::error::TryRecvError::Disconnected), "the room learns of it");
        let named = |names: &[&str]| table.snapshots(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).len();
        assert_eq!((named(&[]), named(&["other", "nobody", "other"])), (2, 1));
        table.remove("other", other);
        assert!(table.route(event(other)), "one that is over misses nothing");
    }
}
