//! Data tracks of other workers: the publisher's side passes each packet on as it came, the subscriber's side serves its own.

use std::time::Instant;

use sluicegate_contract::{DataTrackKey, Relay, WorkerKey};
use sluicegate_rtp::data_track::DataTrackHeader;

use super::{DataTrack, Publisher, Queue};
use crate::engine::Engine;

impl Engine {
    /// The track here, asked of the worker that has it where it is none of our own.
    pub(super) fn find_data_track(&mut self, track: DataTrackKey, from: Option<WorkerKey>) -> Option<u32> {
        if let Some(&index) = self.data_tracks.by_key.get(&track) {
            return Some(index);
        }
        let from = from.filter(|from| *from != self.config.worker)?;
        let entry = self.data_tracks.tracks.vacant_entry();
        let index = entry.key() as u32;
        let publisher = Publisher::Relay { track: index };
        entry.insert(DataTrack::new(track, publisher, Some(from)));
        self.data_tracks.by_key.insert(track, index);
        self.relays.send(from, Relay::AttachData { track });
        Some(index)
    }

    /// A relayed track without subscribers is given back.
    pub(super) fn end_data_track_if_unwanted(&mut self, index: u32) {
        let Some(track) = self.data_tracks.tracks.get(index as usize).filter(|track| track.sinks.is_empty()) else { return };
        let key = track.key;
        let Some(from) = track.from else { return };
        self.relays.send(from, Relay::DetachData { track: key });
        self.remove_data_track(key);
    }

    pub(crate) fn data_track_attached(&mut self, from: WorkerKey, key: DataTrackKey) {
        let index = self.data_tracks.by_key.get(&key).copied();
        let track = index.and_then(|index| self.data_tracks.tracks.get_mut(index as usize));
        match track.filter(|track| track.from.is_none()) {
            Some(track) => {
                track.relays.retain(|worker| *worker != from);
                track.relays.push(from);
            }
            None => self.relays.send(from, Relay::EndedData { track: key }),
        }
    }

    pub(crate) fn data_track_detached(&mut self, from: WorkerKey, key: DataTrackKey) {
        let index = self.data_tracks.by_key.get(&key).copied();
        if let Some(track) = index.and_then(|index| self.data_tracks.tracks.get_mut(index as usize)) {
            track.relays.retain(|worker| *worker != from);
        }
    }

    pub(crate) fn relayed_data_track_ended(&mut self, from: WorkerKey, key: DataTrackKey) {
        if self.relayed_data_track(from, key).is_some() {
            self.remove_data_track(key);
        }
    }

    pub(crate) fn relayed_data_packet(&mut self, now: Instant, from: WorkerKey, key: DataTrackKey, packet: Vec<u8>) {
        let Some(index) = self.relayed_data_track(from, key) else { return };
        match DataTrackHeader::parse(&packet) {
            Ok(header) => self.take_packet(now, index, header, packet),
            Err(_) => self.meters.dropped_data_track += 1,
        }
    }

    /// What a worker that began anew had or wanted.
    pub(crate) fn forget_relayed_data(&mut self, from: WorkerKey) {
        let gone = self.data_tracks.tracks.iter().filter(|(_, track)| track.from == Some(from)).map(|(_, track)| track.key);
        for key in gone.collect::<Vec<_>>() {
            self.remove_data_track(key);
        }
        for (_, track) in &mut self.data_tracks.tracks {
            track.relays.retain(|worker| *worker != from);
        }
    }

    fn relayed_data_track(&self, from: WorkerKey, key: DataTrackKey) -> Option<u32> {
        let index = *self.data_tracks.by_key.get(&key)?;
        let track = self.data_tracks.tracks.get(index as usize)?;
        (track.from == Some(from)).then_some(index)
    }

    /// What waits of one publisher.
    pub(super) fn data_queue(&mut self, publisher: Publisher) -> Option<&mut Queue> {
        match publisher {
            Publisher::Session(session) => self.sessions.get_mut(session as usize).map(|session| &mut session.tracks.queue),
            Publisher::Relay { track } => self.data_tracks.tracks.get_mut(track as usize).map(|track| &mut track.queue),
        }
    }
}
