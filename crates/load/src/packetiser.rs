//! Encoded frames into RTP payloads, each frame with its stamp.
//!
//! Owns the counters that a codec's payload header carries on over the loops of a clip. A payload is at most [`PAYLOAD_MAX`] long.

mod h264;
mod opus;
mod vp8;

use sluicegate_rtp::codec::Codec;

use crate::stamp::Stamp;

/// With header, extensions and tag it stays below 1200 bytes, as libwebrtc's packets do.
pub const PAYLOAD_MAX: usize = 1130;

/// Payloads of one stream.
#[derive(Debug)]
pub struct Packetiser {
    codec: Codec,
    picture: u16,
    frames: u32,
    payload: Vec<u8>,
}

impl Packetiser {
    /// `first_picture` is the first picture id of VP8.
    pub fn new(codec: Codec, first_picture: u16) -> Self {
        Self { codec, picture: first_picture, frames: 0, payload: Vec::with_capacity(PAYLOAD_MAX) }
    }

    /// Hands each payload of the frame to `send`, with true for the last one.
    pub fn packetise(&mut self, frame: &[u8], sent_ns: u64, send: impl FnMut(&[u8], bool)) {
        let stamp = Stamp { sent_ns, number: self.frames };
        self.frames = self.frames.wrapping_add(1) & 0x0FFF_FFFF;
        match self.codec {
            Codec::Vp8 => {
                vp8::packetise(frame, self.picture & 0x7FFF, stamp, &mut self.payload, send);
                self.picture = self.picture.wrapping_add(1);
            }
            Codec::H264 => h264::packetise(frame, stamp, &mut self.payload, send),
            _ => opus::packetise(frame, stamp, &mut self.payload, send),
        }
    }
}

/// Cuts `len` bytes into pieces of equal size, so that the packets of a frame can be sent in one run. Yields their lengths.
fn equal_pieces(len: usize, piece_max: usize) -> impl Iterator<Item = usize> {
    let count = len.div_ceil(piece_max).max(1);
    let (each, longer) = (len / count, len % count);
    (0..count).map(move |at| each + usize::from(at < longer))
}

#[cfg(test)]
mod tests;
