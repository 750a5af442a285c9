//! WebSockets: frames in both encodings, pings, and every way in which a connection ends.

use sluicegate_contract::Command;
use sluicegate_contract::command::PcTarget;
use sluicegate_contract::event::{Event, TransportState};
use sluicegate_proto::Message as _;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message as Request;
use sluicegate_proto::pb::signal_response::Message as Response;
use sluicegate_proto::token::{self, KeyStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::support::*;

fn is_removal(command: &Command) -> bool {
    matches!(command, Command::RemoveSession { .. })
}

#[tokio::test]
async fn the_first_frame_is_the_join_then_a_fresh_token() {
    let mut server = start(|_| {}).await;
    let (mut client, join) = server.join("ann").await;
    assert_eq!(join.participant.unwrap().identity, "ann");
    assert_eq!((join.server_info.unwrap().version.as_str(), join.ping_interval, join.ping_timeout), ("1.13.5", 5, 15));
    assert!(matches!(server.commands.recv().await, Some(Command::AddSession(_))));
    let fresh = client.until(|message| if let Response::RefreshToken(token) = message { Some(token) } else { None }).await;
    let keys = KeyStore::new([("devkey".to_owned(), "secret".to_owned())].into());
    let fresh = token::verify(&keys, &fresh, now_secs()).unwrap();
    assert_eq!((fresh.identity(), fresh.video.as_ref().unwrap().room_join), ("ann", true));
    assert!(fresh.exp >= now_secs() + 590);
    // the second one is told of the first, the first of the second
    let (_bob, join) = server.join("bob").await;
    assert_eq!(join.other_participants[0].identity, "ann");
    let update = client.until(|message| if let Response::Update(update) = message { Some(update) } else { None }).await;
    assert_eq!(update.participants[0].identity, "bob");
}

#[tokio::test]
async fn a_client_resumes_with_its_fresh_token_and_the_old_socket_ends() {
    let mut server = start(|_| {}).await;
    let (mut old, join) = server.join("ann").await;
    let sid = join.participant.unwrap().sid;
    let fresh = old.until(|message| if let Response::RefreshToken(token) = message { Some(token) } else { None }).await;
    let path = |sid: &str| format!("/rtc?access_token={fresh}&protocol=17&reconnect=1&sid={sid}");
    let mut client = server.connect(&path(&sid)).await.unwrap();
    assert!(matches!(client.next().await, Response::Reconnect(_)), "the first frame");
    let update = client.until(|message| if let Response::Update(update) = message { Some(update) } else { None }).await;
    assert_eq!(update.participants.iter().map(|info| info.sid.as_str()).collect::<Vec<_>>(), [&sid]);
    assert_eq!(old.closed().await, Some(1000));
    assert!(matches!(server.command(|command| !matches!(command, Command::AddSession(_))).await, Command::RestartIce { .. }));
    // the new one is served
    client.send(Request::Mute(pb::MuteTrackRequest { sid: "TR_nobody".to_owned(), muted: true })).await;
    client.until(|message| matches!(message, Response::RequestResponse(_)).then_some(())).await;
    let mut stranger = server.connect(&path("PA_unknown")).await.unwrap();
    let Response::Leave(leave) = stranger.next().await else { panic!("the first frame") };
    assert_eq!((leave.action(), leave.reason()), (pb::leave_request::Action::Reconnect, pb::DisconnectReason::StateMismatch));
    assert_eq!(stranger.closed().await, Some(1000));
}

#[tokio::test]
async fn pings_are_answered_in_the_encoding_of_the_last_frame() {
    let server = start(|_| {}).await;
    let (mut client, _) = server.join("ann").await;
    client.send(Request::Ping(5)).await;
    let now_ms = i64::try_from(now_secs()).unwrap() * 1000;
    let pong = client.until(|message| if let Response::Pong(at) = message { Some(at) } else { None }).await;
    assert!((pong - now_ms).abs() < 60_000);
    client.send(Request::PingReq(pb::Ping { timestamp: 7, rtt: 1 })).await;
    let pong = client.until(|message| if let Response::PongResp(pong) = message { Some(pong) } else { None }).await;
    assert_eq!(pong.last_ping_timestamp, 7);
    client.send_text(r#"{"pingReq":{"timestamp":"8"},"unknown":1}"#).await;
    let Some(Message::Text(text)) = client.frame().await else { panic!("not text") };
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["pongResp"]["lastPingTimestamp"], "8");
    // what the room sends follows, too
    let mute = pb::MuteTrackRequest { sid: "TR_nobody".to_owned(), muted: true };
    client.send_text(&serde_json::json!({ "mute": { "sid": mute.sid, "muted": true } }).to_string()).await;
    let Some(Message::Text(text)) = client.frame().await else { panic!("not text") };
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap()["requestResponse"]["reason"], "NOT_FOUND");
    client.send(Request::Mute(mute)).await;
    assert!(matches!(client.next().await, Response::RequestResponse(_)));
}

#[tokio::test]
async fn signals_reach_the_media_plane_and_back() {
    let mut server = start(|_| {}).await;
    let (mut client, _) = server.join("ann").await;
    let offer = pb::SessionDescription { r#type: "offer".to_owned(), sdp: "v=0 mine".to_owned(), id: 4, ..Default::default() };
    client.send(Request::Offer(offer)).await;
    let Command::Offer { session, id, .. } = server.command(|command| matches!(command, Command::Offer { .. })).await else {
        panic!("no offer")
    };
    let answer = Event::Answer { session, sdp: "v=0 yours".into(), id, mids: Vec::new() };
    server.events.send(answer).await.unwrap();
    let answer = client.until(|message| if let Response::Answer(answer) = message { Some(answer) } else { None }).await;
    assert_eq!((answer.sdp.as_str(), answer.id, answer.r#type.as_str()), ("v=0 yours", 4, "answer"));
}

#[tokio::test]
async fn bad_frames_end_the_connection() {
    let mut server = start(|config| config.limits.signal_bytes_max = 10_000).await;
    let long_text = format!("{{\"x\":\"{}\"}}", "y".repeat(20_000));
    for (frame, code) in [
        (Message::Binary(vec![0xFF; 20].into()), 1007),
        (Message::Text("no json".into()), 1007),
        (Message::Text("[".repeat(5000).into()), 1007),
        (Message::Text(long_text.into()), 1009),
        (Message::Binary(vec![0; 10_001].into()), 1009),
    ] {
        let (mut client, _) = server.join("ann").await;
        use futures_util::SinkExt as _;
        soon(client.socket.send(frame)).await.unwrap();
        assert_eq!(client.closed().await, Some(code));
        server.command(is_removal).await;
    }
    // unknown requests are no bad frames
    let (mut client, _) = server.join("ann").await;
    client.send_text(r#"{"fromTheFuture":{}}"#).await;
    client.send(Request::Ping(1)).await;
    client.until(|message| matches!(message, Response::Pong(_)).then_some(())).await;
}

#[tokio::test]
async fn whoever_vanishes_is_removed() {
    let mut server = start(|_| {}).await;
    let (client, _) = server.join("ann").await;
    drop(client);
    server.command(is_removal).await;
    // also within the handshake's last moment: the answer is never read
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(upgrade("bob").as_bytes()).await.unwrap();
    drop(stream);
    // and properly
    let (mut client, _) = server.join("cat").await;
    client.send(Request::Leave(pb::LeaveRequest::default())).await;
    assert_eq!(client.closed().await, Some(1000));
    while server.live("participant").await > 0 || server.live("websocket").await > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_room_closes_with_a_goodbye() {
    let server = start(|_| {}).await;
    let leave = |message| if let Response::Leave(leave) = message { Some(leave) } else { None };
    let (mut first, _) = server.join("ann").await;
    let (mut second, _) = server.join("ann").await;
    assert_eq!(first.until(leave).await.reason(), pb::DisconnectReason::DuplicateIdentity);
    assert_eq!(first.closed().await, Some(1000));
    let removed = server.json("RemoveParticipant", &serde_json::json!({ "room": "room", "identity": "ann" })).await;
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(second.until(leave).await.reason(), pb::DisconnectReason::ParticipantRemoved);
    assert_eq!(second.closed().await, Some(1000));
}

#[tokio::test]
async fn a_full_room_refuses_before_the_upgrade() {
    let server = start(|config| config.room.max_participants = 1).await;
    let (_client, _) = server.join("ann").await;
    let Err((status, text)) = server.connect(&format!("/rtc?access_token={}", token("bob"))).await else { panic!("came in") };
    assert_eq!(status, 429);
    assert!(text.contains("full"), "{text}");
    assert_eq!((server.live("participant").await, server.live("websocket").await), (1, 1));
}

#[tokio::test]
async fn a_resume_is_told_to_join_anew() {
    let server = start(|_| {}).await;
    let path = format!("/rtc?access_token={}&reconnect=1&sid=PA_x&protocol=17", token("ann"));
    let mut client = server.connect(&path).await.unwrap();
    let Response::Leave(leave) = client.next().await else { panic!("no leave") };
    assert_eq!(leave.action(), pb::leave_request::Action::Reconnect);
    assert_eq!(client.closed().await, Some(1000));
}

/// A client that reads nothing fills its sockets, then its lane; then it is cut off, and the room goes on.
#[tokio::test]
async fn a_slow_reader_is_disconnected() {
    // the empty room must not end before that is seen, however slow the machine
    let mut server = start(|config| config.room.departure_timeout = std::time::Duration::from_secs(3600)).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stuck = socket.connect(server.address).await.unwrap();
    stuck.write_all(upgrade("ann").as_bytes()).await.unwrap();
    let mut head = [0; 12];
    soon(stuck.read_exact(&mut head)).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    server.command(|command| matches!(command, Command::AddSession(_))).await;
    for number in 0..2000 {
        if number % 50 == 0 && server.metric("sluicegate_signal_overruns_total").await > 0 {
            break;
        }
        let metadata = format!("{number} {}", "m".repeat(60_000));
        let request = pb::UpdateRoomMetadataRequest { room: "room".to_owned(), metadata };
        let body = request.encode_to_vec();
        let answer = server.twirp("RoomService/UpdateRoomMetadata", &admin(), "application/protobuf", &body).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(server.metric("sluicegate_signal_overruns_total").await, 1);
    server.command(is_removal).await;
    let (mut other, _) = server.join("bob").await;
    other.send(Request::Ping(1)).await;
    other.until(|message| matches!(message, Response::Pong(_)).then_some(())).await;
    while server.live("websocket").await > 1 {
        tokio::task::yield_now().await;
    }
}

/// A client may ask for everything there is, several times over. One that floods us gets a goodbye and is gone from the room.
#[tokio::test]
async fn a_flood_of_requests_ends_the_stay() {
    let server = start(|_| {}).await;
    let (mut honest, _) = server.join("ann").await;
    for _ in 0..7000 {
        honest.send(Request::TrackSetting(pb::UpdateTrackSettings::default())).await;
    }
    honest.send(Request::Ping(1)).await;
    honest.until(|message| matches!(message, Response::Pong(_)).then_some(())).await;
    honest.send(Request::Leave(pb::LeaveRequest::default())).await;
    assert_eq!(honest.closed().await, Some(1000));

    let (mut hostile, _) = server.join("eve").await;
    let metadata = "m".repeat((2 << 20) - 100);
    let leave = loop {
        hostile
            .send(Request::UpdateMetadata(pb::UpdateParticipantMetadata { metadata: metadata.clone(), ..Default::default() }))
            .await;
        let answer = |message| match message {
            Response::RequestResponse(_) => Some(None),
            Response::Leave(leave) => Some(Some(leave)),
            _ => None,
        };
        if let Some(leave) = hostile.until(answer).await {
            break leave;
        }
    };
    assert_eq!((leave.action(), leave.can_reconnect), (pb::leave_request::Action::Disconnect, false));
    assert_eq!(hostile.closed().await, Some(1008));
    while server.live("participant").await > 0 || server.live("websocket").await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.metric("sluicegate_signal_floods_total").await, 1);
}

/// A connected participant keeps its media when its WebSocket goes.
#[tokio::test]
async fn media_outlives_its_signalling() {
    let mut server = start(|_| {}).await;
    let (client, _) = server.join("ann").await;
    let Command::AddSession(add) = server.command(|command| matches!(command, Command::AddSession(_))).await else { panic!() };
    let connected = Event::TransportState { session: add.session, target: PcTarget::Subscriber, state: TransportState::Connected };
    server.events.send(connected).await.unwrap();
    let is_active = async || {
        let list = server.json("ListParticipants", &serde_json::json!({ "room": "room" })).await.json();
        list["participants"][0]["state"] == "ACTIVE"
    };
    while !is_active().await {
        tokio::task::yield_now().await;
    }
    drop(client);
    while server.live("websocket").await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.live("participant").await, 1);
}

fn upgrade(identity: &str) -> String {
    format!(
        "GET /rtc?access_token={}&protocol=17 HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        token(identity)
    )
}
