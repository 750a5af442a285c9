//! Whose datagram is this: by source address once it is proven, before that by the user name of a binding request.
//!
//! An address is learnt only from a binding request whose integrity was verified with the transport's password, so strangers
//! cost one look-up and can neither fill the table nor take an address over.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluicegate_transport::ice::{self, TransactionId};

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

/// Checks whose answers are awaited from strangers' addresses: of all transports that begin at the same time.
const AWAITED_MAX: usize = 128;

/// New paths of a transport at once, and how long it takes until one more is free: every interface of a client with every address of
/// ours, for two networks.
pub const NEW_PATHS_AT_ONCE_MAX: u32 = 64;
pub const NEW_PATHS_INTERVAL: Duration = Duration::from_millis(250);

/// What becomes of a peer's address, for those who share our port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathNews {
    /// A peer of ours is there.
    Proven(Path),
    /// Its media comes from and goes there.
    Nominated(Path),
    /// Its media goes elsewhere now; the peer may still be there.
    Left(Path),
    /// No peer of ours is there any more.
    Released(Path),
}

#[derive(Debug, Default)]
pub struct Demux {
    /// The port is shared with other workers, who must hear of paths.
    tells: bool,
    news: VecDeque<PathNews>,
    /// Local addresses from this one on are those of connections, which somebody must close.
    streams_from: u16,
    released: Vec<Path>,
    by_path: HashMap<Path, TransportIndex>,
    by_ufrag: HashMap<Box<str>, TransportIndex>,
    /// Checks of ours to where no peer has been heard from, oldest first: the answer may come before the peer's own check.
    awaited: VecDeque<(TransactionId, TransportIndex)>,
    /// What each transport holds, oldest first; looked up by index only.
    held: HashMap<TransportIndex, Held>,
}

#[derive(Debug, Default)]
struct Held {
    ufrags: Vec<Box<str>>,
    paths: Vec<Path>,
    allowance: Allowance,
}

/// New paths, and changes from one to another: each costs the news of it to all workers of the port, or a socket.
#[derive(Debug, Default)]
struct Allowance {
    used: u32,
    /// When the first of `used` will be forgotten.
    due: Option<Instant>,
}

impl Allowance {
    fn take(&mut self, now: Instant) -> bool {
        while let Some(due) = self.due.filter(|due| self.used > 0 && *due <= now) {
            self.used -= 1;
            self.due = Some(due + NEW_PATHS_INTERVAL);
        }
        if self.used == 0 {
            self.due = Some(now + NEW_PATHS_INTERVAL);
        }
        let is_allowed = self.used < NEW_PATHS_AT_ONCE_MAX;
        self.used += u32::from(is_allowed);
        is_allowed
    }
}

/// The worker that a binding request is for, read from its user name alone; nothing is verified.
pub fn worker_of_check(datagram: &[u8]) -> Option<u16> {
    ice::stun_username_ufrag(datagram).and_then(ice::worker_of)
}

impl Demux {
    pub fn new(streams_from: u16, tells: bool) -> Self {
        Self { streams_from, tells, ..Self::default() }
    }

    pub fn by_path(&self, path: &Path) -> Option<TransportIndex> {
        self.by_path.get(path).copied()
    }

    pub fn by_ufrag(&self, ufrag: &str) -> Option<TransportIndex> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// A transport sent a check to where nobody has been heard from yet.
    pub fn await_answer(&mut self, transport: TransportIndex, id: TransactionId) {
        if self.awaited.len() == AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back((id, transport));
    }

    /// Whose check this is the answer to.
    pub fn awaited(&self, id: &TransactionId) -> Option<TransportIndex> {
        self.awaited.iter().find(|(known, _)| known == id).map(|(_, transport)| *transport)
    }

    /// A transport answers to these user name fragments and to no others: the one in use, and that of a restart which was offered.
    pub fn set_ufrags(&mut self, transport: TransportIndex, in_use: &str, offered: &str) {
        let held = self.held.entry(transport).or_default();
        held.ufrags.retain(|known| {
            let stays = **known == *in_use || **known == *offered;
            if !stays {
                self.by_ufrag.remove(known);
            }
            stays
        });
        for ufrag in [in_use, offered] {
            if !held.ufrags.iter().any(|known| **known == *ufrag) {
                held.ufrags.push(ufrag.into());
                self.by_ufrag.insert(ufrag.into(), transport);
            }
        }
    }

    /// The peer proved that it receives at `path`. The transport's oldest path makes room. False: it shows too many in too short a
    /// time, and this one is not taken.
    pub fn learn(&mut self, now: Instant, transport: TransportIndex, path: Path) -> bool {
        if self.by_path.get(&path) == Some(&transport) {
            return true;
        }
        if !self.held.entry(transport).or_default().allowance.take(now) {
            return false;
        }
        if let Some(previous) = self.by_path.insert(path, transport)
            && let Some(held) = self.held.get_mut(&previous)
        {
            held.paths.retain(|known| *known != path);
        }
        if path.local < self.streams_from {
            self.tell(PathNews::Proven(path));
        }
        let held = self.held.entry(transport).or_default();
        let oldest = (held.paths.len() == ADDRESSES_PER_TRANSPORT_MAX).then(|| held.paths.remove(0));
        held.paths.push(path);
        if let Some(oldest) = oldest {
            self.by_path.remove(&oldest);
            self.release(oldest);
        }
        true
    }

    /// Forgets everything of a transport.
    pub fn remove(&mut self, transport: TransportIndex) {
        self.awaited.retain(|(_, whose)| *whose != transport);
        let Some(held) = self.held.remove(&transport) else { return };
        for ufrag in held.ufrags {
            self.by_ufrag.remove(&ufrag);
        }
        for path in held.paths {
            self.by_path.remove(&path);
            self.release(path);
        }
    }

    fn release(&mut self, path: Path) {
        if path.local >= self.streams_from {
            self.released.push(path);
        } else {
            self.tell(PathNews::Released(path));
        }
    }

    fn tell(&mut self, news: PathNews) {
        if self.tells {
            self.news.push_back(news);
        }
    }

    /// Media of a transport goes to `path` from now on, and not to `previous` any more. Beyond what it may change in a short time its
    /// sockets stay where they are, and what comes on `path` is handed over.
    pub fn nominated(&mut self, now: Instant, transport: TransportIndex, path: Path, previous: Option<Path>) {
        if self.tells && previous.is_some() && !self.held.entry(transport).or_default().allowance.take(now) {
            return;
        }
        if let Some(previous) = previous.filter(|previous| !self.is_stream(previous)) {
            self.tell(PathNews::Left(previous));
        }
        if !self.is_stream(&path) {
            self.tell(PathNews::Nominated(path));
        }
    }

    /// The path of a connection, not of datagrams.
    pub fn is_stream(&self, path: &Path) -> bool {
        path.local >= self.streams_from
    }

    /// The next news for the other workers on our port.
    pub fn poll_news(&mut self) -> Option<PathNews> {
        self.news.pop_front()
    }

    /// A path of a connection that no transport holds any more.
    pub fn poll_released(&mut self) -> Option<Path> {
        self.released.pop()
    }

    /// The connection was closed; returns the transport that had it.
    pub fn forget_path(&mut self, path: &Path) -> Option<TransportIndex> {
        let transport = self.by_path.remove(path)?;
        if let Some(held) = self.held.get_mut(&transport) {
            held.paths.retain(|known| known != path);
        }
        Some(transport)
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

    fn learn(demux: &mut Demux, transport: TransportIndex, path: Path) {
        // none of these tests is about how many at once
        demux.held.entry(transport).or_default().allowance = Allowance::default();
        assert!(demux.learn(Instant::now(), transport, path));
    }

    #[test]
    fn an_address_moves_to_who_proved_it_last() {
        let mut demux = Demux::default();
        learn(&mut demux, 1, path(5));
        learn(&mut demux, 2, path(5));
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
            learn(&mut demux, 7, path(port));
        }
        assert_eq!(demux.addresses(), ADDRESSES_PER_TRANSPORT_MAX);
        assert_eq!(demux.by_path(&path(199)), Some(7));
        assert_eq!(demux.by_path(&path(1)), None);
    }

    #[test]
    fn connections_that_nobody_holds_are_told_once() {
        let mut demux = Demux::new(1, false);
        let stream = |port: u16| Path { local: 1, ..path(port) };
        for port in 1..=ADDRESSES_PER_TRANSPORT_MAX as u16 + 1 {
            learn(&mut demux, 1, stream(port));
        }
        learn(&mut demux, 2, path(1));
        assert_eq!((demux.poll_released(), demux.poll_released()), (Some(stream(1)), None));
        assert_eq!((demux.forget_path(&stream(2)), demux.forget_path(&stream(2))), (Some(1), None));
        demux.remove(2);
        assert_eq!(demux.poll_released(), None, "datagrams need no closing");
        demux.remove(1);
        let released = std::iter::from_fn(|| demux.poll_released()).count();
        assert_eq!((released, demux.addresses()), (ADDRESSES_PER_TRANSPORT_MAX - 1, 0));
    }

    #[test]
    fn the_ufrag_in_use_outlives_restarts_that_nobody_answers() {
        let mut demux = Demux::default();
        demux.set_ufrags(1, "a", "a");
        for offered in ["b", "c", "d"] {
            demux.set_ufrags(1, "a", offered);
            assert_eq!([demux.by_ufrag("a"), demux.by_ufrag(offered)], [Some(1); 2]);
        }
        assert_eq!([demux.by_ufrag("b"), demux.by_ufrag("c")], [None; 2]);
        demux.set_ufrags(1, "d", "d");
        assert_eq!([demux.by_ufrag("a"), demux.by_ufrag("d")], [None, Some(1)]);
        demux.remove(1);
        assert_eq!(demux.by_ufrag("d"), None);
    }

    #[test]
    fn answers_find_who_asked() {
        let mut demux = Demux::default();
        for id in 0..=AWAITED_MAX as u8 {
            demux.await_answer(u32::from(id % 2), [id; 12]);
        }
        assert_eq!([demux.awaited(&[0; 12]), demux.awaited(&[1; 12]), demux.awaited(&[2; 12])], [None, Some(1), Some(0)]);
        demux.remove(1);
        assert_eq!([demux.awaited(&[1; 12]), demux.awaited(&[2; 12])], [None, Some(0)]);
    }

    #[test]
    fn new_paths_are_few_at_once_and_known_ones_free() {
        let now = Instant::now();
        let mut demux = Demux::default();
        let taken = (1..200).filter(|port| demux.learn(now, 7, path(*port))).count();
        assert_eq!(taken, NEW_PATHS_AT_ONCE_MAX as usize);
        assert!(demux.learn(now, 7, path(taken as u16)) && demux.learn(now, 8, path(1)), "known, or another's");
        let later = now + 3 * NEW_PATHS_INTERVAL;
        assert_eq!((300..400).filter(|port| demux.learn(later, 7, path(*port))).count(), 3);
        let much_later = now + Duration::from_secs(3600);
        assert_eq!((400..600).filter(|port| demux.learn(much_later, 7, path(*port))).count(), NEW_PATHS_AT_ONCE_MAX as usize);
    }
}
