//! Deadlines of sessions: a heap with lazy deletion, because most deadlines are moved before they come.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

/// When each session (by its slab index) wants to be served next.
#[derive(Debug, Default)]
pub struct Timers {
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
    /// The one deadline that counts per session; entries of the heap that differ are stale.
    due: Vec<Option<Instant>>,
}

impl Timers {
    /// Replaces the session's deadline.
    pub fn set(&mut self, session: u32, at: Option<Instant>) {
        let index = session as usize;
        if self.due.len() <= index {
            self.due.resize(index + 1, None);
        }
        let Some(slot) = self.due.get_mut(index) else { return };
        if *slot == at {
            return;
        }
        *slot = at;
        if let Some(at) = at {
            self.heap.push(Reverse((at, session)));
            self.compact();
        }
    }

    /// The earliest deadline of all.
    pub fn earliest(&self) -> Option<Instant> {
        // a stale head only wakes once too often; `pop_due` removes it
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// The next session whose time has come; its deadline is cleared.
    pub fn pop_due(&mut self, now: Instant) -> Option<u32> {
        while let Some(&Reverse((at, session))) = self.heap.peek() {
            let slot = self.due.get_mut(session as usize);
            let stale = slot.as_deref() != Some(&Some(at));
            if !stale && at > now {
                return None;
            }
            self.heap.pop();
            if !stale {
                if let Some(slot) = slot {
                    *slot = None;
                }
                return Some(session);
            }
        }
        None
    }

    pub fn len(&self) -> usize {
        self.due.iter().flatten().count()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Stale entries may not outgrow the live ones without bound.
    fn compact(&mut self) {
        if self.heap.len() > 64 + 4 * self.due.len() {
            let due = &self.due;
            self.heap.retain(|Reverse((at, session))| due.get(*session as usize) == Some(&Some(*at)));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_moved_deadline_fires_once_at_its_last_place() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut timers = Timers::default();
        timers.set(3, Some(at(10)));
        timers.set(3, Some(at(30)));
        timers.set(1, Some(at(20)));
        assert_eq!(timers.pop_due(at(15)), None);
        assert_eq!(timers.pop_due(at(40)), Some(1));
        assert_eq!(timers.pop_due(at(40)), Some(3));
        assert_eq!(timers.pop_due(at(40)), None);
        assert!(timers.is_empty());
    }

    proptest! {
        #[test]
        fn like_a_plain_table(steps in prop::collection::vec((0u32..8, prop::option::of(0u64..100)), 0..300)) {
            let start = Instant::now();
            let mut timers = Timers::default();
            let mut model = [None; 8];
            for (session, ms) in steps {
                let at = ms.map(|ms| start + Duration::from_millis(ms));
                timers.set(session, at);
                model[session as usize] = at;
            }
            prop_assert!(timers.heap.len() <= 65 + 4 * 8);
            let mut fired = Vec::new();
            while let Some(session) = timers.pop_due(start + Duration::from_millis(50)) {
                fired.push(session);
            }
            fired.sort_unstable();
            let wanted: Vec<u32> = (0..8).filter(|i| model[*i as usize].is_some_and(|at| at <= start + Duration::from_millis(50))).collect();
            prop_assert_eq!(fired, wanted);
        }
    }
}
