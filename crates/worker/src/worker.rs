//! The loop: commands, other workers' mail, due timers, datagrams, flush, reports, sleep until the earliest deadline.

use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use mio::{Events, Interest, Poll, Token};
use sluicegate_contract::event::SessionEnd;
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Command, Event, Relay, WorkerKey, meter::Meters};
use sluicegate_engine::demux::Path;
use sluicegate_engine::sink::Sink;
use sluicegate_engine::{Certificate, CertificateError, Engine, EngineConfig, LocalAddress};

use crate::mailbox::{self, CommandSender};
use crate::peer::{self, Bell, Peers};
use crate::receive::Receiver as Datagrams;
use crate::send::Sender;
use crate::shared::SharedPort;
use crate::tcp::{Tcp, TcpPort};
use crate::udp::UdpPorts;

/// Commands taken per tick.
const COMMANDS_PER_TICK: usize = 256;
const METERS_INTERVAL: Duration = Duration::from_millis(500);
/// How soon another worker's full lane is tried again.
const FULL_WAIT: Duration = Duration::from_millis(1);
const WAKE: Token = Token(usize::MAX);

/// What leaves a worker.
#[derive(Debug)]
pub enum Report {
    Event(Event),
    /// The newest counters; at most two a second, and only when they changed.
    Meters(Box<Meters>),
}

#[derive(Debug)]
pub struct WorkerConfig {
    pub name: String,
    pub udp: UdpPorts,
    /// Other workers have sockets on the same port.
    pub shares_port: bool,
    /// Shared by every worker of the process.
    pub certificate: Certificate,
    /// For the NTP times of sender reports.
    pub wall_clock: WallClock,
}

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("cannot wait for the media sockets: {0}")]
    Poll(io::Error),
    #[error("cannot start the media thread: {0}")]
    Thread(io::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A running media thread.
#[derive(Debug)]
pub struct Worker {
    pub commands: CommandSender,
    thread: JoinHandle<()>,
}

impl Worker {
    /// Starts one thread per configuration, with lanes between them; the first is worker 0 and accepts for all what comes to `tcp`.
    /// `report` must not block. The threads
    /// end when every [`CommandSender`] is dropped.
    pub fn start_all(
        configs: Vec<WorkerConfig>,
        tcp: Vec<TcpPort>,
        report: impl FnMut(WorkerKey, Report) + Clone + Send + 'static,
    ) -> Result<Vec<Self>, WorkerError> {
        let polls = configs.iter().map(|_| Poll::new()).collect::<Result<Vec<_>, _>>().map_err(WorkerError::Poll)?;
        let waker = |poll: &Poll| mio::Waker::new(poll.registry(), WAKE).map(Arc::new);
        let wakers = polls.iter().map(waker).collect::<Result<Vec<_>, _>>().map_err(WorkerError::Poll)?;
        let peers = peer::mesh(wakers.iter().cloned().map(Bell::new).collect());
        let tcp_locals: Vec<LocalAddress> = tcp.iter().map(|port| port.local).collect();
        let mut listeners = Some(tcp);
        let mut workers = Vec::new();
        for (index, ((config, poll), (waker, peers))) in
            configs.into_iter().zip(polls).zip(wakers.into_iter().zip(peers)).enumerate()
        {
            let worker = WorkerKey::local(u16::try_from(index).unwrap_or(u16::MAX));
            let mut report = report.clone();
            let locals = config.udp.locals().into_iter().chain(tcp_locals.iter().copied()).collect();
            let WorkerConfig { name, udp, shares_port, certificate, wall_clock } = config;
            let registry = poll.registry().try_clone().map_err(WorkerError::Poll)?;
            let listeners = listeners.take().unwrap_or_default();
            let tcp = Tcp::new(registry, worker.index, udp.0.len() as u16, listeners).map_err(WorkerError::Poll)?;
            let registry = poll.registry().try_clone().map_err(WorkerError::Poll)?;
            let shared = shares_port.then(|| SharedPort::new(worker.index, registry));
            let config = EngineConfig { worker, candidates: locals, certificate, wall_clock, shares_port };
            let shell = Shell { name, udp, shared, tcp, poll, waker, peers };
            workers.push(Self::start(config, shell, move |what| report(worker, what))?);
        }
        Ok(workers)
    }

    fn start(config: EngineConfig, shell: Shell, report: impl FnMut(Report) + Send + 'static) -> Result<Self, WorkerError> {
        let Shell { name, mut udp, shared, tcp, poll, waker, peers } = shell;
        let (commands, lane) = mailbox::lane(waker);
        for (index, port) in udp.0.iter_mut().enumerate() {
            poll.registry().register(&mut port.socket, Token(index), Interest::READABLE).map_err(WorkerError::Poll)?;
        }
        let readable = vec![true; udp.0.len()];
        let engine = Engine::new(config.clone());
        let loop_ = Loop {
            poll,
            lane,
            peers,
            udp,
            readable,
            shared,
            tcp,
            engine,
            config,
            report,
            reported: Meters::default(),
            meters_due: None,
            unsent: 0,
            restarts: 0,
        };
        let thread = thread::Builder::new().name(name).spawn(move || loop_.run()).map_err(WorkerError::Thread)?;
        Ok(Self { commands, thread })
    }

    /// Waits for the thread's end; drop all senders first.
    pub fn join(self) -> thread::Result<()> {
        drop(self.commands);
        self.thread.join()
    }
}

/// What a thread is given beside its engine's configuration.
struct Shell {
    name: String,
    udp: UdpPorts,
    shared: Option<SharedPort>,
    tcp: Tcp,
    poll: Poll,
    waker: Arc<mio::Waker>,
    peers: Peers,
}

struct Loop<R> {
    poll: Poll,
    lane: Receiver<Command>,
    peers: Peers,
    udp: UdpPorts,
    /// Edge-triggered readiness: a socket stays readable until it says that it would block.
    readable: Vec<bool>,
    shared: Option<SharedPort>,
    tcp: Tcp,
    engine: Engine,
    /// For the engine after a panic.
    config: EngineConfig,
    report: R,
    reported: Meters,
    meters_due: Option<Instant>,
    unsent: u64,
    restarts: u64,
}

/// The sockets as the engine sees them at a flush.
struct Sockets<'a> {
    udp: &'a mut Sender,
    tcp: &'a mut Tcp,
}

impl Sink for Sockets<'_> {
    fn room(&mut self, path: Path) -> Option<&mut [u8]> {
        if self.tcp.has(&path) { self.tcp.room(path) } else { self.udp.room(path.local) }
    }

    fn send(&mut self, path: Path, length: usize) {
        if self.tcp.has(&path) { self.tcp.push(path, length) } else { self.udp.push(path.local, path.remote, length) }
    }
}

impl<R: FnMut(Report)> Loop<R> {
    /// Until nobody can send commands any more. A panic that is no session's own costs this worker's sessions; its sockets stay.
    fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.turns())).is_err() {
            self.restart();
        }
    }

    fn restart(&mut self) {
        tracing::error!("a media worker panicked and begins anew; its clients are told to join again");
        self.restarts += 1;
        for session in self.engine.sessions() {
            (self.report)(Report::Event(Event::SessionEnded { session, why: SessionEnd::Panicked }));
        }
        self.engine = Engine::new(self.config.clone());
        self.readable.fill(true);
        self.tcp.close_all();
        if let Some(shared) = &mut self.shared {
            shared.close_all();
        }
        self.peers.tell_all(&Relay::Restarted);
    }

    fn turns(&mut self) {
        let mut events = Events::with_capacity(64);
        let mut datagrams = Datagrams::new(&self.udp);
        let mut sender = Sender::new(&self.udp);
        loop {
            let now = Instant::now();
            let Some(more_commands) = self.take_commands(now) else { return };
            let more_mail = self.peers.take(now, &mut self.engine, self.shared.as_mut());
            for connection in self.peers.connections.drain(..) {
                self.tcp.adopt(now, connection);
            }
            self.engine.handle_timeout(now);
            let more_datagrams = self.take_datagrams(now, &mut datagrams) | self.tcp.receive(now, &mut self.engine);
            self.engine.flush(now, &mut Sockets { udp: &mut sender, tcp: &mut self.tcp });
            sender.finish();
            self.tcp.finish(now, &mut self.engine);
            self.unsent += std::mem::take(&mut sender.unsent) + std::mem::take(&mut self.tcp.unsent);
            while let Some(connection) = self.tcp.poll_handover() {
                self.peers.hand_over(connection);
            }
            self.follow_paths();
            self.peers.send(now, &mut self.engine);
            self.send_reports(now);
            let wait = if more_commands || more_mail || more_datagrams { Some(Duration::ZERO) } else { self.wait(now) };
            if let Err(error) = self.sleep(&mut events, wait)
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!(%error, "the media thread cannot wait for its sockets and ends");
                return;
            }
            for event in &events {
                match self.readable.get_mut(event.token().0) {
                    Some(readable) => *readable = true,
                    None if self.shared.as_mut().is_some_and(|shared| shared.handle_event(event)) => {}
                    None => self.tcp.handle_event(event),
                }
            }
        }
    }

    fn sleep(&mut self, events: &mut Events, wait: Option<Duration>) -> io::Result<()> {
        self.peers.bell.fall_asleep();
        let wait = if self.peers.has_mail() { Some(Duration::ZERO) } else { wait };
        let outcome = self.poll.poll(events, wait);
        self.peers.bell.wake_up();
        outcome
    }

    /// True: there may be more. None: nobody can send any more.
    fn take_commands(&mut self, now: Instant) -> Option<bool> {
        for _ in 0..COMMANDS_PER_TICK {
            match self.lane.try_recv() {
                Ok(command) => self.engine.handle_command(now, command),
                Err(TryRecvError::Empty) => return Some(false),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
        Some(true)
    }

    /// One batch of each socket, so that a flush follows soon. True: a socket may hold more.
    fn take_datagrams(&mut self, now: Instant, datagrams: &mut Datagrams) -> bool {
        for (index, port) in self.udp.0.iter().enumerate() {
            if self.readable[index] {
                let (engine, shared) = (&mut self.engine, &mut self.shared);
                self.readable[index] = datagrams.receive(port, |source, datagram| {
                    let path = Path { local: index as u16, remote: source };
                    let known = engine.known(&path);
                    if !shared.as_mut().is_some_and(|shared| shared.set_aside(known, path, datagram)) {
                        engine.handle_known(now, path, known, datagram);
                    }
                });
            }
        }
        let more = self.shared.as_mut().is_some_and(|shared| shared.receive(datagrams, &mut self.engine, now));
        more || self.readable.iter().any(|readable| *readable)
    }

    /// On a shared port: what came for others goes to them, with the news of where our clients are.
    fn follow_paths(&mut self) {
        let Some(shared) = &mut self.shared else { return };
        while let Some(news) = self.engine.poll_path_news() {
            if shared.follow(news, &self.udp.0) {
                self.peers.tell_path(news);
            }
        }
        while let Some(foreign) = shared.poll_foreign() {
            self.peers.pass_on(foreign);
        }
    }

    fn send_reports(&mut self, now: Instant) {
        while let Some(event) = self.engine.poll_event() {
            (self.report)(Report::Event(event));
        }
        match self.meters_due {
            Some(due) if now < due => {}
            Some(_) => {
                self.meters_due = None;
                let meters = Meters {
                    dropped_unsent: self.unsent,
                    worker_restarts: self.restarts,
                    cpu_us: cpu_us(),
                    ..self.engine.meters()
                };
                // the look itself costs time; it is no news
                if (Meters { cpu_us: self.reported.cpu_us, ..meters }) != self.reported {
                    self.reported = meters;
                    (self.report)(Report::Meters(Box::new(meters)));
                }
            }
            // this turn had a cause; the turn that the deadline itself causes does not set it again
            None => self.meters_due = Some(now + METERS_INTERVAL),
        }
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        let engine = self.engine.poll_timeout().map(|(at, _)| at);
        let next = [engine, self.meters_due, self.tcp.poll_timeout()].into_iter().flatten().min();
        let next = next.map(|at| at.saturating_duration_since(now));
        // a lane that was full is offered the rest soon
        if self.peers.has_waiting() { Some(next.unwrap_or(FULL_WAIT).min(FULL_WAIT)) } else { next }
    }
}

/// CPU time this thread has used, in microseconds.
fn cpu_us() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}
