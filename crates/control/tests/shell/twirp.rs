//! The server API: every method in both encodings, and the table of errors.

use serde_json::json;
use sluicegate_contract::command::DataChannel;
use sluicegate_contract::{Command, Event, SessionKey};
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb::data_packet::Value;
use sluicegate_proto::pb::rpc_response::Value as Answered;
use sluicegate_proto::token::{Claims, SipGrant};
use sluicegate_proto::{Message, pb};

use crate::support::*;

/// One call: the method, its request in both encodings, the status, and the keys of the JSON answer.
struct Case {
    method: &'static str,
    json: serde_json::Value,
    protobuf: Vec<u8>,
    keys: &'static [&'static str],
}

fn case<M: Message>(method: &'static str, json: serde_json::Value, request: &M, keys: &'static [&'static str]) -> Case {
    Case { method, json, protobuf: request.encode_to_vec(), keys }
}

fn room_cases() -> Vec<Case> {
    let room = || "room".to_owned();
    let identity = || "ann".to_owned();
    vec![
        case(
            "CreateRoom",
            json!({ "name": "room", "emptyTimeout": 60 }),
            &pb::CreateRoomRequest { name: room(), empty_timeout: 60, ..Default::default() },
            &["sid", "name", "empty_timeout", "max_participants", "num_participants", "creation_time", "enabled_codecs"],
        ),
        case("ListRooms", json!({ "names": ["room"] }), &pb::ListRoomsRequest { names: vec![room()] }, &["rooms"]),
        case("ListParticipants", json!({ "room": "room" }), &pb::ListParticipantsRequest { room: room() }, &["participants"]),
        case(
            "GetParticipant",
            json!({ "room": "room", "identity": "ann" }),
            &pb::RoomParticipantIdentity { room: room(), identity: identity(), ..Default::default() },
            &["sid", "identity", "state", "tracks", "permission", "is_publisher"],
        ),
        case(
            "MutePublishedTrack",
            json!({ "room": "room", "identity": "ann", "track_sid": "TR_x", "muted": true }),
            &pb::MuteRoomTrackRequest { room: room(), identity: identity(), track_sid: "TR_x".to_owned(), muted: true },
            &["track"],
        ),
        case(
            "UpdateParticipant",
            json!({ "room": "room", "identity": "ann", "metadata": "m", "attributes": { "camelCase": "v" } }),
            &pb::UpdateParticipantRequest {
                room: room(),
                identity: identity(),
                metadata: "m".to_owned(),
                attributes: [("camelCase".to_owned(), "v".to_owned())].into(),
                ..Default::default()
            },
            &["sid", "metadata", "attributes"],
        ),
        case(
            "UpdateSubscriptions",
            json!({ "room": "room", "identity": "ann", "track_sids": ["TR_x"], "subscribe": true }),
            &pb::UpdateSubscriptionsRequest {
                room: room(),
                identity: identity(),
                track_sids: vec!["TR_x".to_owned()],
                subscribe: true,
                ..Default::default()
            },
            &[],
        ),
        case(
            "SendData",
            json!({ "room": "room", "data": "aGVsbG8=", "kind": "LOSSY", "destination_identities": ["ann"] }),
            &pb::SendDataRequest { room: room(), data: b"hello".to_vec(), ..Default::default() },
            &[],
        ),
        case(
            "UpdateRoomMetadata",
            json!({ "room": "room", "metadata": "m2" }),
            &pb::UpdateRoomMetadataRequest { room: room(), metadata: "m2".to_owned() },
            &["sid", "metadata"],
        ),
    ]
}

#[tokio::test]
async fn every_method_in_both_encodings() {
    let server = start(|_| {}).await;
    let (_client, _) = server.join("ann").await;
    let endings = || {
        let identity = pb::RoomParticipantIdentity { room: "room".to_owned(), identity: "ann".to_owned(), ..Default::default() };
        let delete = pb::DeleteRoomRequest { room: "room".to_owned() };
        vec![
            case("RemoveParticipant", json!({ "room": "room", "identity": "ann" }), &identity, &[]),
            case("DeleteRoom", json!({ "room": "room" }), &delete, &[]),
        ]
    };
    for encoding in ["application/json", "application/protobuf"] {
        let (_client, _) = server.join("ann").await;
        for Case { method, json, protobuf, keys } in room_cases().into_iter().chain(endings()) {
            let body = if encoding == "application/json" { json.to_string().into_bytes() } else { protobuf };
            let answer = server.twirp(&format!("RoomService/{method}"), &admin(), encoding, &body).await;
            assert_eq!(answer.status, 200, "{method} {encoding}: {answer:?}");
            assert_eq!(answer.headers["content-type"], encoding);
            if encoding == "application/json" {
                let object = answer.json();
                for key in keys {
                    assert!(object.get(key).is_some(), "{method}: no {key} in {object}");
                }
            }
        }
    }
}

#[tokio::test]
async fn answers_say_what_was_done() {
    let server = start(|_| {}).await;
    let create = json!({ "name": "room", "empty_timeout": 30, "max_participants": 7, "unknown": 1 });
    let made = server.json("CreateRoom", &create).await.json();
    assert_eq!((&made["empty_timeout"], &made["max_participants"], &made["num_participants"]), (&json!(30), &json!(7), &json!(0)));
    assert_eq!(made["version"], json!(null));
    assert!(made["creation_time"].is_string());
    // again: only what is set changes
    let again = server.json("CreateRoom", &json!({ "name": "room", "metadata": "m" })).await.json();
    assert_eq!((&again["sid"], &again["max_participants"], &again["metadata"]), (&made["sid"], &json!(7), &json!("m")));
    let (_client, _) = server.join("ann").await;
    let listed = server.json("ListRooms", &json!({})).await.json();
    assert_eq!(listed["rooms"][0]["num_participants"], 1);
    let none = server.json("ListRooms", &json!({ "names": ["other"] })).await.json();
    assert_eq!(none["rooms"], json!([]));
    let update =
        json!({ "room": "room", "identity": "ann", "name": "Ann", "permission": { "canSubscribe": true, "canPublish": false } });
    let info = server.json("UpdateParticipant", &update).await.json();
    assert_eq!(
        (&info["name"], &info["permission"]["can_publish"], &info["state"]),
        (&json!("Ann"), &json!(false), &json!("JOINED"))
    );
    let protobuf = pb::ListParticipantsRequest { room: "room".to_owned() }.encode_to_vec();
    let answer = server.twirp("RoomService/ListParticipants", &admin(), "application/protobuf", &protobuf).await;
    let list = pb::ListParticipantsResponse::decode(answer.body.as_slice()).unwrap();
    assert_eq!(list.participants[0].name, "Ann");
}

#[tokio::test]
async fn errors_have_a_code_and_its_status() {
    let server = start(|_| {}).await;
    let (_client, _) = server.join("ann").await;
    let nobody = json!({ "room": "room", "identity": "nobody" });
    let nowhere = json!({ "room": "nowhere" });
    let cases = [
        ("GetParticipant", nobody.clone(), 404, "not_found"),
        ("RemoveParticipant", nobody.clone(), 404, "not_found"),
        ("UpdateParticipant", nobody.clone(), 404, "not_found"),
        ("UpdateSubscriptions", nobody.clone(), 404, "not_found"),
        ("MutePublishedTrack", nobody, 404, "not_found"),
        ("DeleteRoom", nowhere, 404, "not_found"),
        ("CreateRoom", json!({}), 400, "invalid_argument"),
        ("CreateRoom", json!({ "name": "n".repeat(257) }), 400, "invalid_argument"),
        ("CreateRoom", json!({ "name": "n", "metadata": "m".repeat((512 << 10) + 1) }), 400, "invalid_argument"),
        ("CreateRoom", json!({ "name": "n", "roomPreset": "p" }), 400, "invalid_argument"),
        ("CreateRoom", json!({ "name": "n", "egress": {} }), 500, "internal"),
        ("CreateRoom", json!({ "name": "n", "agents": [{}] }), 501, "unimplemented"),
        ("UpdateRoomMetadata", json!({ "room": "room", "metadata": "m".repeat((512 << 10) + 1) }), 400, "invalid_argument"),
        ("UpdateParticipant", json!({ "room": "room", "identity": "ann", "name": "n".repeat(257) }), 400, "invalid_argument"),
        ("MutePublishedTrack", json!({ "room": "room", "identity": "ann", "track_sid": "x" }), 412, "failed_precondition"),
        ("SendData", json!({ "room": "room", "nonce": "AAAA" }), 400, "invalid_argument"),
        ("RemoveParticipant", json!({ "room": "room", "identity": "ann", "revokeTokenTs": -1 }), 400, "invalid_argument"),
        ("PerformRpc", json!({ "room": "room", "method": "m" }), 400, "invalid_argument"),
        ("PerformRpc", json!({ "room": "room", "destinationIdentity": "ann" }), 400, "invalid_argument"),
        ("PerformRpc", json!({ "room": "room", "destinationIdentity": "nobody", "method": "m" }), 404, "not_found"),
        (
            "PerformRpc",
            json!({ "room": "room", "destinationIdentity": "ann", "method": "m", "payload": "p".repeat((15 << 10) + 1) }),
            400,
            "malformed",
        ),
        ("NoSuchMethod", json!({}), 404, "bad_route"),
    ];
    for (method, request, status, code) in cases {
        let answer = server.json(method, &request).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{method} {answer:?}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(!answer.json()["msg"].as_str().unwrap().is_empty());
    }
    for (method, code) in [
        ("AgentDispatchService/ListDispatch", "unimplemented"),
        ("Egress/StartEgress", "unimplemented"),
        ("Ingress/CreateIngress", "unimplemented"),
        ("SIP/CreateSIPParticipant", "unimplemented"),
        ("Connector/DialWhatsAppCall", "bad_route"),
    ] {
        let mut all = claims("", |grant| (grant.room_record, grant.ingress_admin, grant.room_admin) = (true, true, true));
        all.sip = Some(SipGrant { admin: true, call: true });
        let answer = server.twirp(method, &signed(&all), "application/json", b"{}").await;
        assert_eq!(answer.code().1, code, "{method}");
    }
}

#[tokio::test]
async fn malformed_requests() {
    let server = start(|_| {}).await;
    for (kind, body, status, code) in [
        ("application/json", &b"{"[..], 400, "malformed"),
        ("application/json", b"[]", 400, "malformed"),
        ("application/json", b"{\"names\":7}", 400, "malformed"),
        ("application/json", b"\xFF", 400, "malformed"),
        ("application/protobuf", b"\xFF", 400, "malformed"),
        ("text/plain", b"{}", 404, "bad_route"),
        ("", b"{}", 404, "bad_route"),
    ] {
        let answer = server.twirp("RoomService/ListRooms", &admin(), kind, body).await;
        assert_eq!(answer.code(), (status, code.to_owned()), "{kind} {body:?}");
    }
    let with_charset = server.twirp("RoomService/ListRooms", &admin(), "application/json; charset=utf-8", b"{}").await;
    assert_eq!(with_charset.status, 200);
    let get = server.get("/twirp/livekit.RoomService/ListRooms").await;
    assert_eq!(get.code(), (404, "bad_route".to_owned()));
    let lower = server.twirp("roomservice/listrooms", &admin(), "application/json", b"{}").await;
    assert_eq!(lower.code(), (404, "bad_route".to_owned()));
}

/// Whoever was removed with his token taken back does not come again with it, nor with an older one; a newer one lets him in.
#[tokio::test]
async fn a_revoked_token_lets_nobody_in() {
    let server = start(|_| {}).await;
    let begun = |identity: &str, nbf| signed(&Claims { nbf, ..claims(identity, |_| {}) });
    let now = now_secs();
    let path = |token: &str| format!("/rtc?protocol=17&access_token={token}");
    let mut ann = server.connect(&path(&begun("ann", now - 10))).await.unwrap();
    let mute = json!({ "room": "room", "identity": "ann" });
    assert_eq!(server.json("RemoveParticipant", &mute).await.status, 200);
    ann.closed().await;
    // nothing was said of tokens: LiveKit lets him in again
    let mut ann = server.connect(&path(&begun("ann", now - 10))).await.unwrap();
    let revoke = json!({ "room": "room", "identity": "ann", "revoke_token_ts": now });
    assert_eq!(server.json("RemoveParticipant", &revoke).await.status, 200);
    ann.closed().await;
    for old in [begun("ann", now - 10), begun("ann", 0)] {
        let refused = server.connect(&path(&old)).await.err();
        assert_eq!(refused, Some((401, "the token was revoked".to_owned())));
        let validated = server.get(&format!("/rtc/validate?access_token={old}")).await;
        assert_eq!((validated.status, validated.text()), (401, "the token was revoked"));
    }
    assert!(server.connect(&path(&begun("ann", now))).await.is_ok() && server.connect(&path(&begun("ben", 0))).await.is_ok());
    // the room's end gives nothing back, and nobody needs to be there
    let nobody = json!({ "room": "room", "identity": "cid", "revokeTokenTs": now.to_string() });
    assert_eq!(server.json("RemoveParticipant", &nobody).await.code().1, "not_found");
    server.json("DeleteRoom", &json!({ "room": "room" })).await;
    assert!(server.connect(&path(&begun("cid", now - 1))).await.is_err());
}

/// The server calls, the client acknowledges and answers over its data channel; nobody else can answer for it.
#[tokio::test]
async fn a_method_of_a_client_is_called() {
    let mut server = start(|_| {}).await;
    let (_ann, _) = server.join("ann").await;
    let ann = session_of(&server.command(|command| matches!(command, Command::AddSession(_))).await);
    let (_ben, _) = server.join("ben").await;
    let ben = session_of(&server.command(|command| matches!(command, Command::AddSession(_))).await);
    let request = json!({ "room": "room", "destination_identity": "ann", "method": "greet", "payload": "hi" });
    for (answer, wanted) in [
        (Answered::Payload("hello".to_owned()), (200, "")),
        (
            Answered::Error(pb::RpcError { code: 1400, message: "no such".to_owned(), ..Default::default() }),
            (400, "invalid_argument"),
        ),
        (Answered::Error(pb::RpcError { code: 1500, ..Default::default() }), (500, "internal")),
        (Answered::Error(pb::RpcError { code: 42, ..Default::default() }), (500, "unknown")),
    ] {
        let client = async {
            let sent = loop {
                if let Command::SendData { sessions, payload, .. } = soon(server.commands.recv()).await.unwrap() {
                    break (sessions, payload);
                }
            };
            assert_eq!(sent.0[..], [ann]);
            let packet = pb::DataPacket::decode(sent.1).unwrap();
            let Some(Value::RpcRequest(rpc)) = packet.value else { panic!("no call") };
            assert_eq!(
                (rpc.method.as_str(), rpc.payload.as_str(), rpc.version, rpc.response_timeout_ms),
                ("greet", "hi", 1, 10_000)
            );
            assert_eq!(packet.participant_identity, rpc.id);
            let response = |value| Value::RpcResponse(pb::RpcResponse { request_id: rpc.id.clone(), value: Some(value) });
            let forged = response(Answered::Payload("forged".to_owned()));
            for (session, value) in
                [(ben, forged), (ann, Value::RpcAck(pb::RpcAck { request_id: rpc.id.clone() })), (ann, response(answer))]
            {
                let packet =
                    pb::DataPacket { value: Some(value), destination_identities: vec![rpc.id.clone()], ..Default::default() };
                let payload = packet.encode_to_vec().into();
                server.events.send(Event::Data { session, channel: DataChannel::Reliable, payload }).await.unwrap();
            }
        };
        let address = server.address;
        let call = call_at(address, "PerformRpc", &request);
        let (answer, ()) = tokio::join!(call, client);
        assert_eq!(answer.status, wanted.0, "{answer:?}");
        match wanted.1 {
            "" => assert_eq!(answer.json(), json!({ "payload": "hello" })),
            code => assert_eq!(answer.code().1, code),
        }
    }
    // whoever is called and goes
    let request = json!({ "room": "room", "destination_identity": "ben", "method": "greet" });
    let call = call_at(server.address, "PerformRpc", &request);
    let leave = async {
        soon(async { while !matches!(server.commands.recv().await, Some(Command::SendData { .. })) {} }).await;
        server.json("RemoveParticipant", &json!({ "room": "room", "identity": "ben" })).await;
    };
    let (answer, ()) = tokio::join!(call, leave);
    assert_eq!(answer.code(), (503, "unavailable".to_owned()));
}

fn session_of(command: &Command) -> SessionKey {
    command.session().unwrap()
}

/// Also a valid token that only lacks the grant is `unauthenticated` (LiveKit).
#[tokio::test]
async fn every_method_asks_for_its_grant() {
    let server = start(|_| {}).await;
    let (_client, _) = server.join("ann").await;
    let grant = |change: fn(&mut VideoGrant)| {
        signed(&claims("", |grant| {
            *grant = VideoGrant::default();
            change(grant);
        }))
    };
    let tokens = [
        grant(|_| {}),
        grant(|grant| (grant.room_admin, grant.room) = (true, "other".to_owned())),
        grant(|grant| (grant.room_admin, grant.room_join) = (true, true)),
        token("ann"),
    ];
    let cases = room_cases().into_iter().map(|case| (case.method, case.json));
    for (method, request) in
        cases.chain([("DeleteRoom", json!({ "room": "room" })), ("RemoveParticipant", json!({ "room": "room" }))])
    {
        for token in &tokens {
            let body = request.to_string();
            let answer = server.twirp(&format!("RoomService/{method}"), token, "application/json", body.as_bytes()).await;
            assert_eq!(answer.code(), (401, "unauthenticated".to_owned()), "{method}");
            assert_eq!(answer.json()["msg"], "permissions denied");
        }
        let path = format!("/twirp/livekit.RoomService/{method}");
        let anonymous = server.request("POST", &path, &[("content-type", "application/json")], b"{}");
        assert_eq!(anonymous.await.code(), (401, "unauthenticated".to_owned()), "{method}");
    }
    let creator = grant(|grant| grant.room_create = true);
    let answer = server.twirp("RoomService/ListRooms", &creator, "application/json", b"{}").await;
    assert_eq!(answer.status, 401, "roomCreate does not list");
    let bad = server.twirp("RoomService/ListRooms", "nonsense", "application/json", b"{}").await;
    assert_eq!((bad.status, bad.text()), (401, "invalid authorization token"));
}

/// Whoever may do nothing gets his answer before a byte of the body has come.
#[tokio::test]
async fn nobodys_body_is_not_read() {
    let server = start(|_| {}).await;
    let head = "POST /twirp/livekit.RoomService/ListRooms HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 100000\r\n\r\n";
    assert_eq!(server.raw(head.as_bytes()).await.code(), (401, "unauthenticated".to_owned()));
}

#[tokio::test]
async fn what_grows_in_memory_is_refused() {
    let server = start(|_| {}).await;
    let crowd = pb::ListRoomsRequest { names: vec![String::new(); 70_000] };
    for (kind, body) in [
        ("application/protobuf", crowd.encode_to_vec()),
        ("application/json", json!({ "names": crowd.names }).to_string().into_bytes()),
    ] {
        let answer = server.twirp("RoomService/ListRooms", &admin(), kind, &body).await;
        assert_eq!(answer.code(), (400, "malformed".to_owned()), "{kind}");
    }
}

#[tokio::test]
async fn requests_are_counted() {
    let server = start(|_| {}).await;
    server.json("ListRooms", &json!({})).await;
    server.json("ListRooms", &json!({})).await;
    server.json("DeleteRoom", &json!({ "room": "x" })).await;
    let page = server.get("/metrics").await;
    let count = |method: &str, code: &str| {
        let line = page
            .text()
            .lines()
            .find(|line| line.contains(&format!("method=\"{method}\"")) && line.contains(&format!("code=\"{code}\"")));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    assert_eq!((count("ListRooms", "ok"), count("DeleteRoom", "not_found")), (Some(2), Some(1)));
}
