//! Whether the kernel splits one message into datagrams (UDP_SEGMENT, "GSO"): asked by doing it once, to ourselves, because a
//! sandbox may take the option and then not do it.

use std::io::IoSlice;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};

const SEGMENT: u16 = 32;
/// Loopback answers at once.
const PATIENCE: Duration = Duration::from_millis(200);

pub(crate) fn can_split() -> bool {
    try_once().unwrap_or(false)
}

fn try_once() -> std::io::Result<bool> {
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let (sender, receiver) = (UdpSocket::bind(loopback)?, UdpSocket::bind(loopback)?);
    receiver.set_read_timeout(Some(PATIENCE))?;
    // the last one may be shorter
    let sent = [0xA5u8; 2 * SEGMENT as usize - 1];
    let to = SockaddrStorage::from(receiver.local_addr()?);
    let split = [ControlMessage::UdpGsoSegments(&SEGMENT)];
    sendmsg(sender.as_raw_fd(), &[IoSlice::new(&sent)], &split, MsgFlags::empty(), Some(&to))?;
    let mut received = [0u8; 128];
    let lengths = (receiver.recv(&mut received)?, receiver.recv(&mut received)?);
    Ok(lengths == (usize::from(SEGMENT), usize::from(SEGMENT) - 1))
}
