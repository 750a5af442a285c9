//! What a subscriber tells of congestion on one PeerConnection: arrivals (transport-cc) or an estimate (REMB), as was negotiated.

use std::time::{Duration, Instant};

use sluicegate_rtp::rtcp::{TwccStatus, Writer};
use sluicegate_rtp::seq::SequenceUnwrapper;
use sluicegate_transport::negotiate::Congestion;

/// libwebrtc's.
const ARRIVALS_INTERVAL: Duration = Duration::from_millis(100);
const ESTIMATE_INTERVAL: Duration = Duration::from_secs(1);
/// Loopback and data centres: nothing that a room sends is held back.
const ESTIMATE_BPS: u64 = 100_000_000;
/// Ticks of 250 µs in a unit of the reference time.
const TICKS_PER_REFERENCE: u64 = 256;
const STATUSES_MAX: usize = 400;

/// One PeerConnection's.
#[derive(Debug)]
pub struct CongestionFeedback {
    kind: Option<Congestion>,
    origin: Instant,
    sequence: SequenceUnwrapper,
    /// (number, ticks of 250 µs since `origin`), since the last feedback.
    arrivals: Vec<(u64, u64)>,
    /// What was told last.
    told: Option<u64>,
    count: u8,
    due: Option<Instant>,
}

impl CongestionFeedback {
    pub fn new(now: Instant) -> Self {
        Self { kind: None, origin: now, sequence: SequenceUnwrapper::new(), arrivals: Vec::new(), told: None, count: 0, due: None }
    }

    /// As negotiated.
    pub fn set_kind(&mut self, now: Instant, kind: Congestion) {
        if self.kind != Some(kind) {
            self.kind = Some(kind);
            self.due = (kind == Congestion::Remb).then_some(now);
        }
    }

    pub fn wants_arrivals(&self) -> bool {
        self.kind == Some(Congestion::TransportCc)
    }

    /// A packet with this transport-wide number arrived.
    pub fn handle_arrival(&mut self, now: Instant, sequence: u16) {
        let number = self.sequence.extend(sequence);
        let ticks = now.saturating_duration_since(self.origin).as_micros() as u64 / 250;
        self.arrivals.push((number, ticks));
        self.due.get_or_insert(now + ARRIVALS_INTERVAL);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    pub fn write(&mut self, now: Instant, ssrcs: &[u32], writer: &mut Writer<'_>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        match self.kind {
            Some(Congestion::TransportCc) => {
                self.due = None;
                self.write_arrivals(ssrcs.first().copied().unwrap_or(0), writer);
            }
            _ => {
                self.due = Some(now + ESTIMATE_INTERVAL);
                writer.remb(1, ESTIMATE_BPS, &ssrcs[..ssrcs.len().min(255)]);
            }
        }
    }

    /// Gaps since the last feedback are told as losses.
    fn write_arrivals(&mut self, media: u32, writer: &mut Writer<'_>) {
        self.arrivals.sort_unstable();
        self.arrivals.dedup_by_key(|(number, _)| *number);
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let mut rest = arrivals.as_slice();
        while let Some((first, ticks)) = rest.first().copied() {
            let base = self.told.map_or(first, |told| (told + 1).min(first)).max(first.saturating_sub(STATUSES_MAX as u64 / 2));
            let reference = ticks / TICKS_PER_REFERENCE;
            let mut last = (reference * TICKS_PER_REFERENCE) as i64;
            let mut statuses = vec![TwccStatus::Lost; (first - base) as usize];
            while let Some((number, ticks)) = rest.first().copied() {
                let Ok(delta) = i16::try_from(ticks as i64 - last) else { break };
                let len = (number - base) as usize;
                if len >= STATUSES_MAX {
                    break;
                }
                statuses.resize(len, TwccStatus::Lost);
                statuses.push(TwccStatus::Received { delta });
                last = ticks as i64;
                rest = &rest[1..];
            }
            self.told = Some(base + statuses.len() as u64 - 1);
            if writer.transport_feedback(1, media, base as u16, reference as u32, self.count, &statuses) == 0 {
                break;
            }
            self.count = self.count.wrapping_add(1);
        }
        // the allocation serves again
        arrivals.clear();
        self.arrivals = arrivals;
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_rtp::rtcp::{Compound, Packet};

    use super::*;

    fn told(feedback: &mut CongestionFeedback, now: Instant) -> Vec<(u16, bool)> {
        let mut buffer = [0; 1200];
        let mut writer = Writer::new(&mut buffer);
        feedback.write(now, &[7], &mut writer);
        let len = writer.len();
        let mut told = Vec::new();
        for packet in Compound::parse(&buffer[..len]) {
            if let Packet::TransportFeedback(packet) = packet {
                told.extend(packet.statuses().map(|(number, status)| (number, matches!(status, TwccStatus::Received { .. }))));
            }
        }
        told
    }

    #[test]
    fn arrivals_are_told_once_and_gaps_as_losses() {
        let start = Instant::now();
        let mut feedback = CongestionFeedback::new(start);
        feedback.set_kind(start, Congestion::TransportCc);
        for (ms, number) in [(0, 65_534), (1, 65_535), (2, 1), (3, 0)] {
            feedback.handle_arrival(start + Duration::from_millis(ms), number);
        }
        let due = feedback.poll_timeout().unwrap();
        assert_eq!(due, start + ARRIVALS_INTERVAL);
        assert_eq!(told(&mut feedback, due), [(65_534, true), (65_535, true), (0, true), (1, true)]);
        feedback.handle_arrival(due, 4);
        let due = feedback.poll_timeout().unwrap();
        assert_eq!(told(&mut feedback, due), [(2, false), (3, false), (4, true)]);
        assert_eq!(feedback.poll_timeout(), None);
    }

    #[test]
    fn an_estimate_a_second() {
        let start = Instant::now();
        let mut feedback = CongestionFeedback::new(start);
        feedback.set_kind(start, Congestion::Remb);
        let mut buffer = [0; 1200];
        let mut writer = Writer::new(&mut buffer);
        feedback.write(start, &[7, 8], &mut writer);
        let len = writer.len();
        let packets: Vec<_> = Compound::parse(&buffer[..len]).collect();
        let [Packet::Remb(remb)] = packets.as_slice() else { panic!("{packets:?}") };
        assert_eq!(remb.ssrcs().collect::<Vec<_>>(), [7, 8]);
        assert_eq!(feedback.poll_timeout(), Some(start + ESTIMATE_INTERVAL));
    }
}
