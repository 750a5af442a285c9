//! Wall-clock time for cores that may not read a clock.

use std::time::{Duration, Instant};

/// Ties the monotonic clock, which cores are handed, to Unix time, which the wire shows.
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    at: Instant,
    unix: Duration,
}

impl WallClock {
    /// `unix` is the time since the Unix epoch at the moment `at`.
    pub const fn new(at: Instant, unix: Duration) -> Self {
        Self { at, unix }
    }

    /// Time since the Unix epoch at `now`.
    pub fn unix(&self, now: Instant) -> Duration {
        match now.checked_duration_since(self.at) {
            Some(later) => self.unix.saturating_add(later),
            None => self.unix.saturating_sub(self.at.saturating_duration_since(now)),
        }
    }

    /// The moment at which Unix time is `unix`; the clock's own beginning where that is out of range.
    pub fn instant(&self, unix: Duration) -> Instant {
        let moment = match unix.checked_sub(self.unix) {
            Some(later) => self.at.checked_add(later),
            None => self.at.checked_sub(self.unix.saturating_sub(unix)),
        };
        moment.unwrap_or(self.at)
    }

    /// Whole seconds since the Unix epoch, as most of LiveKit's fields have them.
    pub fn unix_secs(&self, now: Instant) -> i64 {
        i64::try_from(self.unix(now).as_secs()).unwrap_or(i64::MAX)
    }

    /// Milliseconds since the Unix epoch.
    pub fn unix_ms(&self, now: Instant) -> i64 {
        i64::try_from(self.unix(now).as_millis()).unwrap_or(i64::MAX)
    }
}
