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
use sluicegate_proto::pb::signal_response::Message as Response;
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
    /// The media plane was asked for a track or a data track, or to give one back.
    subscriptions: u64,
    /// SIDs.
    data_tracks: Vec<String>,
}

impl Crowd {
    fn new() -> Self {
        let now = Instant::now();
        let clock = WallClock::new(now, Duration::from_secs(1));
        let room = Room::new(now, RoomConfig::default(), RoomKey(1), "crowd", pb::CreateRoomRequest::default(), clock, 1);
        Self { room, now, bytes: 0, messages: 0, shared: 0, newest_track: None, subscriptions: 0, data_tracks: Vec::new() }
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
                    if let Some(Response::PublishDataTrackResponse(published)) = &response.message {
                        self.data_tracks.push(published.info.as_ref().unwrap().sid.clone());
                    }
                }
                Output::Media(
                    Command::Subscribe(_)
                    | Command::Unsubscribe { .. }
                    | Command::SubscribeDataTrack { .. }
                    | Command::UnsubscribeDataTrack { .. },
                ) => self.subscriptions += 1,
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
        auto_subscribe_data_track: false,
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

/// One publishes a camera and so many data tracks, which all the others want.
fn crowd_with_data_tracks(others: u32, tracks: u32) -> Crowd {
    let mut crowd = Crowd::new();
    for number in 0..=others {
        crowd.join(number, number == 0);
    }
    for number in 1..=tracks {
        let name = number.to_string();
        let request = pb::PublishDataTrackRequest { pub_handle: number, name, ..Default::default() };
        crowd.signal(0, Message::PublishDataTrackRequest(request));
    }
    crowd.wait(Duration::from_secs(5));
    for number in 1..=others {
        let sid = sid_of_the_track(&mut crowd);
        crowd.signal(
            number,
            Message::Subscription(pb::UpdateSubscription { track_sids: vec![sid], subscribe: true, ..Default::default() }),
        );
    }
    crowd
}

fn want(sids: &[String], target_fps: u32) -> Message {
    let options = || Some(pb::DataTrackSubscriptionOptions { target_fps: Some(target_fps) });
    let update =
        |sid: &String| pb::update_data_subscription::Update { track_sid: sid.clone(), subscribe: true, options: options() };
    Message::UpdateDataSubscription(pb::UpdateDataSubscription { updates: sids.iter().map(update).collect() })
}

#[test]
fn wishes_for_data_tracks_are_told_together_and_once() {
    let mut crowd = crowd_with_data_tracks(1, 300);
    let counts = |crowd: &mut Crowd, message: Message| {
        (crowd.messages, crowd.subscriptions) = (0, 0);
        crowd.signal(1, message);
        (crowd.messages, crowd.subscriptions)
    };
    let sids = crowd.data_tracks.clone();
    let repeated: Vec<String> = sids.iter().cycle().take(5 * sids.len()).cloned().collect();
    assert_eq!(counts(&mut crowd, want(&repeated, 5)), (1, 300), "named again and again");
    assert_eq!(counts(&mut crowd, want(&sids, 5)), (1, 0), "asked again: the handles, for whoever forgot them");
    assert_eq!(counts(&mut crowd, want(&sids, 9)), (1, 300), "another rate");
    let none = |sid: &String| pb::update_data_subscription::Update { track_sid: sid.clone(), ..Default::default() };
    let updates: Vec<_> = sids.iter().map(none).collect();
    for _ in 0..2 {
        assert_eq!(
            counts(&mut crowd, Message::UpdateDataSubscription(pb::UpdateDataSubscription { updates: updates.clone() })),
            (0, 300)
        );
        assert_eq!(counts(&mut crowd, want(&sids, 5)), (1, 300));
    }
}

/// A publisher who allows and forbids as fast as he can makes no more noise than one who does it ten times a second, and what he
/// says reaches only those who want something of him, each in one message.
#[test]
fn allowing_and_forbidding_is_gathered() {
    const OTHERS: u64 = 20;
    const TRACKS: u64 = 100;
    let mut crowd = crowd_with_data_tracks(OTHERS as u32, TRACKS as u32);
    let sids = crowd.data_tracks.clone();
    for number in 1..=OTHERS as u32 / 2 {
        crowd.signal(number, want(&sids, 5));
    }
    let permission = |all_participants| {
        Message::SubscriptionPermission(pb::SubscriptionPermission { all_participants, track_permissions: Vec::new() })
    };
    let count = |crowd: &mut Crowd| std::mem::take(&mut crowd.subscriptions);
    count(&mut crowd);
    crowd.messages = 0;
    crowd.signal(0, permission(false));
    // each of the camera, half of them of the data tracks: at once
    let pairs = OTHERS + OTHERS / 2 * TRACKS;
    assert_eq!((count(&mut crowd), crowd.messages), (pairs, OTHERS));
    crowd.messages = 0;
    crowd.signal(0, permission(true));
    crowd.signal(0, permission(false));
    crowd.wait(Duration::from_secs(1));
    assert_eq!((count(&mut crowd), crowd.messages), (0, 0), "nothing has changed in the end");
    for number in 0..1000 {
        crowd.signal(0, permission(number % 2 == 0));
        crowd.wait(Duration::from_millis(1));
    }
    crowd.signal(0, permission(true));
    crowd.wait(Duration::from_secs(1));
    let (changes, messages) = (count(&mut crowd), crowd.messages);
    assert!((pairs..=12 * pairs).contains(&changes), "{changes} changes of {pairs} pairs");
    assert!(messages <= 12 * (OTHERS + OTHERS / 2), "{messages} messages");
    assert_eq!(changes / pairs % 2, 1, "in the end everybody has what he wants");
}

/// What begins after a word of the publisher's is judged by that word, also while the present subscriptions wait for it.
#[test]
fn a_new_track_is_never_offered_to_whom_it_is_forbidden() {
    let mut crowd = Crowd::new();
    for number in 0..2 {
        let everything = Join { auto_subscribe: true, ..join(number) };
        crowd.input(Input::Join(Box::new(everything)));
        let session = sluicegate_contract::SessionKey { room: RoomKey(1), index: number };
        crowd.input(Input::Media(Event::TransportState {
            session,
            target: PcTarget::Subscriber,
            state: TransportState::Connected,
        }));
    }
    let say = |crowd: &mut Crowd, all_participants| {
        let said = pb::SubscriptionPermission { all_participants, track_permissions: Vec::new() };
        crowd.signal(0, Message::SubscriptionPermission(said));
    };
    let publish = |crowd: &mut Crowd, cid: &str| {
        crowd.signal(0, Message::AddTrack(pb::AddTrackRequest { cid: cid.to_owned(), ..camera() }));
        let track = crowd.newest_track.take().unwrap();
        crowd.input(Input::Media(Event::TrackStarted { track, codec: Codec::Vp8, mid: "1".into(), rids: Vec::new() }));
        crowd.wait(Duration::from_secs(1));
    };
    // the second of two words, which waits while the first was carried out at once
    say(&mut crowd, true);
    say(&mut crowd, false);
    say(&mut crowd, true);
    crowd.wait(Duration::from_secs(1));
    say(&mut crowd, true);
    say(&mut crowd, false);
    crowd.wait(Duration::from_millis(1));
    say(&mut crowd, true);
    say(&mut crowd, false);
    publish(&mut crowd, "forbidden");
    assert_eq!(crowd.subscriptions, 0);
    say(&mut crowd, true);
    crowd.wait(Duration::from_secs(1));
    assert_eq!(crowd.subscriptions, 1);
    publish(&mut crowd, "allowed");
    assert_eq!(crowd.subscriptions, 2);
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
