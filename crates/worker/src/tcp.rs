//! Media over TCP for clients whose network lets no UDP through: passive host candidates (RFC 6544), packets framed by RFC 4571.
//!
//! A new connection is a stranger: few of them, for a few seconds and a few bytes, until its first frame is a binding request that
//! the engine finds authentic. Then it is a path like any other, with a bounded buffer each way.

mod connection;
mod frame;
mod outbound;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Interest, Registry, Token};
use slab::Slab;
use sluicegate_engine::demux::{self, Path};
use sluicegate_engine::{Carrier, Engine, LocalAddress};
use socket2::{Domain, Protocol, Socket, Type};

use connection::{Connection, Progress};

use crate::udp::Port;

/// Connections that have not shown yet whose they are: all together, and of one source (an IPv6 network counts as one).
const STRANGERS_MAX: usize = 256;
const STRANGERS_PER_SOURCE_MAX: usize = 16;
/// How long one may remain a stranger.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections of this worker in all.
const CONNECTIONS_MAX: usize = 16_384;
/// Taken from a listener before datagrams have their turn again.
const ACCEPTS_PER_TICK: usize = 32;
const BACKLOG: i32 = 128;

/// Tokens of the poll: below the first are UDP sockets.
const FIRST_LISTENER: usize = 1 << 16;
const FIRST_CONNECTION: usize = 1 << 20;

/// One listening socket and the address under which clients know it.
#[derive(Debug)]
pub struct TcpPort {
    listener: mio::net::TcpListener,
    pub local: LocalAddress,
    acceptable: bool,
}

impl TcpPort {
    /// Listens; port 0 takes a free one.
    pub fn bind(port: &Port) -> io::Result<Self> {
        let bind = port.bind;
        let socket = Socket::new(Domain::for_address(bind), Type::STREAM, Some(Protocol::TCP))?;
        if bind.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // a restart must not wait for the connections of the process before
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&bind.into())?;
        socket.listen(BACKLOG)?;
        let listener = mio::net::TcpListener::from_std(socket.into());
        let local = port.known_as(Carrier::TcpPassive, listener.local_addr()?.port());
        Ok(Self { listener, local, acceptable: true })
    }
}

/// A connection of another worker's session, with what was read of it.
#[derive(Debug)]
pub struct Handover {
    /// Whose it is.
    pub worker: u16,
    pub path: Path,
    stream: mio::net::TcpStream,
    read: Vec<u8>,
}

pub(crate) struct Tcp {
    registry: Registry,
    worker: u16,
    /// The engine's local address index of the first listener.
    first_local: u16,
    listeners: Vec<TcpPort>,
    connections: Slab<Connection>,
    /// Those that are no strangers any more.
    by_path: HashMap<Path, usize>,
    /// The longest waiting first.
    strangers: Vec<usize>,
    /// With bytes that can be read, that can be written.
    readable: VecDeque<usize>,
    pending: Vec<usize>,
    handovers: Vec<Handover>,
    /// Packets that did not leave.
    pub unsent: u64,
}

impl Tcp {
    pub fn new(registry: Registry, worker: u16, first_local: u16, mut listeners: Vec<TcpPort>) -> io::Result<Self> {
        for (index, port) in listeners.iter_mut().enumerate() {
            registry.register(&mut port.listener, Token(FIRST_LISTENER + index), Interest::READABLE)?;
        }
        Ok(Self {
            registry,
            worker,
            first_local,
            listeners,
            connections: Slab::new(),
            by_path: HashMap::new(),
            strangers: Vec::new(),
            readable: VecDeque::new(),
            pending: Vec::new(),
            handovers: Vec::new(),
            unsent: 0,
        })
    }

    pub fn handle_event(&mut self, event: &Event) {
        let token = event.token().0;
        if let Some(key) = token.checked_sub(FIRST_CONNECTION) {
            let Some(connection) = self.connections.get_mut(key) else { return };
            // its end and its errors are read, too
            connection.ending |= event.is_read_closed() || event.is_error();
            if (event.is_readable() || connection.ending) && !std::mem::replace(&mut connection.readable, true) {
                self.readable.push_back(key);
            }
            connection.writable |= event.is_writable();
        } else if let Some(port) = token.checked_sub(FIRST_LISTENER).and_then(|index| self.listeners.get_mut(index)) {
            port.acceptable = true;
        }
    }

    /// Accepts and reads. True: there is more.
    pub fn receive(&mut self, now: Instant, engine: &mut Engine) -> bool {
        for index in 0..self.listeners.len() {
            self.accept(now, index);
        }
        // those that have more take their turn behind the others
        for _ in 0..self.readable.len() {
            if let Some(key) = self.readable.pop_front() {
                self.read(now, key, engine);
            }
        }
        !self.readable.is_empty() || self.listeners.iter().any(|port| port.acceptable)
    }

    fn accept(&mut self, now: Instant, index: usize) {
        for _ in 0..ACCEPTS_PER_TICK {
            if !self.listeners[index].acceptable {
                return;
            }
            match self.listeners[index].listener.accept() {
                Ok((stream, remote)) => {
                    let path = Path { local: self.first_local + index as u16, remote };
                    if self.admits(remote.ip()) {
                        let _ = self.add(now, path, stream, &[]);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // none waits; or no more files may be open, and then the next one that comes asks again
                Err(_) => self.listeners[index].acceptable = false,
            }
        }
    }

    fn admits(&self, source: IpAddr) -> bool {
        let same =
            |key: &&usize| self.connections.get(**key).is_some_and(|known| network(known.path.remote.ip()) == network(source));
        self.connections.len() < CONNECTIONS_MAX
            && self.strangers.len() < STRANGERS_MAX
            && self.strangers.iter().filter(same).count() < STRANGERS_PER_SOURCE_MAX
    }

    fn add(&mut self, now: Instant, path: Path, mut stream: mio::net::TcpStream, read: &[u8]) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let entry = self.connections.vacant_entry();
        let key = entry.key();
        self.registry.register(&mut stream, Token(FIRST_CONNECTION + key), Interest::READABLE | Interest::WRITABLE)?;
        entry.insert(Connection::new(path, stream, now + PATIENCE, read));
        self.strangers.push(key);
        self.readable.push_back(key);
        Ok(())
    }

    /// Another worker accepted it and found that it is ours.
    pub fn adopt(&mut self, now: Instant, handover: Handover) {
        if self.admits(handover.path.remote.ip()) {
            let _ = self.add(now, handover.path, handover.stream, &handover.read);
        }
    }

    /// The next connection that belongs to another worker.
    pub fn poll_handover(&mut self) -> Option<Handover> {
        self.handovers.pop()
    }

    fn read(&mut self, now: Instant, key: usize, engine: &mut Engine) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let path = connection.path;
        let progress = if connection.is_known() {
            connection.read(|packet| engine.handle_datagram(now, usize::from(path.local), path.remote, packet))
        } else {
            connection.read_first()
        };
        match progress {
            Progress::More => self.readable.push_back(key),
            Progress::Drained => {}
            Progress::Closed => self.close(now, key, engine),
            Progress::First(owner) if owner == self.worker => self.identify(now, key, engine),
            Progress::First(owner) => self.hand_over(key, owner),
        }
    }

    /// The first packet names a transport of ours: if it is authentic, the engine knows the path afterwards.
    fn identify(&mut self, now: Instant, key: usize, engine: &mut Engine) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let path = connection.path;
        connection.become_known();
        // that one packet only: what follows it is none of ours before it is known to be authentic
        connection.take_one(|packet| engine.handle_datagram(now, usize::from(path.local), path.remote, packet));
        self.strangers.retain(|stranger| *stranger != key);
        if !engine.has_path(&path) {
            return self.close(now, key, engine);
        }
        if let Some(previous) = self.by_path.insert(path, key) {
            self.forget(previous);
        }
        // more may have come behind it
        if let Some(connection) = self.connections.get_mut(key) {
            connection.readable = true;
            self.readable.push_back(key);
        }
    }

    fn hand_over(&mut self, key: usize, worker: u16) {
        let Some(mut connection) = self.forget(key) else { return };
        if self.registry.deregister(&mut connection.stream).is_ok() {
            let (path, stream, read) = connection.into_read();
            self.handovers.push(Handover { worker, path, stream, read });
        }
    }

    /// Its key may be another one's from now on.
    fn forget(&mut self, key: usize) -> Option<Connection> {
        self.strangers.retain(|stranger| *stranger != key);
        self.pending.retain(|pending| *pending != key);
        self.readable.retain(|readable| *readable != key);
        self.connections.try_remove(key)
    }

    /// The engine is a new one: nobody knows the connections any more.
    pub fn close_all(&mut self) {
        self.connections.clear();
        self.by_path.clear();
        self.strangers.clear();
        self.readable.clear();
        self.pending.clear();
    }

    /// This path is one of ours, not of the UDP sockets.
    pub fn has(&self, path: &Path) -> bool {
        path.local >= self.first_local
    }

    /// Strangers whose time is over.
    fn expire(&mut self, now: Instant, engine: &mut Engine) {
        while let Some(key) = self.strangers.first().copied() {
            if self.connections.get(key).is_some_and(|connection| connection.deadline > now) {
                return;
            }
            self.close(now, key, engine);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.connections.get(*self.strangers.first()?).map(|connection| connection.deadline)
    }

    pub fn room(&mut self, path: Path) -> Option<&mut [u8]> {
        let connection = self.by_path.get(&path).and_then(|key| self.connections.get_mut(*key));
        let room = connection.and_then(|connection| connection.outbound.as_mut()).and_then(|outbound| outbound.room());
        if room.is_none() {
            self.unsent += 1;
        }
        room
    }

    pub fn push(&mut self, path: Path, length: usize) {
        let Some(key) = self.by_path.get(&path).copied() else { return };
        let Some(outbound) = self.connections.get_mut(key).and_then(|connection| connection.outbound.as_mut()) else { return };
        if outbound.is_empty() {
            self.pending.push(key);
        }
        outbound.push(length);
    }

    /// Writes what the peers take, and closes what the engine or its time has done with.
    pub fn finish(&mut self, now: Instant, engine: &mut Engine) {
        for at in (0..self.pending.len()).rev() {
            let key = self.pending[at];
            let written = self.connections.get_mut(key).map_or(Ok(true), Connection::write);
            if !matches!(written, Ok(false)) {
                self.pending.swap_remove(at);
            }
            if written.is_err() {
                self.close(now, key, engine);
            }
        }
        while let Some(path) = engine.poll_released() {
            if let Some(key) = self.by_path.get(&path).copied() {
                self.close(now, key, engine);
            }
        }
        self.expire(now, engine);
    }

    /// Either side is done with it: nobody finds the path any more.
    fn close(&mut self, now: Instant, key: usize, engine: &mut Engine) {
        let Some(connection) = self.forget(key) else { return };
        if self.by_path.get(&connection.path) == Some(&key) {
            self.by_path.remove(&connection.path);
            engine.handle_path_closed(now, &connection.path);
        }
    }
}

/// What counts as one source.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 => v4,
    }
}

/// Which worker a stranger's first packet is for.
fn owner(packet: &[u8]) -> Option<u16> {
    demux::worker_of_check(packet)
}
