//! Every way in with every kind of bad token: generated, so that a route or a method that is added is asked, too.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use sluicegate_control::surface;
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::token::{Claims, KeyStore, sign};

use crate::support::*;

/// Somebody who may do everything.
fn almighty() -> Claims {
    claims("ann", |grant| {
        *grant = VideoGrant {
            room_create: true,
            room_list: true,
            room_record: true,
            room_admin: true,
            room_join: true,
            ingress_admin: true,
            agent: true,
            room: "room".to_owned(),
            destination_room: "other".to_owned(),
            ..VideoGrant::default()
        };
    })
}

/// Header, claims and signature as they are written, however they fit.
fn assembled(header: &str, claims: &Claims, signature: &str) -> String {
    let part = |text: &[u8]| URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}.{signature}", part(header.as_bytes()), part(&serde_json::to_vec(claims).unwrap()))
}

/// Tokens that are no tokens: whoever comes with one is refused before anything else is looked at.
fn invalid() -> Vec<(&'static str, String)> {
    let good = almighty();
    let now = now_secs();
    let signed = signed(&good);
    let signature = signed.rsplit('.').next().unwrap();
    let weak = claims("ann", |_| {});
    let weak_signed = sign("secret", &weak).unwrap();
    vec![
        ("nonsense", "nonsense".to_owned()),
        ("three empty parts", "..".to_owned()),
        ("expired", sign("secret", &Claims { exp: now - 120, ..good.clone() }).unwrap()),
        ("without expiry", sign("secret", &Claims { exp: 0, ..good.clone() }).unwrap()),
        ("not yet good", sign("secret", &Claims { nbf: now + 300, ..good.clone() }).unwrap()),
        ("forged", sign("guessed", &good).unwrap()),
        ("signed with another key's secret", sign("second secret", &good).unwrap()),
        ("of a key that does not exist", sign("secret", &Claims { iss: "nokey".to_owned(), ..good.clone() }).unwrap()),
        ("without issuer", sign("secret", &Claims { iss: String::new(), ..good.clone() }).unwrap()),
        ("alg none", assembled(r#"{"alg":"none"}"#, &good, "")),
        ("alg none with a signature", assembled(r#"{"alg":"none"}"#, &good, signature)),
        ("alg None", assembled(r#"{"alg":"None","typ":"JWT"}"#, &good, "")),
        ("HS512 by name", assembled(r#"{"alg":"HS512","typ":"JWT"}"#, &good, signature)),
        ("RS256 by name", assembled(r#"{"alg":"RS256","typ":"JWT"}"#, &good, signature)),
        ("unsigned", assembled(r#"{"alg":"HS256","typ":"JWT"}"#, &good, "")),
        ("critical extension", assembled(r#"{"alg":"HS256","crit":["exp"]}"#, &good, signature)),
        (
            "claims under another's signature",
            assembled(r#"{"alg":"HS256","typ":"JWT"}"#, &good, weak_signed.rsplit('.').next().unwrap()),
        ),
        ("cut", signed[..signed.len() - 1].to_owned()),
        ("too long", format!("{}.{}", "x".repeat(1 << 20), "y")),
    ]
}

/// Valid tokens that are not good for the server's API in the room `room`.
fn insufficient() -> Vec<(&'static str, Claims)> {
    let with = |change: fn(&mut VideoGrant)| {
        let mut claims = almighty();
        claims.video = Some(VideoGrant::default());
        change(claims.video.as_mut().unwrap());
        claims
    };
    vec![
        ("no video grant", Claims { video: None, ..almighty() }),
        ("no grant at all", with(|_| {})),
        ("a participant", with(|grant| (grant.room_join, grant.room) = (true, "room".to_owned()))),
        ("hidden, recorder", with(|grant| (grant.hidden, grant.recorder, grant.can_publish) = (true, true, Some(true)))),
    ]
}

/// As [`insufficient`]; the room's own methods alone ask for the room.
fn of_another_room() -> Vec<(&'static str, Claims)> {
    let admin = |room: &str, destination: &str| {
        let grant = VideoGrant {
            room_admin: true,
            room: room.to_owned(),
            destination_room: destination.to_owned(),
            ..VideoGrant::default()
        };
        Claims { video: Some(grant), ..almighty() }
    };
    vec![
        ("admin of another room", admin("another", "other")),
        ("admin of no room", admin("", "other")),
        ("admin of a room that begins so", admin("roo", "other")),
        ("admin of a room in capitals", admin("ROOM", "other")),
    ]
}

async fn server() -> Server {
    start(|config| {
        let pairs = [("devkey", "secret"), ("second", "second secret")];
        config.keys = KeyStore::new(pairs.map(|(key, secret)| (key.to_owned(), secret.to_owned())).into());
    })
    .await
}

const JSON: (&str, &str) = ("content-type", "application/json");
/// Fits every method of every service.
fn body() -> Vec<u8> {
    json!({ "room": "room", "name": "room", "identity": "ann", "destinationRoom": "other", "destinationIdentity": "ann", "method": "m" })
        .to_string()
        .into_bytes()
}

#[tokio::test]
async fn bad_tokens_open_nothing() {
    let server = server().await;
    let (_ann, _) = server.join("ann").await;
    for (what, token) in invalid() {
        let authorization = format!("Bearer {token}");
        for path in surface::http_paths().iter().copied().chain(["/nothing"]) {
            let answer = server.request("GET", path, &[("authorization", &authorization)], b"").await;
            assert_eq!(answer.status, 401, "{path} {what}: {answer:?}");
            assert!(answer.text().starts_with("invalid "), "{path} {what}: {answer:?}");
        }
        for path in surface::twirp_paths() {
            let headers = [JSON, ("authorization", authorization.as_str())];
            let answer = server.request("POST", &path, &headers, &body()).await;
            assert_eq!(answer.status, 401, "{path} {what}: {answer:?}");
        }
        // the other ways to bring it
        if token.len() < 4096 {
            let query = format!("/rtc/validate?access_token={token}");
            assert_eq!(server.get(&query).await.status, 401, "{what} in the query");
            let form = [("content-type", "application/x-www-form-urlencoded")];
            let answer = server.request("POST", "/rtc/validate", &form, format!("access_token={token}").as_bytes()).await;
            assert_eq!(answer.status, 401, "{what} in a form");
            for path in ["/rtc", "/rtc/v1"] {
                let refused = server.connect(&format!("{path}?access_token={token}")).await.err();
                assert_eq!(refused.map(|(status, _)| status), Some(401), "{path} {what}");
            }
        }
    }
    assert_eq!(server.live("room").await, 1, "and made nothing");
}

#[tokio::test]
async fn a_good_token_beside_a_bad_header_is_not_looked_at() {
    let server = server().await;
    let good = signed(&almighty());
    for header in ["", "Bearer", "Basic eDp5", "bearer x", "Token x"] {
        let path = format!("/rtc/validate?access_token={good}");
        let answer = server.request("GET", &path, &[("authorization", header)], b"").await;
        assert_eq!(answer.status, 401, "{header:?}");
    }
}

/// Whoever lacks a grant is refused as somebody without a token is (LiveKit: never 403), before anything is done.
#[tokio::test]
async fn grants_are_asked_for_everywhere() {
    let server = server().await;
    let (mut ann, _) = server.join("ann").await;
    let denied = |answer: &Answer, what: &str| {
        assert_eq!(answer.code(), (401, "unauthenticated".to_owned()), "{what}: {answer:?}");
        assert_eq!(answer.json()["msg"], "permissions denied", "{what}");
    };
    for path in surface::twirp_paths() {
        denied(&server.request("POST", &path, &[JSON], &body()).await, &format!("{path} without a token"));
        let of_the_room = if surface::is_of_one_room(&path) { of_another_room() } else { Vec::new() };
        for (what, claims) in insufficient().into_iter().chain(of_the_room) {
            let authorization = format!("Bearer {}", signed(&claims));
            let answer = server.request("POST", &path, &[JSON, ("authorization", &authorization)], &body()).await;
            denied(&answer, &format!("{path} {what}"));
        }
    }
    // and nobody was removed, renamed or muted
    ann.send(sluicegate_proto::pb::signal_request::Message::Ping(1)).await;
    ann.until(|message| matches!(message, sluicegate_proto::pb::signal_response::Message::Pong(_)).then_some(())).await;
    let rooms = server.json("ListRooms", &json!({})).await.json();
    assert_eq!(rooms["rooms"][0]["num_participants"], 1);
}

/// The same paths are open to whoever may: what was refused above was refused for its token.
#[tokio::test]
async fn the_right_token_is_never_refused_for_itself() {
    let server = server().await;
    let (_ann, _) = server.join("ann").await;
    let mut all = almighty();
    all.sip = Some(sluicegate_proto::token::SipGrant { admin: true, call: true });
    let authorization = format!("Bearer {}", signed(&all));
    for path in surface::twirp_paths() {
        // a call without an acknowledgement would take its seconds
        if path.ends_with("PerformRpc") {
            continue;
        }
        let answer = server.request("POST", &path, &[JSON, ("authorization", &authorization)], &body()).await;
        assert_ne!(answer.status, 401, "{path}: {answer:?}");
    }
}
