//! Reception of one stream as its receiver reports tell it (RFC 3550 §6.4.1, A.3, A.8).

use std::time::Instant;

use sluicegate_rtp::ntp::{self, NtpTime};
use sluicegate_rtp::rtcp::ReportBlock;

#[derive(Debug, Default)]
pub struct ReceptionStats {
    first: Option<u64>,
    highest: u64,
    received: u64,
    /// At the last report: expected and received.
    reported: (u64, u64),
    /// In RTP ticks, times 16 as the RFC's own arithmetic.
    jitter: u64,
    transit: Option<i64>,
    origin: Option<Instant>,
    last_report: Option<(u32, Instant)>,
}

impl ReceptionStats {
    pub fn handle_packet(&mut self, now: Instant, ext_seq: u64, ext_timestamp: u64, rate: u32, repaired: bool) {
        let first = *self.first.get_or_insert(ext_seq);
        self.first = Some(first.min(ext_seq));
        self.received += 1;
        self.highest = self.highest.max(ext_seq);
        if repaired {
            return;
        }
        let origin = *self.origin.get_or_insert(now);
        let arrival = (now.saturating_duration_since(origin).as_micros() * u128::from(rate) / 1_000_000) as i64;
        let transit = arrival.wrapping_sub(ext_timestamp as i64);
        if let Some(before) = self.transit {
            let step = transit.wrapping_sub(before).unsigned_abs().min(u64::from(rate) * 4);
            self.jitter = self.jitter + step - ((self.jitter + 8) >> 4);
        }
        self.transit = Some(transit);
    }

    pub fn handle_sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.last_report = Some((ntp.middle(), now));
    }

    /// None before the first packet.
    pub fn report(&mut self, now: Instant, ssrc: u32) -> Option<ReportBlock> {
        let expected = self.highest - self.first? + 1;
        let lost = expected as i64 - self.received as i64;
        let (expected_before, received_before) = std::mem::replace(&mut self.reported, (expected, self.received));
        let interval = expected - expected_before.min(expected);
        let lost_now = interval.saturating_sub(self.received - received_before);
        let (last_sender_report, delay_since_last) = match self.last_report {
            Some((middle, at)) => (middle, ntp::to_compact(now.saturating_duration_since(at))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc,
            fraction_lost: (lost_now * 256).checked_div(interval).unwrap_or(0).min(255) as u8,
            cumulative_lost: lost.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32,
            highest_sequence: self.highest as u32,
            jitter: (self.jitter >> 4) as u32,
            last_sender_report,
            delay_since_last,
        })
    }
}
