//! The media plane: its sockets, its threads, and the channels between it and the control plane.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sluicegate_contract::limit::{COMMANDS_MAX, EVENTS_MAX};
use sluicegate_contract::meter::Meters;
use sluicegate_contract::time::WallClock;
use sluicegate_contract::{Command, WorkerKey};
use sluicegate_control::{MediaPort, WorkerPort};
use sluicegate_worker::{Certificate, Full, Offload, Report, SOCKET_BUFFER_BYTES, UdpPort, UdpPorts, Worker, WorkerConfig};
use tokio::sync::{mpsc, watch};

use crate::addresses;
use crate::config::Config;

/// How soon a command that the worker had no room for is offered again.
const BUSY_WAIT: Duration = Duration::from_micros(500);
/// `off`: datagrams are neither merged nor split by the kernel (GRO, GSO).
const OFFLOAD_VARIABLE: &str = "SLUICEGATE_UDP_OFFLOAD";

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

/// Opens the sockets and starts the threads. Within a tokio runtime.
pub fn start(config: &Config) -> Result<Media, MediaError> {
    let (first, _) = config.media_ports();
    let offload = offload();
    let udp = (0..config.workers()).map(|index| open(config, port_of(first, index), offload)).collect::<Result<Vec<_>, _>>()?;
    let advertised: Vec<_> = udp.iter().map(UdpPorts::advertised).collect();
    tracing::info!(candidates = ?advertised, "media addresses that clients are told, by worker");
    warn_of_small_buffers(&udp);
    let (events, received) = mpsc::channel(EVENTS_MAX * udp.len());
    let (meters_senders, meters): (Vec<_>, Vec<_>) = udp.iter().map(|_| watch::channel(Meters::default())).unzip();
    let meters_senders = Arc::new(meters_senders);
    let is_behind = Arc::new(AtomicBool::new(false));
    let lost = Arc::clone(&is_behind);
    let report = move |worker: WorkerKey, report| match report {
        Report::Event(event) => {
            // closed: the control plane has ended before
            if let Err(mpsc::error::TrySendError::Full(_)) = events.try_send(event)
                && !lost.swap(true, Ordering::Relaxed)
            {
                tracing::error!("the control plane does not keep up with the media plane: reports are lost");
            }
        }
        Report::Meters(meters) => {
            if let Some(sender) = meters_senders.get(usize::from(worker.index)) {
                sender.send_replace(*meters);
            }
        }
    };
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let wall_clock = WallClock::new(Instant::now(), unix);
    let certificate = Certificate::generate().map_err(sluicegate_worker::WorkerError::from)?;
    let worker_config = |(index, udp)| {
        let certificate = certificate.clone();
        WorkerConfig { name: format!("media-{index}"), udp, certificate, wall_clock }
    };
    let workers = Worker::start_all(udp.into_iter().enumerate().map(worker_config).collect(), report)?;
    let port = |(worker, meters)| {
        let (commands, taken) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(pass_on(taken, worker));
        WorkerPort { commands, meters }
    };
    let workers = workers.into_iter().zip(meters).map(port).collect();
    let udp_ports = advertised.iter().filter_map(|addresses| addresses.first()).map(SocketAddr::port).collect();
    Ok(Media { port: MediaPort { workers, events: received, is_behind }, udp_ports })
}

/// A free one each where the first is 0.
fn port_of(first: u16, index: u16) -> u16 {
    if first == 0 { 0 } else { first + index }
}

fn offload() -> Offload {
    match std::env::var(OFFLOAD_VARIABLE).as_deref() {
        Ok("off") => Offload::OFF,
        _ => Offload::probe(),
    }
}

fn open(config: &Config, port: u16, offload: Offload) -> Result<UdpPorts, MediaError> {
    let locals = addresses::local(&config.rtc, &addresses::of_this_machine());
    let open = |local: addresses::Local| {
        UdpPort::bind(SocketAddr::new(local.bind, port), local.advertised, offload).map_err(|error| MediaError::Bind {
            address: local.bind,
            port,
            error,
        })
    };
    locals.into_iter().map(open).collect::<Result<_, _>>().map(UdpPorts)
}

/// Small buffers lose packets in bursts; how to get the ones that were asked for.
fn warn_of_small_buffers(udp: &[UdpPorts]) {
    let wanted = SOCKET_BUFFER_BYTES;
    let Some((receive, send)) = udp.first().map(UdpPorts::buffers) else { return };
    for (key, granted) in [("net.core.rmem_max", receive), ("net.core.wmem_max", send)] {
        if granted < wanted {
            tracing::warn!("the kernel grants media sockets {granted} bytes of buffer: sysctl -w {key}={wanted}");
        }
    }
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
