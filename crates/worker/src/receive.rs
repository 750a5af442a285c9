//! Into the engine: many datagrams with one system call, into one slab that is used again and again.

use std::io::{self, ErrorKind, IoSliceMut};
use std::net::SocketAddr;

use arrayvec::ArrayVec;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSockRef};
use sluicegate_engine::sink::DATAGRAM_MAX;

use crate::udp::{UdpPort, UdpPorts};

/// A buffer that the kernel may fill with several datagrams of one source.
const MERGED_MAX: usize = 1 << 16;

pub struct Receiver {
    slab: Box<[u8]>,
    buffer: usize,
    meta: [RecvMeta; BATCH_SIZE],
}

impl Receiver {
    pub fn new(udp: &UdpPorts) -> Self {
        let merged = udp.0.iter().any(|port| port.offload.receive);
        // a longer datagram is cut by the kernel and then fails to authenticate
        let buffer = if merged { MERGED_MAX } else { DATAGRAM_MAX };
        Self { slab: vec![0; buffer * BATCH_SIZE].into_boxed_slice(), buffer, meta: [RecvMeta::default(); BATCH_SIZE] }
    }

    /// Hands one batch to `take`. False: the socket is empty, and its next datagram will be told by the poll.
    pub fn receive(&mut self, port: &UdpPort, mut take: impl FnMut(SocketAddr, &mut [u8])) -> bool {
        let count = match self.fill(port) {
            Ok(count) => count,
            // ICMP unreachable of an earlier send surfaces here; the socket itself is fine
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        };
        for (meta, buffer) in self.meta[..count].iter().zip(self.slab.chunks_mut(self.buffer)) {
            let length = meta.len.min(buffer.len());
            for datagram in buffer[..length].chunks_mut(meta.stride.max(1)) {
                take(meta.addr, datagram);
            }
        }
        count == BATCH_SIZE
    }

    fn fill(&mut self, port: &UdpPort) -> io::Result<usize> {
        let mut buffers: ArrayVec<IoSliceMut<'_>, BATCH_SIZE> = self.slab.chunks_mut(self.buffer).map(IoSliceMut::new).collect();
        port.state.recv(UdpSockRef::from(&port.socket), &mut buffers, &mut self.meta)
    }
}
