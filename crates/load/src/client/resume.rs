//! Coming back after the signalling, or the network, was lost: what a client of LiveKit tells, offers and sends again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use sluicegate_proto::Message as _;
use sluicegate_proto::pb::{self, signal_request};

use super::Client;

/// Messages that are kept to be sent again.
const SENT_MAX: usize = 256;

/// What a client remembers of its reliable messages.
#[derive(Debug, Default)]
pub(super) struct Reliable {
    /// By sender's SID: the newest sequence number.
    received: BTreeMap<String, u32>,
    /// The oldest first.
    sent: VecDeque<(u32, Vec<u8>)>,
}

impl Reliable {
    /// Whether a message is new. One without a sequence number always is.
    pub fn receive(&mut self, data: &[u8]) -> bool {
        let Ok(packet) = pb::DataPacket::decode(data) else { return true };
        if packet.sequence == 0 || packet.participant_sid.is_empty() {
            return true;
        }
        let newest = self.received.entry(packet.participant_sid).or_default();
        let is_new = packet.sequence > *newest;
        *newest = packet.sequence.max(*newest);
        is_new
    }

    pub fn send(&mut self, data: &[u8]) {
        let sequence = pb::DataPacket::decode(data).map_or(0, |packet| packet.sequence);
        if sequence != 0 {
            if self.sent.len() == SENT_MAX {
                self.sent.pop_front();
            }
            self.sent.push_back((sequence, data.to_vec()));
        }
    }
}

impl Client {
    /// Which participant it is, for its next connection.
    pub fn sid(&self) -> Option<&str> {
        let participant = self.joined.as_ref()?.participant.as_ref()?;
        Some(&participant.sid)
    }

    /// The server's ICE user name fragments, of the publisher and the subscriber PeerConnection, or twice those of the only one: others after
    /// each restart.
    pub fn server_ufrags(&self) -> [&str; 2] {
        let down = if self.config.single { &self.up } else { &self.down };
        [&self.up, down].map(|peer| peer.transport.connection.remote_ufrag())
    }

    /// The server has it back. It says what it publishes and has received, restarts ICE where it offers, and sends again what did not
    /// arrive.
    pub(super) fn handle_reconnect(&mut self, now: Instant, reconnect: &pb::ReconnectResponse) {
        self.resumes += 1;
        let states = self.reliable.received.iter();
        let states = states.map(|(sid, last)| pb::DataChannelReceiveState { publisher_sid: sid.clone(), last_seq: *last });
        let state = pb::SyncState {
            publish_tracks: self.published.clone(),
            datachannel_receive_states: states.collect(),
            ..Default::default()
        };
        self.request(signal_request::Message::SyncState(state));
        if self.has_up() && self.up.transport.connection.is_started() {
            self.up.transport.connection.prepare_restart();
            self.send_offer();
        }
        let lost: Vec<Vec<u8>> = self
            .reliable
            .sent
            .iter()
            .filter(|(sequence, _)| *sequence > reconnect.last_message_seq)
            .map(|(_, data)| data.clone())
            .collect();
        for data in lost {
            self.up.send_message(now, super::RELIABLE, &data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(sid: &str, sequence: u32) -> Vec<u8> {
        pb::DataPacket { participant_sid: sid.to_owned(), sequence, ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn what_comes_twice_is_known_by_sender_and_number() {
        let mut reliable = Reliable::default();
        let came = [("a", 1), ("a", 2), ("a", 1), ("b", 1), ("a", 0), ("a", 0), ("a", 4)];
        let is_new: Vec<bool> = came.map(|(sid, sequence)| reliable.receive(&packet(sid, sequence))).to_vec();
        assert_eq!(is_new, [true, true, false, true, true, true, true]);
        for sequence in 0..=SENT_MAX as u32 + 1 {
            reliable.send(&packet("", sequence));
        }
        assert_eq!((reliable.sent.len(), reliable.sent[0].0), (SENT_MAX, 2));
    }
}
