//! A Receiver fed by another worker instead of a transport: its packets were opened, counted and timed there. It asks the publisher
//! for nothing itself, and is told which layers are alive.

use std::time::{Duration, Instant};

use super::{LAYERS, Layer, Received, Receiver};
use crate::receiver::ring::RingPacket;

/// Rates are counted over at least this long.
const RATE_WINDOW: Duration = Duration::from_millis(500);

/// How a layer is: what its publisher's Receiver tells those of other workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    pub is_alive: bool,
    /// Payload bits per second.
    pub bits_per_second: u32,
}

/// Payload bytes since the last count.
#[derive(Debug, Default)]
pub(super) struct RateCounter {
    bytes: u64,
    since: Option<Instant>,
    rate: u32,
}

impl RateCounter {
    pub fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    fn take(&mut self, now: Instant) -> u32 {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= RATE_WINDOW {
            self.rate = u32::try_from(u128::from(self.bytes) * 8_000 / elapsed.as_millis().max(1)).unwrap_or(u32::MAX);
            (self.bytes, self.since) = (0, Some(now));
        }
        self.rate
    }
}

impl Receiver {
    /// The layers as they are now, the lowest first.
    pub fn activity(&mut self, now: Instant) -> [Activity; LAYERS] {
        let alive = self.alive(now);
        let mut activity = [Activity::default(); LAYERS];
        for (at, (entry, state)) in activity.iter_mut().zip(&mut self.layers).enumerate() {
            let Some(state) = state else { continue };
            *entry = Activity { is_alive: alive & 1 << at != 0, bits_per_second: state.rate.take(now) };
        }
        activity
    }

    /// The layers that are alive, bit 0 the lowest.
    pub fn alive(&self, now: Instant) -> u8 {
        if let Some(told) = self.told_alive {
            return told;
        }
        (0..LAYERS).filter(|at| self.is_alive(now, *at)).fold(0, |set, at| set | 1 << at)
    }

    /// The publisher's worker says which layers are alive. From the first time on the Receiver believes only that.
    pub fn set_alive(&mut self, layers: u8) {
        self.told_alive = Some(layers);
    }

    /// Takes a packet of another worker's Receiver, described by `received`. None: it was here before, or is too old.
    pub fn handle_relayed(&mut self, now: Instant, received: &Received, packet: &RingPacket<'_>) -> Option<Received> {
        let Layer(layer) = received.layer;
        // the SSRC stays with the publisher; any number serves
        self.bind_layer(received.layer, u32::from(layer) + 1);
        let state = self.layers.get_mut(usize::from(layer))?.as_mut()?;
        if state.ring.contains(received.ext_seq) || !state.ring.store(received.ext_seq, packet) {
            self.dropped += 1;
            return None;
        }
        state.last_packet = Some(now);
        Some(*received)
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_rtp::codec::MediaKind;

    use super::*;
    use crate::receiver::ReceiverConfig;

    fn receiver() -> Receiver {
        Receiver::new(ReceiverConfig { kind: MediaKind::Video, clock_rate: 90_000, screen_share: false, nack: false })
    }

    fn received(now: Instant, layer: u8, ext_seq: u64) -> Received {
        Received {
            layer: Layer(layer),
            ext_seq,
            timestamp: 7,
            marker: true,
            key_frame: true,
            restarted: false,
            empty: false,
            media_time: now,
            payload_len: 3,
            vp8: None,
        }
    }

    #[test]
    fn a_relayed_packet_is_stored_once_and_can_be_sent_again() {
        let now = Instant::now();
        let mut receiver = receiver();
        let payload = [1, 2, 3];
        let packet =
            RingPacket { payload: &payload, payload_type: 4, vp8: None, dependency_descriptor: &[9], abs_capture_time: &[] };
        let first = received(now, 1, 1 << 17);
        assert!(receiver.handle_relayed(now, &first, &packet).is_some());
        assert!(receiver.handle_relayed(now, &first, &packet).is_none(), "twice");
        let kept = receiver.packet(Layer(1), 1 << 17).unwrap();
        assert_eq!((kept.payload, kept.dependency_descriptor, kept.payload_type), (&payload[..], &[9][..], 4));
        assert!(receiver.handle_relayed(now, &received(now, 3, 1 << 17), &packet).is_none(), "no such layer");
    }

    #[test]
    fn liveness_is_believed() {
        let now = Instant::now();
        let mut receiver = receiver();
        receiver.set_alive(0b100);
        assert_eq!(receiver.target(now), Some(Layer(2)));
        receiver.set_alive(0b110);
        assert_eq!(receiver.target(now + Duration::from_secs(60)), Some(Layer(1)));
        receiver.set_alive(0);
        assert_eq!(receiver.target(now), None);
    }

    #[test]
    fn a_rate_is_counted_over_its_window() {
        let now = Instant::now();
        let mut counter = RateCounter::default();
        counter.take(now);
        counter.add(1000);
        assert_eq!(counter.take(now + Duration::from_millis(100)), 0, "too early to tell");
        assert_eq!(counter.take(now + Duration::from_secs(1)), 8000);
        assert_eq!(counter.take(now + Duration::from_millis(1100)), 8000);
        assert_eq!(counter.take(now + Duration::from_secs(2)), 0);
    }
}
