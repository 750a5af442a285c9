//! What was sent lately, so that it can be sent again: numbers only, the bytes lie in the receiver's ring.

use std::time::{Duration, Instant};

use crate::down_track::Rewritten;
use crate::receiver::Layer;

/// Times one packet is sent again (LiveKit: 3; a fourth and fifth make a hole of a second rare at 5 % loss).
const TRIES_MAX: u8 = 5;

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The subscriber's extended number; 0: empty.
    output: u64,
    source: u64,
    rewritten: Rewritten,
    layer: Layer,
    tries: u8,
    /// Milliseconds since the ring's origin.
    sent_ms: u32,
}

/// The newest packets of one down track.
#[derive(Debug)]
pub struct ResendRing {
    entries: Vec<Option<Entry>>,
    capacity: usize,
    origin: Option<Instant>,
}

/// A packet to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resend {
    pub layer: Layer,
    pub source: u64,
    pub rewritten: Rewritten,
}

impl ResendRing {
    /// `capacity` packets, a power of two.
    pub fn new(capacity: usize) -> Self {
        Self { entries: Vec::new(), capacity: capacity.next_power_of_two(), origin: None }
    }

    pub fn store(&mut self, now: Instant, layer: Layer, source: u64, rewritten: Rewritten) {
        if self.entries.is_empty() {
            self.entries = vec![None; self.capacity];
        }
        let sent_ms = self.ms(now);
        let at = rewritten.ext_seq as usize & (self.capacity - 1);
        if let Some(slot) = self.entries.get_mut(at)
            && slot.is_none_or(|entry| entry.output < rewritten.ext_seq)
        {
            *slot = Some(Entry { output: rewritten.ext_seq, source, rewritten, layer, tries: 0, sent_ms });
        }
    }

    /// The subscriber misses `output`. None: unknown, sent within a round trip, or sent often enough.
    pub fn request(&mut self, now: Instant, output: u64, round_trip: Duration) -> Option<Resend> {
        let now_ms = self.ms(now);
        let entry = self.entries.get_mut(output as usize & (self.capacity - 1))?.as_mut()?;
        // the answer may still be under way; a little less than a round trip, because the peer's estimate differs
        let wait = (round_trip.as_millis() as u32).saturating_mul(8) / 10;
        if entry.output != output || entry.tries >= TRIES_MAX || now_ms.wrapping_sub(entry.sent_ms) < wait {
            return None;
        }
        entry.tries += 1;
        entry.sent_ms = now_ms;
        Some(Resend { layer: entry.layer, source: entry.source, rewritten: entry.rewritten })
    }

    fn ms(&mut self, now: Instant) -> u32 {
        let origin = *self.origin.get_or_insert(now);
        now.saturating_duration_since(origin).as_millis() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(ext_seq: u64) -> Rewritten {
        Rewritten { ext_seq, timestamp: 0, marker: false, vp8: None }
    }

    #[test]
    fn a_round_trip_apart_and_not_for_ever() {
        let start = Instant::now();
        let round_trip = Duration::from_millis(100);
        let mut ring = ResendRing::new(8);
        for sequence in 1..20 {
            ring.store(start, Layer(0), 1000 + sequence, rewritten(sequence));
        }
        assert_eq!(ring.request(start + round_trip, 3, round_trip), None, "overwritten");
        assert_eq!(ring.request(start, 15, round_trip), None, "just sent");
        let mut sent = 0;
        for ms in (100..5000).step_by(30) {
            sent += u32::from(ring.request(start + Duration::from_millis(ms), 15, round_trip).is_some_and(|r| r.source == 1015));
        }
        assert_eq!(sent, u32::from(TRIES_MAX));
    }
}
