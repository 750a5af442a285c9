//! A client whose address changes in the middle of a call goes on.

use std::time::Duration;

use sluicegate_load::PublishSpec;
use sluicegate_rtp::codec::Codec;
use sluicegate_sim::{Network, Source, World};

/// Clients check their nominated pair this often at the least, and until then nobody knows of the new address.
const CHECKED: Duration = Duration::from_secs(5);

#[test]
fn the_next_check_moves_media_to_the_new_address() {
    let mut world = World::new(3, Network::sound(Duration::from_millis(20)));
    let publisher = world.join("publisher", vec![PublishSpec::new("mic", Codec::Opus), PublishSpec::new("cam", Codec::Vp8)]);
    let subscriber = world.join("subscriber", Vec::new());
    assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes.iter().all(|node| node.client.is_connected())));
    let mut source = Source::new(world.now);
    source.send(&mut world, publisher, Duration::from_secs(3));
    let (decided, at) = (world.decisions.len(), world.now);
    for moved in [subscriber, publisher] {
        world.rebind(moved);
        source.send(&mut world, publisher, Duration::from_secs(20));
    }
    let arrivals: Vec<_> = world.nodes[subscriber].arrivals.iter().map(|(when, _)| *when).filter(|when| *when >= at).collect();
    let gaps = arrivals.windows(2).map(|pair| pair[1] - pair[0]).filter(|gap| *gap > Duration::from_millis(300));
    let gaps: Vec<Duration> = gaps.collect();
    assert!(gaps.len() <= 2 && gaps.iter().all(|gap| *gap <= CHECKED), "{gaps:?}");
    assert!(world.now - *arrivals.last().unwrap() < Duration::from_millis(300));
    let states = world.decisions[decided..].iter().filter(|decision| *decision == "TransportState").count();
    assert_eq!(states, 0, "a transport was given up");
}
