//! NTP timestamps as RTCP and header extensions carry them (RFC 3550 §4).

use std::time::Duration;

/// Seconds from 1900-01-01 to 1970-01-01.
const UNIX_OFFSET_S: u64 = 2_208_988_800;
const NANOS_PER_S: u64 = 1_000_000_000;

/// Time in units of 2⁻³² s since 1900, modulo 2³² s (wraps in 2036).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since the Unix epoch; truncates to 2⁻³² s.
    pub fn from_unix(since_epoch: Duration) -> NtpTime {
        let seconds = since_epoch.as_secs().wrapping_add(UNIX_OFFSET_S);
        NtpTime((seconds << 32).wrapping_add(fraction(since_epoch.subsec_nanos())))
    }

    /// To the time since the Unix epoch, within 1 ns. Seconds before 1970 are taken for those after 2036.
    pub fn to_unix(self) -> Duration {
        let mut seconds = self.0 >> 32;
        if seconds < UNIX_OFFSET_S {
            seconds += 1 << 32;
        }
        let nanos = ((self.0 & 0xFFFF_FFFF) * NANOS_PER_S + (1 << 31)) >> 32;
        Duration::from_secs(seconds - UNIX_OFFSET_S) + Duration::from_nanos(nanos)
    }

    /// The middle 32 bits: 2⁻¹⁶ s, as in the LSR of report blocks.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// The 24 bits of the abs-send-time extension: 6 bits of seconds, 18 of fraction.
    pub fn abs_send_time(self) -> u32 {
        (self.0 >> 14) as u32 & 0x00FF_FFFF
    }

    /// This time minus another in units of 2⁻³² s, right over a wrap.
    pub fn since(self, earlier: NtpTime) -> i64 {
        self.0.wrapping_sub(earlier.0) as i64
    }

    /// Later by `delay`.
    pub fn later(self, delay: Duration) -> NtpTime {
        NtpTime(self.0.wrapping_add((delay.as_secs() << 32).wrapping_add(fraction(delay.subsec_nanos()))))
    }

    /// Earlier by `delay`.
    pub fn earlier(self, delay: Duration) -> NtpTime {
        NtpTime(self.0.wrapping_sub((delay.as_secs() << 32).wrapping_add(fraction(delay.subsec_nanos()))))
    }
}

/// A span in units of 2⁻¹⁶ s, as DLSR and DLRR carry it; the longest possible (18 h) when it does not fit.
pub fn to_compact(span: Duration) -> u32 {
    u32::try_from((span.as_nanos() << 16) / u128::from(NANOS_PER_S)).unwrap_or(u32::MAX)
}

/// A span from units of 2⁻¹⁶ s.
pub fn from_compact(span: u32) -> Duration {
    Duration::from_nanos((u64::from(span) * NANOS_PER_S) >> 16)
}

fn fraction(nanos: u32) -> u64 {
    (u64::from(nanos) << 32) / NANOS_PER_S
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn epoch() {
        assert_eq!(NtpTime::from_unix(Duration::ZERO), NtpTime(0x83AA_7E80_0000_0000));
        assert_eq!(NtpTime(0x83AA_7E80_8000_0000).to_unix(), Duration::from_millis(500));
        assert_eq!(NtpTime(0x1234_5678_9ABC_DEF0).middle(), 0x5678_9ABC);
    }

    #[test]
    fn abs_send_time_is_6_18() {
        // 1.5 s: six bits of seconds, eighteen of fraction.
        assert_eq!(NtpTime(0x0000_0001_8000_0000).abs_send_time(), 1 << 18 | 1 << 17);
        assert_eq!(NtpTime(64 << 32).abs_send_time(), 0);
    }

    #[test]
    fn wraps_in_2036() {
        let after = Duration::from_secs((1 << 32) - UNIX_OFFSET_S + 5);
        assert_eq!(NtpTime::from_unix(after), NtpTime(5 << 32));
        assert_eq!(NtpTime(5 << 32).to_unix(), after);
        assert_eq!(NtpTime(5).since(NtpTime(u64::MAX)), 6);
    }

    proptest! {
        #[test]
        fn unix_round_trip(seconds in 0u64..4_000_000_000, nanos in 0u32..1_000_000_000) {
            let time = Duration::new(seconds, nanos);
            let back = NtpTime::from_unix(time).to_unix();
            prop_assert!(back.abs_diff(time) <= Duration::from_nanos(1));
        }

        #[test]
        fn compact_round_trip(span in any::<u32>()) {
            prop_assert!(to_compact(from_compact(span)).abs_diff(span) <= 1);
        }

        #[test]
        fn total(a in any::<u64>(), b in any::<u64>(), seconds in any::<u64>()) {
            let delay = Duration::from_secs(seconds);
            let _ = (NtpTime(a).to_unix(), NtpTime(a).since(NtpTime(b)), NtpTime(a).later(delay), NtpTime(a).earlier(delay));
            let _ = (NtpTime::from_unix(delay), to_compact(delay));
        }
    }
}
