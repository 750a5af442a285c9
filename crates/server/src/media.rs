//! The media plane: its sockets, its thread, and the channels between it and the control plane.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluicegate_contract::Command;
use sluicegate_contract::limit::{COMMANDS_MAX, EVENTS_MAX};
use sluicegate_contract::meter::Meters;
use sluicegate_contract::time::WallClock;
use sluicegate_control::MediaPort;
use sluicegate_worker::{Certificate, Full, Report, UdpPort, UdpPorts, Worker, WorkerConfig};
use tokio::sync::{mpsc, watch};

use crate::addresses;
use crate::config::Config;

/// How soon a command that the worker had no room for is offered again.
const BUSY_WAIT: Duration = Duration::from_micros(500);

/// The running media plane.
#[derive(Debug)]
pub struct Media {
    pub port: MediaPort,
    /// UDP ports that are bound, one per worker.
    pub udp_ports: Vec<u16>,
}

#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("cannot open UDP port {port} on {address}: {error}")]
    Bind { address: IpAddr, port: u16, error: io::Error },
    #[error(transparent)]
    Worker(#[from] sluicegate_worker::WorkerError),
}

/// Opens the sockets and starts the thread. Within a tokio runtime.
pub fn start(config: &Config) -> Result<Media, MediaError> {
    let (port, _) = config.media_ports();
    let udp = open(config, port)?;
    let advertised = udp.advertised();
    tracing::info!(candidates = ?advertised, "media addresses that clients are told");
    let (events, received) = mpsc::channel(EVENTS_MAX);
    let (meters_sender, meters) = watch::channel(Meters::default());
    let is_behind = Arc::new(AtomicBool::new(false));
    let lost = Arc::clone(&is_behind);
    let report = move |report| match report {
        Report::Event(event) => {
            // closed: the control plane has ended before
            if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(event)
                && !lost.swap(true, Ordering::Relaxed)
            {
                tracing::error!("the control plane does not keep up with the media plane: reports are lost");
            }
        }
        Report::Meters(meters) => drop(meters_sender.send_replace(*meters)),
    };
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall_clock = WallClock::new(Instant::now(), unix);
    let certificate = Certificate::generate().map_err(sluicegate_worker::WorkerError::from)?;
    let worker = Worker::start(WorkerConfig { name: "media-0".to_owned(), udp, certificate, wall_clock }, report)?;
    let (commands, taken) = mpsc::channel(COMMANDS_MAX);
    tokio::spawn(pass_on(taken, worker));
    let udp_ports = advertised.first().map(SocketAddr::port).into_iter().collect();
    Ok(Media { port: MediaPort { commands, events: received, meters, is_behind }, udp_ports })
}

fn open(config: &Config, port: u16) -> Result<UdpPorts, MediaError> {
    let locals = addresses::local(&config.rtc, &addresses::of_this_machine());
    let open = |local: addresses::Local| {
        UdpPort::bind(SocketAddr::new(local.bind, port), local.advertised).map_err(|error| MediaError::Bind {
            address: local.bind,
            port,
            error,
        })
    };
    locals.into_iter().map(open).collect::<Result<_, _>>().map(UdpPorts)
}

/// From the rooms to the worker, in order; while the worker is behind, the rooms wait. The thread ends with the last room's end of
/// the lane.
async fn pass_on(mut commands: mpsc::Receiver<Command>, worker: Worker) {
    while let Some(mut command) = commands.recv().await {
        loop {
            match worker.commands.try_send(command) {
                Ok(()) => break,
                Err(Full::Gone) => return,
                Err(Full::Busy(returned)) => {
                    command = returned;
                    tokio::time::sleep(BUSY_WAIT).await;
                }
            }
        }
    }
}
