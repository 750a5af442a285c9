use proptest::prelude::*;
use sluicegate_proto::Message as _;

use super::*;

fn grant(change: impl FnOnce(&mut VideoGrant)) -> Claims {
    let mut video = VideoGrant { room_join: true, room: "r".to_owned(), ..Default::default() };
    change(&mut video);
    Claims { iss: "devkey".to_owned(), sub: "ann".to_owned(), video: Some(video), ..Default::default() }
}

fn knock<'a>(query: &'a Query, mode: SignalMode, strict: bool) -> Knock<'a> {
    Knock { mode, query, user_agent: "", strict }
}

fn v0(claims: &Claims, query: &str) -> Result<Admission, Refusal> {
    admit(&ControlConfig::default(), Some(claims), &knock(&Query::parse(query), SignalMode::V0, false))
}

fn encoded(request: &pb::JoinRequest) -> String {
    let wrapped = pb::WrappedJoinRequest { compression: 0, join_request: request.encode_to_vec() };
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(wrapped.encode_to_vec())
}

fn v1(claims: &Claims, request: &pb::JoinRequest) -> Result<Admission, Refusal> {
    let query = Query::parse(&format!("join_request={}", encoded(request)));
    admit(&ControlConfig::default(), Some(claims), &knock(&query, SignalMode::V1, false))
}

#[test]
fn the_checks_come_in_livekits_order() {
    let claims = grant(|_| {});
    let long = "x".repeat(257);
    let status = |claims: &Claims| v0(claims, "").err().map(|refusal| (refusal.status, refusal.text));
    let refused = |status: u16, text: &str| Some((status, text.to_owned()));
    assert_eq!(status(&claims), None);
    assert_eq!(status(&grant(|grant| grant.room_join = false)), refused(401, "permissions denied"));
    assert_eq!(status(&Claims { video: None, ..claims.clone() }), refused(401, "permissions denied"));
    assert_eq!(status(&Claims { sub: String::new(), ..claims.clone() }), refused(400, "identity cannot be empty"));
    assert_eq!(status(&Claims { sub: long.clone(), ..claims.clone() }), refused(400, "the identity is too long"));
    assert_eq!(status(&grant(|grant| grant.room.clear())), refused(400, "no room name"));
    assert_eq!(status(&grant(|grant| grant.room = long.clone())), refused(400, "the room name is too long"));
    assert_eq!(status(&Claims { name: long, ..claims.clone() }), refused(400, "the participant name is too long"));
    let metadata = "m".repeat((512 << 10) + 1);
    assert_eq!(status(&Claims { metadata, ..claims.clone() }), refused(400, "the metadata is too large"));
    let preset = Claims { room_preset: "p".to_owned(), ..claims };
    assert_eq!(status(&preset), refused(400, "unknown room configuration in create room request"));
    let nobody = admit(&ControlConfig::default(), None, &knock(&Query::default(), SignalMode::V1, false));
    assert_eq!(nobody.unwrap_err().status, 401);
}

#[test]
fn parameters_of_v0() {
    let join = v0(&grant(|_| {}), "sdk=js&protocol=17").unwrap().join;
    assert_eq!((join.mode, join.auto_subscribe, join.adaptive_stream), (SignalMode::V0, true, false));
    let takes_data = |join: Join| join.auto_subscribe_data_track;
    assert!(!takes_data(join) && takes_data(v0(&grant(|_| {}), "auto_subscribe_data_track=true").unwrap().join));
    let settings = |auto_subscribe_data_track| pb::JoinRequest {
        connection_settings: Some(pb::ConnectionSettings { auto_subscribe_data_track, ..Default::default() }),
        ..Default::default()
    };
    let asked = [None, Some(false), Some(true)].map(|asked| takes_data(v1(&grant(|_| {}), &settings(asked)).unwrap().join));
    assert_eq!(asked, [false, false, true]);
    let join = v0(&grant(|_| {}), "auto_subscribe=0&adaptive_stream=1&disable_ice_lite=true&reconnect=1&sid=PA_x").unwrap().join;
    assert_eq!((join.auto_subscribe, join.adaptive_stream, join.disable_ice_lite), (false, true, true));
    assert_eq!(join.reconnect, Some(Reconnect { participant_sid: "PA_x".to_owned(), reason: 0 }));
}

#[test]
fn attributes_need_the_grant() {
    let may = grant(|grant| grant.can_update_own_metadata = Some(true));
    // {"a":"1","b":""}, padded and not
    for text in ["eyJhIjoiMSIsImIiOiIifQ", "eyJhIjoiMSIsImIiOiIifQ=="] {
        let query = format!("attributes={text}");
        assert_eq!(v0(&may, &query).unwrap().join.attributes, [("a".to_owned(), "1".to_owned())]);
        assert_eq!(v0(&grant(|_| {}), &query).unwrap_err().status, 401);
    }
    // unreadable ones are only complained of where the client asks what is wrong
    assert!(v0(&may, "attributes=!").unwrap().join.attributes.is_empty());
    let query = Query::parse("attributes=!");
    assert_eq!(admit(&ControlConfig::default(), Some(&may), &knock(&query, SignalMode::V0, true)).unwrap_err().status, 400);
    let request = pb::JoinRequest { metadata: "m".to_owned(), ..Default::default() };
    assert_eq!(v1(&grant(|_| {}), &request).unwrap_err().status, 401);
    assert_eq!(v1(&may, &request).unwrap().join.metadata.as_deref(), Some("m"));
}

#[test]
fn the_bundle_of_v1() {
    let claims = grant(|_| {});
    let missing = admit(&ControlConfig::default(), Some(&claims), &knock(&Query::default(), SignalMode::V1, false));
    assert_eq!(missing.unwrap_err(), refusal(400, "join_request is required"));
    let settings = pb::ConnectionSettings { auto_subscribe: true, ..Default::default() };
    let offer = pb::SessionDescription { sdp: "v=0".to_owned(), ..Default::default() };
    let request =
        pb::JoinRequest { connection_settings: Some(settings), publisher_offer: Some(offer.clone()), ..Default::default() };
    let join = v1(&claims, &request).unwrap().join;
    assert_eq!((join.mode, join.auto_subscribe, join.publisher_offer), (SignalMode::V1, true, Some(offer)));
    let silent = pb::JoinRequest { reconnect_reason: 1, ..Default::default() };
    assert!(!v1(&claims, &silent).unwrap().join.auto_subscribe);
    // what others are told of it can be written
    let odd = pb::ClientInfo { capabilities: [vec![77], vec![1; 1000]].concat(), ..Default::default() };
    let join = v1(&claims, &pb::JoinRequest { client_info: Some(odd), ..Default::default() }).unwrap().join;
    assert_eq!(join.client.capabilities, [1; 64]);
    // also on the old path
    assert_eq!(v0(&claims, &format!("join_request={}", encoded(&request))).unwrap().join.mode, SignalMode::V1);
}

#[test]
fn the_old_second_connection_only_publishes() {
    let admission = v0(&grant(|_| {}), "publish=screen").unwrap();
    assert_eq!(admission.join.identity, "ann#screen");
    assert_eq!(admission.join.claims.video.unwrap().can_subscribe, Some(false));
    assert_eq!(v0(&grant(|grant| grant.can_publish = Some(false)), "publish=x").unwrap_err().status, 401);
    // "ann#" and the suffix are an identity like any other
    let suffix = |len| format!("publish={}", "x".repeat(len));
    assert!(v0(&grant(|_| {}), &suffix(252)).is_ok());
    assert_eq!(v0(&grant(|_| {}), &suffix(253)).unwrap_err(), refusal(400, "the identity is too long"));
}

proptest! {
    #[test]
    fn arbitrary_requests_never_panic(
        query in "[ -~]{0,200}",
        names in prop::collection::vec("(attributes|join_request|reconnect|publish|protocol|capabilities)=[A-Za-z0-9_%=-]{0,60}", 0..5),
        user_agent in "(Edg/|Safari/|Version/|Firefox/|[ -~]){0,9}",
    ) {
        fuzz(&query, &user_agent);
        fuzz(&names.join("&"), &user_agent);
    }
}
