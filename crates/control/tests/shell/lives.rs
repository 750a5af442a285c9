//! Lives of rooms and of the whole: races at the end of a room, counts that come back to their base, shutdown.

use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message as Response;

use sluicegate_control::Store;
use sluicegate_proto::token::Claims;

use crate::support::*;

#[tokio::test]
async fn a_name_is_free_when_delete_returns() {
    let server = start(|_| {}).await;
    let mut sids = Vec::new();
    for _ in 0..20 {
        let (_client, join) = server.join("ann").await;
        sids.push(join.room.unwrap().sid);
        let deleted = server.json("DeleteRoom", &serde_json::json!({ "room": "room" })).await;
        assert_eq!(deleted.status, 200, "{deleted:?}");
        let rooms = server.json("ListRooms", &serde_json::json!({})).await.json();
        assert_eq!(rooms["rooms"], serde_json::json!([]));
    }
    sids.sort();
    sids.dedup();
    assert_eq!(sids.len(), 20, "each was a room of its own");
}

/// Joins that meet a room which is just ending get a new one, never an error.
#[tokio::test(flavor = "multi_thread")]
async fn joins_race_with_deletions() {
    let server = std::sync::Arc::new(start(|_| {}).await);
    let deleting = tokio::spawn({
        let server = server.clone();
        async move {
            for _ in 0..100 {
                let answer = server.json("DeleteRoom", &serde_json::json!({ "room": "room" })).await;
                assert!(matches!(answer.status, 200 | 404), "{answer:?}");
            }
        }
    });
    let joining = (0..4).map(|number| {
        let server = server.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                let joined = server.connect(&format!("/rtc?access_token={}", token(&format!("p{number}")))).await;
                assert!(joined.is_ok(), "{:?}", joined.err());
            }
        })
    });
    let joining: Vec<_> = joining.collect();
    for task in joining {
        task.await.unwrap();
    }
    deleting.await.unwrap();
}

#[tokio::test]
async fn counts_come_back_to_their_base() {
    let server = start(|config| config.room.departure_timeout = std::time::Duration::ZERO).await;
    let kinds = ["room", "participant", "websocket", "task", "http_connection"];
    let mut base = Vec::new();
    for kind in kinds {
        base.push(server.live(kind).await);
    }
    for round in 0..20 {
        let mut clients = Vec::new();
        for number in 0..10 {
            clients.push(server.join(&format!("{round}-{number}")).await);
        }
        assert!(server.live("participant").await >= 1);
    }
    for (kind, base) in kinds.into_iter().zip(base) {
        soon(async {
            while server.live(kind).await != base {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn shutdown_says_goodbye_and_closes_the_port() {
    let mut server = start(|_| {}).await;
    let (mut client, _) = server.join("ann").await;
    let control = server.control.clone();
    let stopping = tokio::spawn(async move { control.shutdown().await });
    let leave = client.until(|message| if let Response::Leave(leave) = message { Some(leave) } else { None }).await;
    assert_eq!(leave.reason(), pb::DisconnectReason::ServerShutdown);
    assert_eq!(leave.action(), pb::leave_request::Action::Reconnect);
    assert_eq!(client.closed().await, Some(1000));
    soon(stopping).await.unwrap();
    soon(&mut server.serving).await.unwrap();
    assert!(tokio::net::TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn rooms_of_tokens_have_their_configuration() {
    let server = start(|_| {}).await;
    let mut claims = claims("ann", |_| {});
    claims.room_config = Some(pb::RoomConfiguration { max_participants: 3, empty_timeout: 7, ..Default::default() });
    let mut client = server.connect(&format!("/rtc?access_token={}", signed(&claims))).await.unwrap();
    let Response::Join(join) = client.next().await else { panic!("no join") };
    let room = join.room.unwrap();
    assert_eq!((room.max_participants, room.empty_timeout), (3, 7));
}

#[tokio::test]
async fn a_draining_server_has_no_new_rooms() {
    let server = start(|_| {}).await;
    let (mut client, _) = server.join("ann").await;
    let draining = tokio::spawn({
        let control = server.control.clone();
        async move { control.drain(std::time::Duration::from_secs(3600)).await }
    });
    let ready = soon(async {
        loop {
            let answer = server.get("/").await;
            if answer.status != 200 {
                return answer;
            }
        }
    });
    let ready = ready.await;
    assert_eq!((ready.status, ready.text()), (406, "Not Ready\nthe server is shutting down"));
    let new = |token: &str| format!("/rtc?access_token={token}");
    let elsewhere = signed(&claims("ben", |grant| grant.room = "elsewhere".to_owned()));
    let refused = server.connect(&new(&elsewhere)).await.err();
    assert_eq!(refused, Some((503, "the server is shutting down".to_owned())));
    let created = server.json("CreateRoom", &serde_json::json!({ "name": "elsewhere" })).await;
    assert_eq!(created.code(), (503, "unavailable".to_owned()));
    // who is there goes on, and is joined
    let (_ben, _) = server.join("ben").await;
    client.until(|message| if let Response::Update(_) = message { Some(()) } else { None }).await;
    let created = server.json("CreateRoom", &serde_json::json!({ "name": "room", "metadata": "m" })).await;
    assert_eq!(created.status, 200);
    assert!(!draining.is_finished());
    server.control.hurry();
    soon(draining).await.unwrap();
}

#[tokio::test]
async fn a_server_without_participants_is_drained() {
    let server = start(|_| {}).await;
    assert_eq!(server.json("CreateRoom", &serde_json::json!({ "name": "empty" })).await.status, 200);
    soon(server.control.drain(std::time::Duration::from_secs(3600))).await;
}

#[tokio::test]
async fn rooms_outlive_the_process_and_what_was_deleted_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let list = async |server: &Server| {
        let rooms = server.json("ListRooms", &serde_json::json!({})).await.json()["rooms"].clone();
        let room = |room: &serde_json::Value| {
            let text = |field: &str| room[field].as_str().unwrap().to_owned();
            (text("name"), text("sid"), text("metadata"), text("creation_time_ms"))
        };
        rooms.as_array().unwrap().iter().map(room).collect::<Vec<_>>()
    };
    let before = {
        let store = Store::open(directory.path()).unwrap();
        let server = start_on(store.clone(), |_| {}).await;
        for name in ["kept", "deleted"] {
            assert_eq!(server.json("CreateRoom", &serde_json::json!({ "name": name, "metadata": "m" })).await.status, 200);
        }
        assert_eq!(server.json("DeleteRoom", &serde_json::json!({ "room": "deleted" })).await.status, 200);
        let (mut client, _) = server.join("ann").await;
        let changed = server.json("UpdateRoomMetadata", &serde_json::json!({ "room": "room", "metadata": "n" })).await;
        assert_eq!((changed.status, store.counts().waiting), (200, 0));
        let before = list(&server).await;
        soon(server.control.shutdown()).await;
        client.closed().await;
        store.close();
        before
    };
    assert_eq!(before.len(), 2);
    assert_eq!(before[1].2, "n");
    let store = Store::open(directory.path()).unwrap();
    let server = start_on(store.clone(), |_| {}).await;
    assert_eq!(list(&server).await, before);
    // who comes back finds the same room
    let (_client, join) = server.join("ann").await;
    assert_eq!(join.room.unwrap().sid, before[1].1);
    assert_eq!(server.json("DeleteRoom", &serde_json::json!({ "room": "room" })).await.status, 200);
    store.close();
    let server = start_on(Store::open(directory.path()).unwrap(), |_| {}).await;
    assert_eq!(list(&server).await.len(), 1);
}

#[tokio::test]
async fn presets_fill_what_a_room_is_not_told() {
    let preset = pb::RoomConfiguration { max_participants: 3, empty_timeout: 7, metadata: "m".to_owned(), ..Default::default() };
    let server = start(|config| {
        config.room.configurations = [("lecture".to_owned(), preset)].into();
    })
    .await;
    let made = server.json("CreateRoom", &serde_json::json!({ "name": "a", "roomPreset": "lecture", "maxParticipants": 5 })).await;
    let made = made.json();
    assert_eq!((&made["max_participants"], &made["empty_timeout"], &made["metadata"]), (&5.into(), &7.into(), &"m".into()));
    let mut claims = claims("ann", |_| {});
    claims.room_preset = "lecture".to_owned();
    claims.room_config = Some(pb::RoomConfiguration { empty_timeout: 9, ..Default::default() });
    let mut client = server.connect(&format!("/rtc?access_token={}", signed(&claims))).await.unwrap();
    let Response::Join(join) = client.next().await else { panic!("no join") };
    let room = join.room.unwrap();
    assert_eq!((room.max_participants, room.empty_timeout, room.metadata.as_str()), (3, 9, "m"));
    claims.room_preset = "seminar".to_owned();
    let refused = server.connect(&format!("/rtc?access_token={}", signed(&claims))).await.err();
    assert_eq!(refused, Some((400, "unknown room configuration in create room request".to_owned())));
}

/// The token of a client, the one that it was refreshed with, and another one that begins later.
async fn refreshed(client: &mut Client) -> String {
    client.until(|message| if let Response::RefreshToken(token) = message { Some(token) } else { None }).await
}

#[tokio::test]
async fn what_was_taken_back_stays_so_and_takes_back_what_came_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let now = now_secs();
    let begun = |nbf| signed(&Claims { nbf, ..claims("ann", |_| {}) });
    let path = |token: &str| format!("/rtc?protocol=17&access_token={token}");
    let revoke = serde_json::json!({ "room": "room", "identity": "ann", "revoke_token_ts": now });
    let (old, new, later) = {
        let store = Store::open(directory.path()).unwrap();
        let server = start_on(store.clone(), |_| {}).await;
        let mut ann = server.connect(&path(&begun(now - 10))).await.unwrap();
        // signed in the very second of the revocation, or after it
        let old = refreshed(&mut ann).await;
        // a second connection that only publishes has another identity, and no other token
        let mut publishing = server.connect(&format!("{}&publish=x", path(&begun(now - 10)))).await.unwrap();
        let published = refreshed(&mut publishing).await;
        assert_eq!(server.json("RemoveParticipant", &revoke).await.status, 200);
        assert_eq!(server.connect(&path(&published)).await.err(), Some((401, "the token was revoked".to_owned())));
        let in_ms = serde_json::json!({ "room": "room", "identity": "ann", "revoke_token_ts": now * 1000 });
        assert_eq!(server.json("RemoveParticipant", &in_ms).await.code(), (400, "invalid_argument".to_owned()));
        assert_eq!(store.counts().waiting, 0, "it is on the disk");
        let new = begun(now);
        let mut ann = server.connect(&path(&new)).await.unwrap();
        let later = refreshed(&mut ann).await;
        // as if the process were killed: no shutdown
        store.close();
        (old, new, later)
    };
    let server = start_on(Store::open(directory.path()).unwrap(), |_| {}).await;
    for token in [begun(now - 10), old] {
        assert_eq!(server.connect(&path(&token)).await.err(), Some((401, "the token was revoked".to_owned())));
    }
    for token in [new, later] {
        assert!(server.connect(&path(&token)).await.is_ok());
    }
}
