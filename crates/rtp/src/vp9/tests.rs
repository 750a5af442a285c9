use proptest::prelude::*;

use super::*;

#[test]
fn a_key_picture_with_its_structure() {
    // I L B V, not flexible: 15-bit id, layer 0/0, TL0PICIDX, structure of two layers with sizes and a group of one picture.
    let payload = [
        0x80 | 0x20 | 0x08 | 0x02,
        0x81,
        0x23,
        0x00,
        5, // descriptor
        0x20 | 0x10 | 0x08,
        0x01,
        0x40,
        0x00,
        0xB4,
        0x02,
        0x80,
        0x01,
        0x68,
        1,
        0x04,
        1, // structure
        0xAA,
    ];
    let descriptor = Descriptor::parse(&payload).unwrap();
    assert_eq!(descriptor.header_len, payload.len() - 1);
    assert_eq!(descriptor.picture_id, Some(PictureId { value: 0x123, u15: true }));
    assert_eq!((descriptor.layer, descriptor.tl0_pic_idx), (Some(Layer::default()), Some(5)));
    let scalability = descriptor.scalability.unwrap();
    assert_eq!((scalability.spatial_layers, scalability.pictures), (2, Some(1)));
    assert_eq!(scalability.sizes.unwrap()[..2], [(320, 180), (640, 360)]);
    assert_eq!(scalability.frame_size(), Some((640, 360)));
    assert!(descriptor.key_frame && descriptor.starts_picture() && !descriptor.end_of_frame);
    for len in 0..payload.len() - 1 {
        assert!(Descriptor::parse(&payload[..len]).is_err(), "{len}");
    }
}

#[test]
fn upper_layer_of_a_key_picture() {
    // I L B E Z: temporal 1, switching up, spatial 2, inter-layer.
    let descriptor = Descriptor::parse(&[0x80 | 0x20 | 0x0D, 0x07, 0x20 | 0x10 | 0x04 | 0x01, 9, 0xAA]).unwrap();
    assert_eq!(descriptor.layer, Some(Layer { temporal_id: 1, spatial_id: 2, switching_up: true, inter_layer: true }));
    assert_eq!((descriptor.spatial_id(), descriptor.temporal_id()), (2, 1));
    assert!(descriptor.end_of_frame && descriptor.not_reference_for_upper);
    assert!(!descriptor.key_frame && !descriptor.starts_picture(), "a decoder cannot start above the lowest layer");
}

#[test]
fn flexible_mode() {
    // I P L F B: 7-bit id, layer byte without TL0PICIDX, two references.
    let payload = [0x80 | 0x40 | 0x20 | 0x10 | 0x08, 0x11, 0x00, 0x03, 0x04, 0xAA];
    let descriptor = Descriptor::parse(&payload).unwrap();
    assert_eq!((descriptor.header_len, descriptor.tl0_pic_idx), (5, None));
    assert_eq!(descriptor.references[..], [1, 2]);
    assert!(!descriptor.key_frame && descriptor.starts_picture());
    let many = [0x80 | 0x40 | 0x10, 0x11, 3, 3, 3, 2];
    assert_eq!(Descriptor::parse(&many), Err(RtpError::Invalid("VP9 references")));
}

#[test]
fn without_layers() {
    assert!(Descriptor::parse(&[0x8C, 0x01, 0xAA]).unwrap().key_frame);
    assert!(!Descriptor::parse(&[0x84, 0x01, 0xAA]).unwrap().key_frame, "not its beginning");
    assert!(!Descriptor::parse(&[0xC8, 0x01, 0xAA]).unwrap().key_frame, "predicted");
}

proptest! {
    #[test]
    fn total(payload in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(descriptor) = Descriptor::parse(&payload) {
            prop_assert!(descriptor.header_len <= payload.len());
            let _ = descriptor.scalability.and_then(|scalability| scalability.frame_size());
        }
    }
}
