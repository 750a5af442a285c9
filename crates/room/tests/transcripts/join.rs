//! Joining: who gets in, what it is told, what the others are told.

use insta::assert_snapshot;
use sluicegate_contract::command::PcTarget;
use sluicegate_contract::event::{Event, TransportState};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_room::input::{Join, SignalMode};
use sluicegate_room::{Input, Output, RoomConfig};

use crate::scene::{Scene, camera, grant, microphone};

#[test]
fn the_join_response_in_full() {
    let config = RoomConfig {
        ice_servers: vec![pb::IceServer { urls: vec!["turn:192.0.2.9".to_owned()], ..Default::default() }],
        ..Default::default()
    };
    let mut scene = Scene::with(config, pb::CreateRoomRequest { metadata: "m".to_owned(), ..Default::default() });
    scene.active("ann").publish("ann", "cam");
    let join = crate::scene::join(sluicegate_room::input::ConnectionKey(9), "ben");
    scene.room.handle_input(scene.now, Input::Join(Box::new(join)));
    let mut full = String::new();
    while let Some(output) = scene.room.poll_output() {
        if let Output::Signal { response, .. } = output
            && let Some(Message::Join(join)) = &response.message
        {
            full = serde_json::to_string_pretty(&serde_json::to_value(join).unwrap()).unwrap();
        }
    }
    assert_snapshot!(full);
}

#[test]
fn two_clients_of_each_kind_meet() {
    let mut scene = Scene::new();
    scene.join("ann", |_| {}).connected("ann").publish("ann", "cam");
    scene.note("ben has one PeerConnection and brings tracks and offer along");
    scene.join("ben", |join: &mut Join| {
        join.mode = SignalMode::V1;
        join.add_tracks = vec![microphone("mic"), camera("cam2")];
        join.publisher_offer =
            Some(pb::SessionDescription { r#type: "offer".to_owned(), sdp: "v=0".to_owned(), id: 3, ..Default::default() });
    });
    let (session, mids) = (scene.session("ben"), Vec::new());
    scene.media("ben Answer", Event::Answer { session, sdp: "v=0 answer".into(), id: 3, mids });
    scene.connected("ben").started("mic", sluicegate_rtp::codec::Codec::Opus);
    assert_snapshot!(scene.finish());
}

#[test]
fn an_old_client_has_its_publisher_as_primary() {
    let mut scene = Scene::new();
    scene.active("ann").publish("ann", "cam").forget();
    scene.join("old", |join| join.client.protocol = 2);
    scene.note("nobody who may not subscribe waits for a subscriber PeerConnection");
    scene.join("deaf", |join| join.claims.video = grant(|grant| grant.can_subscribe = Some(false)));
    scene.note("the subscriber PeerConnection is not what counts for them; the publisher's is");
    scene.transport("old", PcTarget::Subscriber, TransportState::Connected).connected("old").connected("deaf");
    assert_snapshot!(scene.finish());
}

#[test]
fn hidden_recorder_and_agent() {
    let mut scene = Scene::new();
    scene.active("ann").wait(5.0);
    scene.note("a hidden recorder: nobody hears of it, but the room records, told at once");
    scene.join("rec", |join| {
        join.claims.kind = "egress".to_owned();
        join.claims.video = grant(|grant| (grant.hidden, grant.recorder) = (true, true));
    });
    scene.connected("rec");
    scene.note("an agent is seen but does not count");
    scene.join("bot", |join| join.claims.kind = "agent".to_owned());
    scene.note("the last recorder leaves");
    scene.signal_closed("rec").wait(1.0);
    scene.transport("rec", PcTarget::Subscriber, TransportState::Disconnected).wait(10.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn the_same_identity_again() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").publish("ann", "cam").forget();
    scene.join("ann", |_| {});
    scene.note("late words for the old one find nobody");
    let session = sluicegate_contract::key::SessionKey { index: 0, ..scene.session("ann") };
    scene.media("old ann Answer", Event::Answer { session, sdp: "".into(), id: 1, mids: Vec::new() });
    assert_snapshot!(scene.finish());
}

#[test]
fn a_full_room() {
    let create = pb::CreateRoomRequest { max_participants: 2, ..Default::default() };
    let mut scene = Scene::with(RoomConfig::default(), create);
    scene.active("ann").active("ben").forget();
    scene.join("cid", |_| {});
    scene.note("agents and recorders always get in, and whoever replaces itself");
    scene.join("bot", |join| join.claims.video = grant(|grant| grant.agent = true));
    scene.join("ben", |_| {});
    assert_snapshot!(scene.finish());
}

#[test]
fn room_configuration_of_the_first_token() {
    let create = pb::CreateRoomRequest { departure_timeout: 7, ..Default::default() };
    let mut scene = Scene::with(RoomConfig::default(), create);
    let configured = |join: &mut Join| {
        join.claims.room_config = Some(pb::RoomConfiguration {
            empty_timeout: 11,
            departure_timeout: 12,
            max_participants: 13,
            metadata: "from the token".to_owned(),
            ..Default::default()
        });
    };
    scene.note("what CreateRoom said stays");
    scene.join("ann", configured);
    scene.note("only the first token counts");
    scene.join("ben", |join| {
        configured(join);
        join.claims.room_config.as_mut().unwrap().max_participants = 99;
    });
    assert_snapshot!(scene.finish());
}

#[test]
fn metadata_and_attributes_of_token_and_connection() {
    let mut scene = Scene::new();
    scene.join("ann", |join| {
        join.claims.metadata = "token's".to_owned();
        join.claims.attributes = [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into_iter().collect();
        join.attributes = vec![("b".to_owned(), "3".to_owned()), ("a".to_owned(), String::new())];
    });
    scene.join("ben", |join| {
        join.claims.metadata = "token's".to_owned();
        join.metadata = Some("own".to_owned());
    });
    assert_snapshot!(scene.finish());
}

#[test]
fn ice_lite_only_for_those_who_can() {
    let mut scene = Scene::with(RoomConfig { ice_lite: true, ..Default::default() }, pb::CreateRoomRequest::default());
    scene.join("ann", |_| {});
    scene.join("off", |join| join.disable_ice_lite = true);
    scene.join("fox", |join| join.client.browser = "Firefox".to_owned());
    let transcript = scene.finish();
    let lines = transcript.lines().filter(|line| line.contains("AddSession")).collect::<Vec<_>>();
    assert_eq!(lines.iter().map(|line| line.ends_with("lite")).collect::<Vec<_>>(), [true, false, false]);
}

#[test]
fn a_large_room_gathers_what_can_wait() {
    let mut scene = Scene::new();
    for n in 0..101 {
        scene.join(&format!("p{n}"), |_| {});
    }
    scene.wait(10.0).forget();
    scene.join("late", |_| {}).join("gone", |_| {}).signal_closed("gone").join("gone", |_| {}).connected("late");
    let at_once = scene.finish();
    assert!(!at_once.contains("update"), "{at_once}");
    scene.forget().wait(1.0);
    let gathered = scene.finish().replace(&(1..101).map(|n| format!("+p{n}")).collect::<String>(), "+…");
    assert_snapshot!("gathered", gathered);
    // A publisher is told at once, in one message that all share.
    scene.forget().publish("late", "cam");
    let transcript = scene.finish();
    assert_eq!(transcript.lines().filter(|line| line.contains("< update")).count(), 1, "{transcript}");
}

#[test]
fn one_seed_and_one_script_are_one_transcript() {
    let play = || {
        let mut scene = Scene::new();
        scene.active("ann").join("ben", |join| join.mode = SignalMode::V1).connected("ben").publish("ann", "cam").wait(400.0);
        (scene.finish(), scene.participant_sid("ann"), scene.track_sid("cam"))
    };
    assert_eq!(play(), play());
}

/// LiveKit would start agents and recordings: whoever asks for them here is told in the log, once.
#[test]
fn what_a_room_goes_on_without() {
    let playout = pb::CreateRoomRequest { min_playout_delay: 100, ..Default::default() };
    let created = Scene::with(RoomConfig::default(), playout).finish();
    assert_eq!(created.matches("goes on without playout delay").count(), 1, "{created}");
    let mut scene = Scene::new();
    let asks = |join: &mut Join| {
        join.claims.room_config = Some(pb::RoomConfiguration {
            agents: vec![pb::RoomAgentDispatch::default()],
            egress: Some(pb::RoomEgress::default()),
            max_playout_delay: 1,
            ..Default::default()
        });
    };
    scene.join("ann", asks).join("ben", asks);
    assert_eq!(scene.finish().matches("goes on without agents, egress, playout delay").count(), 1);
    assert_eq!(scene.finish().matches("goes on without").count(), 1);
}
