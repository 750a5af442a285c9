//! A participant of one room is shown in another one, too.

use std::collections::BTreeSet;

use serde_json::json;
use sluicegate_contract::command::Subscribe;
use sluicegate_contract::{Command, Event, TrackKey};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message as Response;
use sluicegate_room::RoomConfig;

use crate::moving::{ask, mover};
use crate::support::*;

async fn forward(server: &Server, identity: &str, to: &str) -> Answer {
    ask(server, "ForwardParticipant", &mover(to), identity, to).await
}

/// A client of the room `other`, with whom it found there.
async fn elsewhere(server: &Server, identity: &str) -> (Client, Vec<pb::ParticipantInfo>) {
    let token = signed(&claims(identity, |grant| grant.room = "other".to_owned()));
    let mut client = server.connect(&format!("/rtc?protocol=17&access_token={token}")).await.unwrap();
    let Response::Join(join) = client.next().await else { panic!("no join") };
    (client, join.other_participants)
}

/// The next news of a participant that fits.
async fn news(client: &mut Client, fits: impl Fn(&pb::ParticipantInfo) -> bool) -> pb::ParticipantInfo {
    let fitting = |message| match message {
        Response::Update(update) => update.participants.into_iter().find(|info| fits(info)),
        _ => None,
    };
    client.until(fitting).await
}

/// The client announces a microphone and its media begins.
async fn publish(server: &mut Server, client: &mut Client) -> (TrackKey, String) {
    let add = pb::AddTrackRequest { cid: "mic".to_owned(), ..Default::default() };
    client.send(pb::signal_request::Message::AddTrack(add)).await;
    let Command::AddTrack(add) = server.command(|command| matches!(command, Command::AddTrack(_))).await else { panic!() };
    let codec = RoomConfig::default().enabled_codecs.into_iter().find(|codec| codec.mime() == "audio/opus").unwrap();
    let started = Event::TrackStarted { track: add.track, codec, mid: "0".into(), rids: Vec::new() };
    server.events.send(started).await.unwrap();
    let published = |message| if let Response::TrackPublished(published) = message { published.track } else { None };
    (add.track, client.until(published).await.sid)
}

async fn subscribed(server: &mut Server) -> Subscribe {
    match server.command(|command| matches!(command, Command::Subscribe(_))).await {
        Command::Subscribe(subscribe) => *subscribe,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn it_is_shown_there_until_it_leaves() {
    let mut server = start(|_| {}).await;
    let (mut ann, _) = server.join("ann").await;
    let (track, sid) = publish(&mut server, &mut ann).await;
    // made for it, as by a join
    let answer = forward(&server, "ann", "other").await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    assert_eq!(forward(&server, "ann", "other").await.status, 200, "again is no more");
    let (mut ben, found) = elsewhere(&server, "ben").await;
    let [info] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((info.identity.as_str(), info.kind(), info.is_publisher), ("ann", pb::participant_info::Kind::Standard, true));
    assert_eq!(info.kind_details, [pb::participant_info::KindDetail::Forwarded as i32]);
    assert_eq!(info.tracks[0].sid, sid);
    let subscribe = subscribed(&mut server).await;
    assert_eq!(subscribe.track, track, "the very track, across rooms");
    assert_eq!((&*subscribe.stream_id, &*subscribe.track_id), (format!("{}|{sid}", info.sid).as_str(), sid.as_str()));
    assert_ne!(subscribe.session.room, track.room);
    // whatever changes
    let update = pb::UpdateParticipantMetadata { metadata: "new".to_owned(), ..Default::default() };
    ann.send(pb::signal_request::Message::UpdateMetadata(update)).await;
    let body = json!({ "room": "room", "identity": "ann", "metadata": "from outside" });
    assert_eq!(server.json("UpdateParticipant", &body).await.status, 200);
    assert_eq!(news(&mut ben, |info| info.metadata == "from outside").await.sid, info.sid);
    ann.send(pb::signal_request::Message::Mute(pb::MuteTrackRequest { sid: sid.clone(), muted: true })).await;
    news(&mut ben, |info| info.tracks.iter().any(|track| track.muted)).await;
    ann.send(pb::signal_request::Message::Leave(pb::LeaveRequest::default())).await;
    let gone = news(&mut ben, |info| info.state() == pb::participant_info::State::Disconnected).await;
    assert_eq!((gone.sid.as_str(), gone.disconnect_reason()), (info.sid.as_str(), pb::DisconnectReason::ClientInitiated));
    let unsubscribe = server.command(|command| matches!(command, Command::Unsubscribe { .. })).await;
    assert!(matches!(unsubscribe, Command::Unsubscribe { session, track: of } if session == subscribe.session && of == track));
}

#[tokio::test]
async fn the_other_room_can_end_it_and_have_it_again() {
    let server = start(|_| {}).await;
    let (_ann, _) = server.join("ann").await;
    let (mut ben, _) = elsewhere(&server, "ben").await;
    let admin = signed(&claims("", |grant| (grant.room_admin, grant.room) = (true, "other".to_owned())));
    let mut sids = Vec::new();
    for _ in 0..2 {
        assert_eq!(forward(&server, "ann", "other").await.status, 200);
        sids.push(news(&mut ben, |info| info.state() != pb::participant_info::State::Disconnected).await.sid);
        let body = json!({ "room": "other", "identity": "ann" }).to_string();
        let removed = server.twirp("RoomService/RemoveParticipant", &admin, "application/json", body.as_bytes()).await;
        assert_eq!(removed.status, 200);
        news(&mut ben, |info| info.state() == pb::participant_info::State::Disconnected).await;
    }
    assert_ne!(sids[0], sids[1]);
    // its own room has not lost it
    assert_eq!(server.json("GetParticipant", &json!({ "room": "room", "identity": "ann" })).await.status, 200);
}

#[tokio::test]
async fn it_ends_with_either_room() {
    let server = start(|_| {}).await;
    let (_ann, _) = server.join("ann").await;
    let (mut ben, _) = elsewhere(&server, "ben").await;
    assert_eq!(forward(&server, "ann", "other").await.status, 200);
    assert_eq!(forward(&server, "ann", "third").await.status, 200);
    assert_eq!(server.json("DeleteRoom", &json!({ "room": "third" })).await.status, 200);
    assert_eq!(server.json("DeleteRoom", &json!({ "room": "room" })).await.status, 200);
    let gone = news(&mut ben, |info| info.state() == pb::participant_info::State::Disconnected).await;
    assert_eq!((gone.identity.as_str(), gone.disconnect_reason()), ("ann", pb::DisconnectReason::RoomDeleted));
    let (mut ann, _) = server.join("ann").await;
    ann.send(pb::signal_request::Message::Ping(1)).await;
    ann.until(|message| matches!(message, Response::Pong(_)).then_some(())).await;
}

#[tokio::test]
async fn two_rooms_that_show_each_other_do_not_wait_for_each_other() {
    let server = start(|_| {}).await;
    let (mut ann, _) = server.join("ann").await;
    let (mut ben, _) = elsewhere(&server, "ben").await;
    let back = signed(&claims("", |grant| {
        (grant.room_admin, grant.room, grant.destination_room) = (true, "other".to_owned(), "room".to_owned());
    }));
    assert_eq!(forward(&server, "ann", "other").await.status, 200);
    let body = json!({ "room": "other", "identity": "ben", "destinationRoom": "room" }).to_string();
    let answer = server.twirp("RoomService/ForwardParticipant", &back, "application/json", body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    // far more than an inbox holds
    for number in 0..3000 {
        for client in [&mut ann, &mut ben] {
            let update = pb::UpdateParticipantMetadata { metadata: number.to_string(), ..Default::default() };
            client.send(pb::signal_request::Message::UpdateMetadata(update)).await;
        }
    }
    for (room, identity) in [("room", "ann"), ("other", "ben")] {
        let token = signed(&claims("", |grant| (grant.room_admin, grant.room) = (true, room.to_owned())));
        let body = json!({ "room": room, "identity": identity, "metadata": "last" }).to_string();
        let answer = server.twirp("RoomService/UpdateParticipant", &token, "application/json", body.as_bytes()).await;
        assert_eq!(answer.status, 200);
    }
    news(&mut ben, |info| info.identity == "ann" && info.metadata == "last").await;
    news(&mut ann, |info| info.identity == "ben" && info.metadata == "last").await;
}

#[tokio::test]
async fn who_is_not_forwarded() {
    let server = start(|_| {}).await;
    let (_ann, _) = server.join("ann").await;
    let hidden = signed(&claims("hid", |grant| grant.hidden = true));
    let _hidden = server.connect(&format!("/rtc?protocol=17&access_token={hidden}")).await.unwrap();
    let (_twin, _) = elsewhere(&server, "ann").await;
    server.json("CreateRoom", &json!({ "name": "full", "maxParticipants": 1 })).await;
    let inside = signed(&claims("first", |grant| grant.room = "full".to_owned()));
    let _first = server.connect(&format!("/rtc?access_token={inside}")).await.unwrap();
    let cases = [
        (mover("other"), "nobody", "other", 404, "not_found"),
        (mover("other"), "hid", "other", 412, "failed_precondition"),
        (mover("other"), "ann", "other", 412, "failed_precondition"),
        (mover("full"), "ann", "full", 429, "resource_exhausted"),
        (mover("room"), "ann", "room", 400, "invalid_argument"),
        (mover("another"), "ann", "other", 401, "unauthenticated"),
        (token("ann"), "ann", "other", 401, "unauthenticated"),
    ];
    for (token, identity, to, status, code) in cases {
        let answer = ask(&server, "ForwardParticipant", &token, identity, to).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{identity} to {to}: {}", answer.text());
    }
    // made for nobody
    assert_eq!(forward(&server, "hid", "new").await.status, 412);
    let rooms = server.json("ListRooms", &json!({})).await.json();
    assert!(rooms["rooms"].as_array().unwrap().iter().all(|room| room["name"] != "new"));
    // to so many rooms and no more; one that ended makes room
    for number in 0..64 {
        assert_eq!(forward(&server, "ann", &format!("r{number}")).await.status, 200);
    }
    assert_eq!(forward(&server, "ann", "r64").await.code(), (429, "resource_exhausted".to_owned()));
    assert_eq!(server.json("DeleteRoom", &json!({ "room": "r7" })).await.status, 200);
    assert_eq!(forward(&server, "ann", "r64").await.status, 200);
}

#[tokio::test]
async fn no_room_is_made_where_a_join_would_make_none() {
    let server = start(|config| config.auto_create = false).await;
    server.json("CreateRoom", &json!({ "name": "room" })).await;
    let (_ann, _) = server.join("ann").await;
    assert_eq!(forward(&server, "ann", "other").await.code(), (404, "not_found".to_owned()));
    server.json("CreateRoom", &json!({ "name": "other" })).await;
    assert_eq!(forward(&server, "ann", "other").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_breaks_shows_them_again() {
    const SHOWN: [&str; 6] = ["ann", "bea", "cid", "dan", "eve", "fay"];
    let server = start(|_| {}).await;
    let (mut ben, _) = elsewhere(&server, "ben").await;
    let mut shown = Vec::new();
    for identity in SHOWN {
        shown.push(server.join(identity).await.0);
        assert_eq!(forward(&server, identity, "other").await.status, 200);
        news(&mut ben, |info| info.identity == identity).await;
    }
    for _ in 0..5 {
        assert_eq!(server.fault("room=other").await.status, 200);
        let leave = ben.until(|message| if let Response::Leave(leave) = message { Some(leave) } else { None }).await;
        assert_eq!(leave.action(), pb::leave_request::Action::Reconnect);
        let found;
        (ben, found) = elsewhere(&server, "ben").await;
        // they may be back before him or after, in any order
        let mut missing: BTreeSet<String> = SHOWN.map(str::to_owned).into();
        let mut came = found;
        loop {
            missing.retain(|identity| !came.iter().any(|info| info.identity == *identity));
            if missing.is_empty() {
                break;
            }
            came = ben.until(|message| if let Response::Update(update) = message { Some(update.participants) } else { None }).await;
        }
    }
    // and their own room knows
    shown[0].send(pb::signal_request::Message::Leave(pb::LeaveRequest::default())).await;
    news(&mut ben, |info| info.identity == "ann" && info.state() == pb::participant_info::State::Disconnected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_ended_there_can_be_asked_for_at_once() {
    let server = start(|_| {}).await;
    let (_ann, _) = server.join("ann").await;
    let other = signed(&claims("", |grant| (grant.room_admin, grant.room) = (true, "other".to_owned())));
    for _ in 0..50 {
        assert_eq!(forward(&server, "ann", "other").await.status, 200);
        let list = json!({ "room": "other" }).to_string();
        let listed = server.twirp("RoomService/ListParticipants", &other, "application/json", list.as_bytes()).await.json();
        assert_eq!(listed["participants"].as_array().map(Vec::len), Some(1), "{listed}");
        assert_eq!(server.json("DeleteRoom", &json!({ "room": "other" })).await.status, 200);
    }
}

#[tokio::test]
async fn with_its_own_room_it_is_gone() {
    let server = start(|_| {}).await;
    let (_ann, _) = server.join("ann").await;
    let (mut ben, _) = elsewhere(&server, "ben").await;
    assert_eq!(forward(&server, "ann", "other").await.status, 200);
    assert_eq!(server.fault("room=room").await.status, 200);
    news(&mut ben, |info| info.identity == "ann" && info.state() == pb::participant_info::State::Disconnected).await;
}
