//! What goes into the room, and what of its outputs is remembered.

use std::fmt::Write as _;

use sluicegate_contract::command::Command;
use sluicegate_contract::event::{Event, TransportState};
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::pb::signal_response::Message as Response;
use sluicegate_proto::token::Claims;
use sluicegate_room::input::{ApiCall, ConnectionKey, Join, RequestId, SignalMode};
use sluicegate_room::{Input, Output, RoomConfig};
use sluicegate_rtp::codec::Codec;

use crate::life::{Life, Outcome};
use crate::reference::{Rights, Track, Who};
use crate::written;

impl Life {
    pub fn signal(&mut self, who: Who, message: Message) -> Outcome {
        let connection = self.seats[&who].connection;
        self.input(Input::Signal { connection, request: Box::new(pb::SignalRequest { message: Some(message) }) })
    }

    pub fn api(&mut self, call: ApiCall) -> Outcome {
        self.input(Input::Api { request: RequestId(1), call: Box::new(call) })
    }

    pub fn transport(&mut self, who: Who, state: TransportState) {
        let (session, target) = (self.seats[&who].session, self.seats[&who].primary);
        self.input(Input::Media(Event::TransportState { session, target, state }));
    }

    pub fn input(&mut self, input: Input) -> Outcome {
        let _ = writeln!(self.transcript, "> {}", written::input(&input));
        self.room.handle_input(self.now, input);
        self.drain()
    }

    pub fn drain(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        while let Some(output) = self.room.poll_output() {
            if let Some(line) = written::output(&output) {
                let _ = writeln!(self.transcript, "    {line}");
            }
            match output {
                Output::Signal { connections, response } => {
                    let message = response.message.as_ref().unwrap();
                    match message {
                        Response::TrackPublished(published) => {
                            let sid = published.track.as_ref().unwrap().sid.clone();
                            outcome.announced = outcome.announced.map(|(key, _)| (key, sid));
                        }
                        Response::RequestResponse(answer) => {
                            outcome.not_allowed |= answer.reason() == pb::request_response::Reason::NotAllowed;
                        }
                        _ => {}
                    }
                    let seats = self.seats.values_mut().filter(|seat| connections.contains(&seat.connection));
                    seats.for_each(|seat| seat.client.hear(message));
                }
                Output::RefreshToken { connection, token } => {
                    let seat = self.seats.values_mut().find(|seat| seat.connection == connection);
                    seat.into_iter().for_each(|seat| seat.token = Some((*token).clone()));
                }
                Output::JoinRefused { refusal, .. } => outcome.refused = Some(refusal.status),
                Output::ApiAnswer { answer, .. } => outcome.answer = Some(answer),
                Output::Media(command) => self.media(command, &mut outcome),
                Output::Closed => self.check(false, "nobody closes the room"),
                _ => {}
            }
        }
        outcome
    }

    pub fn media(&mut self, command: Command, outcome: &mut Outcome) {
        match command {
            Command::AddSession(add) => {
                self.sessions.insert(add.session);
                outcome.session = Some(add.session);
            }
            Command::RemoveSession { session } => {
                self.sessions.remove(&session);
                self.subscriptions.retain(|(of, _)| *of != session);
                // with its session the media plane forgets a participant's tracks
                self.media.retain(|_, of| *of != session);
                let media = &self.media;
                self.subscriptions.retain(|(_, track)| media.contains_key(track));
            }
            Command::AddTrack(add) => {
                self.media.insert(add.track, add.session);
                outcome.announced = Some((add.track, String::new()));
            }
            Command::RemoveTrack { track } => {
                self.media.remove(&track);
                self.subscriptions.retain(|(_, of)| *of != track);
            }
            Command::Subscribe(ask) => {
                let is_new = self.subscriptions.insert((ask.session, ask.track));
                self.check(is_new, "nothing is subscribed twice");
            }
            Command::Unsubscribe { session, track } => {
                let was_there = self.subscriptions.remove(&(session, track));
                self.check(was_there, "nothing is unsubscribed that is not subscribed");
            }
            Command::SendData { sessions, .. } => outcome.sent_to = Some(sessions.into_iter().collect()),
            _ => {}
        }
    }

    pub fn forget(&mut self, who: Who) {
        self.reference.leave(who);
        self.seats.remove(&who);
    }

    pub fn is_connected(&self, who: Who) -> bool {
        self.reference.people.get(&who).is_some_and(|person| person.is_connected)
    }

    #[track_caller]
    pub fn check(&self, is_so: bool, what: &str) {
        assert!(is_so, "not so: {what}\n{}\nthe reference: {:#?}", self.transcript, self.reference);
    }
}

pub fn config() -> RoomConfig {
    // few, for the transcript's sake
    RoomConfig { enabled_codecs: vec![Codec::Opus, Codec::Vp8], ..RoomConfig::default() }
}

pub fn identity(who: Who) -> String {
    format!("p{who}")
}

pub fn chosen(tracks: &[Track], which: u8) -> Option<Track> {
    tracks.get(usize::from(which) % tracks.len().max(1)).copied()
}

pub fn permission(rights: &Rights) -> pb::ParticipantPermission {
    pb::ParticipantPermission {
        can_subscribe: rights.subscribe,
        can_publish: rights.publish,
        can_publish_data: rights.data,
        can_publish_sources: rights.sources.iter().copied().collect(),
        can_update_metadata: rights.update_own,
        hidden: rights.hidden,
        ..Default::default()
    }
}

pub fn is_same(shown: &pb::ParticipantPermission, rights: &Rights) -> bool {
    *shown == pb::ParticipantPermission { agent: rights.agent, ..permission(rights) }
}

pub fn join(connection: ConnectionKey, who: Who, rights: &Rights, takes_all: bool, is_single_pc: bool) -> Join {
    let mut video = VideoGrant { agent: rights.agent, ..Default::default() };
    video.set_permission(&pb::ParticipantPermission { agent: rights.agent, ..permission(rights) });
    Join {
        connection,
        identity: identity(who),
        claims: Claims { video: Some(video), ..Default::default() },
        client: pb::ClientInfo { protocol: 17, ..Default::default() },
        mode: if is_single_pc { SignalMode::V1 } else { SignalMode::V0 },
        auto_subscribe: takes_all,
        adaptive_stream: false,
        auto_subscribe_data_track: false,
        disable_ice_lite: false,
        metadata: None,
        attributes: Vec::new(),
        add_tracks: Vec::new(),
        publisher_offer: None,
        reconnect: None,
    }
}
