//! What participants and the API send: who may, who gets it, what comes twice, what a client that resumes has missed. Payloads are
//! nobody's business here.

mod replay;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use sluicegate_contract::Command;
use sluicegate_contract::command::DataChannel;
use sluicegate_contract::key::SessionKey;
use sluicegate_proto::data::{self, DataError, Route, Value};
use sluicegate_proto::pb::data_packet::Kind;
use smallvec::SmallVec;

use crate::participant::Participant;
use crate::room::Room;

pub use replay::Replay;

/// User packets remembered by their nonce (LiveKit: the last hundred).
const NONCES_MAX: usize = 100;
/// Bytes of a nonce (LiveKit: 16).
const NONCE_BYTES_MAX: usize = 64;

/// What has passed already.
#[derive(Debug, Default)]
pub struct Passed {
    nonces: VecDeque<Vec<u8>>,
}

impl Passed {
    /// True when this nonce was seen lately; remembers it otherwise.
    fn is_repeated(&mut self, nonce: &[u8]) -> bool {
        if nonce.is_empty() || nonce.len() > NONCE_BYTES_MAX {
            return false;
        }
        if self.nonces.iter().any(|known| known == nonce) {
            return true;
        }
        if self.nonces.len() == NONCES_MAX {
            self.nonces.pop_front();
        }
        self.nonces.push_back(nonce.to_vec());
        false
    }
}

impl Room {
    /// A message of a participant's data channel. What is malformed, not allowed or too large goes nowhere; the worker hears in any
    /// case that it was taken, so that the sender may go on.
    pub(crate) fn handle_data(&mut self, now: Instant, session: SessionKey, channel: DataChannel, payload: &Bytes) {
        let bytes = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let refused = match data::route(payload) {
            Ok(route) if self.is_rpc_answer(session.index, &route, payload) => false,
            Ok(route) if self.may_pass(session.index, channel, &route) => {
                self.send_packet(now, Some(session.index), channel, &route).is_err()
            }
            _ => true,
        };
        self.command(Command::DataTaken { session, bytes, refused });
    }

    fn may_pass(&mut self, index: u32, channel: DataChannel, route: &Route<'_>) -> bool {
        let Some(participant) = self.participants.get_mut(&index) else { return false };
        let allowed = match route.value {
            // the server's own word
            Value::Speaker => false,
            Value::Transcription => participant.is_agent(),
            _ => true,
        };
        if !allowed || !participant.permission.can_publish_data {
            return false;
        }
        // a client that reconnects sends again what it is not sure of
        if channel == DataChannel::Reliable && route.sequence != 0 {
            if route.sequence <= participant.last_data_sequence {
                return false;
            }
            participant.last_data_sequence = route.sequence;
        }
        true
    }

    /// Sends a packet of a participant, or of the server itself, to whom it names; nowhere when its nonce was there before.
    pub(crate) fn send_packet(
        &mut self,
        now: Instant,
        sender: Option<u32>,
        channel: DataChannel,
        route: &Route<'_>,
    ) -> Result<(), DataError> {
        let from = sender.and_then(|index| self.participants.get(&index)).filter(|participant| !participant.permission.hidden);
        let (sid, identity) = from.map_or(("", ""), |participant| (&participant.sid, &participant.identity));
        let kind = match channel {
            DataChannel::Reliable => Kind::Reliable,
            DataChannel::Lossy => Kind::Lossy,
        };
        let payload = Bytes::from(data::override_fields(route, sid, identity, kind)?);
        if self.passed.is_repeated(&route.nonce) {
            return Ok(());
        }
        let sessions = self.data_destinations(sender, route);
        if sessions.is_empty() {
            return Ok(());
        }
        if channel == DataChannel::Reliable
            && route.sequence != 0
            && let Some(participant) = sender.and_then(|index| self.participants.get_mut(&index))
        {
            participant.replay.keep(now, route.sequence, &sessions, &payload);
        }
        self.command(Command::SendData { sessions, channel, payload });
        Ok(())
    }

    /// Those whom a packet names, or everybody; of these who may have it, and never its sender. Who is still joining gets it, too:
    /// the worker holds it until the channel is open.
    fn data_destinations(&self, sender: Option<u32>, route: &Route<'_>) -> SmallVec<[SessionKey; 4]> {
        let wants = |participant: &Participant| {
            !participant.is_forwarded()
                && participant.permission.can_subscribe
                && (route.value != Value::Metrics || participant.permission.can_subscribe_metrics)
        };
        if route.destination_identities.is_empty() && route.destination_sids.is_empty() {
            let others = self.participants.iter().filter(|(other, _)| Some(**other) != sender);
            return others.filter(|(_, participant)| wants(participant)).map(|(_, participant)| participant.session).collect();
        }
        let by_identity = route.destination_identities.iter().filter_map(|identity| self.by_identity.get(identity));
        let by_sid = route.destination_sids.iter().filter_map(|sid| self.by_sid.get(sid));
        let mut indices: Vec<u32> = by_identity.chain(by_sid).copied().filter(|other| Some(*other) != sender).collect();
        indices.sort_unstable();
        indices.dedup();
        let named = indices.iter().filter_map(|other| self.participants.get(other));
        named.filter(|participant| wants(participant)).map(|participant| participant.session).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_passes_once_and_is_forgotten_in_the_end() {
        let mut passed = Passed::default();
        assert!(!passed.is_repeated(b"") && !passed.is_repeated(b""));
        for number in 0..=NONCES_MAX as u32 {
            assert!(!passed.is_repeated(&number.to_be_bytes()));
            assert!(passed.is_repeated(&number.to_be_bytes()));
        }
        assert_eq!(passed.nonces.len(), NONCES_MAX);
        assert!(!passed.is_repeated(&0u32.to_be_bytes()));
        let long = vec![1; NONCE_BYTES_MAX + 1];
        assert!(!passed.is_repeated(&long) && !passed.is_repeated(&long));
    }
}
