//! What is alive and what has happened, counted; the page that shows it is `metrics::page`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

pub(crate) mod page;
pub(crate) mod process;

/// Objects of this plane that come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Room,
    Participant,
    WebSocket,
    HttpConnection,
}

impl Kind {
    const ALL: [(Kind, &'static str); 4] = [
        (Kind::Room, "room"),
        (Kind::Participant, "participant"),
        (Kind::WebSocket, "websocket"),
        (Kind::HttpConnection, "http_connection"),
    ];
}

/// Things that have happened since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    JoinAccepted,
    JoinRefused,
    ParticipantActive,
    /// A client was so far behind that it was disconnected.
    SignalOverrun,
    /// A client asked so much that it was disconnected.
    SignalFlood,
    /// A room lost events of the media plane and ended.
    RoomOverrun,
    /// A panic was contained.
    Panic,
    TrackPublished,
    TrackUnpublished,
}

const FACTS: usize = 9;

/// Counters of the control plane; API rate, never per packet.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    live: [AtomicU64; Kind::ALL.len()],
    facts: [AtomicU64; FACTS],
    changed: Notify,
    /// By service, method and status code.
    requests: Mutex<BTreeMap<(&'static str, &'static str, &'static str), u64>>,
}

/// One live object: counted while it exists.
#[derive(Debug)]
pub(crate) struct Tally {
    metrics: Arc<Metrics>,
    kind: Kind,
}

impl Metrics {
    pub fn enter(self: &Arc<Self>, kind: Kind) -> Tally {
        self.live[kind as usize].fetch_add(1, Ordering::Relaxed);
        Tally { metrics: Arc::clone(self), kind }
    }

    pub fn live(&self, kind: Kind) -> u64 {
        self.live[kind as usize].load(Ordering::Relaxed)
    }

    pub fn count(&self, fact: Fact) {
        self.facts[fact as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn facts(&self, fact: Fact) -> u64 {
        self.facts[fact as usize].load(Ordering::Relaxed)
    }

    /// One answered API request. Only known names: the map is as large as the API.
    pub fn count_request(&self, service: &'static str, method: &'static str, code: &'static str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((service, method, code)).or_default() += 1;
    }

    /// Waits until none of the kind is left.
    pub async fn none_left(&self, kind: Kind) {
        loop {
            let changed = self.changed.notified();
            if self.live(kind) == 0 {
                return;
            }
            changed.await;
        }
    }
}

impl Drop for Tally {
    fn drop(&mut self) {
        self.metrics.live[self.kind as usize].fetch_sub(1, Ordering::Relaxed);
        self.metrics.changed.notify_waiters();
    }
}
