//! Routes, middleware, and the table of refusals.

use sluicegate_contract::meter::Meters;
use sluicegate_control::{Control, ControlConfig, Login, MediaPort, Store, WorkerPort};
use sluicegate_proto::pb;
use sluicegate_proto::token::{Claims, KeyStore, sign};

use crate::support::*;

#[tokio::test]
async fn health_and_unknown_paths() {
    let server = start(|_| {}).await;
    let health = server.get("/").await;
    assert_eq!((health.status, health.text()), (200, "OK"));
    for path in ["/nothing", "/rtc/", "/rtc/v2", "/twirp", "/settings/regions"] {
        assert_eq!(server.get(path).await.status, 404, "{path}");
    }
    for path in ["/rtc", "/rtc/v1"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status, answer.text()), (404, ""), "{path} without a WebSocket");
    }
}

#[tokio::test]
async fn a_node_without_media_is_not_ready() {
    let (commands, no_worker) = tokio::sync::mpsc::channel(1);
    drop(no_worker);
    let (_events, events) = tokio::sync::mpsc::channel(1);
    let (_meters, meters) = tokio::sync::watch::channel(Meters::default());
    let keys = KeyStore::new([("devkey".to_owned(), "secret".to_owned())].into());
    let config = ControlConfig { keys, ..ControlConfig::default() };
    let media = MediaPort { workers: vec![WorkerPort { commands, meters }], events, is_behind: Default::default() };
    let control = Control::start(config, media, Store::in_memory().unwrap());
    let mut server = start(|_| {}).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    server.address = listener.local_addr().unwrap();
    tokio::spawn(async move { control.serve(listener).await });
    let answer = server.get("/").await;
    assert_eq!((answer.status, answer.text().starts_with("Not Ready\n")), (406, true));
    // joins are refused with a sentence, too
    let signed = sign("secret", &claims("ann", |_| {})).unwrap();
    assert_eq!(server.connect(&format!("/rtc?access_token={signed}")).await.err().map(|(status, _)| status), Some(503));
}

/// One row: what is asked, then status and body.
struct Row {
    path: &'static str,
    token: Option<String>,
    status: u16,
    body: &'static str,
}

fn rows() -> Vec<Row> {
    let row = |path, claims: &Claims, status, body| Row { path, token: Some(signed(claims)), status, body };
    let raw = |token: &str, status, body| Row { path: "/rtc/validate", token: Some(token.to_owned()), status, body };
    let good = claims("ann", |_| {});
    let long = "x".repeat(257);
    let wrong_key = Claims { iss: "nokey".to_owned(), ..good.clone() };
    let none = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJkZXZrZXkiLCJzdWIiOiJhIiwiZXhwIjo5OTk5OTk5OTk5fQ.";
    let expiring = |exp: u64, nbf: u64| Claims { exp, nbf, ..good.clone() };
    let now = now_secs();
    vec![
        row("/rtc/validate", &good, 200, "success"),
        Row { path: "/rtc/validate", token: None, status: 401, body: "permissions denied" },
        Row { path: "/rtc/v1/validate", token: None, status: 401, body: "permissions denied" },
        raw("nonsense", 401, "invalid authorization token"),
        raw(none, 401, "invalid authorization token"),
        raw(&sign("other", &good).unwrap(), 401, "invalid authorization token: the signature does not fit"),
        row("/rtc/validate", &wrong_key, 401, "invalid API key"),
        row("/rtc/validate", &expiring(now - 2, 0), 200, "success"),
        row("/rtc/validate", &expiring(now - 120, 0), 401, "invalid authorization token: it has expired"),
        row("/rtc/validate", &expiring(now + 600, now + 300), 401, "invalid authorization token: it is not valid yet"),
        row("/rtc/validate", &Claims { video: None, ..good.clone() }, 401, "permissions denied"),
        row("/rtc/validate", &claims("ann", |grant| grant.room_join = false), 401, "permissions denied"),
        row("/rtc/validate", &claims("", |_| {}), 400, "identity cannot be empty"),
        row("/rtc/validate", &claims(&long, |_| {}), 400, "the identity is too long"),
        row("/rtc/validate", &claims("ann", |grant| grant.room.clear()), 400, "no room name"),
        row("/rtc/validate", &claims("ann", |grant| grant.room = long.clone()), 400, "the room name is too long"),
        row("/rtc/validate?attributes=eyJhIjoiMSJ9", &good, 401, "permissions denied"),
        row("/rtc/v1/validate", &good, 400, "join_request is required"),
        row("/rtc/v1/validate?join_request=%21", &good, 400, "cannot base64 decode wrapped join request"),
        row("/rtc/v1/validate?join_request=____", &good, 400, "cannot unmarshal wrapped join request"),
        row("/rtc/v1/validate?join_request=EgH_", &good, 400, "cannot unmarshal join request"),
    ]
}

#[tokio::test]
async fn the_table_of_refusals() {
    let server = start(|_| {}).await;
    for Row { path, token, status, body } in rows() {
        let headers: Vec<(&str, String)> = token.iter().map(|token| ("authorization", format!("Bearer {token}"))).collect();
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let in_header = server.request("GET", path, &headers, &[]).await;
        assert_eq!((in_header.status, in_header.text()), (status, body), "{path}");
        assert_eq!(in_header.headers["access-control-allow-origin"], "*", "{path}");
        let Some(token) = token else { continue };
        let separator = if path.contains('?') { '&' } else { '?' };
        let in_query = server.get(&format!("{path}{separator}access_token={token}")).await;
        assert_eq!((in_query.status, in_query.text()), (status, body), "{path} in the query");
        // the WebSocket itself is refused with the same status
        let refused = path.replace("/validate", "");
        match server.connect(&format!("{refused}{separator}access_token={token}")).await {
            Ok(_) => assert_eq!(status, 200, "{refused}"),
            Err(refusal) => assert_eq!(refusal, (status, body.to_owned()), "{refused}"),
        }
    }
}

#[tokio::test]
async fn where_tokens_may_stand() {
    let server = start(|_| {}).await;
    let token = token("ann");
    let not_bearer = server.request("GET", "/rtc/validate", &[("authorization", &token)], &[]).await;
    let wanted = (401, "invalid authorization header. Must start with Bearer ");
    assert_eq!((not_bearer.status, not_bearer.text()), wanted);
    let form = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    let in_form = server.request("POST", "/rtc/validate", &form, format!("access_token={token}").as_bytes()).await;
    assert_eq!((in_form.status, in_form.text()), (200, "success"));
    // the header goes first
    let both = server.request("GET", &format!("/rtc/validate?access_token={token}"), &[("authorization", "Bearer x")], &[]).await;
    assert_eq!(both.status, 401);
}

#[tokio::test]
async fn rooms_are_made_only_where_allowed() {
    let server = start(|config| config.auto_create = false).await;
    let missing = server.get(&format!("/rtc/validate?access_token={}", token("ann"))).await;
    assert_eq!((missing.status, missing.text()), (404, "requested room does not exist"));
    let creator = signed(&claims("ann", |grant| grant.room_create = true));
    assert_eq!(server.get(&format!("/rtc/validate?access_token={creator}")).await.status, 200);
    assert_eq!(server.json("CreateRoom", &serde_json::json!({ "name": "room" })).await.status, 200);
    server.join("bob").await;
}

#[tokio::test]
async fn a_double_slash_is_one() {
    let server = start(|_| {}).await;
    let answer = server.get(&format!("//rtc/validate?access_token={}", token("ann"))).await;
    assert_eq!((answer.status, answer.text()), (200, "success"));
    assert!(server.connect(&format!("//rtc?access_token={}", token("ann"))).await.is_ok());
}

#[tokio::test]
async fn cross_origin_requests() {
    let server = start(|_| {}).await;
    let asks = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let preflight = server.request("OPTIONS", "/twirp/livekit.RoomService/ListRooms", &asks, &[]).await;
    assert_eq!((preflight.status, preflight.text()), (204, ""));
    assert_eq!(preflight.headers["access-control-allow-origin"], "*");
    assert_eq!(preflight.headers["access-control-allow-headers"], "authorization,content-type");
    assert_eq!(preflight.headers["access-control-max-age"], "86400");
    assert!(preflight.headers["access-control-allow-methods"].contains("PATCH"));
    assert_eq!(server.get("/nothing").await.headers["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn bodies_are_bounded() {
    let server = start(|config| config.limits.body_bytes_max = 1000).await;
    let post = |extra: String| {
        format!(
            "POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\n{extra}",
            admin()
        )
    };
    // announced
    let answer = server.raw(post("content-length: 1001\r\n\r\n".to_owned()).as_bytes()).await;
    assert_eq!((answer.status, answer.text()), (413, "request body too large"));
    // unannounced
    let chunk = format!("3e9\r\n{}\r\n0\r\n\r\n", " ".repeat(1001));
    let answer = server.raw(post(format!("transfer-encoding: chunked\r\n\r\n{chunk}")).as_bytes()).await;
    assert_eq!((answer.status, answer.text()), (413, "request body too large"));
    let fits = format!("{{}}{}", " ".repeat(998));
    let answer = server.raw(post(format!("content-length: 1000\r\n\r\n{fits}")).as_bytes()).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn broken_requests_get_an_answer_or_an_end() {
    let server = start(|_| {}).await;
    let long = format!("GET /rtc?x={} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "y".repeat(70_000));
    let many: String = (0..200).map(|i| format!("h{i}: v\r\n")).collect();
    for (raw, status) in [
        (b"nonsense\r\n\r\n".to_vec(), 400),
        (long.into_bytes(), 414),
        (format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n").into_bytes(), 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n".to_vec(), 400),
    ] {
        assert_eq!(server.raw(&raw).await.status, status);
    }
    // a WebSocket without a key
    let token = token("ann");
    let upgrade = [("upgrade", "websocket"), ("sec-websocket-version", "13")];
    let head = format!("GET /rtc?access_token={token} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\n");
    let head: String = upgrade.iter().fold(head, |head, (name, value)| format!("{head}{name}: {value}\r\n"));
    // the head has no `connection: close`: the answer itself must come
    let answer = server.raw(format!("{head}content-length: 0\r\n\r\nGET / HTTP/1.0\r\n\r\n").as_bytes()).await;
    assert_eq!(answer.status, 400);
    assert_eq!(server.live("participant").await, 0);
}

#[tokio::test]
async fn the_metrics_port() {
    let server = start(|config| {
        config.in_development = false;
        config.metrics_login = Some(Login { username: "u".to_owned(), password: "p".to_owned() });
    })
    .await;
    assert_eq!(server.get("/metrics").await.status, 404);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let metrics = Server { address: listener.local_addr().unwrap(), ..server };
    let control = metrics.control.clone();
    tokio::spawn(async move { control.serve_metrics(listener).await });
    for (authorization, status) in [("", 401), ("Basic dTpw", 200), ("Basic dTpx", 401), ("Basic !", 401), ("Bearer dTpw", 401)] {
        let answer = metrics.request("GET", "/whatever", &[("authorization", authorization)], &[]).await;
        assert_eq!(answer.status, status, "{authorization}");
    }
    let page = metrics.request("GET", "/", &[("authorization", "Basic dTpw")], &[]).await;
    assert!(page.headers["content-type"].starts_with("text/plain"));
    metrics.meters.send_replace(Meters { data_messages_up: 7, dropped_data: 3, ..Meters::default() });
    let page_of_data = metrics.request("GET", "/", &[("authorization", "Basic dTpw")], &[]).await;
    for line in ["sluicegate_data_messages_total{direction=\"incoming\"} 7", "sluicegate_data_messages_dropped_total 3"] {
        assert!(page_of_data.text().lines().any(|text| text == line), "{line}");
    }
    for line in ["# TYPE sluicegate_live gauge", "sluicegate_live{type=\"session\"} 0", "# TYPE livekit_room_total gauge"] {
        assert!(page.text().lines().any(|text| text == line), "{line}");
    }
}

#[tokio::test]
async fn v1_takes_its_bundle() {
    let mut server = start(|_| {}).await;
    let offer = pb::SessionDescription { r#type: "offer".to_owned(), sdp: "v=0".to_owned(), id: 9, ..Default::default() };
    let request = pb::JoinRequest {
        client_info: Some(pb::ClientInfo { protocol: 17, ..Default::default() }),
        publisher_offer: Some(offer),
        ..Default::default()
    };
    let path = format!("/rtc/v1?access_token={}&join_request={}", token("ann"), join_request(&request));
    let mut client = server.connect(&path).await.unwrap();
    let join = client.next().await;
    assert!(matches!(join, pb::signal_response::Message::Join(join) if !join.subscriber_primary));
    use sluicegate_contract::Command;
    let offer = server.command(|command| matches!(command, Command::Offer { .. })).await;
    assert!(matches!(offer, Command::Offer { id: 9, sdp, .. } if &*sdp == "v=0"));
}
