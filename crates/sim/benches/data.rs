//! CPU time of a worker's ticks while one reliable message of 15 kB goes to 200 subscribers, without sockets: it must hold that no
//! tick spends more than 5 ms on data. And what a small message costs in a burst.
//!
//! `cargo bench -p sluicegate-sim --bench data`

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use sluicegate_sim::forwarding::Forwarding;

const SUBSCRIBERS: usize = 200;
const MESSAGE_BYTES: usize = 15_000;
/// As the worker takes them from one socket.
const DATAGRAMS_PER_TICK: usize = 256;
const TICK_MAX: Duration = Duration::from_millis(5);

fn main() {
    let mut forwarding = Forwarding::new(SUBSCRIBERS).expect("the clients connect");
    println!("15 kB to {SUBSCRIBERS} subscribers: longest tick, all ticks (CPU ms of 9 runs)");
    let mut longest = Vec::new();
    for run in 0..9 {
        let before = forwarding.messages();
        let ticks = forwarding.data_ticks(vec![vec![run; MESSAGE_BYTES]], 1, DATAGRAMS_PER_TICK, cpu);
        assert_eq!(forwarding.messages() - before, SUBSCRIBERS, "every subscriber has it");
        let (most, sum) = (ticks.iter().copied().max().unwrap_or_default(), ticks.iter().sum::<Duration>());
        println!("{:>8.2} {:>8.2}", most.as_secs_f64() * 1e3, sum.as_secs_f64() * 1e3);
        longest.push(most);
    }
    longest.sort();
    println!("1000 messages of 100 bytes to one: a tick  CPU us a message (best of 5)");
    for per_tick in [1, 10, 100, 1000] {
        println!("{per_tick:>42} {:>8.1}", burst(per_tick).as_secs_f64() * 1e6);
    }
    assert!(longest[4] <= TICK_MAX, "the median of the longest ticks is {:?}", longest[4]);
}

fn burst(per_tick: usize) -> Duration {
    let mut forwarding = Forwarding::new(1).expect("the clients connect");
    let run = |_| forwarding.data_ticks(vec![vec![7; 100]; 1000], per_tick, DATAGRAMS_PER_TICK, cpu).iter().sum::<Duration>();
    (0..5).map(run).min().unwrap_or_default() / 1000
}

/// This thread's CPU time.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}
