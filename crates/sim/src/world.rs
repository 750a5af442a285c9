//! One room on one worker, its clients, and the networks between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use sluicegate_contract::entropy::Entropy;
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Event, RoomKey};
use sluicegate_engine::{Certificate, Engine, EngineConfig};
use sluicegate_load::{Arrival, Client, ClientConfig, Output, PublishSpec};
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb;
use sluicegate_proto::token::Claims;
use sluicegate_room::input::{ConnectionKey, Join, SignalMode};
use sluicegate_room::output::Output as RoomOutput;
use sluicegate_room::{Input, Room, RoomConfig};

use crate::net::{Datagram, Link, Network};

/// The server's address in every world.
pub const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 7882);
/// Unix time at the world's beginning.
const BEGIN_UNIX: Duration = Duration::from_secs(1_800_000_000);

/// A client with its two addresses and their links.
pub struct Node {
    pub client: Client,
    pub identity: String,
    addresses: [SocketAddr; 2],
    /// To and from the server, per address.
    up: [Link; 2],
    down: [Link; 2],
    pub arrivals: Vec<(Instant, Arrival)>,
    pub messages: Vec<(String, Vec<u8>)>,
    /// RTP the server sent to this client, before losses: first copies and all else.
    pub first_bytes: u64,
    pub other_bytes: u64,
    sent: BTreeMap<(u32, u16), ()>,
}

pub struct World {
    pub now: Instant,
    pub begin: Instant,
    pub room: Room,
    pub engine: Engine,
    pub nodes: Vec<Node>,
    pub closed: bool,
    network: Network,
    entropy: Entropy,
    certificate: Certificate,
    /// What was decided, in order: the meta-test compares two runs.
    pub decisions: Vec<String>,
}

impl World {
    pub fn new(seed: u64, network: Network) -> Self {
        let now = Instant::now();
        let mut entropy = Entropy::new(seed);
        let certificate = Certificate::generate().unwrap_or_else(|error| unreachable!("{error}"));
        let clock = WallClock::new(now, BEGIN_UNIX);
        let engine = Engine::new(EngineConfig { candidates: vec![SERVER], certificate: certificate.clone(), wall_clock: clock });
        let room =
            Room::new(now, RoomConfig::default(), RoomKey(1), "sim", pb::CreateRoomRequest::default(), clock, entropy.next_u64());
        Self {
            now,
            begin: now,
            room,
            engine,
            nodes: Vec::new(),
            closed: false,
            network,
            entropy,
            certificate,
            decisions: Vec::new(),
        }
    }

    /// A client joins; returns its index.
    pub fn join(&mut self, identity: &str, publish: Vec<PublishSpec>) -> usize {
        let index = self.nodes.len();
        let ip = Ipv4Addr::new(10, 1, (index >> 8) as u8, index as u8);
        let addresses = [SocketAddr::from((ip, 5000)), SocketAddr::from((ip, 6000))];
        let client = Client::new(
            self.now,
            ClientConfig {
                addresses,
                certificate: self.certificate.clone(),
                publish,
                open_channels: false,
                first_ssrc: 1000 + 100 * index as u32,
                ntp: BEGIN_UNIX + self.now.duration_since(self.begin) + Duration::from_secs(7777),
            },
        );
        let mut link = || Link::new(self.network, self.entropy.next_u64());
        let (up, down) = ([link(), link()], [link(), link()]);
        self.nodes.push(Node {
            client,
            identity: identity.to_owned(),
            addresses,
            up,
            down,
            arrivals: Vec::new(),
            messages: Vec::new(),
            first_bytes: 0,
            other_bytes: 0,
            sent: BTreeMap::new(),
        });
        let video = VideoGrant { room_join: true, room: "sim".to_owned(), ..VideoGrant::default() };
        let join = Join {
            connection: ConnectionKey(index as u64 + 1),
            identity: identity.to_owned(),
            claims: Claims { sub: identity.to_owned(), exp: 2_000_000_000, video: Some(video), ..Claims::default() },
            client: pb::ClientInfo { protocol: 17, ..Default::default() },
            client_address: String::new(),
            mode: SignalMode::V0,
            auto_subscribe: true,
            adaptive_stream: false,
            disable_ice_lite: false,
            metadata: None,
            attributes: Vec::new(),
            add_tracks: Vec::new(),
            publisher_offer: None,
            reconnect: None,
        };
        self.input(Input::Join(Box::new(join)));
        index
    }

    /// The client's WebSocket goes; with `leave` it says so first.
    pub fn leave(&mut self, index: usize) {
        let connection = ConnectionKey(index as u64 + 1);
        let leave = pb::signal_request::Message::Leave(pb::LeaveRequest::default());
        self.input(Input::Signal { connection, request: Box::new(pb::SignalRequest { message: Some(leave) }) });
        self.input(Input::SignalClosed { connection });
    }

    pub fn input(&mut self, input: Input) {
        self.room.handle_input(self.now, input);
        self.settle();
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

    fn next(&self) -> Option<Instant> {
        let room = self.room.poll_timeout().map(|(at, _)| at);
        let engine = self.engine.poll_timeout().map(|(at, _)| at);
        let nodes = self.nodes.iter().flat_map(|node| {
            let links = node.up.iter().chain(&node.down).filter_map(Link::next);
            links.chain(node.client.poll_timeout())
        });
        nodes.chain(room).chain(engine).min()
    }

    fn step(&mut self) {
        let now = self.now;
        if self.room.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.room.handle_timeout(now);
        }
        self.engine.handle_timeout(now);
        for index in 0..self.nodes.len() {
            for at in [0, 1] {
                while let Some(mut datagram) = self.nodes[index].up[at].poll(now) {
                    self.engine.handle_datagram(now, 0, datagram.source, &mut datagram.contents);
                }
                while let Some(mut datagram) = self.nodes[index].down[at].poll(now) {
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
            moved |= self.carry_events();
            moved |= self.carry_clients();
            if !moved {
                return;
            }
        }
    }

    fn carry_room(&mut self) -> bool {
        let mut moved = false;
        while let Some(output) = self.room.poll_output() {
            moved = true;
            match output {
                RoomOutput::Signal { connections, response } => {
                    for connection in connections {
                        if let Some(node) = self.nodes.get_mut(connection.0 as usize - 1) {
                            node.client.handle_signal(self.now, &response);
                        }
                    }
                }
                RoomOutput::Media(command) => {
                    self.decisions.push(kind(&format!("{command:?}")));
                    self.engine.handle_command(self.now, command);
                }
                RoomOutput::Closed => self.closed = true,
                _ => {}
            }
        }
        moved
    }

    fn carry_events(&mut self) -> bool {
        let mut moved = false;
        while let Some(event) = self.engine.poll_event() {
            moved = true;
            if !matches!(event, Event::Data { .. }) {
                self.decisions.push(kind(&format!("{event:?}")));
            }
            self.room.handle_input(self.now, Input::Media(event));
        }
        moved
    }

    fn carry_clients(&mut self) -> bool {
        let mut moved = false;
        for index in 0..self.nodes.len() {
            while let Some(output) = self.nodes[index].client.poll_output() {
                let node = &mut self.nodes[index];
                match output {
                    Output::Signal(request) => {
                        moved = true;
                        let connection = ConnectionKey(index as u64 + 1);
                        self.room.handle_input(self.now, Input::Signal { connection, request });
                    }
                    Output::Datagram { from, destination, contents } => {
                        let source = node.addresses[from];
                        node.up[from].send(self.now, Datagram { source, destination, contents });
                    }
                    Output::Arrived(arrival) => node.arrivals.push((self.now, arrival)),
                    Output::Message { label, data } => node.messages.push((label, data)),
                }
            }
        }
        moved
    }

    fn flush(&mut self) {
        let (nodes, now) = (&mut self.nodes, self.now);
        self.engine.flush(now, &mut |_, destination, contents: &[u8]| {
            let Some(node) = nodes.iter_mut().find(|node| node.addresses.contains(&destination)) else { return };
            let at = usize::from(node.addresses[1] == destination);
            node.count(contents);
            node.down[at].send(now, Datagram { source: SERVER, destination, contents: contents.to_vec() });
        });
    }
}

impl Node {
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
