//! Data tracks: packets from a publisher's channel `_data_track` to those of its subscribers, each under a handle of its own.
//!
//! Nothing here is ever repaired, and little is held: a packet waits with its publisher for its turn behind the media, and goes to a
//! receiver at once or not at all. What a slow receiver cannot take is left out frame by frame, since parts are of no use.
//!
//! A packet of a track of another worker would enter by [`Engine::take_packet`], with the track kept here by its key.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use slab::Slab;
use sluicegate_contract::limit::{
    DATA_SUBSCRIPTIONS_PER_SESSION_MAX, DATA_TRACK_BYTES_BEHIND_MAX, DATA_TRACK_BYTES_PER_TICK, DATA_TRACK_BYTES_WAITING_MAX,
    DATA_TRACKS_PER_SESSION_MAX,
};
use sluicegate_contract::{DataTrackKey, SessionKey};
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
    /// Publishers whose packets wait, in turn; and since when.
    ready: VecDeque<u32>,
    since: Option<Instant>,
}

#[derive(Debug)]
struct DataTrack {
    key: DataTrackKey,
    /// The publisher.
    session: u32,
    handle: u16,
    sinks: Vec<Sink>,
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
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// In the queue of publishers.
    is_ready: bool,
}

#[derive(Debug)]
struct Waiting {
    track: u32,
    header: DataTrackHeader,
    packet: Vec<u8>,
    /// How many of the subscribers have had their turn.
    served: usize,
}

impl DataTracks {
    pub fn len(&self) -> usize {
        self.tracks.len()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.since
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
        let index =
            self.data_tracks.tracks.insert(DataTrack { key: track, session, handle, sinks: Vec::new(), overrun: None }) as u32;
        self.data_tracks.by_key.insert(track, index);
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
        let Some(session) = self.sessions.get_mut(track.session as usize) else { return };
        let tracks = &mut session.tracks;
        tracks.published.retain(|(_, known)| *known != index);
        tracks.waiting.retain(|waiting| waiting.track != index);
        tracks.waiting_bytes = tracks.waiting.iter().map(|waiting| waiting.packet.len() + MESSAGE_COST).sum();
    }

    pub(crate) fn subscribe_data_track(
        &mut self,
        key: SessionKey,
        track: DataTrackKey,
        handle: u16,
        target_fps: Option<NonZeroU32>,
    ) {
        let (Some(session), Some(&index)) = (self.session_index(key), self.data_tracks.by_key.get(&track)) else { return };
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
    }

    pub(crate) fn unsubscribe_data_track(&mut self, key: SessionKey, track: DataTrackKey) {
        let (Some(session), Some(&index)) = (self.session_index(key), self.data_tracks.by_key.get(&track)) else { return };
        self.sessions[session as usize].tracks.subscribed.retain(|known| *known != index);
        if let Some(track) = self.data_tracks.tracks.get_mut(index as usize) {
            track.sinks.retain(|sink| sink.session != session);
        }
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
        }
        self.data_tracks.ready.retain(|ready| *ready != index);
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
        let Some(track) = self.data_tracks.tracks.get_mut(index as usize).filter(|track| !track.sinks.is_empty()) else { return };
        debug_assert_eq!(track.handle, header.handle);
        let publisher = track.session;
        let Some(session) = self.sessions.get_mut(publisher as usize) else { return };
        let tracks = &mut session.tracks;
        let after = tracks.waiting_bytes + packet.len() + MESSAGE_COST;
        if header.start {
            track.overrun = None;
        }
        if after > DATA_TRACK_BYTES_WAITING_MAX || track.overrun == Some(header.frame) {
            track.overrun = Some(header.frame);
            self.meters.dropped_data_track += 1;
            return;
        }
        tracks.waiting_bytes = after;
        tracks.waiting.push_back(Waiting { track: index, header, packet, served: 0 });
        if !std::mem::replace(&mut tracks.is_ready, true) {
            self.data_tracks.ready.push_back(publisher);
            self.data_tracks.since.get_or_insert(now);
        }
    }

    /// Sends of the waiting packets what this tick may cost.
    pub(crate) fn pump_data_tracks(&mut self, now: Instant) {
        let mut budget = DATA_TRACK_BYTES_PER_TICK;
        while budget > 0
            && let Some(publisher) = self.data_tracks.ready.pop_front()
        {
            let spent = self.turn(now, publisher, TURN_BYTES.min(budget));
            budget = budget.saturating_sub(spent);
            let Some(session) = self.sessions.get_mut(publisher as usize) else { continue };
            session.tracks.is_ready = !session.tracks.waiting.is_empty();
            if session.tracks.is_ready {
                self.data_tracks.ready.push_back(publisher);
            }
        }
        self.data_tracks.since = (!self.data_tracks.ready.is_empty()).then_some(now);
    }

    /// One publisher's turn; says what it cost.
    fn turn(&mut self, now: Instant, publisher: u32, bytes: usize) -> usize {
        let mut spent = 0;
        while spent < bytes {
            let tracks = self.sessions.get_mut(publisher as usize).map(|session| &mut session.tracks);
            let Some(mut waiting) = tracks.and_then(|tracks| tracks.waiting.pop_front()) else { break };
            // what is looked at costs a little, too
            spent += MESSAGE_COST;
            let is_done = self.serve(now, &mut waiting, bytes, &mut spent);
            let Some(session) = self.sessions.get_mut(publisher as usize) else { break };
            if is_done {
                session.tracks.waiting_bytes = session.tracks.waiting_bytes.saturating_sub(waiting.packet.len() + MESSAGE_COST);
            } else {
                session.tracks.waiting.push_front(waiting);
            }
        }
        spent
    }

    /// Copies of one packet; false: the turn was over before all had it.
    fn serve(&mut self, now: Instant, waiting: &mut Waiting, bytes: usize, spent: &mut usize) -> bool {
        while *spent < bytes {
            let Some(track) = self.data_tracks.tracks.get(waiting.track as usize) else { return true };
            let Some(sink) = track.sinks.get(waiting.served) else { return true };
            let at = waiting.served;
            waiting.served += 1;
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
