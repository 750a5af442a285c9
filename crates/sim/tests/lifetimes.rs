//! What joins and leaves again leaves nothing behind; and one seed is one run.

use std::time::Duration;

use sluicegate_engine::Engine;
use sluicegate_load::PublishSpec;
use sluicegate_rtp::codec::Codec;
use sluicegate_sim::{Network, World};

const LAN: Network = Network::sound(Duration::from_millis(1));

fn publish() -> Vec<PublishSpec> {
    vec![PublishSpec::new("mic", Codec::Opus), PublishSpec::new("cam", Codec::Vp8)]
}

fn live(world: &World) -> [u64; 6] {
    let of = |engine: &Engine| {
        let meters = engine.meters();
        [
            meters.live_sessions,
            meters.live_transports,
            meters.live_publications,
            meters.live_subscriptions,
            meters.live_addresses,
            meters.live_timers,
        ]
    };
    world.engines.iter().map(of).fold([0; 6], |sum, one| std::array::from_fn(|at| sum[at] + one[at]))
}

#[test]
fn after_two_hundred_joins_and_leaves_every_count_is_back() {
    let mut world = World::new(11, LAN);
    let stays = world.join("stays", publish());
    assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes[stays].client.is_connected()));
    world.run_for(Duration::from_secs(2));
    let base = live(&world);
    assert_eq!(base, [1, 2, 2, 0, 2, 1]);
    for round in 0..200 {
        let index = world.join(&format!("guest{round}"), publish());
        assert!(world.run_while(Duration::from_secs(20), |w| !w.nodes[index].client.is_connected()), "guest {round}");
        // some stay for their subscriptions, some leave in the middle of it all
        world.run_for(Duration::from_millis(if round % 3 == 0 { 0 } else { 400 }));
        world.leave(index);
    }
    world.run_for(Duration::from_secs(1));
    assert_eq!(live(&world), base);
    world.leave(stays);
    world.run_for(Duration::from_secs(60));
    assert_eq!(live(&world), [0; 6]);
    assert!(world.closed, "a room that everybody left ends");
}

#[test]
fn one_seed_is_one_run() {
    let run = |seed| {
        let network = Network { loss: 0.05, delay: Duration::from_millis(20), jitter: Duration::ZERO, spares_handshakes: true };
        let mut world = World::new(seed, network);
        for index in 0..4 {
            world.join(&format!("p{index}"), publish());
            world.run_for(Duration::from_millis(700));
        }
        for packet in 0..250u32 {
            for node in 0..4 {
                world.send_media(node, 0, packet * 960, false, &[0xF8; 100]);
            }
            world.run_for(Duration::from_millis(20));
        }
        world.leave(1);
        world.run_for(Duration::from_secs(2));
        world.decisions
    };
    let first = run(7);
    assert!(first.len() > 30, "{first:?}");
    for _ in 0..3 {
        assert_eq!(first, run(7));
    }
}
