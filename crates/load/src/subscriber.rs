//! A track the client receives: what arrived, what is missing, the reports about it. Missing packets are asked for as libwebrtc
//! does: at once, then each round trip, ten times at most.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::ntp::{self, NtpTime};
use sluicegate_rtp::rtcp::{ReportBlock, Writer};
use sluicegate_rtp::seq::SequenceUnwrapper;

/// libwebrtc's default before it knows better.
const ROUND_TRIP: Duration = Duration::from_millis(100);
const TRIES_MAX: u32 = 10;
/// What is missing for longer than this is lost.
pub const LIFE: Duration = Duration::from_secs(1);
/// libwebrtc looks for due requests this often.
const INTERVAL: Duration = Duration::from_millis(20);
/// Numbers that are remembered, to tell a duplicate from a late packet.
const WINDOW: u64 = 2048;
/// A longer gap is not asked for.
const GAP_MAX: u64 = 1000;

/// What came of a track so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// First copies and repairs.
    pub packets: u64,
    pub bytes: u64,
    pub repaired: u64,
    pub duplicates: u64,
    /// Missing for longer than [`LIFE`].
    pub lost: u64,
}

#[derive(Debug)]
pub struct Subscription {
    pub ssrc: u32,
    pub kind: MediaKind,
    pub codec: Codec,
    /// As the server names it.
    pub track_sid: String,
    /// The last offer has it.
    pub active: bool,
    pub counts: Counts,
    sequence: SequenceUnwrapper,
    seen: Box<[u64]>,
    first: Option<u64>,
    newest: u64,
    missing: VecDeque<Missing>,
    next_look: Option<Instant>,
    last_report: Option<(u32, Instant)>,
    /// Expected and received at the last receiver report.
    reported: (u64, u64),
}

#[derive(Debug)]
struct Missing {
    number: u64,
    since: Instant,
    asked: Option<Instant>,
    tries: u32,
}

impl Subscription {
    pub fn new(ssrc: u32, codec: Codec, track_sid: String) -> Self {
        Self {
            ssrc,
            kind: codec.kind(),
            codec,
            track_sid,
            active: true,
            counts: Counts::default(),
            sequence: SequenceUnwrapper::new(),
            seen: vec![0; WINDOW as usize / 64].into_boxed_slice(),
            first: None,
            newest: 0,
            missing: VecDeque::new(),
            next_look: None,
            last_report: None,
            reported: (0, 0),
        }
    }

    /// A packet or its repair arrived; false: a duplicate.
    pub fn handle_packet(&mut self, now: Instant, sequence: u16) -> bool {
        let number = self.sequence.extend(sequence);
        if self.first.is_none() {
            self.first = Some(number);
            self.newest = number - 1;
        }
        if number > self.newest {
            self.advance(now, number);
        } else if !self.fill(number) {
            self.counts.duplicates += 1;
            return false;
        }
        self.counts.packets += 1;
        true
    }

    pub fn handle_sender_report(&mut self, now: Instant, ntp: NtpTime) {
        self.last_report = Some((ntp.middle(), now));
    }

    /// Asks for what is due, and gives up what has been missing for too long.
    pub fn write_nack(&mut self, now: Instant, writer: &mut Writer<'_>) {
        if self.next_look.is_none_or(|at| at > now) {
            return;
        }
        let mut due = Vec::new();
        let lost = &mut self.counts.lost;
        self.missing.retain_mut(|missing| {
            if now.saturating_duration_since(missing.since) > LIFE {
                *lost += 1;
                return false;
            }
            let again = missing.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ROUND_TRIP);
            if again && missing.tries < TRIES_MAX {
                missing.asked = Some(now);
                missing.tries += 1;
                due.push(missing.number as u16);
            }
            true
        });
        if !due.is_empty() {
            writer.nack(1, self.ssrc, &due);
        }
        self.next_look = (!self.missing.is_empty()).then(|| now + INTERVAL);
    }

    /// For a receiver report; none before the first packet.
    pub fn report_block(&mut self, now: Instant) -> Option<ReportBlock> {
        let expected = self.newest + 1 - self.first?;
        let received = self.counts.packets;
        let (new, came) = (expected - self.reported.0, received - self.reported.1);
        self.reported = (expected, received);
        let fraction_lost = new.saturating_sub(came).saturating_mul(256).checked_div(new).unwrap_or(0).min(255) as u8;
        let (last_sender_report, delay_since_last) = match self.last_report {
            Some((middle, at)) => (middle, ntp::to_compact(now.saturating_duration_since(at))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost,
            cumulative_lost: expected.saturating_sub(received).min(i32::MAX as u64) as i32,
            highest_sequence: self.newest as u32,
            last_sender_report,
            delay_since_last,
            ..ReportBlock::default()
        })
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_look
    }

    fn advance(&mut self, now: Instant, number: u64) {
        let gap = number - self.newest - 1;
        if gap > 0 {
            let asked_for = gap.min(GAP_MAX);
            self.counts.lost += gap - asked_for;
            for hole in number - gap..number {
                self.set(hole, false);
            }
            let holes = number - asked_for..number;
            self.missing.extend(holes.map(|number| Missing { number, since: now, asked: None, tries: 0 }));
            self.next_look.get_or_insert(now);
        }
        self.set(number, true);
        self.newest = number;
    }

    /// A number behind the newest; false: it was there, or is too old to tell.
    fn fill(&mut self, number: u64) -> bool {
        if self.newest - number >= WINDOW || self.is_set(number) {
            return false;
        }
        self.set(number, true);
        if let Ok(at) = self.missing.binary_search_by_key(&number, |missing| missing.number) {
            self.missing.remove(at);
        }
        true
    }

    fn set(&mut self, number: u64, seen: bool) {
        if let Some(word) = self.seen.get_mut((number % WINDOW / 64) as usize) {
            let bit = 1 << (number % 64);
            *word = if seen { *word | bit } else { *word & !bit };
        }
    }

    fn is_set(&self, number: u64) -> bool {
        self.seen.get((number % WINDOW / 64) as usize).is_some_and(|word| word & 1 << (number % 64) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscription() -> Subscription {
        Subscription::new(1, Codec::Vp8, "TR_a".to_owned())
    }

    fn nacks(subscription: &mut Subscription, now: Instant) -> usize {
        let mut buffer = [0; 1200];
        let mut writer = Writer::new(&mut buffer);
        subscription.write_nack(now, &mut writer);
        writer.len()
    }

    #[test]
    fn a_hole_is_asked_for_and_filled_once() {
        let now = Instant::now();
        let mut subscription = subscription();
        for sequence in [65_534, 65_535, 1] {
            assert!(subscription.handle_packet(now, sequence));
        }
        assert!(nacks(&mut subscription, now) > 0);
        assert_eq!(nacks(&mut subscription, now + INTERVAL), 0);
        assert!(nacks(&mut subscription, now + ROUND_TRIP) > 0);
        assert!(subscription.handle_packet(now, 0));
        assert!(!subscription.handle_packet(now, 0));
        assert!(!subscription.handle_packet(now, 65_534));
        assert_eq!(nacks(&mut subscription, now + 2 * ROUND_TRIP), 0);
        assert_eq!(subscription.poll_timeout(), None);
        assert_eq!(subscription.counts, Counts { packets: 4, duplicates: 2, ..Counts::default() });
    }

    #[test]
    fn what_stays_away_is_lost_at_last() {
        let now = Instant::now();
        let mut subscription = subscription();
        subscription.handle_packet(now, 10);
        subscription.handle_packet(now, 13);
        nacks(&mut subscription, now + LIFE);
        assert_eq!(subscription.counts.lost, 0);
        nacks(&mut subscription, now + LIFE + INTERVAL);
        assert_eq!((subscription.counts.lost, subscription.poll_timeout()), (2, None));
    }

    #[test]
    fn a_window_ago_is_forgotten() {
        let now = Instant::now();
        let mut subscription = subscription();
        for sequence in 0..5000u16 {
            assert!(subscription.handle_packet(now, sequence));
        }
        assert!(!subscription.handle_packet(now, 4999));
        assert!(!subscription.handle_packet(now, 100));
        assert_eq!(subscription.counts.lost, 0);
    }

    #[test]
    fn reports_tell_the_share_since_the_last_one() {
        let now = Instant::now();
        let mut subscription = subscription();
        assert_eq!(subscription.report_block(now), None);
        for sequence in [0, 1, 3] {
            subscription.handle_packet(now, sequence);
        }
        let block = subscription.report_block(now).unwrap();
        assert_eq!((block.fraction_lost, block.cumulative_lost), (64, 1));
        subscription.handle_packet(now, 4);
        assert_eq!(subscription.report_block(now).unwrap().fraction_lost, 0);
    }
}
