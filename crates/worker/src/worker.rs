//! The loop: commands, due timers, datagrams, flush, reports, sleep until the earliest deadline.

use std::io::{self, ErrorKind};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, TryRecvError};
use mio::{Events, Interest, Poll, Token};
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Command, Event, meter::Meters};
use sluicegate_engine::{Certificate, CertificateError, Engine, EngineConfig};

use crate::mailbox::{self, CommandSender};
use crate::udp::UdpPorts;

/// Datagrams taken from one socket before timers and commands have their turn again.
const DATAGRAMS_PER_TICK: usize = 256;
/// Commands taken per tick.
const COMMANDS_PER_TICK: usize = 256;
/// The largest datagram that is looked at; a longer one is cut by the kernel and then fails to authenticate.
const DATAGRAM_MAX: usize = 2048;
const METERS_INTERVAL: Duration = Duration::from_millis(500);
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
    /// Starts the thread. `report` must not block; it ends when every [`CommandSender`] is dropped.
    pub fn start(config: WorkerConfig, report: impl FnMut(Report) + Send + 'static) -> Result<Self, WorkerError> {
        let poll = Poll::new().map_err(WorkerError::Poll)?;
        let waker = mio::Waker::new(poll.registry(), WAKE).map_err(WorkerError::Poll)?;
        let (commands, lane) = mailbox::lane(waker);
        let WorkerConfig { name, mut udp, certificate, wall_clock } = config;
        for (index, port) in udp.0.iter_mut().enumerate() {
            poll.registry().register(&mut port.socket, Token(index), Interest::READABLE).map_err(WorkerError::Poll)?;
        }
        let readable = vec![true; udp.0.len()];
        let engine = Engine::new(EngineConfig { candidates: udp.advertised(), certificate, wall_clock });
        let loop_ = Loop { poll, lane, udp, readable, engine, report, reported: Meters::default(), meters_due: None, unsent: 0 };
        let thread = thread::Builder::new().name(name).spawn(move || loop_.run()).map_err(WorkerError::Thread)?;
        Ok(Self { commands, thread })
    }

    /// Waits for the thread's end; drop all senders first.
    pub fn join(self) -> thread::Result<()> {
        drop(self.commands);
        self.thread.join()
    }
}

struct Loop<R> {
    poll: Poll,
    lane: Receiver<Command>,
    udp: UdpPorts,
    /// Edge-triggered readiness: a socket stays readable until it says that it would block.
    readable: Vec<bool>,
    engine: Engine,
    report: R,
    reported: Meters,
    meters_due: Option<Instant>,
    unsent: u64,
}

impl<R: FnMut(Report)> Loop<R> {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        let mut buffer = vec![0u8; DATAGRAM_MAX];
        loop {
            let now = Instant::now();
            let Some(more_commands) = self.take_commands(now) else { return };
            self.engine.handle_timeout(now);
            let more_datagrams = self.take_datagrams(now, &mut buffer);
            self.flush(now);
            self.send_reports(now);
            let wait = if more_commands || more_datagrams { Some(Duration::ZERO) } else { self.wait(now) };
            if let Err(error) = self.poll.poll(&mut events, wait)
                && error.kind() != ErrorKind::Interrupted
            {
                tracing::error!(%error, "the media thread cannot wait for its sockets and ends");
                return;
            }
            for event in &events {
                if let Some(readable) = self.readable.get_mut(event.token().0) {
                    *readable = true;
                }
            }
        }
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

    /// True: a socket may hold more.
    fn take_datagrams(&mut self, now: Instant, buffer: &mut [u8]) -> bool {
        for index in 0..self.udp.0.len() {
            for _ in 0..DATAGRAMS_PER_TICK {
                if !self.readable[index] {
                    break;
                }
                match self.udp.0[index].socket.recv_from(buffer) {
                    Ok((length, source)) => self.engine.handle_datagram(now, index, source, &mut buffer[..length]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable[index] = false,
                    // ICMP unreachable of an earlier send surfaces here; the socket itself is fine
                    Err(_) => {}
                }
            }
        }
        self.readable.iter().any(|readable| *readable)
    }

    fn flush(&mut self, now: Instant) {
        let (udp, unsent) = (&self.udp, &mut self.unsent);
        self.engine.flush(now, &mut |local: usize, destination, datagram: &[u8]| {
            let sent = udp.0.get(local).is_some_and(|port| port.socket.send_to(datagram, destination).is_ok());
            *unsent += u64::from(!sent);
        });
    }

    fn send_reports(&mut self, now: Instant) {
        while let Some(event) = self.engine.poll_event() {
            (self.report)(Report::Event(event));
        }
        let meters = Meters { dropped_unsent: self.unsent, ..self.engine.meters() };
        if meters == self.reported {
            return;
        }
        match self.meters_due {
            Some(due) if now < due => {}
            Some(_) => {
                self.meters_due = None;
                self.reported = meters;
                (self.report)(Report::Meters(Box::new(meters)));
            }
            None => self.meters_due = Some(now + METERS_INTERVAL),
        }
    }

    fn wait(&self, now: Instant) -> Option<Duration> {
        let engine = self.engine.poll_timeout().map(|(at, _)| at);
        let next = match (engine, self.meters_due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        next.map(|at| at.saturating_duration_since(now))
    }
}
