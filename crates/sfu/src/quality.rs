//! How good a participant's connection is: loss and delay of all its streams in both directions, gathered and judged.
//!
//! The judgement follows LiveKit's: from 100 the loss in percent times a weight is taken off, and what the delay costs a conversation
//! (ITU-T G.107 in its simplified form). Bitrates and layers do not count yet.

use std::time::{Duration, Instant};

/// How often a judgement is given (LiveKit: 5 s).
const INTERVAL: Duration = Duration::from_secs(5);
/// Points a percent of loss costs (LiveKit: 8 for Opus, 10 for video).
const LOSS_WEIGHT: f64 = 9.0;
/// What a jitter buffer and coding add to the way.
const PROCESSING_MS: f64 = 10.0;

/// Gathers what the reports say between two judgements.
#[derive(Clone, Copy, Debug, Default)]
pub struct QualityMeter {
    /// Sum of the fractions lost, in 1/256, and how many there were.
    lost: u32,
    reports: u32,
    due: Option<Instant>,
}

impl QualityMeter {
    /// A report block of one stream: the fraction lost in 1/256 (RFC 3550 §6.4.1).
    pub fn handle_report(&mut self, fraction_lost: u8) {
        self.lost = self.lost.saturating_add(u32::from(fraction_lost));
        self.reports = self.reports.saturating_add(1);
    }

    /// The score from 0 to 100 of the time since the last one, when it is time and there was anything to judge.
    pub fn take_due(&mut self, now: Instant, round_trip: Option<Duration>) -> Option<u8> {
        let due = *self.due.get_or_insert(now + INTERVAL);
        if now < due {
            return None;
        }
        let Self { lost, reports, .. } = std::mem::replace(self, Self { due: Some(now + INTERVAL), ..Self::default() });
        (reports > 0).then(|| score(f64::from(lost) / f64::from(reports) / 256.0, round_trip.unwrap_or_default()))
    }
}

/// `loss` from 0 to 1.
fn score(loss: f64, round_trip: Duration) -> u8 {
    let delay_ms = round_trip.as_secs_f64() * 500.0 + PROCESSING_MS;
    let delay_cost = if delay_ms < 160.0 { delay_ms / 40.0 } else { (delay_ms - 120.0) / 10.0 };
    (100.0 - delay_cost - loss * 100.0 * LOSS_WEIGHT).clamp(0.0, 100.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_and_delay_cost() {
        let ms = Duration::from_millis;
        assert_eq!(score(0.0, ms(0)), 99);
        assert!(score(0.0, ms(100)) > 95 && score(0.0, ms(800)) < 75);
        assert!((81..95).contains(&score(0.01, ms(40))) && (41..60).contains(&score(0.05, ms(40))));
        assert_eq!(score(0.5, ms(40)), 0);
    }

    #[test]
    fn judged_every_five_seconds_if_there_is_anything() {
        let start = Instant::now();
        let at = |secs| start + Duration::from_secs(secs);
        let mut meter = QualityMeter::default();
        assert_eq!(meter.take_due(at(0), None), None);
        assert_eq!(meter.take_due(at(5), None), None, "no reports");
        meter.handle_report(0);
        meter.handle_report(26);
        assert_eq!(meter.take_due(at(9), None), None, "not yet");
        let judged = meter.take_due(at(10), None).unwrap();
        assert!((50..60).contains(&judged), "5 % lost: {judged}");
        meter.handle_report(0);
        assert_eq!(meter.take_due(at(15), None), Some(99));
    }
}
