use proptest::prelude::*;

use super::*;
use crate::extension::elements;

/// Version 2, marker, payload type 96, sequence 0x1234, timestamp 0x01020304, SSRC 0xA0B0C0D0.
const FIXED: [u8; 12] = [0x80, 0xE0, 0x12, 0x34, 1, 2, 3, 4, 0xA0, 0xB0, 0xC0, 0xD0];

fn with(first: u8, tail: &[u8]) -> Vec<u8> {
    let mut packet = FIXED.to_vec();
    packet[0] = first;
    packet.extend(tail);
    packet
}

#[test]
fn fixed_header() {
    let header = RtpHeader::parse(&FIXED).unwrap();
    assert_eq!(
        header,
        RtpHeader {
            marker: true,
            payload_type: 96,
            sequence: 0x1234,
            timestamp: 0x0102_0304,
            ssrc: 0xA0B0_C0D0,
            csrc_count: 0,
            has_padding: false,
            extension: None,
            header_len: 12,
        }
    );
    assert_eq!(header.payload(&FIXED), Ok(&[][..]));
}

#[test]
fn contributing_sources_and_extension() {
    let packet = with(0x92, &[1, 1, 1, 1, 2, 2, 2, 2, 0xBE, 0xDE, 0, 1, 0x10, 0xAA, 0, 0, 7, 8]);
    let header = RtpHeader::parse(&packet).unwrap();
    assert_eq!(header.csrc_count, 2);
    assert_eq!(header.extension, Some(ExtensionBlock { profile: PROFILE_ONE_BYTE, start: 24, len: 4 }));
    assert_eq!(header.header_len, 28);
    assert_eq!(header.payload(&packet), Ok(&[7, 8][..]));
}

#[test]
fn cut_short_anywhere() {
    let packet = with(0x92, &[1, 1, 1, 1, 2, 2, 2, 2, 0xBE, 0xDE, 0, 1, 0x10, 0xAA, 0, 0]);
    for len in 0..packet.len() {
        assert_eq!(RtpHeader::parse(&packet[..len]), Err(RtpError::Truncated("RTP header")));
    }
    assert_eq!(RtpHeader::parse(&with(0x40, &[])), Err(RtpError::Invalid("RTP version")));
}

#[test]
fn padding() {
    let payload = |tail: &[u8]| {
        let packet = with(0xA0, tail);
        let header = RtpHeader::parse(&packet).unwrap();
        header.payload(&packet).map(<[u8]>::to_vec)
    };
    assert_eq!(payload(&[5, 6, 0, 0, 3]), Ok(vec![5, 6]));
    assert_eq!(payload(&[0, 0, 3]), Ok(vec![]), "padding only");
    assert_eq!(payload(&[0, 0, 4]), Err(RtpError::Invalid("RTP padding")));
    assert_eq!(payload(&[1, 0]), Err(RtpError::Invalid("RTP padding")));
    assert_eq!(payload(&[]), Err(RtpError::Invalid("RTP padding")));
}

#[test]
fn pads() {
    let mut buf = [0xFF; 32];
    buf[..12].copy_from_slice(&FIXED);
    assert_eq!(pad(&mut buf, 14, 5), Some(19));
    let header = RtpHeader::parse(&buf[..19]).unwrap();
    assert!(header.has_padding);
    assert_eq!(header.payload(&buf[..19]).unwrap().len(), 2);
    assert_eq!((pad(&mut buf, 14, 0), pad(&mut buf, 30, 5), pad(&mut buf, usize::MAX, 5)), (None, None, None));
}

#[test]
fn kinds() {
    assert_eq!(classify(&[0, 1]), Kind::Stun);
    assert_eq!(classify(&[22]), Kind::Dtls);
    assert_eq!(classify(&[0x80, 111]), Kind::Rtp);
    assert_eq!(classify(&[0x90, 0x80 | 96]), Kind::Rtp);
    assert_eq!(classify(&[0x80, 200]), Kind::Rtcp);
    assert_eq!(classify(&[0x81, 206]), Kind::Rtcp);
    for other in [&[][..], &[0x80], &[4, 0], &[16], &[64, 0], &[127, 0], &[192, 0]] {
        assert_eq!(classify(other), Kind::Other);
    }
}

#[test]
fn one_byte_form_bit_by_bit() {
    let fixed = RtpWrite { marker: true, payload_type: 96, sequence: 0x1234, timestamp: 0x0102_0304, ssrc: 0xA0B0_C0D0 };
    let mut buf = [0xFF; 64];
    assert_eq!(write(&mut buf, &fixed, &[]), Some(12));
    assert_eq!(buf[..12], FIXED);
    let list = [Element { id: 3, data: &[0xAA] }, Element { id: 14, data: &[1, 2, 3] }];
    assert_eq!(write(&mut buf, &fixed, &list), Some(24));
    assert_eq!(buf[12..24], [0xBE, 0xDE, 0, 2, 0x30, 0xAA, 0xE2, 1, 2, 3, 0, 0]);
    assert_eq!(write(&mut buf, &fixed, &[Element { id: 15, data: &[9] }]), Some(20));
    assert_eq!(buf[12..20], [0x10, 0x00, 0, 1, 15, 1, 9, 0]);
    assert_eq!(write(&mut buf, &fixed, &[Element { id: 0, data: &[9] }]), None);
    assert_eq!(write(&mut buf[..19], &fixed, &[Element { id: 15, data: &[9] }]), None);
    assert_eq!(write(&mut [0; 600], &fixed, &[Element { id: 1, data: &[0; 256] }]), None);
}

#[test]
fn rtx() {
    assert_eq!(split_rtx(&[0x12, 0x34, 5]), Some((0x1234, &[5][..])));
    assert_eq!(split_rtx(&[0x12, 0x34]), Some((0x1234, &[][..])));
    assert_eq!(split_rtx(&[0x12]), None);
}

proptest! {
    #[test]
    fn round_trip(
        marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
        list in prop::collection::vec((1u8..=255, prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        short: bool,
    ) {
        let list: Vec<_> = list.into_iter().map(|(id, data)| if short { (id % 14 + 1, [data, vec![0]].concat()[..1].to_vec()) } else { (id, data) }).collect();
        let fixed = RtpWrite { marker, payload_type, sequence, timestamp, ssrc };
        let written: Vec<_> = list.iter().map(|(id, data)| Element { id: *id, data }).collect();
        let mut buf = [0xFF; 1500];
        let len = write(&mut buf, &fixed, &written).unwrap();
        let header = RtpHeader::parse(&buf[..len]).unwrap();
        prop_assert_eq!(header.header_len, len);
        prop_assert_eq!(RtpWrite { marker: header.marker, payload_type: header.payload_type, sequence: header.sequence, timestamp: header.timestamp, ssrc: header.ssrc }, fixed);
        let read: Vec<_> = elements(&buf, &header).map(|(id, range)| (id, buf[range].to_vec())).collect();
        prop_assert_eq!(read, list);
    }

    #[test]
    fn total(mut packet in prop::collection::vec(any::<u8>(), 0..200), version: bool) {
        if let (true, Some(first)) = (version, packet.first_mut()) {
            *first = *first & 0x3F | 0x80;
        }
        let _ = (classify(&packet), split_rtx(&packet));
        if let Ok(header) = RtpHeader::parse(&packet) {
            prop_assert!(header.header_len <= packet.len());
            let _ = header.payload(&packet);
            // A header is not always asked about its own packet.
            let _ = (header.payload(&[]), elements(&[], &header).count());
        }
    }
}
