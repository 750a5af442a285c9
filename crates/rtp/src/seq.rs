//! Sequence numbers and timestamps that wrap, made into counters that do not.

/// Whether `a` comes after `b` (RFC 3550 appendix A.1: less than half the range ahead).
pub fn is_newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// Whether the RTP timestamp `a` comes after `b`.
pub fn is_newer_timestamp(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

/// Extends 16-bit sequence numbers to 64 bits by the highest one seen. The first becomes
/// `0x10000 + sequence`, so that what was sent before it does not underflow. A number up to 2¹⁵ − 1
/// ahead moves the counter, anything else lies behind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SequenceUnwrapper {
    highest: Option<u64>,
}

impl SequenceUnwrapper {
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues from a known counter (a relay, a restart).
    pub fn starting_at(highest: u64) -> Self {
        SequenceUnwrapper { highest: Some(highest) }
    }

    /// The extended number; remembers it when it is the highest.
    pub fn extend(&mut self, sequence: u16) -> u64 {
        let extended = self.peek(sequence);
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        extended
    }

    /// The extended number without remembering it.
    pub fn peek(&self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            return 0x1_0000 + u64::from(sequence);
        };
        let step = sequence.wrapping_sub(highest as u16) as i16;
        highest.saturating_add_signed(i64::from(step))
    }

    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

/// Extends 32-bit RTP timestamps to 64 bits, as `SequenceUnwrapper` does; the first becomes `2³² + timestamp`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimestampUnwrapper {
    highest: Option<u64>,
}

impl TimestampUnwrapper {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn starting_at(highest: u64) -> Self {
        TimestampUnwrapper { highest: Some(highest) }
    }

    pub fn extend(&mut self, timestamp: u32) -> u64 {
        let extended = self.peek(timestamp);
        self.highest = Some(self.highest.map_or(extended, |highest| highest.max(extended)));
        extended
    }

    pub fn peek(&self, timestamp: u32) -> u64 {
        let Some(highest) = self.highest else {
            return (1 << 32) + u64::from(timestamp);
        };
        let step = timestamp.wrapping_sub(highest as u32) as i32;
        highest.saturating_add_signed(i64::from(step))
    }

    pub fn highest(&self) -> Option<u64> {
        self.highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn newer() {
        assert!(is_newer(1, 0) && is_newer(0, 0xFFFF) && is_newer(0x7FFF, 0));
        assert!(!is_newer(0, 0) && !is_newer(0x8000, 0) && !is_newer(0xFFFF, 0));
        assert!(is_newer_timestamp(5, u32::MAX) && !is_newer_timestamp(u32::MAX, 5));
    }

    #[test]
    fn wraps_both_ways() {
        let mut unwrapper = SequenceUnwrapper::new();
        assert_eq!(unwrapper.extend(2), 0x1_0002);
        assert_eq!(unwrapper.extend(0xFFFF), 0xFFFF);
        assert_eq!(unwrapper.highest(), Some(0x1_0002));
        assert_eq!(unwrapper.extend(0x8001), 0x1_8001);
        assert_eq!(unwrapper.extend(0), 0x2_0000);
        assert_eq!(unwrapper.peek(0xFFFF), 0x1_FFFF);
    }

    proptest! {
        #[test]
        fn follows_a_reordered_counter(start in 0x1_0000u64..0x2_0000, steps in prop::collection::vec(-30_000i64..32_000, 0..200)) {
            let mut unwrapper = SequenceUnwrapper::new();
            prop_assert_eq!(unwrapper.extend(start as u16), start);
            let mut highest = start;
            for step in steps {
                let truth = highest.saturating_add_signed(step).max(1);
                prop_assert_eq!(unwrapper.extend(truth as u16), truth);
                highest = highest.max(truth);
            }
        }

        #[test]
        fn total(numbers in prop::collection::vec(any::<(u16, u32)>(), 0..100), from in any::<u64>()) {
            let mut sequences = SequenceUnwrapper::starting_at(from);
            let mut timestamps = TimestampUnwrapper::starting_at(from);
            for (sequence, timestamp) in numbers {
                sequences.extend(sequence);
                timestamps.extend(timestamp);
            }
        }
    }
}
