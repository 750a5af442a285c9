//! Media survives a bad network: what the publisher sent arrives in time, at a bounded price.

use std::time::Duration;

use sluicegate_sim::{Measured, Network, Plan};

fn run(loss: f32, seed: u64) -> Measured {
    let network = Network { loss, delay: Duration::from_millis(40), jitter: Duration::ZERO, spares_handshakes: false };
    let plan = Plan { seed, network, subscribers: 2, workers: 1, duration: Duration::from_secs(60) };
    plan.run().expect("all clients connect")
}

#[test]
fn five_percent_of_loss_are_repaired() {
    for seed in 1..=3 {
        let measured = run(0.05, seed);
        println!("5 %: {measured:?} audio lost {:.5} video lost {:.5}", measured.audio.lost(), measured.video.lost());
        assert!(measured.audio.sent > 5000 && measured.video.sent > 10_000, "{measured:?}");
        assert!(measured.audio.lost() < 0.001, "{measured:?}");
        assert!(measured.video.lost() < 0.001, "{measured:?}");
        assert!(measured.overhead_up <= 0.25 && measured.overhead_down <= 0.25, "{measured:?}");
    }
}

#[test]
fn two_percent_cost_at_most_a_tenth() {
    let measured = run(0.02, 4);
    println!("2 %: {measured:?}");
    assert!(measured.audio.lost() < 0.001 && measured.video.lost() < 0.001, "{measured:?}");
    assert!(measured.overhead_up <= 0.10 && measured.overhead_down <= 0.10, "{measured:?}");
}

#[test]
fn without_loss_nothing_is_sent_twice() {
    let measured = run(0.0, 5);
    println!("0 %: {measured:?}");
    assert_eq!((measured.audio.in_time, measured.video.in_time), (measured.audio.sent, measured.video.sent), "{measured:?}");
    assert!(measured.overhead_up <= 0.01 && measured.overhead_down <= 0.01, "{measured:?}");
    assert_eq!((measured.audio.duplicates, measured.video.duplicates), (0, 0));
}
