//! The worker's UDP sockets: one per local address, so that a datagram's local end is known without ancillary data.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};

/// Asked of the kernel for both directions; it may grant less (`net.core.rmem_max`).
const SOCKET_BUFFER_BYTES: usize = 8 << 20;

/// One bound socket and the address under which clients know it.
#[derive(Debug)]
pub struct UdpPort {
    pub(crate) socket: mio::net::UdpSocket,
    /// The candidate's address: the bound one, or the public one in front of it (`node_ip`).
    pub advertised: SocketAddr,
}

impl UdpPort {
    /// Binds `bind`; port 0 takes a free one, and the advertised port follows the bound one.
    pub fn bind(bind: SocketAddr, advertised: std::net::IpAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(bind), Type::DGRAM, Some(Protocol::UDP))?;
        if bind.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        // best effort: small buffers lose packets in bursts but work
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
        socket.set_nonblocking(true)?;
        socket.bind(&bind.into())?;
        let socket = mio::net::UdpSocket::from_std(socket.into());
        let port = socket.local_addr()?.port();
        Ok(Self { socket, advertised: SocketAddr::new(advertised, port) })
    }
}

/// All sockets of one worker, indexed by the engine's local address index.
#[derive(Debug)]
pub struct UdpPorts(pub Vec<UdpPort>);

impl UdpPorts {
    /// The addresses clients are told, in the engine's order.
    pub fn advertised(&self) -> Vec<SocketAddr> {
        self.0.iter().map(|port| port.advertised).collect()
    }
}
