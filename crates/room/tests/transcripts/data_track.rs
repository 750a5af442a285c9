//! Data tracks: published, asked for, taken away.

use insta::assert_snapshot;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_room::input::ApiCall;

use crate::scene::{Scene, grant};

fn publish(scene: &mut Scene, who: &str, pub_handle: u32, name: &str) {
    let request = pb::PublishDataTrackRequest { pub_handle, name: name.to_owned(), ..Default::default() };
    scene.signal(who, Message::PublishDataTrackRequest(request));
}

fn unpublish(scene: &mut Scene, who: &str, pub_handle: u32) {
    scene.signal(who, Message::UnpublishDataTrackRequest(pb::UnpublishDataTrackRequest { pub_handle }));
}

fn ask(scene: &mut Scene, who: &str, track_sid: String, subscribe: bool, target_fps: Option<u32>) {
    let options = target_fps.map(|fps| pb::DataTrackSubscriptionOptions { target_fps: Some(fps) });
    let updates = vec![pb::update_data_subscription::Update { track_sid, subscribe, options }];
    scene.signal(who, Message::UpdateDataSubscription(pb::UpdateDataSubscription { updates }));
}

fn allow(scene: &mut Scene, who: &str, permission: pb::ParticipantPermission) {
    let update = pb::UpdateParticipantRequest { identity: who.to_owned(), permission: Some(permission), ..Default::default() };
    scene.api(ApiCall::UpdateParticipant(update));
}

fn usual() -> pb::ParticipantPermission {
    pb::ParticipantPermission { can_subscribe: true, can_publish: true, can_publish_data: true, ..Default::default() }
}

#[test]
fn from_publication_to_end() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").active("cid").forget();
    publish(&mut scene, "ann", 7, "pose");
    scene.wait(0.2);
    publish(&mut scene, "ann", 8, "state");
    scene.wait(0.2);
    let (pose, state) = (scene.data_track_sid("pose"), scene.data_track_sid("state"));
    scene.note("each subscriber has handles of its own");
    ask(&mut scene, "ben", state.clone(), true, None);
    ask(&mut scene, "ben", pose.clone(), true, Some(10));
    ask(&mut scene, "cid", pose.clone(), true, Some(0));
    scene.note("asked again: another rate, the same handle");
    ask(&mut scene, "ben", pose.clone(), true, Some(5));
    scene.note("not wanted any more, and once more wanted");
    ask(&mut scene, "ben", state.clone(), false, None);
    ask(&mut scene, "ben", state.clone(), false, None);
    ask(&mut scene, "ben", state, true, None);
    scene.note("nobody's, and one's own");
    ask(&mut scene, "ben", "DTR_x".to_owned(), true, None);
    ask(&mut scene, "ann", pose, true, None);
    scene.note("one ends, and the other one with its publisher");
    unpublish(&mut scene, "ann", 7);
    scene.wait(0.2);
    scene.signal("ann", Message::Leave(pb::LeaveRequest::default()));
    assert_snapshot!(scene.finish());
}

#[test]
fn refused() {
    let mut scene = Scene::new();
    scene.active("ann");
    scene.join("mute", |join| join.claims.video = grant(|grant| grant.can_publish_data = Some(false))).connected("mute").forget();
    publish(&mut scene, "ann", 1, "a");
    scene.wait(0.2);
    publish(&mut scene, "ann", 0, "b");
    publish(&mut scene, "ann", 65_536, "b");
    publish(&mut scene, "ann", 2, "");
    publish(&mut scene, "ann", 1, "b");
    publish(&mut scene, "ann", 2, "a");
    publish(&mut scene, "mute", 1, "a");
    unpublish(&mut scene, "ann", 2);
    let transcript = scene.finish();
    publish(&mut scene, "ann", 3, &"x".repeat(257));
    assert!(scene.finish().contains("INVALID_NAME"));
    for handle in 2..=600 {
        publish(&mut scene, "ann", handle, &handle.to_string());
    }
    assert_eq!(scene.finish().matches("AddDataTrack").count(), 512);
    assert!(scene.finish().contains("LIMIT_EXCEEDED"));
    assert_snapshot!(transcript);
}

#[test]
fn permissions_decide() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").forget();
    publish(&mut scene, "ann", 1, "pose");
    scene.wait(0.2);
    let pose = scene.data_track_sid("pose");
    ask(&mut scene, "ben", pose.clone(), true, None);
    scene.note("the subscriber's own");
    allow(&mut scene, "ben", pb::ParticipantPermission { can_subscribe: false, ..usual() });
    allow(&mut scene, "ben", usual());
    scene.note("the publisher decides who");
    let nobody = pb::SubscriptionPermission { all_participants: false, track_permissions: Vec::new() };
    scene.signal("ann", Message::SubscriptionPermission(nobody)).wait(0.1);
    let everybody = pb::SubscriptionPermission { all_participants: true, track_permissions: Vec::new() };
    scene.signal("ann", Message::SubscriptionPermission(everybody));
    scene.note("one who hides");
    allow(&mut scene, "ann", pb::ParticipantPermission { hidden: true, ..usual() });
    allow(&mut scene, "ann", usual());
    scene.note("one who may not send any more");
    allow(&mut scene, "ann", pb::ParticipantPermission { can_publish_data: false, ..usual() });
    assert_snapshot!(scene.finish());
}

/// LiveKit: `auto_subscribe_data_track`. Never before the client has heard of the track.
#[test]
fn some_ask_for_none_and_get_all() {
    let mut scene = Scene::new();
    scene.active("ann").forget();
    publish(&mut scene, "ann", 1, "pose");
    scene.wait(1.0).join("ben", |join| join.auto_subscribe_data_track = true).connected("ben").active("cid").forget();
    publish(&mut scene, "ann", 2, "state");
    scene.note("gathered").wait(0.0);
    publish(&mut scene, "ann", 3, "more");
    scene.wait(0.1);
    scene.note("what is not wanted any more").wait(0.0);
    let pose = scene.data_track_sid("pose");
    ask(&mut scene, "ben", pose, false, None);
    scene.note("one who hides").wait(1.0);
    allow(&mut scene, "ann", pb::ParticipantPermission { hidden: true, ..usual() });
    publish(&mut scene, "ann", 4, "secret");
    scene.join("dan", |join| join.auto_subscribe_data_track = true).connected("dan");
    allow(&mut scene, "ann", usual());
    assert_snapshot!(scene.finish());
}
