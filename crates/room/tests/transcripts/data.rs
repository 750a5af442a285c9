//! What participants send each other.

use insta::assert_snapshot;
use sluicegate_contract::command::DataChannel::{self, Lossy, Reliable};
use sluicegate_contract::event::Event;
use sluicegate_proto::{Message as _, pb};

use crate::scene::{Scene, grant};

fn user(change: impl FnOnce(&mut pb::UserPacket)) -> pb::data_packet::Value {
    let mut user = pb::UserPacket { payload: b"hi".to_vec(), ..Default::default() };
    change(&mut user);
    pb::data_packet::Value::User(user)
}

fn packet(value: pb::data_packet::Value) -> pb::DataPacket {
    pb::DataPacket { value: Some(value), ..Default::default() }
}

fn send(scene: &mut Scene, from: &str, channel: DataChannel, packet: &pb::DataPacket) {
    let session = scene.session(from);
    let line = format!("{from} sends on {channel:?}");
    scene.media(&line, Event::Data { session, channel, payload: packet.encode_to_vec().into() });
}

#[test]
fn from_one_to_the_others() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").active("cid");
    scene.join("deaf", |join| join.claims.video = grant(|grant| grant.can_subscribe = Some(false))).connected("deaf").forget();
    send(&mut scene, "ann", Reliable, &packet(user(|_| {})));
    scene.note("the server says who sent it and how");
    let mut forged = packet(user(|user| user.participant_identity = "ben".to_owned()));
    (forged.participant_identity, forged.participant_sid) = ("ben".to_owned(), "PA_x".to_owned());
    send(&mut scene, "ann", Lossy, &forged);
    scene.note("to some");
    let mut named = packet(user(|_| {}));
    named.destination_identities = ["cid", "ann", "nobody", "cid"].map(str::to_owned).to_vec();
    send(&mut scene, "ann", Reliable, &named);
    let sid = scene.participant_sid("ben");
    send(&mut scene, "ann", Reliable, &packet(user(|user| user.destination_sids = vec![sid.clone()])));
    named = packet(user(|user| user.destination_sids = vec![sid.clone()]));
    named.destination_identities = vec!["cid".to_owned()];
    send(&mut scene, "ann", Reliable, &named);
    assert_snapshot!(scene.finish());
}

#[test]
fn who_is_still_joining_gets_it_too() {
    let mut scene = Scene::new();
    scene.active("ann").join("late", |_| {}).forget();
    send(&mut scene, "ann", Reliable, &packet(user(|_| {})));
    assert_snapshot!(scene.finish());
}

#[test]
fn what_goes_nowhere() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben");
    scene.join("mute", |join| join.claims.video = grant(|grant| grant.can_publish_data = Some(false))).connected("mute").forget();
    send(&mut scene, "mute", Reliable, &packet(user(|_| {})));
    scene.note("speakers are the server's to tell, transcriptions an agent's, metrics for who may have them");
    send(&mut scene, "ann", Lossy, &packet(pb::data_packet::Value::Speaker(Default::default())));
    send(&mut scene, "ann", Reliable, &packet(pb::data_packet::Value::Transcription(Default::default())));
    send(&mut scene, "ann", Reliable, &packet(pb::data_packet::Value::Metrics(Default::default())));
    scene.note("what comes twice");
    let twice = pb::DataPacket { sequence: 7, ..packet(user(|_| {})) };
    send(&mut scene, "ann", Reliable, &twice);
    send(&mut scene, "ann", Reliable, &twice);
    let nonce = packet(user(|user| user.nonce = vec![9; 16]));
    send(&mut scene, "ann", Lossy, &nonce);
    send(&mut scene, "ben", Lossy, &nonce);
    scene.note("no packet at all");
    let session = scene.session("ann");
    scene.media("ann sends bytes", Event::Data { session, channel: Reliable, payload: vec![0xFF; 20].into() });
    assert_snapshot!(scene.finish());
}

#[test]
fn the_hidden_have_no_name_and_agents_transcribe() {
    let mut scene = Scene::new();
    scene.active("ann");
    scene.join("spy", |join| join.claims.video = grant(|grant| grant.hidden = true)).connected("spy");
    scene.join("bot", |join| join.claims.kind = "agent".to_owned()).connected("bot").forget();
    send(&mut scene, "spy", Reliable, &packet(user(|_| {})));
    send(&mut scene, "bot", Reliable, &packet(pb::data_packet::Value::Transcription(Default::default())));
    assert_snapshot!(scene.finish());
}

#[test]
fn what_a_client_that_resumes_has_missed() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").active("cid");
    for sequence in 1..=3 {
        let mut numbered = pb::DataPacket { sequence, ..packet(user(|_| {})) };
        if sequence == 2 {
            numbered.destination_identities = vec!["cid".to_owned()];
        }
        send(&mut scene, "ann", Reliable, &numbered);
    }
    let sync = |scene: &mut Scene, last_seq: u32| {
        let publisher_sid = scene.participant_sid("ann");
        let states = vec![
            pb::DataChannelReceiveState { publisher_sid, last_seq },
            pb::DataChannelReceiveState { publisher_sid: "PA_x".to_owned(), last_seq: 0 },
        ];
        let state = pb::SyncState { datachannel_receive_states: states, ..Default::default() };
        scene.signal("ben", pb::signal_request::Message::SyncState(state));
    };
    scene.forget();
    sync(&mut scene, 0);
    sync(&mut scene, 1);
    sync(&mut scene, 3);
    scene.wait(3.0);
    sync(&mut scene, 0);
    assert_snapshot!(scene.finish());
}

#[test]
fn what_becomes_too_large_with_its_sender_is_refused() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").forget();
    for (bytes, sent) in [(65_000, true), (65_515, false)] {
        send(&mut scene, "ann", Reliable, &packet(user(|user| user.payload = vec![0; bytes])));
        let transcript = scene.finish();
        assert_eq!((transcript.contains("SendData"), transcript.contains("refused")), (sent, !sent));
        scene.forget();
    }
}
