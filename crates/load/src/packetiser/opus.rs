//! Opus (RFC 7587). The stamp is the padding of a code 3 packet (RFC 6716 §3.2.5).

use crate::stamp::{self, Stamp};

/// One frame per packet; a packet of another kind is sent as it is.
pub(super) fn packetise(frame: &[u8], stamp: Stamp, payload: &mut Vec<u8>, mut send: impl FnMut(&[u8], bool)) {
    const CODE: u8 = 3;
    const WITH_PADDING: u8 = 0x40;
    payload.clear();
    match frame.split_first() {
        Some((toc, rest)) if toc & CODE == 0 => {
            payload.extend_from_slice(&[toc | CODE, WITH_PADDING | 1, stamp::LEN as u8]);
            payload.extend_from_slice(rest);
            payload.extend_from_slice(&stamp.to_bytes());
        }
        _ => payload.extend_from_slice(frame),
    }
    send(payload, true);
}
