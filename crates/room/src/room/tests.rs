//! Random lives of a room: whatever comes, it does not panic, stays bounded and consistent, and ends.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use prost::Message as _;
use sluicegate_contract::DataTrackKey;
use sluicegate_contract::command::{DataChannel, PcTarget};
use sluicegate_contract::event::{Event, SessionEnd, SubscriptionError, TransportState};
use sluicegate_contract::limit;
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::pb::signal_response::Message as Response;
use sluicegate_proto::token::Claims;
use sluicegate_rtp::codec::Codec;

use super::*;
use crate::input::{ApiCall, Join, Reconnect, RequestId, SignalMode};

/// One thing that happens; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Join {
        who: u8,
        flags: u16,
    },
    Signal {
        who: u8,
        kind: u8,
        a: u8,
        b: u8,
    },
    Bytes {
        who: u8,
        bytes: Vec<u8>,
    },
    SignalClosed {
        who: u8,
    },
    Media {
        kind: u8,
        session: u8,
        track: u8,
        choice: u8,
    },
    Api {
        kind: u8,
        who: u8,
        track: u8,
        choice: u8,
    },
    /// Another room speaks of a participant of its own.
    Foreign {
        who: u8,
        kind: u8,
        choice: u8,
    },
    Wait {
        ms: u32,
    },
    SendAway,
    Shutdown,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..8u8, any::<u16>()).prop_map(|(who, flags)| Step::Join { who, flags }),
        20 => (0..8u8, 0..20u8, any::<u8>(), any::<u8>()).prop_map(|(who, kind, a, b)| Step::Signal { who, kind, a, b }),
        2 => (0..8u8, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(who, bytes)| Step::Bytes { who, bytes }),
        2 => (0..8u8).prop_map(|who| Step::SignalClosed { who }),
        16 => (0..14u8, any::<u8>(), any::<u8>(), any::<u8>())
            .prop_map(|(kind, session, track, choice)| Step::Media { kind, session, track, choice }),
        6 => (0..13u8, 0..8u8, any::<u8>(), any::<u8>())
            .prop_map(|(kind, who, track, choice)| Step::Api { kind, who, track, choice }),
        4 => (0..8u8, 0..9u8, any::<u8>()).prop_map(|(who, kind, choice)| Step::Foreign { who, kind, choice }),
        5 => prop_oneof![0..100u32, 0..6_000u32, 0..90_000u32].prop_map(|ms| Step::Wait { ms }),
        1 => prop_oneof![28 => Just(Step::Wait { ms: 1 }), 1 => Just(Step::SendAway), 1 => Just(Step::Shutdown)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_life_is_consistent_and_ends(steps in prop::collection::vec(step(), 0..250), max in 0..6u32, seed in any::<u64>()) {
        let mut life = Life::new(max, seed);
        for step in steps {
            life.play(step);
        }
        life.end();
    }
}

struct Life {
    room: Room,
    now: Instant,
    next: u64,
    /// Open connections by person: accepted and not closed.
    open: BTreeMap<ConnectionKey, u8>,
    sids: Vec<String>,
    versions: BTreeMap<String, u32>,
    /// What the media plane would hold.
    sessions: BTreeSet<SessionKey>,
    tracks: BTreeMap<TrackKey, SessionKey>,
    subscriptions: BTreeSet<(SessionKey, TrackKey)>,
    data_tracks: BTreeMap<DataTrackKey, SessionKey>,
    data_subscriptions: BTreeMap<(SessionKey, DataTrackKey), u16>,
    /// Tracks of another room, as it said last.
    foreign: BTreeSet<TrackKey>,
    foreign_data: BTreeSet<DataTrackKey>,
    is_over: bool,
}

impl Life {
    fn new(max_participants: u32, seed: u64) -> Self {
        let now = Instant::now();
        let create = pb::CreateRoomRequest { max_participants, ..Default::default() };
        let clock = WallClock::new(now, Duration::from_secs(1));
        let room = Room::new(now, RoomConfig::default(), RoomKey(1), "life", create, clock, seed);
        let mut life = Self {
            room,
            now,
            next: 0,
            open: BTreeMap::new(),
            sids: vec!["TR_none".to_owned()],
            versions: BTreeMap::new(),
            sessions: BTreeSet::new(),
            tracks: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            data_tracks: BTreeMap::new(),
            data_subscriptions: BTreeMap::new(),
            foreign: BTreeSet::new(),
            foreign_data: BTreeSet::new(),
            is_over: false,
        };
        life.check();
        life
    }

    fn play(&mut self, step: Step) {
        match step {
            Step::Join { who, flags } => {
                self.next += 1;
                let join = join(ConnectionKey(self.next), who, flags);
                self.open.insert(join.connection, who);
                self.input(Input::Join(Box::new(join)));
            }
            Step::Signal { who, kind, a, b } => {
                let message = self.message(kind, a, b);
                self.signal(who, pb::SignalRequest { message: Some(message) });
            }
            Step::Bytes { who, bytes } => {
                if let Ok(request) = pb::SignalRequest::decode(&bytes[..]) {
                    self.signal(who, request);
                }
            }
            Step::SignalClosed { who } => {
                if let Some(connection) = self.connection(who) {
                    self.open.remove(&connection);
                    self.input(Input::SignalClosed { connection });
                }
            }
            Step::Media { kind, session, track, choice } => {
                if let Some(event) = self.event(kind, session, track, choice) {
                    self.input(Input::Media(event));
                }
            }
            Step::Api { kind, who, track, choice } => {
                let call = Box::new(self.call(kind, who, track, choice));
                self.input(Input::Api { request: RequestId(1), call });
            }
            Step::Foreign { who, kind, choice } => {
                let input = foreign::input(self, who, kind, choice);
                self.input(input);
            }
            Step::Wait { ms } => {
                self.now += Duration::from_millis(u64::from(ms));
                self.room.handle_timeout(self.now);
                self.check();
                let next = self.room.poll_timeout();
                assert!(next.is_none_or(|(at, _)| at > self.now), "{next:?} is late");
            }
            Step::SendAway => self.input(Input::SendAway { at_most: 2 }),
            Step::Shutdown => self.input(Input::Shutdown),
        }
    }

    /// Everybody leaves, the media plane falls silent: the room ends by itself.
    fn end(&mut self) {
        for who in 0..3 {
            self.play(Step::Foreign { who, kind: 0, choice: 0 });
        }
        for connection in self.open.keys().copied().collect::<Vec<_>>() {
            let message = Some(Message::Leave(pb::LeaveRequest::default()));
            self.input(Input::Signal { connection, request: Box::new(pb::SignalRequest { message }) });
        }
        for session in self.sessions.clone() {
            let (target, state) = (PcTarget::Publisher, TransportState::Failed);
            self.input(Input::Media(Event::TransportState { session, target, state }));
        }
        for _ in 0..1000 {
            let Some((at, _)) = self.room.poll_timeout() else { break };
            self.now = self.now.max(at);
            self.room.handle_timeout(self.now);
            self.check();
        }
        assert!(self.is_over, "the room goes on: {:?}", self.room.timers);
        assert!(self.sessions.is_empty() && self.tracks.is_empty() && self.subscriptions.is_empty());
        self.play(Step::Join { who: 0, flags: 0 });
        assert!(self.open.is_empty());
    }

    fn input(&mut self, input: Input) {
        self.room.handle_input(self.now, input);
        self.check();
    }

    fn signal(&mut self, who: u8, request: pb::SignalRequest) {
        if let Some(connection) = self.connection(who) {
            self.input(Input::Signal { connection, request: Box::new(request) });
        }
    }

    fn connection(&self, who: u8) -> Option<ConnectionKey> {
        self.open.iter().rev().find(|(_, person)| **person == who).map(|(connection, _)| *connection)
    }

    fn check(&mut self) {
        let mut count = 0;
        while let Some(output) = self.room.poll_output() {
            count += 1;
            let is_answer = matches!(output, Output::ApiAnswer { .. } | Output::JoinRefused { .. });
            assert!(!self.is_over || is_answer, "after the end: {output:?}");
            self.check_output(&output);
        }
        // Nothing fans out beyond each participant and each of its tracks.
        assert!(count <= 100 + 8 * 9 * 70, "{count} outputs of one input");
        self.check_room();
    }

    fn check_output(&mut self, output: &Output) {
        match output {
            Output::Signal { connections, response } => {
                assert!(!connections.is_empty());
                assert!(connections.iter().all(|key| self.open.contains_key(key)), "to a closed connection: {response:?}");
                self.check_response(response);
            }
            Output::JoinAccepted { connection }
            | Output::RefreshToken { connection, .. }
            | Output::RoomMoved { connection, .. } => {
                assert!(self.open.contains_key(connection));
            }
            Output::JoinRefused { connection, .. } | Output::CloseConnection { connection } => {
                assert!(self.open.remove(connection).is_some());
            }
            Output::Media(command) => self.check_command(command),
            Output::Closed => self.is_over = true,
            Output::Forwarded(forwarded) => {
                let left = forwarded.info.state() == pb::participant_info::State::Disconnected;
                assert!(left || self.sessions.contains(&forwarded.source));
                assert!(forwarded.tracks.iter().all(|(track, ..)| self.tracks.contains_key(track)));
            }
            Output::ForwardingEnded { source } => assert_ne!(source.room, RoomKey(1)),
            Output::ApiAnswer { .. } | Output::Snapshot(_) | Output::Happened(_) | Output::Unhonoured(_) => {}
        }
    }

    fn check_response(&mut self, response: &pb::SignalResponse) {
        let infos: Vec<&pb::ParticipantInfo> = match response.message.as_ref().unwrap() {
            Response::Join(join) => join.participant.iter().chain(&join.other_participants).collect(),
            Response::Update(update) => update.participants.iter().collect(),
            Response::TrackPublished(published) => {
                self.sids.push(published.track.as_ref().unwrap().sid.clone());
                Vec::new()
            }
            _ => Vec::new(),
        };
        for info in infos {
            let version = self.versions.entry(info.sid.clone()).or_default();
            assert!(info.version >= *version, "{} went back from {version} to {}", info.sid, info.version);
            *version = info.version;
        }
    }

    fn check_command(&mut self, command: &Command) {
        match command {
            Command::AddSession(add) => assert!(self.sessions.insert(add.session)),
            Command::RemoveSession { session } => {
                assert!(self.sessions.remove(session));
                let gone: BTreeSet<_> = self.tracks.iter().filter(|(_, of)| *of == session).map(|(track, _)| *track).collect();
                self.tracks.retain(|_, of| of != session);
                self.subscriptions.retain(|(of, track)| of != session && !gone.contains(track));
                let gone: BTreeSet<_> = self.data_tracks.iter().filter(|(_, of)| *of == session).map(|(track, _)| *track).collect();
                self.data_tracks.retain(|_, of| of != session);
                self.data_subscriptions.retain(|(of, track), _| of != session && !gone.contains(track));
            }
            Command::AddTrack(add) => {
                assert!(self.sessions.contains(&add.session));
                assert!(self.tracks.insert(add.track, add.session).is_none());
            }
            Command::RemoveTrack { track } => {
                assert_eq!(track.room, RoomKey(1), "another room's to end");
                self.tracks.remove(track);
                self.subscriptions.retain(|(_, of)| of != track);
            }
            Command::Subscribe(ask) => {
                assert!(self.sessions.contains(&ask.session));
                assert!(self.tracks.contains_key(&ask.track) || self.foreign.contains(&ask.track));
                assert!(self.subscriptions.insert((ask.session, ask.track)), "asked twice");
            }
            Command::Unsubscribe { session, track } => assert!(self.subscriptions.remove(&(*session, *track))),
            Command::ConfigureSubscription { session, track, .. } => {
                assert!(self.subscriptions.contains(&(*session, *track)));
            }
            Command::DataTaken { .. } => {}
            Command::AddDataTrack { session, track, handle } => {
                assert!(self.sessions.contains(session) && *handle != 0);
                assert!(self.data_tracks.insert(*track, *session).is_none());
            }
            Command::RemoveDataTrack { track } => {
                assert!(self.data_tracks.remove(track).is_some());
                self.data_subscriptions.retain(|(_, of), _| of != track);
            }
            Command::SubscribeDataTrack { session, track, handle, .. } => {
                assert!(self.sessions.contains(session));
                let is_foreign = self.foreign_data.contains(track);
                assert!(is_foreign || self.data_tracks[track] != *session);
                self.data_subscriptions.insert((*session, *track), *handle);
                let same = |((of, _), known): (&(SessionKey, DataTrackKey), &u16)| of == session && known == handle;
                assert_eq!(self.data_subscriptions.iter().filter(|entry| same(*entry)).count(), 1, "one handle, one track");
            }
            Command::UnsubscribeDataTrack { session, track } => {
                assert!(self.data_subscriptions.remove(&(*session, *track)).is_some());
            }
            Command::SendData { sessions, .. } => assert!(sessions.iter().all(|session| self.sessions.contains(session))),
            Command::RestartIce { session, .. }
            | Command::Offer { session, .. }
            | Command::Answer { session, .. }
            | Command::Candidate { session, .. } => {
                assert!(self.sessions.contains(session));
            }
            Command::MuteTrack { track, .. } => assert!(self.tracks.contains_key(track)),
            Command::Fault(_) => panic!("not the room's: {command:?}"),
        }
    }

    fn check_room(&self) {
        let room = &self.room;
        assert_eq!(room.by_identity.len(), room.participants.len());
        assert_eq!(room.by_sid.len(), room.participants.len());
        let connected = room.participants.values().filter(|p| p.connection.is_some()).count();
        assert_eq!(room.by_connection.len(), connected);
        assert_eq!(room.tracks_by_sid.len(), room.tracks.len());
        assert_eq!(room.participants.values().map(|p| p.tracks.len()).sum::<usize>(), room.tracks.len());
        for (index, participant) in &room.participants {
            assert_eq!(room.by_identity.get(&participant.identity), Some(index));
            assert_eq!(room.by_sid.get(&participant.sid), Some(index));
            assert!(participant.connection.is_none_or(|key| room.by_connection.get(&key) == Some(index)));
            assert!(participant.subscriptions.len() + participant.unresolved.len() <= limit::SUBSCRIPTIONS_PER_SESSION_MAX);
            assert!(participant.tracks.len() <= limit::TRACKS_PER_SESSION_MAX);
            assert!(participant.queued_tracks() <= limit::PENDING_TRACKS_MAX);
            assert!(participant.unresolved.is_empty() || room.timers.is_set(Reason::TrackNotFound(*index)));
            self.check_subscriptions(*index, participant);
        }
        for reason in room.timers.reasons() {
            use Reason::*;
            if let Join(index)
            | Disconnect(index)
            | SimulatedSpeaker(index)
            | Negotiation(index)
            | TrackNotFound(index)
            | RefreshToken(index) = reason
            {
                assert!(room.participants.contains_key(&index), "{reason:?} of somebody gone");
            }
        }
        for (index, track) in &room.tracks {
            assert!(room.participants[&track.publisher].tracks.contains(index));
            let live = |of: &&u32| room.participants[of].subscriptions[index].state.is_live();
            assert_eq!(track.subscribers.iter().filter(live).count(), track.subscribers.len());
        }
    }

    fn check_subscriptions(&self, index: u32, participant: &Participant) {
        for (track, subscription) in &participant.subscriptions {
            let track = &self.room.tracks[track];
            let publisher = &self.room.participants[&track.publisher];
            assert!(track.published && !publisher.permission.hidden && track.publisher != index);
            if !subscription.state.is_live() {
                continue;
            }
            assert!(track.subscribers.contains(&index));
            assert!(self.subscriptions.contains(&(participant.session, track.key)));
            assert!(participant.permission.can_subscribe);
            let allows = publisher.allowance.allows(&participant.identity, &participant.sid, &track.info.sid);
            assert!(allows || participant.is_exempt_from_allowances());
        }
    }

    fn sid(&self, choice: u8) -> String {
        self.sids[self.sids.len().saturating_sub(1 + usize::from(choice) % 12)].clone()
    }

    fn message(&self, kind: u8, a: u8, b: u8) -> Message {
        let sids = vec![self.sid(a), self.sid(b)];
        let text = |n: u8| format!("t{}", n % 4);
        match kind {
            0..=2 => Message::AddTrack(pb::AddTrackRequest {
                cid: text(a),
                r#type: i32::from(b % 3),
                source: i32::from(a % 5),
                sid: if b > 240 { self.sid(a) } else { String::new() },
                ..Default::default()
            }),
            3 => Message::Mute(pb::MuteTrackRequest { sid: self.sid(a), muted: b.is_multiple_of(2) }),
            4 | 5 => Message::Subscription(pb::UpdateSubscription {
                track_sids: sids,
                subscribe: !b.is_multiple_of(3),
                participant_tracks: vec![pb::ParticipantTracks { participant_sid: text(b), track_sids: vec![format!("TR_{a}")] }],
            }),
            6 => Message::TrackSetting(pb::UpdateTrackSettings {
                track_sids: sids,
                disabled: b.is_multiple_of(2),
                ..Default::default()
            }),
            7 => Message::SubscriptionPermission(pb::SubscriptionPermission {
                all_participants: a.is_multiple_of(2),
                track_permissions: vec![pb::TrackPermission {
                    participant_identity: format!("p{}", b % 8),
                    all_tracks: b > 100,
                    track_sids: sids,
                    ..Default::default()
                }],
            }),
            8 => Message::UpdateMetadata(pb::UpdateParticipantMetadata {
                name: text(a),
                metadata: text(b),
                attributes: [(text(a), if b.is_multiple_of(2) { String::new() } else { text(b) })].into_iter().collect(),
                request_id: u32::from(a),
            }),
            9 => Message::UpdateAudioTrack(pb::UpdateLocalAudioTrack { track_sid: self.sid(a), features: vec![i32::from(b); 40] }),
            10 => Message::UpdateVideoTrack(pb::UpdateLocalVideoTrack { track_sid: self.sid(a), width: 1, height: u32::from(b) }),
            11 => Message::Offer(pb::SessionDescription { id: u32::from(a), ..Default::default() }),
            12 => Message::Answer(pb::SessionDescription { id: u32::from(a % 3), ..Default::default() }),
            13 => Message::Trickle(pb::TrickleRequest {
                candidate_init: if a.is_multiple_of(2) { r#"{"candidate":"candidate:1"}"#.to_owned() } else { text(b) },
                target: i32::from(b % 3),
                r#final: false,
            }),
            14 if a < 40 => Message::Leave(pb::LeaveRequest::default()),
            15 if a < 20 => {
                use pb::simulate_scenario::Scenario::*;
                let scenario = Some([NodeFailure(true), ServerLeave(true), LeaveRequestFullReconnect(true)][usize::from(b % 3)]);
                Message::Simulate(pb::SimulateScenario { scenario })
            }
            16 => self.data_track_request(a, b),
            _ => Message::SyncState(pb::SyncState::default()),
        }
    }

    fn data_track_request(&self, a: u8, b: u8) -> Message {
        let pub_handle = u32::from(a % 4);
        match b % 8 {
            0..=2 => {
                let name = ["", "a", "b", "c"][usize::from(b / 8 % 4)].to_owned();
                Message::PublishDataTrackRequest(pb::PublishDataTrackRequest { pub_handle, name, ..Default::default() })
            }
            3 => Message::UnpublishDataTrackRequest(pb::UnpublishDataTrackRequest { pub_handle }),
            _ => {
                let sids: Vec<_> = self.room.data_tracks.values().map(|track| track.info.sid.clone()).collect();
                let track_sid = sids.get(usize::from(a) % sids.len().max(1)).cloned().unwrap_or_default();
                let options = Some(pb::DataTrackSubscriptionOptions { target_fps: Some(u32::from(b % 3)) });
                let update = pb::update_data_subscription::Update { track_sid, subscribe: b % 8 < 7, options };
                Message::UpdateDataSubscription(pb::UpdateDataSubscription { updates: vec![update] })
            }
        }
    }

    fn event(&mut self, kind: u8, session: u8, track: u8, choice: u8) -> Option<Event> {
        // Also of sessions and tracks that are gone or never were.
        let session = SessionKey { room: RoomKey(if session == 255 { 9 } else { 1 }), index: u32::from(session % 16) };
        let known = self.tracks.keys().nth(usize::from(track) % self.tracks.len().max(1)).copied();
        let track = known.filter(|_| track < 240).unwrap_or(TrackKey { room: RoomKey(1), index: u32::from(track) });
        let target = if choice.is_multiple_of(2) { PcTarget::Publisher } else { PcTarget::Subscriber };
        let sdp: Box<str> = "v=0".into();
        Some(match kind {
            0..=3 => {
                use TransportState::{Closed, Connected, Disconnected, Failed};
                let states = [Connected, Connected, Disconnected, Failed, Closed];
                let state = states[usize::from(choice / 2 % if kind == 0 { 5 } else { 2 })];
                Event::TransportState { session, target, state }
            }
            4..=6 => {
                let codec = Codec::ALL[usize::from(choice) % Codec::ALL.len()];
                Event::TrackStarted { track, codec, mid: "0".into(), rids: Vec::new() }
            }
            7 => Event::TrackEnded { track },
            8 => Event::Offer { session, sdp, id: u32::from(choice % 3), mids: Vec::new() },
            9 => Event::Subscribed { session, track },
            10 => {
                // As the media plane does, it forgets the subscription.
                if !self.subscriptions.remove(&(session, track)) {
                    return None;
                }
                Event::SubscriptionFailed { session, track, why: SubscriptionError::CodecUnsupported }
            }
            11 if choice < 30 => Event::NegotiationFailed { session, target, why: String::new() },
            12 if choice < 30 => {
                let why = if choice.is_multiple_of(2) { SessionEnd::Panicked } else { SessionEnd::Overrun };
                Event::SessionEnded { session, why }
            }
            13 => Event::Data { session, channel: DataChannel::Lossy, payload: bytes::Bytes::new() },
            _ => Event::MediaSectionsNeeded { session, audios: 1, videos: 2 },
        })
    }

    fn call(&self, kind: u8, who: u8, track: u8, choice: u8) -> ApiCall {
        let identity = format!("p{who}");
        let track_sid = self.sid(track);
        let bit = |n: u8| choice & (1 << n) != 0;
        match kind {
            0 => ApiCall::Configure(pb::CreateRoomRequest { metadata: format!("m{choice}"), ..Default::default() }),
            1 if choice < 3 => ApiCall::Delete,
            2 => ApiCall::ListParticipants,
            3 if choice < 60 => ApiCall::RemoveParticipant { identity },
            4 => ApiCall::MutePublishedTrack(pb::MuteRoomTrackRequest { identity, track_sid, muted: bit(0), ..Default::default() }),
            5..=7 => ApiCall::UpdateParticipant(pb::UpdateParticipantRequest {
                identity,
                permission: Some(pb::ParticipantPermission {
                    can_subscribe: bit(0) || bit(1),
                    can_publish: bit(2) || bit(3),
                    can_publish_sources: if bit(4) { vec![i32::from(choice % 5)] } else { Vec::new() },
                    hidden: bit(5) && bit(6),
                    ..Default::default()
                }),
                ..Default::default()
            }),
            8 => ApiCall::UpdateSubscriptions(pb::UpdateSubscriptionsRequest {
                identity,
                track_sids: vec![track_sid],
                subscribe: bit(0),
                ..Default::default()
            }),
            9 => ApiCall::SendData(pb::SendDataRequest {
                destination_identities: if bit(0) { vec![identity] } else { Vec::new() },
                nonce: vec![0; usize::from(choice % 18)],
                ..Default::default()
            }),
            11 => ApiCall::Forward { identity },
            10 => ApiCall::UpdateMetadata { metadata: format!("m{choice}") },
            _ => ApiCall::GetParticipant { identity },
        }
    }
}

fn join(connection: ConnectionKey, who: u8, flags: u16) -> Join {
    let bit = |n: u16| flags & (1 << n) != 0;
    let video = VideoGrant {
        can_publish: bit(0).then_some(bit(1)),
        can_subscribe: bit(2).then_some(bit(3) || bit(4)),
        can_update_own_metadata: Some(bit(5)),
        hidden: bit(6) && bit(7),
        agent: bit(8) && bit(9),
        recorder: bit(7) && bit(8),
        ..Default::default()
    };
    let add = |cid: &str| pb::AddTrackRequest { cid: cid.to_owned(), r#type: 1, ..Default::default() };
    Join {
        connection,
        identity: format!("p{who}"),
        claims: Claims { video: Some(video), ..Default::default() },
        client: pb::ClientInfo { protocol: i32::from(flags % 18), ..Default::default() },
        mode: if bit(10) { SignalMode::V1 } else { SignalMode::V0 },
        auto_subscribe: bit(11) || bit(12),
        adaptive_stream: false,
        auto_subscribe_data_track: false,
        disable_ice_lite: false,
        metadata: None,
        attributes: Vec::new(),
        add_tracks: if bit(13) { vec![add("t0"), add("t1"), add("t0")] } else { Vec::new() },
        publisher_offer: bit(10).then(pb::SessionDescription::default),
        reconnect: (bit(14) && bit(15)).then(|| {
            let participant_sid = if bit(9) { "PA_x" } else { "" }.to_owned();
            Reconnect { participant_sid, reason: 0 }
        }),
    }
}

mod foreign;

#[test]
fn a_join_into_a_large_room_costs_at_most_one_message_that_all_share() {
    let mut life = Life::new(0, 1);
    for n in 0..1000 {
        let join = Join { identity: format!("q{n}"), ..join(ConnectionKey(n), 0, 1 << 11) };
        life.room.handle_input(life.now, Input::Join(Box::new(join)));
    }
    life.now += Duration::from_secs(10);
    life.room.handle_timeout(life.now);
    while life.room.poll_output().is_some() {}
    let join = Join { identity: "last".to_owned(), ..join(ConnectionKey(5000), 0, 1 << 11) };
    life.room.handle_input(life.now, Input::Join(Box::new(join)));
    let outputs: Vec<Output> = std::iter::from_fn(|| life.room.poll_output()).collect();
    let shared = |output: &&Output| matches!(output, Output::Signal { connections, .. } if connections.len() > 1);
    assert!(outputs.iter().filter(shared).count() <= 1);
    assert!(outputs.len() < 10, "{}", outputs.len());
}
