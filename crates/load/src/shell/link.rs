//! A client's link with loss and delay, each direction of each socket on its own. Links are made only where something is asked of them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use str0m_netem::{Input, Netem, NetemConfig, Output, Probability, RandomLoss};

/// What every link does.
#[derive(Clone, Copy, Debug)]
pub struct Network {
    pub loss: f64,
    /// One way.
    pub delay: Duration,
}

/// A datagram under way, and its other end.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub peer: SocketAddr,
    pub contents: Vec<u8>,
}

impl AsRef<[u8]> for Datagram {
    fn as_ref(&self) -> &[u8] {
        &self.contents
    }
}

/// One directed link.
pub struct Link(Netem<Datagram>);

impl Network {
    pub fn is_ideal(&self) -> bool {
        self.loss == 0.0 && self.delay.is_zero()
    }
}

impl Link {
    pub fn new(network: Network, seed: u64) -> Self {
        let loss = RandomLoss::new(Probability::new(network.loss as f32));
        Self(Netem::new(NetemConfig::new().latency(network.delay).loss(loss).seed(seed)))
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

    pub fn poll_timeout(&self) -> Option<Instant> {
        (!self.0.is_empty()).then(|| self.0.poll_timeout())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_comes_after_the_delay() {
        let now = Instant::now();
        let mut link = Link::new(Network { loss: 0.0, delay: Duration::from_millis(40) }, 1);
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        link.send(now, Datagram { peer, contents: vec![1] });
        assert!(link.poll(now).is_none());
        let due = link.poll_timeout().unwrap();
        assert_eq!(due, now + Duration::from_millis(40));
        assert_eq!(link.poll(due).unwrap().contents, [1]);
        assert_eq!(link.poll_timeout(), None);
    }
}
