//! What signalling costs as a room grows: a join in proportion to those who are there, and nobody's restlessness more than a
//! bounded share.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::{Duration, Instant};

use prost::Message as _;
use sluicegate_contract::Command;
use sluicegate_contract::command::PcTarget;
use sluicegate_contract::event::{Event, TransportState};
use sluicegate_contract::key::{RoomKey, TrackKey};
use sluicegate_contract::time::WallClock;
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::token::Claims;
use sluicegate_room::input::{ConnectionKey, Join, SignalMode};
use sluicegate_room::timer::Reason;
use sluicegate_room::{Input, Output, Room, RoomConfig};
use sluicegate_rtp::codec::Codec;

struct Crowd {
    room: Room,
    now: Instant,
    /// Bytes of all signals to all connections.
    bytes: u64,
    messages: u64,
    /// As the room made them: each may go to many.
    shared: u64,
    newest_track: Option<TrackKey>,
}

impl Crowd {
    fn new() -> Self {
        let now = Instant::now();
        let clock = WallClock::new(now, Duration::from_secs(1));
        let room = Room::new(now, RoomConfig::default(), RoomKey(1), "crowd", pb::CreateRoomRequest::default(), clock, 1);
        Self { room, now, bytes: 0, messages: 0, shared: 0, newest_track: None }
    }

    fn input(&mut self, input: Input) {
        self.room.handle_input(self.now, input);
        self.count();
    }

    fn signal(&mut self, number: u32, message: Message) {
        let request = Box::new(pb::SignalRequest { message: Some(message) });
        self.input(Input::Signal { connection: ConnectionKey(number.into()), request });
    }

    fn count(&mut self) {
        while let Some(output) = self.room.poll_output() {
            match output {
                Output::Signal { connections, response } => {
                    self.shared += 1;
                    self.messages += connections.len() as u64;
                    self.bytes += (connections.len() * response.encoded_len()) as u64;
                }
                Output::Media(Command::AddTrack(add)) => self.newest_track = Some(add.track),
                _ => {}
            }
        }
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some((at, _)) = self.room.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            self.room.handle_timeout(self.now);
            self.count();
        }
        self.now = until;
    }

    /// Joins, is connected and, if it publishes, sends its camera.
    fn join(&mut self, number: u32, publishes: bool) {
        self.input(Input::Join(Box::new(join(number))));
        self.wait(Duration::from_millis(30));
        // participants are numbered in the order of their joins
        let session = sluicegate_contract::SessionKey { room: RoomKey(1), index: number };
        let (target, state) = (PcTarget::Subscriber, TransportState::Connected);
        self.input(Input::Media(Event::TransportState { session, target, state }));
        if publishes {
            self.signal(number, Message::AddTrack(camera()));
            let track = self.newest_track.take().unwrap();
            self.input(Input::Media(Event::TrackStarted { track, codec: Codec::Vp8, mid: "1".into(), rids: Vec::new() }));
        }
        self.wait(Duration::from_millis(20));
    }
}

fn camera() -> pb::AddTrackRequest {
    let (r#type, source) = (pb::TrackType::Video as i32, pb::TrackSource::Camera as i32);
    pb::AddTrackRequest { cid: "camera".to_owned(), r#type, source, ..Default::default() }
}

fn join(number: u32) -> Join {
    let video = VideoGrant { can_update_own_metadata: Some(true), ..Default::default() };
    Join {
        connection: ConnectionKey(number.into()),
        identity: format!("person-{number:05}"),
        claims: Claims { video: Some(video), name: format!("Person {number:05}"), ..Default::default() },
        client: pb::ClientInfo { protocol: 17, ..Default::default() },
        mode: SignalMode::V0,
        auto_subscribe: false,
        adaptive_stream: false,
        disable_ice_lite: false,
        metadata: None,
        attributes: Vec::new(),
        add_tracks: Vec::new(),
        publisher_offer: None,
        reconnect: None,
    }
}

/// Twenty joins a second until there are so many: bytes of signalling for each.
fn bytes_per_join(joins: u32, publishes: bool) -> u64 {
    let mut crowd = Crowd::new();
    for number in 0..joins {
        crowd.join(number, publishes);
    }
    crowd.wait(Duration::from_secs(2));
    assert_eq!(crowd.room.participants_len(), joins as usize);
    crowd.bytes / u64::from(joins)
}

#[test]
fn a_join_costs_in_proportion_to_those_who_are_there() {
    for publishes in [false, true] {
        let (few, many) = (bytes_per_join(100, publishes), bytes_per_join(1000, publishes));
        assert!(many <= 11 * few, "publishing {publishes}: {few} bytes at 100 joins, {many} at 1000");
    }
}

/// A client that mutes and unmutes as fast as it can makes no more noise than one that does it ten times a second.
#[test]
fn restlessness_is_gathered() {
    let mut crowd = Crowd::new();
    for number in 0..50 {
        crowd.join(number, number == 0);
    }
    crowd.wait(Duration::from_secs(5));
    let sid = sid_of_the_track(&mut crowd);
    crowd.messages = 0;
    for number in 0..1000 {
        crowd.signal(0, Message::Mute(pb::MuteTrackRequest { sid: sid.clone(), muted: number % 2 == 0 }));
        crowd.wait(Duration::from_millis(1));
    }
    crowd.wait(Duration::from_secs(1));
    assert!((50 * 9..=50 * 21).contains(&crowd.messages), "{} messages", crowd.messages);
    crowd.messages = 0;
    let video = pb::UpdateLocalVideoTrack { track_sid: sid, width: 0, height: 0 };
    crowd.signal(0, Message::UpdateVideoTrack(video));
    crowd.wait(Duration::from_secs(1));
    assert_eq!(crowd.messages, 0, "what changes nothing is told to nobody");
}

/// One bad quality is one message that all share, and a client that cannot be told keeps nobody busy.
#[test]
fn quality_is_told_once_for_all() {
    let mut crowd = Crowd::new();
    for number in 0..200 {
        crowd.join(number, false);
    }
    let judge = |crowd: &mut Crowd, number: u32, score: u8| {
        let session = sluicegate_contract::SessionKey { room: RoomKey(1), index: number };
        crowd.input(Input::Media(Event::Quality { session, score }));
    };
    for number in 0..200 {
        judge(&mut crowd, number, 99);
    }
    crowd.wait(Duration::from_secs(10));
    (crowd.shared, crowd.messages) = (0, 0);
    judge(&mut crowd, 7, 1);
    crowd.wait(Duration::from_secs(10));
    assert_eq!((crowd.shared, crowd.messages), (1, 200));

    let old = Join { client: pb::ClientInfo { protocol: 4, ..Default::default() }, ..join(200) };
    crowd.input(Input::Join(Box::new(old)));
    judge(&mut crowd, 200, 99);
    crowd.wait(Duration::from_secs(10));
    judge(&mut crowd, 200, 99);
    assert!(!matches!(crowd.room.poll_timeout(), Some((_, Reason::Quality))), "there is nothing to tell");
}

fn sid_of_the_track(crowd: &mut Crowd) -> String {
    let call = Box::new(sluicegate_room::input::ApiCall::ListParticipants);
    crowd.room.handle_input(crowd.now, Input::Api { request: sluicegate_room::input::RequestId(1), call });
    let Some(Output::ApiAnswer { answer: Ok(sluicegate_room::output::ApiReply::Participants(infos)), .. }) =
        crowd.room.poll_output()
    else {
        panic!("no list");
    };
    infos[0].tracks[0].sid.clone()
}
