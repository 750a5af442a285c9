//! Whose packets go when: publishers in turn, each packet to all who want it, within what a tick may cost.

use std::time::Instant;

use slab::Slab;
use sluicegate_contract::WorkerKey;
use sluicegate_contract::command::Fault;
use sluicegate_contract::limit::{DATA_TRACK_BYTES_PER_TICK, DATA_TRACK_BYTES_WAITING_MAX};
use sluicegate_rtp::data_track::{self, DataTrackHeader};
use sluicegate_transport::connection::{ChannelId, Sent};

use super::{DataTrack, DataTracks, Queue, Source, Turn, Verdict, Waiting};
use crate::data::MESSAGE_COST;
use crate::engine::Engine;
use crate::link::Link;
use crate::session::Session;

/// Bytes of copies after which the next publisher has its turn.
const TURN_BYTES: usize = 16 << 10;

/// Who has had a packet: the numbers of the last worker and of the last subscriber. Places would not do, since others may leave
/// between two turns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Served {
    worker: u64,
    sink: u64,
}

/// Who is to have a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Worker(WorkerKey),
    /// A place among the sinks.
    Sink(usize),
}

impl DataTrack {
    pub(super) fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Who comes after those that had it: workers first.
    fn next(&self, served: &mut Served) -> Option<Next> {
        let at = self.relays.partition_point(|(number, _)| *number <= served.worker);
        if let Some((number, worker)) = self.relays.get(at) {
            served.worker = *number;
            return Some(Next::Worker(*worker));
        }
        let at = self.sinks.partition_point(|sink| sink.number <= served.sink);
        served.sink = self.sinks.get(at)?.number;
        Some(Next::Sink(at))
    }
}

/// Packets.
impl Engine {
    /// A packet of a session's channel: it waits for its turn, if somebody wants it and its publisher has not too much waiting.
    pub(crate) fn data_track_received(&mut self, now: Instant, session: u32, packet: Vec<u8>) {
        self.meters.data_track_packets_up += 1;
        let published = self.sessions.get(session as usize).map(|session| &session.tracks.published);
        let header = DataTrackHeader::parse(&packet).ok();
        let found = header.zip(published).and_then(|(header, published)| {
            let at = published.binary_search_by_key(&header.handle, |(known, _)| *known).ok()?;
            Some((header, published.get(at)?.1))
        });
        match found {
            Some((header, track)) => self.take_packet(now, track, header, packet),
            None => self.meters.dropped_data_track += 1,
        }
    }

    pub(super) fn take_packet(&mut self, now: Instant, index: u32, header: DataTrackHeader, packet: Vec<u8>) {
        let Some(track) = self.data_tracks.tracks.get_mut(index as usize) else { return };
        if track.sinks.is_empty() && track.relays.is_empty() {
            return;
        }
        let (turn, queue) = match track.source {
            Source::Session(session) => {
                let Some(state) = self.sessions.get_mut(session as usize) else { return };
                (Turn::Session(session), &mut state.tracks.queue)
            }
            Source::Far(_) => (Turn::Far(index), &mut track.queue),
        };
        let after = queue.bytes + packet.len() + MESSAGE_COST;
        if header.start {
            track.overrun = None;
        }
        if after > DATA_TRACK_BYTES_WAITING_MAX || track.overrun == Some(header.frame) {
            track.overrun = Some(header.frame);
            self.meters.dropped_data_track += 1;
            return;
        }
        queue.bytes = after;
        queue.waiting.push_back(Waiting { track: index, header, packet, served: Served::default() });
        if !std::mem::replace(&mut queue.is_ready, true) {
            self.data_tracks.ready.push_back(turn);
            self.data_tracks.since.get_or_insert(now);
        }
    }

    /// Sends of the waiting packets what this tick may cost.
    pub(crate) fn pump_data_tracks(&mut self, now: Instant) {
        let mut budget = DATA_TRACK_BYTES_PER_TICK;
        self.data_tracks.tick += 1;
        while budget > 0
            && let Some(turn) = self.data_tracks.ready.pop_front()
        {
            self.data_tracks.current = Some(turn);
            let spent = self.turn(now, turn, TURN_BYTES.min(budget));
            budget = budget.saturating_sub(spent);
            self.end_turn();
        }
        self.data_tracks.since = (!self.data_tracks.ready.is_empty()).then_some(now);
    }

    /// Whose packets wait still comes again.
    fn end_turn(&mut self) {
        let Some(turn) = self.data_tracks.current.take() else { return };
        let Some(queue) = self.queue(turn) else { return };
        queue.is_ready = !queue.waiting.is_empty();
        if queue.is_ready {
            self.data_tracks.ready.push_back(turn);
        }
    }

    /// A turn ended with a panic: the packet that was under way is lost.
    pub(crate) fn repair_turn(&mut self) {
        if let Some(queue) = self.data_tracks.current.and_then(|turn| self.queue(turn)) {
            queue.count();
        }
        self.end_turn();
    }

    fn queue(&mut self, turn: Turn) -> Option<&mut Queue> {
        match turn {
            Turn::Session(session) => self.sessions.get_mut(session as usize).map(|session| &mut session.tracks.queue),
            Turn::Far(track) => self.data_tracks.tracks.get_mut(track as usize).map(|track| &mut track.queue),
        }
    }

    /// One turn; says what it cost.
    fn turn(&mut self, now: Instant, turn: Turn, bytes: usize) -> usize {
        let mut spent = 0;
        while spent < bytes {
            let Some(mut waiting) = self.queue(turn).and_then(|queue| queue.waiting.pop_front()) else { break };
            // what is looked at costs a little, too
            spent += MESSAGE_COST;
            let is_done = self.serve(now, &mut waiting, bytes, &mut spent);
            let Some(queue) = self.queue(turn) else { break };
            if is_done {
                queue.bytes = queue.bytes.saturating_sub(waiting.packet.len() + MESSAGE_COST);
            } else {
                queue.waiting.push_front(waiting);
            }
        }
        spent
    }

    /// Copies of one packet; false: the turn was over before all had it.
    fn serve(&mut self, now: Instant, waiting: &mut Waiting, bytes: usize, spent: &mut usize) -> bool {
        while *spent < bytes {
            let Some(track) = self.data_tracks.tracks.get(waiting.track as usize) else { return true };
            let publisher = if let Source::Session(session) = track.source { Some(session) } else { None };
            self.serving = publisher;
            match track.next(&mut waiting.served) {
                None => return true,
                Some(Next::Worker(worker)) => {
                    let key = track.key;
                    data_track::set_handle(&mut waiting.packet, waiting.header.handle);
                    self.data_tracks.relays.push(worker, key, &waiting.packet);
                    *spent += waiting.packet.len() + MESSAGE_COST;
                }
                Some(Next::Sink(at)) => {
                    self.serving = track.sinks.get(at).map(|sink| sink.session);
                    *spent += self.copy(now, waiting, at);
                    self.serving = publisher;
                }
            }
        }
        false
    }

    /// One copy; says what it cost.
    fn copy(&mut self, now: Instant, waiting: &mut Waiting, at: usize) -> usize {
        let DataTracks { tracks, tick, .. } = &mut self.data_tracks;
        let Some(sink) = tracks.get_mut(waiting.track as usize).and_then(|track| track.sinks.get_mut(at)) else { return 0 };
        let found = track_channel(&self.sessions, &self.links, sink.session);
        let receiver = self.sessions.get_mut(sink.session as usize);
        let (Some((link, channel)), Some(receiver)) = (found, receiver) else {
            self.meters.dropped_data_track += 1;
            return 0;
        };
        let Some(state) = self.links.get_mut(link as usize) else { return 0 };
        let connection = &mut state.transport.connection;
        let behind = &mut receiver.tracks.behind;
        if behind.0 != *tick {
            *behind = (*tick, connection.buffered(channel));
        }
        match sink.judge(now, &waiting.header, behind.1) {
            Verdict::Goes => {}
            Verdict::Unwanted => return 0,
            Verdict::Dropped => {
                self.meters.dropped_data_track += 1;
                return 0;
            }
        }
        data_track::set_handle(&mut waiting.packet, sink.handle);
        if connection.send_data(now, channel, true, &waiting.packet) == Sent::Queued {
            behind.1 += waiting.packet.len();
            self.meters.data_track_packets_down += 1;
            let session = sink.session;
            self.check_fault(session, Fault::DataTrack);
            self.touch(session);
            return waiting.packet.len() + MESSAGE_COST;
        }
        // the rest of the frame is of no use any more
        sink.frame = Some((waiting.header.frame, Verdict::Dropped));
        self.meters.dropped_data_track += 1;
        0
    }
}

/// Where a session receives data tracks.
fn track_channel(sessions: &Slab<Session>, links: &Slab<Link>, session: u32) -> Option<(u32, ChannelId)> {
    let session = sessions.get(session as usize)?;
    let mut either = [session.down(), session.publisher].into_iter();
    either.find_map(|link| Some((link, links.get(link as usize)?.channels.data_track()?)))
}

#[cfg(test)]
mod tests {
    use sluicegate_contract::DataTrackKey;

    use super::super::Sink;
    use super::super::tests::sink;
    use super::*;

    #[test]
    fn whoever_leaves_between_two_turns_costs_nobody_a_packet() {
        let room = sluicegate_contract::RoomKey(1);
        let key = DataTrackKey { room, index: 1 };
        let mut tracks = DataTracks::default();
        let index = tracks.insert(key, Source::Session(0)) as usize;
        let track = &mut tracks.tracks[index];
        for at in 0..4u16 {
            let worker = track.number();
            track.relays.push((worker, WorkerKey::local(at)));
            let number = track.number();
            track.sinks.push(Sink { number, handle: at, ..sink(0) });
        }
        let mut served = Served::default();
        let next = |track: &DataTrack, served: &mut Served| {
            track.next(served).map(|next| match next {
                Next::Worker(worker) => (true, worker.index),
                Next::Sink(at) => (false, track.sinks[at].handle),
            })
        };
        assert_eq!([next(track, &mut served), next(track, &mut served)], [Some((true, 0)), Some((true, 1))]);
        track.relays.retain(|(_, worker)| worker.index != 0);
        assert_eq!([next(track, &mut served), next(track, &mut served)], [Some((true, 2)), Some((true, 3))]);
        assert_eq!([next(track, &mut served), next(track, &mut served)], [Some((false, 0)), Some((false, 1))]);
        track.relays.clear();
        track.sinks.retain(|sink| sink.handle != 1 && sink.handle != 2);
        let number = track.number();
        track.sinks.push(Sink { number, handle: 9, ..sink(0) });
        assert_eq!([next(track, &mut served), next(track, &mut served)], [Some((false, 3)), Some((false, 9))]);
        assert_eq!(next(track, &mut served), None);
    }
}
