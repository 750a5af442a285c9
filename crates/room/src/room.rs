//! One room: its participants and tracks, its four verbs, its life from creation to `Closed`.
//!
//! Promises: no input panics or is kept without bound; effects come out in the order in which they must be carried out; one seed
//! and one sequence of inputs make one sequence of outputs. Lacks, so far: speakers, layers.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicegate_contract::command::Command;
use sluicegate_contract::entropy::Entropy;
use sluicegate_contract::key::{RoomKey, SessionKey, TrackKey};
use sluicegate_contract::time::WallClock;
use sluicegate_proto::{pb, sid};

use crate::client::codec_message;
use crate::config::{RoomConfig, unhonoured};
use crate::data::Passed;
use crate::data_track::DataTrack;
use crate::forwarding::Forwards;
use crate::input::{ConnectionKey, Input};
use crate::output::{Happened, Output};
use crate::participant::{Departure, Participant};
use crate::resume::Departures;
use crate::rpc::Rpcs;
use crate::saved::Saved;
use crate::timer::{Reason, Timers};
use crate::track::Track;
use crate::update::Gathered;

/// The server stops and another one starts: clients join it by themselves.
const COME_BACK: Departure = Departure::reconnect(pb::DisconnectReason::ServerShutdown);

/// A room's world.
#[derive(Debug)]
pub struct Room {
    pub(crate) config: Arc<RoomConfig>,
    pub(crate) key: RoomKey,
    pub(crate) clock: WallClock,
    pub(crate) entropy: Entropy,
    /// Everything but the counts.
    pub(crate) info: pb::Room,
    pub(crate) sync_streams: bool,
    /// Marks frames that the server makes in an end-to-end encrypted room.
    pub(crate) sif_trailer: Vec<u8>,

    /// By index, that is in the order of joining. The hash maps are for look-ups only: nothing walks them.
    pub(crate) participants: BTreeMap<u32, Participant>,
    pub(crate) by_identity: HashMap<String, u32>,
    pub(crate) by_sid: HashMap<String, u32>,
    pub(crate) by_connection: HashMap<ConnectionKey, u32>,
    next_participant: u32,
    /// By index, that is in the order of their announcement.
    pub(crate) tracks: BTreeMap<u32, Track>,
    pub(crate) tracks_by_sid: HashMap<String, u32>,
    next_track: u32,
    /// By index, in the order of their publication.
    pub(crate) data_tracks: BTreeMap<u32, DataTrack>,
    pub(crate) data_tracks_by_sid: HashMap<String, u32>,
    pub(crate) next_data_track: u32,

    outputs: VecDeque<Output>,
    pub(crate) timers: Timers,
    pub(crate) gathered: BTreeMap<String, Gathered>,
    /// Participants that have changed again soon after they were told of.
    pub(crate) repeating: BTreeSet<u32>,
    pub(crate) room_updated_at: Option<Instant>,
    pub(crate) is_snapshot_due: bool,
    snapshot: Option<pb::Room>,
    /// Of a restored room: when it became empty.
    pub(crate) created_at: Instant,
    /// Somebody who counts has joined.
    pub(crate) was_joined: bool,
    /// When the last one of those who count left.
    pub(crate) left_at: Option<Instant>,
    /// What the room was created with, until the first token's room configuration was looked at.
    pub(crate) said_at_creation: Option<pb::CreateRoomRequest>,
    pub(crate) is_closed: bool,
    /// The server stops: participants are sent away, some at a time.
    pub(crate) is_leaving: bool,
    pub(crate) passed: Passed,
    pub(crate) saved: Option<Saved>,
    pub(crate) is_save_due: bool,
    pub(crate) departures: Departures,
    /// Identities that asked to be connected over TCP, over all their stays (LiveKit: the ICE configuration of an identity).
    pub(crate) tcp_only: BTreeSet<String>,
    pub(crate) rpcs: Rpcs,
    pub(crate) forwards: Forwards,
}

impl Room {
    /// A new room; its first outputs wait already. `create`: what CreateRoom or the first token's room configuration says, zero
    /// fields take the server's defaults.
    pub fn new(
        now: Instant,
        config: impl Into<Arc<RoomConfig>>,
        key: RoomKey,
        name: impl Into<String>,
        create: pb::CreateRoomRequest,
        clock: WallClock,
        seed: u64,
    ) -> Self {
        let config = config.into();
        let mut entropy = Entropy::new(seed);
        let info = pb::Room {
            sid: sid::generate(sid::ROOM, || entropy.next_u64()),
            name: name.into(),
            empty_timeout: whole_secs(config.empty_timeout),
            departure_timeout: whole_secs(config.departure_timeout),
            max_participants: config.max_participants,
            creation_time: clock.unix_secs(now),
            creation_time_ms: clock.unix_ms(now),
            enabled_codecs: config.enabled_codecs.iter().map(|codec| codec_message(*codec)).collect(),
            ..Default::default()
        };
        let sif_trailer = (0..4).flat_map(|_| entropy.next_u64().to_le_bytes()).collect();
        let mut room = Self {
            sync_streams: config.sync_streams,
            config,
            key,
            clock,
            entropy,
            info,
            sif_trailer,
            participants: BTreeMap::new(),
            by_identity: HashMap::new(),
            by_sid: HashMap::new(),
            by_connection: HashMap::new(),
            next_participant: 0,
            tracks: BTreeMap::new(),
            tracks_by_sid: HashMap::new(),
            next_track: 0,
            data_tracks: BTreeMap::new(),
            data_tracks_by_sid: HashMap::new(),
            next_data_track: 0,
            outputs: VecDeque::new(),
            timers: Timers::default(),
            gathered: BTreeMap::new(),
            repeating: BTreeSet::new(),
            room_updated_at: None,
            is_snapshot_due: true,
            snapshot: None,
            created_at: now,
            was_joined: false,
            left_at: None,
            said_at_creation: None,
            is_closed: false,
            is_leaving: false,
            passed: Passed::default(),
            saved: None,
            is_save_due: false,
            departures: Departures::default(),
            tcp_only: BTreeSet::new(),
            rpcs: Rpcs::default(),
            forwards: Forwards::default(),
        };
        room.configure(&create);
        room.push(Output::Happened(Happened::RoomStarted));
        room.tell_unhonoured(&create);
        room.said_at_creation = Some(create);
        room.settle(now);
        room
    }

    pub fn handle_input(&mut self, now: Instant, input: Input) {
        match input {
            Input::Join(join) => self.handle_join(now, *join),
            Input::Signal { connection, request } => self.handle_signal(now, connection, *request),
            Input::SignalClosed { connection } => self.handle_signal_closed(now, connection),
            Input::Api { request, call } => self.handle_api(now, request, *call),
            Input::Media(event) => self.handle_media(now, event),
            Input::Forwarded(forwarded) => self.handle_forwarded(now, *forwarded),
            Input::ForwardingEnded { source } => self.handle_forwarding_ended(now, source),
            Input::SendAway { at_most } => self.send_away(now, at_most),
            Input::Shutdown => self.close(now, COME_BACK),
        }
        self.settle(now);
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.timers.next()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(reason) = self.timers.pop(now) {
            match reason {
                Reason::Join(index) => {
                    self.remove(now, index, Departure::disconnect(pb::DisconnectReason::JoinFailure));
                }
                Reason::Disconnect(index) => {
                    self.remove(now, index, Departure::disconnect(pb::DisconnectReason::ConnectionTimeout));
                }
                Reason::Negotiation(index) => self.handle_negotiation_timeout(now, index),
                Reason::TrackNotFound(index) => self.give_up_unresolved(now, index),
                Reason::RefreshToken(index) => self.refresh_token(now, index),
                Reason::Allowance(index) => self.apply_allowance(now, index),
                Reason::SimulatedSpeaker(index) => self.tell_simulated_speaker(index, false),
                Reason::Updates => self.flush_updates(),
                Reason::Repeating => self.flush_repeating(now),
                Reason::Quality => self.tell_quality(),
                Reason::Rpc => self.expire_rpcs(now),
                Reason::RoomUpdate => self.send_room_update(now),
                Reason::Empty => self.close(now, Departure::disconnect(pb::DisconnectReason::RoomClosed)),
            }
        }
        self.settle(now);
    }

    /// The room as ListRooms and room updates show it.
    pub fn room_info(&self) -> pb::Room {
        let count = |of: fn(&Participant) -> bool| {
            u32::try_from(self.participants.values().filter(|participant| of(participant)).count()).unwrap_or(u32::MAX)
        };
        pb::Room {
            num_participants: count(|participant| !participant.is_dependent()),
            num_publishers: count(|participant| participant.is_publisher),
            active_recording: self.participants.values().any(Participant::is_recorder),
            ..self.info.clone()
        }
    }

    /// Participants in the room, of all kinds.
    pub fn participants_len(&self) -> usize {
        self.participants.len()
    }

    /// Non-zero fields replace; says whether the metadata changed.
    pub(crate) fn configure(&mut self, create: &pb::CreateRoomRequest) -> bool {
        let replace = |field: &mut u32, value: u32| {
            if value != 0 {
                *field = value;
            }
        };
        replace(&mut self.info.empty_timeout, create.empty_timeout);
        replace(&mut self.info.departure_timeout, create.departure_timeout);
        replace(&mut self.info.max_participants, create.max_participants);
        self.sync_streams |= create.sync_streams;
        self.is_snapshot_due = true;
        let changed = !create.metadata.is_empty() && create.metadata != self.info.metadata;
        if changed {
            self.info.metadata = create.metadata.clone();
        }
        changed
    }

    pub(crate) fn tell_unhonoured(&mut self, create: &pb::CreateRoomRequest) {
        let names = unhonoured(create);
        if !names.is_empty() {
            self.push(Output::Unhonoured(names));
        }
    }

    /// Everybody is sent away; the room is over.
    pub(crate) fn close(&mut self, now: Instant, departure: Departure) {
        if self.is_closed {
            return;
        }
        // Before anybody goes: nobody is told of the others any more.
        self.is_closed = true;
        let indices: Vec<u32> = self.participants.keys().copied().collect();
        for index in indices {
            self.remove(now, index, departure);
        }
        self.timers.clear();
        self.gathered.clear();
        self.repeating.clear();
        self.push(Output::Happened(Happened::RoomFinished));
        self.push(Output::Closed);
    }

    /// The first of them are told to come back; the others, whose turn comes soon, do not see them go.
    fn send_away(&mut self, now: Instant, at_most: usize) {
        self.is_leaving = true;
        let indices: Vec<u32> = self.participants.keys().copied().take(at_most).collect();
        for index in indices {
            self.remove(now, index, COME_BACK);
        }
    }

    /// As if nothing had been said yet.
    pub(crate) fn forget_outputs(&mut self) {
        self.outputs.clear();
        self.snapshot = None;
        self.is_snapshot_due = true;
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.push(Output::Media(command));
    }

    pub(crate) fn session_key(&self, index: u32) -> SessionKey {
        SessionKey { room: self.key, index }
    }

    pub(crate) fn track_key(&self, index: u32) -> TrackKey {
        TrackKey { room: self.key, index }
    }

    pub(crate) fn next_participant(&mut self) -> u32 {
        let index = self.next_participant;
        self.next_participant = index.wrapping_add(1);
        index
    }

    pub(crate) fn next_track(&mut self) -> u32 {
        let index = self.next_track;
        self.next_track = index.wrapping_add(1);
        index
    }

    /// LiveKit: ParticipantInfo with the published tracks in the order of their announcement.
    pub(crate) fn participant_info(&self, index: u32) -> Option<pb::ParticipantInfo> {
        let participant = self.participants.get(&index)?;
        let tracks = participant.tracks.iter().filter_map(|track| self.tracks.get(track));
        let infos = tracks.filter(|track| track.published).map(|track| track.info.clone()).collect();
        let data_tracks = self.data_track_infos(index);
        Some(pb::ParticipantInfo { data_tracks, ..participant.info(infos, &self.config.server_info.region) })
    }

    /// After every input: what follows from the state as a whole.
    pub(crate) fn settle(&mut self, now: Instant) {
        if self.is_closed {
            return;
        }
        if self.participants.values().any(|participant| !participant.is_dependent()) {
            self.timers.cancel(Reason::Empty);
        } else {
            let at = match self.left_at {
                Some(at) if self.was_joined => at + secs(self.info.departure_timeout),
                _ => self.created_at + secs(self.info.empty_timeout),
            };
            self.timers.set(Reason::Empty, at.max(now));
        }
        self.describe_forwarded();
        if std::mem::take(&mut self.is_snapshot_due) {
            self.note_saved();
            let info = self.room_info();
            if self.snapshot.as_ref() != Some(&info) {
                self.snapshot = Some(info.clone());
                self.push(Output::Snapshot(Box::new(info)));
            }
        }
    }
}

fn secs(secs: u32) -> Duration {
    Duration::from_secs(u64::from(secs))
}

fn whole_secs(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
