//! Rooms (most tests need one) on one worker or several, their clients, and the networks between them.

mod forwarding;
mod signalling;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use sluicegate_contract::Command;
use sluicegate_contract::entropy::Entropy;
use sluicegate_contract::event::SessionEnd;
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Event, Relay, RoomKey, SessionKey, WorkerKey};
use sluicegate_engine::demux::Path;
use sluicegate_engine::sink::EachDatagram;
use sluicegate_engine::{Certificate, Engine, EngineConfig, LocalAddress};
use sluicegate_load::{Arrival, Client, ClientConfig, Output, PublishSpec};
use sluicegate_proto::pb;
use sluicegate_room::input::ConnectionKey;
use sluicegate_room::output::{ApiError, ApiReply, Output as RoomOutput};
use sluicegate_room::placement::Placement;
use sluicegate_room::{Input, Room, RoomConfig};

use crate::net::{Datagram, Link, Network};

/// The server's port in every world; further workers have the next ones.
const PORT: u16 = 7882;

fn server(worker: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), PORT + worker as u16)
}

/// Unix time at the world's beginning.
const BEGIN_UNIX: Duration = Duration::from_secs(1_800_000_000);

/// A client with its two addresses and their links.
pub struct Node {
    pub client: Client,
    pub identity: String,
    /// Index of its room.
    room: usize,
    /// On one PeerConnection (LiveKit's `/rtc/v1`).
    single: bool,
    addresses: [SocketAddr; 2],
    /// Its signalling, as it knows of it itself.
    connection: Option<ConnectionKey>,
    /// To and from the server, per address.
    up: [Link; 2],
    down: [Link; 2],
    is_deaf: bool,
    is_offline: bool,
    pub arrivals: Vec<(Instant, Arrival)>,
    /// (when, label of the channel, bytes)
    pub messages: Vec<(Instant, String, Vec<u8>)>,
    /// RTP the server sent to this client, before losses: first copies and all else.
    pub first_bytes: u64,
    pub other_bytes: u64,
    sent: BTreeMap<(u32, u16), ()>,
}

pub struct World {
    pub now: Instant,
    pub begin: Instant,
    pub rooms: Vec<Room>,
    pub engines: Vec<Engine>,
    /// Batches between workers find no room.
    pub relays_are_full: bool,
    /// Who joins from now on has one PeerConnection.
    pub single: bool,
    /// Where new sessions go; none: to the workers in turn.
    pub next_worker: Option<usize>,
    placement: Placement,
    configs: Vec<EngineConfig>,
    pub nodes: Vec<Node>,
    /// Whose each connection is, by its number less one.
    connections: Vec<usize>,
    pub closed: bool,
    /// The rooms that show a participant of another one.
    shown_in: BTreeMap<SessionKey, Vec<usize>>,
    /// To the call of the API that was made last.
    answer: Option<Result<ApiReply, ApiError>>,
    /// The event lane, from the workers to the rooms.
    pub lane: VecDeque<Event>,
    /// The control plane takes nothing from its lane.
    pub is_stuck: bool,
    clock: WallClock,
    network: Network,
    entropy: Entropy,
    certificate: Certificate,
    /// What was decided, in order: the meta-test compares two runs.
    pub decisions: Vec<String>,
}

impl World {
    /// With one worker.
    pub fn new(seed: u64, network: Network) -> Self {
        Self::with_workers(seed, network, 1)
    }

    /// Sessions go to the workers in turn.
    pub fn with_workers(seed: u64, network: Network, workers: usize) -> Self {
        let now = Instant::now();
        let entropy = Entropy::new(seed);
        let certificate = Certificate::generate().unwrap_or_else(|error| unreachable!("{error}"));
        let clock = WallClock::new(now, BEGIN_UNIX);
        let config = |worker| EngineConfig {
            worker: WorkerKey::local(worker as u16),
            candidates: vec![LocalAddress::udp(server(worker))],
            certificate: certificate.clone(),
            wall_clock: clock,
            shares_port: false,
        };
        let configs: Vec<EngineConfig> = (0..workers).map(config).collect();
        let mut world = Self {
            now,
            begin: now,
            rooms: Vec::new(),
            engines: configs.iter().cloned().map(Engine::new).collect(),
            relays_are_full: false,
            single: false,
            next_worker: None,
            placement: Placement::default(),
            configs,
            nodes: Vec::new(),
            connections: Vec::new(),
            closed: false,
            shown_in: BTreeMap::new(),
            answer: None,
            lane: VecDeque::new(),
            is_stuck: false,
            clock,
            network,
            entropy,
            certificate,
            decisions: Vec::new(),
        };
        world.add_room();
        world
    }

    /// Another room; returns its index.
    pub fn add_room(&mut self) -> usize {
        let index = self.rooms.len();
        let (key, seed) = (RoomKey(index as u32 + 1), self.entropy.next_u64());
        let create = pb::CreateRoomRequest::default();
        self.rooms.push(Room::new(self.now, RoomConfig::default(), key, "sim", create, self.clock, seed));
        index
    }

    /// A client joins the first room; returns its index.
    pub fn join(&mut self, identity: &str, publish: Vec<PublishSpec>) -> usize {
        self.join_room(0, identity, publish, false)
    }

    /// A client joins; with `open_channels` it opens the data channels of its publisher PeerConnection.
    pub fn join_room(&mut self, room: usize, identity: &str, publish: Vec<PublishSpec>, open_channels: bool) -> usize {
        let index = self.nodes.len();
        let ip = Ipv4Addr::new(10, 1, (index >> 8) as u8, index as u8);
        let addresses = [SocketAddr::from((ip, 5000)), SocketAddr::from((ip, 6000))];
        let client = Client::new(
            self.now,
            ClientConfig {
                addresses,
                certificate: self.certificate.clone(),
                publish,
                open_channels,
                single: self.single,
                first_ssrc: 1000 + 100 * index as u32,
                ntp: BEGIN_UNIX + self.now.duration_since(self.begin) + Duration::from_secs(7777),
            },
        );
        let mut link = || Link::new(self.network, self.entropy.next_u64());
        let (up, down) = ([link(), link()], [link(), link()]);
        self.nodes.push(Node {
            client,
            identity: identity.to_owned(),
            room,
            single: self.single,
            addresses,
            connection: None,
            up,
            down,
            is_deaf: false,
            is_offline: false,
            arrivals: Vec::new(),
            messages: Vec::new(),
            first_bytes: 0,
            other_bytes: 0,
            sent: BTreeMap::new(),
        });
        self.connect(index, None);
        index
    }

    pub fn input(&mut self, room: usize, input: Input) {
        self.rooms[room].handle_input(self.now, input);
        self.settle();
    }

    /// A NAT in front of the client gives its sockets other addresses; what comes to the old ones is lost.
    pub fn rebind(&mut self, index: usize) {
        for address in &mut self.nodes[index].addresses {
            address.set_port(address.port() + 1);
        }
    }

    /// Runs until `end`.
    pub fn run_until(&mut self, end: Instant) {
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = self.now.max(end);
    }

    pub fn run_for(&mut self, duration: Duration) {
        self.run_until(self.now + duration);
    }

    /// Runs until `done`; false when `limit` was reached first.
    pub fn run_while(&mut self, limit: Duration, mut busy: impl FnMut(&World) -> bool) -> bool {
        let end = self.now + limit;
        while busy(self) {
            let Some(at) = self.next().filter(|at| *at <= end) else { return false };
            self.now = self.now.max(at);
            self.step();
        }
        true
    }

    /// A track of a client sends one packet now.
    pub fn send_media(&mut self, node: usize, track: usize, timestamp: u32, marker: bool, payload: &[u8]) {
        self.nodes[node].client.send_media(self.now, track, timestamp, marker, payload);
        self.settle();
    }

    /// A client sends a signal request now.
    pub fn request(&mut self, node: usize, message: pb::signal_request::Message) {
        self.nodes[node].client.request(message);
        self.settle();
    }

    /// A client sends one message on its publisher PeerConnection now; false: its own side did not take it.
    pub fn send_message(&mut self, node: usize, label: &str, message: &[u8]) -> bool {
        let sent = self.nodes[node].client.send_message(self.now, label, message);
        self.settle();
        sent
    }

    /// Hands datagrams of the server to its clients, without any network, and serves the clients; returns what they send then.
    pub fn answers(&mut self, now: Instant, datagrams: Vec<(SocketAddr, Vec<u8>)>) -> Vec<(SocketAddr, Vec<u8>)> {
        for (to, mut contents) in datagrams {
            let Some(node) = self.nodes.iter_mut().find(|node| node.addresses.contains(&to)) else { continue };
            let at = usize::from(node.addresses[1] == to);
            node.client.handle_datagram(now, at, server(0), &mut contents);
        }
        let mut answers = Vec::new();
        for node in &mut self.nodes {
            if node.client.poll_timeout().is_some_and(|at| at <= now) {
                node.client.handle_timeout(now);
            }
            while let Some(output) = node.client.poll_output() {
                match output {
                    Output::Datagram { from, contents, .. } => answers.push((node.addresses[from], contents)),
                    Output::Message { label, data } => node.messages.push((now, label, data)),
                    Output::Signal(_) | Output::Arrived(_) => {}
                }
            }
        }
        answers
    }

    fn next(&self) -> Option<Instant> {
        let rooms = self.rooms.iter().filter_map(|room| room.poll_timeout().map(|(at, _)| at));
        let engines = self.engines.iter().filter_map(|engine| engine.poll_timeout().map(|(at, _)| at));
        let nodes = self.nodes.iter().flat_map(|node| {
            let links = node.up.iter().chain(&node.down).filter_map(Link::next);
            links.chain(node.client.poll_timeout())
        });
        nodes.chain(rooms).chain(engines).min()
    }

    fn step(&mut self) {
        let now = self.now;
        for room in &mut self.rooms {
            if room.poll_timeout().is_some_and(|(at, _)| at <= now) {
                room.handle_timeout(now);
            }
        }
        for engine in &mut self.engines {
            engine.handle_timeout(now);
        }
        for index in 0..self.nodes.len() {
            for at in [0, 1] {
                while let Some(mut datagram) = self.nodes[index].up[at].poll(now) {
                    let worker = usize::from(datagram.destination.port().wrapping_sub(PORT));
                    if let Some(engine) = self.engines.get_mut(worker) {
                        engine.handle_datagram(now, 0, datagram.source, &mut datagram.contents);
                    }
                }
                while let Some(mut datagram) = self.nodes[index].down[at].poll(now) {
                    if self.nodes[index].is_deaf || self.nodes[index].is_offline {
                        continue;
                    }
                    self.nodes[index].client.handle_datagram(now, at, datagram.source, &mut datagram.contents);
                }
            }
            if self.nodes[index].client.poll_timeout().is_some_and(|at| at <= now) {
                self.nodes[index].client.handle_timeout(now);
            }
        }
        self.settle();
    }

    /// Carries every output to where it belongs, until nothing moves any more.
    fn settle(&mut self) {
        loop {
            let mut moved = self.carry_room();
            self.flush();
            moved |= self.carry_relays();
            moved |= self.carry_events();
            moved |= self.carry_clients();
            if !moved {
                return;
            }
        }
    }

    /// Who is at the other end of a connection.
    fn node_of(&self, connection: ConnectionKey) -> Option<usize> {
        let index = *self.connections.get(connection.0 as usize - 1)?;
        (self.nodes[index].connection == Some(connection)).then_some(index)
    }

    fn carry_room(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.rooms.iter_mut().find_map(Room::poll_output) {
            moved = true;
            match output {
                RoomOutput::Signal { connections, response } => {
                    for connection in connections {
                        if let Some(node) = self.node_of(connection) {
                            let now = self.now;
                            self.nodes[node].client.handle_signal(now, &response);
                        }
                    }
                }
                RoomOutput::Media(command) => {
                    self.decisions.push(kind(&format!("{command:?}")));
                    self.command(command);
                }
                RoomOutput::CloseConnection { connection } | RoomOutput::JoinRefused { connection, .. } => {
                    if let Some(node) = self.node_of(connection) {
                        self.nodes[node].connection = None;
                    }
                }
                RoomOutput::Forwarded(forwarded) => self.carry_forwarded(&forwarded),
                RoomOutput::ApiAnswer { answer, .. } => self.answer = Some(answer),
                RoomOutput::Closed => self.closed = true,
                _ => {}
            }
        }
        moved
    }

    /// To the workers it concerns; a panic that belongs to no session begins the worker anew, as its thread does.
    pub fn command(&mut self, command: Command) {
        if let Command::AddSession(add) = &command {
            let worker = self.next_worker.unwrap_or(add.session.index as usize % self.engines.len());
            self.placement.place(add.session, WorkerKey::local(worker as u16));
        }
        let (now, engines) = (self.now, &mut self.engines);
        let mut panicked = None;
        self.placement.route(command, |worker, command| {
            let index = usize::from(worker.index);
            let outcome = catch_unwind(AssertUnwindSafe(|| engines[index].handle_command(now, command)));
            if outcome.is_err() {
                panicked = Some(index);
            }
        });
        if let Some(worker) = panicked {
            self.restart(worker);
        }
    }

    fn restart(&mut self, worker: usize) {
        let lost: Vec<SessionKey> = self.engines[worker].sessions().collect();
        self.engines[worker] = Engine::new(self.configs[worker].clone());
        for (index, engine) in self.engines.iter_mut().enumerate() {
            if index != worker {
                engine.handle_relay(self.now, WorkerKey::local(worker as u16), Relay::Restarted);
            }
        }
        for session in lost {
            let event = Event::SessionEnded { session, why: SessionEnd::Panicked };
            self.tell_room(event);
        }
    }

    fn tell_room(&mut self, event: Event) {
        if let Some(room) = self.rooms.get_mut(event.room().0 as usize - 1) {
            room.handle_input(self.now, Input::Media(event));
        }
    }

    pub(crate) fn carry_relays(&mut self) -> bool {
        let mut moved = false;
        for from in 0..self.engines.len() {
            let from_key = WorkerKey::local(from as u16);
            while let Some((to, message)) = self.engines[from].poll_relay() {
                moved = true;
                if let (Relay::Packets(batch), true) = (&message, self.relays_are_full) {
                    self.engines[from].relay_overflowed(self.now, to, batch);
                    continue;
                }
                if let Some(batch) = self.engines[usize::from(to.index)].handle_relay(self.now, from_key, message) {
                    self.engines[from].recycle(batch);
                }
            }
        }
        moved
    }

    fn carry_events(&mut self) -> bool {
        let mut moved = false;
        for at in 0..self.engines.len() {
            while let Some(event) = self.engines[at].poll_event() {
                if !matches!(event, Event::Data { .. }) {
                    self.decisions.push(kind(&format!("{event:?}")));
                }
                self.lane.push_back(event);
            }
        }
        while !self.is_stuck
            && let Some(event) = self.lane.pop_front()
        {
            moved = true;
            self.tell_room(event);
        }
        moved
    }

    fn carry_clients(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.nodes.len() {
            while let Some(output) = self.nodes[index].client.poll_output() {
                let node = &mut self.nodes[index];
                let room = node.room;
                match output {
                    Output::Signal(request) => {
                        moved = true;
                        let Some(connection) = node.connection else { continue };
                        self.rooms[room].handle_input(self.now, Input::Signal { connection, request });
                    }
                    Output::Datagram { .. } if node.is_offline => {}
                    Output::Datagram { from, destination, contents } => {
                        let source = node.addresses[from];
                        node.up[from].send(self.now, Datagram { source, destination, contents });
                    }
                    Output::Arrived(arrival) => node.arrivals.push((self.now, arrival)),
                    Output::Message { label, data } => node.messages.push((self.now, label, data)),
                }
            }
        }
        moved
    }

    fn flush(&mut self) {
        let (nodes, now) = (&mut self.nodes, self.now);
        for (worker, engine) in self.engines.iter_mut().enumerate() {
            let mut sink = EachDatagram::new(|path: Path, contents: &[u8]| {
                let destination = path.remote;
                let Some(node) = nodes.iter_mut().find(|node| node.addresses.contains(&destination)) else { return };
                let at = usize::from(node.addresses[1] == destination);
                node.count(contents);
                node.down[at].send(now, Datagram { source: server(worker), destination, contents: contents.to_vec() });
            });
            engine.flush(now, &mut sink);
        }
    }
}

impl Node {
    /// Nothing reaches it any more, nor does it answer: its network is gone.
    pub fn set_deaf(&mut self, deaf: bool) {
        self.is_deaf = deaf;
    }

    /// Where it publishes from.
    pub fn address(&self) -> SocketAddr {
        self.addresses[0]
    }

    fn count(&mut self, datagram: &[u8]) {
        use sluicegate_rtp::header::{Kind, RtpHeader, classify};
        let (Kind::Rtp, Ok(header)) = (classify(datagram), RtpHeader::parse(datagram)) else { return };
        let first = !self.client.is_repair(header.ssrc) && self.sent.insert((header.ssrc, header.sequence), ()).is_none();
        *(if first { &mut self.first_bytes } else { &mut self.other_bytes }) += datagram.len() as u64;
    }
}

/// The name of a value: what was decided, without keys and texts that are random.
fn kind(debug: &str) -> String {
    debug.split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}
