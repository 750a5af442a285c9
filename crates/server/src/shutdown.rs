//! SIGTERM and SIGINT: the first asks everybody to leave, the second ends the process.

use std::time::Duration;

use sluicegate_control::Control;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Everybody must have been told by then.
const GRACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Sends everybody away; returns when they are told, when it takes too long, or at the next signal.
pub async fn stop(control: &Control, signals: &mut Signals) {
    tracing::info!("stopping; a second signal ends it at once");
    tokio::select! {
        stopped = tokio::time::timeout(GRACE, control.shutdown()) => {
            if stopped.is_err() {
                tracing::warn!("not everybody was told in time");
            }
        }
        () = signals.next() => tracing::warn!("stopped at once"),
    }
}
