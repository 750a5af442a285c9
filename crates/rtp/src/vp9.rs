//! The VP9 payload descriptor (RFC 9628 §4.2).

use arrayvec::ArrayVec;

use crate::RtpError;
use crate::cursor::Cursor;

/// Layers that three bits can count.
pub const SPATIAL_LAYERS_MAX: usize = 8;
/// A picture refers to at most three others (RFC 9628 §4.2: P_DIFF).
pub const REFERENCES_MAX: usize = 3;

/// What the descriptor says; the letters are those of RFC 9628.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Bytes up to the VP9 payload.
    pub header_len: usize,
    /// I, with the width in bits: 7 or 15.
    pub picture_id: Option<PictureId>,
    /// P: predicted from another picture.
    pub inter_picture: bool,
    /// F: flexible mode.
    pub flexible: bool,
    /// B: the packet begins a layer frame.
    pub start_of_frame: bool,
    /// E: the packet ends a layer frame.
    pub end_of_frame: bool,
    /// Z: no upper spatial layer refers to this frame.
    pub not_reference_for_upper: bool,
    /// L.
    pub layer: Option<Layer>,
    /// In non-flexible mode with layers.
    pub tl0_pic_idx: Option<u8>,
    /// Distances of the pictures referred to, in flexible mode; 1 to 127.
    pub references: ArrayVec<u8, REFERENCES_MAX>,
    /// V.
    pub scalability: Option<Scalability>,
    /// The packet begins a key picture: its lowest layer, not predicted from another picture.
    pub key_frame: bool,
}

pub use crate::vp8::PictureId;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Layer {
    pub temporal_id: u8,
    pub spatial_id: u8,
    /// U: from here on higher temporal layers may be decoded.
    pub switching_up: bool,
    /// D: depends on the spatial layer below.
    pub inter_layer: bool,
}

/// The scalability structure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scalability {
    /// 1 to 8.
    pub spatial_layers: u8,
    /// Width and height by spatial layer; the first `spatial_layers` count.
    pub sizes: Option<[(u16, u16); SPATIAL_LAYERS_MAX]>,
    /// Pictures in the picture group, where one is given.
    pub pictures: Option<u8>,
}

impl Scalability {
    /// Width and height of the largest layer.
    pub fn frame_size(&self) -> Option<(u16, u16)> {
        self.sizes?.get(usize::from(self.spatial_layers).checked_sub(1)?).copied()
    }
}

impl Descriptor {
    /// Reads the descriptor at the start of an RTP payload.
    pub fn parse(payload: &[u8]) -> Result<Descriptor, RtpError> {
        Self::read(payload).ok_or(RtpError::Truncated("VP9 descriptor"))?
    }

    pub fn spatial_id(&self) -> u8 {
        self.layer.map_or(0, |layer| layer.spatial_id)
    }

    pub fn temporal_id(&self) -> u8 {
        self.layer.map_or(0, |layer| layer.temporal_id)
    }

    /// The packet begins the lowest layer frame of a picture.
    pub fn starts_picture(&self) -> bool {
        self.start_of_frame && self.layer.is_none_or(|layer| layer.spatial_id == 0 && !layer.inter_layer)
    }

    fn read(payload: &[u8]) -> Option<Result<Descriptor, RtpError>> {
        let mut cursor = Cursor::new(payload);
        let flags = cursor.u8()?;
        let mut descriptor = Descriptor {
            inter_picture: flags & 0x40 != 0,
            flexible: flags & 0x10 != 0,
            start_of_frame: flags & 0x08 != 0,
            end_of_frame: flags & 0x04 != 0,
            not_reference_for_upper: flags & 0x01 != 0,
            ..Descriptor::default()
        };
        if flags & 0x80 != 0 {
            let high = cursor.u8()?;
            descriptor.picture_id = Some(if high & 0x80 != 0 {
                PictureId { value: u16::from(high & 0x7F) << 8 | u16::from(cursor.u8()?), u15: true }
            } else {
                PictureId { value: u16::from(high), u15: false }
            });
        }
        if flags & 0x20 != 0 {
            let byte = cursor.u8()?;
            descriptor.layer = Some(Layer {
                temporal_id: byte >> 5,
                switching_up: byte & 0x10 != 0,
                spatial_id: byte >> 1 & 0x07,
                inter_layer: byte & 0x01 != 0,
            });
            if !descriptor.flexible {
                descriptor.tl0_pic_idx = Some(cursor.u8()?);
            }
        }
        if descriptor.flexible && descriptor.inter_picture {
            loop {
                let byte = cursor.u8()?;
                if descriptor.references.try_push(byte >> 1).is_err() {
                    return Some(Err(RtpError::Invalid("VP9 references")));
                }
                if byte & 1 == 0 {
                    break;
                }
            }
        }
        if flags & 0x02 != 0 {
            descriptor.scalability = Some(read_scalability(&mut cursor)?);
        }
        descriptor.header_len = payload.len() - cursor.rest().len();
        descriptor.key_frame = !descriptor.inter_picture && descriptor.starts_picture();
        Some(Ok(descriptor))
    }
}

fn read_scalability(cursor: &mut Cursor<'_>) -> Option<Scalability> {
    let byte = cursor.u8()?;
    let spatial_layers = (byte >> 5) + 1;
    let mut sizes = None;
    if byte & 0x10 != 0 {
        let mut list = [(0, 0); SPATIAL_LAYERS_MAX];
        for size in list.iter_mut().take(usize::from(spatial_layers)) {
            *size = (cursor.u16()?, cursor.u16()?);
        }
        sizes = Some(list);
    }
    let mut pictures = None;
    if byte & 0x08 != 0 {
        let count = cursor.u8()?;
        for _ in 0..count {
            let references = cursor.u8()? >> 2 & 0x03;
            cursor.take(usize::from(references))?;
        }
        pictures = Some(count);
    }
    Some(Scalability { spatial_layers, sizes, pictures })
}

#[cfg(test)]
mod tests;
