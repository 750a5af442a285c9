//! Writing a compound into a caller's buffer. A packet that does not fit is left out whole.

use super::description::{CNAME, MID};
use super::{
    BYE, DLRR, EXTENDED_REPORT, PAYLOAD_FEEDBACK, RECEIVER_REPORT, REFERENCE_TIME, ReportBlock, SENDER_REPORT, SOURCE_DESCRIPTION,
    TRANSPORT_FEEDBACK,
};
use super::{SenderInfo, TwccStatus, twcc};
use crate::cursor::Sink;

/// Report blocks of one packet (5 bits).
const BLOCKS_MAX: usize = 31;

/// A compound being written.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    pub fn new(bytes: &'a mut [u8]) -> Self {
        Self { bytes, len: 0 }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// SR; more blocks than 31 are left out.
    pub fn sender_report(&mut self, info: &SenderInfo, blocks: &[ReportBlock]) -> bool {
        let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
        self.packet(SENDER_REPORT, blocks.len() as u8, |sink| {
            sink.u32(info.ssrc)?;
            sink.u64(info.ntp)?;
            sink.u32(info.rtp)?;
            sink.u32(info.packets)?;
            sink.u32(info.octets)?;
            blocks.iter().try_for_each(|block| write_block(sink, block))
        })
    }

    pub fn receiver_report(&mut self, ssrc: u32, blocks: &[ReportBlock]) -> bool {
        let blocks = &blocks[..blocks.len().min(BLOCKS_MAX)];
        self.packet(RECEIVER_REPORT, blocks.len() as u8, |sink| {
            sink.u32(ssrc)?;
            blocks.iter().try_for_each(|block| write_block(sink, block))
        })
    }

    /// SDES with one chunk that holds the CNAME, cut at 255 bytes.
    pub fn cname(&mut self, ssrc: u32, cname: &str) -> bool {
        self.description(ssrc, &[(CNAME, cname)])
    }

    /// SDES with CNAME and mid, each cut at 255 bytes (LiveKit: every sender report to a subscriber has both).
    pub fn cname_and_mid(&mut self, ssrc: u32, cname: &str, mid: &str) -> bool {
        self.description(ssrc, &[(CNAME, cname), (MID, mid)])
    }

    pub fn bye(&mut self, ssrc: u32) -> bool {
        self.packet(BYE, 1, |sink| sink.u32(ssrc))
    }

    /// NACK; `sequences` in ascending order share a pair where they can.
    pub fn nack(&mut self, sender: u32, media: u32, sequences: &[u16]) -> bool {
        let mut rest = sequences.iter().copied().peekable();
        self.packet(TRANSPORT_FEEDBACK, 1, |sink| {
            sink.u32(sender)?;
            sink.u32(media)?;
            while let Some(first) = rest.next() {
                let mut mask = 0u16;
                while let Some(next) = rest.next_if(|next| (1..=16).contains(&next.wrapping_sub(first))) {
                    mask |= 1 << (next.wrapping_sub(first) - 1);
                }
                sink.u16(first)?;
                sink.u16(mask)?;
            }
            Some(())
        })
    }

    pub fn pli(&mut self, sender: u32, media: u32) -> bool {
        self.packet(PAYLOAD_FEEDBACK, 1, |sink| {
            sink.u32(sender)?;
            sink.u32(media)
        })
    }

    pub fn fir(&mut self, sender: u32, media: u32, sequence: u8) -> bool {
        self.packet(PAYLOAD_FEEDBACK, 4, |sink| {
            sink.u32(sender)?;
            sink.u32(0)?;
            sink.u32(media)?;
            sink.u8(sequence)?;
            sink.u24(0)
        })
    }

    /// REMB; the bitrate in bits per second is rounded down to the 18 bits that the packet has for it. `ssrcs` at most 255.
    pub fn remb(&mut self, sender: u32, bitrate: u64, ssrcs: &[u32]) -> bool {
        let exponent = (u64::BITS - bitrate.leading_zeros()).saturating_sub(18);
        self.packet(PAYLOAD_FEEDBACK, 15, |sink| {
            sink.u32(sender)?;
            sink.u32(0)?;
            sink.put(b"REMB")?;
            sink.u8(u8::try_from(ssrcs.len()).ok()?)?;
            sink.u24(exponent << 18 | (bitrate >> exponent) as u32)?;
            ssrcs.iter().try_for_each(|ssrc| sink.u32(*ssrc))
        })
    }

    /// Receiver reference time (XR block 4).
    pub fn reference_time(&mut self, ssrc: u32, ntp: u64) -> bool {
        self.packet(EXTENDED_REPORT, 0, |sink| {
            sink.u32(ssrc)?;
            sink.u32(u32::from(REFERENCE_TIME) << 24 | 2)?;
            sink.u64(ntp)
        })
    }

    /// The answer to a receiver reference time (XR block 5).
    pub fn dlrr(&mut self, ssrc: u32, block: &super::Dlrr) -> bool {
        self.packet(EXTENDED_REPORT, 0, |sink| {
            sink.u32(ssrc)?;
            sink.u32(u32::from(DLRR) << 24 | 3)?;
            sink.u32(block.ssrc)?;
            sink.u32(block.last_receiver_report)?;
            sink.u32(block.delay)
        })
    }

    /// Transport-wide feedback for consecutive sequence numbers from `base` on; returns how many were written.
    pub fn transport_feedback(
        &mut self,
        sender: u32,
        media: u32,
        base: u16,
        reference_64ms: u32,
        count: u8,
        status: &[TwccStatus],
    ) -> usize {
        if status.is_empty() {
            return 0;
        }
        let mut written = 0;
        let done = self.packet(TRANSPORT_FEEDBACK, 15, |sink| {
            sink.u32(sender)?;
            sink.u32(media)?;
            written = twcc::write(sink, base, reference_64ms, count, status)?;
            sink.pad4(0)
        });
        if done { written } else { 0 }
    }

    fn description(&mut self, ssrc: u32, items: &[(u8, &str)]) -> bool {
        self.packet(SOURCE_DESCRIPTION, 1, |sink| {
            sink.u32(ssrc)?;
            for (kind, value) in items {
                let value = value.as_bytes().get(..255).unwrap_or(value.as_bytes());
                sink.u8(*kind)?;
                sink.u8(value.len() as u8)?;
                sink.put(value)?;
            }
            // the item list ends with a zero
            sink.u8(0)?;
            sink.pad4(0)
        })
    }

    fn packet(&mut self, kind: u8, count: u8, body: impl FnOnce(&mut Sink<'_>) -> Option<()>) -> bool {
        let Some(room) = self.bytes.get_mut(self.len..) else { return false };
        let mut sink = Sink::new(room);
        let written = (|| {
            sink.u8(0x80 | count)?;
            sink.u8(kind)?;
            sink.u16(0)?;
            body(&mut sink)?;
            sink.pad4(0)?;
            let words = u16::try_from(sink.len() / 4 - 1).ok()?;
            sink.patch_u16(2, words)?;
            Some(sink.len())
        })();
        self.len += written.unwrap_or(0);
        written.is_some()
    }
}

fn write_block(sink: &mut Sink<'_>, block: &ReportBlock) -> Option<()> {
    sink.u32(block.ssrc)?;
    sink.u8(block.fraction_lost)?;
    sink.u24(block.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF)?;
    sink.u32(block.highest_sequence)?;
    sink.u32(block.jitter)?;
    sink.u32(block.last_sender_report)?;
    sink.u32(block.delay_since_last)
}
