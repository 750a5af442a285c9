//! Transport-wide feedback: which packets of a PeerConnection arrived when. The publisher's congestion control lives on it.

use std::time::{Duration, Instant};

use sluicegate_rtp::rtcp::{TwccStatus, Writer};

/// Feedback goes out at least so often while packets come (LiveKit: 100 ms; more often where frames end).
const INTERVAL: Duration = Duration::from_millis(100);
const INTERVAL_AFTER_MARKER: Duration = Duration::from_millis(50);
/// Packets remembered; at 1000 a second an interval holds a tenth.
const WINDOW: usize = 1024;
/// Ticks of the reference time.
const REFERENCE_MS: u64 = 64;

/// Arrivals of one PeerConnection since the last feedback.
#[derive(Debug)]
pub struct TwccRecorder {
    /// Arrival in ticks of 250 µs since `origin`, plus one; 0: not arrived.
    arrivals: Box<[u64]>,
    origin: Option<Instant>,
    /// First number of the next feedback, and the newest that arrived (extended).
    base: u64,
    newest: u64,
    media_ssrc: u32,
    due: Option<Instant>,
    count: u8,
}

impl Default for TwccRecorder {
    fn default() -> Self {
        Self { arrivals: Box::new([]), origin: None, base: 0, newest: 0, media_ssrc: 0, due: None, count: 0 }
    }
}

impl TwccRecorder {
    /// Notes an arrival; true when feedback falls due earlier than it was going to.
    pub fn handle_packet(&mut self, now: Instant, sequence: u16, ssrc: u32, marker: bool) -> bool {
        if self.arrivals.is_empty() {
            self.arrivals = vec![0; WINDOW].into_boxed_slice();
            self.base = 0x1_0000 + u64::from(sequence);
            self.newest = self.base;
        }
        let origin = *self.origin.get_or_insert(now);
        let step = i64::from(sequence.wrapping_sub(self.newest as u16) as i16);
        let ext = self.newest.saturating_add_signed(step);
        if ext < self.base {
            return false;
        }
        if ext > self.newest {
            for skipped in (self.newest + 1..ext).take(WINDOW) {
                self.set(skipped, 0);
            }
            self.newest = ext;
            if ext - self.base >= WINDOW as u64 {
                self.base = ext + 1 - WINDOW as u64;
            }
        }
        let ticks = now.saturating_duration_since(origin).as_micros() as u64 / 250;
        self.set(ext, ticks + 1);
        self.media_ssrc = ssrc;
        let wait = if marker { INTERVAL_AFTER_MARKER } else { INTERVAL };
        let earlier = self.due.is_none_or(|due| now + wait < due);
        if earlier {
            self.due = Some(now + wait);
        }
        earlier
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Writes what arrived since the last call, if it is time.
    pub fn write_due(&mut self, now: Instant, sender: u32, writer: &mut Writer<'_>) {
        if self.due.is_none_or(|due| due > now) {
            return;
        }
        self.due = None;
        while self.base <= self.newest {
            let written = self.write_one(sender, writer);
            if written == 0 {
                break;
            }
            self.base += written;
        }
    }

    fn write_one(&mut self, sender: u32, writer: &mut Writer<'_>) -> u64 {
        let mut status = arrayvec::ArrayVec::<TwccStatus, 400>::new();
        let first = (self.base..=self.newest).find_map(|ext| self.get(ext));
        let Some(first) = first else {
            // nothing of this stretch arrived: the peer infers that from the next feedback
            return self.newest + 1 - self.base;
        };
        let reference = first * 250 / 1000 / REFERENCE_MS;
        let mut last = (reference * REFERENCE_MS * 4) as i64;
        for ext in self.base..=self.newest {
            let next = match self.get(ext) {
                None => TwccStatus::Lost,
                Some(ticks) => {
                    let Ok(delta) = i16::try_from(ticks as i64 - last) else { break };
                    last = ticks as i64;
                    TwccStatus::Received { delta }
                }
            };
            if status.try_push(next).is_err() {
                break;
            }
        }
        let written = writer.transport_feedback(sender, self.media_ssrc, self.base as u16, reference as u32, self.count, &status);
        if written > 0 {
            self.count = self.count.wrapping_add(1);
        }
        written as u64
    }

    fn set(&mut self, ext: u64, value: u64) {
        if let Some(slot) = self.arrivals.get_mut(ext as usize % WINDOW) {
            *slot = value;
        }
    }

    fn get(&self, ext: u64) -> Option<u64> {
        self.arrivals.get(ext as usize % WINDOW).copied()?.checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_rtp::rtcp::{Compound, Packet};

    use super::*;

    #[test]
    fn losses_and_arrivals_are_told_once() {
        let start = Instant::now();
        let mut recorder = TwccRecorder::default();
        let mut told = Vec::new();
        for index in 0..300u64 {
            let now = start + Duration::from_millis(7 * index);
            if index % 10 != 3 {
                recorder.handle_packet(now, (65_400 + index) as u16, 9, false);
            }
            let mut buffer = [0u8; 1400];
            let mut writer = Writer::new(&mut buffer);
            recorder.write_due(now, 1, &mut writer);
            let len = writer.len();
            for packet in Compound::parse(&buffer[..len]) {
                let Packet::TransportFeedback(feedback) = packet else { panic!("{packet:?}") };
                let mut at = u64::from(feedback.reference_64ms) * 64 * 4;
                for (sequence, status) in feedback.statuses() {
                    if let TwccStatus::Received { delta } = status {
                        at = at.saturating_add_signed(i64::from(delta));
                        told.push((sequence, Some(at)));
                    } else {
                        told.push((sequence, None));
                    }
                }
            }
        }
        assert!(told.len() > 280);
        for (index, (sequence, at)) in told.iter().enumerate() {
            assert_eq!(*sequence, (65_400 + index as u64) as u16);
            assert_eq!(*at, (index % 10 != 3).then_some(7 * 4 * index as u64));
        }
    }
}
