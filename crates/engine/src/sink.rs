//! Where the datagrams of a flush go: the engine writes and seals them in the room that the sockets' owner hands out, so that a
//! packet is copied once, from the ring into the buffer of its system call.

use crate::demux::Path;

/// Bytes of room for a datagram: a payload of the ring, a header with extensions and the tag fit.
pub const DATAGRAM_MAX: usize = 2048;

pub trait Sink {
    /// Room for the next datagram on `path`, at least [`DATAGRAM_MAX`] bytes; what it holds is anything. None: nothing can leave on
    /// this path now, and the sink has counted that.
    fn room(&mut self, path: Path) -> Option<&mut [u8]>;

    /// The first `length` bytes of the room that was handed out last are a datagram for `path`.
    fn send(&mut self, path: Path, length: usize);
}

/// A sink that hands each datagram to a function: for tests and simulated networks.
#[derive(Debug)]
pub struct EachDatagram<F> {
    room: [u8; DATAGRAM_MAX],
    take: F,
}

impl<F: FnMut(Path, &[u8])> EachDatagram<F> {
    pub fn new(take: F) -> Self {
        Self { room: [0; DATAGRAM_MAX], take }
    }
}

impl<F: FnMut(Path, &[u8])> Sink for EachDatagram<F> {
    fn room(&mut self, _: Path) -> Option<&mut [u8]> {
        Some(self.room.as_mut_slice())
    }

    fn send(&mut self, path: Path, length: usize) {
        (self.take)(path, &self.room[..length]);
    }
}
