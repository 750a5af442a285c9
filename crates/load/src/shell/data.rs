//! Data messages of a publisher: small packets with a stamp, alternately reliable and lossy.

use std::time::{Duration, Instant};

use sluicegate_proto::{Message as _, codec, pb};
use sluicegate_rtp::codec::Codec;

use super::clock;
use crate::client::Client;
use crate::stamp::Stamp;

const PAYLOAD_BYTES: usize = 100;
const MESSAGE_BYTES_MAX: usize = 64 << 10;
const LABELS: [&str; 2] = ["_reliable", "_lossy"];

#[derive(Debug)]
pub struct DataSource {
    interval: Duration,
    due: Instant,
    number: u32,
    pub sent: u64,
    pub unsent: u64,
}

impl DataSource {
    pub fn new(now: Instant, per_second: u32) -> Self {
        Self { interval: Duration::from_secs(1) / per_second.max(1), due: now, number: 0, sent: 0, unsent: 0 }
    }

    pub fn poll_timeout(&self) -> Instant {
        self.due
    }

    pub fn handle_timeout(&mut self, now: Instant, client: &mut Client) {
        if self.due > now {
            return;
        }
        self.due = (self.due + self.interval).max(now);
        let label = LABELS[self.number as usize % LABELS.len()];
        let message = message(self.number);
        self.number = self.number.wrapping_add(1);
        let sent = client.send_message(now, label, &message);
        *(if sent { &mut self.sent } else { &mut self.unsent }) += 1;
    }
}

fn message(number: u32) -> Vec<u8> {
    let mut payload = vec![0; PAYLOAD_BYTES];
    payload.extend(Stamp { sent_ns: clock::monotonic_ns(), number }.to_bytes());
    let user = pb::UserPacket { payload, topic: Some("load-test".to_owned()), ..Default::default() };
    let packet = pb::DataPacket { value: Some(pb::data_packet::Value::User(user)), ..Default::default() };
    packet.encode_to_vec()
}

/// The stamp of a message that another publisher sent.
pub fn stamp_of(message: &[u8]) -> Option<Stamp> {
    let packet: pb::DataPacket = codec::decode(message, MESSAGE_BYTES_MAX).ok()?;
    match packet.value? {
        // any codec but H264 has its stamp at the end
        pb::data_packet::Value::User(user) => Stamp::find(Codec::Opus, &user.payload),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_back() {
        assert_eq!(stamp_of(&message(77)).unwrap().number, 77);
        assert_eq!(stamp_of(b"x"), None);
    }
}
