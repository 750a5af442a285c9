//! What is missing, and when to ask for it again.
//!
//! The first request waits out a little reordering; the next ones come a round trip apart, so that no answer is asked for twice.

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;

/// Packets that may be missing at once; a longer hole is a new start, not a loss.
const MISSING_MAX: usize = 256;
/// A hole longer than this is not asked for: a key frame is cheaper.
const HOLE_MAX: u64 = 200;
/// Packets that overtake each other usually arrive within this.
const REORDERING: Duration = Duration::from_millis(10);
/// Nothing is of use so long after it was missed.
const LIFE: Duration = Duration::from_millis(1000);
const TRIES_MAX: u8 = 10;
/// Before the way is known.
const ROUND_TRIP_DEFAULT: Duration = Duration::from_millis(70);
const ROUND_TRIP_BOUNDS: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(400));
/// Sequence numbers of one request.
pub const REQUEST_MAX: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Missing {
    ext_seq: u64,
    since: Instant,
    next: Instant,
    tries: u8,
}

/// The missing packets of one stream.
#[derive(Debug)]
pub struct NackGenerator {
    missing: Vec<Missing>,
    newest: Option<u64>,
    round_trip: Duration,
}

impl Default for NackGenerator {
    fn default() -> Self {
        Self { missing: Vec::with_capacity(MISSING_MAX), newest: None, round_trip: ROUND_TRIP_DEFAULT }
    }
}

impl NackGenerator {
    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip.clamp(ROUND_TRIP_BOUNDS.0, ROUND_TRIP_BOUNDS.1);
    }

    /// A packet arrived.
    pub fn handle_packet(&mut self, now: Instant, ext_seq: u64) {
        let Some(newest) = self.newest else {
            self.newest = Some(ext_seq);
            return;
        };
        if ext_seq <= newest {
            if let Ok(at) = self.missing.binary_search_by_key(&ext_seq, |missing| missing.ext_seq) {
                self.missing.remove(at);
            }
            return;
        }
        if ext_seq - newest > HOLE_MAX {
            self.missing.clear();
        } else {
            for hole in newest + 1..ext_seq {
                if self.missing.len() == MISSING_MAX {
                    self.missing.remove(0);
                }
                self.missing.push(Missing { ext_seq: hole, since: now, next: now + REORDERING, tries: 0 });
            }
        }
        self.newest = Some(ext_seq);
    }

    /// The numbers to ask for now, ascending.
    pub fn take_due(&mut self, now: Instant) -> ArrayVec<u16, REQUEST_MAX> {
        let mut due = ArrayVec::new();
        // a little over a round trip, so that the answer under way is not asked for again
        let wait = self.round_trip + self.round_trip / 10 + Duration::from_millis(5);
        self.missing.retain_mut(|missing| {
            if missing.next > now || due.is_full() {
                return true;
            }
            if missing.tries >= TRIES_MAX || now.saturating_duration_since(missing.since) > LIFE {
                return false;
            }
            missing.tries += 1;
            missing.next = now + wait;
            due.push(missing.ext_seq as u16);
            true
        });
        due
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.next).min()
    }

    pub fn missing(&self) -> usize {
        self.missing.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn asked_after_reordering_and_then_a_round_trip_apart() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut nack = NackGenerator::default();
        nack.set_round_trip(Duration::from_millis(100));
        nack.handle_packet(at(0), 70_000);
        nack.handle_packet(at(0), 70_003);
        assert!(nack.take_due(at(5)).is_empty());
        assert_eq!(nack.take_due(at(10)).as_slice(), [70_001u64 as u16, 70_002u64 as u16]);
        nack.handle_packet(at(50), 70_001);
        assert!(nack.take_due(at(110)).is_empty());
        assert_eq!(nack.take_due(at(130)).as_slice(), [70_002u64 as u16]);
        nack.handle_packet(at(140), 70_002);
        assert_eq!((nack.missing(), nack.poll_timeout()), (0, None));
    }

    #[test]
    fn a_long_hole_is_not_asked_for() {
        let now = Instant::now();
        let mut nack = NackGenerator::default();
        nack.handle_packet(now, 70_000);
        nack.handle_packet(now, 90_000);
        assert_eq!(nack.missing(), 0);
    }

    proptest! {
        #[test]
        fn bounded_and_never_for_what_is_there(steps in prop::collection::vec((0u64..600, 0u64..50), 1..300)) {
            let mut now = Instant::now();
            let mut nack = NackGenerator::default();
            let mut got = std::collections::BTreeSet::new();
            for (sequence, ms) in steps {
                now += Duration::from_millis(ms);
                let ext = 70_000 + sequence;
                got.insert(ext as u16);
                nack.handle_packet(now, ext);
                for asked in nack.take_due(now) {
                    prop_assert!(!got.contains(&asked));
                }
                prop_assert!(nack.missing() <= MISSING_MAX);
            }
            for _ in 0..200 {
                now += Duration::from_millis(50);
                nack.take_due(now);
            }
            prop_assert_eq!(nack.missing(), 0, "it gives up");
        }
    }
}
