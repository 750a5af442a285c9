//! ForwardParticipant, both sides.

use insta::assert_snapshot;
use sluicegate_contract::key::{DataTrackKey, RoomKey, SessionKey, TrackKey};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_room::input::ApiCall;
use sluicegate_room::{Forwarded, Input};
use sluicegate_rtp::codec::{Codec, MediaKind};

use crate::scene::{Scene, grant, microphone};

fn forward(identity: &str) -> ApiCall {
    ApiCall::Forward { identity: identity.to_owned() }
}

#[test]
fn its_own_room_describes_it() {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").publish("ann", "cam").wait(10.0).forget();
    scene.api(forward("nobody")).api(forward("ann"));
    scene.note("whatever changes, once").signal("ann", Message::AddTrack(microphone("mic"))).started("mic", Codec::Opus);
    let sid = scene.track_sid("mic");
    scene.signal("ann", Message::Mute(pb::MuteTrackRequest { sid, muted: true }));
    let publish = pb::PublishDataTrackRequest { pub_handle: 3, name: "d".to_owned(), ..Default::default() };
    scene.signal("ann", Message::PublishDataTrackRequest(publish)).wait(1.0);
    let only_ben = pb::SubscriptionPermission {
        track_permissions: vec![pb::TrackPermission {
            participant_identity: "ben".to_owned(),
            all_tracks: true,
            ..Default::default()
        }],
        ..Default::default()
    };
    scene.signal("ann", Message::SubscriptionPermission(only_ben));
    scene.note("of others nothing").publish("ben", "ben's").wait(1.0);
    scene.note("its end").signal("ann", Message::Leave(pb::LeaveRequest::default()));
    assert_snapshot!(scene.finish());
}

#[test]
fn a_hidden_one_is_nobody_elses() {
    let mut scene = Scene::new();
    scene.join("hid", |join| join.claims.video = grant(|grant| grant.hidden = true)).forget().api(forward("hid"));
    assert_snapshot!(scene.finish());
}

const THERE: RoomKey = RoomKey(40);
const ZOE: SessionKey = SessionKey { room: THERE, index: 5 };

fn zoe(change: impl FnOnce(&mut Forwarded)) -> Box<Forwarded> {
    let usual = pb::ParticipantPermission { can_subscribe: true, can_publish: true, can_publish_data: true, ..Default::default() };
    let track = |index, kind, info| (TrackKey { room: THERE, index }, kind, info);
    let info = |sid: &str, source: pb::TrackSource, mime: &str| pb::TrackInfo {
        sid: sid.to_owned(),
        source: source as i32,
        mime_type: mime.to_owned(),
        ..Default::default()
    };
    let mut forwarded = Forwarded {
        source: ZOE,
        info: pb::ParticipantInfo {
            sid: "PA_there".to_owned(),
            identity: "zoe".to_owned(),
            name: "ZOE".to_owned(),
            state: pb::participant_info::State::Active as i32,
            permission: Some(usual),
            is_publisher: true,
            version: 12,
            ..Default::default()
        },
        tracks: vec![
            track(1, MediaKind::Video, info("TR_zoe_cam", pb::TrackSource::Camera, "video/VP8")),
            track(2, MediaKind::Audio, info("TR_zoe_mic", pb::TrackSource::Microphone, "audio/opus")),
        ],
        data_tracks: Vec::new(),
        allowance: Default::default(),
    };
    change(&mut forwarded);
    Box::new(forwarded)
}

fn changed(scene: &mut Scene, line: &str, change: impl FnOnce(&mut Forwarded)) {
    scene.input(&format!("zoe's room: {line}"), Input::Forwarded(zoe(change)));
}

#[test]
fn another_room_shows_it() {
    let mut scene = Scene::new();
    scene.active("ann").wait(10.0).forget();
    scene.api(ApiCall::Show(zoe(|_| {}))).wait(10.0);
    scene.note("once more is no more").api(ApiCall::Show(zoe(|_| {})));
    scene.note("who comes finds it").active("ben").wait(10.0);
    changed(&mut scene, "muted", |zoe| zoe.tracks[0].2.muted = true);
    changed(&mut scene, "the microphone is gone, there is a data track", |zoe| {
        zoe.tracks[0].2.muted = true;
        zoe.tracks.truncate(1);
        let data = pb::DataTrackInfo { sid: "DTR_zoe".to_owned(), pub_handle: 9, name: "d".to_owned(), ..Default::default() };
        zoe.data_tracks = vec![(DataTrackKey { room: THERE, index: 4 }, data)];
    });
    scene.wait(1.0);
    let update = pb::update_data_subscription::Update { track_sid: "DTR_zoe".to_owned(), subscribe: true, options: None };
    scene.signal("ann", Message::UpdateDataSubscription(pb::UpdateDataSubscription { updates: vec![update] }));
    let cam = vec!["TR_zoe_cam".to_owned()];
    let settings = pb::UpdateTrackSettings { track_sids: cam.clone(), disabled: true, ..Default::default() };
    scene.signal("ann", Message::TrackSetting(settings));
    scene.signal("ben", Message::Subscription(pb::UpdateSubscription { track_sids: cam, ..Default::default() }));
    scene.note("its end").api(ApiCall::RemoveParticipant { identity: "zoe".to_owned() }).wait(10.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn what_it_wants_and_hides_counts_here_too() {
    let mut scene = Scene::new();
    scene.active("ann").wait(10.0).api(ApiCall::Show(zoe(|zoe| zoe.tracks.truncate(1)))).wait(10.0).forget();
    changed(&mut scene, "nobody may subscribe", |zoe| {
        zoe.tracks.truncate(1);
        let denies = pb::SubscriptionPermission::default();
        zoe.allowance = sluicegate_room::Allowance::new(denies);
    });
    changed(&mut scene, "everybody may", |zoe| zoe.tracks.truncate(1));
    let hidden = |zoe: &mut Forwarded| zoe.info.permission.as_mut().unwrap().hidden = true;
    changed(&mut scene, "it hides", |zoe| {
        zoe.tracks.truncate(1);
        hidden(zoe);
    });
    changed(&mut scene, "it comes back", |zoe| zoe.tracks.truncate(1));
    changed(&mut scene, "it left", |zoe| {
        zoe.info.state = pb::participant_info::State::Disconnected as i32;
        zoe.info.disconnect_reason = pb::DisconnectReason::ClientInitiated as i32;
    });
    scene.note("nothing comes of that any more");
    changed(&mut scene, "a late word", |_| {});
    scene.input("zoe's room is gone", Input::ForwardingEnded { source: ZOE });
    assert_snapshot!(scene.finish());
}

#[test]
fn its_client_is_elsewhere() {
    let mut scene = Scene::new();
    scene.active("ann").wait(10.0).api(ApiCall::Show(zoe(|zoe| zoe.tracks.truncate(1)))).wait(10.0).forget();
    let (identity, to_zoe) = ("zoe".to_owned(), vec!["zoe".to_owned()]);
    scene.note("what can be asked in its own room alone");
    scene.api(forward("zoe"));
    let mute = pb::MuteRoomTrackRequest { identity: identity.clone(), track_sid: "TR_zoe_cam".to_owned(), ..Default::default() };
    scene.api(ApiCall::MutePublishedTrack(mute));
    scene.api(ApiCall::UpdateParticipant(pb::UpdateParticipantRequest { identity: identity.clone(), ..Default::default() }));
    scene.api(ApiCall::UpdateSubscriptions(pb::UpdateSubscriptionsRequest { identity: identity.clone(), ..Default::default() }));
    scene.api(ApiCall::PerformRpc(pb::PerformRpcRequest {
        destination_identity: identity,
        method: "m".to_owned(),
        ..Default::default()
    }));
    scene.note("messages do not cross");
    scene.api(ApiCall::SendData(pb::SendDataRequest { destination_identities: to_zoe, ..Default::default() }));
    scene.note("a second one of the name");
    scene.api(ApiCall::Show(zoe(|zoe| zoe.source.index = 6)));
    scene.note("whoever joins under its name takes its place").join("zoe", |_| {});
    assert_snapshot!(scene.finish());
}

#[test]
fn a_room_shows_so_many_and_no_more() {
    let mut scene = Scene::with(Default::default(), pb::CreateRoomRequest { max_participants: 2, ..Default::default() });
    let another = |index: u32| {
        ApiCall::Show(zoe(|zoe| {
            (zoe.source.index, zoe.info.identity) = (index, format!("zoe{index}"));
            zoe.tracks.clear();
        }))
    };
    scene.active("ann").forget();
    scene.api(another(1)).api(another(2));
    assert!(scene.finish().ends_with("answer ResourceExhausted(\"the room is full: it has its 2 participants at most\")\n"));
    let mut scene = Scene::new();
    for index in 0..256 {
        scene.api(another(index));
    }
    assert!(scene.forget().api(another(256)).finish().contains("answer ResourceExhausted(\"the destination room shows 256"));
    let room = scene.room.room_info();
    assert_eq!((room.num_participants, room.num_publishers), (256, 256));
    scene.api(ApiCall::Delete);
    assert!(scene.finish().trim_end().ends_with("closed"));
}
