//! How many requests one connection may make: more than any honest client does, and few enough that a hostile one cannot keep a
//! room, and everybody in it, busy.

use std::time::{Duration, Instant};

use sluicegate_contract::limit::SUBSCRIPTIONS_PER_SESSION_MAX;

/// At once: a client may ask for every track it can have and set each of them up, several times over.
const BURST: u32 = 8 * SUBSCRIPTIONS_PER_SESSION_MAX as u32;
/// From then on one request in so much time, that is 200 a second.
const INTERVAL: Duration = Duration::from_millis(5);
/// A request counts once more for each of these bytes.
const BYTES: usize = 4096;

/// A bucket that fills with time.
#[derive(Debug)]
pub struct Allowance {
    left: u32,
    counted: Instant,
}

impl Allowance {
    pub fn new(now: Instant) -> Self {
        Self { left: BURST, counted: now }
    }

    /// False: this request is one too many.
    pub fn take(&mut self, now: Instant, bytes: usize) -> bool {
        let earned = now.saturating_duration_since(self.counted).as_nanos() / INTERVAL.as_nanos();
        match u32::try_from(earned) {
            Ok(earned) if earned < BURST => {
                self.left = BURST.min(self.left + earned);
                self.counted += INTERVAL * earned;
            }
            _ => *self = Self::new(now),
        }
        let cost = u32::try_from(bytes / BYTES).unwrap_or(u32::MAX).saturating_add(1);
        let left = self.left.checked_sub(cost);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_two_hundred_a_second() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        assert!((0..BURST).all(|_| allowance.take(start, 100)));
        assert!(!allowance.take(start, 0));
        let later = start + Duration::from_millis(999);
        assert_eq!((0..1000).filter(|_| allowance.take(later, 100)).count(), 199);
        assert!(allowance.take(start + Duration::from_secs(1), 100), "what is left of an interval counts");
        let much_later = start + Duration::from_secs(1 << 20);
        assert!((0..BURST).all(|_| allowance.take(much_later, 100)) && !allowance.take(much_later, 0));
    }

    #[test]
    fn large_requests_count_more() {
        let start = Instant::now();
        let mut allowance = Allowance::new(start);
        let frames = (0..).take_while(|_| allowance.take(start, 2 << 20)).count();
        assert_eq!(frames, BURST as usize / 513);
        assert!(allowance.take(start, 1000), "a small one still fits");
    }
}
