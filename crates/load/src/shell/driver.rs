//! A thread that carries clients: one epoll over all their sockets, one heap of their deadlines.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use sluicegate_rtp::codec::MediaKind;

use super::fault::LoadError;
use super::join::Entered;
use super::seat::{Seat, SeatConfig};
use super::tally::{Progress, Role, Tally, Totals};
use crate::histogram::Histogram;

const DATAGRAM_MAX: usize = 2048;
const EVENTS_MAX: usize = 512;
const WAKE: u64 = u64::MAX;
/// Registrations of a seat: its two media sockets, its WebSocket.
const PER_SEAT: u64 = 4;
const SIGNAL: u64 = 2;

pub enum Command {
    Enter(Box<Entered>),
    BeginMeasuring,
    EndMeasuring,
    Stop,
}

/// A running driver.
pub struct Driver {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    thread: JoinHandle<Tally>,
}

/// What a driver counts over all its clients.
#[derive(Debug, Default)]
pub struct Meter {
    pub connected: u64,
    pub packets: u64,
    pub bytes: u64,
    measuring: bool,
    audio_latency: Histogram,
    video_latency: Histogram,
    data_latency: Histogram,
}

impl Meter {
    pub fn latency(&mut self, kind: MediaKind, ns: u64) {
        if self.measuring {
            let histogram = if kind == MediaKind::Audio { &mut self.audio_latency } else { &mut self.video_latency };
            histogram.record(ns);
        }
    }

    pub fn data_latency(&mut self, ns: u64) {
        if self.measuring {
            self.data_latency.record(ns);
        }
    }
}

impl Driver {
    pub fn start(name: String, config: SeatConfig, progress: Arc<Progress>) -> Result<Driver, LoadError> {
        let (commands, inbox) = mpsc::channel();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(std::io::Error::from)?;
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(std::io::Error::from)?);
        epoll::add(&epoll, &*wake, epoll::EventData::new_u64(WAKE), epoll::EventFlags::IN).map_err(std::io::Error::from)?;
        let loop_ = Loop {
            epoll,
            wake: Arc::clone(&wake),
            inbox,
            config,
            progress,
            seats: BTreeMap::new(),
            next_seat: 0,
            timers: BinaryHeap::new(),
            meter: Meter::default(),
            departed: Totals::default(),
            begun: Totals::default(),
            ended: None,
            tally: Tally::default(),
        };
        let thread = thread::Builder::new().name(name).spawn(move || loop_.run())?;
        Ok(Driver { commands, wake, thread })
    }

    pub fn send(&self, command: Command) {
        // a driver only ends when it is told to
        let _ = self.commands.send(command);
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }

    /// Tells it to stop and waits for what it counted.
    pub fn finish(self) -> Tally {
        self.send(Command::Stop);
        self.thread.join().unwrap_or_default()
    }
}

struct Loop {
    epoll: OwnedFd,
    wake: Arc<OwnedFd>,
    inbox: Receiver<Command>,
    config: SeatConfig,
    progress: Arc<Progress>,
    seats: BTreeMap<u64, Seat>,
    next_seat: u64,
    /// An entry counts only while it is the seat's `due`.
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
    meter: Meter,
    departed: Totals,
    begun: Totals,
    ended: Option<Totals>,
    tally: Tally,
}

impl Loop {
    fn run(mut self) -> Tally {
        let mut events = Vec::with_capacity(EVENTS_MAX);
        let mut buffer = vec![0u8; DATAGRAM_MAX];
        while self.take_commands() {
            self.run_timers(Instant::now());
            let wait = self.wait(Instant::now());
            events.clear();
            if epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), wait.as_ref()).is_err() {
                // a signal
                continue;
            }
            for event in &events {
                self.handle_event(event.data.u64(), &mut buffer);
            }
            self.publish();
        }
        self.finish()
    }

    /// False: the end.
    fn take_commands(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(Command::Enter(entered)) => self.enter(*entered),
                Ok(Command::BeginMeasuring) => {
                    self.seats.values_mut().for_each(Seat::mark);
                    self.begun = self.totals();
                    self.meter.measuring = true;
                }
                Ok(Command::EndMeasuring) => {
                    self.meter.measuring = false;
                    self.ended = Some(self.totals());
                    let outcomes = self.seats.values().filter(|seat| seat.role() != Role::Churner).map(Seat::outcome);
                    self.tally.outcomes.extend(outcomes);
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return false,
                Err(TryRecvError::Empty) => return true,
            }
        }
    }

    fn enter(&mut self, entered: Entered) {
        let now = Instant::now();
        let id = self.next_seat;
        self.next_seat += 1;
        let mut seat = Seat::new(now, entered, &self.config);
        let watch = |fd: std::os::fd::BorrowedFd<'_>, place: u64| {
            epoll::add(&self.epoll, fd, epoll::EventData::new_u64(id * PER_SEAT + place), epoll::EventFlags::IN)
        };
        let sockets = (0..).zip(seat.sockets.iter()).filter_map(|(at, socket)| Some((at, socket.as_ref()?)));
        let watched = sockets.map(|(at, socket)| watch(std::os::fd::AsFd::as_fd(socket), at));
        let watched = watched.chain([watch(std::os::fd::AsFd::as_fd(&seat.signal), SIGNAL)]).all(|result| result.is_ok());
        debug_assert!(watched, "sockets of this process can be waited for");
        // the join response may have come with the upgrade, and then nothing would tell of it
        seat.handle_signal(now, &mut self.meter);
        self.seats.insert(id, seat);
        self.schedule(id);
    }

    fn handle_event(&mut self, data: u64, buffer: &mut [u8]) {
        if data == WAKE {
            let _ = rustix::io::read(&*self.wake, &mut [0u8; 8]);
            return;
        }
        let (id, place) = (data / PER_SEAT, data % PER_SEAT);
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if place == SIGNAL {
            let was_lost = seat.is_lost();
            seat.handle_signal(Instant::now(), &mut self.meter);
            if seat.is_lost() && !was_lost {
                // a closed socket would be readable for ever
                let _ = epoll::delete(&self.epoll, &seat.signal);
                Progress::add(&self.progress.lost_clients, 1);
            }
        } else {
            seat.handle_socket(place as usize, buffer, &mut self.meter);
        }
        if seat.poll_timeout().is_some_and(|at| seat.due.is_none_or(|due| at < due)) {
            self.schedule(id);
        }
    }

    fn run_timers(&mut self, now: Instant) {
        while let Some(Reverse((at, id))) = self.timers.peek().copied() {
            if at > now {
                return;
            }
            self.timers.pop();
            let Some(seat) = self.seats.get_mut(&id).filter(|seat| seat.due == Some(at)) else { continue };
            seat.due = None;
            if seat.leave_at.is_some_and(|leave_at| leave_at <= now) {
                self.remove(now, id);
                continue;
            }
            seat.handle_timeout(now, &mut self.meter);
            self.schedule(id);
        }
    }

    fn schedule(&mut self, id: u64) {
        let Some(seat) = self.seats.get_mut(&id) else { return };
        if let Some(at) = seat.poll_timeout() {
            seat.due = Some(at);
            self.timers.push(Reverse((at, id)));
        }
    }

    fn remove(&mut self, now: Instant, id: u64) {
        let Some(mut seat) = self.seats.remove(&id) else { return };
        seat.leave(now, &mut self.meter);
        self.departed.add(&seat.totals());
        if seat.role() == Role::Churner {
            self.tally.outcomes.push(seat.outcome());
        }
    }

    fn totals(&self) -> Totals {
        let mut totals = self.departed;
        self.seats.values().for_each(|seat| totals.add(&seat.totals()));
        totals
    }

    fn wait(&self, now: Instant) -> Option<Timespec> {
        let Reverse((at, _)) = self.timers.peek()?;
        let wait = at.saturating_duration_since(now).min(Duration::from_secs(1));
        Timespec::try_from(wait).ok()
    }

    fn publish(&mut self) {
        Progress::add(&self.progress.packets, std::mem::take(&mut self.meter.packets));
        Progress::add(&self.progress.bytes, std::mem::take(&mut self.meter.bytes));
        Progress::add(&self.progress.connected, std::mem::take(&mut self.meter.connected));
    }

    fn finish(mut self) -> Tally {
        let now = Instant::now();
        for id in self.seats.keys().copied().collect::<Vec<_>>() {
            self.remove(now, id);
        }
        let ended = self.ended.unwrap_or(self.departed);
        Tally {
            totals: ended.since(&self.begun),
            audio_latency: self.meter.audio_latency,
            video_latency: self.meter.video_latency,
            data_latency: self.meter.data_latency,
            outcomes: self.tally.outcomes,
        }
    }
}
