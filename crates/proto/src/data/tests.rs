#![allow(deprecated)]

use proptest::prelude::*;

use super::*;
use crate::pb::{self, data_packet};

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn user(user: pb::UserPacket) -> pb::DataPacket {
    pb::DataPacket { value: Some(data_packet::Value::User(user)), ..Default::default() }
}

#[test]
fn the_sender_is_who_the_server_says() {
    let packet = pb::DataPacket {
        kind: Kind::Lossy as i32,
        participant_identity: "mallory".to_owned(),
        participant_sid: "PA_mallory".to_owned(),
        sequence: 7,
        ..user(pb::UserPacket {
            participant_sid: "PA_mallory".to_owned(),
            participant_identity: "mallory".to_owned(),
            payload: b"hi".to_vec(),
            topic: Some("chat".to_owned()),
            ..Default::default()
        })
    };
    for (sid, identity) in [("PA_ann", "ann"), ("", "")] {
        let bytes = packet.encode_to_vec();
        let route = route(&bytes).unwrap();
        assert_eq!((route.value, route.sequence), (Value::User, 7));
        let sent = pb::DataPacket::decode(&*override_fields(&route, sid, identity, Kind::Reliable).unwrap()).unwrap();
        let mut wanted = packet.clone();
        wanted.kind = Kind::Reliable as i32;
        (wanted.participant_sid, wanted.participant_identity) = (sid.to_owned(), identity.to_owned());
        if let Some(data_packet::Value::User(user)) = &mut wanted.value {
            (user.participant_sid, user.participant_identity) = (sid.to_owned(), identity.to_owned());
        }
        assert_eq!(sent, wanted);
    }
}

#[test]
fn what_is_newer_than_the_server_survives() {
    // field 90 as a message, field 91 as a number
    let bytes = [0xD2, 0x05, 0x02, 0x08, 0x01, 0xD8, 0x05, 0x2A];
    let route = route(&bytes).unwrap();
    assert_eq!(route.value, Value::Unknown);
    let sent = override_fields(&route, "PA_a", "a", Kind::Lossy).unwrap();
    assert!(sent.starts_with(&bytes));
    let read = pb::DataPacket::decode(&*sent).unwrap();
    assert_eq!((read.participant_sid.as_str(), read.kind, read.value), ("PA_a", Kind::Lossy as i32, None));
}

#[test]
fn the_last_value_counts() {
    let mut bytes = user(pb::UserPacket { payload: vec![1], ..Default::default() }).encode_to_vec();
    let dtmf = pb::SipDtmf { code: 5, digit: "5".to_owned() };
    let second = pb::DataPacket { value: Some(data_packet::Value::SipDtmf(dtmf.clone())), ..Default::default() };
    bytes.extend(second.encode_to_vec());
    let route = route(&bytes).unwrap();
    assert_eq!(route.value, Value::SipDtmf);
    let sent = pb::DataPacket::decode(&*override_fields(&route, "PA_a", "a", Kind::Reliable).unwrap()).unwrap();
    assert_eq!(sent.value, Some(data_packet::Value::SipDtmf(dtmf)));
}

#[test]
fn destinations_of_the_packet_come_first() {
    let inner = pb::UserPacket {
        destination_sids: texts(&["PA_b"]),
        destination_identities: texts(&["b"]),
        nonce: vec![9; 16],
        ..Default::default()
    };
    let bytes = user(inner.clone()).encode_to_vec();
    let from_user = route(&bytes).unwrap();
    assert_eq!((from_user.destination_identities, from_user.destination_sids), (texts(&["b"]), texts(&["PA_b"])));
    assert_eq!(from_user.nonce, [9; 16]);
    let bytes = pb::DataPacket { destination_identities: texts(&["c"]), ..user(inner) }.encode_to_vec();
    let from_packet = route(&bytes).unwrap();
    assert_eq!((from_packet.destination_identities, from_packet.destination_sids), (texts(&["c"]), texts(&["PA_b"])));
}

#[test]
fn every_arm_is_known() {
    use data_packet::Value as Pb;
    let arms = [
        (Pb::User(Default::default()), Value::User),
        (Pb::Speaker(Default::default()), Value::Speaker),
        (Pb::SipDtmf(Default::default()), Value::SipDtmf),
        (Pb::Transcription(Default::default()), Value::Transcription),
        (Pb::Metrics(Default::default()), Value::Metrics),
        (Pb::ChatMessage(Default::default()), Value::ChatMessage),
        (Pb::RpcRequest(Default::default()), Value::RpcRequest),
        (Pb::RpcAck(Default::default()), Value::RpcAck),
        (Pb::RpcResponse(Default::default()), Value::RpcResponse),
        (Pb::StreamHeader(Default::default()), Value::StreamHeader),
        (Pb::StreamChunk(Default::default()), Value::StreamChunk),
        (Pb::StreamTrailer(Default::default()), Value::StreamTrailer),
        (Pb::EncryptedPacket(Default::default()), Value::EncryptedPacket),
    ];
    for (value, wanted) in arms {
        let bytes = pb::DataPacket { value: Some(value), ..Default::default() }.encode_to_vec();
        assert_eq!(route(&bytes).unwrap().value, wanted);
    }
}

#[test]
fn what_is_too_large_with_its_sender_is_refused() {
    let of = |bytes: usize| user(pb::UserPacket { payload: vec![1; bytes], ..Default::default() }).encode_to_vec();
    for (bytes, fits) in [(DATA_BYTES_MAX - 100, true), (DATA_BYTES_MAX - 20, false)] {
        let bytes = of(bytes);
        let sent = override_fields(&route(&bytes).unwrap(), "PA_ann", "ann", Kind::Reliable);
        assert_eq!(sent.is_ok(), fits, "{} bytes", bytes.len());
    }
}

#[test]
fn what_is_cut_off_or_too_large_is_refused() {
    let bytes = user(pb::UserPacket { payload: vec![1; 50], ..Default::default() }).encode_to_vec();
    for length in 1..bytes.len() {
        assert_eq!(route(&bytes[..length]), Err(DataError::Malformed), "{length}");
    }
    assert_eq!(route(&vec![0; DATA_BYTES_MAX + 1]), Err(DataError::TooLarge));
    // a group that never ends would swallow what is appended
    assert_eq!(route(&[0xD3, 0x05]), Err(DataError::Malformed));
}

proptest! {
    #[test]
    fn whatever_is_routed_has_the_right_sender(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(route) = route(&bytes) {
            let sent = override_fields(&route, "PA_a", "a", Kind::Reliable).unwrap();
            let again = super::route(&sent).unwrap();
            prop_assert_eq!(again.value, route.value);
            let read = Packet::decode(&*sent).unwrap();
            prop_assert_eq!((read.participant_sid.as_str(), read.participant_identity.as_str()), ("PA_a", "a"));
            if let Some(Arm::User(user)) = read.value {
                prop_assert_eq!((user.participant_sid.as_str(), user.participant_identity.as_str()), ("PA_a", "a"));
            }
        }
    }
}
