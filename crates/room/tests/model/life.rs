//! The room and its reference side by side.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sluicegate_contract::command::{DataChannel, PcTarget};
use sluicegate_contract::event::{Event, TransportState};
use sluicegate_contract::key::{RoomKey, SessionKey, TrackKey};
use sluicegate_contract::time::WallClock;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::{Message as _, pb};
use sluicegate_room::input::{ApiCall, ConnectionKey};
use sluicegate_room::output::{ApiError, ApiReply, RefreshedGrants};
use sluicegate_room::{Destination, Input, Room};
use sluicegate_rtp::codec::Codec;

use crate::Step;
use crate::client::Client;
use crate::drive::{chosen, config, identity, join, permission};
use crate::reference::{Allowed, Person, Reference, Rights, Track, Who};

pub const ROOM: RoomKey = RoomKey(1);
/// Longer than anything is gathered for in a small room.
const PAUSE: Duration = Duration::from_millis(150);

/// Somebody's end of the room, beside what the reference knows of him.
pub struct Seat {
    pub connection: ConnectionKey,
    pub session: SessionKey,
    pub primary: PcTarget,
    pub client: Client,
    pub token: Option<RefreshedGrants>,
}

pub struct Life {
    pub room: Room,
    pub now: Instant,
    pub reference: Reference,
    pub max: usize,
    pub seats: BTreeMap<Who, Seat>,
    pub next_connection: u64,
    /// By the reference's number: the media plane's key and the SID.
    pub tracks: Vec<(TrackKey, String)>,
    /// What the media plane holds.
    pub sessions: BTreeSet<SessionKey>,
    pub media: BTreeMap<TrackKey, SessionKey>,
    pub subscriptions: BTreeSet<(SessionKey, TrackKey)>,
    pub transcript: String,
}

/// What one input led to, as far as steps look at it.
#[derive(Default)]
pub struct Outcome {
    pub answer: Option<Result<ApiReply, ApiError>>,
    pub refused: Option<u16>,
    pub session: Option<SessionKey>,
    pub announced: Option<(TrackKey, String)>,
    pub not_allowed: bool,
    pub sent_to: Option<BTreeSet<SessionKey>>,
}

impl Life {
    pub fn new(max: u32, seed: u64) -> Self {
        let now = Instant::now();
        let create = pb::CreateRoomRequest { max_participants: max, ..Default::default() };
        let clock = WallClock::new(now, Duration::from_secs(1_700_000_000));
        let room = Room::new(now, config(), ROOM, "model", create, clock, seed);
        Self {
            room,
            now,
            reference: Reference::default(),
            max: max as usize,
            seats: BTreeMap::new(),
            next_connection: 0,
            tracks: Vec::new(),
            sessions: BTreeSet::new(),
            media: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            transcript: String::new(),
        }
    }

    pub fn play(&mut self, step: Step) {
        let _ = writeln!(self.transcript, "\n# {step:?}");
        match step {
            Step::Join { who, rights, takes_all, is_single_pc } => self.join(who, rights, takes_all, is_single_pc),
            Step::Connect(who) => self.connect(who),
            Step::Leave(who) if self.is_connected(who) => {
                self.signal(who, Message::Leave(pb::LeaveRequest::default()));
                self.forget(who);
            }
            Step::Vanish(who) if self.is_connected(who) => self.vanish(who),
            Step::Lose(who) if self.reference.people.contains_key(&who) && !self.is_connected(who) => {
                self.transport(who, TransportState::Closed);
                self.forget(who);
            }
            Step::Publish { who, source } if self.is_connected(who) => self.publish(who, source),
            Step::Unpublish { who, which } => {
                let Some(track) = chosen(&self.reference.of(who), which) else { return };
                self.input(Input::Media(Event::TrackEnded { track: self.tracks[track].0 }));
                self.reference.end(track);
                // whoever ends a track himself is not told
                let sid = &self.tracks[track].1;
                self.seats.get_mut(&who).unwrap().client.me.tracks.retain(|track| track.sid != *sid);
            }
            Step::Mute { who, which, muted, by_server } => self.mute(who, which, muted, by_server),
            Step::Subscribe { who, which, wants, by_server } => self.subscribe(who, which, wants, by_server),
            Step::Allow { who, everyone, list } if self.is_connected(who) => self.allow(who, everyone, &list),
            Step::Permit { who, rights } => self.permit(who, rights),
            Step::Update { who, name, metadata, attribute, by_server } => self.update(who, name, metadata, attribute, by_server),
            Step::Remove(who) => {
                let outcome = self.api(ApiCall::RemoveParticipant { identity: identity(who) });
                self.check(outcome.answer.unwrap().is_ok() == self.reference.people.contains_key(&who), "removed or not there");
                self.forget(who);
            }
            Step::Move(who) => self.move_away(who),
            Step::Send { who, to } => self.send(who, to),
            Step::RoomMetadata(number) => {
                let outcome = self.api(ApiCall::UpdateMetadata { metadata: number.to_string() });
                let told = self.seats.iter().filter(|(who, _)| self.is_connected(**who));
                let all_know = told.clone().all(|(_, seat)| seat.client.room.metadata == number.to_string());
                self.check(outcome.answer.unwrap().is_ok() && all_know, "everybody knows the room's metadata");
            }
            _ => return,
        }
        self.now += PAUSE;
        self.room.handle_timeout(self.now);
        self.drain();
        self.compare();
    }

    fn join(&mut self, who: Who, rights: Rights, takes_all: bool, is_single_pc: bool) {
        let rights = rights.of_token();
        let connection = ConnectionKey(self.next_connection);
        self.next_connection += 1;
        let others = self.reference.people.iter().filter(|(other, person)| **other != who && !person.rights.agent).count();
        let is_full = self.max != 0 && !rights.agent && others >= self.max;
        let join = join(connection, who, &rights, takes_all, is_single_pc);
        let seat = Seat {
            connection,
            session: SessionKey { room: ROOM, index: 0 },
            primary: if is_single_pc || !rights.subscribe { PcTarget::Publisher } else { PcTarget::Subscriber },
            client: Client::default(),
            token: None,
        };
        let old = self.seats.insert(who, seat);
        let outcome = self.input(Input::Join(Box::new(join)));
        self.check(outcome.refused.is_some() == is_full, "a full room refuses, and no other does");
        match (outcome.session, old) {
            (Some(session), _) => {
                self.seats.get_mut(&who).unwrap().session = session;
                self.reference.join(who, rights, takes_all, is_single_pc);
            }
            (None, Some(old)) => drop(self.seats.insert(who, old)),
            (None, None) => drop(self.seats.remove(&who)),
        }
    }

    fn connect(&mut self, who: Who) {
        if self.reference.people.get(&who).is_some_and(|person| !person.is_active) {
            self.transport(who, TransportState::Connected);
            self.reference.activate(who);
        }
    }

    fn vanish(&mut self, who: Who) {
        let connection = self.seats[&who].connection;
        self.input(Input::SignalClosed { connection });
        let person = self.reference.people.get_mut(&who).unwrap();
        person.is_connected = false;
        if !person.is_active {
            self.forget(who);
        }
    }

    fn publish(&mut self, who: Who, source: i32) {
        let (codec, kind) = if source == 2 { (Codec::Opus, pb::TrackType::Audio) } else { (Codec::Vp8, pb::TrackType::Video) };
        let cid = format!("cid{}", self.tracks.len());
        let request = pb::AddTrackRequest { cid, r#type: kind as i32, source, ..Default::default() };
        let outcome = self.signal(who, Message::AddTrack(request));
        let may = self.reference.people[&who].rights.may_publish(source);
        self.check(outcome.announced.is_some() == may && outcome.not_allowed != may, "who may publish does, who may not is told");
        let Some((key, sid)) = outcome.announced else { return };
        self.tracks.push((key, sid));
        self.reference.publish(who, self.tracks.len() - 1, source);
        self.input(Input::Media(Event::TrackStarted { track: key, codec, mid: "1".into(), rids: Vec::new() }));
    }

    fn mute(&mut self, who: Who, which: u8, muted: bool, by_server: bool) {
        let Some(track) = chosen(&self.reference.of(who), which) else { return };
        let sid = self.tracks[track].1.clone();
        if by_server {
            let request = pb::MuteRoomTrackRequest { identity: identity(who), track_sid: sid, muted, ..Default::default() };
            let outcome = self.api(ApiCall::MutePublishedTrack(request));
            self.check(outcome.answer.unwrap().is_ok() == muted, "the server mutes and does not unmute");
            self.reference.tracks.get_mut(&track).unwrap().muted |= muted;
        } else if self.is_connected(who) {
            self.signal(who, Message::Mute(pb::MuteTrackRequest { sid, muted }));
            self.reference.tracks.get_mut(&track).unwrap().muted = muted;
        }
    }

    fn subscribe(&mut self, who: Who, which: u8, wants: bool, by_server: bool) {
        let Some(track) = chosen(&self.reference.offered(who), which) else { return };
        let Some(person) = self.reference.people.get_mut(&who) else { return };
        if !by_server && !person.is_connected {
            return;
        }
        if wants {
            person.wants.insert(track);
        } else {
            person.wants.remove(&track);
        }
        let (track_sids, subscribe) = (vec![self.tracks[track].1.clone()], wants);
        if by_server {
            let request = pb::UpdateSubscriptionsRequest { identity: identity(who), track_sids, subscribe, ..Default::default() };
            let outcome = self.api(ApiCall::UpdateSubscriptions(request));
            self.check(outcome.answer.unwrap().is_ok(), "subscriptions are updated");
        } else {
            self.signal(who, Message::Subscription(pb::UpdateSubscription { track_sids, subscribe, ..Default::default() }));
        }
    }

    fn allow(&mut self, who: Who, everyone: bool, list: &[(Who, Option<u8>)]) {
        let own = self.reference.of(who);
        let mut only: BTreeMap<Who, Option<BTreeSet<Track>>> = BTreeMap::new();
        for (other, which) in list {
            only.insert(*other, which.map(|which| chosen(&own, which).into_iter().collect()));
        }
        let entry = |(other, tracks): (&Who, &Option<BTreeSet<Track>>)| pb::TrackPermission {
            participant_identity: identity(*other),
            all_tracks: tracks.is_none(),
            track_sids: tracks.iter().flatten().map(|track| self.tracks[*track].1.clone()).collect(),
            ..Default::default()
        };
        let track_permissions = only.iter().map(entry).collect();
        self.signal(
            who,
            Message::SubscriptionPermission(pb::SubscriptionPermission { all_participants: everyone, track_permissions }),
        );
        self.reference.people.get_mut(&who).unwrap().allowed = if everyone { Allowed::Everyone } else { Allowed::Only(only) };
    }

    fn permit(&mut self, who: Who, rights: Rights) {
        let is_there = self.reference.people.contains_key(&who);
        let permission = Some(permission(&rights));
        let request = pb::UpdateParticipantRequest { identity: identity(who), permission, ..Default::default() };
        let before = self.reference.of(who);
        let outcome = self.api(ApiCall::UpdateParticipant(request));
        self.check(outcome.answer.unwrap().is_ok() == is_there, "permitted or not there");
        self.reference.permit(who, rights);
        if self.is_connected(who) {
            let ended = before.iter().filter(|track| !self.reference.tracks.contains_key(track));
            let unpublished = &self.seats[&who].client.unpublished;
            let is_told = ended.clone().all(|track| unpublished.contains(&self.tracks[*track].1));
            self.check(is_told, "a publisher is told which tracks ended");
        }
    }

    fn update(&mut self, who: Who, name: u8, metadata: u8, attribute: Option<u8>, by_server: bool) {
        let word = |number: u8| if number == 0 { String::new() } else { format!("w{number}") };
        let attributes = attribute.map(|number| ("key".to_owned(), word(number)));
        let (name, metadata) = (word(name), word(metadata));
        let Some(person) = self.reference.people.get(&who).cloned() else { return };
        if by_server {
            let request = pb::UpdateParticipantRequest {
                identity: identity(who),
                name: name.clone(),
                metadata: metadata.clone(),
                attributes: attributes.iter().cloned().collect(),
                ..Default::default()
            };
            let outcome = self.api(ApiCall::UpdateParticipant(request));
            self.check(outcome.answer.unwrap().is_ok(), "the server may");
        } else {
            if !person.is_connected {
                return;
            }
            let attributes = attributes.iter().cloned().collect();
            let (name, metadata) = (name.clone(), metadata.clone());
            let outcome = self
                .signal(who, Message::UpdateMetadata(pb::UpdateParticipantMetadata { name, metadata, attributes, request_id: 1 }));
            self.check(outcome.not_allowed != person.rights.update_own, "only who may updates himself");
            if !person.rights.update_own {
                return;
            }
        }
        let person = self.reference.people.get_mut(&who).unwrap();
        for (field, value) in [(&mut person.name, name), (&mut person.metadata, metadata)] {
            if !value.is_empty() {
                *field = value;
            }
        }
        match attributes {
            Some((key, value)) if value.is_empty() => drop(person.attributes.remove(&key)),
            Some((key, value)) => drop(person.attributes.insert(key, value)),
            None => {}
        }
    }

    fn move_away(&mut self, who: Who) {
        let to = Destination { room: pb::Room { name: "other".to_owned(), ..Default::default() }, participants: Vec::new() };
        let outcome = self.api(ApiCall::Move { identity: identity(who), to });
        let can = self.reference.people.get(&who).is_some_and(|person| person.is_connected && !person.rights.agent);
        self.check(outcome.answer.unwrap().is_ok() == can, "moved, or cannot be");
        if can {
            self.check(self.seats[&who].client.has_left, "the client is sent there");
            self.forget(who);
        }
    }

    fn send(&mut self, who: Who, to: Option<Who>) {
        let Some(seat) = self.seats.get(&who) else { return };
        let packet = pb::DataPacket {
            destination_identities: to.map(identity).into_iter().collect(),
            value: Some(pb::data_packet::Value::User(pb::UserPacket::default())),
            ..Default::default()
        };
        let payload = packet.encode_to_vec().into();
        let event = Event::Data { session: seat.session, channel: DataChannel::Reliable, payload };
        let sent = self.input(Input::Media(event)).sent_to.unwrap_or_default();
        let may = self.reference.people[&who].rights.data;
        let gets =
            |(other, person): (&Who, &Person)| may && *other != who && person.rights.subscribe && to.is_none_or(|to| to == *other);
        let people = self.reference.people.iter();
        let wanted = people.filter(|entry| gets(*entry)).map(|(other, _)| self.seats[other].session).collect();
        self.check(sent == wanted, "a message goes to whom it is for");
    }
}
