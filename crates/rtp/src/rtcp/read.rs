//! Reading a compound: an iterator over its packets that ends at the first that is malformed.

use super::twcc::TransportFeedback;
use super::{
    BYE, EXTENDED_REPORT, PAYLOAD_FEEDBACK, RECEIVER_REPORT, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION, TRANSPORT_FEEDBACK,
};
use crate::cursor::Cursor;

/// The packets of one datagram.
#[derive(Debug, Clone)]
pub struct Compound<'a>(Cursor<'a>);

impl<'a> Compound<'a> {
    pub fn parse(datagram: &'a [u8]) -> Self {
        Self(Cursor::new(datagram))
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let first = self.0.u8()?;
        let kind = self.0.u8()?;
        let words = usize::from(self.0.u16()?);
        let body = self.0.take(words * 4)?;
        if first >> 6 != 2 {
            self.0 = Cursor::new(&[]);
            return None;
        }
        let body = if first & 0x20 == 0 { body } else { unpad(body)? };
        Some(Packet::read(first & 0x1F, kind, body).unwrap_or(Packet::Unknown))
    }
}

fn unpad(body: &[u8]) -> Option<&[u8]> {
    let padding = usize::from(*body.last()?);
    body.get(..body.len().checked_sub(padding)?)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    SenderReport { info: SenderInfo, blocks: ReportBlocks<'a> },
    ReceiverReport { ssrc: u32, blocks: ReportBlocks<'a> },
    SourceDescription,
    Bye,
    Nack(Nack<'a>),
    TransportFeedback(TransportFeedback<'a>),
    Pli { sender: u32, media: u32 },
    Fir(Fir<'a>),
    Remb(Remb<'a>),
    /// Receiver reference time (RFC 3611 §4.4).
    ReferenceTime { ssrc: u32, ntp: u64 },
    Dlrr(DlrrBlocks<'a>),
    Unknown,
}

impl<'a> Packet<'a> {
    fn read(count: u8, kind: u8, body: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        Some(match (kind, count) {
            (SENDER_REPORT, _) => {
                let info = SenderInfo {
                    ssrc: cursor.u32()?,
                    ntp: cursor.u64()?,
                    rtp: cursor.u32()?,
                    packets: cursor.u32()?,
                    octets: cursor.u32()?,
                };
                Packet::SenderReport { info, blocks: ReportBlocks::new(cursor, count) }
            }
            (RECEIVER_REPORT, _) => Packet::ReceiverReport { ssrc: cursor.u32()?, blocks: ReportBlocks::new(cursor, count) },
            (SOURCE_DESCRIPTION, _) => Packet::SourceDescription,
            (BYE, _) => Packet::Bye,
            (TRANSPORT_FEEDBACK, 1) => Packet::Nack(Nack { sender: cursor.u32()?, media: cursor.u32()?, pairs: cursor.rest() }),
            (TRANSPORT_FEEDBACK, 15) => Packet::TransportFeedback(TransportFeedback::read(body)?),
            (PAYLOAD_FEEDBACK, 1) => Packet::Pli { sender: cursor.u32()?, media: cursor.u32()? },
            (PAYLOAD_FEEDBACK, 4) => {
                cursor.take(8)?;
                Packet::Fir(Fir(cursor.rest()))
            }
            (PAYLOAD_FEEDBACK, 15) => Packet::Remb(Remb::read(cursor)?),
            (EXTENDED_REPORT, _) => extended(cursor)?,
            _ => Packet::Unknown,
        })
    }
}

/// The first block of an extended report that we know.
fn extended(mut cursor: Cursor<'_>) -> Option<Packet<'_>> {
    let ssrc = cursor.u32()?;
    while let Some(kind) = cursor.u8() {
        cursor.u8()?;
        let words = usize::from(cursor.u16()?);
        let body = cursor.take(words * 4)?;
        match kind {
            4 => return Some(Packet::ReferenceTime { ssrc, ntp: Cursor::new(body).u64()? }),
            5 => return Some(Packet::Dlrr(DlrrBlocks(body))),
            _ => {}
        }
    }
    None
}

/// The sender's half of a sender report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SenderInfo {
    pub ssrc: u32,
    /// NTP time, 32.32.
    pub ntp: u64,
    pub rtp: u32,
    pub packets: u32,
    pub octets: u32,
}

/// Report blocks, read one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportBlocks<'a> {
    bytes: &'a [u8],
}

impl<'a> ReportBlocks<'a> {
    fn new(cursor: Cursor<'a>, count: u8) -> Self {
        let bytes = cursor.rest();
        Self { bytes: bytes.get(..usize::from(count) * 24).unwrap_or(bytes) }
    }

    pub fn iter(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.bytes.chunks_exact(24).filter_map(|bytes| {
            let mut cursor = Cursor::new(bytes);
            Some(ReportBlock {
                ssrc: cursor.u32()?,
                fraction_lost: cursor.u8()?,
                cumulative_lost: (cursor.u24()? << 8) as i32 >> 8,
                highest_sequence: cursor.u32()?,
                jitter: cursor.u32()?,
                last_sender_report: cursor.u32()?,
                delay_since_last: cursor.u32()?,
            })
        })
    }
}

/// Lost packets (RFC 4585 §6.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nack<'a> {
    pub sender: u32,
    pub media: u32,
    pairs: &'a [u8],
}

impl<'a> Nack<'a> {
    /// The sequence numbers, 17 at most per pair.
    pub fn sequences(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.pairs.chunks_exact(4).flat_map(|pair| {
            let first = u16::from_be_bytes([pair[0], pair[1]]);
            let mask = u16::from_be_bytes([pair[2], pair[3]]);
            let following = (0..16u16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit + 1));
            std::iter::once(first).chain(following)
        })
    }
}

/// Full intra requests (RFC 5104 §4.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fir<'a>(&'a [u8]);

impl<'a> Fir<'a> {
    /// The streams of which a key frame is asked.
    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.0.chunks_exact(8).filter_map(|entry| Cursor::new(entry).u32())
    }
}

/// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Bits per second.
    pub bitrate: u64,
    ssrcs: &'a [u8],
}

impl<'a> Remb<'a> {
    fn read(mut cursor: Cursor<'a>) -> Option<Self> {
        cursor.take(8)?;
        if cursor.take(4)? != b"REMB" {
            return None;
        }
        let count = usize::from(cursor.u8()?);
        let value = cursor.u24()?;
        let bitrate = u64::from(value & 0x3FFFF).checked_shl(value >> 18).unwrap_or(u64::MAX);
        Some(Self { bitrate, ssrcs: cursor.take(count * 4)? })
    }

    pub fn ssrcs(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ssrcs.chunks_exact(4).filter_map(|bytes| Cursor::new(bytes).u32())
    }
}

/// Delays since the last receiver report (RFC 3611 §4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DlrrBlocks<'a>(&'a [u8]);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dlrr {
    pub ssrc: u32,
    /// Middle 32 bits of the reference time's NTP.
    pub last_receiver_report: u32,
    /// In 1/65536 s.
    pub delay: u32,
}

impl<'a> DlrrBlocks<'a> {
    pub fn iter(&self) -> impl Iterator<Item = Dlrr> + use<'a> {
        self.0.chunks_exact(12).filter_map(|bytes| {
            let mut cursor = Cursor::new(bytes);
            Some(Dlrr { ssrc: cursor.u32()?, last_receiver_report: cursor.u32()?, delay: cursor.u32()? })
        })
    }
}
