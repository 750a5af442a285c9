//! CPU time of receive → forward → seal per forwarded packet of 1200 bytes, AES-256-GCM, without sockets.
//!
//! `cargo bench -p sluicegate-sim --bench packet_path`; with `--instructions N PACKETS` it forwards so many packets to N
//! subscribers and nothing else, for callgrind: the difference of two counts is the cost (scripts/instructions.sh).

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sluicegate_sim::forwarding::Forwarding;

const STEP: Duration = Duration::from_millis(1);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|argument| argument == "--instructions") {
        let number = |offset: usize| arguments.get(at + offset).and_then(|text| text.parse().ok()).unwrap_or(0);
        return count_instructions(number(1), number(2));
    }
    println!("subscribers  ns/forwarded packet (best and median of 9 runs)");
    for subscribers in [1, 10, 100, 500] {
        let mut forwarding = Forwarding::new(subscribers).expect("the clients connect");
        let packets_per_run = (200_000 / subscribers).clamp(300, 20_000);
        let mut runs: Vec<f64> = (0..9).map(|_| run(&mut forwarding, packets_per_run)).collect();
        runs.sort_by(f64::total_cmp);
        println!("{subscribers:>11}  {:>6.0} {:>6.0}", runs[0], runs[4]);
    }
    println!("across workers: ns/crossed packet, what it costs beyond forwarding at home (one subscriber, best of 9 runs each)");
    let best = |workers| {
        let mut forwarding = Forwarding::with_workers(1, workers).expect("the clients connect");
        (0..9).map(|_| run(&mut forwarding, 20_000)).fold(f64::INFINITY, f64::min)
    };
    let (home, across) = (best(1), best(2));
    println!("{:>11}  {:>6.0} = {across:.0} - {home:.0}", "", across - home);
    println!("subscriptions switched off  ns/received packet");
    for subscribers in [1, 1000] {
        println!("{subscribers:>26}  {:>6.0}", run_muted(subscribers));
    }
}

/// CPU time for one packet that nobody wants, however many subscriptions are switched off.
fn run_muted(subscribers: usize) -> f64 {
    let mut forwarding = Forwarding::new(subscribers).expect("the clients connect");
    forwarding.disable_all();
    let mut best = f64::INFINITY;
    for _ in 0..9 {
        let sealed = forwarding.seal(20_000);
        let count = sealed.len() as f64;
        let before = cpu();
        let (left, _) = forwarding.forward(sealed, Duration::ZERO);
        assert!(left < 20, "{left} packets left");
        best = best.min((cpu() - before).as_nanos() as f64 / count);
    }
    best
}

fn run(forwarding: &mut Forwarding, packets: usize) -> f64 {
    let sealed = forwarding.seal(packets);
    let wanted = sealed.len() as u64 * forwarding.subscribers as u64;
    let before = cpu();
    let (left, _) = forwarding.forward(sealed, STEP);
    let spent = cpu() - before;
    assert!(left >= wanted, "{left} of {wanted} packets left");
    spent.as_nanos() as f64 / wanted as f64
}

fn count_instructions(subscribers: usize, packets: usize) {
    let mut forwarding = Forwarding::new(subscribers).expect("the clients connect");
    let sealed = forwarding.seal(4000);
    let (left, _) = forwarding.forward(sealed.into_iter().take(packets).collect(), STEP);
    println!("{left}");
}

/// This thread's CPU time.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
