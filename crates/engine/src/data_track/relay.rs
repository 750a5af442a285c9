//! Data tracks between workers. The subscriber's side asks once for a track and receives its packets; that a track is over both sides
//! hear from the room.

use std::collections::VecDeque;
use std::time::Instant;

use sluicegate_contract::relay::DataPackets;
use sluicegate_contract::{DataTrackKey, Relay, WorkerKey};
use sluicegate_rtp::data_track::DataTrackHeader;

use super::{DataTracks, Source};
use crate::engine::Engine;

/// Requests for tracks that are not here yet: theirs may overtake the room's own command. What is older is of tracks that are gone.
const EARLY_MAX: usize = 256;

/// What is under way to other workers.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    messages: VecDeque<(WorkerKey, Relay)>,
    /// One growing batch per worker; a tick's budget bounds it.
    packets: Vec<(WorkerKey, DataPackets)>,
    early: VecDeque<(DataTrackKey, WorkerKey)>,
}

impl Relays {
    pub fn push(&mut self, to: WorkerKey, track: DataTrackKey, packet: &[u8]) {
        let at = self.packets.iter().position(|(worker, _)| *worker == to);
        let at = at.unwrap_or_else(|| {
            self.packets.push((to, Vec::new()));
            self.packets.len() - 1
        });
        self.packets[at].1.push((track, packet.to_vec()));
    }

    /// The workers that asked for a track before it came.
    pub fn take_early(&mut self, track: DataTrackKey) -> Vec<WorkerKey> {
        let asked = self.early.iter().filter(|(early, _)| *early == track).map(|(_, worker)| *worker).collect();
        self.early.retain(|(early, _)| *early != track);
        asked
    }
}

impl DataTracks {
    pub fn poll_relay(&mut self) -> Option<(WorkerKey, Relay)> {
        if let Some(message) = self.relays.messages.pop_front() {
            return Some(message);
        }
        self.relays.packets.pop().map(|(to, packets)| (to, Relay::DataPackets(packets)))
    }
}

/// The publisher's side.
impl Engine {
    pub(crate) fn data_track_attached(&mut self, from: WorkerKey, key: DataTrackKey) {
        let tracks = &mut self.data_tracks;
        let Some(track) = tracks.by_key.get(&key).and_then(|index| tracks.tracks.get_mut(*index as usize)) else {
            if tracks.relays.early.len() >= EARLY_MAX {
                tracks.relays.early.pop_front();
            }
            return tracks.relays.early.push_back((key, from));
        };
        if matches!(track.source, Source::Session(_)) && !track.relays.iter().any(|(_, worker)| *worker == from) {
            let number = track.number();
            track.relays.push((number, from));
        }
    }

    pub(crate) fn data_track_detached(&mut self, from: WorkerKey, key: DataTrackKey) {
        let tracks = &mut self.data_tracks;
        tracks.relays.early.retain(|early| *early != (key, from));
        if let Some(track) = tracks.by_key.get(&key).and_then(|index| tracks.tracks.get_mut(*index as usize)) {
            track.relays.retain(|(_, worker)| *worker != from);
        }
    }

    /// The lane had no room for these.
    pub fn data_relay_overflowed(&mut self, packets: &[(DataTrackKey, Vec<u8>)]) {
        self.meters.dropped_data_track += packets.len() as u64;
    }
}

/// The subscriber's side.
impl Engine {
    /// A track of another worker that somebody here wants.
    pub(crate) fn attach_data_track(&mut self, from: WorkerKey, track: DataTrackKey) -> u32 {
        self.data_tracks.relays.messages.push_back((from, Relay::AttachData { track }));
        self.data_tracks.insert(track, Source::Far(from))
    }

    /// A far track that nobody here wants any more goes.
    pub(crate) fn detach_data_track(&mut self, index: u32) {
        let Some(track) = self.data_tracks.tracks.get(index as usize).filter(|track| track.sinks.is_empty()) else { return };
        let (Source::Far(from), track) = (track.source, track.key) else { return };
        self.data_tracks.relays.messages.push_back((from, Relay::DetachData { track }));
        self.remove_data_track(track);
    }

    pub(crate) fn data_packets_relayed(&mut self, now: Instant, from: WorkerKey, packets: DataPackets) {
        for (key, packet) in packets {
            let index = self.data_tracks.by_key.get(&key).copied();
            let is_from = |index: &u32| self.data_tracks.tracks.get(*index as usize).is_some_and(|t| t.source == Source::Far(from));
            match (index.filter(is_from), DataTrackHeader::parse(&packet)) {
                (Some(index), Ok(header)) => self.take_packet(now, index, header, packet),
                _ => self.meters.dropped_data_track += 1,
            }
        }
    }

    /// That worker began anew: what it sent is gone with its sessions, and it wants nothing any more.
    pub(crate) fn forget_far_tracks(&mut self, from: WorkerKey) {
        let tracks = &mut self.data_tracks;
        tracks.relays.early.retain(|(_, worker)| *worker != from);
        let mut gone = Vec::new();
        for (_, track) in &mut tracks.tracks {
            track.relays.retain(|(_, worker)| *worker != from);
            if track.source == Source::Far(from) {
                gone.push(track.key);
            }
        }
        for track in gone {
            self.remove_data_track(track);
        }
    }
}
