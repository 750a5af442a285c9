//! What leaves a socket with one system call: datagrams side by side in one buffer, runs of them as one message that the kernel
//! splits. Pure: no socket here.

use std::net::SocketAddr;

use arrayvec::ArrayVec;
use nix::sys::socket::SockaddrStorage;
use sluicegate_engine::sink::DATAGRAM_MAX;

/// Messages of one sendmmsg.
pub(crate) const MESSAGES_MAX: usize = 64;
/// Datagrams of one message. The kernel takes 64; what more than this saves is little, and a link's buffers take a burst better
/// when others have their turn.
const SEGMENTS_MAX: u16 = 32;
/// Bytes of one message: what UDP's length field can say, less the headers.
const MESSAGE_BYTES_MAX: usize = 65_000;
/// A longer datagram goes alone: the kernel takes no segment that does not fit the way's MTU, however short the others are.
const SEGMENT_BYTES_MAX: usize = 1400;
/// Bytes of all datagrams of one batch: they stay in the processor's cache.
const BATCH_BYTES: usize = 256 << 10;

/// One message: a datagram, or a run of them to one destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub begin: u32,
    pub length: u32,
    /// Bytes of each datagram; the last one may be shorter.
    pub segment: u16,
    pub datagrams: u16,
}

#[derive(Debug)]
pub(crate) struct Batch {
    bytes: Box<[u8]>,
    end: usize,
    messages: ArrayVec<Message, MESSAGES_MAX>,
    /// Of each message, as the system call takes them.
    addresses: ArrayVec<Option<SockaddrStorage>, MESSAGES_MAX>,
    last: Option<SocketAddr>,
}

impl Batch {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BATCH_BYTES].into_boxed_slice(),
            end: 0,
            messages: ArrayVec::new(),
            addresses: ArrayVec::new(),
            last: None,
        }
    }

    /// It must be sent before more goes in.
    pub fn is_full(&self) -> bool {
        self.messages.is_full() || self.bytes.len() - self.end < DATAGRAM_MAX
    }

    pub fn room(&mut self) -> &mut [u8] {
        &mut self.bytes[self.end..]
    }

    /// The first `length` bytes of the room go to `remote`; with `join` as a part of the run before it where that is possible.
    pub fn push(&mut self, remote: SocketAddr, length: usize, join: bool) {
        let begin = self.end;
        self.end += length;
        let same = self.last == Some(remote);
        if let Some(run) = self.messages.last_mut().filter(|run| join && same && run.takes(length)) {
            run.length += length as u32;
            run.datagrams += 1;
            return;
        }
        let segment = u16::try_from(length).unwrap_or(u16::MAX);
        if self.messages.try_push(Message { begin: begin as u32, length: length as u32, segment, datagrams: 1 }).is_ok() {
            let address = if same { self.addresses.last().copied().flatten() } else { None };
            self.addresses.push(address.or_else(|| Some(remote.into())));
            self.last = Some(remote);
        }
    }

    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    pub fn addresses(&self) -> &[Option<SockaddrStorage>] {
        &self.addresses
    }

    pub fn bytes(&self, message: &Message) -> &[u8] {
        &self.bytes[message.begin as usize..(message.begin + message.length) as usize]
    }

    pub fn clear(&mut self) {
        self.end = 0;
        self.messages.clear();
        self.addresses.clear();
        self.last = None;
    }
}

impl Message {
    /// Equal size, or shorter and the last: so a run that holds a shorter one is over.
    fn takes(&self, length: usize) -> bool {
        let segment = usize::from(self.segment);
        self.datagrams < SEGMENTS_MAX
            && length > 0
            && length <= segment
            && segment <= SEGMENT_BYTES_MAX
            && self.length as usize == segment * usize::from(self.datagrams)
            && self.length as usize + length <= MESSAGE_BYTES_MAX
    }
}

/// How many of `messages` one system call can take, and the size it splits by. One size serves a whole call, and a datagram alone
/// that is no longer than it passes unsplit.
pub(crate) fn one_call(messages: &[Message]) -> (usize, Option<u16>) {
    let (mut size, mut alone) = (None, 0);
    for (index, message) in messages.iter().enumerate() {
        let fits = match (message.datagrams, size) {
            (1, Some(size)) => message.length <= u32::from(size),
            (1, None) => true,
            (_, Some(size)) => message.segment == size,
            (_, None) => u32::from(message.segment) >= alone,
        };
        if !fits {
            return (index, size);
        }
        if message.datagrams > 1 {
            size = Some(message.segment);
        } else {
            alone = alone.max(message.length);
        }
    }
    (messages.len(), size)
}

#[cfg(test)]
mod tests;
