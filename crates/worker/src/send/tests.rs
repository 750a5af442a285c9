use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rustix::net::sockopt::Ipv4PathMtuDiscovery;

use super::*;
use crate::receive::Receiver;
use crate::udp::{Offload, Port, UdpPort};

const BOTH: Offload = Offload { send: true, receive: true };

fn port(offload: Offload) -> UdpPort {
    UdpPort::bind(&Port::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))), offload).unwrap()
}

fn push(sender: &mut Sender, to: SocketAddr, length: usize, fill: u8) {
    sender.room(0).unwrap()[..length].fill(fill);
    sender.push(0, to, length);
}

/// Everything that has arrived, once it is `count` datagrams: length and first byte.
fn arrived(ports: &UdpPorts, count: usize) -> Vec<(usize, u8)> {
    let mut receiver = Receiver::new(ports);
    let mut datagrams = Vec::new();
    let end = Instant::now() + Duration::from_secs(5);
    while datagrams.len() < count && Instant::now() < end {
        receiver.receive(&ports.0[0], |_, datagram| {
            assert!(datagram.iter().all(|byte| *byte == datagram[0]), "bytes of another datagram");
            datagrams.push((datagram.len(), datagram[0]));
        });
    }
    datagrams
}

fn round_trip(send: Offload, receive: Offload) {
    let from = UdpPorts(vec![port(send)]);
    let (a, b) = (UdpPorts(vec![port(receive)]), UdpPorts(vec![port(receive)]));
    let (to_a, to_b) = (a.0[0].local.address, b.0[0].local.address);
    let mut sender = Sender::new(&from);
    let mut sent = Vec::new();
    // more than a batch holds: runs, a shorter end, one alone, another size
    for frame in 0..60u8 {
        for (length, fill) in [(1200, frame), (1200, frame), (1200, frame), (333, frame), (80, frame)] {
            push(&mut sender, to_a, length, fill);
            sent.push((length, fill));
        }
        push(&mut sender, to_b, 100, frame);
        push(&mut sender, to_b, 100, frame);
    }
    sender.finish();
    assert_eq!(sender.unsent, 0);
    assert_eq!(arrived(&a, sent.len()), sent, "in order, each with its own length");
    assert_eq!(arrived(&b, 120).len(), 120);
}

#[test]
fn what_is_sent_arrives_with_and_without_the_kernels_help() {
    for send in [BOTH, Offload::OFF] {
        for receive in [BOTH, Offload::OFF] {
            round_trip(send, receive);
        }
    }
}

#[test]
fn the_probe_tells_what_works() {
    // every kernel since 4.18; where a sandbox lacks it, that is the answer, and the other tests hold without it
    let offload = Offload::probe();
    assert!(offload.receive);
    round_trip(offload, offload);
}

#[test]
fn a_lane_that_cannot_split_any_more_sends_singly() {
    let (from, a) = (UdpPorts(vec![port(BOTH)]), UdpPorts(vec![port(BOTH)]));
    let mut sender = Sender::new(&from);
    for fill in 0..4 {
        push(&mut sender, a.0[0].local.address, 500, fill);
    }
    assert_eq!(sender.lanes[0].batch.messages().len(), 1);
    assert!(matches!(after(Errno::EIO, &mut sender.lanes[0], Some(500)), After::Next));
    assert!(!sender.lanes[0].splits);
    sender.finish();
    assert_eq!(sender.unsent, 0);
    assert_eq!(arrived(&a, 4), [(500, 0), (500, 1), (500, 2), (500, 3)]);
}

#[test]
fn a_message_that_cannot_leave_keeps_nobody_else_back() {
    let (from, a) = (UdpPorts(vec![port(BOTH)]), UdpPorts(vec![port(BOTH)]));
    let mut sender = Sender::new(&from);
    // another family, and a port that is none
    for nowhere in [SocketAddr::from((Ipv6Addr::LOCALHOST, 9)), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))] {
        push(&mut sender, a.0[0].local.address, 200, 1);
        push(&mut sender, nowhere, 200, 2);
        push(&mut sender, nowhere, 200, 2);
        push(&mut sender, a.0[0].local.address, 200, 3);
    }
    sender.finish();
    assert_eq!(sender.unsent, 4);
    assert_eq!(arrived(&a, 4), [(200, 1), (200, 3), (200, 1), (200, 3)]);
}

#[test]
fn a_full_socket_is_not_waited_for() {
    let from = UdpPorts(vec![port(BOTH)]);
    let mut sender = Sender::new(&from);
    let lane = &mut sender.lanes[0];
    assert!(matches!(after(Errno::EAGAIN, lane, None), After::Rest));
    assert!(matches!(after(Errno::EINTR, lane, None), After::Again));
    // a way whose MTU is small says nothing of the device
    assert!(matches!(after(Errno::EINVAL, lane, Some(1200)), After::Next));
    assert!(matches!(after(Errno::EMSGSIZE, lane, Some(1200)), After::Next));
    assert!(lane.splits);
}

#[test]
fn a_long_packet_may_be_cut_into_fragments() {
    let port = port(BOTH);
    assert_eq!(rustix::net::sockopt::ip_mtu_discover(&port.socket).unwrap(), Ipv4PathMtuDiscovery::WANT);
}

#[test]
fn buffers_are_what_was_asked_for_or_told() {
    let (receive, send) = UdpPorts(vec![port(Offload::OFF)]).buffers();
    assert!(receive > 0 && receive <= crate::SOCKET_BUFFER_BYTES, "{receive}");
    assert!(send > 0 && send <= crate::SOCKET_BUFFER_BYTES, "{send}");
}
