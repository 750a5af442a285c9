//! Offers, answers and candidates of clients on their way to the media plane.

use std::time::Instant;

use sluicegate_contract::Command;
use sluicegate_contract::command::PcTarget;
use sluicegate_proto::pb;

use crate::config::{CANDIDATE_BYTES_MAX, SDP_BYTES_MAX};
use crate::input::SignalMode;
use crate::participant::Departure;
use crate::room::Room;
use crate::timer::Reason;

impl Room {
    /// The client offers its publisher PeerConnection (or the only one); the media plane answers with the same id.
    pub(crate) fn handle_client_offer(&mut self, now: Instant, index: u32, offer: pb::SessionDescription) {
        let Some(participant) = self.participants.get(&index) else { return };
        if offer.sdp.len() > SDP_BYTES_MAX {
            return self.remove(now, index, Departure::reconnect(pb::DisconnectReason::StateMismatch));
        }
        let session = participant.session;
        self.command(Command::Offer { session, sdp: offer.sdp.into(), id: offer.id });
    }

    /// The client's answer to our newest offer. Clients that know no ids send none.
    pub(crate) fn handle_client_answer(&mut self, now: Instant, index: u32, answer: pb::SessionDescription) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let Some(id) = participant.offer_id else { return };
        if participant.mode == SignalMode::V1 || (answer.id != 0 && answer.id != id) {
            return;
        }
        if answer.sdp.len() > SDP_BYTES_MAX {
            return self.remove(now, index, Departure::reconnect(pb::DisconnectReason::StateMismatch));
        }
        participant.offer_id = None;
        let session = participant.session;
        self.timers.cancel(Reason::Negotiation(index));
        self.command(Command::Answer { session, sdp: answer.sdp.into(), id });
    }

    /// A candidate of the client; with a single PeerConnection it is that one's, whatever the client calls it.
    pub(crate) fn handle_trickle(&mut self, index: u32, trickle: &pb::TrickleRequest) {
        let Some(participant) = self.participants.get(&index) else { return };
        let subscriber = trickle.target == pb::SignalTarget::Subscriber as i32;
        let target = match participant.mode {
            SignalMode::V0 if subscriber => PcTarget::Subscriber,
            _ => PcTarget::Publisher,
        };
        let session = participant.session;
        if let Some(candidate) = candidate_of(&trickle.candidate_init) {
            self.command(Command::Candidate { session, target, candidate });
        }
    }
}

/// The candidate line of an RTCIceCandidateInit in JSON; empty at the end of candidates.
pub fn candidate_of(init: &str) -> Option<Box<str>> {
    if init.len() > CANDIDATE_BYTES_MAX {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(init).ok()?;
    let line = value.get("candidate")?.as_str()?.trim();
    // Some clients send the line of an SDP.
    Some(line.strip_prefix("a=").unwrap_or(line).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_come_as_json() {
        let line = "candidate:1 1 udp 2113937151 192.0.2.1 54400 typ host";
        let init = |line: &str| serde_json::json!({"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}).to_string();
        assert_eq!(candidate_of(&init(line)).as_deref(), Some(line));
        assert_eq!(candidate_of(&init(&format!("a={line}"))).as_deref(), Some(line));
        assert_eq!(candidate_of(&init("")).as_deref(), Some(""));
        for junk in ["", "{}", "[1]", "null", "{\"candidate\":7}", line] {
            assert_eq!(candidate_of(junk), None, "{junk}");
        }
        assert_eq!(candidate_of(&init(&"x".repeat(CANDIDATE_BYTES_MAX))), None);
    }
}
