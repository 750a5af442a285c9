//! The lanes between workers: one per ordered pair, so that a flood from one leaves the others' room alone.
//!
//! Batches of packets that find no room are dropped and counted; everything else waits at its sender for the next tick. Used
//! batches go back to where they were made, so that a crossing packet allocates nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use sluicegate_contract::limit::RELAY_MAX;
use sluicegate_contract::relay::RelayBatch;
use sluicegate_contract::{Relay, WorkerKey};
use sluicegate_engine::Engine;
use sluicegate_engine::demux::PathNews;

use crate::shared::{Foreign, SharedPort};
use crate::tcp::Handover;

/// Mails of one peer taken per tick.
const MAILS_PER_TICK: usize = 64;
/// Used batches on their way back.
const SPENT_MAX: usize = 64;

/// What one worker hands another.
#[derive(Debug)]
pub(crate) enum Mail {
    Relay(Relay),
    /// A TCP connection that the sender accepted.
    Connection(Box<Handover>),
    /// A datagram that came to the sender on the shared port.
    Datagram(Foreign),
    /// Where the sender's clients on the shared port are.
    Path(PathNews),
}

/// How to wake a worker out of its wait for datagrams, and whether that is needed.
#[derive(Clone, Debug)]
pub(crate) struct Bell {
    waker: Arc<mio::Waker>,
    is_asleep: Arc<AtomicBool>,
}

impl Bell {
    pub fn new(waker: Arc<mio::Waker>) -> Self {
        Self { waker, is_asleep: Arc::new(AtomicBool::new(false)) }
    }

    /// Costs a system call only when the worker sleeps.
    fn ring(&self) {
        // what was sent must be seen by one who falls asleep after this look
        fence(Ordering::SeqCst);
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            // a failed wake only means that the worker is ending
            let _ = self.waker.wake();
        }
    }

    /// From here on the worker is woken by who sends to it; it must look into its lanes once more.
    pub fn fall_asleep(&self) {
        self.is_asleep.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    pub fn wake_up(&self) {
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct ToPeer {
    key: WorkerKey,
    lane: Sender<Mail>,
    bell: Bell,
    /// What found no room and must not be lost.
    waiting: VecDeque<Mail>,
    spent: Receiver<RelayBatch>,
    has_new: bool,
}

#[derive(Debug)]
struct FromPeer {
    key: WorkerKey,
    lane: Receiver<Mail>,
    spent: Sender<RelayBatch>,
}

/// One worker's ends of the lanes.
#[derive(Debug)]
pub(crate) struct Peers {
    pub bell: Bell,
    /// Connections that other workers accepted for us.
    pub connections: Vec<Handover>,
    to: Vec<ToPeer>,
    from: Vec<FromPeer>,
}

/// Lanes from each worker to each other one.
pub(crate) fn mesh(bells: Vec<Bell>) -> Vec<Peers> {
    let mut all: Vec<Peers> = bells.iter().cloned().map(Peers::new).collect();
    for from in 0..bells.len() {
        for (to, bell) in bells.iter().enumerate().filter(|(to, _)| *to != from) {
            let (lane, received) = crossbeam_channel::bounded(RELAY_MAX);
            let (give_back, spent) = crossbeam_channel::bounded(SPENT_MAX);
            let key = |index: usize| WorkerKey::local(index as u16);
            let bell = bell.clone();
            all[from].to.push(ToPeer { key: key(to), lane, bell, waiting: VecDeque::new(), spent, has_new: false });
            all[to].from.push(FromPeer { key: key(from), lane: received, spent: give_back });
        }
    }
    all
}

impl Peers {
    fn new(bell: Bell) -> Self {
        Self { bell, connections: Vec::new(), to: Vec::new(), from: Vec::new() }
    }

    /// Hands a connection to the worker whose it is. Where there is no room it is closed: the client connects again.
    pub fn hand_over(&mut self, connection: Handover) {
        if let Some(peer) = self.to.iter_mut().find(|peer| peer.key.index == connection.worker) {
            peer.has_new |= peer.lane.try_send(Mail::Connection(Box::new(connection))).is_ok();
        }
    }

    /// A datagram of another worker's client; where there is no room it is lost, as datagrams are. Nothing of it is proven, so it gets
    /// a part of the lane only: strangers must not crowd out media that crosses.
    pub fn pass_on(&mut self, foreign: Foreign) {
        let peer = self.to.iter_mut().find(|peer| peer.key.index == foreign.worker);
        if let Some(peer) = peer.filter(|peer| peer.lane.len() < RELAY_MAX / 4) {
            peer.has_new |= peer.lane.try_send(Mail::Datagram(foreign)).is_ok();
        }
    }

    /// To every other worker with the next [`Peers::send`].
    pub fn tell_path(&mut self, news: PathNews) {
        // bounded: a client that changes its address without end must not fill our memory, and what is not told is only slower
        for peer in self.to.iter_mut().filter(|peer| peer.waiting.len() < RELAY_MAX) {
            peer.post(Mail::Path(news));
        }
    }

    /// Takes what other workers sent. True: there may be more.
    pub fn take(&mut self, now: Instant, engine: &mut Engine, mut shared: Option<&mut SharedPort>) -> bool {
        let mut more = false;
        for peer in &mut self.from {
            for taken in 1..=MAILS_PER_TICK {
                let Ok(mail) = peer.lane.try_recv() else { break };
                more |= taken == MAILS_PER_TICK;
                match mail {
                    Mail::Relay(relay) => {
                        if let (Relay::Restarted, Some(shared)) = (&relay, &mut shared) {
                            shared.forget(peer.key.index);
                        }
                        if let Some(batch) = engine.handle_relay(now, peer.key, relay) {
                            // nobody wants it back: it is freed
                            let _ = peer.spent.try_send(batch);
                        }
                    }
                    Mail::Connection(connection) => self.connections.push(*connection),
                    Mail::Datagram(Foreign { path, mut bytes, .. }) => {
                        engine.handle_datagram(now, usize::from(path.local), path.remote, &mut bytes);
                    }
                    Mail::Path(news) => {
                        if let Some(shared) = &mut shared {
                            shared.handle_news(now, engine, peer.key.index, news);
                        }
                    }
                }
            }
        }
        more
    }

    /// Hands over what the engine has for other workers.
    pub fn send(&mut self, now: Instant, engine: &mut Engine) {
        for peer in &mut self.to {
            while let Ok(batch) = peer.spent.try_recv() {
                engine.recycle(batch);
            }
            peer.send_waiting();
        }
        while let Some((to, relay)) = engine.poll_relay() {
            let Some(peer) = self.to.iter_mut().find(|peer| peer.key == to) else { continue };
            match peer.post(Mail::Relay(relay)) {
                Some(Mail::Relay(Relay::Packets(batch))) => {
                    engine.relay_overflowed(now, to, &batch);
                    engine.recycle(batch);
                }
                Some(Mail::Relay(Relay::DataPackets(packets))) => engine.data_relay_overflowed(&packets),
                _ => {}
            }
        }
        for peer in self.to.iter_mut().filter(|peer| peer.has_new) {
            peer.has_new = false;
            peer.bell.ring();
        }
    }

    /// To every other worker.
    pub fn tell_all(&mut self, relay: &Relay) {
        for peer in &mut self.to {
            peer.post(Mail::Relay(relay.clone()));
            peer.has_new = false;
            peer.bell.ring();
        }
    }

    /// Something lies in a lane.
    pub fn has_mail(&self) -> bool {
        self.from.iter().any(|peer| !peer.lane.is_empty())
    }

    /// Something found no room and is to be offered again soon.
    pub fn has_waiting(&self) -> bool {
        self.to.iter().any(|peer| !peer.waiting.is_empty())
    }
}

impl ToPeer {
    fn send_waiting(&mut self) {
        while let Some(mail) = self.waiting.pop_front() {
            match self.lane.try_send(mail) {
                Ok(()) => self.has_new = true,
                Err(TrySendError::Full(mail)) => {
                    self.waiting.push_front(mail);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => return self.waiting.clear(),
            }
        }
    }

    /// Returns packets that found no room; the rest waits.
    fn post(&mut self, mail: Mail) -> Option<Mail> {
        // packets may overtake what waits: they mean nothing to one who was not told of their track
        let is_packets = matches!(mail, Mail::Relay(Relay::Packets(_) | Relay::DataPackets(_)));
        if !is_packets && !self.waiting.is_empty() {
            self.waiting.push_back(mail);
            return None;
        }
        match self.lane.try_send(mail) {
            Ok(()) => self.has_new = true,
            Err(TrySendError::Full(mail)) if is_packets => return Some(mail),
            Err(TrySendError::Full(mail)) => self.waiting.push_back(mail),
            // the other one has ended, and so does this one soon
            Err(TrySendError::Disconnected(_)) => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_contract::{RoomKey, TrackKey};

    use super::*;

    fn bells(count: usize) -> (Vec<mio::Poll>, Vec<Bell>) {
        let polls: Vec<mio::Poll> = (0..count).map(|_| mio::Poll::new().unwrap()).collect();
        let waker = |poll: &mio::Poll| Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let bells = polls.iter().map(|poll| Bell::new(waker(poll))).collect();
        (polls, bells)
    }

    fn detach(index: u32) -> Mail {
        Mail::Relay(Relay::Detach { track: TrackKey { room: RoomKey(0), index } })
    }

    #[test]
    fn what_must_arrive_waits_in_order_and_packets_are_handed_back() {
        let (_polls, bells) = bells(2);
        let mut all = mesh(bells);
        let peer = &mut all[0].to[0];
        for index in 0..RELAY_MAX as u32 {
            assert!(peer.post(detach(index)).is_none());
        }
        assert!(peer.post(Mail::Relay(Relay::Packets(RelayBatch::default()))).is_some(), "no room");
        for index in 0..10 {
            assert!(peer.post(detach(RELAY_MAX as u32 + index)).is_none());
        }
        assert!(all[0].has_waiting() && all[1].has_mail());
        let mut next = 0;
        for _ in 0..2 {
            while let Ok(Mail::Relay(Relay::Detach { track })) = all[1].from[0].lane.try_recv() {
                assert_eq!(track.index, next);
                next += 1;
            }
            all[0].to[0].send_waiting();
        }
        assert_eq!(next, RELAY_MAX as u32 + 10);
        assert!(!all[0].has_waiting());
    }

    #[test]
    fn only_a_sleeper_is_woken() {
        let (mut polls, bells) = bells(1);
        let mut events = mio::Events::with_capacity(4);
        let mut woken = |poll: &mut mio::Poll| {
            poll.poll(&mut events, Some(std::time::Duration::ZERO)).unwrap();
            !events.is_empty()
        };
        bells[0].ring();
        assert!(!woken(&mut polls[0]));
        bells[0].fall_asleep();
        bells[0].ring();
        bells[0].ring();
        assert!(woken(&mut polls[0]));
        assert!(!woken(&mut polls[0]));
    }
}
