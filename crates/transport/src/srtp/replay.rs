//! The replay window (RFC 3711 §3.3.2).

/// Packets behind the newest that are still told apart; a burst repaired by plain retransmission may lie far back.
const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Which of the newest 1024 indices were received.
#[derive(Clone, Debug)]
pub(super) struct Replay {
    newest: u64,
    seen: [u64; WORDS],
}

impl Replay {
    pub fn new(first: u64) -> Self {
        let mut replay = Self { newest: first, seen: [0; WORDS] };
        replay.mark(first);
        replay
    }

    pub fn newest(&self) -> u64 {
        self.newest
    }

    /// True for an index that was received or is too old to tell.
    pub fn is_replay(&self, index: u64) -> bool {
        if index > self.newest {
            return false;
        }
        self.newest - index >= WINDOW || self.bit(index)
    }

    /// Notes an authentic packet.
    pub fn accept(&mut self, index: u64) {
        if index > self.newest {
            let steps = (index - self.newest).min(WINDOW);
            for skipped in 1..=steps {
                self.clear(index - steps + skipped);
            }
            self.newest = index;
        }
        self.mark(index);
    }

    fn bit(&self, index: u64) -> bool {
        let at = index % WINDOW;
        self.seen[(at / 64) as usize] >> (at % 64) & 1 == 1
    }

    fn mark(&mut self, index: u64) {
        let at = index % WINDOW;
        self.seen[(at / 64) as usize] |= 1 << (at % 64);
    }

    fn clear(&mut self, index: u64) {
        let at = index % WINDOW;
        self.seen[(at / 64) as usize] &= !(1 << (at % 64));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn like_a_set(steps in prop::collection::vec(0u64..5000, 1..400)) {
            let mut replay = Replay::new(steps[0]);
            let mut seen = BTreeSet::from([steps[0]]);
            for index in steps {
                let newest = *seen.last().expect("never empty");
                let wanted = seen.contains(&index) || newest.saturating_sub(index) >= WINDOW;
                prop_assert_eq!(replay.is_replay(index), wanted);
                if !wanted {
                    replay.accept(index);
                    seen.insert(index);
                }
            }
        }
    }
}
