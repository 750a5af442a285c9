use proptest::prelude::*;

use super::*;

#[test]
fn smallest() {
    // RFC 7741 §4.6.3 in spirit: no extension, start of partition 0, an inter frame.
    let descriptor = Descriptor::parse(&[0x10, 0x01]).unwrap();
    assert_eq!(descriptor, Descriptor { header_len: 1, start_of_partition: true, ..Descriptor::default() });
    assert!(descriptor.starts_frame());
    assert!(Descriptor::parse(&[0x10, 0x00]).unwrap().key_frame);
    assert!(!Descriptor::parse(&[0x00, 0x00]).unwrap().key_frame, "a continuation");
    assert!(!Descriptor::parse(&[0x11, 0x00]).unwrap().key_frame, "another partition");
    assert!(!Descriptor::parse(&[0x10]).unwrap().key_frame, "no payload");
}

#[test]
fn everything() {
    // X N S PID=0; I L T K; picture id 0x1234 in 15 bits; TL0PICIDX 7; TID 2, Y, KEYIDX 9.
    let payload = [0xB0, 0xF0, 0x92, 0x34, 7, 0x80 | 0x20 | 9, 0x00, 0, 0, 0x9D, 0x01, 0x2A, 0x80, 0x42, 0xE0, 0x01];
    let descriptor = Descriptor::parse(&payload).unwrap();
    assert_eq!(
        descriptor,
        Descriptor {
            header_len: 6,
            non_reference: true,
            start_of_partition: true,
            partition: 0,
            picture_id: Some(PictureId { value: 0x1234, u15: true }),
            tl0_pic_idx: Some(7),
            temporal_id: Some(2),
            layer_sync: true,
            key_idx: Some(9),
            key_frame: true,
        }
    );
    assert_eq!((descriptor.picture_id_at(), descriptor.tl0_pic_idx_at(), descriptor.key_idx_at()), (Some(2), Some(4), Some(5)));
    // 640 wide with scale 1 in the two high bits, 480 high.
    assert_eq!(descriptor.frame_size(&payload), Some((640, 480)));
    for len in 0..6 {
        assert_eq!(Descriptor::parse(&payload[..len]), Err(RtpError::Truncated("VP8 descriptor")));
    }
}

#[test]
fn parts() {
    let short_id = Descriptor::parse(&[0x90, 0x80, 0x7F, 1]).unwrap();
    assert_eq!((short_id.picture_id, short_id.header_len), (Some(PictureId { value: 0x7F, u15: false }), 3));
    let key_only = Descriptor::parse(&[0x90, 0x10, 0xFF, 1]).unwrap();
    assert_eq!((key_only.key_idx, key_only.temporal_id, key_only.layer_sync), (Some(31), None, false));
    assert_eq!(key_only.key_idx_at(), Some(2));
    let wasted = Descriptor::parse(&[0x90, 0x00, 1]).unwrap();
    assert_eq!((wasted.header_len, wasted.wire_len()), (2, 1));
}

#[test]
fn a_picture_id_grows() {
    let payload = [0x90, 0xE0, 0x7F, 7, 0x40, 0xAA, 0xBB];
    let mut descriptor = Descriptor::parse(&payload).unwrap();
    descriptor.picture_id = Some(PictureId { value: 128, u15: true });
    descriptor.tl0_pic_idx = Some(8);
    let mut buf = [0; 16];
    let len = descriptor.write(&mut buf).unwrap();
    assert_eq!((len, descriptor.wire_len(), buf[..6].to_vec()), (6, 6, vec![0x90, 0xE0, 0x80, 0x80, 8, 0x40]));
    assert_eq!(descriptor.write(&mut buf[..5]), None);
}

prop_compose! {
    fn descriptors()(non_reference: bool, start_of_partition: bool, partition in 0u8..8, id in prop::option::of((0u16..0x8000, any::<bool>())), tl0_pic_idx: Option<u8>, temporal_id in prop::option::of(0u8..4), sync: bool, key_idx in prop::option::of(0u8..32)) -> Descriptor {
        Descriptor {
            header_len: 0,
            non_reference,
            start_of_partition,
            partition,
            picture_id: id.map(|(value, u15)| PictureId { value: if u15 { value } else { value & 0x7F }, u15 }),
            tl0_pic_idx,
            temporal_id,
            layer_sync: sync && temporal_id.is_some(),
            key_idx,
            key_frame: false,
        }
    }
}

proptest! {
    #[test]
    fn round_trip(mut descriptor in descriptors()) {
        let mut buf = [0; DESCRIPTOR_LEN_MAX];
        let len = descriptor.write(&mut buf).unwrap();
        descriptor.header_len = len as u8;
        prop_assert_eq!(descriptor.wire_len(), len);
        prop_assert_eq!(Descriptor::parse(&buf[..len]), Ok(descriptor));
    }

    #[test]
    fn total(payload in prop::collection::vec(any::<u8>(), 0..40)) {
        if let Ok(descriptor) = Descriptor::parse(&payload) {
            prop_assert!(usize::from(descriptor.header_len) <= payload.len().min(DESCRIPTOR_LEN_MAX));
            prop_assert!(descriptor.wire_len() <= usize::from(descriptor.header_len));
            let _ = descriptor.frame_size(&payload);
        }
    }
}
