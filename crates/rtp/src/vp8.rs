//! The VP8 payload descriptor (RFC 7741 §4.2): reading, and writing with other ids.
//!
//! Owns: the descriptor and the three bytes of payload header that tell a key frame.
//! Lacks on purpose: what the rewritten ids should be; that is the forwarder's.

use crate::RtpError;
use crate::cursor::{Cursor, Sink};

/// The longest descriptor.
pub const DESCRIPTOR_LEN_MAX: usize = 6;

/// What the descriptor says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Bytes up to the VP8 payload.
    pub header_len: u8,
    /// N: nothing refers to this frame.
    pub non_reference: bool,
    /// S: the packet begins a partition.
    pub start_of_partition: bool,
    /// PID: index of the partition, 0 to 7.
    pub partition: u8,
    pub picture_id: Option<PictureId>,
    pub tl0_pic_idx: Option<u8>,
    /// 0 to 3.
    pub temporal_id: Option<u8>,
    /// Y: depends on the base layer only. Said only where there is a temporal id.
    pub layer_sync: bool,
    /// 0 to 31.
    pub key_idx: Option<u8>,
    /// The packet begins a key frame.
    pub key_frame: bool,
}

/// A picture id and the width that it is sent with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureId {
    pub value: u16,
    /// 15 bits; otherwise 7.
    pub u15: bool,
}

impl PictureId {
    fn wire_len(self) -> u8 {
        1 + u8::from(self.u15)
    }
}

impl Descriptor {
    /// Reads the descriptor at the start of an RTP payload.
    pub fn parse(payload: &[u8]) -> Result<Descriptor, RtpError> {
        Self::read(payload).ok_or(RtpError::Truncated("VP8 descriptor"))
    }

    /// The packet begins a frame.
    pub fn starts_frame(&self) -> bool {
        self.start_of_partition && self.partition == 0
    }

    /// Bytes that [`Descriptor::write`] needs. Less than `header_len` where the sender wasted a byte.
    pub fn wire_len(&self) -> usize {
        let mut len = 1;
        if self.is_extended() {
            len += 1;
            len += self.picture_id.map_or(0, |id| usize::from(id.wire_len()));
            len += usize::from(self.tl0_pic_idx.is_some());
            len += usize::from(self.temporal_id.is_some() || self.key_idx.is_some());
        }
        len
    }

    /// Writes the descriptor at the start of `buf`, with the ids as they now are: the VP8 payload
    /// (`payload[header_len..]` of the original) follows at the offset returned. Ids are cut to their width.
    /// `None` when `buf` is too small.
    pub fn write(&self, buf: &mut [u8]) -> Option<usize> {
        let mut sink = Sink::new(buf);
        let extended = self.is_extended();
        sink.u8(u8::from(extended) << 7
            | u8::from(self.non_reference) << 5
            | u8::from(self.start_of_partition) << 4
            | self.partition & 0x07)?;
        if !extended {
            return Some(sink.len());
        }
        sink.u8(u8::from(self.picture_id.is_some()) << 7
            | u8::from(self.tl0_pic_idx.is_some()) << 6
            | u8::from(self.temporal_id.is_some()) << 5
            | u8::from(self.key_idx.is_some()) << 4)?;
        match self.picture_id {
            Some(id) if id.u15 => sink.u16(0x8000 | id.value)?,
            Some(id) => sink.u8(id.value as u8 & 0x7F)?,
            None => {}
        }
        if let Some(tl0) = self.tl0_pic_idx {
            sink.u8(tl0)?;
        }
        if self.temporal_id.is_some() || self.key_idx.is_some() {
            let sync = u8::from(self.layer_sync && self.temporal_id.is_some());
            sink.u8((self.temporal_id.unwrap_or(0) & 0x03) << 6 | sync << 5 | self.key_idx.unwrap_or(0) & 0x1F)?;
        }
        Some(sink.len())
    }

    /// Where the picture id lies in the payload.
    pub fn picture_id_at(&self) -> Option<usize> {
        self.picture_id.map(|_| 2)
    }

    /// Where TL0PICIDX lies in the payload.
    pub fn tl0_pic_idx_at(&self) -> Option<usize> {
        self.tl0_pic_idx.map(|_| 2 + self.picture_id_len())
    }

    /// Where the byte of TID, Y and KEYIDX lies in the payload.
    pub fn key_idx_at(&self) -> Option<usize> {
        self.key_idx.map(|_| 2 + self.picture_id_len() + usize::from(self.tl0_pic_idx.is_some()))
    }

    /// Width and height from the payload header of a key frame (RFC 6386 §9.1). `payload` is the one that was parsed.
    pub fn frame_size(&self, payload: &[u8]) -> Option<(u16, u16)> {
        if !self.key_frame {
            return None;
        }
        let mut cursor = Cursor::new(payload.get(usize::from(self.header_len)..)?);
        cursor.take(3)?;
        if cursor.array::<3>()? != [0x9D, 0x01, 0x2A] {
            return None;
        }
        let width = u16::from_le_bytes(cursor.array()?);
        let height = u16::from_le_bytes(cursor.array()?);
        Some((width & 0x3FFF, height & 0x3FFF))
    }

    fn picture_id_len(&self) -> usize {
        self.picture_id.map_or(0, |id| usize::from(id.wire_len()))
    }

    fn is_extended(&self) -> bool {
        self.picture_id.is_some() || self.tl0_pic_idx.is_some() || self.temporal_id.is_some() || self.key_idx.is_some()
    }

    fn read(payload: &[u8]) -> Option<Descriptor> {
        let mut cursor = Cursor::new(payload);
        let first = cursor.u8()?;
        let mut descriptor = Descriptor {
            non_reference: first & 0x20 != 0,
            start_of_partition: first & 0x10 != 0,
            partition: first & 0x07,
            ..Descriptor::default()
        };
        let flags = if first & 0x80 != 0 { cursor.u8()? } else { 0 };
        if flags & 0x80 != 0 {
            let high = cursor.u8()?;
            descriptor.picture_id = Some(if high & 0x80 != 0 {
                PictureId { value: u16::from(high & 0x7F) << 8 | u16::from(cursor.u8()?), u15: true }
            } else {
                PictureId { value: u16::from(high), u15: false }
            });
        }
        if flags & 0x40 != 0 {
            descriptor.tl0_pic_idx = Some(cursor.u8()?);
        }
        if flags & 0x30 != 0 {
            let byte = cursor.u8()?;
            if flags & 0x20 != 0 {
                descriptor.temporal_id = Some(byte >> 6);
                descriptor.layer_sync = byte & 0x20 != 0;
            }
            if flags & 0x10 != 0 {
                descriptor.key_idx = Some(byte & 0x1F);
            }
        }
        descriptor.header_len = (payload.len() - cursor.rest().len()) as u8;
        // The inverse key frame flag is the lowest bit of the first frame's first byte (RFC 7741 §4.3).
        descriptor.key_frame = descriptor.starts_frame() && cursor.rest().first().is_some_and(|b| b & 1 == 0);
        Some(descriptor)
    }
}

#[cfg(test)]
mod tests;
