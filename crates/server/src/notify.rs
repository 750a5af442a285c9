//! What a service manager is told (systemd: `Type=notify`); without one nobody listens.

use sd_notify::NotifyState;

/// Everything is listening.
pub fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("serving")]);
}

pub fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

pub fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}
