use proptest::prelude::*;

use super::*;

fn request(message: signal_request::Message) -> Vec<u8> {
    pb::SignalRequest { message: Some(message) }.encode_to_vec()
}

#[test]
fn a_request_comes_through() {
    let mute = signal_request::Message::Mute(pb::MuteTrackRequest { sid: "TR_x".to_owned(), muted: true });
    assert_eq!(decode_signal_request(&request(mute.clone())).unwrap().message, Some(mute));
    assert_eq!(decode_signal_request(&[]), Ok(pb::SignalRequest::default()));
}

#[test]
fn bytes_and_fields_are_bounded() {
    assert_eq!(decode::<pb::SignalRequest>(&[0; 3], 2), Err(CodecError::TooLarge));
    assert_eq!(decode_signal_request(&[0xFF]), Err(CodecError::Malformed));
    let tracks = |count| {
        let publish_tracks = vec![pb::TrackPublishedResponse::default(); count];
        request(signal_request::Message::SyncState(pb::SyncState { publish_tracks, ..Default::default() }))
    };
    assert!(decode_signal_request(&tracks(FIELDS_MAX / 2)).is_ok());
    assert_eq!(decode_signal_request(&tracks(FIELDS_MAX)), Err(CodecError::TooManyFields));
}

#[test]
fn every_track_of_a_large_room_fits() {
    let track_sids = (0..20_000).map(|number| format!("TR_VC{number:012}")).collect();
    let subscription = pb::UpdateSubscription { track_sids, subscribe: true, ..Default::default() };
    assert!(decode_signal_request(&request(signal_request::Message::Subscription(subscription))).is_ok());
}

#[test]
fn a_large_text_is_no_crowd_of_fields() {
    let metadata = "[{\"key\": \"value\", \"n\": 12}, ".repeat(18_000);
    let update = pb::UpdateParticipantMetadata { metadata, ..Default::default() };
    assert!(decode_signal_request(&request(signal_request::Message::UpdateMetadata(update))).is_ok());
}

/// One letter again and again is what people try limits with.
#[test]
fn every_letter_may_be_repeated() {
    for letter in ' '..='~' {
        let metadata = String::from(letter).repeat(2 << 20);
        let update = pb::UpdateParticipantMetadata { metadata, ..Default::default() };
        assert!(decode_signal_request(&request(signal_request::Message::UpdateMetadata(update))).is_ok(), "{letter:?}");
    }
}

#[test]
fn unknown_enum_values_become_what_promises_least() {
    let layer = pb::VideoLayer { quality: 99, rid: "q".to_owned(), ..Default::default() };
    let codec = pb::SimulcastCodec { video_layer_mode: -1, layers: vec![layer.clone()], ..Default::default() };
    let add = pb::AddTrackRequest {
        cid: "c".to_owned(),
        r#type: 77,
        source: 77,
        encryption: 77,
        backup_codec_policy: 77,
        audio_features: vec![77, pb::AudioTrackFeature::TfStereo as i32],
        packet_trailer_features: vec![77],
        layers: vec![layer],
        simulcast_codecs: vec![codec],
        ..Default::default()
    };
    let request = decode_signal_request(&request(signal_request::Message::AddTrack(add))).unwrap();
    assert!(serde_json::to_string(&request).is_ok());
    let Some(signal_request::Message::AddTrack(add)) = request.message else { panic!("another message") };
    assert_eq!((add.r#type(), add.encryption()), (pb::TrackType::Data, pb::encryption::Type::Custom));
    assert_eq!((add.source, &*add.audio_features), (0, &[pb::AudioTrackFeature::TfStereo as i32][..]));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_signal_request(&bytes);
    }

    /// The count never calls a message no message that prost can read.
    #[test]
    fn whatever_prost_reads_is_counted(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        if pb::SignalRequest::decode(bytes.as_slice()).is_ok() {
            prop_assert!(fields(&bytes, DEPTH_MAX).is_some());
        }
    }
}
