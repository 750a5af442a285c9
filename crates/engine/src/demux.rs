//! Whose datagram is this: by source address once it is proven, before that by the user name of a binding request.
//!
//! An address is learnt only from a binding request whose integrity was verified with the transport's password, so strangers
//! cost one look-up and can neither fill the table nor take an address over.

use std::collections::HashMap;
use std::net::SocketAddr;

/// A transport's slab index.
pub type TransportIndex = u32;

/// One end-to-end path: the local socket's index and the peer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    pub local: u16,
    pub remote: SocketAddr,
}

/// Proven addresses a transport may hold: a client probes from each of its interfaces to each of ours, and may roam.
pub const ADDRESSES_PER_TRANSPORT_MAX: usize = 32;

#[derive(Debug, Default)]
pub struct Demux {
    by_path: HashMap<Path, TransportIndex>,
    by_ufrag: HashMap<Box<str>, TransportIndex>,
    /// What each transport holds, oldest first; looked up by index only.
    held: HashMap<TransportIndex, Held>,
}

#[derive(Debug, Default)]
struct Held {
    ufrags: Vec<Box<str>>,
    paths: Vec<Path>,
}

impl Demux {
    pub fn by_path(&self, path: &Path) -> Option<TransportIndex> {
        self.by_path.get(path).copied()
    }

    pub fn by_ufrag(&self, ufrag: &str) -> Option<TransportIndex> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// A transport answers to this user name fragment; after an ICE restart the previous one stays for packets under way.
    pub fn add_ufrag(&mut self, transport: TransportIndex, ufrag: &str) {
        let held = self.held.entry(transport).or_default();
        if held.ufrags.iter().any(|known| &**known == ufrag) {
            return;
        }
        if held.ufrags.len() == 2 {
            self.by_ufrag.remove(&held.ufrags.remove(0));
        }
        held.ufrags.push(ufrag.into());
        self.by_ufrag.insert(ufrag.into(), transport);
    }

    /// The peer proved that it receives at `path`. The transport's oldest path makes room.
    pub fn learn(&mut self, transport: TransportIndex, path: Path) {
        if self.by_path.get(&path) == Some(&transport) {
            return;
        }
        if let Some(previous) = self.by_path.insert(path, transport)
            && let Some(held) = self.held.get_mut(&previous)
        {
            held.paths.retain(|known| *known != path);
        }
        let held = self.held.entry(transport).or_default();
        if held.paths.len() == ADDRESSES_PER_TRANSPORT_MAX {
            self.by_path.remove(&held.paths.remove(0));
        }
        held.paths.push(path);
    }

    /// Forgets everything of a transport.
    pub fn remove(&mut self, transport: TransportIndex) {
        let Some(held) = self.held.remove(&transport) else { return };
        for ufrag in held.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        for path in held.paths {
            self.by_path.remove(&path);
        }
    }

    pub fn addresses(&self) -> usize {
        self.by_path.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path { local: 0, remote: SocketAddr::from(([127, 0, 0, 1], port)) }
    }

    #[test]
    fn an_address_moves_to_who_proved_it_last() {
        let mut demux = Demux::default();
        demux.learn(1, path(5));
        demux.learn(2, path(5));
        assert_eq!(demux.by_path(&path(5)), Some(2));
        demux.remove(1);
        assert_eq!(demux.by_path(&path(5)), Some(2));
        demux.remove(2);
        assert_eq!(demux.addresses(), 0);
    }

    #[test]
    fn a_roaming_transport_holds_a_bounded_number_of_addresses() {
        let mut demux = Demux::default();
        for port in 1..200 {
            demux.learn(7, path(port));
        }
        assert_eq!(demux.addresses(), ADDRESSES_PER_TRANSPORT_MAX);
        assert_eq!(demux.by_path(&path(199)), Some(7));
        assert_eq!(demux.by_path(&path(1)), None);
    }

    #[test]
    fn the_previous_ufrag_stays_over_one_restart() {
        let mut demux = Demux::default();
        for ufrag in ["a", "b", "c"] {
            demux.add_ufrag(1, ufrag);
        }
        assert_eq!([demux.by_ufrag("a"), demux.by_ufrag("b"), demux.by_ufrag("c")], [None, Some(1), Some(1)]);
        demux.remove(1);
        assert_eq!(demux.by_ufrag("c"), None);
    }
}
