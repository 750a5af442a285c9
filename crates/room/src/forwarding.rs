//! ForwardParticipant: one participant shown in several rooms.
//!
//! Its own room describes it anew whenever it has changed; the other one shows it as a participant with a SID of its own, whose
//! tracks are the first room's. The media plane's keys carry the room, so a track is subscribed to across rooms as within one, and
//! its publisher sends it once. Messages do not cross. It ends when the participant leaves its own room, or is removed from the
//! other one (LiveKit's documentation of ForwardParticipant; the open-source server has none).

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use sluicegate_contract::key::{DataTrackKey, SessionKey, TrackKey};
use sluicegate_proto::{pb, sid};
use sluicegate_rtp::codec::MediaKind;

use crate::client::Client;
use crate::departure::EndedBy;
use crate::output::{ApiError, ApiReply, Happened, Output};
use crate::participant::{Departure, Participant, is_dependent};
use crate::permission::Allowance;
use crate::room::Room;
use crate::update::{Audience, Pace};

/// Participants of other rooms that one room shows.
const SHOWN_MAX: usize = 256;

/// A participant as its own room describes it to others.
#[derive(Clone, Debug, PartialEq)]
pub struct Forwarded {
    /// Its session: what it is known by, over all its changes.
    pub source: SessionKey,
    /// Without tracks. DISCONNECTED: it has left, and nothing more will come.
    pub info: pb::ParticipantInfo,
    /// Published, in the order of their announcement.
    pub tracks: Vec<(TrackKey, MediaKind, pb::TrackInfo)>,
    pub data_tracks: Vec<(DataTrackKey, pb::DataTrackInfo)>,
    /// Whom it lets subscribe, there as here.
    pub allowance: Allowance,
}

/// Both sides of a room.
#[derive(Debug, Default)]
pub struct Forwards {
    /// Own participants that other rooms show: the version that was described last, 0 for none.
    described: BTreeMap<u32, u32>,
    /// Participants of other rooms, by their session there: their index here.
    shown: BTreeMap<SessionKey, u32>,
    /// Their tracks: the index here.
    tracks: HashMap<TrackKey, u32>,
}

/// A participant's own room.
impl Room {
    /// From now on it is described whenever it has changed.
    pub(crate) fn forward_participant(&mut self, identity: &str) -> Result<ApiReply, ApiError> {
        let index = self.find_own(identity)?;
        let is_hidden = self.participants.get(&index).is_some_and(|participant| participant.permission.hidden);
        if is_hidden {
            return Err(ApiError::FailedPrecondition("a hidden participant cannot be forwarded".to_owned()));
        }
        let left = || ApiError::NotFound("participant does not exist".to_owned());
        let forwarded = self.forwarded(index).ok_or_else(left)?;
        self.forwards.described.insert(index, forwarded.info.version);
        Ok(ApiReply::Forwarded(Box::new(forwarded)))
    }

    /// Something of it changed that its version does not tell.
    pub(crate) fn describe_again(&mut self, index: u32) {
        if let Some(version) = self.forwards.described.get_mut(&index) {
            *version = 0;
        }
    }

    /// After every input: those that have changed.
    pub(crate) fn describe_forwarded(&mut self) {
        let participants = &self.participants;
        let version = |index: &u32| participants.get(index).map_or(0, |participant| participant.version);
        let changed = self.forwards.described.iter().filter(|(index, described)| version(index) != **described);
        for index in changed.map(|(index, _)| *index).collect::<Vec<_>>() {
            if let Some(forwarded) = self.forwarded(index) {
                self.forwards.described.insert(index, forwarded.info.version);
                self.push(Output::Forwarded(Box::new(forwarded)));
            }
        }
    }

    /// It has left: `info` is what its own room was told of that.
    pub(crate) fn end_forwarding(&mut self, index: u32, source: SessionKey, info: &pb::ParticipantInfo) {
        if self.forwards.described.remove(&index).is_some() {
            let info = info.clone();
            let none = (Vec::new(), Vec::new());
            let forwarded = Forwarded { source, info, tracks: none.0, data_tracks: none.1, allowance: Allowance::Everyone };
            self.push(Output::Forwarded(Box::new(forwarded)));
        }
    }

    fn forwarded(&self, index: u32) -> Option<Forwarded> {
        let participant = self.participants.get(&index)?;
        let mut info = self.participant_info(index)?;
        info.tracks.clear();
        info.data_tracks.clear();
        let tracks = participant.tracks.iter().filter_map(|track| self.tracks.get(track)).filter(|track| track.published);
        Some(Forwarded {
            source: participant.session,
            info,
            tracks: tracks.map(|track| (track.key, track.kind, track.info.clone())).collect(),
            data_tracks: self.data_tracks_of(index).map(|track| (track.key, track.info.clone())).collect(),
            allowance: participant.allowance.clone(),
        })
    }
}

/// The room that shows it.
impl Room {
    /// A participant of this identity that is no other room's.
    pub(crate) fn find_own(&self, identity: &str) -> Result<u32, ApiError> {
        let index = self.find(identity)?;
        match self.participants.get(&index).is_some_and(Participant::is_forwarded) {
            true => Err(ApiError::FailedPrecondition("the participant is forwarded from another room: ask there".to_owned())),
            false => Ok(index),
        }
    }

    /// The first word of a participant that shall be shown here.
    pub(crate) fn show_participant(&mut self, now: Instant, forwarded: Forwarded) -> Result<ApiReply, ApiError> {
        if self.forwards.shown.contains_key(&forwarded.source) {
            self.handle_forwarded(now, forwarded);
            return Ok(ApiReply::Done);
        }
        let info = &forwarded.info;
        let exhausted = |text| Err(ApiError::ResourceExhausted(text));
        if self.is_leaving {
            return Err(ApiError::Unavailable("the server is stopping".to_owned()));
        }
        if info.state() == pb::participant_info::State::Disconnected {
            return Err(ApiError::NotFound("participant does not exist".to_owned()));
        }
        if self.by_identity.contains_key(&info.identity) {
            return Err(ApiError::FailedPrecondition("the destination room has a participant of this identity".to_owned()));
        }
        if self.forwards.shown.len() >= SHOWN_MAX {
            return exhausted(format!("the destination room shows {SHOWN_MAX} participants of other rooms already"));
        }
        let permission = info.permission.clone().unwrap_or_default();
        let fullness = self.fullness(&info.identity).filter(|_| !is_dependent(info.kind(), &permission));
        if let Some(text) = fullness {
            return exhausted(text);
        }
        let index = self.next_participant();
        let participant_sid = sid::generate(sid::PARTICIPANT, || self.entropy.next_u64());
        let client = Client::new(pb::ClientInfo {
            client_protocol: info.client_protocol,
            capabilities: info.capabilities.clone(),
            ..Default::default()
        });
        let participant = Participant {
            forwarded_from: Some(forwarded.source),
            joined_at_ms: self.clock.unix_ms(now),
            ..Participant::new(self.session_key(index), participant_sid, info.identity.clone(), client)
        };
        self.forwards.shown.insert(forwarded.source, index);
        self.add_participant(index, participant);
        self.show(now, index, forwarded);
        self.room_changed(now, false);
        Ok(ApiReply::Done)
    }

    /// A participant that is shown here has changed in its own room, or left it.
    pub(crate) fn handle_forwarded(&mut self, now: Instant, forwarded: Forwarded) {
        let Some(index) = self.forwards.shown.get(&forwarded.source).copied().filter(|_| !self.is_closed) else { return };
        if forwarded.info.state() == pb::participant_info::State::Disconnected {
            self.remove(now, index, Departure::silent(forwarded.info.disconnect_reason()));
        } else {
            self.show(now, index, forwarded);
        }
    }

    /// Its own room is gone without a word.
    pub(crate) fn handle_forwarding_ended(&mut self, now: Instant, source: SessionKey) {
        if let Some(index) = self.forwards.shown.get(&source).copied().filter(|_| !self.is_closed) {
            self.remove(now, index, Departure::silent(pb::DisconnectReason::StateMismatch));
        }
    }

    /// It goes: nobody here receives its tracks any more, while others elsewhere may. False: it was none of another room.
    pub(crate) fn stop_showing(&mut self, index: u32) -> bool {
        let Some(participant) = self.participants.get(&index) else { return false };
        let Some(source) = participant.forwarded_from else { return false };
        for track in participant.tracks.iter().copied().collect::<Vec<_>>() {
            self.end_subscriptions(track);
        }
        let data_tracks: Vec<u32> = self.data_track_indices(index);
        for track in data_tracks {
            self.end_data_subscriptions(track);
        }
        self.forwards.shown.remove(&source);
        self.push(Output::ForwardingEnded { source });
        true
    }

    /// The index of a track, this room's or another's.
    pub(crate) fn track_index(&self, key: TrackKey) -> Option<u32> {
        if key.room == self.key { Some(key.index) } else { self.forwards.tracks.get(&key).copied() }
    }

    pub(crate) fn forget_shown_track(&mut self, key: TrackKey) {
        self.forwards.tracks.remove(&key);
    }

    /// Makes the participant as it is described. The others hear of it before anything that carries a new track.
    fn show(&mut self, now: Instant, index: u32, forwarded: Forwarded) {
        let Forwarded { info, tracks, data_tracks, allowance, .. } = forwarded;
        let Some(participant) = self.participants.get(&index) else { return };
        let (was_active, was_publisher) = (participant.is_active, participant.is_publisher);
        let (was_hidden, is_new) = (participant.permission.hidden, participant.told_at.is_none());
        let before = self.participant_info(index);
        let allowance_changed = self.take_over(index, &info, allowance);
        let new_tracks = self.take_over_tracks(now, index, tracks);
        self.take_over_data_tracks(index, data_tracks);
        let is_hidden = info.permission.is_some_and(|permission| permission.hidden);
        if is_hidden && !was_hidden && !is_new {
            self.tell_hidden(now, index);
            self.reconcile_own_tracks(index);
        } else if before != self.participant_info(index) || is_new {
            let is_urgent = is_new || !new_tracks.is_empty() || was_hidden != is_hidden;
            let pace = if is_urgent { Pace::AtOnce } else { Pace::Repeatable };
            self.tell(now, index, Audience::Others, pace);
        }
        if !was_active && let Some(info) = self.participant_info(index).filter(|_| info.state == ACTIVE) {
            self.push(Output::Happened(Happened::ParticipantJoined(Box::new(info))));
        }
        if was_hidden && !is_hidden {
            self.offer_own_tracks(index);
            self.offer_all_data_tracks(index);
        }
        if allowance_changed {
            self.reconcile_own_tracks(index);
        }
        if allowance_changed || was_hidden != is_hidden {
            self.reconcile_own_data_tracks(index);
        }
        for track in new_tracks {
            self.show_track(index, track);
        }
        if was_publisher != info.is_publisher {
            self.room_changed(now, false);
        }
    }

    fn show_track(&mut self, index: u32, track: u32) {
        let published = self.tracks.get(&track).map(|track| track.info.clone()).zip(self.participant_info(index));
        if let Some((info, participant)) = published {
            let (participant, track) = (Box::new(participant), Box::new(info));
            self.push(Output::Happened(Happened::TrackPublished { participant, track }));
        }
        self.offer_track(track);
    }

    /// All but its tracks. Says whether it lets others subscribe than before.
    fn take_over(&mut self, index: u32, info: &pb::ParticipantInfo, allowance: Allowance) -> bool {
        const FORWARDED: i32 = pb::participant_info::KindDetail::Forwarded as i32;
        let Some(participant) = self.participants.get_mut(&index) else { return false };
        participant.name.clone_from(&info.name);
        participant.metadata.clone_from(&info.metadata);
        participant.attributes = info.attributes.clone().into_iter().collect();
        participant.kind = info.kind();
        participant.kind_details.clone_from(&info.kind_details);
        if !participant.kind_details.contains(&FORWARDED) {
            participant.kind_details.push(FORWARDED);
        }
        participant.permission = info.permission.clone().unwrap_or_default();
        participant.is_active = info.state == ACTIVE;
        participant.is_publisher = info.is_publisher;
        let is_other = participant.allowance != allowance;
        participant.allowance = allowance;
        is_other
    }

    /// The tracks that are new here.
    fn take_over_tracks(&mut self, now: Instant, index: u32, told: Vec<(TrackKey, MediaKind, pb::TrackInfo)>) -> Vec<u32> {
        let Some(participant) = self.participants.get(&index) else { return Vec::new() };
        let is_told = |track: &u32| self.tracks.get(track).is_some_and(|track| told.iter().any(|(key, ..)| *key == track.key));
        let ended: Vec<u32> = participant.tracks.iter().copied().filter(|track| !is_told(track)).collect();
        for track in ended {
            self.end_track(now, track, EndedBy::Client);
        }
        let mut new = Vec::new();
        for (key, kind, info) in told {
            match self.track_index(key).and_then(|track| self.tracks.get_mut(&track)) {
                Some(track) => track.info = info,
                None => new.push(self.add_shown_track(index, key, kind, info)),
            }
        }
        new
    }

    fn add_shown_track(&mut self, index: u32, key: TrackKey, kind: MediaKind, info: pb::TrackInfo) -> u32 {
        let at = self.next_track();
        self.forwards.tracks.insert(key, at);
        self.tracks_by_sid.insert(info.sid.clone(), at);
        self.tracks.insert(at, crate::track::Track::shown(key, index, kind, info));
        if let Some(participant) = self.participants.get_mut(&index) {
            participant.tracks.insert(at);
        }
        at
    }

    fn take_over_data_tracks(&mut self, index: u32, told: Vec<(DataTrackKey, pb::DataTrackInfo)>) {
        let known: Vec<(u32, DataTrackKey)> = self
            .data_track_indices(index)
            .into_iter()
            .filter_map(|track| self.data_tracks.get(&track).map(|entry| (track, entry.key)))
            .collect();
        for (track, key) in &known {
            if !told.iter().any(|(told, _)| told == key) {
                self.end_data_track(*track);
            }
        }
        for (key, info) in told {
            if !known.iter().any(|(_, known)| *known == key) {
                self.add_data_track(index, key, info, 0);
            }
        }
    }
}

const ACTIVE: i32 = pb::participant_info::State::Active as i32;
