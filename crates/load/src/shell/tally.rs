//! What is counted, while it is counted: by the drivers for all clients, and for each client.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::histogram::Histogram;
use crate::subscriber::Counts;

/// Sums over the clients of a driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub audio: Counts,
    pub video: Counts,
    /// Packets and repairs that publishers sent.
    pub sent_packets: u64,
    pub sent_bytes: u64,
    pub sent_repairs: u64,
    pub data_sent: u64,
    /// Refused by a full or absent channel.
    pub data_unsent: u64,
    pub data_received: u64,
    pub unauthentic: u64,
}

/// One client's outcome.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub role: Role,
    /// From the first byte to the server until its answer, until media could flow, until the first packet and key frame.
    pub joined: Duration,
    pub connected: Option<Duration>,
    pub first_packet: Option<Duration>,
    pub first_key_frame: Option<Duration>,
    /// Tracks from which packets came while it was measured: (audio, video).
    pub tracks: (u32, u32),
    /// It was disconnected, and why.
    pub lost: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Publisher,
    Subscriber,
    /// Joins and leaves again.
    Churner,
}

/// A driver's result.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Within the measured time.
    pub totals: Totals,
    pub audio_latency: Histogram,
    pub video_latency: Histogram,
    pub data_latency: Histogram,
    pub outcomes: Vec<Outcome>,
}

/// What everybody may see while it runs.
#[derive(Debug, Default)]
pub struct Progress {
    pub connected: AtomicU64,
    pub lost_clients: AtomicU64,
    pub packets: AtomicU64,
    pub bytes: AtomicU64,
}

impl Totals {
    fn pairs<'a>(&'a mut self, other: &Totals) -> [(&'a mut u64, u64); 17] {
        let (audio, video) = (&mut self.audio, &mut self.video);
        [
            (&mut audio.packets, other.audio.packets),
            (&mut audio.bytes, other.audio.bytes),
            (&mut audio.repaired, other.audio.repaired),
            (&mut audio.duplicates, other.audio.duplicates),
            (&mut audio.lost, other.audio.lost),
            (&mut video.packets, other.video.packets),
            (&mut video.bytes, other.video.bytes),
            (&mut video.repaired, other.video.repaired),
            (&mut video.duplicates, other.video.duplicates),
            (&mut video.lost, other.video.lost),
            (&mut self.sent_packets, other.sent_packets),
            (&mut self.sent_bytes, other.sent_bytes),
            (&mut self.sent_repairs, other.sent_repairs),
            (&mut self.data_sent, other.data_sent),
            (&mut self.data_unsent, other.data_unsent),
            (&mut self.data_received, other.data_received),
            (&mut self.unauthentic, other.unauthentic),
        ]
    }

    pub fn add(&mut self, other: &Totals) {
        self.pairs(other).into_iter().for_each(|(sum, more)| *sum += more);
    }

    /// What came since.
    pub fn since(mut self, earlier: &Totals) -> Totals {
        self.pairs(earlier).into_iter().for_each(|(sum, less)| *sum = sum.saturating_sub(less));
        self
    }

    pub fn received(&self) -> Counts {
        let (a, v) = (&self.audio, &self.video);
        Counts {
            packets: a.packets + v.packets,
            bytes: a.bytes + v.bytes,
            repaired: a.repaired + v.repaired,
            duplicates: a.duplicates + v.duplicates,
            lost: a.lost + v.lost,
        }
    }
}

impl Tally {
    pub fn merge(&mut self, other: Tally) {
        self.totals.add(&other.totals);
        self.audio_latency.merge(&other.audio_latency);
        self.video_latency.merge(&other.video_latency);
        self.data_latency.merge(&other.data_latency);
        self.outcomes.extend(other.outcomes);
    }
}

impl Progress {
    pub fn add(counter: &AtomicU64, more: u64) {
        if more > 0 {
            counter.fetch_add(more, Ordering::Relaxed);
        }
    }

    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_differences() {
        let counts = Counts { packets: 5, bytes: 50, repaired: 1, duplicates: 2, lost: 3 };
        let one = Totals { audio: counts, sent_packets: 7, data_received: 9, ..Totals::default() };
        let mut sum = one;
        sum.add(&one);
        assert_eq!((sum.audio.packets, sum.audio.lost, sum.sent_packets, sum.data_received), (10, 6, 14, 18));
        assert_eq!(sum.since(&one), one);
        assert_eq!(sum.received().bytes, 100);
    }
}
