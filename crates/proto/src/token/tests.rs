use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;

use super::*;

const NOW: u64 = 1_800_000_000;

fn keys() -> KeyStore {
    KeyStore::new(BTreeMap::from([("devkey".to_owned(), "secret".to_owned())]))
}

fn claims() -> Claims {
    let video = VideoGrant { room_join: true, room: "r".to_owned(), ..VideoGrant::default() };
    Claims { iss: "devkey".to_owned(), sub: "alice".to_owned(), exp: NOW + 600, video: Some(video), ..Claims::default() }
}

#[test]
fn what_is_signed_verifies() {
    let token = sign("secret", &claims()).unwrap();
    assert_eq!(verify(&keys(), &token, NOW), Ok(claims()));
    assert_eq!(verify(&keys(), &token, NOW).unwrap().identity(), "alice");
}

#[test]
fn times_have_a_minute_of_leeway() {
    for (exp, nbf, wanted) in [
        (NOW - 59, 0, None),
        (NOW - 61, 0, Some(TokenError::Expired)),
        (NOW + 10, NOW + 59, None),
        (NOW + 10, NOW + 61, Some(TokenError::NotYet)),
        (u64::MAX, u64::MAX, Some(TokenError::NotYet)),
    ] {
        let token = sign("secret", &Claims { exp, nbf, ..claims() }).unwrap();
        assert_eq!(verify(&keys(), &token, NOW).err(), wanted, "exp {exp} nbf {nbf}");
    }
}

#[test]
fn other_keys_and_algorithms_are_refused() {
    assert_eq!(verify(&keys(), &sign("other", &claims()).unwrap(), NOW), Err(TokenError::Signature));
    let unknown = Claims { iss: "nokey".to_owned(), ..claims() };
    assert_eq!(verify(&keys(), &sign("secret", &unknown).unwrap(), NOW), Err(TokenError::UnknownKey));
    let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims()).unwrap());
    for algorithm in ["none", "None", "HS384", "HS512", "RS256", "ES256", "EdDSA", ""] {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#));
        for signature in ["", "AAAA"] {
            assert!(verify(&keys(), &format!("{header}.{body}.{signature}"), NOW).is_err(), "{algorithm}");
        }
    }
    let key = EncodingKey::from_secret(b"secret");
    let longer = jsonwebtoken::encode(&Header::new(Algorithm::HS512), &claims(), &key).unwrap();
    assert_eq!(verify(&keys(), &longer, NOW), Err(TokenError::Malformed));
}

#[test]
fn a_token_without_an_end_is_refused() {
    let token = sign("secret", &Claims { exp: 0, ..claims() }).unwrap();
    assert_eq!(verify(&keys(), &token, NOW), Err(TokenError::NoExpiry));
    let mut long = sign("secret", &claims()).unwrap();
    long.push_str(&"A".repeat(TOKEN_BYTES_MAX));
    assert_eq!(verify(&keys(), &long, NOW), Err(TokenError::Malformed));
}

#[test]
fn a_token_made_elsewhere_by_the_book() {
    // header {"alg":"HS256","typ":"JWT"}; HMAC-SHA256 with the key "secret"
    let body = r#"{"iss":"devkey","sub":"a","exp":1800000600,"video":{"roomJoin":true,"room":"r","canPublish":false},"roomConfig":{"emptyTimeout":77,"unknown":1},"attributes":{"k":"v"},"metadata":null}"#;
    let signed = format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.{}", URL_SAFE_NO_PAD.encode(body));
    let key = EncodingKey::from_secret(b"secret");
    let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, Algorithm::HS256).unwrap();
    let claims = verify(&keys(), &format!("{signed}.{signature}"), NOW).unwrap();
    assert_eq!(claims.room_config.unwrap().empty_timeout, 77);
    assert_eq!((claims.video.unwrap().can_publish, claims.attributes["k"].as_str()), (Some(false), "v"));
}

proptest! {
    #[test]
    fn arbitrary_text_is_refused(text in "[A-Za-z0-9_.-]{0,300}") {
        prop_assert!(verify(&keys(), &text, NOW).is_err());
    }

    #[test]
    fn a_changed_token_is_refused(at in 0usize..200, byte in "[A-Za-z0-9_-]") {
        let token = sign("secret", &claims()).unwrap();
        let at = at % token.len();
        let changed = format!("{}{byte}{}", &token[..at], &token[at + 1..]);
        // the last character of a part holds bits that do not count
        if changed != token && at + 1 != token.len() && token.as_bytes()[at] != b'.' {
            prop_assert!(verify(&keys(), &changed, NOW).is_err());
        }
    }
}

#[test]
fn a_token_for_one_room() {
    let claims = Claims::join("devkey", "ann", "r", 1000, 60);
    assert_eq!((claims.iss.as_str(), claims.identity(), claims.nbf, claims.exp), ("devkey", "ann", 1000, 1060));
    let video = claims.video.unwrap();
    assert_eq!((video.room_join, video.room.as_str(), video.room_admin, video.hidden), (true, "r", false, false));
}
