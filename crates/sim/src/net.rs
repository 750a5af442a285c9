//! Links: each directed way between a client's address and the server has its own loss, delay and order.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m_netem::{Input, Netem, NetemConfig, Output, Probability, RandomLoss};

/// What every directed link does.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    /// Of each datagram, 0 to 1.
    pub loss: f32,
    /// One way.
    pub delay: Duration,
    pub jitter: Duration,
    /// DTLS jitters its retransmissions by a randomness of its own: where a run shall be the same each time, its handshakes must
    /// not be lost.
    pub spares_handshakes: bool,
}

impl Network {
    /// Loses nothing, and nothing is overtaken.
    pub const fn sound(delay: Duration) -> Self {
        Self { loss: 0.0, delay, jitter: Duration::ZERO, spares_handshakes: false }
    }
}

/// A datagram under way.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub contents: Vec<u8>,
}

impl AsRef<[u8]> for Datagram {
    fn as_ref(&self) -> &[u8] {
        &self.contents
    }
}

/// One directed link.
pub struct Link {
    ways: [Netem<Datagram>; 3],
    spares_handshakes: bool,
}

/// Media has a way of its own: how often ICE and SCTP send is not in the seed's hand, so they must not draw from the same fate.
const MEDIA: usize = 0;
const CONTROL: usize = 1;
const SPARED: usize = 2;

impl Link {
    pub fn new(network: Network, seed: u64) -> Self {
        let config = |loss, seed| {
            NetemConfig::new()
                .latency(network.delay)
                .jitter(network.jitter)
                .loss(RandomLoss::new(Probability::new(loss)))
                .seed(seed)
        };
        Self {
            ways: [config(network.loss, seed), config(network.loss, !seed), config(0.0, seed)].map(Netem::new),
            spares_handshakes: network.spares_handshakes,
        }
    }

    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        // RFC 9147: change cipher spec 20, alert 21, handshake 22; application data (SCTP) is 23. RFC 7983: media from 128 on
        let way = match datagram.contents.first() {
            Some(20..=22) if self.spares_handshakes => SPARED,
            Some(128..) => MEDIA,
            _ => CONTROL,
        };
        self.ways[way].handle_input(Input::Packet(now, datagram));
    }

    pub fn poll(&mut self, now: Instant) -> Option<Datagram> {
        self.ways.iter_mut().find_map(|way| {
            way.handle_input(Input::Timeout(now));
            match way.poll_output() {
                Some(Output::Packet(datagram)) => Some(datagram),
                _ => None,
            }
        })
    }

    pub fn next(&self) -> Option<Instant> {
        self.ways.iter().filter(|way| !way.is_empty()).map(Netem::poll_timeout).min()
    }
}
