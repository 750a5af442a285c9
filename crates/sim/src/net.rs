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
pub struct Link(Netem<Datagram>);

impl Link {
    pub fn new(network: Network, seed: u64) -> Self {
        let config = NetemConfig::new()
            .latency(network.delay)
            .jitter(network.jitter)
            .loss(RandomLoss::new(Probability::new(network.loss)))
            .seed(seed);
        Self(Netem::new(config))
    }

    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        self.0.handle_input(Input::Packet(now, datagram));
    }

    pub fn poll(&mut self, now: Instant) -> Option<Datagram> {
        self.0.handle_input(Input::Timeout(now));
        match self.0.poll_output() {
            Some(Output::Packet(datagram)) => Some(datagram),
            _ => None,
        }
    }

    pub fn next(&self) -> Option<Instant> {
        (!self.0.is_empty()).then(|| self.0.poll_timeout())
    }
}
