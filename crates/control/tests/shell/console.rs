//! The console's page and what it asks.

use sluicegate_contract::Command;
use sluicegate_contract::command::Fault;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message as Response;
use sluicegate_proto::token::{KeyStore, verify};

use crate::support::*;

#[tokio::test]
async fn its_files_are_served_and_known_again() {
    let server = start(|_| {}).await;
    let moved = server.get("/console?room=a%20b").await;
    assert_eq!((moved.status, moved.headers["location"].as_str()), (308, "/console/?room=a%20b"));
    let page = server.get("/console/").await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert!(page.headers["content-security-policy"].contains("default-src 'self'"));
    let tag = page.headers["etag"].clone();
    let again = server.request("GET", "/console/", &[("if-none-match", &tag)], &[]).await;
    assert_eq!((again.status, again.text()), (304, ""));
    for path in ["/console/nothing", "/console/assets/", "/console/../console/index.html", "/console/api/nothing"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn in_development_it_gets_tokens_and_figures() {
    let server = start(|_| {}).await;
    let answer = server.get("/console/api/session?room=r%C3%BC&identity=ann&name=Ann").await;
    let answer: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!((answer["room"].as_str(), answer["identity"].as_str()), (Some("rü"), Some("ann")));
    let claims = verify(&keys(), answer["token"].as_str().unwrap(), now_secs()).unwrap();
    let video = claims.video.clone().unwrap();
    assert_eq!((claims.identity(), claims.name.as_str(), video.room.as_str(), video.room_admin), ("ann", "Ann", "rü", false));
    let long = "x".repeat(257);
    for query in ["room=r", "identity=a", &format!("room={long}&identity=a"), &format!("room=r&identity={long}")] {
        assert_eq!(server.get(&format!("/console/api/session?{query}")).await.status, 400, "{query}");
    }

    let mut client = server.connect(&format!("/rtc?access_token={}", token("ann"))).await.unwrap();
    client.next().await;
    let overview = server.get("/console/api/overview").await;
    let overview: serde_json::Value = serde_json::from_str(overview.text()).unwrap();
    let participant = &overview["rooms"][0]["participants"][0];
    assert_eq!((participant["identity"].as_str(), participant["state"].as_str()), (Some("ann"), Some("JOINED")));
    assert_eq!(overview["figures"]["packets_up"].as_u64(), Some(0));
}

#[tokio::test]
async fn elsewhere_it_gets_neither() {
    let server = start(|config| config.in_development = false).await;
    assert_eq!(server.get("/console/").await.status, 200);
    for (method, path) in [
        ("GET", "/console/api/session?room=r&identity=a"),
        ("GET", "/console/api/overview"),
        ("POST", "/console/api/fault?worker=0"),
        ("POST", "/console/api/fault?room=room"),
    ] {
        let answer = server.local(method, path).await;
        assert_eq!((answer.status, answer.text()), (404, "this server is not in development mode"), "{path}");
    }
}

#[tokio::test]
async fn in_development_it_panics_for_the_asking() {
    let mut server = start(|_| {}).await;
    let (mut ann, joined) = server.join("ann").await;
    for (what, status) in [
        ("", 400),
        ("worker=x", 400),
        ("worker=0&room=room", 400),
        ("worker=1", 404),
        ("room=other", 404),
        ("room=room&identity=ben", 404),
    ] {
        assert_eq!(server.fault(what).await.status, status, "{what}");
    }
    for what in ["worker=0", "room=room&identity=ann"] {
        assert_eq!(server.fault(what).await.status, 200);
    }
    let mut faults = Vec::new();
    for _ in 0..2 {
        faults.push(server.command(|command| matches!(command, Command::Fault(_))).await);
    }
    assert!(
        matches!(&faults[..], [Command::Fault(Fault::Worker(_)), Command::Fault(Fault::Service(session))] if session.index == 0),
        "{faults:?}"
    );
    assert_eq!(server.request("POST", "/console/api/fault?room=room", &[], &[]).await.status, 403, "not by this machine's name");

    assert_eq!(server.fault("room=room").await.status, 200);
    let leave = ann.until(|message| if let Response::Leave(leave) = message { Some(leave) } else { None }).await;
    assert_eq!(leave.action(), pb::leave_request::Action::Reconnect);
    assert_eq!(server.metric("sluicegate_panics_total").await, 1);
    let (_ann, again) = server.join("ann").await;
    assert_eq!(again.room.map(|room| room.sid), joined.room.map(|room| room.sid), "the same room");
}

/// An operator's own key is for nobody who merely reaches the port.
#[tokio::test]
async fn own_keys_sign_for_this_machine_only() {
    let server = start(|config| config.keys = KeyStore::new([("own".to_owned(), "kept".to_owned())].into())).await;
    let ask = "/console/api/session?room=r&identity=a";
    let here = server.request("GET", ask, &[], &[]).await;
    assert_eq!(here.status, 403, "the host is not this machine's: {here:?}");
    let port = server.address.port();
    let get = |origin: &str| format!("GET {ask} HTTP/1.1\r\nhost: localhost:{port}\r\n{origin}connection: close\r\n\r\n");
    assert_eq!(server.raw(get("").as_bytes()).await.status, 200);
    assert_eq!(server.raw(get("origin: https://a.example\r\n").as_bytes()).await.status, 403);
}
