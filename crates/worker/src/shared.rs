//! Several workers on one UDP port (SO_REUSEPORT), where a container or firewall leaves no more than one.
//!
//! The kernel deals datagrams out by their addresses, so the first of a client may come to any worker. A binding request says whose
//! it is; later ones are handed over because the worker whose client has proven an address tells the others. Once a pair is
//! nominated its worker opens a *connected* socket on the same port, to which the kernel prefers to deliver: from then on nothing is
//! handed over.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use mio::event::Event;
use mio::{Interest, Registry, Token};
use slab::Slab;
use sluicegate_engine::demux::{self, Path, PathNews};
use sluicegate_engine::{Engine, Known};

use crate::receive::Receiver;
use crate::udp::UdpPort;

/// Connected sockets of one worker; further clients are served by hand-over. Each is a file descriptor.
const CONNECTED_MAX: usize = 8192;
/// Proven addresses of other workers that are remembered.
const OWNERS_MAX: usize = 1 << 18;
/// Tokens of the poll: above those of TCP connections.
const FIRST_CONNECTED: usize = 1 << 40;
/// The longest datagram that is handed over.
const HANDOVER_MAX: usize = 2048;

/// A datagram that came to the wrong worker.
#[derive(Debug)]
pub(crate) struct Foreign {
    pub worker: u16,
    pub path: Path,
    pub bytes: Vec<u8>,
}

pub(crate) struct SharedPort {
    worker: u16,
    registry: Registry,
    owners: HashMap<Path, u16>,
    connected: Slab<Connected>,
    by_path: HashMap<Path, usize>,
    readable: VecDeque<usize>,
    foreign: VecDeque<Foreign>,
}

struct Connected {
    port: UdpPort,
    path: Path,
    is_readable: bool,
}

impl SharedPort {
    pub fn new(worker: u16, registry: Registry) -> Self {
        Self {
            worker,
            registry,
            owners: HashMap::new(),
            connected: Slab::new(),
            by_path: HashMap::new(),
            readable: VecDeque::new(),
            foreign: VecDeque::new(),
        }
    }

    /// Sets a datagram aside that is another worker's. False: it is our own, or nobody's.
    pub fn set_aside(&mut self, known: Known, path: Path, datagram: &[u8]) -> bool {
        set_aside(self.worker, &self.owners, &mut self.foreign, known, path, datagram)
    }

    pub fn poll_foreign(&mut self) -> Option<Foreign> {
        self.foreign.pop_front()
    }

    /// What another worker tells of its clients' addresses. Who has moved to it is not ours any more.
    pub fn handle_news(&mut self, now: Instant, engine: &mut Engine, from: u16, news: PathNews) {
        if let PathNews::Proven(path) = news {
            engine.handle_path_closed(now, &path);
            self.close(&path);
        }
        match news {
            PathNews::Proven(path) if self.owners.len() < OWNERS_MAX => drop(self.owners.insert(path, from)),
            PathNews::Released(path) if self.owners.get(&path) == Some(&from) => drop(self.owners.remove(&path)),
            _ => {}
        }
    }

    /// A worker began anew: its clients' addresses are nobody's.
    pub fn forget(&mut self, worker: u16) {
        self.owners.retain(|_, owner| *owner != worker);
    }

    /// What our own engine tells. True: the other workers must hear of it.
    pub fn follow(&mut self, news: PathNews, bases: &[UdpPort]) -> bool {
        match news {
            PathNews::Nominated(path) => {
                self.connect(path, bases);
                false
            }
            PathNews::Left(path) => {
                self.close(&path);
                false
            }
            PathNews::Released(path) => {
                self.close(&path);
                true
            }
            PathNews::Proven(_) => true,
        }
    }

    fn connect(&mut self, path: Path, bases: &[UdpPort]) {
        if self.by_path.contains_key(&path) || self.connected.len() >= CONNECTED_MAX {
            return;
        }
        let Some(base) = bases.get(usize::from(path.local)) else { return };
        let entry = self.connected.vacant_entry();
        let key = entry.key();
        // without a socket of its own the client is served by hand-over
        let opened = base.connect(path.remote).and_then(|mut port| {
            self.registry.register(&mut port.socket, Token(FIRST_CONNECTED + key), Interest::READABLE)?;
            Ok(port)
        });
        match opened {
            Ok(port) => {
                entry.insert(Connected { port, path, is_readable: true });
                self.by_path.insert(path, key);
                self.readable.push_back(key);
            }
            Err(error) => tracing::debug!(%error, "no connected socket on the shared port"),
        }
    }

    fn close(&mut self, path: &Path) {
        if let Some(key) = self.by_path.remove(path) {
            let mut connected = self.connected.remove(key);
            let _ = self.registry.deregister(&mut connected.port.socket);
            self.readable.retain(|waiting| *waiting != key);
        }
    }

    pub fn close_all(&mut self) {
        let paths: Vec<Path> = self.by_path.keys().copied().collect();
        for path in paths {
            self.close(&path);
        }
    }

    /// True: it was for one of the connected sockets.
    pub fn handle_event(&mut self, event: &Event) -> bool {
        let Some(key) = event.token().0.checked_sub(FIRST_CONNECTED).filter(|key| *key < CONNECTED_MAX) else { return false };
        if let Some(connected) = self.connected.get_mut(key)
            && !std::mem::replace(&mut connected.is_readable, true)
        {
            self.readable.push_back(key);
        }
        true
    }

    /// One batch of each connected socket that has something; `take` gets path and bytes. True: there is more.
    pub fn receive(&mut self, datagrams: &mut Receiver, engine: &mut Engine, now: Instant) -> bool {
        for _ in 0..self.readable.len() {
            let Some(key) = self.readable.pop_front() else { break };
            let Self { connected, foreign, owners, worker, .. } = self;
            let Some(socket) = connected.get_mut(key) else { continue };
            let local = socket.path.local;
            socket.is_readable = datagrams.receive(&socket.port, |source, bytes| {
                // between its binding and its connecting it may have got others'
                let path = Path { local, remote: source };
                let known = engine.known(&path);
                if !set_aside(*worker, owners, foreign, known, path, bytes) {
                    engine.handle_known(now, path, known, bytes);
                }
            });
            if socket.is_readable {
                self.readable.push_back(key);
            }
        }
        !self.readable.is_empty()
    }
}

fn set_aside(
    own: u16,
    owners: &HashMap<Path, u16>,
    foreign: &mut VecDeque<Foreign>,
    known: Known,
    path: Path,
    datagram: &[u8],
) -> bool {
    let owner = match demux::worker_of_check(datagram) {
        Some(worker) => worker,
        None if known.is_somebodys() => return false,
        None => match owners.get(&path) {
            Some(worker) => *worker,
            None => return false,
        },
    };
    let is_foreign = owner != own && datagram.len() <= HANDOVER_MAX;
    if is_foreign {
        foreign.push_back(Foreign { worker: owner, path, bytes: datagram.to_vec() });
    }
    is_foreign
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
    use std::time::Duration;

    use sluicegate_contract::WorkerKey;
    use sluicegate_contract::time::WallClock;
    use sluicegate_engine::{Certificate, EngineConfig};

    use super::*;
    use crate::udp::{Offload, Port, UdpPorts};

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn bind(number: u16) -> UdpPort {
        let port = Port { bind: SocketAddr::new(LOOPBACK, number), advertised: LOOPBACK, external: None };
        UdpPort::bind_shared(&port, Offload::OFF).unwrap()
    }

    fn engine(worker: u16, base: &UdpPort) -> Engine {
        Engine::new(EngineConfig {
            worker: WorkerKey::local(worker),
            candidates: vec![base.local],
            certificate: Certificate::generate().unwrap(),
            wall_clock: WallClock::new(Instant::now(), Duration::ZERO),
            shares_port: true,
        })
    }

    /// A binding request whose user name begins with the worker's number; nothing in it is authentic.
    fn check(worker: u16) -> Vec<u8> {
        let username = format!("{worker:04x}abcd:peer");
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        request.extend([7; 12]);
        request.extend([0, 6]);
        request.extend((username.len() as u16).to_be_bytes());
        request.extend(username.as_bytes());
        request.resize(request.len().next_multiple_of(4), 0);
        let length = (request.len() - 20) as u16;
        request[2..4].copy_from_slice(&length.to_be_bytes());
        request
    }

    fn shared(worker: u16) -> (mio::Poll, SharedPort) {
        let poll = mio::Poll::new().unwrap();
        let shared = SharedPort::new(worker, poll.registry().try_clone().unwrap());
        (poll, shared)
    }

    #[test]
    fn what_is_anothers_is_set_aside() {
        let base = bind(0);
        let (mut engine, (_poll, mut port)) = (engine(0, &base), shared(0));
        let path = Path { local: 0, remote: SocketAddr::from(([127, 0, 0, 1], 9)) };
        assert!(!port.set_aside(engine.known(&path), path, &check(0)), "our own");
        assert!(port.set_aside(engine.known(&path), path, &check(1)));
        assert_eq!(port.poll_foreign().map(|foreign| (foreign.worker, foreign.path)), Some((1, path)));
        // media of an address that nobody has proven is nobody's
        let media = [0x80u8; 40];
        assert!(!port.set_aside(engine.known(&path), path, &media));
        port.handle_news(Instant::now(), &mut engine, 2, PathNews::Proven(path));
        assert!(port.set_aside(engine.known(&path), path, &media));
        assert_eq!(port.poll_foreign().map(|foreign| foreign.worker), Some(2));
        port.handle_news(Instant::now(), &mut engine, 1, PathNews::Released(path));
        assert!(port.set_aside(engine.known(&path), path, &media), "only its owner gives it up");
        port.handle_news(Instant::now(), &mut engine, 2, PathNews::Released(path));
        assert!(!port.set_aside(engine.known(&path), path, &media));
        port.handle_news(Instant::now(), &mut engine, 2, PathNews::Proven(path));
        port.forget(2);
        assert!(!port.set_aside(engine.known(&path), path, &media));
    }

    #[test]
    fn a_connected_socket_hears_its_client_and_the_others_hear_nothing_of_him() {
        let first = bind(0);
        let address = first.local.address;
        let second = bind(address.port());
        let (mut engine, (_poll, mut port)) = (engine(0, &first), shared(0));
        let bases = UdpPorts(vec![first]);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let path = Path { local: 0, remote: client.local_addr().unwrap() };
        port.follow(PathNews::Nominated(path), &bases.0);
        for _ in 0..50 {
            client.send_to(&[0x80; 40], address).unwrap();
        }
        let mut datagrams = Receiver::new(&bases);
        let heard = |port: &UdpPort, datagrams: &mut Receiver| {
            let mut count = 0;
            while datagrams.receive(port, |_, _| count += 1) {}
            count
        };
        let before = engine.meters().datagrams_up;
        while port.receive(&mut datagrams, &mut engine, Instant::now()) {}
        assert_eq!(engine.meters().datagrams_up - before, 50);
        assert_eq!((heard(&bases.0[0], &mut datagrams), heard(&second, &mut datagrams)), (0, 0));
        // given up, the port's other sockets hear him again
        port.follow(PathNews::Released(path), &bases.0);
        client.send_to(&[0x80; 40], address).unwrap();
        assert_eq!(heard(&bases.0[0], &mut datagrams) + heard(&second, &mut datagrams), 1);
        assert!(port.by_path.is_empty() && port.connected.is_empty());
    }
}
