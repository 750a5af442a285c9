//! The worker's UDP sockets: one per local address, so that a datagram's local end is known without ancillary data.

use std::io;
use std::net::{IpAddr, SocketAddr};

use nix::sys::socket::{setsockopt, sockopt};
use quinn_udp::{UdpSockRef, UdpSocketState};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery};
use sluicegate_engine::{Carrier, LocalAddress};
use socket2::{Domain, Protocol, Socket, Type};

use crate::offload;

/// Asked of the kernel for both directions: a key frame for a few hundred viewers, or a tenth of a second of a full link.
pub const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// Where a socket is to be bound, and the addresses under which clients will know it; their port follows the bound one.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    pub bind: SocketAddr,
    pub advertised: IpAddr,
    /// From outside, where a NAT is in front of `advertised`.
    pub external: Option<IpAddr>,
}

impl Port {
    /// Known as what it is.
    pub const fn plain(bind: SocketAddr) -> Self {
        Self { bind, advertised: bind.ip(), external: None }
    }

    pub(crate) fn known_as(&self, carrier: Carrier, port: u16) -> LocalAddress {
        let address = |ip| SocketAddr::new(ip, port);
        LocalAddress { address: address(self.advertised), carrier, external: self.external.map(address) }
    }
}

/// One bound socket and the address under which clients know it.
#[derive(Debug)]
pub struct UdpPort {
    pub(crate) socket: mio::net::UdpSocket,
    pub(crate) state: UdpSocketState,
    pub(crate) offload: Offload,
    /// As clients know it: the bound address, or the public one in front of it (`node_ip`).
    pub local: LocalAddress,
    /// Bytes the kernel granted for receiving and for sending.
    pub buffers: (usize, usize),
}

/// What the kernel does for many datagrams at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offload {
    /// Splits one message into datagrams of equal size (UDP_SEGMENT).
    pub send: bool,
    /// Hands over datagrams of one source as one buffer (UDP_GRO).
    pub receive: bool,
}

impl Offload {
    pub const OFF: Self = Self { send: false, receive: false };

    /// What works here, by trying it.
    pub fn probe() -> Self {
        Self { send: offload::can_split(), receive: true }
    }
}

impl UdpPort {
    /// Binds; port 0 takes a free one.
    pub fn bind(port: &Port, offload: Offload) -> io::Result<Self> {
        Self::open(port.bind, offload, false, |bound| port.known_as(Carrier::Udp, bound))
    }

    /// As [`UdpPort::bind`], beside others on the same port (SO_REUSEPORT): the kernel deals datagrams out among them.
    pub fn bind_shared(port: &Port, offload: Offload) -> io::Result<Self> {
        Self::open(port.bind, offload, true, |bound| port.known_as(Carrier::Udp, bound))
    }

    /// A socket beside this one, on its port, that hears only `remote`.
    pub(crate) fn connect(&self, remote: SocketAddr) -> io::Result<Self> {
        let beside = Self::open(self.socket.local_addr()?, self.offload, true, |_| self.local)?;
        beside.socket.connect(remote)?;
        Ok(beside)
    }

    fn open(bind: SocketAddr, offload: Offload, is_shared: bool, local: impl Fn(u16) -> LocalAddress) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
        if bind.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        if is_shared {
            socket.set_reuse_port(true)?;
        }
        let buffers = ask_for_buffers(&socket);
        socket.set_nonblocking(true)?;
        socket.bind(&bind.into())?;
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        let receive = offload.receive && state.gro_segments() > 1;
        go_without(&socket, bind.is_ipv6(), receive);
        let socket = mio::net::UdpSocket::from_std(socket.into());
        let local = local(socket.local_addr()?.port());
        let offload = Offload { send: offload.send, receive };
        Ok(Self { socket, state, offload, local, buffers })
    }
}

/// Past the kernel's limit where we may (CAP_NET_ADMIN). Best effort: small buffers lose packets in bursts but work. Returns what
/// was granted.
fn ask_for_buffers(socket: &Socket) -> (usize, usize) {
    if setsockopt(socket, sockopt::RcvBufForce, &SOCKET_BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    }
    if setsockopt(socket, sockopt::SndBufForce, &SOCKET_BUFFER_BYTES).is_err() {
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    }
    // the kernel tells twice what it granted: half of it is for its own book-keeping (socket(7))
    let granted = |told: io::Result<usize>| told.unwrap_or(0) / 2;
    (granted(socket.recv_buffer_size()), granted(socket.send_buffer_size()))
}

/// What [`UdpSocketState`] sets for QUIC is taken back. Ancillary data that nobody here reads would cost every datagram a little. And a
/// packet that is too long for a way must be cut into fragments rather than vanish: WebRTC looks for no way's MTU.
fn go_without(socket: &Socket, is_v6: bool, receive_offload: bool) {
    let _ = setsockopt(socket, sockopt::ReceiveTimestampns, &false);
    if is_v6 {
        let _ = setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &false);
        let _ = setsockopt(socket, sockopt::Ipv6RecvTClass, &false);
        let _ = setsockopt(socket, sockopt::Ipv6DontFrag, &false);
        let _ = rustix::net::sockopt::set_ipv6_mtu_discover(socket, Ipv6PathMtuDiscovery::WANT);
    } else {
        let _ = setsockopt(socket, sockopt::Ipv4PacketInfo, &false);
        let _ = setsockopt(socket, sockopt::IpRecvTos, &false);
        let _ = rustix::net::sockopt::set_ip_mtu_discover(socket, Ipv4PathMtuDiscovery::WANT);
    }
    if !receive_offload {
        let _ = setsockopt(socket, sockopt::UdpGroSegment, &false);
    }
}

/// All sockets of one worker, indexed by the engine's local address index.
#[derive(Debug)]
pub struct UdpPorts(pub Vec<UdpPort>);

impl UdpPorts {
    /// In the engine's order.
    pub fn locals(&self) -> Vec<LocalAddress> {
        self.0.iter().map(|port| port.local).collect()
    }

    /// The smallest buffers that any of the sockets was granted: for receiving, and for sending.
    pub fn buffers(&self) -> (usize, usize) {
        let smallest = |of: fn(&UdpPort) -> usize| self.0.iter().map(of).min().unwrap_or(usize::MAX);
        (smallest(|port| port.buffers.0), smallest(|port| port.buffers.1))
    }
}
