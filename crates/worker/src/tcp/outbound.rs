//! What waits to be written into a TCP stream: bounded, whole frames only.

use std::io::{self, ErrorKind, Write};

use sluicegate_engine::sink::DATAGRAM_MAX;

use super::frame::PREFIX;

/// Bytes that wait; about a second of a video. More would only be late.
const BYTES_MAX: usize = 256 << 10;

#[derive(Debug)]
pub(crate) struct Outbound {
    bytes: Box<[u8]>,
    /// What waits lies in `begin..end`.
    begin: usize,
    end: usize,
}

impl Outbound {
    pub fn new() -> Self {
        Self { bytes: vec![0; BYTES_MAX].into_boxed_slice(), begin: 0, end: 0 }
    }

    pub fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    /// Room for one packet; none while the peer takes too little.
    pub fn room(&mut self) -> Option<&mut [u8]> {
        const FRAME_MAX: usize = PREFIX + DATAGRAM_MAX;
        // moved rarely: when the end is reached, and then at least half of the buffer is free again
        if self.bytes.len() - self.end < FRAME_MAX && self.begin >= BYTES_MAX / 2 {
            self.bytes.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        if self.bytes.len() - self.end < FRAME_MAX {
            return None;
        }
        self.bytes.get_mut(self.end + PREFIX..)
    }

    /// The first `length` bytes of the room are a packet.
    pub fn push(&mut self, length: usize) {
        let Ok(prefix) = u16::try_from(length) else { return };
        if let Some(room) = self.bytes.get_mut(self.end..self.end + PREFIX) {
            room.copy_from_slice(&prefix.to_be_bytes());
            self.end += PREFIX + length;
        }
    }

    /// Writes what `stream` takes. False: it takes no more for now.
    pub fn write(&mut self, mut stream: impl Write) -> io::Result<bool> {
        while !self.is_empty() {
            match stream.write(&self.bytes[self.begin..self.end]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.begin += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        (self.begin, self.end) = (0, 0);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp::frame::{self, Next};

    /// Takes so many bytes and then blocks.
    struct Slow {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.taken.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_peer_loses_whole_packets_and_nothing_else() {
        let mut outbound = Outbound::new();
        let mut peer = Slow { taken: Vec::new(), room: 0 };
        let (mut pushed, mut refused) = (Vec::new(), 0);
        for round in 0..4000u32 {
            let length = 20 + (round as usize * 37) % 1300;
            match outbound.room() {
                Some(room) => {
                    room[..length].fill(round as u8);
                    outbound.push(length);
                    pushed.push((length, round as u8));
                }
                None => refused += 1,
            }
            peer.room = 431;
            assert!(!outbound.write(&mut peer).unwrap() || outbound.is_empty());
        }
        assert!(refused > 100 && pushed.len() > 1000, "{refused} refused, {} sent", pushed.len());
        peer.room = usize::MAX;
        assert!(outbound.write(&mut peer).unwrap() && outbound.is_empty());
        let mut rest = peer.taken.as_slice();
        for (length, fill) in pushed {
            assert_eq!(frame::next(rest, 2000), Next::Whole(length));
            assert!(rest[PREFIX..PREFIX + length].iter().all(|byte| *byte == fill));
            rest = &rest[PREFIX + length..];
        }
        assert!(rest.is_empty());
    }
}
