//! Reliable messages of one sender, kept for receivers that lose their connection and resume: each says by sync_state which of the
//! sender's sequence numbers it had last, and gets what came after.

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluicegate_contract::Command;
use sluicegate_contract::command::DataChannel;
use sluicegate_contract::key::SessionKey;
use sluicegate_proto::pb;
use smallvec::{SmallVec, smallvec};

use crate::config::RECEIVE_STATES_MAX;
use crate::room::Room;

/// How long a message is kept, and how many bytes of them (LiveKit: the same, of a whole room).
const KEPT_FOR: Duration = Duration::from_secs(2);
const KEPT_BYTES_MAX: usize = 100_000;

/// What one sender sent lately.
#[derive(Debug, Default)]
pub struct Replay {
    /// The oldest first; sequence numbers grow.
    messages: VecDeque<Kept>,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    at: Instant,
    sequence: u32,
    sessions: SmallVec<[SessionKey; 4]>,
    payload: Bytes,
}

impl Kept {
    fn cost(&self) -> usize {
        self.payload.len() + self.sessions.len() * size_of::<SessionKey>()
    }
}

impl Replay {
    pub fn keep(&mut self, now: Instant, sequence: u32, sessions: &SmallVec<[SessionKey; 4]>, payload: &Bytes) {
        let kept = Kept { at: now, sequence, sessions: sessions.clone(), payload: payload.clone() };
        self.bytes += kept.cost();
        self.messages.push_back(kept);
        while let Some(oldest) = self.messages.front()
            && (self.bytes > KEPT_BYTES_MAX || is_stale(now, oldest))
        {
            self.bytes -= oldest.cost();
            self.messages.pop_front();
        }
    }

    /// What `session` was sent after `last`, in order.
    pub fn missed(&self, now: Instant, session: SessionKey, last: u32) -> impl Iterator<Item = &Bytes> {
        let since = self.messages.iter().filter(move |kept| kept.sequence > last && !is_stale(now, kept));
        since.filter(move |kept| kept.sessions.contains(&session)).map(|kept| &kept.payload)
    }
}

fn is_stale(now: Instant, kept: &Kept) -> bool {
    now.saturating_duration_since(kept.at) > KEPT_FOR
}

impl Room {
    /// LiveKit: SyncState.datachannel_receive_states. Of a sender that is not named nothing is sent again.
    pub(crate) fn replay_data(&mut self, now: Instant, index: u32, states: &[pb::DataChannelReceiveState]) {
        let session = self.session_key(index);
        let mut missed = Vec::new();
        // one that names a sender again and again gets its messages once
        let mut named = BTreeSet::new();
        let states = states.iter().take(RECEIVE_STATES_MAX).filter(|state| named.insert(state.publisher_sid.as_str()));
        for state in states {
            let sender = self.by_sid.get(&state.publisher_sid).and_then(|sender| self.participants.get(sender));
            missed.extend(sender.into_iter().flat_map(|sender| sender.replay.missed(now, session, state.last_seq)).cloned());
        }
        for payload in missed {
            self.command(Command::SendData { sessions: smallvec![session], channel: DataChannel::Reliable, payload });
        }
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_contract::key::RoomKey;

    use super::*;

    #[test]
    fn what_is_kept_is_bounded_in_bytes_and_time() {
        let session = |index| SessionKey { room: RoomKey(1), index };
        let (now, mut replay) = (Instant::now(), Replay::default());
        let payload = Bytes::from(vec![0; 10_000]);
        for sequence in 1..=20 {
            replay.keep(now + Duration::from_millis(sequence.into()), sequence, &smallvec![session(1)], &payload);
        }
        assert!(replay.bytes <= KEPT_BYTES_MAX);
        let later = now + Duration::from_millis(100);
        assert_eq!(replay.missed(later, session(1), 0).count(), 9);
        assert_eq!(replay.missed(later, session(1), 18).count(), 2);
        assert_eq!(replay.missed(later, session(2), 0).count(), 0);
        assert_eq!(replay.missed(now + KEPT_FOR + Duration::from_secs(1), session(1), 0).count(), 0);
        replay.keep(now + Duration::from_secs(60), 21, &smallvec![session(1)], &payload);
        assert_eq!(replay.messages.len(), 1);
    }
}
