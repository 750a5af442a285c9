use proptest::prelude::*;
use sluicegate_rtp::codec::is_key_frame;
use sluicegate_rtp::h264::{FU_A, NAL_IDR, NAL_PPS, NAL_SEI, NAL_SPS, STAP_A, nal_types};
use sluicegate_rtp::vp8::Descriptor;

use super::*;
use crate::clip::Clip;

fn payloads(packetiser: &mut Packetiser, frame: &[u8]) -> Vec<Vec<u8>> {
    let mut payloads = Vec::new();
    let mut lasts = Vec::new();
    packetiser.packetise(frame, 77, |payload, last| {
        payloads.push(payload.to_vec());
        lasts.push(last);
    });
    assert_eq!(lasts.iter().filter(|last| **last).count(), 1);
    assert_eq!(lasts.last(), Some(&true));
    assert!(payloads.iter().all(|payload| payload.len() <= PAYLOAD_MAX));
    payloads
}

/// What a receiver makes of the payloads: the frame, with the stamp's bytes at its end.
fn join_vp8(payloads: &[Vec<u8>]) -> Vec<u8> {
    let parts = payloads.iter().map(|payload| &payload[usize::from(Descriptor::parse(payload).unwrap().header_len)..]);
    parts.collect::<Vec<_>>().concat()
}

/// The access unit with four-byte start codes.
fn join_h264(payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut frame = Vec::new();
    for payload in payloads {
        match payload[0] & 0x1F {
            STAP_A => {
                let mut rest = &payload[1..];
                while !rest.is_empty() {
                    let len = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
                    frame.extend([0, 0, 0, 1]);
                    frame.extend(&rest[2..2 + len]);
                    rest = &rest[2 + len..];
                }
            }
            FU_A => {
                if payload[1] & 0x80 != 0 {
                    frame.extend([0, 0, 0, 1, payload[0] & 0x60 | payload[1] & 0x1F]);
                }
                frame.extend(&payload[2..]);
            }
            _ => {
                frame.extend([0, 0, 0, 1]);
                frame.extend(payload);
            }
        }
    }
    frame
}

#[test]
fn vp8_clips_come_back() {
    for (_, clip) in Clip::layers(Codec::Vp8).unwrap() {
        let mut packetiser = Packetiser::new(Codec::Vp8, 0x7FFE);
        for (at, frame) in clip.frames().enumerate() {
            let payloads = payloads(&mut packetiser, frame);
            let joined = join_vp8(&payloads);
            assert_eq!(&joined[..frame.len()], frame);
            assert_eq!(joined.len(), frame.len() + crate::stamp::LEN);
            let descriptor = Descriptor::parse(&payloads[0]).unwrap();
            assert_eq!(descriptor.picture_id.unwrap().value, (0x7FFE + at as u16) & 0x7FFF);
            assert_eq!(is_key_frame(Codec::Vp8, &payloads[0]), at == 0);
            assert!(descriptor.starts_frame() && payloads[1..].iter().all(|p| !Descriptor::parse(p).unwrap().starts_frame()));
            let stamp = Stamp::find(Codec::Vp8, payloads.last().unwrap());
            assert_eq!(stamp, Some(Stamp { sent_ns: 77, number: at as u32 }));
        }
    }
}

#[test]
fn h264_clips_come_back() {
    for (_, clip) in Clip::layers(Codec::H264).unwrap() {
        let mut packetiser = Packetiser::new(Codec::H264, 0);
        for (at, frame) in clip.frames().enumerate() {
            let payloads = payloads(&mut packetiser, frame);
            let joined = join_h264(&payloads);
            assert_eq!(&joined[4 + crate::stamp::SEI_LEN..], frame);
            assert_eq!(is_key_frame(Codec::H264, &payloads[0]), at == 0);
            let first: Vec<u8> = nal_types(&payloads[0]).collect();
            assert_eq!(first[0], NAL_SEI);
            if at == 0 {
                assert_eq!(first[..3], [NAL_SEI, NAL_SPS, NAL_PPS]);
                assert!(payloads.iter().flat_map(|payload| nal_types(payload)).any(|kind| kind == NAL_IDR));
            }
            assert_eq!(Stamp::find(Codec::H264, &payloads[0]).map(|stamp| stamp.number), Some(at as u32));
        }
    }
}

#[test]
fn opus_clip_comes_back() {
    let mut packetiser = Packetiser::new(Codec::Opus, 0);
    for frame in Clip::tone().unwrap().frames() {
        let payloads = payloads(&mut packetiser, frame);
        let [packet] = payloads.as_slice() else { panic!("one packet a frame") };
        // RFC 6716 §3.2.5: code 3, one frame, constant bit rate, padding of the length that follows
        assert_eq!((packet[0] & 3, packet[1], usize::from(packet[2])), (3, 0x41, crate::stamp::LEN));
        assert_eq!((packet[0] & !3, &packet[3..packet.len() - crate::stamp::LEN]), (frame[0], &frame[1..]));
        assert!(Stamp::find(Codec::Opus, packet).is_some());
    }
}

proptest! {
    #[test]
    fn any_vp8_frame_comes_back(frame in prop::collection::vec(any::<u8>(), 1..6000)) {
        let joined = join_vp8(&payloads(&mut Packetiser::new(Codec::Vp8, 0), &frame));
        prop_assert_eq!(&joined[..frame.len()], &frame[..]);
    }

    #[test]
    fn any_h264_unit_comes_back(unit in prop::collection::vec(1u8..24, 1..6000)) {
        let frame = [&[0, 0, 0, 1][..], &unit].concat();
        let joined = join_h264(&payloads(&mut Packetiser::new(Codec::H264, 0), &frame));
        prop_assert_eq!(&joined[4 + crate::stamp::SEI_LEN..], &frame[..]);
    }

    #[test]
    fn pieces_are_equal(len in 0usize..10_000, max in 1usize..2000) {
        let pieces: Vec<usize> = equal_pieces(len, max).collect();
        prop_assert_eq!(pieces.iter().sum::<usize>(), len);
        prop_assert!(pieces.iter().all(|piece| *piece <= max));
        prop_assert!(pieces.iter().max().unwrap() - pieces.iter().min().unwrap() <= 1);
    }

    #[test]
    fn arbitrary_frames_never_panic(frame in prop::collection::vec(any::<u8>(), 0..3000)) {
        for codec in [Codec::Opus, Codec::Vp8, Codec::H264] {
            Packetiser::new(codec, 0).packetise(&frame, 0, |_, _| {});
        }
    }
}
