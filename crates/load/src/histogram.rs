//! Times as a histogram of bounded memory: each power of two is cut into 64 buckets, so that a value is known to 1.6 %.

use std::time::Duration;

const PARTS_BITS: u32 = 6;
const PARTS: u64 = 1 << PARTS_BITS;
/// Values from here on (18 minutes) share the last bucket.
const BITS_MAX: u32 = 40;
const BUCKETS: usize = ((BITS_MAX - PARTS_BITS + 1) as usize) << PARTS_BITS;

/// Counts of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Empty until the first value.
    counts: Vec<u32>,
    total: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    pub const fn new() -> Self {
        Self { counts: Vec::new(), total: 0, max_ns: 0 }
    }

    pub fn record(&mut self, ns: u64) {
        if self.counts.is_empty() {
            self.counts.resize(BUCKETS, 0);
        }
        if let Some(count) = self.counts.get_mut(bucket(ns)) {
            *count = count.saturating_add(1);
        }
        self.total += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    pub fn merge(&mut self, other: &Histogram) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(BUCKETS, 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    pub fn count(&self) -> u64 {
        self.total
    }

    pub fn max(&self) -> Option<Duration> {
        (self.total > 0).then(|| Duration::from_nanos(self.max_ns))
    }

    /// The value that `share` (0 to 1) of all do not exceed.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = ((self.total as f64 * share).ceil() as u64).clamp(1, self.total.max(1));
        let mut passed = 0;
        let at = self.counts.iter().position(|count| {
            passed += u64::from(*count);
            passed >= wanted
        })?;
        Some(Duration::from_nanos(upper(at).min(self.max_ns)))
    }
}

/// Below [`PARTS`] each value has its own bucket.
fn bucket(ns: u64) -> usize {
    let bits = u64::BITS - ns.leading_zeros();
    if bits > BITS_MAX {
        return BUCKETS - 1;
    }
    let shift = bits.saturating_sub(PARTS_BITS + 1);
    ((u64::from(shift) << PARTS_BITS) + (ns >> shift)) as usize
}

/// The largest value of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * PARTS {
        return bucket;
    }
    let shift = (bucket >> PARTS_BITS) - 1;
    ((((bucket & (PARTS - 1)) | PARTS) + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantiles_of_a_thousand() {
        let mut histogram = Histogram::new();
        assert_eq!((histogram.quantile(0.5), histogram.max()), (None, None));
        for ms in 1..=1000 {
            histogram.record(ms * 1_000_000);
        }
        for (share, ms) in [(0.0, 1.0), (0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let value = histogram.quantile(share).unwrap().as_secs_f64() * 1000.0;
            assert!((value / ms - 1.0).abs() < 0.016, "{share}: {value}");
        }
        assert_eq!(histogram.max(), Some(Duration::from_secs(1)));
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket(ns in 0u64..1 << BITS_MAX) {
            let at = bucket(ns);
            prop_assert!(at < BUCKETS && upper(at) >= ns);
            prop_assert!(at == 0 || upper(at - 1) < ns);
            prop_assert!(upper(at) - ns <= ns / PARTS);
        }

        #[test]
        fn merged_is_as_recorded_together(a in prop::collection::vec(any::<u64>(), 0..50), b in prop::collection::vec(any::<u64>(), 0..50)) {
            let of = |values: &[u64]| {
                let mut histogram = Histogram::new();
                values.iter().for_each(|value| histogram.record(*value));
                histogram
            };
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }
}
