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
use sluicegate_worker::{
    Certificate, Full, Offload, Port, Report, SOCKET_BUFFER_BYTES, TcpPort, UdpPort, UdpPorts, Worker, WorkerConfig,
};
use tokio::sync::{mpsc, watch};

use crate::addresses::{self, Local};
use crate::config::Config;
use crate::stun;

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
    pub tcp_port: Option<u16>,
}

#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    #[error("cannot open {kind} port {port} on {address}: {error}")]
    Bind { kind: &'static str, address: IpAddr, port: u16, error: io::Error },
    #[error(transparent)]
    Worker(#[from] sluicegate_worker::WorkerError),
}

/// Opens the sockets and starts the threads. Within a tokio runtime.
pub fn start(config: &Config) -> Result<Media, MediaError> {
    let (first, _) = config.media_ports();
    let offload = offload();
    let locals = locals(config);
    let udp = (0..config.workers())
        .map(|index| open(config, &locals, port_of(config, first, index), offload))
        .collect::<Result<Vec<_>, _>>()?;
    let tcp = match config.rtc.tcp_port {
        0 => Vec::new(),
        port => listen(&locals, port)?,
    };
    log_addresses(&udp, &tcp);
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
        WorkerConfig { name: format!("media-{index}"), udp, shares_port: config.shares_port(), certificate, wall_clock }
    };
    let udp_ports = udp.iter().filter_map(|ports| ports.0.first()).map(|port| port.local.address.port()).collect();
    let tcp_port = tcp.first().map(|port| port.local.address.port());
    let workers = Worker::start_all(udp.into_iter().enumerate().map(worker_config).collect(), tcp, report)?;
    let port = |(worker, meters)| {
        let (commands, taken) = mpsc::channel(COMMANDS_MAX);
        tokio::spawn(pass_on(taken, worker));
        WorkerPort { commands, meters }
    };
    let workers = workers.into_iter().zip(meters).map(port).collect();
    Ok(Media { port: MediaPort { workers, events: received, is_behind }, udp_ports, tcp_port })
}

/// A free one each where the first is 0; all the same where it is shared.
fn port_of(config: &Config, first: u16, index: u16) -> u16 {
    if first == 0 || config.shares_port() { first } else { first + index }
}

fn offload() -> Offload {
    match std::env::var(OFFLOAD_VARIABLE).as_deref() {
        Ok("off") => Offload::OFF,
        _ => Offload::probe(),
    }
}

/// What may take a moment: STUN.
fn locals(config: &Config) -> Vec<Local> {
    let rtc = &config.rtc;
    let servers = if rtc.stun_servers.is_empty() {
        stun::DEFAULT_SERVERS.iter().map(ToString::to_string).collect()
    } else {
        rtc.stun_servers.clone()
    };
    addresses::with_external(rtc, &addresses::of_this_machine(), |asked| stun::discover(asked, &servers, stun::PATIENCE))
}

fn port(local: &Local, port: u16) -> Port {
    Port { bind: SocketAddr::new(local.bind, port), advertised: local.advertised, external: local.external }
}

fn open(config: &Config, locals: &[Local], number: u16, offload: Offload) -> Result<UdpPorts, MediaError> {
    let failed = |local: &Local, error| MediaError::Bind { kind: "UDP", address: local.bind, port: number, error };
    let bind = if config.shares_port() { UdpPort::bind_shared } else { UdpPort::bind };
    let open = |local: &Local| bind(&port(local, number), offload).map_err(|error| failed(local, error));
    locals.iter().map(open).collect::<Result<_, _>>().map(UdpPorts)
}

fn listen(locals: &[Local], number: u16) -> Result<Vec<TcpPort>, MediaError> {
    let failed = |local: &Local, error| MediaError::Bind { kind: "TCP", address: local.bind, port: number, error };
    let listen = |local: &Local| TcpPort::bind(&port(local, number)).map_err(|error| failed(local, error));
    locals.iter().map(listen).collect()
}

fn log_addresses(udp: &[UdpPorts], tcp: &[TcpPort]) {
    let tcp = tcp.iter().map(|port| port.local.to_string());
    for (worker, ports) in udp.iter().enumerate() {
        let all: Vec<String> = ports.locals().iter().map(ToString::to_string).chain(tcp.clone()).collect();
        tracing::info!("media addresses that clients of worker {worker} are told: {}", all.join(", "));
    }
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
