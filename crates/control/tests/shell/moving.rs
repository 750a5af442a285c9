//! A participant goes from one room to another.

use serde_json::json;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message as Response;

use crate::support::*;

/// An admin of the room `room` and of one more.
pub fn mover(destination: &str) -> String {
    signed(&claims("", |grant| {
        (grant.room_join, grant.room_admin, grant.destination_room) = (false, true, destination.to_owned());
    }))
}

pub async fn ask(server: &Server, method: &str, token: &str, identity: &str, destination: &str) -> Answer {
    let body = json!({ "room": "room", "identity": identity, "destinationRoom": destination }).to_string();
    server.twirp(&format!("RoomService/{method}"), token, "application/json", body.as_bytes()).await
}

#[tokio::test]
async fn the_client_is_told_and_given_a_token_for_the_other_room() {
    let server = start(|_| {}).await;
    let elsewhere = signed(&claims("ben", |grant| grant.room = "other".to_owned()));
    let mut ben = server.connect(&format!("/rtc?protocol=17&access_token={elsewhere}")).await.unwrap();
    let Response::Join(_) = ben.next().await else { panic!("no join") };
    let (mut ann, joined) = server.join("ann").await;
    let (mut cid, _) = server.join("cid").await;
    let answer = ask(&server, "MoveParticipant", &mover("other"), "ann", "other").await;
    assert_eq!((answer.status, answer.json()), (200, json!({})));
    let mut newest = String::new();
    let moved = loop {
        match ann.next().await {
            Response::RefreshToken(token) => newest = token,
            Response::RoomMoved(moved) => break moved,
            _ => {}
        }
    };
    assert_eq!(newest, moved.token, "native SDKs do not look for it in room_moved");
    let room = moved.room.unwrap();
    assert_eq!((room.name.as_str(), room.sid != joined.room.unwrap().sid), ("other", true));
    assert_eq!(moved.participant.unwrap().identity, "ann");
    assert_eq!(moved.other_participants.iter().map(|info| info.identity.as_str()).collect::<Vec<_>>(), ["ben"]);
    let leave = ann.until(|message| if let Response::Leave(leave) = message { Some(leave) } else { None }).await;
    let reconnect = (pb::leave_request::Action::Reconnect, pb::DisconnectReason::Migration);
    assert_eq!((leave.action(), leave.reason()), reconnect);
    assert_eq!(ann.closed().await, Some(1000));
    // those who stay hear that she went
    let gone = |message| match message {
        Response::Update(update) => {
            update.participants.into_iter().find(|info| info.state() == pb::participant_info::State::Disconnected)
        }
        _ => None,
    };
    assert_eq!(cid.until(gone).await.identity, "ann");
    // as SDKs do, with the token they were given
    let mut again = server.connect(&format!("/rtc?protocol=17&access_token={}", moved.token)).await.unwrap();
    let Response::Join(join) = again.next().await else { panic!("no join") };
    assert_eq!((join.room.unwrap().sid, join.other_participants.len()), (room.sid, 1));
    let came = |message| match message {
        Response::Update(update) => update.participants.into_iter().find(|info| info.identity == "ann"),
        _ => None,
    };
    assert_eq!(ben.until(came).await.name, "");
}

#[tokio::test]
async fn a_room_is_made_for_whoever_comes() {
    let server = start(|_| {}).await;
    let (mut ann, _) = server.join("ann").await;
    assert_eq!(ask(&server, "MoveParticipant", &mover("new"), "ann", "new").await.status, 200);
    let moved = ann.until(|message| if let Response::RoomMoved(moved) = message { Some(moved) } else { None }).await;
    assert_eq!(moved.room.unwrap().name, "new");
}

#[tokio::test]
async fn who_cannot_be_moved_stays() {
    let server = start(|_| {}).await;
    let (mut ann, _) = server.join("ann").await;
    let old = server.connect(&format!("/rtc?protocol=15&access_token={}", token("old"))).await.unwrap();
    let recorder = signed(&claims("recorder", |grant| grant.recorder = true));
    let _recorder = server.connect(&format!("/rtc?protocol=17&access_token={recorder}")).await.unwrap();
    server.json("CreateRoom", &json!({ "name": "full", "maxParticipants": 1 })).await;
    let inside = signed(&claims("first", |grant| grant.room = "full".to_owned()));
    let _first = server.connect(&format!("/rtc?access_token={inside}")).await.unwrap();
    let long = "x".repeat(257);
    let cases = [
        (mover("other"), "nobody", "other", 404, "not_found"),
        (mover("other"), "old", "other", 412, "failed_precondition"),
        (mover("other"), "recorder", "other", 412, "failed_precondition"),
        (mover("full"), "ann", "full", 429, "resource_exhausted"),
        (mover("room"), "ann", "room", 400, "invalid_argument"),
        (mover(""), "ann", "", 400, "invalid_argument"),
        (mover(&long), "ann", long.as_str(), 400, "invalid_argument"),
        (mover("another"), "ann", "other", 401, "unauthenticated"),
        (admin(), "ann", "other", 401, "unauthenticated"),
        (token("ann"), "ann", "other", 401, "unauthenticated"),
    ];
    for (token, identity, to, status, code) in cases {
        let answer = ask(&server, "MoveParticipant", &token, identity, to).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{identity} to {to}");
    }
    let rooms = server.json("ListRooms", &json!({})).await.json();
    let names: Vec<_> = rooms["rooms"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["full", "other", "room"], "made for those who then could not go");
    ann.send(pb::signal_request::Message::Ping(1)).await;
    ann.until(|message| matches!(message, Response::Pong(_)).then_some(())).await;
    drop(old);
}

#[tokio::test]
async fn no_room_is_made_where_joins_make_none() {
    let server = start(|config| config.auto_create = false).await;
    let names = async || server.json("ListRooms", &json!({})).await.json()["rooms"].as_array().unwrap().len();
    server.json("CreateRoom", &json!({ "name": "room" })).await;
    let (mut ann, _) = server.join("ann").await;
    let answer = ask(&server, "MoveParticipant", &mover("other"), "ann", "other").await;
    assert_eq!((answer.code(), names().await), ((404, "not_found".to_owned()), 1));
    // who may create rooms makes this one, too; and one that is there is there
    let creator = signed(&claims("", |grant| {
        (grant.room_join, grant.room_admin, grant.room_create) = (false, true, true);
        grant.destination_room = "new".to_owned();
    }));
    assert_eq!(ask(&server, "MoveParticipant", &creator, "ann", "new").await.status, 200);
    ann.closed().await;
    let (_again, _) = server.join("ann").await;
    server.json("CreateRoom", &json!({ "name": "other" })).await;
    assert_eq!(ask(&server, "MoveParticipant", &mover("other"), "ann", "other").await.status, 200);
}
