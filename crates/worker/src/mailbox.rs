//! The command lane: bounded, and it wakes the worker out of its wait for datagrams.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, TrySendError};
use sluicegate_contract::{Command, limit::COMMANDS_MAX};

/// The control plane's end of the lane.
#[derive(Clone, Debug)]
pub struct CommandSender {
    lane: Sender<Command>,
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
        match self.lane.try_send(command) {
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

pub(crate) fn lane(waker: Arc<mio::Waker>) -> (CommandSender, Receiver<Command>) {
    let (lane, receiver) = crossbeam_channel::bounded(COMMANDS_MAX);
    (CommandSender { lane, waker }, receiver)
}
