//! Data tracks: packets from a publisher's channel `_data_track` to those of its subscribers, each under a handle of its own.
//!
//! Nothing here is ever repaired, and little is held: a packet waits with its publisher for its turn behind the media, and goes to a
//! receiver at once or not at all. What a slow receiver cannot take is left out frame by frame, since parts are of no use.
//!
//! A track with subscribers on another worker is there a far one: its packets cross in their publisher's turn, and have a turn again
//! over there, which is that track's own ([`relay`]).

mod relay;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use slab::Slab;
use sluicegate_contract::limit::{
    DATA_SUBSCRIPTIONS_PER_SESSION_MAX, DATA_TRACK_BYTES_BEHIND_MAX, DATA_TRACK_BYTES_PER_TICK, DATA_TRACK_BYTES_WAITING_MAX,
    DATA_TRACKS_PER_SESSION_MAX,
};
use sluicegate_contract::{DataTrackKey, SessionKey, WorkerKey};
use sluicegate_rtp::data_track::{self, DataTrackHeader};
use sluicegate_transport::connection::{ChannelId, Sent};

use crate::data::MESSAGE_COST;
use crate::engine::Engine;

/// Bytes of copies after which the next publisher has its turn.
const TURN_BYTES: usize = 16 << 10;

/// The worker's data tracks.
#[derive(Debug, Default)]
pub(crate) struct DataTracks {
    tracks: Slab<DataTrack>,
    by_key: BTreeMap<DataTrackKey, u32>,
    /// Those whose packets wait, in turn; and since when.
    ready: VecDeque<Turn>,
    since: Option<Instant>,
    relays: relay::Relays,
}

/// Who sends a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Session(u32),
    Far(WorkerKey),
}

/// Whose packets have a turn: a publisher's of all his tracks, or those of one far track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Session(u32),
    Far(u32),
}

#[derive(Debug)]
struct DataTrack {
    key: DataTrackKey,
    source: Source,
    sinks: Vec<Sink>,
    /// Other workers that receive it.
    relays: Vec<WorkerKey>,
    /// Of a far track.
    queue: Queue,
    /// The frame that found no room: the rest of it is of no use.
    overrun: Option<u16>,
}

/// One subscriber of a track.
#[derive(Debug)]
struct Sink {
    session: u32,
    handle: u16,
    interval: Option<Duration>,
    /// When the next frame is wanted.
    due: Option<Instant>,
    /// The frame that was begun last, and what becomes of its packets.
    frame: Option<(u16, Verdict)>,
}

/// What a session has of data tracks.
#[derive(Debug, Default)]
pub(crate) struct SessionTracks {
    /// Published: (handle, track), by handle.
    published: Vec<(u16, u32)>,
    subscribed: Vec<u32>,
    queue: Queue,
}

/// Packets that wait for their turn.
#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Among those that are ready.
    is_ready: bool,
}

#[derive(Debug)]
struct Waiting {
    track: u32,
    header: DataTrackHeader,
    packet: Vec<u8>,
    /// How many of the workers and subscribers have had their turn.
    served: usize,
}

impl DataTracks {
    fn insert(&mut self, key: DataTrackKey, source: Source) -> u32 {
        let relays = if matches!(source, Source::Far(_)) { Vec::new() } else { self.relays.take_early(key) };
        let track = DataTrack { key, source, sinks: Vec::new(), relays, queue: Queue::default(), overrun: None };
        let index = self.tracks.insert(track) as u32;
        self.by_key.insert(key, index);
        index
    }

    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        // the last one that waited may have gone without a turn
        self.since.filter(|_| !self.ready.is_empty())
    }

    pub fn is_waiting(&self) -> bool {
        !self.ready.is_empty()
    }
}

impl Sink {
    /// Whether the packets of this frame go, decided with its first one: clients have no use for others without it. `behind`: bytes
    /// the receiver has not taken.
    fn judge(&mut self, now: Instant, header: &DataTrackHeader, behind: usize) -> Verdict {
        match self.frame {
            Some((begun, verdict)) if begun == header.frame => return verdict,
            _ if !header.start => return Verdict::Dropped,
            _ => {}
        }
        let verdict = if self.due.is_some_and(|due| due > now) {
            Verdict::Unwanted
        } else if behind > DATA_TRACK_BYTES_BEHIND_MAX {
            Verdict::Dropped
        } else {
            if let Some(interval) = self.interval {
                // in step with the wanted rate while frames come often enough
                let due = self.due.unwrap_or(now) + interval;
                self.due = Some(if due > now { due } else { now + interval });
            }
            Verdict::Goes
        };
        self.frame = Some((header.frame, verdict));
        verdict
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Goes,
    /// The receiver is behind.
    Dropped,
    /// It wants fewer.
    Unwanted,
}

/// Commands.
impl Engine {
    pub(crate) fn add_data_track(&mut self, key: SessionKey, track: DataTrackKey, handle: u16) {
        let Some(session) = self.session_index(key) else { return };
        let published = &mut self.sessions[session as usize].tracks.published;
        let Err(at) = published.binary_search_by_key(&handle, |(known, _)| *known) else { return };
        if published.len() >= DATA_TRACKS_PER_SESSION_MAX || self.data_tracks.by_key.contains_key(&track) {
            return;
        }
        let index = self.data_tracks.insert(track, Source::Session(session));
        published.insert(at, (handle, index));
    }

    pub(crate) fn remove_data_track(&mut self, track: DataTrackKey) {
        let Some(index) = self.data_tracks.by_key.remove(&track) else { return };
        let Some(track) = self.data_tracks.tracks.try_remove(index as usize) else { return };
        for sink in &track.sinks {
            if let Some(session) = self.sessions.get_mut(sink.session as usize) {
                session.tracks.subscribed.retain(|known| *known != index);
            }
        }
        let Source::Session(session) = track.source else {
            return self.data_tracks.ready.retain(|turn| *turn != Turn::Far(index));
        };
        let Some(session) = self.sessions.get_mut(session as usize) else { return };
        let SessionTracks { published, queue, .. } = &mut session.tracks;
        published.retain(|(_, known)| *known != index);
        queue.waiting.retain(|waiting| waiting.track != index);
        queue.bytes = queue.waiting.iter().map(|waiting| waiting.packet.len() + MESSAGE_COST).sum();
    }

    pub(crate) fn subscribe_data_track(
        &mut self,
        key: SessionKey,
        track: DataTrackKey,
        handle: u16,
        target_fps: Option<NonZeroU32>,
        from: Option<WorkerKey>,
    ) {
        let Some(session) = self.session_index(key) else { return };
        let known = self.data_tracks.by_key.get(&track).copied();
        let Some(index) = known.or_else(|| from.map(|from| self.attach_data_track(from, track))) else { return };
        let Some(track) = self.data_tracks.tracks.get_mut(index as usize) else { return };
        let interval = target_fps.map(|fps| Duration::from_secs(1) / fps.get());
        if let Some(sink) = track.sinks.iter_mut().find(|sink| sink.session == session) {
            (sink.handle, sink.interval) = (handle, interval);
            sink.due = None;
            return;
        }
        let subscribed = &mut self.sessions[session as usize].tracks.subscribed;
        if subscribed.len() < DATA_SUBSCRIPTIONS_PER_SESSION_MAX {
            subscribed.push(index);
            track.sinks.push(Sink { session, handle, interval, due: None, frame: None });
        }
        self.detach_data_track(index);
    }

    pub(crate) fn unsubscribe_data_track(&mut self, key: SessionKey, track: DataTrackKey) {
        let (Some(session), Some(&index)) = (self.session_index(key), self.data_tracks.by_key.get(&track)) else { return };
        self.sessions[session as usize].tracks.subscribed.retain(|known| *known != index);
        if let Some(track) = self.data_tracks.tracks.get_mut(index as usize) {
            track.sinks.retain(|sink| sink.session != session);
        }
        self.detach_data_track(index);
    }

    /// The session's end, before its index is used again.
    pub(crate) fn forget_tracks(&mut self, index: u32, tracks: &SessionTracks) {
        for (_, published) in &tracks.published {
            if let Some(key) = self.data_tracks.tracks.get(*published as usize).map(|track| track.key) {
                self.remove_data_track(key);
            }
        }
        for subscribed in &tracks.subscribed {
            if let Some(track) = self.data_tracks.tracks.get_mut(*subscribed as usize) {
                track.sinks.retain(|sink| sink.session != index);
            }
            self.detach_data_track(*subscribed);
        }
        self.data_tracks.ready.retain(|turn| *turn != Turn::Session(index));
        if self.data_tracks.ready.is_empty() {
            self.data_tracks.since = None;
        }
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

    fn take_packet(&mut self, now: Instant, index: u32, header: DataTrackHeader, packet: Vec<u8>) {
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
        queue.waiting.push_back(Waiting { track: index, header, packet, served: 0 });
        if !std::mem::replace(&mut queue.is_ready, true) {
            self.data_tracks.ready.push_back(turn);
            self.data_tracks.since.get_or_insert(now);
        }
    }

    /// Sends of the waiting packets what this tick may cost.
    pub(crate) fn pump_data_tracks(&mut self, now: Instant) {
        let mut budget = DATA_TRACK_BYTES_PER_TICK;
        while budget > 0
            && let Some(turn) = self.data_tracks.ready.pop_front()
        {
            let spent = self.turn(now, turn, TURN_BYTES.min(budget));
            budget = budget.saturating_sub(spent);
            let Some(queue) = self.queue(turn) else { continue };
            queue.is_ready = !queue.waiting.is_empty();
            if queue.is_ready {
                self.data_tracks.ready.push_back(turn);
            }
        }
        self.data_tracks.since = (!self.data_tracks.ready.is_empty()).then_some(now);
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
            let at = waiting.served;
            waiting.served += 1;
            if let Some(worker) = track.relays.get(at).copied() {
                let key = track.key;
                data_track::set_handle(&mut waiting.packet, waiting.header.handle);
                self.data_tracks.relays.push(worker, key, &waiting.packet);
                *spent += waiting.packet.len() + MESSAGE_COST;
                continue;
            }
            let at = at - track.relays.len();
            let Some(sink) = track.sinks.get(at) else { return true };
            let Some((link, channel)) = self.track_channel(sink.session) else {
                self.meters.dropped_data_track += 1;
                continue;
            };
            *spent += self.copy(now, waiting, at, link, channel);
        }
        false
    }

    /// One copy; says what it cost.
    fn copy(&mut self, now: Instant, waiting: &mut Waiting, at: usize, link: u32, channel: ChannelId) -> usize {
        let (Some(track), Some(state)) =
            (self.data_tracks.tracks.get_mut(waiting.track as usize), self.links.get_mut(link as usize))
        else {
            return 0;
        };
        let Some(sink) = track.sinks.get_mut(at) else { return 0 };
        let connection = &mut state.transport.connection;
        match sink.judge(now, &waiting.header, connection.buffered(channel)) {
            Verdict::Goes => {}
            Verdict::Unwanted => return 0,
            Verdict::Dropped => {
                self.meters.dropped_data_track += 1;
                return 0;
            }
        }
        data_track::set_handle(&mut waiting.packet, sink.handle);
        if connection.send_data(now, channel, true, &waiting.packet) == Sent::Queued {
            self.meters.data_track_packets_down += 1;
            let session = sink.session;
            self.touch(session);
            return waiting.packet.len() + MESSAGE_COST;
        }
        // the rest of the frame is of no use any more
        sink.frame = Some((waiting.header.frame, Verdict::Dropped));
        self.meters.dropped_data_track += 1;
        0
    }

    fn track_channel(&self, session: u32) -> Option<(u32, ChannelId)> {
        let session = self.sessions.get(session as usize)?;
        [session.down(), session.publisher]
            .into_iter()
            .find_map(|link| Some((link, self.links.get(link as usize)?.channels.data_track()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(frame: u16, start: bool) -> DataTrackHeader {
        DataTrackHeader { start, last: !start, handle: 1, sequence: 0, frame, timestamp: 0, length: data_track::HEADER_BYTES }
    }

    fn sink(fps: u32) -> Sink {
        let interval = NonZeroU32::new(fps).map(|fps| Duration::from_secs(1) / fps.get());
        Sink { session: 0, handle: 1, interval, due: None, frame: None }
    }

    #[test]
    fn frames_go_whole_or_not_at_all() {
        let (now, mut sink) = (Instant::now(), sink(0));
        let full = DATA_TRACK_BYTES_BEHIND_MAX + 1;
        assert_eq!(sink.judge(now, &packet(1, true), 0), Verdict::Goes);
        assert_eq!(sink.judge(now, &packet(1, false), full), Verdict::Goes, "begun");
        assert_eq!(sink.judge(now, &packet(2, true), full), Verdict::Dropped);
        assert_eq!(sink.judge(now, &packet(2, false), 0), Verdict::Dropped, "not begun");
        assert_eq!(sink.judge(now, &packet(3, false), 0), Verdict::Dropped, "its first packet was lost");
        assert_eq!(sink.judge(now, &packet(4, true), 0), Verdict::Goes);
    }

    #[test]
    fn the_wanted_rate_is_kept() {
        let (now, mut sink) = (Instant::now(), sink(10));
        // sixty a second, two packets each
        let mut went = Vec::new();
        for frame in 0..120u16 {
            let at = now + Duration::from_secs(1) * u32::from(frame) / 60;
            let verdicts = [true, false].map(|start| sink.judge(at, &packet(frame, start), 0));
            if verdicts[0] == Verdict::Goes {
                assert_eq!(verdicts[1], Verdict::Goes);
                went.push(frame);
            }
        }
        assert_eq!(went.len(), 20, "{went:?}");
        // after a pause there is no burst
        let later = now + Duration::from_secs(60);
        assert_eq!(sink.judge(later, &packet(200, true), 0), Verdict::Goes);
        assert_eq!(sink.judge(later, &packet(201, true), 0), Verdict::Unwanted);
    }
}
