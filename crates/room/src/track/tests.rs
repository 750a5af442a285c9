use super::*;
use sluicegate_contract::RoomKey;

fn layer(quality: i32, rid: &str) -> pb::VideoLayer {
    pb::VideoLayer { quality, rid: rid.to_owned(), ..Default::default() }
}

fn video(codecs: &[&str], layers: Vec<pb::VideoLayer>) -> pb::AddTrackRequest {
    let codec = |name: &&str| pb::SimulcastCodec { codec: (*name).to_owned(), cid: format!("cid-{name}"), ..Default::default() };
    pb::AddTrackRequest {
        cid: "cid".to_owned(),
        r#type: pb::TrackType::Video as i32,
        source: pb::TrackSource::Camera as i32,
        layers,
        simulcast_codecs: codecs.iter().map(codec).collect(),
        ..Default::default()
    }
}

fn info(request: &pb::AddTrackRequest) -> pb::TrackInfo {
    let kind = kind_of(request).unwrap();
    track_info(request, kind, "TR_x".to_owned(), &[Codec::Vp8, Codec::H264, Codec::Vp9, Codec::Opus, Codec::Red])
}

fn track(request: &pb::AddTrackRequest) -> Track {
    Track {
        key: TrackKey { room: RoomKey(1), index: 2 },
        publisher: 3,
        kind: kind_of(request).unwrap(),
        cid: request.cid.clone(),
        info: info(request),
        published: false,
        subscribers: BTreeSet::new(),
        subscribed_told: false,
    }
}

#[test]
fn simulcast_is_several_layers_of_a_codec_without_svc() {
    let layers = || vec![layer(2, "f"), layer(0, "q"), layer(1, "h")];
    let simulcast = info(&video(&["vp8"], layers()));
    assert!(simulcast.simulcast);
    assert_eq!(simulcast.layers.iter().map(|l| l.rid.as_str()).collect::<Vec<_>>(), ["q", "h", "f"]);
    assert_eq!(simulcast.codecs[0].video_layer_mode, pb::video_layer::Mode::OneSpatialLayerPerStream as i32);
    let svc = info(&video(&["video/VP9", "vp8"], layers()));
    assert!(!svc.simulcast);
    assert_eq!(svc.codecs.iter().map(|c| c.mime_type.as_str()).collect::<Vec<_>>(), ["video/VP9", "video/VP8"]);
    assert_eq!(svc.codecs[0].video_layer_mode, pb::video_layer::Mode::MultipleSpatialLayersPerStream as i32);
}

#[test]
fn a_codec_we_lack_becomes_the_first_we_have() {
    let codecs = info(&video(&["av1", "vp8", "nonsense"], vec![])).codecs;
    assert_eq!(codecs.len(), 1, "{codecs:?}");
    assert_eq!((codecs[0].mime_type.as_str(), codecs[0].cid.as_str()), ("video/VP8", "cid-av1"));
    // A client that names none gets one entry, filled when its media is there.
    let codecs = info(&video(&[], vec![])).codecs;
    assert_eq!((codecs[0].mime_type.as_str(), codecs[0].cid.as_str()), ("", "cid"));
}

#[test]
fn streams_by_source_unless_named() {
    use pb::TrackSource::*;
    for (source, stream) in
        [(Camera, "camera"), (Microphone, "camera"), (ScreenShare, "screen"), (ScreenShareAudio, "screen"), (Unknown, "unknown")]
    {
        let request = pb::AddTrackRequest { source: source as i32, ..video(&[], vec![]) };
        assert_eq!(info(&request).stream, stream);
    }
    let named = pb::AddTrackRequest { stream: "mine".to_owned(), ..video(&[], vec![]) };
    let named = info(&named);
    assert_eq!(&*stream_id("PA_a", &named, true), "PA_a|mine");
    assert_eq!(&*stream_id("PA_a", &named, false), "PA_a|TR_x");
}

#[test]
fn audio_features_and_flags_agree() {
    let request = pb::AddTrackRequest {
        r#type: pb::TrackType::Audio as i32,
        stereo: true,
        disable_dtx: true,
        audio_features: vec![3, 3],
        ..Default::default()
    };
    let mut track = track(&request);
    assert_eq!(track.info.audio_features, [3, 0, 1]);
    assert_eq!(track.info.backup_codec_policy, pb::BackupCodecPolicy::Simulcast as i32);
    assert!(!track.announcement(SessionKey { room: RoomKey(1), index: 3 }).dtx);
    track.set_audio_features(&[4]);
    assert!(!track.info.stereo && !track.info.disable_dtx);
}

#[test]
fn the_media_plane_hears_all_ids_and_the_start_fills_the_rest() {
    let mut track = track(&video(&["vp9", "vp8"], vec![layer(1, "f"), layer(0, "q")]));
    let add = track.announcement(SessionKey { room: RoomKey(1), index: 3 });
    assert_eq!(add.cids.iter().map(|c| &**c).collect::<Vec<_>>(), ["cid", "cid-vp9", "cid-vp8"]);
    assert_eq!(add.rids.iter().map(|c| &**c).collect::<Vec<_>>(), ["q", "f"]);
    assert_eq!(add.preferred_codec, Some(Codec::Vp9));
    track.start(Codec::Vp8, "4");
    assert_eq!((track.info.mime_type.as_str(), track.info.mid.as_str()), ("video/VP8", "4"));
    assert_eq!((track.info.codecs[0].mid.as_str(), track.info.codecs[1].mid.as_str()), ("", "4"));
}

#[test]
fn requests_are_bounded() {
    let long = "x".repeat(TRACK_TEXT_BYTES_MAX + 1);
    assert_eq!(oversize(&video(&["vp8"], vec![layer(0, "q")])), None);
    assert!(oversize(&pb::AddTrackRequest { cid: long.clone(), ..Default::default() }).is_some());
    assert!(oversize(&pb::AddTrackRequest { name: long.clone(), ..Default::default() }).is_some());
    assert!(oversize(&video(&[&long], vec![])).is_some());
    assert!(oversize(&video(&["vp8"; TRACK_CODECS_MAX + 1], vec![])).is_some());
    assert!(oversize(&video(&[], vec![layer(0, ""); LAYERS_MAX + 1])).is_some());
    assert!(oversize(&video(&[], vec![layer(0, &long)])).is_some());
    assert!(oversize(&pb::AddTrackRequest { audio_features: vec![0; FEATURES_MAX + 1], ..Default::default() }).is_some());
    let features = (0..100).collect::<Vec<_>>();
    assert_eq!(deduplicated(&features).len(), FEATURES_MAX);
}
