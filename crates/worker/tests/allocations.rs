//! Sockets take and send without allocating.

use std::alloc::System;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use sluicegate_worker::receive::Receiver;
use sluicegate_worker::send::Sender;
use sluicegate_worker::{Offload, Port, UdpPort, UdpPorts};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn ports() -> UdpPorts {
    let port = Port::plain(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    UdpPorts(vec![UdpPort::bind(&port, Offload::probe()).expect("loopback takes a socket")])
}

#[test]
fn no_allocation_per_datagram() {
    let (from, to) = (ports(), ports());
    let destination = to.0[0].local.address;
    let (mut sender, mut receiver) = (Sender::new(&from), Receiver::new(&to));
    let region = Region::new(ALLOCATOR);
    let (mut sent, mut received) = (0, 0);
    for _ in 0..20 {
        for length in [1200, 1200, 1200, 600, 90] {
            sender.room(0).expect("there is a socket")[..length].fill(1);
            sender.push(0, destination, length);
            sent += 1;
        }
        sender.finish();
        let end = Instant::now() + Duration::from_secs(5);
        while received < sent && Instant::now() < end {
            receiver.receive(&to.0[0], |_, _| received += 1);
        }
    }
    let change = region.change();
    assert_eq!((received, sender.unsent), (100, 0));
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
}
