//! A fuzz entry for each parser: total on arbitrary bytes, with overflow checks in debug builds.

use sluicegate_rtp::data_track::{self, DataTrackHeader};
use sluicegate_rtp::dependency_descriptor::DependencyDescriptor;
use sluicegate_rtp::packet::{PacketMeta, RtxOrigin};
use sluicegate_rtp::rtcp::{Compound, Packet};
use sluicegate_rtp::{
    Codec, ExtensionKind, ExtensionMap, Extensions, RtpHeader, av1, codec, extension, h264, h265, header, red, vp8, vp9,
};

fn map() -> ExtensionMap {
    let mut map = ExtensionMap::new();
    ExtensionKind::ALL.iter().zip(1..).for_each(|(kind, id)| map.set(id, *kind));
    map
}

#[test]
fn rtp_header() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = (header::classify(bytes), header::split_rtx(bytes));
        if let Ok(header) = RtpHeader::parse(bytes) {
            let _ = header.payload(bytes);
            assert!(extension::elements(bytes, &header).all(|(_, range)| range.end <= bytes.len()));
        }
    });
}

#[test]
fn rtp_packet() {
    let map = map();
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(header) = RtpHeader::parse(bytes) else { return };
        let _ = Extensions::parse(&map, bytes, &header);
        for codec in Codec::ALL {
            let _ = PacketMeta::parse(bytes, &header, &map, codec);
            let _ = PacketMeta::parse_rtx(bytes, &header, &map, codec, RtxOrigin { ssrc: 1, payload_type: 2 });
        }
    });
}

#[test]
fn data_track() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(header) = DataTrackHeader::parse(bytes) else { return };
        assert!(header.length <= bytes.len());
        let mut packet = bytes.to_vec();
        data_track::set_handle(&mut packet, 0x0102);
        assert_eq!(DataTrackHeader::parse(&packet), Ok(DataTrackHeader { handle: 0x0102, ..header }));
    });
}

#[test]
fn rtcp() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let mut packets = 0;
        for packet in Compound::parse(bytes) {
            packets += 1;
            match packet {
                Packet::SenderReport { blocks, .. } | Packet::ReceiverReport { blocks, .. } => {
                    assert!(blocks.iter().count() <= bytes.len())
                }
                Packet::SourceDescription(description) => {
                    assert!(description.chunks().all(|chunk| chunk.items().count() <= bytes.len()))
                }
                Packet::Bye(bye) => {
                    assert!(bye.ssrcs().count() < 32 && bye.reason().is_none_or(|reason| reason.len() < bytes.len()))
                }
                Packet::Nack(nack) => assert!(nack.sequences().count() <= bytes.len() / 4 * 17),
                Packet::TransportFeedback(feedback) => assert!(feedback.statuses().count() <= usize::from(feedback.count)),
                Packet::Fir(fir) => assert!(fir.entries().count() <= bytes.len()),
                Packet::Remb(remb) => assert!(remb.ssrcs().count() <= 255),
                Packet::Dlrr(blocks) => assert!(blocks.iter().count() <= bytes.len()),
                Packet::Pli { .. } | Packet::ReferenceTime { .. } | Packet::Unknown => {}
            }
        }
        assert!(packets <= bytes.len() / 4);
    });
}

#[test]
fn vp8_descriptor() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok(descriptor) = vp8::Descriptor::parse(bytes) {
            let _ = descriptor.frame_size(bytes);
            let mut buf = [0; vp8::DESCRIPTOR_LEN_MAX];
            assert_eq!(descriptor.write(&mut buf), Some(descriptor.wire_len()));
        }
    });
}

#[test]
fn vp9_descriptor() {
    bolero::check!().for_each(|bytes: &[u8]| {
        if let Ok(descriptor) = vp9::Descriptor::parse(bytes) {
            assert!(descriptor.header_len <= bytes.len());
        }
    });
}

#[test]
fn av1_payload() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = (av1::is_key_frame(bytes), av1::obu_elements(bytes).count());
    });
}

#[test]
fn h264_payload() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = (h264::is_key_frame(bytes), h264::starts_nal(bytes));
        if let Ok(text) = std::str::from_utf8(bytes) {
            let _ = h264::ProfileLevelId::parse(text);
        }
    });
}

#[test]
fn h265_payload() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let _ = (h265::is_key_frame(bytes), h265::starts_nal(bytes));
    });
}

#[test]
fn any_codec() {
    bolero::check!().for_each(|bytes: &[u8]| {
        for codec in Codec::ALL {
            let _ = (codec::is_key_frame(codec, bytes), codec::starts_frame(codec, bytes));
        }
    });
}

#[test]
fn red_payload() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(blocks) = red::split(bytes) else { return };
        let mut buf = vec![0; bytes.len()];
        assert_eq!(red::write(&mut buf, &blocks), Some(bytes.len()));
        assert_eq!(buf, bytes);
    });
}

#[test]
fn dependency_descriptor() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let Ok(mut descriptor) = DependencyDescriptor::parse(bytes, None) else { return };
        let Some(structure) = descriptor.structure.take() else { return };
        assert!(
            (0..structure.decode_targets).all(|target| structure.target_layer(target).spatial_id <= structure.spatial_id_max())
        );
        let _ = DependencyDescriptor::parse(bytes.get(..3).unwrap_or(bytes), Some(&structure)).unwrap();
        let mut buf = [0; 4096];
        assert!(descriptor.write(&structure, &mut buf).is_some());
    });
}
