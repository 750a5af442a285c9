//! Reading a compound: an iterator over its packets that ends at the first that is malformed.

use super::description::{Bye, SourceDescription};
use super::twcc::TransportFeedback;
use super::{
    BYE, DLRR, EXTENDED_REPORT, PAYLOAD_FEEDBACK, RECEIVER_REPORT, REFERENCE_TIME, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION,
    TRANSPORT_FEEDBACK,
};
use crate::cursor::Cursor;

/// The packets of one datagram. An extended report gives one for each block that we know.
#[derive(Debug, Clone)]
pub struct Compound<'a> {
    rest: Cursor<'a>,
    /// Sender and unread blocks of the extended report that was met last.
    extended: (u32, Cursor<'a>),
}

impl<'a> Compound<'a> {
    pub fn parse(datagram: &'a [u8]) -> Self {
        Self { rest: Cursor::new(datagram), extended: (0, Cursor::new(&[])) }
    }

    fn read(&mut self) -> Option<Packet<'a>> {
        let first = self.rest.u8().filter(|first| first >> 6 == 2)?;
        let kind = self.rest.u8()?;
        let words = usize::from(self.rest.u16()?);
        let body = self.rest.take(words * 4)?;
        let body = if first & 0x20 == 0 { body } else { unpad(body)? };
        if kind == EXTENDED_REPORT {
            let mut blocks = Cursor::new(body);
            self.extended = (blocks.u32().unwrap_or(0), blocks);
            return Some(self.read_extended().unwrap_or(Packet::Unknown));
        }
        Some(Packet::read(first & 0x1F, kind, body).unwrap_or(Packet::Unknown))
    }

    /// The next block that we know; a malformed one ends its report.
    fn read_extended(&mut self) -> Option<Packet<'a>> {
        let (ssrc, blocks) = &mut self.extended;
        while let Some((kind, body)) = read_block(blocks) {
            match kind {
                REFERENCE_TIME => {
                    if let Some(ntp) = Cursor::new(body).u64() {
                        return Some(Packet::ReferenceTime { ssrc: *ssrc, ntp });
                    }
                }
                DLRR => return Some(Packet::Dlrr(DlrrBlocks(body))),
                _ => {}
            }
        }
        *blocks = Cursor::new(&[]);
        None
    }
}

impl<'a> Iterator for Compound<'a> {
    type Item = Packet<'a>;

    fn next(&mut self) -> Option<Packet<'a>> {
        let packet = self.read_extended().or_else(|| self.read());
        if packet.is_none() {
            self.rest = Cursor::new(&[]);
        }
        packet
    }
}

fn unpad(body: &[u8]) -> Option<&[u8]> {
    let padding = body.last().copied().filter(|padding| *padding > 0)?;
    body.get(..body.len().checked_sub(usize::from(padding))?)
}

/// Type and body of a block of an extended report (RFC 3611 §3).
fn read_block<'a>(cursor: &mut Cursor<'a>) -> Option<(u8, &'a [u8])> {
    let kind = cursor.u8()?;
    cursor.u8()?;
    let words = usize::from(cursor.u16()?);
    Some((kind, cursor.take(words * 4)?))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packet<'a> {
    SenderReport {
        info: SenderInfo,
        blocks: ReportBlocks<'a>,
    },
    ReceiverReport {
        ssrc: u32,
        blocks: ReportBlocks<'a>,
    },
    SourceDescription(SourceDescription<'a>),
    Bye(Bye<'a>),
    Nack(Nack<'a>),
    TransportFeedback(TransportFeedback<'a>),
    Pli {
        sender: u32,
        media: u32,
    },
    Fir(Fir<'a>),
    Remb(Remb<'a>),
    /// Receiver reference time (RFC 3611 §4.4).
    ReferenceTime {
        ssrc: u32,
        ntp: u64,
    },
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
            (SOURCE_DESCRIPTION, _) => Packet::SourceDescription(SourceDescription { body, count }),
            (BYE, _) => Packet::Bye(Bye { body, count }),
            (TRANSPORT_FEEDBACK, 1) => Packet::Nack(Nack { sender: cursor.u32()?, media: cursor.u32()?, pairs: cursor.rest() }),
            (TRANSPORT_FEEDBACK, 15) => Packet::TransportFeedback(TransportFeedback::read(body)?),
            (PAYLOAD_FEEDBACK, 1) => Packet::Pli { sender: cursor.u32()?, media: cursor.u32()? },
            (PAYLOAD_FEEDBACK, 4) => {
                cursor.take(8)?;
                Packet::Fir(Fir(cursor.rest()))
            }
            (PAYLOAD_FEEDBACK, 15) => Packet::Remb(Remb::read(cursor)?),
            _ => Packet::Unknown,
        })
    }
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
    /// The sequence numbers, 17 at most per pair of four bytes.
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
        self.entries().map(|(ssrc, _)| ssrc)
    }

    /// Streams with the number of the request; a repetition has the same number.
    pub fn entries(&self) -> impl Iterator<Item = (u32, u8)> + use<'a> {
        self.0.chunks_exact(8).filter_map(|entry| {
            let mut cursor = Cursor::new(entry);
            Some((cursor.u32()?, cursor.u8()?))
        })
    }
}

/// Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb-03).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remb<'a> {
    /// Bits per second; the largest number for what 64 bits cannot hold.
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
        let (exponent, mantissa) = (value >> 18, u64::from(value & 0x3FFFF));
        let bitrate = if exponent <= mantissa.leading_zeros() { mantissa.checked_shl(exponent).unwrap_or(0) } else { u64::MAX };
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
