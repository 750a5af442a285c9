//! The room's deadlines: one queue, one entry per reason.
//!
//! Promises O(log n) for setting, cancelling and taking. Knows nothing of what a reason means.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

/// Why a room wants to be called; a number is the index of a participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The participant did not become active in time.
    Join(u32),
    /// The participant's transport or signalling was lost and did not come back.
    Disconnect(u32),
    /// Our offer was not answered in time.
    Negotiation(u32),
    /// A track that the participant wants has not appeared.
    TrackNotFound(u32),
    /// The participant's token is refreshed.
    RefreshToken(u32),
    /// Whom the participant allows to subscribe has changed again soon after it had changed.
    Allowance(u32),
    /// The participant has spoken long enough, as it asked to be shown.
    SimulatedSpeaker(u32),
    /// Coalesced participant updates are due.
    Updates,
    /// Updates of participants that change again and again are due.
    Repeating,
    /// Connection qualities are told.
    Quality,
    /// A call of the server to a participant was not answered in time.
    Rpc,
    /// A coalesced room update is due.
    RoomUpdate,
    /// Nobody is left (or ever came).
    Empty,
}

/// Deadlines by reason; setting a reason again moves it.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BTreeSet<(Instant, Reason)>,
    due: BTreeMap<Reason, Instant>,
}

impl Timers {
    pub fn set(&mut self, reason: Reason, at: Instant) {
        self.cancel(reason);
        self.due.insert(reason, at);
        self.queue.insert((at, reason));
    }

    pub fn cancel(&mut self, reason: Reason) {
        if let Some(at) = self.due.remove(&reason) {
            self.queue.remove(&(at, reason));
        }
    }

    pub fn is_set(&self, reason: Reason) -> bool {
        self.due.contains_key(&reason)
    }

    /// Everything that belongs to a participant.
    pub fn cancel_participant(&mut self, index: u32) {
        self.cancel(Reason::SimulatedSpeaker(index));
        self.cancel(Reason::Allowance(index));
        for reason in [Reason::Join, Reason::Disconnect, Reason::Negotiation, Reason::TrackNotFound, Reason::RefreshToken] {
            self.cancel(reason(index));
        }
    }

    pub fn clear(&mut self) {
        self.queue.clear();
        self.due.clear();
    }

    /// The earliest deadline.
    pub fn next(&self) -> Option<(Instant, Reason)> {
        self.queue.first().copied()
    }

    /// Everything that is awaited.
    #[cfg(test)]
    pub fn reasons(&self) -> impl Iterator<Item = Reason> {
        self.due.keys().copied()
    }

    /// Takes the earliest deadline that has come.
    pub fn pop(&mut self, now: Instant) -> Option<Reason> {
        let (at, reason) = self.next()?;
        if at > now {
            return None;
        }
        self.cancel(reason);
        Some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_reason_has_one_deadline() {
        let now = Instant::now();
        let mut timers = Timers::default();
        timers.set(Reason::Join(1), now + Duration::from_secs(2));
        timers.set(Reason::Join(2), now + Duration::from_secs(1));
        timers.set(Reason::Join(1), now + Duration::from_secs(3));
        assert_eq!(timers.next(), Some((now + Duration::from_secs(1), Reason::Join(2))));
        assert_eq!(timers.pop(now), None);
        assert_eq!(timers.pop(now + Duration::from_secs(9)), Some(Reason::Join(2)));
        assert!(timers.is_set(Reason::Join(1)));
        timers.cancel_participant(1);
        assert_eq!(timers.next(), None);
    }
}
