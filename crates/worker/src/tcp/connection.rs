//! One TCP connection: its buffers, and how far it is known.

use std::io::{self, ErrorKind, Read as _};
use std::time::Instant;

use mio::net::TcpStream;
use sluicegate_engine::demux::Path;
use sluicegate_engine::sink::DATAGRAM_MAX;

use super::frame::{self, Next, PREFIX};
use super::outbound::Outbound;

/// A binding request has about 120 bytes.
const FIRST_PACKET_MAX: usize = 1024;
/// Bytes read at once.
const INBOUND: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Connection {
    pub path: Path,
    pub stream: TcpStream,
    /// When it must have shown whose it is.
    pub deadline: Instant,
    inbound: Vec<u8>,
    filled: usize,
    /// None: a stranger is told nothing.
    pub outbound: Option<Outbound>,
    pub readable: bool,
    /// The peer ended it: it is read to the end.
    pub ending: bool,
    pub writable: bool,
}

/// What a turn of reading led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The stream may hold more.
    More,
    /// The poll will tell when there is more.
    Drained,
    /// Over: by the peer, or by what it sent.
    Closed,
    /// A stranger's first packet is there whole, and says which worker it is for.
    First(u16),
}

impl Connection {
    pub fn new(path: Path, stream: TcpStream, deadline: Instant, read: &[u8]) -> Self {
        let mut inbound = read.to_vec();
        inbound.resize(read.len().max(PREFIX + FIRST_PACKET_MAX), 0);
        Self { path, stream, deadline, inbound, filled: read.len(), outbound: None, readable: true, ending: false, writable: true }
    }

    pub fn is_known(&self) -> bool {
        self.outbound.is_some()
    }

    pub fn become_known(&mut self) {
        self.inbound.resize(INBOUND.max(self.inbound.len()), 0);
        self.outbound = Some(Outbound::new());
    }

    /// Reads once and hands each whole packet to `take`.
    pub fn read(&mut self, mut take: impl FnMut(&mut [u8])) -> Progress {
        let progress = self.fill();
        let mut at = 0;
        loop {
            match frame::next(&self.inbound[at..self.filled], DATAGRAM_MAX) {
                Next::Whole(length) => {
                    at += PREFIX;
                    take(&mut self.inbound[at..at + length]);
                    at += length;
                }
                Next::Part => break,
                Next::TooLong => return Progress::Closed,
            }
        }
        self.forget(at);
        progress
    }

    /// A stranger's turn: reads until its first packet is there.
    pub fn read_first(&mut self) -> Progress {
        let mut progress = Progress::More;
        if frame::next(&self.inbound[..self.filled], FIRST_PACKET_MAX) == Next::Part {
            progress = self.fill();
        }
        match frame::next(&self.inbound[..self.filled], FIRST_PACKET_MAX) {
            Next::Whole(length) => super::owner(&self.inbound[PREFIX..PREFIX + length]).map_or(Progress::Closed, Progress::First),
            Next::Part => progress,
            Next::TooLong => Progress::Closed,
        }
    }

    /// Hands the first packet, which is there whole, to `take`.
    pub fn take_one(&mut self, take: impl FnOnce(&mut [u8])) {
        if let Next::Whole(length) = frame::next(&self.inbound[..self.filled], FIRST_PACKET_MAX) {
            take(&mut self.inbound[PREFIX..PREFIX + length]);
            self.forget(PREFIX + length);
        }
    }

    /// False: some of it waits until the peer takes more.
    pub fn write(&mut self) -> io::Result<bool> {
        let Some(outbound) = &mut self.outbound else { return Ok(true) };
        if !self.writable {
            return Ok(false);
        }
        let all = outbound.write(&self.stream)?;
        self.writable = all;
        Ok(all)
    }

    /// For another worker: the path, the stream, what was read of it.
    pub fn into_read(mut self) -> (Path, TcpStream, Vec<u8>) {
        self.inbound.truncate(self.filled);
        (self.path, self.stream, self.inbound)
    }

    fn fill(&mut self) -> Progress {
        let room = &mut self.inbound[self.filled..];
        if room.is_empty() {
            return Progress::More;
        }
        let wanted = room.len();
        match (&self.stream).read(room) {
            Ok(0) => Progress::Closed,
            Ok(count) => {
                self.filled += count;
                // less than wanted: it is empty (epoll(7)), unless its end lies behind
                self.readable = count == wanted || self.ending;
                if self.readable { Progress::More } else { Progress::Drained }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Progress::Drained
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Progress::More,
            Err(_) => Progress::Closed,
        }
    }

    fn forget(&mut self, count: usize) {
        self.inbound.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}
