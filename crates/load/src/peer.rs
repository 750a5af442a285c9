//! One PeerConnection of the client: the transport, and the datagrams it wants sent.

use std::net::SocketAddr;
use std::time::Instant;

use sluicegate_rtp::codec::Codec;
use sluicegate_transport::address::LocalAddress;
use sluicegate_transport::certificate::Certificate;
use sluicegate_transport::connection::{ChannelId, Output, Sent};
use sluicegate_transport::negotiate::Role;
use sluicegate_transport::transport::{Transport, TransportConfig};

/// A sealed packet with its tag fits.
const PACKET_MAX: usize = 2048;

#[derive(Debug)]
pub struct Peer {
    pub transport: Transport,
    pub local: SocketAddr,
    /// Where media goes: where DTLS went.
    pub remote: Option<SocketAddr>,
    pub connected: bool,
    /// (destination, bytes)
    pub datagrams: Vec<(SocketAddr, Vec<u8>)>,
    /// Messages of the data channels, with the label of their channel.
    pub messages: Vec<(String, Vec<u8>)>,
    labels: Vec<(ChannelId, String)>,
    transport_sequence: u16,
}

impl Peer {
    pub fn new(now: Instant, role: Role, local: SocketAddr, certificate: &Certificate, first_ssrc: u32) -> Self {
        let candidates = [LocalAddress::udp(local)];
        let transport = Transport::new(
            now,
            TransportConfig {
                role,
                single_pc: false,
                ice_lite: false,
                certificate,
                candidates: &candidates,
                worker: 0,
                publish_codecs: &Codec::ALL,
                subscribe_codecs: &Codec::ALL,
                session_id: u64::from(first_ssrc),
                first_ssrc,
            },
        );
        Self {
            transport,
            local,
            remote: None,
            connected: false,
            datagrams: Vec::new(),
            messages: Vec::new(),
            labels: Vec::new(),
            transport_sequence: 0,
        }
    }

    /// The transport-wide number of the next packet.
    pub fn next_transport_sequence(&mut self) -> u16 {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        self.transport_sequence
    }

    /// Sends a message on the open channel with this label; false: there is none, or it is full.
    pub fn send_message(&mut self, now: Instant, label: &str, data: &[u8]) -> bool {
        let Some((id, _)) = self.labels.iter().find(|(_, known)| known == label) else { return false };
        self.transport.connection.send_data(now, *id, true, data) == Sent::Queued
    }

    /// Everything the connection has to say.
    pub fn poll(&mut self, now: Instant) {
        let connection = &mut self.transport.connection;
        if connection.poll_timeout().is_some_and(|at| at <= now) {
            connection.handle_timeout(now);
        }
        while let Some(output) = self.transport.connection.poll_output() {
            match output {
                Output::Transmit { destination, contents, .. } => {
                    if contents.first().is_some_and(|first| (20..64).contains(first)) {
                        self.remote = Some(destination);
                    }
                    self.datagrams.push((destination, contents));
                }
                Output::Connected => self.connected = true,
                Output::ChannelOpen { id, label, .. } => self.labels.push((id, label)),
                Output::Data { id, data, .. } => {
                    let label = self.labels.iter().find(|(known, _)| *known == id).map(|(_, label)| label.clone());
                    self.messages.push((label.unwrap_or_default(), data));
                }
                Output::ChannelClosed { .. } | Output::Closed | Output::Failed(_) => {}
            }
        }
    }

    /// Seals a packet that `write` fills, (header length, end), and queues it.
    pub fn send_rtp(
        &mut self,
        ssrc: u32,
        ext_sequence: u64,
        write: impl FnOnce(&mut [u8]) -> Option<(usize, usize)>,
    ) -> Option<usize> {
        let mut buffer = vec![0u8; PACKET_MAX];
        let (header, end) = write(&mut buffer)?;
        let sealer = self.transport.connection.sealer()?;
        let sealed = sealer.seal_rtp(ssrc, ext_sequence, &mut buffer, header, end).ok()?;
        buffer.truncate(sealed);
        self.datagrams.push((self.remote?, buffer));
        Some(sealed)
    }

    pub fn send_rtcp(&mut self, compound: &[u8]) {
        let mut buffer = compound.to_vec();
        buffer.resize(compound.len() + 32, 0);
        let (Some(remote), Some(sealer)) = (self.remote, self.transport.connection.sealer()) else { return };
        if let Ok(sealed) = sealer.seal_rtcp(&mut buffer, compound.len()) {
            buffer.truncate(sealed);
            self.datagrams.push((remote, buffer));
        }
    }
}
