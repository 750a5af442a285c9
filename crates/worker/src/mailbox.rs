//! The command lane: bounded, and it wakes the worker out of its wait for datagrams.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use sluicegate_contract::{Command, limit::COMMANDS_MAX};

/// The control plane's end of the lane.
#[derive(Clone, Debug)]
pub struct CommandSender {
    /// None only while it is dropped.
    lane: Option<Sender<Command>>,
    waker: Arc<mio::Waker>,
}

/// Why a command was not taken; it is handed back.
#[derive(Debug)]
pub enum Full {
    /// The worker is behind: try again a little later.
    Busy(Command),
    /// The worker has ended.
    Gone,
}

impl CommandSender {
    /// Puts one command into the lane and wakes the worker.
    pub fn try_send(&self, command: Command) -> Result<(), Full> {
        let Some(lane) = &self.lane else { return Err(Full::Gone) };
        match lane.try_send(command) {
            Ok(()) => {
                // a failed wake only means that the worker is ending
                let _ = self.waker.wake();
                Ok(())
            }
            Err(TrySendError::Full(command)) => Err(Full::Busy(command)),
            Err(TrySendError::Disconnected(_)) => Err(Full::Gone),
        }
    }
}

/// The last one's end is the worker's end, and a worker with nothing to do sleeps until it is woken.
impl Drop for CommandSender {
    fn drop(&mut self) {
        self.lane = None;
        let _ = self.waker.wake();
    }
}

pub(crate) fn lane(waker: Arc<mio::Waker>) -> (CommandSender, Receiver<Command>) {
    let (lane, receiver) = crossbeam_channel::bounded(COMMANDS_MAX);
    (CommandSender { lane: Some(lane), waker }, receiver)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluicegate_contract::{RoomKey, SessionKey};

    use super::*;

    #[test]
    fn a_full_lane_keeps_its_sender_waiting() {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let (sender, receiver) = lane(waker);
        let command = || Command::RemoveSession { session: SessionKey { room: RoomKey(1), index: 1 } };
        assert!((0..COMMANDS_MAX).all(|_| sender.try_send(command()).is_ok()));
        assert!(matches!(sender.try_send(command()), Err(Full::Busy(Command::RemoveSession { .. }))), "it is handed back");
        receiver.recv().unwrap();
        assert!(sender.try_send(command()).is_ok());
        drop(receiver);
        assert!(matches!(sender.try_send(command()), Err(Full::Gone)));
    }

    #[test]
    fn the_last_senders_end_wakes_the_worker() {
        let mut poll = mio::Poll::new().unwrap();
        let waker = Arc::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        // the worker's peers hold the waker, too
        let (sender, receiver) = lane(Arc::clone(&waker));
        drop(sender);
        let mut events = mio::Events::with_capacity(4);
        poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
        assert!(!events.is_empty());
        assert!(matches!(receiver.try_recv(), Err(crossbeam_channel::TryRecvError::Disconnected)));
    }
}
