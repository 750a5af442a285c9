//! Where the process is in its life, and what that means for rooms.

use std::sync::atomic::{AtomicU8, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The rooms of an earlier process are not back yet.
    Starting,
    Serving,
    /// No new rooms; the present ones go on and admit.
    Draining,
    /// Everybody is sent away.
    Stopping,
}

const ALL: [Phase; 4] = [Phase::Starting, Phase::Serving, Phase::Draining, Phase::Stopping];

impl Phase {
    /// Why there is no new room now.
    pub const fn hindrance(self) -> Option<&'static str> {
        match self {
            Self::Starting => Some("the server is starting"),
            Self::Serving => None,
            Self::Draining | Self::Stopping => Some("the server is shutting down"),
        }
    }
}

/// The present phase; it only goes forward.
#[derive(Debug, Default)]
pub(crate) struct Phases(AtomicU8);

impl Phases {
    pub fn get(&self) -> Phase {
        ALL.get(usize::from(self.0.load(Ordering::SeqCst))).copied().unwrap_or(Phase::Stopping)
    }

    pub fn reach(&self, phase: Phase) {
        self.0.fetch_max(phase as u8, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_no_way_back() {
        let phases = Phases::default();
        assert_eq!((phases.get(), ALL.map(|phase| phase as u8)), (Phase::Starting, [0, 1, 2, 3]));
        for phase in [Phase::Serving, Phase::Draining, Phase::Serving, Phase::Stopping, Phase::Draining] {
            phases.reach(phase);
        }
        assert_eq!(phases.get(), Phase::Stopping);
    }
}
