//! The one clock: when a packet was made, on the server's own time line.
//!
//! A stream's RTP time becomes the publisher's NTP time through its sender reports, and that becomes server time by the smallest
//! (arrival − NTP) of the last reports, which is the publisher's offset plus the shortest way. Before the first report the
//! arrival serves. A new reading is approached by at most 5 ms a second, so that nothing jumps.

use std::time::{Duration, Instant};

use sluicegate_rtp::ntp::NtpTime;

/// Reports whose offsets are remembered; at one a second the shortest way of the last ten seconds.
const WINDOW: usize = 10;
/// How fast the mapping may move: 5 ms per second.
const SLEW: f64 = 0.005;
/// A step that is no drift: the publisher's clock was set, or its stream began anew.
const JUMP: f64 = 1.0;

/// One publisher's NTP time on the server's time line; shared by its tracks, so that they stay in step.
#[derive(Clone, Debug, Default)]
pub struct PublisherClock {
    /// (arrival − NTP) in seconds since `origin` of the last reports.
    offsets: [f64; WINDOW],
    count: usize,
    origin: Option<Instant>,
}

impl PublisherClock {
    /// A sender report with this NTP time arrived.
    pub fn observe(&mut self, now: Instant, ntp: NtpTime) {
        let origin = *self.origin.get_or_insert(now);
        let offset = now.saturating_duration_since(origin).as_secs_f64() - seconds(ntp);
        if self.count > 0 && (offset - self.smallest()).abs() > JUMP {
            self.count = 0;
        }
        self.offsets[self.count % WINDOW] = offset;
        self.count += 1;
    }

    /// The moment on the server's time line; none before the first report.
    fn server_seconds(&self, ntp: f64) -> Option<f64> {
        (self.count > 0).then(|| ntp + self.smallest())
    }

    fn smallest(&self) -> f64 {
        self.offsets[..self.count.min(WINDOW)].iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// One stream's RTP time on the server's time line.
#[derive(Clone, Debug)]
pub struct StreamClock {
    rate: f64,
    origin: Option<Instant>,
    /// The newest sender report: (NTP seconds, extended RTP time).
    report: Option<(f64, u64)>,
    /// Server seconds of RTP time zero, as used now.
    base: Option<f64>,
    slewed_at: f64,
}

impl StreamClock {
    /// `rate` is the RTP clock's, in Hz.
    pub fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate.max(1)), origin: None, report: None, base: None, slewed_at: 0.0 }
    }

    pub fn handle_sender_report(&mut self, ntp: NtpTime, ext_timestamp: u64) {
        self.report = Some((seconds(ntp), ext_timestamp));
    }

    /// When the packet that arrived at `now` with this RTP time was made.
    pub fn media_time(&mut self, now: Instant, ext_timestamp: u64, publisher: &PublisherClock) -> Instant {
        let origin = *self.origin.get_or_insert_with(|| publisher.origin.unwrap_or(now));
        let arrival = now.saturating_duration_since(origin).as_secs_f64();
        let ticks = ext_timestamp as f64 / self.rate;
        let reported = self.report.and_then(|(ntp, rtp)| Some(publisher.server_seconds(ntp)? - rtp as f64 / self.rate));
        let wanted = match (reported, publisher.origin) {
            // both count from the same moment only when the publisher's was known first
            (Some(base), Some(begin)) => {
                base + begin.saturating_duration_since(origin).as_secs_f64() - origin.saturating_duration_since(begin).as_secs_f64()
            }
            // the earliest arrival is the least delayed one
            _ => self.base.map_or(arrival - ticks, |base| base.min(arrival - ticks)),
        };
        let base = match self.base {
            None => wanted,
            Some(base) if (wanted - base).abs() > JUMP => wanted,
            Some(base) => {
                let step = SLEW * (arrival - self.slewed_at).max(0.0);
                base + (wanted - base).clamp(-step, step)
            }
        };
        self.base = Some(base);
        self.slewed_at = self.slewed_at.max(arrival);
        let at = (base + ticks).clamp(0.0, 1e9);
        origin + Duration::from_secs_f64(at)
    }
}

fn seconds(ntp: NtpTime) -> f64 {
    (ntp.0 >> 32) as f64 + (ntp.0 & 0xFFFF_FFFF) as f64 / 4_294_967_296.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ntp(seconds: f64) -> NtpTime {
        NtpTime((seconds * 4_294_967_296.0) as u64)
    }

    #[test]
    fn two_streams_of_one_publisher_meet() {
        // audio's first report says 1000.0 s for RTP 48000, video's 1000.0 s for RTP 900000; both travel 20 ms
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut publisher = PublisherClock::default();
        let (mut audio, mut video) = (StreamClock::new(48_000), StreamClock::new(90_000));
        publisher.observe(at(20), ntp(1000.0));
        audio.handle_sender_report(ntp(1000.0), 48_000);
        video.handle_sender_report(ntp(1000.0), 900_000);
        let (mut a, mut v) = (at(0), at(0));
        for second in 0..60 {
            let now = at(20 + 1000 * second);
            publisher.observe(now, ntp(1000.0 + second as f64));
            // audio arrives 5 ms late, video 60 ms
            a = audio.media_time(now + Duration::from_millis(5), 48_000 * (second + 1), &publisher);
            v = video.media_time(now + Duration::from_millis(60), 900_000 + 90_000 * second, &publisher);
        }
        let apart = a.max(v) - a.min(v);
        assert!(apart < Duration::from_millis(1), "{apart:?}");
    }

    #[test]
    fn the_time_line_never_jumps_when_reports_begin() {
        let start = Instant::now();
        let mut publisher = PublisherClock::default();
        let mut clock = StreamClock::new(90_000);
        let mut last = None;
        for frame in 0..300u64 {
            let now = start + Duration::from_millis(33 * frame + if frame % 7 == 0 { 15 } else { 40 });
            if frame == 100 {
                publisher.observe(now, ntp(5000.0 + 0.033 * frame as f64));
                clock.handle_sender_report(ntp(5000.0 + 0.033 * frame as f64), 2970 * frame);
            }
            let time = clock.media_time(now, 2970 * frame, &publisher);
            if let Some(last) = last {
                let step = time - last;
                assert!(step > Duration::from_millis(20) && step < Duration::from_millis(46), "{frame}: {step:?}");
            }
            last = Some(time);
        }
    }
}
