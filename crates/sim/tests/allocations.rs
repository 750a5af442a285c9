//! The packet path allocates nothing once it is warm.

use std::alloc::System;
use std::time::Duration;

use sluicegate_sim::forwarding::Forwarding;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn no_allocation_per_packet() {
    let mut forwarding = Forwarding::new(20).expect("the clients connect");
    let packets = forwarding.seal(500);
    // time stands still, so that no timer of ICE or DTLS falls due among the packets
    let region = Region::new(ALLOCATOR);
    let (left, _) = forwarding.forward(packets, Duration::ZERO);
    let change = region.change();
    assert!(left >= 500 * 20, "{left} packets left");
    assert_eq!((change.allocations, change.reallocations), (0, 0), "{change:?}");
}
