//! Lives of rooms and of the whole: races at the end of a room, counts that come back to their base, shutdown.

use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message as Response;

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
