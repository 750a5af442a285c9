//! Data tracks: packets from a publisher's channel `_data_track` to those of its subscribers, each under a handle of its own.
//!
//! Nothing here is ever repaired, and little is held: a packet waits with its publisher for its turn behind the media, and goes to a
//! receiver at once or not at all. What a slow receiver cannot take is left out frame by frame, since parts are of no use.
//!
//! A track with subscribers on another worker is there a far one: its packets cross in their publisher's turn, and have a turn again
//! over there, which is that track's own ([`relay`]).

mod relay;
mod turn;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use slab::Slab;
use sluicegate_contract::limit::{DATA_SUBSCRIPTIONS_PER_SESSION_MAX, DATA_TRACK_BYTES_BEHIND_MAX, DATA_TRACKS_PER_SESSION_MAX};
use sluicegate_contract::{DataTrackKey, SessionKey, WorkerKey};
use sluicegate_rtp::data_track::DataTrackHeader;

use crate::data::MESSAGE_COST;
use crate::engine::Engine;

/// The worker's data tracks.
#[derive(Debug, Default)]
pub(crate) struct DataTracks {
    tracks: Slab<DataTrack>,
    by_key: BTreeMap<DataTrackKey, u32>,
    /// Those whose packets wait, in turn; and since when.
    ready: VecDeque<Turn>,
    since: Option<Instant>,
    /// The turn that is under way.
    current: Option<Turn>,
    /// Counts the ticks: what a receiver has not taken is looked up once in each.
    tick: u64,
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
    /// By number.
    sinks: Vec<Sink>,
    /// Other workers that receive it, by number.
    relays: Vec<(u64, WorkerKey)>,
    /// Of the next sink or worker.
    next_number: u64,
    /// Of a far track.
    queue: Queue,
    /// The frame that found no room: the rest of it is of no use.
    overrun: Option<u16>,
}

/// One subscriber of a track.
#[derive(Debug)]
struct Sink {
    number: u64,
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
    /// Bytes it had not taken in a tick.
    behind: (u64, usize),
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
    served: turn::Served,
}

impl Queue {
    fn count(&mut self) {
        self.bytes = self.waiting.iter().map(|waiting| waiting.packet.len() + MESSAGE_COST).sum();
    }
}

impl DataTracks {
    fn insert(&mut self, key: DataTrackKey, source: Source) -> u32 {
        let early = if matches!(source, Source::Far(_)) { Vec::new() } else { self.relays.take_early(key) };
        let (sinks, relays, queue) = (Vec::new(), Vec::new(), Queue::default());
        let mut track = DataTrack { key, source, sinks, relays, next_number: 0, queue, overrun: None };
        for worker in early {
            let number = track.number();
            track.relays.push((number, worker));
        }
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
        queue.count();
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
            let number = track.number();
            track.sinks.push(Sink { number, session, handle, interval, due: None, frame: None });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(frame: u16, start: bool) -> DataTrackHeader {
        DataTrackHeader {
            start,
            last: !start,
            handle: 1,
            sequence: 0,
            frame,
            timestamp: 0,
            length: sluicegate_rtp::data_track::HEADER_BYTES,
        }
    }

    pub(super) fn sink(fps: u32) -> Sink {
        let interval = NonZeroU32::new(fps).map(|fps| Duration::from_secs(1) / fps.get());
        Sink { number: 1, session: 0, handle: 1, interval, due: None, frame: None }
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
