//! The control plane as a whole: started once, served on its ports, stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sluicegate_contract::Event;
use sluicegate_contract::meter::Meters;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::config::ControlConfig;
use crate::http;
use crate::metrics::{Kind, Metrics};
use crate::placement::{WorkerPort, Workers};
use crate::rooms::Rooms;
use crate::store::{Store, StoreError};

/// This plane's ends of the channels to the workers; made by the server, which knows both planes.
#[derive(Debug)]
pub struct MediaPort {
    pub workers: Vec<WorkerPort>,
    /// Lane *event*, of all workers: they never wait for us, and no room keeps another one waiting.
    pub events: mpsc::Receiver<Event>,
    /// Set by the server when lane *event* was full and something was lost: the node is unhealthy from then on.
    pub is_behind: Arc<AtomicBool>,
}

/// The running control plane; a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Control(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: ControlConfig,
    metrics: Arc<Metrics>,
    rooms: Rooms,
    workers: Workers,
    is_behind: Arc<AtomicBool>,
    store: Store,
    started: Instant,
    /// True: no more pauses on the way out.
    hurried: watch::Sender<bool>,
    /// True: listeners close, connections end.
    stopped: watch::Sender<bool>,
}

impl Control {
    /// Starts the routing of the worker's events. Within a tokio runtime. There are no rooms before [`Control::restore`].
    pub fn start(config: ControlConfig, media: MediaPort, store: Store) -> Self {
        let MediaPort { workers, mut events, is_behind } = media;
        let workers = Workers::start(workers, config.worker_warm_percent);
        let metrics = Arc::new(Metrics::default());
        let rooms = Rooms::new(&config, workers.clone(), Arc::clone(&metrics), store.clone());
        let control = Self(Arc::new(Inner {
            config,
            metrics,
            rooms: rooms.clone(),
            workers,
            is_behind,
            store,
            started: Instant::now(),
            hurried: watch::Sender::new(false),
            stopped: watch::Sender::new(false),
        }));
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                rooms.route(event);
            }
        });
        control
    }

    /// Serves everything on this listener, until [`Control::shutdown`].
    pub async fn serve(&self, listener: TcpListener) {
        http::serve(self.clone(), listener, http::main_router(self)).await;
    }

    /// Serves the metrics page on a port of its own.
    pub async fn serve_metrics(&self, listener: TcpListener) {
        http::serve(self.clone(), listener, http::metrics_router(self)).await;
    }

    /// Makes the rooms of an earlier process again; from then on there are new ones. Says how many there were.
    pub async fn restore(&self) -> Result<usize, StoreError> {
        self.0.rooms.restore().await
    }

    /// No new rooms, not ready any more; returns when nobody is left, after this time, or when hurried.
    pub async fn drain(&self, timeout: Duration) {
        self.0.rooms.drain();
        tokio::select! {
            () = self.0.rooms.emptied() => {}
            () = self.hurried() => {}
            () = tokio::time::sleep(timeout) => {}
        }
    }

    /// Participants of all rooms.
    pub fn participants(&self) -> u64 {
        self.0.metrics.live(Kind::Participant)
    }

    /// No pauses in [`Control::drain`] and [`Control::shutdown`].
    pub fn hurry(&self) {
        self.0.hurried.send_replace(true);
    }

    async fn hurried(&self) {
        // the sender lives as long as `self`
        let _ = self.0.hurried.subscribe().wait_for(|hurried| *hurried).await;
    }

    /// Tells everybody to come back, waits until they are told, then closes the ports. The caller bounds the wait.
    pub async fn shutdown(&self) {
        self.0.rooms.shutdown(self.0.hurried.subscribe()).await;
        self.0.metrics.none_left(Kind::WebSocket).await;
        self.0.stopped.send_replace(true);
    }

    pub(crate) fn config(&self) -> &ControlConfig {
        &self.0.config
    }

    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    pub(crate) fn rooms(&self) -> &Rooms {
        &self.0.rooms
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.0.workers
    }

    /// Why no new rooms should come here.
    pub(crate) fn hindrance(&self) -> Option<&'static str> {
        if !self.0.rooms.has_media() || self.0.is_behind.load(Ordering::Relaxed) {
            return Some("the media plane is not running, or its reports were lost");
        }
        self.0.rooms.phase().hindrance()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn started(&self) -> Instant {
        self.0.started
    }

    /// The counters of all workers together.
    pub(crate) fn meters(&self) -> Meters {
        Meters::sum(&self.0.workers.meters())
    }

    pub(crate) fn worker_meters(&self) -> Vec<Meters> {
        self.0.workers.meters()
    }

    /// Resolves once the ports shall close.
    pub(crate) async fn stopped(&self) {
        let mut stopped = self.0.stopped.subscribe();
        // the sender lives as long as `self`
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}
