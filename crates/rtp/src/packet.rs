//! What the media plane needs to know of an opened packet, found once.

use crate::codec::{self, Codec, MediaKind};
use crate::extension::{AudioLevel, ExtensionKind, ExtensionMap, elements};
use crate::header::{RtpHeader, split_rtx};
use crate::{RtpError, vp8, vp9};

/// Facts of one received packet, in the space of its own stream (a retransmission has its original's).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketMeta {
    pub ssrc: u32,
    pub timestamp: u32,
    pub sequence: u16,
    pub payload_type: u8,
    pub marker: bool,
    /// Came as a retransmission.
    pub rtx: bool,
    /// The packet begins a key frame.
    pub key_frame: bool,
    /// The packet may begin a frame, see [`codec::starts_frame`].
    pub starts_frame: bool,
    /// By the payload descriptor; 0 where the codec has none. With a dependency descriptor that one decides.
    pub spatial_id: u8,
    pub temporal_id: u8,
    /// The payload without padding; empty when the packet was nothing but padding.
    pub payload: ByteRange,
    pub audio_level: Option<AudioLevel>,
    pub transport_cc: Option<u16>,
    pub dependency_descriptor: Option<ByteRange>,
    pub abs_capture_time: Option<ByteRange>,
    pub vp8: Option<vp8::Descriptor>,
}

const _: () = assert!(size_of::<PacketMeta>() <= 96, "one of these is kept for each packet of the ring");

/// A part of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ByteRange {
    pub start: u16,
    pub len: u16,
}

impl ByteRange {
    /// The bytes; none where the packet is not the one that the range was made for.
    pub fn of(self, packet: &[u8]) -> &[u8] {
        let start = usize::from(self.start);
        packet.get(start..start + usize::from(self.len)).unwrap_or(&[])
    }

    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    fn new(start: usize, len: usize) -> Option<ByteRange> {
        Some(ByteRange { start: u16::try_from(start).ok()?, len: u16::try_from(len).ok()? })
    }
}

impl PacketMeta {
    /// Reads an opened packet: header included, authentication tag gone.
    pub fn parse(packet: &[u8], header: &RtpHeader, extensions: &ExtensionMap, codec: Codec) -> Result<PacketMeta, RtpError> {
        let payload = header.payload(packet)?;
        let mut meta = PacketMeta::of_header(header, payload)?;
        meta.read_extensions(packet, header, extensions);
        meta.read_payload(codec, payload);
        Ok(meta)
    }

    /// Reads an opened retransmission (RFC 4588) as the packet that it repeats. `Ok(None)` when it repeats none: padding.
    pub fn parse_rtx(
        packet: &[u8],
        header: &RtpHeader,
        extensions: &ExtensionMap,
        codec: Codec,
        original: RtxOrigin,
    ) -> Result<Option<PacketMeta>, RtpError> {
        let payload = header.payload(packet)?;
        let Some((sequence, inner)) = split_rtx(payload) else {
            return Ok(None);
        };
        let mut meta = PacketMeta::of_header(header, payload)?;
        meta.rtx = true;
        meta.sequence = sequence;
        meta.ssrc = original.ssrc;
        meta.payload_type = original.payload_type;
        meta.payload.start = meta.payload.start.checked_add(2).ok_or(RtpError::Limit("RTP packet"))?;
        meta.payload.len -= 2;
        meta.read_extensions(packet, header, extensions);
        meta.read_payload(codec, inner);
        Ok(Some(meta))
    }

    fn of_header(header: &RtpHeader, payload: &[u8]) -> Result<PacketMeta, RtpError> {
        Ok(PacketMeta {
            ssrc: header.ssrc,
            timestamp: header.timestamp,
            sequence: header.sequence,
            payload_type: header.payload_type,
            marker: header.marker,
            rtx: false,
            key_frame: false,
            starts_frame: false,
            spatial_id: 0,
            temporal_id: 0,
            payload: ByteRange::new(header.header_len, payload.len()).ok_or(RtpError::Limit("RTP packet"))?,
            audio_level: None,
            transport_cc: None,
            dependency_descriptor: None,
            abs_capture_time: None,
            vp8: None,
        })
    }

    fn read_extensions(&mut self, packet: &[u8], header: &RtpHeader, extensions: &ExtensionMap) {
        for (id, range) in elements(packet, header) {
            let data = packet.get(range.clone()).unwrap_or(&[]);
            let place = ByteRange::new(range.start, range.len());
            match extensions.kind_of(id) {
                Some(ExtensionKind::AudioLevel) => {
                    self.audio_level = data.first().map(|byte| AudioLevel::from_byte(*byte));
                }
                Some(ExtensionKind::TransportCc) => {
                    self.transport_cc = data.first_chunk().map(|bytes| u16::from_be_bytes(*bytes));
                }
                Some(ExtensionKind::DependencyDescriptor) => self.dependency_descriptor = place,
                Some(ExtensionKind::AbsCaptureTime) => self.abs_capture_time = place,
                _ => {}
            }
        }
    }

    fn read_payload(&mut self, codec: Codec, payload: &[u8]) {
        if payload.is_empty() {
            return;
        }
        match codec {
            Codec::Vp8 => {
                if let Ok(descriptor) = vp8::Descriptor::parse(payload) {
                    self.key_frame = descriptor.key_frame;
                    self.starts_frame = descriptor.starts_frame();
                    self.temporal_id = descriptor.temporal_id.unwrap_or(0);
                    self.vp8 = Some(descriptor);
                }
            }
            Codec::Vp9 => {
                if let Ok(descriptor) = vp9::Descriptor::parse(payload) {
                    self.key_frame = descriptor.key_frame;
                    self.starts_frame = descriptor.starts_picture();
                    self.spatial_id = descriptor.spatial_id();
                    self.temporal_id = descriptor.temporal_id();
                }
            }
            _ if codec.kind() == MediaKind::Audio => self.starts_frame = true,
            _ => {
                self.key_frame = codec::is_key_frame(codec, payload);
                self.starts_frame = codec::starts_frame(codec, payload);
            }
        }
    }
}

/// The stream that a retransmission belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtxOrigin {
    pub ssrc: u32,
    pub payload_type: u8,
}

#[cfg(test)]
mod tests;
