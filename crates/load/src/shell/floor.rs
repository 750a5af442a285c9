//! What the machine itself takes to send a datagram: the floor under every figure of a server.
//!
//! Over loopback the sender also pays most of the way into the receiver's socket. Nobody reads: full sockets drop for nothing, so
//! each round is short enough to fit into the buffers, and they are emptied between rounds, outside the measured time.

use std::fmt;
use std::io::IoSlice;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendmsg, sendto};
use rustix::time::{ClockId, clock_gettime};

const DATAGRAM: usize = 1200;
/// Viewers; a server has many, so that no cache is warm for one.
const RECEIVERS: usize = 64;
/// Datagrams per receiver and round: they fit into a default receive buffer.
const PER_RECEIVER: usize = 48;
const ROUNDS: usize = 40;
const BATCH: usize = 64;

/// CPU time per datagram, the best round.
#[derive(Clone, Debug)]
pub struct Floor {
    pub rows: Vec<(String, Duration)>,
}

/// Measures the ways of sending that need no unsafe code.
pub fn send_floor() -> std::io::Result<Floor> {
    let bench = Bench::new()?;
    let mut rows = vec![
        ("sendto".to_owned(), bench.best(|bench| bench.sendto())?),
        (format!("sendmmsg of {BATCH}"), bench.best(|bench| bench.sendmmsg())?),
    ];
    for run in [4, 8] {
        rows.push((format!("sendmsg with GSO runs of {run}"), bench.best(|bench| bench.gso(run))?));
    }
    Ok(Floor { rows })
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "CPU per datagram of {DATAGRAM} bytes over loopback, {RECEIVERS} receivers, best of {ROUNDS} rounds")?;
        for (name, time) in &self.rows {
            writeln!(f, "  {name:<28}{:>7.2} µs", time.as_secs_f64() * 1e6)?;
        }
        Ok(())
    }
}

struct Bench {
    sender: UdpSocket,
    receivers: Vec<UdpSocket>,
    addresses: Vec<SockaddrStorage>,
}

impl Bench {
    fn new() -> std::io::Result<Bench> {
        let bind = || UdpSocket::bind(SocketAddr::from(([127, 0, 0, 1], 0)));
        let receivers = (0..RECEIVERS).map(|_| bind()).collect::<std::io::Result<Vec<_>>>()?;
        let addresses = receivers.iter().map(|receiver| receiver.local_addr().map(SockaddrStorage::from));
        let addresses = addresses.collect::<std::io::Result<Vec<_>>>()?;
        for receiver in &receivers {
            receiver.set_nonblocking(true)?;
        }
        Ok(Bench { sender: bind()?, receivers, addresses })
    }

    fn best(&self, send: impl Fn(&Bench) -> nix::Result<usize>) -> std::io::Result<Duration> {
        let mut best = Duration::MAX;
        for _ in 0..ROUNDS {
            let begun = thread_cpu();
            let sent = send(self)?;
            let cpu = thread_cpu().saturating_sub(begun);
            best = best.min(cpu / sent.max(1) as u32);
            self.empty();
        }
        Ok(best)
    }

    fn sendto(&self) -> nix::Result<usize> {
        let datagram = [0xAB; DATAGRAM];
        for _ in 0..PER_RECEIVER {
            for address in &self.addresses {
                sendto(self.sender.as_raw_fd(), &datagram, address, MsgFlags::empty())?;
            }
        }
        Ok(PER_RECEIVER * RECEIVERS)
    }

    fn sendmmsg(&self) -> nix::Result<usize> {
        let datagram = [0xAB; DATAGRAM];
        let mut headers = MultiHeaders::preallocate(BATCH, None);
        let slices = [[IoSlice::new(&datagram)]; BATCH];
        let mut sent = 0;
        for _ in 0..PER_RECEIVER {
            for addresses in self.addresses.chunks(BATCH) {
                let addresses: Vec<Option<SockaddrStorage>> = addresses.iter().copied().map(Some).collect();
                let slices = &slices[..addresses.len()];
                sent += sendmmsg(self.sender.as_raw_fd(), &mut headers, slices, addresses, [], MsgFlags::empty())?.count();
            }
        }
        Ok(sent)
    }

    fn gso(&self, run: usize) -> nix::Result<usize> {
        let datagrams = vec![0xAB; DATAGRAM * run];
        let size = DATAGRAM as u16;
        let segments = [ControlMessage::UdpGsoSegments(&size)];
        for _ in 0..PER_RECEIVER / run {
            for address in &self.addresses {
                let slices = [IoSlice::new(&datagrams)];
                sendmsg(self.sender.as_raw_fd(), &slices, &segments, MsgFlags::empty(), Some(address))?;
            }
        }
        Ok(PER_RECEIVER / run * run * RECEIVERS)
    }

    fn empty(&self) {
        let mut buffer = [0; DATAGRAM];
        for receiver in &self.receivers {
            while receiver.recv(&mut buffer).is_ok() {}
        }
    }
}

fn thread_cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
