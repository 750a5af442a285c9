//! What nobody wants costs nothing.

use std::time::Duration;

use sluicegate_sim::forwarding::Forwarding;

#[test]
fn a_track_that_all_switched_off_goes_nowhere() {
    let mut forwarding = Forwarding::new(30).expect("the clients connect");
    let packets = forwarding.seal(100);
    let (before, _) = forwarding.forward(packets, Duration::ZERO);
    assert!(before >= 100 * 30, "{before} datagrams");
    forwarding.disable_all();
    let packets = forwarding.seal(200);
    let (after, _) = forwarding.forward(packets, Duration::ZERO);
    // reports that were due, and nothing else
    assert!(after <= 31, "{after} datagrams");
}
