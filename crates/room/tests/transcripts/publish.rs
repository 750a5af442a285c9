//! Publishing: announcements, their refusals, the queue, mute, the end of tracks.

use insta::assert_snapshot;
use sluicegate_contract::event::Event;
use sluicegate_proto::pb;
use sluicegate_proto::pb::request_response::{Reason, Request};
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_rtp::codec::Codec;

use crate::scene::{Scene, camera, grant, microphone};

fn two() -> Scene {
    let mut scene = Scene::new();
    scene.active("ann").active("ben").wait(10.0).forget();
    scene
}

fn layer(quality: pb::VideoQuality, rid: &str, width: u32) -> pb::VideoLayer {
    let (height, bitrate) = (width * 9 / 16, width * 1000);
    pb::VideoLayer { quality: quality as i32, rid: rid.to_owned(), width, height, bitrate, ..Default::default() }
}

#[test]
fn a_track_from_announcement_to_end() {
    let mut scene = two();
    let mut request = camera("cam");
    request.layers = vec![
        layer(pb::VideoQuality::High, "f", 1280),
        layer(pb::VideoQuality::Low, "q", 320),
        layer(pb::VideoQuality::Medium, "h", 640),
    ];
    request.simulcast_codecs = vec![pb::SimulcastCodec { codec: "vp8".to_owned(), cid: "cam".to_owned(), ..Default::default() }];
    scene.signal("ann", Message::AddTrack(request));
    scene.note("its m-line is there: the news precedes whatever carries it");
    scene.started("cam", Codec::Vp8);
    let (session, track) = (scene.session("ben"), scene.track("cam"));
    scene.media("ben bound cam", Event::Subscribed { session, track });
    scene.note("a participant who comes later finds it").join("cid", |_| {});
    let session = scene.session("cid");
    scene.note("the publisher hears of its first subscriber only");
    scene.media("cid bound cam", Event::Subscribed { session, track });
    scene.wait(1.0).note("the client takes it away").media("cam ended", Event::TrackEnded { track }).wait(10.0);
    scene.note("late words about it").media("cam ended", Event::TrackEnded { track });
    scene.media("cid bound cam", Event::Subscribed { session, track });
    assert_snapshot!(scene.finish());
}

#[test]
fn the_same_cid_waits_for_its_predecessor() {
    let mut scene = two();
    scene.publish("ann", "cam").wait(1.0).forget();
    for _ in 0..4 {
        scene.signal("ann", Message::AddTrack(camera("cam")));
    }
    let track = scene.track("cam");
    scene.note("the first one ends").media("cam ended", Event::TrackEnded { track });
    let track = scene.track("cam");
    scene.note("the second one ends before it began").media("cam ended", Event::TrackEnded { track });
    assert_snapshot!(scene.finish());
}

#[test]
fn refused_announcements() {
    let mut scene = Scene::new();
    scene.join("ann", |join| {
        join.claims.video = grant(|grant| grant.can_publish_sources = vec!["camera".to_owned()]);
    });
    scene.connected("ann").forget();
    scene.signal("ann", Message::AddTrack(microphone("mic")));
    scene.signal("ann", Message::AddTrack(pb::AddTrackRequest { r#type: 2, ..camera("data") }));
    scene.signal("ann", Message::AddTrack(camera("")));
    scene.signal("ann", Message::AddTrack(pb::AddTrackRequest { sid: "TR_none".to_owned(), ..camera("backup") }));
    scene.publish("ann", "cam");
    let sid = scene.track_sid("cam");
    scene.signal("ann", Message::AddTrack(pb::AddTrackRequest { sid, ..camera("backup") }));
    assert_snapshot!(scene.finish());
}

#[test]
fn pending_tracks_are_bounded() {
    let mut scene = two();
    for n in 0..21 {
        scene.signal("ann", Message::AddTrack(camera(&format!("c{n}"))));
    }
    let transcript = scene.finish();
    assert_eq!(transcript.matches("trackPublished").count(), 20);
    assert!(transcript.ends_with("\"message\":\"too many pending tracks\",\"reason\":\"LIMIT_EXCEEDED\"}}\n"), "{transcript}");
    for n in 0..20 {
        scene.started(&format!("c{n}"), Codec::Vp8);
    }
    for n in 20..65 {
        scene.signal("ann", Message::AddTrack(camera(&format!("c{n}"))));
        if n < 64 {
            scene.started(&format!("c{n}"), Codec::Vp8);
        }
    }
    let transcript = scene.finish();
    assert!(transcript.ends_with("\"message\":\"too many tracks\",\"reason\":\"LIMIT_EXCEEDED\"}}\n"), "{transcript}");
}

#[test]
fn mute_by_the_client() {
    let mut scene = two();
    scene.signal("ann", Message::AddTrack(microphone("mic")));
    let sid = scene.track_sid("mic");
    let mute = |muted| Message::Mute(pb::MuteTrackRequest { sid: sid.clone(), muted });
    scene.note("before there is media only the media plane hears");
    scene.signal("ann", mute(true)).started("mic", Codec::Opus).signal("ann", mute(true));
    scene.note("told of a moment ago: this time the others hear it together with what comes after");
    scene.signal("ann", mute(false)).signal("ann", mute(true)).signal("ann", mute(false)).wait(1.0);
    scene.note("not one's own, or none at all").signal("ben", mute(true));
    assert_snapshot!(scene.finish());
}

#[test]
fn changes_of_a_track() {
    let mut scene = two();
    scene.publish("ann", "cam").signal("ann", Message::AddTrack(microphone("mic"))).started("mic", Codec::Red).wait(1.0).forget();
    let track_sid = scene.track_sid("cam");
    scene.signal(
        "ann",
        Message::UpdateVideoTrack(pb::UpdateLocalVideoTrack { track_sid: track_sid.clone(), width: 640, height: 360 }),
    );
    scene.signal("ann", Message::UpdateAudioTrack(pb::UpdateLocalAudioTrack { track_sid, features: vec![0] }));
    let track_sid = scene.track_sid("mic");
    scene.signal("ann", Message::UpdateAudioTrack(pb::UpdateLocalAudioTrack { track_sid, features: vec![0, 0, 4] }));
    scene.wait(1.0);
    assert_snapshot!(scene.finish());
}

#[test]
fn a_hidden_publisher_is_not_offered() {
    let mut scene = two();
    scene.join("hid", |join| join.claims.video = grant(|grant| grant.hidden = true)).connected("hid").publish("hid", "cam");
    assert_snapshot!(scene.finish());
}

/// What is refused because it is too large does not come back as large.
#[test]
fn a_refusal_is_short() {
    let mut scene = Scene::new();
    scene.active("ann").forget();
    let large = || "x".repeat(1 << 20);
    let mut refused = |message: Message, wanted: Request| {
        let refusal = scene.refusal("ann", message);
        assert_eq!((refusal.reason(), refusal.request), (Reason::LimitExceeded, Some(wanted)));
    };
    let add = pb::AddTrackRequest { name: large(), ..camera("cam") };
    let known_by = pb::AddTrackRequest { cid: "cam".to_owned(), ..Default::default() };
    refused(Message::AddTrack(add), Request::AddTrack(known_by));
    let add = pb::AddTrackRequest { cid: large(), ..camera("cam") };
    refused(Message::AddTrack(add), Request::AddTrack(pb::AddTrackRequest::default()));
}
