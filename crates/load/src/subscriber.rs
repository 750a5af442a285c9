//! A track the client receives: what arrived, what is missing, the reports about it. Missing packets are asked for as libwebrtc
//! does: at once, then each round trip, ten times at most.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluicegate_rtp::ntp::{self, NtpTime};
use sluicegate_rtp::rtcp::{ReportBlock, Writer};
use sluicegate_rtp::seq::SequenceUnwrapper;

/// libwebrtc's default before it knows better.
const ROUND_TRIP: Duration = Duration::from_millis(100);
const TRIES_MAX: u32 = 10;
const LIFE: Duration = Duration::from_secs(1);
/// libwebrtc looks for due requests this often.
const INTERVAL: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub struct Subscription {
    pub ssrc: u32,
    sequence: SequenceUnwrapper,
    seen: BTreeMap<u64, ()>,
    newest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
    next_look: Option<Instant>,
    received: u64,
    first: Option<u64>,
    last_report: Option<(u32, Instant)>,
    report_due: Option<Instant>,
}

#[derive(Debug)]
struct Missing {
    since: Instant,
    asked: Option<Instant>,
    tries: u32,
}

impl Subscription {
    pub fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            sequence: SequenceUnwrapper::new(),
            seen: BTreeMap::new(),
            newest: None,
            missing: BTreeMap::new(),
            next_look: None,
            received: 0,
            first: None,
            last_report: None,
            report_due: None,
        }
    }

    /// A packet or its repair arrived; false: a duplicate.
    pub fn handle_packet(&mut self, now: Instant, sequence: u16) -> bool {
        let ext = self.sequence.extend(sequence);
        if self.seen.insert(ext, ()).is_some() {
            return false;
        }
        if self.seen.len() > 4000 {
            self.seen.pop_first();
        }
        self.first.get_or_insert(ext);
        self.received += 1;
        self.missing.remove(&ext);
        self.report_due.get_or_insert(now + Duration::from_millis(100));
        let newest = self.newest.unwrap_or(ext);
        if ext > newest {
            for hole in newest + 1..ext.min(newest + 1000) {
                self.missing.insert(hole, Missing { since: now, asked: None, tries: 0 });
            }
        }
        self.newest = Some(newest.max(ext));
        if !self.missing.is_empty() && self.next_look.is_none() {
            self.next_look = Some(now);
        }
        true
    }

    pub fn handle_sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.last_report = Some((ntp.middle(), now));
    }

    /// Writes what is due: NACKs, and a receiver report a second.
    pub fn write(&mut self, now: Instant, writer: &mut Writer<'_>) {
        if self.next_look.is_some_and(|at| at <= now) {
            let due = self.due(now);
            if !due.is_empty() {
                writer.nack(1, self.ssrc, &due);
            }
            self.next_look = (!self.missing.is_empty()).then(|| now + INTERVAL);
        }
        if self.report_due.is_some_and(|at| at <= now) {
            self.report_due = Some(now + Duration::from_secs(1));
            let (last_sender_report, delay_since_last) = match self.last_report {
                Some((middle, at)) => (middle, ntp::to_compact(now.saturating_duration_since(at))),
                None => (0, 0),
            };
            let highest_sequence = self.newest.unwrap_or(0) as u32;
            let block =
                ReportBlock { ssrc: self.ssrc, highest_sequence, last_sender_report, delay_since_last, ..ReportBlock::default() };
            writer.receiver_report(1, &[block]);
        }
    }

    fn due(&mut self, now: Instant) -> Vec<u16> {
        let mut due = Vec::new();
        self.missing.retain(|ext, missing| {
            if missing.tries >= TRIES_MAX || now.saturating_duration_since(missing.since) > LIFE {
                return false;
            }
            if missing.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ROUND_TRIP) {
                missing.asked = Some(now);
                missing.tries += 1;
                due.push(*ext as u16);
            }
            true
        });
        due
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.next_look, self.report_due].into_iter().flatten().min()
    }
}
