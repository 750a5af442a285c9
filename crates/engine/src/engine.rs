//! The engine itself: what it owns and its verbs. What each verb does lies in the module named for it.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use slab::Slab;
use sluicegate_contract::meter::Meters;
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Command, Event, SessionKey, TrackKey, WorkerKey};
use sluicegate_transport::address::{Carrier, LocalAddress};
use sluicegate_transport::certificate::Certificate;

use crate::data::up::UpQueue;
use crate::data_track::DataTracks;
use crate::demux::{Demux, Path, PathNews};
use crate::link::Link;
use crate::pacer::Pacer;
use crate::publication::Publication;
use crate::relay::Relays;
use crate::session::Session;
use crate::sink::Sink;
use crate::subscription::Subscription;
use crate::timer::Timers;

/// What a worker is given at its start.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The worker's own name among its peers.
    pub worker: WorkerKey,
    /// Our addresses as clients know them, in the order of the worker's sockets: those of UDP first.
    pub candidates: Vec<LocalAddress>,
    /// Shared by every PeerConnection of the process.
    pub certificate: Certificate,
    /// For the NTP times of sender reports.
    pub wall_clock: WallClock,
    /// Other workers are on the same UDP port, and must hear whose clients are where.
    pub shares_port: bool,
}

/// Why the engine wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Datagrams wait to be flushed.
    Flush,
    /// Data messages wait for their turn.
    Data,
    /// A session's deadline: ICE, DTLS, SCTP, feedback, reports or an offer.
    Session,
}

/// A worker's world.
#[derive(Debug)]
pub struct Engine {
    // hot
    pub(crate) publications: Slab<Publication>,
    pub(crate) subscriptions: Slab<Subscription>,
    pub(crate) links: Slab<Link>,
    pub(crate) demux: Demux,
    pub(crate) pacer: Pacer,
    pub(crate) meters: Meters,

    // warm
    pub(crate) sessions: Slab<Session>,
    pub(crate) dirty: Vec<u32>,
    /// Whose turn it is, where many have theirs in a row, or where a datagram's address does not say it: what a panic costs.
    pub(crate) serving: Option<u32>,
    pub(crate) timers: Timers,
    /// Sessions with data messages to send, in turn; and since when.
    pub(crate) data_ready: VecDeque<u32>,
    pub(crate) data_since: Option<Instant>,
    pub(crate) relays: Relays,
    pub(crate) up_queue: UpQueue,
    pub(crate) data_tracks: DataTracks,
    pub(crate) outbox: Outbox,
    pub(crate) events: VecDeque<Event>,

    // cold
    pub(crate) by_session: HashMap<SessionKey, u32>,
    pub(crate) by_track: HashMap<TrackKey, u32>,
    pub(crate) config: EngineConfig,
}

impl Engine {
    pub fn new(config: EngineConfig) -> Self {
        let streams_from = config.candidates.iter().position(|local| local.carrier == Carrier::TcpPassive);
        let streams_from = streams_from.unwrap_or(config.candidates.len()) as u16;
        Self {
            publications: Slab::new(),
            subscriptions: Slab::new(),
            links: Slab::new(),
            demux: Demux::new(streams_from, config.shares_port),
            pacer: Pacer::default(),
            meters: Meters::default(),
            sessions: Slab::new(),
            dirty: Vec::new(),
            serving: None,
            timers: Timers::default(),
            data_ready: VecDeque::new(),
            data_since: None,
            relays: Relays::default(),
            up_queue: UpQueue::default(),
            data_tracks: DataTracks::default(),
            outbox: Outbox::default(),
            events: VecDeque::new(),
            by_session: HashMap::new(),
            by_track: HashMap::new(),
            config,
        }
    }

    /// What a client is told of our addresses.
    pub(crate) fn addresses(&self, tcp_only: bool) -> Vec<LocalAddress> {
        let all = &self.config.candidates;
        let tcp: Vec<LocalAddress> = all.iter().copied().filter(|local| local.carrier == Carrier::TcpPassive).collect();
        if tcp_only && !tcp.is_empty() { tcp } else { all.clone() }
    }

    /// Carries out one command. Unknown keys are ignored: what they named is gone.
    pub fn handle_command(&mut self, now: Instant, command: Command) {
        if let Command::AddSession(add) = &command {
            return self.contain_beginning(add.session, |engine| engine.command(now, command));
        }
        let session = command.session();
        self.contain(now, |engine| engine.command(now, command), |_| session);
    }

    /// Takes one datagram that arrived on the socket `local`; it is decrypted in place.
    pub fn handle_datagram(&mut self, now: Instant, local: usize, source: SocketAddr, datagram: &mut [u8]) {
        let Ok(local) = u16::try_from(local) else { return };
        let path = Path { local, remote: source };
        self.handle_known(now, path, self.known(&path), datagram);
    }

    /// As [`Engine::handle_datagram`], where somebody has looked whose the path is.
    pub fn handle_known(&mut self, now: Instant, path: Path, known: Known, datagram: &mut [u8]) {
        self.meters.datagrams_up += 1;
        self.meters.bytes_up += datagram.len() as u64;
        self.serving = None;
        let outcome = catch_unwind(AssertUnwindSafe(|| self.receive(now, path, known.0, datagram)));
        self.bear(now, outcome, |engine| {
            let of_path = || engine.links.get(known.0? as usize).map(|state| state.session);
            engine.key_of(engine.serving.or_else(of_path)?)
        });
    }

    /// Serves every session whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(session) = self.timers.pop_due(now) {
            self.touch(session);
        }
    }

    /// Serves the sessions that were touched since, and writes every datagram that is due into `sink`. Media packets of one
    /// destination come one behind the other, in their order.
    pub fn flush(&mut self, now: Instant, sink: &mut impl Sink) {
        self.service_dirty(now);
        self.flush_outbox(sink);
        self.flush_media(now, sink);
        // behind the media, and bounded: the rest waits for the next flush
        if self.data_tracks.is_waiting() || !self.data_ready.is_empty() {
            self.contain_each(now, |engine| engine.pump_data_tracks(now), Self::repair_turn);
            self.contain_each(now, |engine| engine.pump_data(now), |_| {});
            self.service_dirty(now);
            self.flush_outbox(sink);
        }
    }

    /// Whose path it is.
    pub fn known(&self, path: &Path) -> Known {
        Known(self.demux.by_path(path))
    }

    /// The peer has proven that it receives on `path`, and a transport holds it.
    pub fn has_path(&self, path: &Path) -> bool {
        self.known(path).is_somebodys()
    }

    /// The next news of peers' addresses, where the port is shared.
    pub fn poll_path_news(&mut self) -> Option<PathNews> {
        self.demux.poll_news()
    }

    /// The connection of `path` is no more.
    pub fn handle_path_closed(&mut self, now: Instant, path: &Path) {
        let Some(link) = self.demux.forget_path(path) else { return };
        if let Some(state) = self.links.get_mut(link as usize) {
            let before = state.paths.in_use();
            state.paths.gone(now, *path);
            self.follow_path(now, link, before);
        }
    }

    /// The next connection that no transport holds any more.
    pub fn poll_released(&mut self) -> Option<Path> {
        self.demux.poll_released()
    }

    /// The next report to the control plane.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Engine::handle_timeout`] and [`Engine::flush`] next, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        let session = self.timers.earliest().map(|at| (at, Reason::Session));
        let data = [self.data_since, self.data_tracks.poll_timeout()].into_iter().flatten().min().map(|at| (at, Reason::Data));
        [session, data].into_iter().flatten().min_by_key(|(at, _)| *at)
    }

    /// The counters, with live objects as they are now.
    pub fn meters(&self) -> Meters {
        let (live_relays_down, live_relays_up) = self.live_relays();
        Meters {
            live_relays_down,
            live_relays_up,
            live_sessions: self.sessions.len() as u64,
            live_transports: self.links.len() as u64,
            live_publications: self.publications.len() as u64,
            live_subscriptions: self.subscriptions.len() as u64,
            live_data_tracks: self.data_tracks.len() as u64,
            live_addresses: self.demux.addresses() as u64,
            live_timers: self.timers.len() as u64,
            ..self.meters
        }
    }

    /// The session will be served in the next flush.
    pub(crate) fn touch(&mut self, session: u32) {
        if let Some(state) = self.sessions.get_mut(session as usize)
            && !state.dirty
        {
            state.dirty = true;
            self.dirty.push(session);
        }
    }
}

/// Whose a path is, at the moment of the look.
#[derive(Clone, Copy, Debug)]
pub struct Known(Option<u32>);

impl Known {
    pub fn is_somebodys(self) -> bool {
        self.0.is_some()
    }
}

/// Datagrams of ICE, DTLS, SCTP and RTCP that leave with the next flush: one buffer, reused.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    datagrams: Vec<(Path, usize)>,
}

impl Outbox {
    pub fn push(&mut self, path: Path, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.datagrams.push((path, datagram.len()));
    }
}

impl Engine {
    fn flush_outbox(&mut self, sink: &mut impl Sink) {
        let mut rest = self.outbox.bytes.as_slice();
        for (path, length) in self.outbox.datagrams.drain(..) {
            let (datagram, after) = rest.split_at(length);
            rest = after;
            let Some(room) = sink.room(path).and_then(|room| room.get_mut(..length)) else { continue };
            room.copy_from_slice(datagram);
            sink.send(path, length);
            self.meters.datagrams_down += 1;
            self.meters.bytes_down += length as u64;
        }
        self.outbox.bytes.clear();
    }
}
