//! What a flush hands to the sockets, and in which order.

use sluicegate_sim::forwarding::Forwarding;

#[test]
fn packets_of_one_destination_leave_side_by_side_and_in_order() {
    let mut forwarding = Forwarding::new(5).expect("the clients connect");
    let packets = forwarding.seal(8);
    let left = forwarding.forward_at_once(packets);
    assert_eq!(left.len(), 5 * 8);
    let mut seen = Vec::new();
    for run in left.chunk_by(|a, b| a.0 == b.0) {
        assert!(!seen.contains(&run[0].0), "a destination came twice");
        seen.push(run[0].0);
        assert_eq!(run.len(), 8);
        assert!(run.windows(2).all(|pair| pair[1].1 == pair[0].1.wrapping_add(1)), "{run:?}");
    }
}
