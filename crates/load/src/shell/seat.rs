//! One client with its sockets, its clips and what became of it.

use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use sluicegate_proto::pb::{self, signal_request};
use sluicegate_rtp::codec::{MediaKind, is_key_frame};
use sluicegate_transport::certificate::Certificate;

use super::clock;
use super::data::{self, DataSource};
use super::driver::Meter;
use super::join::Entered;
use super::link::{Datagram, Link, Network};
use super::signal::Signal;
use super::tally::{Outcome, Role, Totals};
use crate::client::{Client, ClientConfig, Output, PublishSpec};
use crate::layout::Layout;
use crate::source::Source;
use crate::stamp::Stamp;

/// Datagrams taken from a socket before others have their turn.
const DATAGRAMS_MAX: usize = 16;
/// One shorter than this is sound or feedback, which comes alone: looking for another costs more than being told.
const ALONE_BYTES: usize = 400;

/// How all seats are set up.
#[derive(Clone, Debug)]
pub struct SeatConfig {
    pub certificate: Certificate,
    pub audio: PublishSpec,
    pub video: PublishSpec,
    pub data_rate: u32,
    pub layout: Layout,
    pub network: Network,
    pub seed: u64,
    /// Churners leave after this.
    pub stay: Duration,
}

pub struct Seat {
    client: Client,
    pub signal: Signal,
    pub sockets: [Option<UdpSocket>; 2],
    /// Up and down of each socket.
    links: Option<Box<[[Link; 2]; 2]>>,
    tracks: Vec<PublishSpec>,
    source: Option<Source>,
    data: Option<DataSource>,
    data_rate: u32,
    seed: u64,
    layout: Layout,
    /// Subscriptions that have their place, and pictures among them.
    placed: usize,
    pictures: usize,
    /// Packets of each subscription when measuring began.
    bases: Vec<u64>,
    data_received: u64,
    outcome: Outcome,
    begun: Instant,
    pub leave_at: Option<Instant>,
    /// When the driver will look at it next.
    pub due: Option<Instant>,
}

impl Seat {
    pub fn new(now: Instant, entered: Entered, config: &SeatConfig) -> Self {
        let Entered { entrant, signal, sockets, begun, joined } = entered;
        let is_publisher = entrant.role == Role::Publisher;
        let mut tracks = Vec::new();
        tracks.extend(entrant.audio.then(|| config.audio.clone()));
        tracks.extend(entrant.video.then(|| config.video.clone()));
        let seed = config.seed.wrapping_add(u64::from(entrant.index) * 4);
        let links = (!config.network.is_ideal()).then(|| {
            let pair = |seed| [Link::new(config.network, seed), Link::new(config.network, seed + 1)];
            Box::new([pair(seed), pair(seed + 2)])
        });
        let local = |socket: &Option<UdpSocket>| socket.as_ref().and_then(|socket| socket.local_addr().ok());
        let down = local(&sockets[1]).unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)));
        let client = Client::new(
            now,
            ClientConfig {
                addresses: [local(&sockets[0]).unwrap_or(down), down],
                certificate: config.certificate.clone(),
                publish: tracks.clone(),
                single: false,
                open_channels: is_publisher && config.data_rate > 0,
                first_ssrc: 1 + entrant.index * 64,
                ntp: clock::unix(),
            },
        );
        let outcome = Outcome {
            role: entrant.role,
            joined,
            connected: None,
            first_packet: None,
            first_key_frame: None,
            tracks: (0, 0),
            lost: None,
        };
        Self {
            client,
            signal,
            sockets,
            links,
            tracks,
            source: None,
            data: None,
            data_rate: if is_publisher { config.data_rate } else { 0 },
            seed,
            layout: config.layout,
            placed: 0,
            pictures: 0,
            bases: Vec::new(),
            data_received: 0,
            outcome,
            begun,
            leave_at: (entrant.role == Role::Churner).then(|| now + config.stay),
            due: None,
        }
    }

    pub fn role(&self) -> Role {
        self.outcome.role
    }

    /// Its connection is gone.
    pub fn is_lost(&self) -> bool {
        self.outcome.lost.is_some()
    }

    /// The WebSocket has something to read.
    pub fn handle_signal(&mut self, now: Instant, meter: &mut Meter) {
        while self.outcome.lost.is_none() {
            match self.signal.receive() {
                Ok(Some(response)) => {
                    self.client.handle_signal(now, &response);
                    if self.client.left.is_some() {
                        self.lose("told to leave".to_owned());
                    }
                }
                Ok(None) => break,
                Err(error) => self.lose(error),
            }
        }
        self.place_tracks();
        self.settle(now, meter);
    }

    /// A media socket has something to read.
    pub fn handle_socket(&mut self, at: usize, buffer: &mut [u8], meter: &mut Meter) {
        for _ in 0..DATAGRAMS_MAX {
            let Some(socket) = &self.sockets[at] else { return };
            match socket.recv_from(buffer) {
                Ok((len, source)) => {
                    let now = Instant::now();
                    match &mut self.links {
                        None => self.take(now, at, source, &mut buffer[..len], meter),
                        Some(links) => {
                            links[at][1].send(now, Datagram { peer: source, contents: buffer[..len].to_vec() });
                            self.carry(now, meter);
                        }
                    }
                    if len < ALONE_BYTES {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // ICMP unreachable of an earlier send surfaces here; the socket itself is fine
                Err(_) => {}
            }
        }
    }

    pub fn handle_timeout(&mut self, now: Instant, meter: &mut Meter) {
        self.carry(now, meter);
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        if let Some(source) = &mut self.source {
            source.handle_timeout(now, &mut self.client, clock::monotonic_ns);
        }
        if let Some(data) = &mut self.data {
            data.handle_timeout(now, &mut self.client);
        }
        self.settle(now, meter);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = [
            self.client.poll_timeout(),
            self.source.as_ref().and_then(Source::poll_timeout),
            self.data.as_ref().map(DataSource::poll_timeout),
            self.leave_at,
        ];
        let links = self.links.iter().flat_map(|links| links.iter().flatten()).filter_map(Link::poll_timeout);
        own.into_iter().flatten().chain(links).min()
    }

    /// Measuring begins.
    pub fn mark(&mut self) {
        self.bases = self.client.subscriptions().iter().map(|subscription| subscription.counts.packets).collect();
    }

    /// Everything counted so far.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            data_sent: self.data.as_ref().map_or(0, |data| data.sent),
            data_unsent: self.data.as_ref().map_or(0, |data| data.unsent),
            data_received: self.data_received,
            unauthentic: self.client.unauthentic,
            ..Totals::default()
        };
        for publication in &self.client.publications {
            totals.sent_packets += u64::from(publication.packets);
            totals.sent_bytes += publication.media_bytes;
            totals.sent_repairs += u64::from(publication.repairs);
        }
        for subscription in self.client.subscriptions() {
            let sum = if subscription.kind == MediaKind::Audio { &mut totals.audio } else { &mut totals.video };
            sum.packets += subscription.counts.packets;
            sum.bytes += subscription.counts.bytes;
            sum.repaired += subscription.counts.repaired;
            sum.duplicates += subscription.counts.duplicates;
            sum.lost += subscription.counts.lost;
        }
        totals
    }

    /// Tracks from which packets came since measuring began are counted.
    pub fn outcome(&self) -> Outcome {
        let mut outcome = self.outcome.clone();
        for (at, subscription) in self.client.subscriptions().iter().enumerate() {
            if subscription.counts.packets > self.bases.get(at).copied().unwrap_or(0) {
                let video = subscription.kind == MediaKind::Video;
                *(if video { &mut outcome.tracks.1 } else { &mut outcome.tracks.0 }) += 1;
            }
        }
        outcome
    }

    pub fn leave(&mut self, now: Instant, meter: &mut Meter) {
        self.client.request(signal_request::Message::Leave(pb::LeaveRequest::default()));
        self.settle(now, meter);
    }

    fn lose(&mut self, why: String) {
        self.outcome.lost.get_or_insert(why);
    }

    fn take(&mut self, now: Instant, at: usize, source: SocketAddr, datagram: &mut [u8], meter: &mut Meter) {
        if let Some(arrived) = self.client.receive(now, at, source, datagram) {
            meter.packets += 1;
            meter.bytes += arrived.payload.len() as u64;
            let Some(subscription) = self.client.subscriptions().get(arrived.subscription) else { return };
            let (codec, kind) = (subscription.codec, subscription.kind);
            if let Some(stamp) = Stamp::find(codec, arrived.payload) {
                meter.latency(kind, clock::monotonic_ns().saturating_sub(stamp.sent_ns));
            }
            if self.outcome.first_packet.is_none() {
                self.outcome.first_packet = Some(self.begun.elapsed());
            }
            if self.outcome.first_key_frame.is_none() && kind == MediaKind::Video && is_key_frame(codec, arrived.payload) {
                self.outcome.first_key_frame = Some(self.begun.elapsed());
            }
            return;
        }
        self.settle(now, meter);
    }

    /// Datagrams whose delay is over go on.
    fn carry(&mut self, now: Instant, meter: &mut Meter) {
        for at in 0..self.sockets.len() {
            while let Some(mut datagram) = self.links.as_mut().and_then(|links| links[at][1].poll(now)) {
                self.take(now, at, datagram.peer, &mut datagram.contents, meter);
            }
            while let Some(datagram) = self.links.as_mut().and_then(|links| links[at][0].poll(now)) {
                self.send(at, datagram.peer, &datagram.contents);
            }
        }
    }

    /// Carries out what the client wants done.
    fn settle(&mut self, now: Instant, meter: &mut Meter) {
        let mut signalled = false;
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Signal(request) => {
                    self.signal.send(&request);
                    signalled = true;
                }
                Output::Datagram { from, destination, contents } => match &mut self.links {
                    None => self.send(from, destination, &contents),
                    Some(links) => links[from][0].send(now, Datagram { peer: destination, contents }),
                },
                Output::Message { data, .. } => {
                    if let Some(stamp) = data::stamp_of(&data) {
                        self.data_received += 1;
                        meter.data_latency(clock::monotonic_ns().saturating_sub(stamp.sent_ns));
                    }
                }
                Output::Arrived(_) => {}
            }
        }
        if signalled && let Err(error) = self.signal.flush() {
            self.lose(error);
        }
        if self.outcome.connected.is_none() && self.client.is_connected() {
            self.outcome.connected = Some(self.begun.elapsed());
            meter.connected += 1;
            self.source = (!self.tracks.is_empty()).then(|| Source::new(now, &self.tracks, self.seed));
            self.data = (self.data_rate > 0).then(|| DataSource::new(now, self.data_rate));
        }
    }

    /// A full buffer loses the datagram, as a network would.
    fn send(&self, from: usize, destination: SocketAddr, contents: &[u8]) {
        if let Some(socket) = &self.sockets[from] {
            let _ = socket.send_to(contents, destination);
        }
    }

    /// Tells the server how large each new picture is shown.
    fn place_tracks(&mut self) {
        while let Some(subscription) = self.client.subscriptions().get(self.placed) {
            self.placed += 1;
            if subscription.kind == MediaKind::Video {
                let settings = self.layout.settings(self.pictures, &subscription.track_sid);
                self.pictures += 1;
                self.client.request(signal_request::Message::TrackSetting(settings));
            }
        }
    }
}
