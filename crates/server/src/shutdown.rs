//! SIGTERM and SIGINT: the first waits for rooms to empty and then sends everybody away, to come back to the next process; the
//! second does not wait; the third ends the process.

use std::time::Duration;

use sluicegate_control::Control;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::notify;

/// From the first to the last that is told, and their last frames' way.
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

/// Returns when everybody has gone or is told to come back, when that takes too long, or at the third signal.
pub async fn stop(control: &Control, signals: &mut Signals, drain_timeout: Duration) {
    let participants = control.participants();
    let secs = drain_timeout.as_secs();
    tracing::info!(
        participants,
        "stopping: no new rooms; in {secs} s at most everybody is sent away, at once with a second signal"
    );
    notify::stopping(&format!("draining: {participants} participants, {secs} s at most"));
    let hurried = async {
        signals.next().await;
        tracing::info!("hurried by a second signal; a third one ends it at once");
        control.hurry();
        signals.next().await;
    };
    tokio::select! {
        () = leave(control, drain_timeout) => {}
        () = hurried => tracing::warn!("stopped at once"),
    }
}

async fn leave(control: &Control, drain_timeout: Duration) {
    control.drain(drain_timeout).await;
    let participants = control.participants();
    if participants > 0 {
        tracing::info!(participants, "the participants are told to come back");
    }
    notify::status("sending participants away");
    if tokio::time::timeout(GRACE, control.shutdown()).await.is_err() {
        tracing::warn!("not everybody was told in time");
    }
}
