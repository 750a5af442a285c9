//! VP8 (RFC 7741). The stamp follows the last partition, which ends with the frame: its decoder reads no further than it must.

use sluicegate_rtp::vp8::{DESCRIPTOR_LEN_MAX, Descriptor, PictureId};

use super::{PAYLOAD_MAX, equal_pieces};
use crate::stamp::{self, Stamp};

pub(super) fn packetise(frame: &[u8], picture: u16, stamp: Stamp, payload: &mut Vec<u8>, mut send: impl FnMut(&[u8], bool)) {
    let picture_id = Some(PictureId { value: picture, u15: true });
    let mut rest = frame;
    let mut start_of_partition = true;
    // the stamp must not be cut
    let pieces: Vec<usize> = equal_pieces(frame.len(), PAYLOAD_MAX - DESCRIPTOR_LEN_MAX - stamp::LEN).collect();
    for (at, len) in pieces.iter().enumerate() {
        let (piece, after) = rest.split_at_checked(*len).unwrap_or((rest, &[]));
        rest = after;
        let descriptor = Descriptor { start_of_partition, picture_id, ..Descriptor::default() };
        payload.clear();
        payload.resize(DESCRIPTOR_LEN_MAX, 0);
        let Some(header) = descriptor.write(payload) else { return };
        payload.truncate(header);
        payload.extend_from_slice(piece);
        let last = at + 1 == pieces.len();
        if last {
            payload.extend_from_slice(&stamp.to_bytes());
        }
        send(payload, last);
        start_of_partition = false;
    }
}
