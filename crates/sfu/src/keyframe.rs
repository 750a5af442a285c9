//! How often a key frame may be asked of a publisher: it is dear for everybody who receives the layer.

use std::time::{Duration, Instant};

/// The least time between two requests, by layer (LiveKit: `pli_throttle`).
const THROTTLE: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(1)];

#[derive(Clone, Copy, Debug, Default)]
pub struct KeyFrameThrottle {
    last: Option<Instant>,
}

impl KeyFrameThrottle {
    /// True when the request may go out now.
    pub fn allow(&mut self, now: Instant, layer: u8) -> bool {
        let wait = THROTTLE.get(usize::from(layer)).copied().unwrap_or(THROTTLE[2]);
        let allowed = self.last.is_none_or(|last| now.saturating_duration_since(last) >= wait);
        if allowed {
            self.last = Some(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_low_layer_may_be_asked_twice_as_often() {
        let start = Instant::now();
        for (layer, wait) in [(0, 500), (1, 1000), (2, 1000), (9, 1000)] {
            let mut throttle = KeyFrameThrottle::default();
            assert!(throttle.allow(start, layer));
            assert!(!throttle.allow(start + Duration::from_millis(wait - 1), layer));
            assert!(throttle.allow(start + Duration::from_millis(wait), layer));
        }
    }
}
