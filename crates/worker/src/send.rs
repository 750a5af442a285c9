//! Out of the sockets: the engine's sink. Datagrams gather in a batch per socket and leave by sendmmsg, runs to one destination split
//! by the kernel.

use std::io::IoSlice;
use std::os::fd::{AsRawFd as _, RawFd};

use arrayvec::ArrayVec;
use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg, sendto};

use crate::batch::{self, Batch, MESSAGES_MAX, Message};
use crate::udp::UdpPorts;

/// Lives on the media thread.
pub struct Sender {
    /// One per socket.
    lanes: Vec<Lane>,
    /// Headers of the system call, without and with room for the size to split by.
    plain: MultiHeaders<SockaddrStorage>,
    splitting: MultiHeaders<SockaddrStorage>,
    /// Datagrams that did not leave.
    pub unsent: u64,
}

struct Lane {
    fd: RawFd,
    batch: Batch,
    /// The kernel splits; false for good once a device could not.
    splits: bool,
}

/// What to do after a failed call.
enum After {
    Again,
    /// This message did not leave, the others may.
    Next,
    /// The socket is full: the rest would only wait.
    Rest,
}

impl Sender {
    pub fn new(udp: &UdpPorts) -> Self {
        let lane = |port: &crate::UdpPort| Lane { fd: port.socket.as_raw_fd(), batch: Batch::new(), splits: port.offload.send };
        Self {
            lanes: udp.0.iter().map(lane).collect(),
            plain: MultiHeaders::preallocate(MESSAGES_MAX, None),
            splitting: MultiHeaders::preallocate(MESSAGES_MAX, Some(cmsg_space!(u16))),
            unsent: 0,
        }
    }

    pub fn room(&mut self, lane: u16) -> Option<&mut [u8]> {
        if self.lanes.get(usize::from(lane))?.batch.is_full() {
            self.send_lane(usize::from(lane));
        }
        Some(self.lanes.get_mut(usize::from(lane))?.batch.room())
    }

    pub fn push(&mut self, lane: u16, remote: std::net::SocketAddr, length: usize) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane)) {
            lane.batch.push(remote, length, lane.splits);
        }
    }

    /// Sends all that was gathered.
    pub fn finish(&mut self) {
        for lane in 0..self.lanes.len() {
            self.send_lane(lane);
        }
    }

    fn send_lane(&mut self, index: usize) {
        let lane = &mut self.lanes[index];
        let mut at = 0;
        while let Some(message) = lane.batch.messages().get(at).copied() {
            if message.datagrams > 1 && !lane.splits {
                self.unsent += send_singly(lane, at, &message);
                at += 1;
                continue;
            }
            let (count, size) = batch::one_call(&lane.batch.messages()[at..]);
            let headers = if size.is_some() { &mut self.splitting } else { &mut self.plain };
            match call(lane, at, count, size, headers) {
                Ok(sent) => at += sent.max(1),
                Err(error) => match after(error, lane, size) {
                    After::Again => {}
                    After::Next if size.is_some() => {
                        self.unsent += send_singly(lane, at, &message);
                        at += 1;
                    }
                    After::Next => {
                        self.unsent += u64::from(message.datagrams);
                        at += 1;
                    }
                    After::Rest => {
                        self.unsent += lane.batch.messages()[at..].iter().map(|message| u64::from(message.datagrams)).sum::<u64>();
                        break;
                    }
                },
            }
        }
        lane.batch.clear();
    }
}

fn after(error: Errno, lane: &mut Lane, size: Option<u16>) -> After {
    match error {
        Errno::EINTR => After::Again,
        Errno::EAGAIN | Errno::ENOBUFS => After::Rest,
        // the device cannot make the checksums of the parts: it never will
        Errno::EIO if size.is_some() => {
            lane.splits = false;
            After::Next
        }
        _ => After::Next,
    }
}

/// Messages `at..at + count` in one call; how many of them left.
fn call(
    lane: &Lane,
    at: usize,
    count: usize,
    size: Option<u16>,
    headers: &mut MultiHeaders<SockaddrStorage>,
) -> Result<usize, Errno> {
    let messages = &lane.batch.messages()[at..at + count];
    let slices: ArrayVec<[IoSlice<'_>; 1], MESSAGES_MAX> =
        messages.iter().map(|message| [IoSlice::new(lane.batch.bytes(message))]).collect();
    let addresses = &lane.batch.addresses()[at..at + count];
    let split = size.as_ref().map(ControlMessage::UdpGsoSegments);
    let sent = sendmmsg(lane.fd, headers, slices.iter(), addresses, split.as_slice(), MsgFlags::MSG_DONTWAIT)?;
    Ok(sent.count())
}

/// Datagram by datagram, where the kernel would not split. Returns how many did not leave.
fn send_singly(lane: &Lane, at: usize, message: &Message) -> u64 {
    let Some(Some(address)) = lane.batch.addresses().get(at) else { return u64::from(message.datagrams) };
    let datagrams = lane.batch.bytes(message).chunks(usize::from(message.segment).max(1));
    let sent = datagrams.filter(|datagram| sendto(lane.fd, datagram, address, MsgFlags::MSG_DONTWAIT).is_ok());
    u64::from(message.datagrams) - sent.count() as u64
}

#[cfg(test)]
mod tests;
