//! Subscribing: by wish, by permission, with settings, and what cannot be.

use insta::assert_snapshot;
use sluicegate_contract::event::{Event, SubscriptionError};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_room::RoomConfig;
use sluicegate_rtp::codec::Codec;

use crate::scene::{Scene, camera, microphone};

/// ann publishes, ben takes only what it asks for.
fn choosy() -> Scene {
    let mut scene = Scene::new();
    scene.active("ann").join("ben", |join| join.auto_subscribe = false).connected("ben").publish("ann", "cam").wait(10.0).forget();
    scene
}

fn subscription(sid: &str, subscribe: bool) -> Message {
    Message::Subscription(pb::UpdateSubscription { track_sids: vec![sid.to_owned()], subscribe, ..Default::default() })
}

#[test]
fn on_demand() {
    let mut scene = choosy();
    let sid = scene.track_sid("cam");
    scene.signal("ben", subscription(&sid, true)).signal("ben", subscription(&sid, true));
    scene.signal("ben", subscription(&sid, false)).signal("ben", subscription(&sid, false));
    let participant_tracks =
        vec![pb::ParticipantTracks { participant_sid: scene.participant_sid("ann"), track_sids: vec![sid.clone()] }];
    let update = pb::UpdateSubscription { subscribe: true, participant_tracks, ..Default::default() };
    scene.signal("ben", Message::Subscription(update));
    scene.note("one's own track is none to subscribe to").signal("ann", subscription(&sid, true)).wait(60.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn a_track_that_comes_later_and_one_that_never_does() {
    let mut scene = choosy();
    scene.signal("ann", Message::AddTrack(microphone("mic"))).forget();
    let sid = scene.track_sid("mic");
    scene.note("announced, not there yet").signal("ben", subscription(&sid, true));
    scene.signal("ben", subscription("TR_never", true)).signal("ben", subscription("TR_other", true)).wait(30.0);
    let settings = pb::UpdateTrackSettings { track_sids: vec![sid], disabled: true, ..Default::default() };
    scene.signal("ben", Message::TrackSetting(settings)).started("mic", Codec::Opus);
    scene.signal("ben", subscription("TR_other", false)).wait(30.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn settings_of_a_subscription() {
    let mut scene = choosy();
    let sid = scene.track_sid("cam");
    let settings = |disabled, quality: pb::VideoQuality| {
        let track_sids = vec![sid.clone(), "TR_none".to_owned()];
        Message::TrackSetting(pb::UpdateTrackSettings { track_sids, disabled, quality: quality as i32, ..Default::default() })
    };
    scene.note("nothing to set yet").signal("ben", settings(true, pb::VideoQuality::High));
    scene.signal("ben", subscription(&sid, true));
    scene.signal("ben", settings(true, pb::VideoQuality::High)).signal("ben", settings(true, pb::VideoQuality::Low));
    scene.signal("ben", settings(false, pb::VideoQuality::Low));
    assert_snapshot!(scene.finish());
}

#[test]
fn no_codec_for_it() {
    let mut scene = choosy();
    let sid = scene.track_sid("cam");
    scene.signal("ben", subscription(&sid, true));
    let (session, track, why) = (scene.session("ben"), scene.track("cam"), SubscriptionError::CodecUnsupported);
    scene.media("ben cannot", Event::SubscriptionFailed { session, track, why });
    scene.note("it may try again").signal("ben", subscription(&sid, true));
    assert_snapshot!(scene.finish());
}

#[test]
fn the_publisher_decides_who() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").active("cid").publish("ann", "cam").wait(10.0).forget();
    let only = |identity: &str, track_sids: Vec<String>| {
        let participant_identity = identity.to_owned();
        let entry = pb::TrackPermission { participant_identity, track_sids, ..Default::default() };
        Message::SubscriptionPermission(pb::SubscriptionPermission { all_participants: false, track_permissions: vec![entry] })
    };
    let cam = scene.track_sid("cam");
    scene.note("only ben may, and only this one").signal("ann", only("ben", vec![cam]));
    scene.publish("ann", "second");
    scene.note("recorders and agents may anyway").join("bot", |join| join.claims.kind = "agent".to_owned());
    scene.note("whoever comes later is told, too").join("dan", |_| {});
    scene.note("everybody may again").wait(0.1);
    scene.signal(
        "ann",
        Message::SubscriptionPermission(pb::SubscriptionPermission { all_participants: true, ..Default::default() }),
    );
    assert_snapshot!(scene.finish());
}

#[test]
fn tracks_of_one_stream_play_in_sync() {
    let create = pb::CreateRoomRequest { sync_streams: true, ..Default::default() };
    let mut scene = Scene::with(RoomConfig::default(), create);
    scene.active("ann").active("ben");
    scene.join("old", |join| join.client.protocol = 9).connected("old");
    scene.join("fox", |join| join.client.browser = "firefox".to_owned()).connected("fox").forget();
    scene.signal("ann", Message::AddTrack(camera("cam"))).signal("ann", Message::AddTrack(microphone("mic")));
    scene.started("cam", Codec::H264).started("mic", Codec::Opus);
    let transcript = scene.finish();
    assert_snapshot!(transcript.lines().filter(|line| line.contains("media Subscribe")).collect::<Vec<_>>().join("\n"));
}

#[test]
fn sections_for_a_single_peer_connection() {
    let mut scene = Scene::new();
    scene.active("ann").forget();
    let session = scene.session("ann");
    scene.media("ann needs sections", Event::MediaSectionsNeeded { session, audios: 2, videos: 1 });
    assert_snapshot!(scene.finish());
}
