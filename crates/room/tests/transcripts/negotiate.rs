//! Descriptions and candidates in both directions.

use insta::assert_snapshot;
use sluicegate_contract::command::PcTarget;
use sluicegate_contract::event::{Event, MidTrack};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_room::input::SignalMode;

use crate::scene::Scene;

fn description(kind: &str, id: u32) -> pb::SessionDescription {
    pb::SessionDescription { r#type: kind.to_owned(), sdp: format!("v=0 {id}"), id, ..Default::default() }
}

fn trickle(target: pb::SignalTarget, init: &str) -> Message {
    Message::Trickle(pb::TrickleRequest { candidate_init: init.to_owned(), target: target as i32, r#final: false })
}

#[test]
fn both_peer_connections() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").publish("ann", "cam").forget();
    let session = scene.session("ben");
    let mids = vec![MidTrack { mid: "0".into(), track: scene.track("cam") }];
    scene.media("ben Offer 5", Event::Offer { session, sdp: "v=0".into(), id: 5, mids });
    scene.note("a stale answer, the right one, the right one again");
    for id in [4, 5, 5] {
        scene.signal("ben", Message::Answer(description("answer", id)));
    }
    scene.media("ben Offer 6", Event::Offer { session, sdp: "v=0".into(), id: 6, mids: Vec::new() });
    scene.note("a client without ids").signal("ben", Message::Answer(description("answer", 0)));
    scene.signal("ben", Message::Offer(description("offer", 9)));
    scene.media("ben Answer 9", Event::Answer { session, sdp: "v=0".into(), id: 9, mids: Vec::new() });
    scene.note("candidates");
    let init = r#"{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0}"#;
    scene.signal("ben", trickle(pb::SignalTarget::Publisher, init));
    scene.signal("ben", trickle(pb::SignalTarget::Subscriber, init));
    scene.signal("ben", trickle(pb::SignalTarget::Subscriber, r#"{"candidate":""}"#));
    scene.signal("ben", trickle(pb::SignalTarget::Subscriber, "junk"));
    let target = PcTarget::Subscriber;
    let local = |candidate: &str, last| Event::Candidate { session, target, candidate: candidate.into(), mid: "0".into(), last };
    scene.media("ben candidate", local("candidate:2 1 udp 2 192.0.2.2 7882 typ host", false));
    scene.media("ben last candidate", local("candidate:3 1 tcp 1 192.0.2.2 7881 typ host tcptype passive", true));
    scene.media("ben no more", local("", true));
    assert_snapshot!(scene.finish());
}

#[test]
fn a_single_one() {
    let mut scene = Scene::new();
    scene.active("ann").publish("ann", "cam");
    scene.join("ben", |join| join.mode = SignalMode::V1).forget();
    scene.signal("ben", Message::Offer(description("offer", 1)));
    let session = scene.session("ben");
    let mids = vec![MidTrack { mid: "4".into(), track: scene.track("cam") }];
    scene.media("ben Answer 1", Event::Answer { session, sdp: "v=0".into(), id: 1, mids });
    scene.note("answers make no sense here; every candidate is of the only one");
    scene.signal("ben", Message::Answer(description("answer", 1)));
    scene.signal("ben", trickle(pb::SignalTarget::Subscriber, r#"{"candidate":"candidate:1"}"#));
    assert_snapshot!(scene.finish());
}

#[test]
fn an_offer_that_nobody_answers() {
    let mut scene = Scene::new();
    scene.active("ann").join("ben", |_| {}).wait(1.0).forget();
    let offer =
        |scene: &Scene, name: &str| Event::Offer { session: scene.session(name), sdp: "v=0".into(), id: 1, mids: Vec::new() };
    let (ann, ben) = (offer(&scene, "ann"), offer(&scene, "ben"));
    scene.media("ann Offer", ann).media("ben Offer", ben).wait(14.0);
    scene.note("ann is connected and does not answer; ben is still connecting").wait(1.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn an_endless_description() {
    let mut scene = Scene::new();
    scene.active("ann").forget();
    let session = scene.session("ann");
    let offer = pb::SessionDescription { sdp: "x".repeat((2 << 20) + 1), ..Default::default() };
    let request = Box::new(pb::SignalRequest { message: Some(Message::Offer(offer)) });
    let connection = sluicegate_room::input::ConnectionKey(0);
    scene.input("ann endless offer", sluicegate_room::Input::Signal { connection, request });
    scene.media("ann Answer", Event::Answer { session, sdp: "".into(), id: 0, mids: Vec::new() });
    assert_snapshot!(scene.finish());
}
