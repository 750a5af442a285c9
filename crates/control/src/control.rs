//! The control plane as a whole: started once, served on its ports, stopped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use sluicegate_contract::Event;
use sluicegate_contract::meter::Meters;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};

use crate::config::ControlConfig;
use crate::http;
use crate::metrics::{Kind, Metrics};
use crate::placement::{WorkerPort, Workers};
use crate::rooms::Rooms;

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
    started: Instant,
    /// True: listeners close, connections end.
    stopped: watch::Sender<bool>,
}

impl Control {
    /// Starts the routing of the worker's events. Within a tokio runtime.
    pub fn start(config: ControlConfig, media: MediaPort) -> Self {
        let MediaPort { workers, mut events, is_behind } = media;
        let workers = Workers::start(workers, config.worker_warm_percent);
        let metrics = Arc::new(Metrics::default());
        let rooms = Rooms::new(&config, workers.clone(), Arc::clone(&metrics));
        let stopped = watch::Sender::new(false);
        let control =
            Self(Arc::new(Inner { config, metrics, rooms: rooms.clone(), workers, is_behind, started: Instant::now(), stopped }));
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

    /// Sends everybody away, waits until they are told, then closes the ports. The caller bounds the wait.
    pub async fn shutdown(&self) {
        self.0.rooms.shutdown().await;
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

    /// The media plane runs and was heard in full.
    pub(crate) fn is_healthy(&self) -> bool {
        self.0.rooms.has_media() && !self.0.is_behind.load(Ordering::Relaxed)
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
