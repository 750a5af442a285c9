use proptest::prelude::*;

use super::*;
use crate::header::{Element, RtpWrite, pad, write};

const HEADER: RtpWrite = RtpWrite { marker: true, payload_type: 96, sequence: 7, timestamp: 8, ssrc: 9 };

fn extensions() -> ExtensionMap {
    let mut map = ExtensionMap::new();
    map.set(1, ExtensionKind::AudioLevel);
    map.set(2, ExtensionKind::TransportCc);
    map.set(3, ExtensionKind::DependencyDescriptor);
    map
}

fn packet(payload: &[u8]) -> Vec<u8> {
    let list = [Element { id: 1, data: &[0x8A] }, Element { id: 2, data: &[1, 2] }, Element { id: 3, data: &[0xC0, 0, 5] }];
    let mut buf = vec![0; 200];
    let len = write(&mut buf, &HEADER, &list).unwrap();
    buf[len..len + payload.len()].copy_from_slice(payload);
    let len = pad(&mut buf, len + payload.len(), 3).unwrap();
    buf.truncate(len);
    buf
}

#[test]
fn vp8() {
    let payload = [0x90, 0xE0, 0x05, 7, 0x40, 0x00];
    let packet = packet(&payload);
    let header = RtpHeader::parse(&packet).unwrap();
    let meta = PacketMeta::parse(&packet, &header, &extensions(), Codec::Vp8).unwrap();
    assert_eq!((meta.ssrc, meta.timestamp, meta.sequence, meta.marker, meta.rtx), (9, 8, 7, true, false));
    assert!(meta.key_frame && meta.starts_frame);
    assert_eq!(meta.temporal_id, 1);
    assert_eq!(meta.payload.of(&packet), payload);
    assert_eq!(meta.vp8.unwrap().tl0_pic_idx, Some(7));
    assert_eq!(meta.audio_level, Some(AudioLevel { voice: true, level: 10 }));
    assert_eq!(meta.transport_cc, Some(0x0102));
    assert_eq!(meta.dependency_descriptor.unwrap().of(&packet), [0xC0, 0, 5]);
    assert!(meta.payload.of(&[]).is_empty());
}

#[test]
fn audio_has_no_key_frames() {
    let packet = packet(&[1, 2, 3]);
    let header = RtpHeader::parse(&packet).unwrap();
    let meta = PacketMeta::parse(&packet, &header, &extensions(), Codec::Opus).unwrap();
    assert!(!meta.key_frame && meta.starts_frame);
}

#[test]
fn retransmission() {
    let packet = packet(&[0x12, 0x34, 0x10, 0x00]);
    let header = RtpHeader::parse(&packet).unwrap();
    let origin = RtxOrigin { ssrc: 77, payload_type: 98 };
    let meta = PacketMeta::parse_rtx(&packet, &header, &extensions(), Codec::Vp8, origin).unwrap().unwrap();
    assert_eq!((meta.ssrc, meta.payload_type, meta.sequence, meta.rtx), (77, 98, 0x1234, true));
    assert_eq!(meta.payload.of(&packet), [0x10, 0x00]);
    assert!(meta.key_frame);
}

#[test]
fn nothing_but_padding() {
    let packet = packet(&[]);
    let header = RtpHeader::parse(&packet).unwrap();
    let meta = PacketMeta::parse(&packet, &header, &extensions(), Codec::Vp8).unwrap();
    assert!(meta.payload.is_empty() && meta.vp8.is_none() && !meta.key_frame);
    let origin = RtxOrigin { ssrc: 77, payload_type: 98 };
    assert_eq!(PacketMeta::parse_rtx(&packet, &header, &extensions(), Codec::Vp8, origin), Ok(None));
}

proptest! {
    #[test]
    fn total(mut packet in prop::collection::vec(any::<u8>(), 12..200)) {
        packet[0] = packet[0] & 0x3F | 0x80;
        let origin = RtxOrigin { ssrc: 77, payload_type: 98 };
        if let Ok(header) = RtpHeader::parse(&packet) {
            for codec in Codec::ALL {
                let _ = PacketMeta::parse(&packet, &header, &extensions(), codec);
                let _ = PacketMeta::parse_rtx(&packet, &header, &extensions(), codec, origin);
            }
        }
    }
}
