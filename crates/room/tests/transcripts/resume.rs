//! Coming back to a stay that others have not seen end.

use insta::assert_snapshot;
use sluicegate_contract::command::PcTarget::{Publisher, Subscriber};
use sluicegate_contract::event::Event;
use sluicegate_contract::event::TransportState::{Closed, Connected, Disconnected, Failed};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::pb::simulate_scenario::Scenario;
use sluicegate_room::RoomConfig;
use sluicegate_room::input::{ApiCall, SignalMode};

use crate::scene::{Scene, camera, grant};

/// Ann publishes, ben does not.
fn two() -> Scene {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").publish("ann", "cam").wait(10.0).forget();
    scene
}

fn simulate(scene: &mut Scene, name: &str, scenario: Scenario) {
    scene.signal(name, Message::Simulate(pb::SimulateScenario { scenario: Some(scenario) }));
}

#[test]
fn signalling_comes_back() {
    let mut scene = two();
    let ann = scene.participant_sid("ann");
    scene.signal_closed("ann").wait(1.0).resume("ann", &ann, |join| join.claims.exp = 1_700_009_999);
    scene.note("once more, and before the old connection is known to be dead").resume("ann", &ann, |_| {});
    scene.note("a client that does not say which participant it was").resume("ann", "", |_| {}).wait(60.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn what_happened_meanwhile() {
    let mut scene = two();
    scene.active("cid").active("dan").publish("ann", "screen").forget();
    let ann = scene.participant_sid("ann");
    scene.signal_closed("ann").wait(1.0);
    let (cam, screen) = (scene.track_sid("cam"), scene.track_sid("screen"));
    scene.api(ApiCall::MutePublishedTrack(pb::MuteRoomTrackRequest {
        room: "lobby".to_owned(),
        identity: "ann".to_owned(),
        track_sid: cam.clone(),
        muted: true,
    }));
    scene.signal("cid", Message::Leave(pb::LeaveRequest::default()));
    scene.join("dan", |_| {}).active("eve").publish("eve", "cam2");
    scene.resume("ann", &ann, |_| {});
    let published = |cid: &str, sid: &str| pb::TrackPublishedResponse {
        cid: cid.to_owned(),
        track: Some(pb::TrackInfo { sid: sid.to_owned(), ..Default::default() }),
    };
    let state = pb::SyncState {
        publish_tracks: vec![published("cam", &cam), published("screen", &screen)],
        subscription: Some(pb::UpdateSubscription {
            track_sids: vec![scene.track_sid("cam2")],
            subscribe: false,
            ..Default::default()
        }),
        ..Default::default()
    };
    scene.signal("ann", Message::SyncState(state));
    scene.note("and an old client, who is not told who left").join("old", |join| join.client.protocol = 8);
    let old = scene.participant_sid("old");
    scene.transport("old", Publisher, Connected).transport("old", Subscriber, Connected).signal_closed("old");
    scene.signal("eve", Message::Leave(pb::LeaveRequest::default())).resume("old", &old, |join| join.client.protocol = 8);
    assert_snapshot!(scene.finish());
}

#[test]
fn who_left_shortly_before() {
    let mut scene = two();
    scene.active("cid").active("dan").active("eve").wait(30.0);
    let ann = scene.participant_sid("ann");
    let leave = || Message::Leave(pb::LeaveRequest::default());
    scene.signal("cid", leave()).wait(30.0).signal("dan", leave()).signal("eve", leave()).wait(1.0).active("eve").forget();
    scene.note("of dan it may not have heard; of cid it has, and eve is here again");
    scene.resume("ann", &ann, |_| {});
    assert_snapshot!(scene.finish());
}

#[test]
fn nobody_to_come_back_to() {
    let mut scene = two();
    let ann = scene.participant_sid("ann");
    scene.resume("cid", "PA_gone", |_| {});
    scene.note("another one of this name").resume("ann", "PA_gone", |_| {});
    scene.note("with other PeerConnections").resume("ann", &ann, |join| join.mode = SignalMode::V1);
    scene.note("an old client").resume("cid", "PA_gone", |join| join.client.protocol = 12);
    scene.note("one that has closed its transports").transport("ann", Subscriber, Closed).resume("ann", &ann, |_| {});
    scene.note("joining anew is never refused").join("ann", |_| {});
    assert_snapshot!(scene.finish());
}

#[test]
fn a_failed_transport_comes_back() {
    let mut scene = two();
    let ann = scene.participant_sid("ann");
    scene.transport("ann", Subscriber, Disconnected).transport("ann", Publisher, Disconnected).wait(5.0);
    scene.transport("ann", Subscriber, Failed).transport("ann", Publisher, Failed).wait(3.0).resume("ann", &ann, |_| {});
    scene.wait(4.0).transport("ann", Publisher, Connected).transport("ann", Subscriber, Connected).wait(30.0);
    scene.note("or it does not").transport("ann", Subscriber, Failed).resume("ann", &ann, |_| {}).wait(20.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn transports_that_nothing_restarts() {
    let mut scene = two();
    let ann = scene.participant_sid("ann");
    scene.signal_closed("ann").resume("ann", &ann, |_| {});
    let (session, target) = (scene.session("ann"), Subscriber);
    scene.media("ann failed", Event::NegotiationFailed { session, target, why: "it is over".to_owned() });
    assert_snapshot!(scene.finish());
}

#[test]
fn a_client_with_one_peer_connection() {
    let mut scene = Scene::new();
    scene.active("ann").publish("ann", "cam").join("ben", |join| join.mode = SignalMode::V1).connected("ben").forget();
    let ben = scene.participant_sid("ben");
    scene.signal_closed("ben").resume("ben", &ben, |join| {
        join.mode = SignalMode::V1;
        let sdp = "v=0 restart".to_owned();
        join.publisher_offer = Some(pb::SessionDescription { r#type: "offer".to_owned(), sdp, id: 9, ..Default::default() });
    });
    assert_snapshot!(scene.finish());
}

#[test]
fn a_client_that_publishes_what_nobody_knows() {
    let mut scene = two();
    let ann = scene.participant_sid("ann");
    let track = |sid: &str| Some(pb::TrackInfo { sid: sid.to_owned(), ..Default::default() });
    let (cam, unknown) = (track(&scene.track_sid("cam")), track("TR_unknown"));
    let published = |cid: &str, track| pb::TrackPublishedResponse { cid: cid.to_owned(), track };
    let disabled = vec![scene.track_sid("cam")];
    scene.resume("ann", &ann, |_| {}).forget();
    let state = pb::SyncState { track_sids_disabled: disabled, ..Default::default() };
    scene.note("ben names what he has disabled").signal("ben", Message::SyncState(state));
    let state = |tracks| Message::SyncState(pb::SyncState { publish_tracks: tracks, ..Default::default() });
    scene.note("its camera, and one that waits for the camera's end").signal("ann", Message::AddTrack(camera("cam")));
    scene.signal("ann", state(vec![published("cam", cam.clone()), published("cam", None)]));
    scene.note("something else").signal("ann", state(vec![published("cam", cam), published("x", unknown)]));
    let handle = pb::DataTrackInfo { pub_handle: 1, sid: "DTR_unknown".to_owned(), ..Default::default() };
    let data = vec![pb::PublishDataTrackResponse { info: Some(handle) }];
    let state = pb::SyncState { publish_data_tracks: data, ..Default::default() };
    scene.note("or a data track").signal("ben", Message::SyncState(state));
    assert_snapshot!(scene.finish());
}

#[test]
fn what_was_withdrawn_is_no_mismatch() {
    let mut scene = two();
    let (ann, cam) = (scene.participant_sid("ann"), scene.track_sid("cam"));
    scene.signal_closed("ann");
    let permission = pb::ParticipantPermission { can_subscribe: true, ..Default::default() };
    scene.api(ApiCall::UpdateParticipant(pb::UpdateParticipantRequest {
        identity: "ann".to_owned(),
        permission: Some(permission),
        ..Default::default()
    }));
    scene.resume("ann", &ann, |_| {});
    let track = Some(pb::TrackInfo { sid: cam, ..Default::default() });
    let published = pb::TrackPublishedResponse { cid: "cam".to_owned(), track };
    scene.signal("ann", Message::SyncState(pb::SyncState { publish_tracks: vec![published], ..Default::default() }));
    assert_snapshot!(scene.finish());
}

#[test]
fn simulated_disturbances() {
    let mut scene = two();
    let ann = scene.participant_sid("ann");
    simulate(&mut scene, "ann", Scenario::SpeakerUpdate(3));
    scene.wait(3.0);
    simulate(&mut scene, "ann", Scenario::DisconnectSignalOnResume(true));
    scene.signal_closed("ann").resume("ann", &ann, |_| {});
    scene.note("and once more, undisturbed").resume("ann", &ann, |_| {});
    simulate(&mut scene, "ann", Scenario::DisconnectSignalOnResumeNoMessages(true));
    scene.signal_closed("ann").resume("ann", &ann, |_| {}).resume("ann", &ann, |_| {});
    scene.note("too late");
    simulate(&mut scene, "ann", Scenario::DisconnectSignalOnResume(true));
    scene.wait(6.0).resume("ann", &ann, |_| {});
    simulate(&mut scene, "ann", Scenario::Migration(true));
    scene.resume("ann", &ann, |_| {});
    assert_snapshot!(scene.finish());
}

#[test]
fn a_full_room_keeps_the_place() {
    let create = pb::CreateRoomRequest { max_participants: 1, ..Default::default() };
    let mut scene = Scene::with(RoomConfig::default(), create);
    scene.active("ann").forget();
    let ann = scene.participant_sid("ann");
    scene.signal_closed("ann").join("ben", |_| {}).resume("ann", &ann, |_| {});
    assert_snapshot!(scene.finish());
}

#[test]
fn a_client_switches_to_tcp_and_back() {
    let mut scene = two();
    let protocol = |protocol: pb::CandidateProtocol| Scenario::SwitchCandidateProtocol(protocol as i32);
    simulate(&mut scene, "ann", protocol(pb::CandidateProtocol::Tcp));
    simulate(&mut scene, "ann", protocol(pb::CandidateProtocol::Tcp));
    scene.note("as it does by itself").join("ann", |_| {}).connected("ann");
    let ann = scene.participant_sid("ann");
    scene.signal_closed("ann").resume("ann", &ann, |_| {});
    simulate(&mut scene, "ann", protocol(pb::CandidateProtocol::Tls));
    simulate(&mut scene, "ann", protocol(pb::CandidateProtocol::Udp));
    assert_snapshot!(scene.finish());
}

/// A stay keeps the rights that it has; whoever comes with fewer, that it never had, does not get it.
#[test]
fn tokens_with_other_rights() {
    let mut scene = Scene::new();
    scene
        .join("ann", |join| join.claims.video = grant(|grant| grant.can_publish = Some(false)))
        .connected("ann")
        .active("ben")
        .forget();
    let (ann, ben) = (scene.participant_sid("ann"), scene.participant_sid("ben"));
    let allow = |scene: &mut Scene, name: &str, can_publish| {
        let permission =
            pb::ParticipantPermission { can_publish, can_publish_data: can_publish, can_subscribe: true, ..Default::default() };
        scene.api(ApiCall::UpdateParticipant(pb::UpdateParticipantRequest {
            identity: name.to_owned(),
            permission: Some(permission),
            ..Default::default()
        }));
    };
    allow(&mut scene, "ann", true);
    scene.note("the API gave more than the first token, with which she resumes");
    scene.resume("ann", &ann, |join| join.claims.video = grant(|grant| grant.can_publish = Some(false)));
    allow(&mut scene, "ben", false);
    scene.note("the API took what the first token allows").resume("ben", &ben, |_| {});
    scene.note("somebody of this name who may do less").resume("ann", &ann, |join| {
        join.claims.video = grant(|grant| (grant.can_publish, grant.can_subscribe) = (Some(false), Some(false)));
    });
    scene.note("or is something else").resume("ann", &ann, |join| join.claims.kind = "agent".to_owned());
    assert_snapshot!(scene.finish());
}
