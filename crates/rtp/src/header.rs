//! The RTP fixed header (RFC 3550 §5.1) and what a datagram is (RFC 7983).
//!
//! Owns: reading and writing of the header. Elements of the header extension are read in `extension`.
//! Lacks on purpose: contributing sources when writing; an SFU mixes nothing.

use crate::RtpError;
use crate::cursor::{Cursor, Sink};

/// Bytes of the header without contributing sources and extension.
pub const FIXED_LEN: usize = 12;
/// Profile of the one-byte form of header extensions (RFC 8285 §4.2).
pub const PROFILE_ONE_BYTE: u16 = 0xBEDE;
/// Profile of the two-byte form (RFC 8285 §4.3); the low four bits are free.
pub const PROFILE_TWO_BYTE: u16 = 0x1000;

const PADDING_BIT: u8 = 0x20;

/// A parsed RTP header. Offsets count from the start of the datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpHeader {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub csrc_count: u8,
    pub has_padding: bool,
    pub extension: Option<ExtensionBlock>,
    /// Bytes up to the payload: the part that SRTP leaves in the clear.
    pub header_len: usize,
}

/// Where the data of the header extension lies, its own four bytes of profile and length excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionBlock {
    pub profile: u16,
    pub start: usize,
    pub len: usize,
}

impl RtpHeader {
    /// Reads the header of a datagram, encrypted or not (RFC 3550 §5.1).
    pub fn parse(datagram: &[u8]) -> Result<RtpHeader, RtpError> {
        Self::read(datagram).ok_or(RtpError::Truncated("RTP header"))?
    }

    /// The payload of an opened packet without its padding. `plaintext` is the whole packet, header
    /// included, without the authentication tag. A packet of padding only has an empty payload.
    pub fn payload<'a>(&self, plaintext: &'a [u8]) -> Result<&'a [u8], RtpError> {
        let body = plaintext.get(self.header_len..).ok_or(RtpError::Truncated("RTP payload"))?;
        if !self.has_padding {
            return Ok(body);
        }
        let padding = usize::from(*body.last().ok_or(RtpError::Invalid("RTP padding"))?);
        match body.len().checked_sub(padding) {
            Some(len) if padding > 0 => Ok(&body[..len]),
            _ => Err(RtpError::Invalid("RTP padding")),
        }
    }

    fn read(datagram: &[u8]) -> Option<Result<RtpHeader, RtpError>> {
        let mut cursor = Cursor::new(datagram);
        let first = cursor.u8()?;
        if first >> 6 != 2 {
            return Some(Err(RtpError::Invalid("RTP version")));
        }
        let second = cursor.u8()?;
        let sequence = cursor.u16()?;
        let timestamp = cursor.u32()?;
        let ssrc = cursor.u32()?;
        let csrc_count = first & 0x0F;
        cursor.take(usize::from(csrc_count) * 4)?;
        let mut header_len = FIXED_LEN + usize::from(csrc_count) * 4;
        let mut extension = None;
        if first & 0x10 != 0 {
            let profile = cursor.u16()?;
            let len = usize::from(cursor.u16()?) * 4;
            cursor.take(len)?;
            let start = header_len + 4;
            extension = Some(ExtensionBlock { profile, start, len });
            header_len = start + len;
        }
        Some(Ok(RtpHeader {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7F,
            sequence,
            timestamp,
            ssrc,
            csrc_count,
            has_padding: first & PADDING_BIT != 0,
            extension,
            header_len,
        }))
    }
}

/// What to write into a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RtpWrite {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// One element of a header extension to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element<'a> {
    /// 1 to 255; 15 and above force the two-byte form.
    pub id: u8,
    /// Up to 255 bytes; none or more than 16 force the two-byte form.
    pub data: &'a [u8],
}

/// Writes a header at the start of `buf` and returns its length: the one-byte form of extensions,
/// the two-byte form only where an element needs it (RFC 8285). `None` when `buf` is too small or an
/// element cannot be written (id 0, longer than 255 bytes).
pub fn write(buf: &mut [u8], header: &RtpWrite, extensions: &[Element<'_>]) -> Option<usize> {
    let mut sink = Sink::new(buf);
    let extension_bit = if extensions.is_empty() { 0 } else { 0x10 };
    sink.u8(0x80 | extension_bit)?;
    sink.u8(u8::from(header.marker) << 7 | header.payload_type & 0x7F)?;
    sink.u16(header.sequence)?;
    sink.u32(header.timestamp)?;
    sink.u32(header.ssrc)?;
    if extensions.is_empty() {
        return Some(sink.len());
    }
    let one_byte = extensions.iter().all(|e| e.id < 15 && (1..=16).contains(&e.data.len()));
    sink.u16(if one_byte { PROFILE_ONE_BYTE } else { PROFILE_TWO_BYTE })?;
    sink.u16(0)?;
    let start = sink.len();
    for element in extensions.iter() {
        let len = u8::try_from(element.data.len()).ok()?;
        if element.id == 0 {
            return None;
        }
        if one_byte {
            sink.u8(element.id << 4 | (len - 1))?;
        } else {
            sink.u8(element.id)?;
            sink.u8(len)?;
        }
        sink.put(element.data)?;
    }
    sink.pad4(start)?;
    let words = u16::try_from((sink.len() - start) / 4).ok()?;
    sink.patch_u16(start - 2, words)?;
    Some(sink.len())
}

/// Pads a packet of `len` bytes that lies at the start of `buf` by `padding` bytes and sets its
/// padding bit (RFC 3550 §5.1). Returns the new length; `None` when `buf` is too small or `padding` is 0.
pub fn pad(buf: &mut [u8], len: usize, padding: u8) -> Option<usize> {
    let end = len.checked_add(usize::from(padding))?;
    let (last, zeros) = buf.get_mut(len..end)?.split_last_mut()?;
    zeros.fill(0);
    *last = padding;
    *buf.first_mut()? |= PADDING_BIT;
    Some(end)
}

/// Splits the payload of a retransmission into the original sequence number and payload (RFC 4588 §4).
/// `None` for a payload of fewer than two bytes: padding sent as probe.
pub fn split_rtx(payload: &[u8]) -> Option<(u16, &[u8])> {
    let mut cursor = Cursor::new(payload);
    Some((cursor.u16()?, cursor.rest()))
}

/// What a datagram on a WebRTC port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Stun,
    Dtls,
    Rtp,
    Rtcp,
    Other,
}

/// Tells protocols apart by the first two bytes (RFC 7983 §7, RFC 5761 §4).
pub fn classify(datagram: &[u8]) -> Kind {
    match datagram {
        [0..=3, ..] => Kind::Stun,
        [20..=63, ..] => Kind::Dtls,
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        _ => Kind::Other,
    }
}

#[cfg(test)]
mod tests;
