use proptest::prelude::*;

use super::*;
use crate::header::{Element, RtpWrite, write};

const HEADER: RtpWrite = RtpWrite { marker: false, payload_type: 111, sequence: 1, timestamp: 2, ssrc: 3 };

fn map(pairs: &[(u8, ExtensionKind)]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    pairs.iter().for_each(|(id, kind)| map.set(*id, *kind));
    map
}

fn parsed(profile: u16, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut packet = vec![0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
    packet.extend(profile.to_be_bytes());
    packet.extend((block.len() as u16 / 4).to_be_bytes());
    packet.extend(block);
    let header = RtpHeader::parse(&packet).unwrap();
    elements(&packet, &header).map(|(id, range)| (id, packet[range].to_vec())).collect()
}

#[test]
fn uris_round_trip() {
    for kind in ExtensionKind::ALL {
        assert_eq!(ExtensionKind::from_uri(kind.uri()), Some(kind));
    }
    assert_eq!(ExtensionKind::from_uri("urn:3gpp:video-orientation"), None);
}

#[test]
fn pairs_are_one_to_one() {
    let mut pairs = map(&[(1, ExtensionKind::Mid), (200, ExtensionKind::Rid)]);
    assert_eq!((pairs.id_of(ExtensionKind::Mid), pairs.kind_of(1)), (Some(1), Some(ExtensionKind::Mid)));
    assert_eq!((pairs.id_of(ExtensionKind::Rid), pairs.kind_of(200)), (Some(200), Some(ExtensionKind::Rid)));
    pairs.set(1, ExtensionKind::Rid);
    assert_eq!((pairs.id_of(ExtensionKind::Mid), pairs.kind_of(200), pairs.kind_of(1)), (None, None, Some(ExtensionKind::Rid)));
    pairs.set(2, ExtensionKind::Rid);
    assert_eq!((pairs.kind_of(1), pairs.kind_of(2)), (None, Some(ExtensionKind::Rid)));
    pairs.set(0, ExtensionKind::Rid);
    assert_eq!(pairs, ExtensionMap::new());
    assert_eq!((pairs.kind_of(0), pairs.kind_of(255)), (None, None));
}

#[test]
fn one_byte_form() {
    // RFC 8285 §4.2: padding between elements, one element of a byte, one of four.
    let block = [0x10, 0xAA, 0, 0x23, 1, 2, 3, 4];
    assert_eq!(parsed(PROFILE_ONE_BYTE, &block), [(1, vec![0xAA]), (2, vec![1, 2, 3, 4])]);
    assert_eq!(parsed(PROFILE_ONE_BYTE, &[0x10, 0xAA, 0xF0, 1, 0x10, 0xBB, 0, 0]), [(1, vec![0xAA])], "id 15 ends");
    assert_eq!(parsed(PROFILE_ONE_BYTE, &[0x10, 0xAA, 0x01, 1, 0x10, 0xBB, 0, 0]), [(1, vec![0xAA])], "id 0 with length ends");
    assert_eq!(parsed(PROFILE_ONE_BYTE, &[0x10, 0xAA, 0x2F, 1]), [(1, vec![0xAA])], "cut short");
}

#[test]
fn two_byte_form() {
    let block = [1, 0, 0, 15, 2, 8, 9, 0];
    assert_eq!(parsed(0x1003, &block), [(1, vec![]), (15, vec![8, 9])]);
    assert_eq!(parsed(PROFILE_TWO_BYTE, &[7, 3, 1, 2]), []);
    assert_eq!(parsed(0x2000, &block), [], "unknown profile");
}

#[test]
fn values_of_a_packet() {
    let extensions = map(&[
        (1, ExtensionKind::AudioLevel),
        (2, ExtensionKind::AbsSendTime),
        (3, ExtensionKind::TransportCc),
        (4, ExtensionKind::Mid),
        (5, ExtensionKind::AbsCaptureTime),
        (6, ExtensionKind::PlayoutDelay),
        (10, ExtensionKind::Rid),
    ]);
    let capture = AbsCaptureTime { ntp: 0x0102_0304_0506_0708, offset: Some(-2) };
    let mut time = [0; 16];
    assert_eq!(capture.write(&mut time), Some(16));
    let delay = PlayoutDelay { min_10ms: 10, max_10ms: 0xFFF };
    let list = [
        Element { id: 1, data: &[AudioLevel { voice: true, level: 42 }.to_byte()] },
        Element { id: 2, data: &[1, 2, 3] },
        Element { id: 3, data: &[0xAB, 0xCD] },
        Element { id: 4, data: b"0" },
        Element { id: 5, data: &time },
        Element { id: 6, data: &delay.to_bytes() },
        Element { id: 9, data: b"unknown" },
        Element { id: 10, data: b"q" },
    ];
    let mut buf = [0; 200];
    let len = write(&mut buf, &HEADER, &list).unwrap();
    let header = RtpHeader::parse(&buf[..len]).unwrap();
    let values = Extensions::parse(&extensions, &buf[..len], &header);
    assert_eq!(values.audio_level, Some(AudioLevel { voice: true, level: 42 }));
    assert_eq!((values.abs_send_time, values.transport_cc), (Some(0x01_0203), Some(0xABCD)));
    assert_eq!((values.mid, values.rid, values.repaired_rid), (Some(&b"0"[..]), Some(&b"q"[..]), None));
    assert_eq!((values.abs_capture_time, values.playout_delay), (Some(capture), Some(delay)));
}

#[test]
fn values_of_a_wrong_size_are_left_out() {
    let extensions = map(&[(2, ExtensionKind::AbsSendTime), (3, ExtensionKind::TransportCc), (5, ExtensionKind::AbsCaptureTime)]);
    let list = [Element { id: 2, data: &[1, 2] }, Element { id: 3, data: &[1] }, Element { id: 5, data: &[0; 7] }];
    let mut buf = [0; 64];
    let len = write(&mut buf, &HEADER, &list).unwrap();
    let header = RtpHeader::parse(&buf[..len]).unwrap();
    assert_eq!(Extensions::parse(&extensions, &buf[..len], &header), Extensions::default());
    assert_eq!(AbsCaptureTime::parse(&[0, 0, 0, 0, 0, 0, 0, 9]), Some(AbsCaptureTime { ntp: 9, offset: None }));
}

proptest! {
    #[test]
    fn total(profile in prop_oneof![Just(PROFILE_ONE_BYTE), Just(PROFILE_TWO_BYTE), any::<u16>()], words in 0u16..40, block in prop::collection::vec(any::<u8>(), 0..160)) {
        let mut packet = vec![0x90, 111, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3];
        packet.extend(profile.to_be_bytes());
        packet.extend(words.to_be_bytes());
        packet.extend(block);
        let mut extensions = ExtensionMap::new();
        ExtensionKind::ALL.iter().zip(1..).for_each(|(kind, id)| extensions.set(id, *kind));
        if let Ok(header) = RtpHeader::parse(&packet) {
            let _ = Extensions::parse(&extensions, &packet, &header);
            for (id, range) in elements(&packet, &header) {
                prop_assert!(id != 0 && range.end <= header.header_len);
            }
        }
    }
}
