//! RTCP (RFC 3550 §6, RFC 4585, RFC 5104, RFC 3611): compounds read packet by packet, and written without allocation.

pub mod description;
mod read;
pub mod twcc;
mod write;

pub use description::{Bye, SourceDescription};
pub use read::{Compound, Dlrr, DlrrBlocks, Fir, Nack, Packet, Remb, ReportBlocks, SenderInfo};
pub use twcc::{TransportFeedback, TwccStatus};
pub use write::Writer;

pub(crate) const SENDER_REPORT: u8 = 200;
pub(crate) const RECEIVER_REPORT: u8 = 201;
pub(crate) const SOURCE_DESCRIPTION: u8 = 202;
pub(crate) const BYE: u8 = 203;
pub(crate) const TRANSPORT_FEEDBACK: u8 = 205;
pub(crate) const PAYLOAD_FEEDBACK: u8 = 206;
pub(crate) const EXTENDED_REPORT: u8 = 207;

/// Blocks of extended reports (RFC 3611 §4.4, §4.5).
pub(crate) const REFERENCE_TIME: u8 = 4;
pub(crate) const DLRR: u8 = 5;

/// Reception of one stream (RFC 3550 §6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost in all; 24 bits signed on the wire, clamped when written.
    pub cumulative_lost: i32,
    pub highest_sequence: u32,
    /// In units of the RTP clock.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0: none yet.
    pub last_sender_report: u32,
    /// Since its arrival, in 1/65536 s.
    pub delay_since_last: u32,
}

impl ReportBlock {
    /// Time to the peer and back, from the moment `now_middle` (middle 32 bits of NTP) at which the block arrived, in 1/65536 s.
    pub fn round_trip(&self, now_middle: u32) -> Option<u32> {
        if self.last_sender_report == 0 {
            return None;
        }
        let elapsed = now_middle.wrapping_sub(self.last_sender_report).wrapping_sub(self.delay_since_last);
        // a little negative: clocks of different granularity
        (elapsed < 0x8000_0000).then_some(elapsed)
    }
}

#[cfg(test)]
mod tests;
