//! The server's API on a room.

use std::collections::HashMap;

use insta::assert_snapshot;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_room::RoomConfig;
use sluicegate_room::input::ApiCall;
use sluicegate_rtp::codec::Codec;

use crate::scene::{Scene, grant, microphone};

fn two() -> Scene {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").publish("ann", "cam").wait(10.0).forget();
    scene
}

fn text(text: &str) -> String {
    text.to_owned()
}

#[test]
fn lists_and_removals() {
    let mut scene = two();
    scene.join("hid", |join| join.claims.video = grant(|grant| grant.hidden = true)).forget();
    scene.note("hidden ones are listed").api(ApiCall::ListParticipants);
    scene.api(ApiCall::GetParticipant { identity: text("ann") }).api(ApiCall::GetParticipant { identity: text("nobody") });
    scene.api(ApiCall::RemoveParticipant { identity: text("ann") }).api(ApiCall::RemoveParticipant { identity: text("ann") });
    scene.note("who was removed may come back").join("ann", |_| {});
    assert_snapshot!(scene.finish());
}

#[test]
fn mute() {
    let mut scene = two();
    let sid = scene.track_sid("cam");
    let mute = |identity: &str, muted| {
        let track_sid = sid.clone();
        ApiCall::MutePublishedTrack(pb::MuteRoomTrackRequest { identity: text(identity), track_sid, muted, ..Default::default() })
    };
    scene.api(mute("ann", true)).api(mute("ann", false));
    scene.note("not his: success without a track").api(mute("ben", true)).api(mute("nobody", true));
    assert_snapshot!(scene.finish());
}

#[test]
fn remote_unmute_where_enabled() {
    let mut scene = Scene::with(RoomConfig { enable_remote_unmute: true, ..Default::default() }, pb::CreateRoomRequest::default());
    scene.active("ann").signal("ann", Message::AddTrack(pb::AddTrackRequest { muted: true, ..microphone("mic") }));
    scene.started("mic", Codec::Opus).wait(1.0).forget();
    let request =
        pb::MuteRoomTrackRequest { identity: text("ann"), track_sid: scene.track_sid("mic"), muted: false, ..Default::default() };
    scene.api(ApiCall::MutePublishedTrack(request));
    assert_snapshot!(scene.finish());
}

fn update(identity: &str, permission: Option<pb::ParticipantPermission>) -> pb::UpdateParticipantRequest {
    pb::UpdateParticipantRequest { identity: text(identity), permission, ..Default::default() }
}

#[test]
fn update_of_a_participant() {
    let mut scene = two();
    let mut request = update("ann", None);
    (request.name, request.metadata) = (text("Ann"), text("m"));
    request.attributes = HashMap::from([(text("k"), text("v"))]);
    scene.api(ApiCall::UpdateParticipant(request));
    scene.note("empty is unchanged").api(ApiCall::UpdateParticipant(update("ann", None)));
    let too_long = pb::UpdateParticipantRequest { name: "x".repeat(257), ..update("ann", None) };
    let mut answer = Scene::new();
    answer.active("ann").forget().api(ApiCall::UpdateParticipant(too_long));
    assert!(answer.finish().ends_with("answer InvalidArgument(\"exceeds name length limit\")\n"));
    scene.api(ApiCall::UpdateParticipant(update("nobody", None)));
    assert_snapshot!(scene.finish());
}

#[test]
fn permissions_withdrawn_and_given_back() {
    let mut scene = two();
    scene.signal("ann", Message::AddTrack(microphone("mic"))).started("mic", Codec::Opus).wait(10.0).forget();
    let all = pb::ParticipantPermission { can_subscribe: true, can_publish: true, can_publish_data: true, ..Default::default() };
    scene.note("ann keeps only her microphone");
    let only_microphone = pb::ParticipantPermission { can_publish_sources: vec![2], ..all.clone() };
    scene.api(ApiCall::UpdateParticipant(update("ann", Some(only_microphone))));
    scene.note("ann publishes nothing any more");
    scene.api(ApiCall::UpdateParticipant(update("ann", Some(pb::ParticipantPermission { can_publish: false, ..all.clone() }))));
    scene.api(ApiCall::UpdateParticipant(update("ann", Some(all.clone())))).publish("ann", "cam2");
    scene.note("ben may not subscribe, and then again");
    scene.api(ApiCall::UpdateParticipant(update("ben", Some(pb::ParticipantPermission { can_subscribe: false, ..all.clone() }))));
    scene.publish("ann", "cam3");
    scene.api(ApiCall::UpdateParticipant(update("ben", Some(all.clone()))));
    scene.note("no change, no news").api(ApiCall::UpdateParticipant(update("ben", Some(all))));
    assert_snapshot!(scene.finish());
}

#[test]
fn hiding_and_showing() {
    let mut scene = two();
    let hidden = |hidden| {
        let all =
            pb::ParticipantPermission { can_subscribe: true, can_publish: true, can_publish_data: true, ..Default::default() };
        ApiCall::UpdateParticipant(update("ann", Some(pb::ParticipantPermission { hidden, ..all })))
    };
    scene.api(hidden(true)).api(hidden(false));
    assert_snapshot!(scene.finish());
}

#[test]
fn subscriptions_for_somebody() {
    let mut scene = two();
    let sid = scene.track_sid("cam");
    let request = |identity: &str, subscribe| {
        let track_sids = vec![sid.clone()];
        ApiCall::UpdateSubscriptions(pb::UpdateSubscriptionsRequest {
            identity: text(identity),
            track_sids,
            subscribe,
            ..Default::default()
        })
    };
    scene.api(request("ben", false)).api(request("ben", true)).api(request("nobody", true));
    assert_snapshot!(scene.finish());
}

#[test]
fn data() {
    let mut scene = two();
    scene.active("cid").join("late", |_| {}).forget();
    let mut send = |change: &dyn Fn(&mut pb::SendDataRequest)| {
        let mut request = pb::SendDataRequest { data: b"hi".to_vec(), topic: Some(text("t")), ..Default::default() };
        change(&mut request);
        scene.api(ApiCall::SendData(request));
    };
    send(&|_| {});
    send(&|request| (request.kind, request.nonce) = (1, vec![7; 16]));
    send(&|request| request.destination_identities = vec![text("cid"), text("nobody"), text("cid")]);
    send(&|request| request.nonce = vec![7; 15]);
    send(&|request| request.nonce = vec![7; 16]);
    let sid = scene.participant_sid("ben");
    let request = pb::SendDataRequest { destination_sids: vec![sid], ..Default::default() };
    scene.api(ApiCall::SendData(request));
    scene
        .note("to nobody")
        .api(ApiCall::SendData(pb::SendDataRequest { destination_sids: vec![text("PA_x")], ..Default::default() }));
    let transcript = scene.finish();
    let large = pb::SendDataRequest { data: vec![0; 65_535], ..Default::default() };
    scene.forget().api(ApiCall::SendData(large));
    assert!(scene.finish().contains("answer InvalidArgument"));
    assert_snapshot!(transcript);
}

#[test]
fn the_room_itself() {
    let mut scene = two();
    scene.api(ApiCall::UpdateMetadata { metadata: text("news") });
    scene.api(ApiCall::Configure(pb::CreateRoomRequest { max_participants: 9, departure_timeout: 3, ..Default::default() }));
    scene.api(ApiCall::Configure(pb::CreateRoomRequest { metadata: text("more"), ..Default::default() }));
    let transcript = scene.finish();
    scene.forget().api(ApiCall::UpdateMetadata { metadata: "x".repeat((512 << 10) + 1) });
    assert!(scene.finish().contains("answer InvalidArgument"));
    assert_snapshot!(transcript);
}
