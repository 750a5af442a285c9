//! One PeerConnection for both ways (LiveKit's `/rtc/v1`): whoever has it gets what he gets with two.

use std::collections::BTreeMap;
use std::time::Duration;

use sluicegate_load::PublishSpec;
use sluicegate_rtp::codec::Codec;
use sluicegate_sim::{Network, World};

/// Cameras: more than a client has sections for at first, so that it must be asked for further ones.
const CAMERAS: u32 = 5;

/// Packets of each stream that the last one to join got.
fn received(single: bool, workers: usize) -> Vec<usize> {
    let mut world = World::with_workers(4, Network::sound(Duration::from_millis(5)), workers);
    world.single = single;
    for index in 0..CAMERAS {
        world.join(&format!("camera{index}"), vec![PublishSpec::new("cam", Codec::Vp8)]);
    }
    let last = world.join_room(0, "last", Vec::new(), true);
    assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes.iter().all(|node| node.client.is_connected())));
    world.run_for(Duration::from_secs(2));
    for frame in 0..60u32 {
        for camera in 0..CAMERAS as usize {
            // VP8 (RFC 7741): the start of a partition, and a frame that is a key frame where the last bit is 0
            let payload = [0x10, u8::from(frame > 0), 0, 0, 0x9d, 0x01, 0x2a, 64, 1, 180, 0, 7];
            world.send_media(camera, 0, frame * 3000, true, &payload);
        }
        world.run_for(Duration::from_millis(33));
    }
    world.run_for(Duration::from_secs(1));
    let mut counts = BTreeMap::<u32, usize>::new();
    for (_, arrival) in &world.nodes[last].arrivals {
        *counts.entry(arrival.ssrc).or_default() += 1;
    }
    counts.into_values().collect()
}

#[test]
fn everything_arrives_on_one_as_on_two() {
    for workers in [1, 2] {
        let expected = vec![60; CAMERAS as usize];
        assert_eq!((received(false, workers), received(true, workers)), (expected.clone(), expected), "{workers} workers");
    }
}
