//! The media workers as the rooms see them, and which of them a new session goes to.
//!
//! A room has a home, the least busy worker when its first participant came. Its sessions go there, so that nothing crosses cores,
//! until that worker is warm; then new ones go to the least busy. A session never moves.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use sluicegate_contract::meter::Meters;
use sluicegate_contract::{Command, WorkerKey};
use tokio::sync::{mpsc, watch};

/// How often the load of the workers is read.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// What a session that is not yet in the samples is taken to cost, in thousandths of a core: a burst of joins must not all see the
/// same idle worker.
const FRESH_COST: u32 = 3;

/// This plane's ends of the channels to one worker.
#[derive(Debug)]
pub struct WorkerPort {
    /// Lane *command*: rooms wait while it is full.
    pub commands: mpsc::Sender<Command>,
    /// The worker's newest counters.
    pub meters: watch::Receiver<Meters>,
}

/// All workers; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Workers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    workers: Vec<Worker>,
    /// Thousandths of a core from which on a worker is warm.
    warm: u32,
}

#[derive(Debug)]
struct Worker {
    port: WorkerPort,
    /// Thousandths of a core over the last sample.
    load: AtomicU32,
    /// Sessions given to it since.
    fresh: AtomicU32,
}

impl Worker {
    fn expected_load(&self) -> u32 {
        self.load.load(Ordering::Relaxed) + FRESH_COST * self.fresh.load(Ordering::Relaxed)
    }
}

impl Workers {
    /// Within a tokio runtime.
    pub fn start(ports: Vec<WorkerPort>, warm_percent: u32) -> Self {
        let worker = |port| Worker { port, load: AtomicU32::new(0), fresh: AtomicU32::new(0) };
        let shared = Arc::new(Shared { workers: ports.into_iter().map(worker).collect(), warm: warm_percent.saturating_mul(10) });
        tokio::spawn(sample(Arc::downgrade(&shared)));
        Self(shared)
    }

    /// Where a new session of a room goes, and with it the room's home where it has none yet.
    pub fn choose(&self, home: &mut Option<WorkerKey>) -> WorkerKey {
        let workers = &self.0.workers;
        let coolest = || (0..workers.len()).min_by_key(|at| workers[*at].expected_load()).unwrap_or(0);
        let at = match home.map(|home| usize::from(home.index)) {
            Some(home) if workers.get(home).is_some_and(|worker| worker.expected_load() < self.0.warm) => home,
            _ => coolest(),
        };
        let key = WorkerKey::local(u16::try_from(at).unwrap_or_default());
        home.get_or_insert(key);
        if let Some(worker) = workers.get(at) {
            worker.fresh.fetch_add(1, Ordering::Relaxed);
        }
        key
    }

    /// Waits while the worker's lane is full. A worker that is gone makes the node unhealthy; the room can do nothing about it.
    pub async fn send(&self, to: WorkerKey, command: Command) {
        if let Some(worker) = self.0.workers.get(usize::from(to.index)) {
            let _ = worker.port.commands.send(command).await;
        }
    }

    pub fn are_running(&self) -> bool {
        !self.0.workers.is_empty() && self.0.workers.iter().all(|worker| !worker.port.commands.is_closed())
    }

    /// Each worker's counters.
    pub fn meters(&self) -> Vec<Meters> {
        self.0.workers.iter().map(|worker| *worker.port.meters.borrow()).collect()
    }
}

/// Reads what each worker's thread used, until nobody asks any more.
async fn sample(shared: Weak<Shared>) {
    let mut last: Option<(Instant, Vec<u64>)> = None;
    loop {
        tokio::time::sleep(SAMPLE_INTERVAL).await;
        let Some(shared) = shared.upgrade() else { return };
        let now = Instant::now();
        let used: Vec<u64> = shared.workers.iter().map(|worker| worker.port.meters.borrow().cpu_us).collect();
        if let Some((at, before)) = &last {
            let elapsed = u64::try_from(now.duration_since(*at).as_micros()).unwrap_or(u64::MAX).max(1);
            for ((worker, used), before) in shared.workers.iter().zip(&used).zip(before) {
                let load = used.saturating_sub(*before).saturating_mul(1000) / elapsed;
                worker.load.store(u32::try_from(load).unwrap_or(u32::MAX), Ordering::Relaxed);
                worker.fresh.store(0, Ordering::Relaxed);
            }
        }
        last = Some((now, used));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(count: usize, warm_percent: u32) -> Workers {
        let port = |_| WorkerPort { commands: mpsc::channel(1).0, meters: watch::channel(Meters::default()).1 };
        Workers::start((0..count).map(port).collect(), warm_percent)
    }

    fn chosen(workers: &Workers, home: &mut Option<WorkerKey>, count: usize) -> Vec<u16> {
        (0..count).map(|_| workers.choose(home).index).collect()
    }

    #[tokio::test]
    async fn a_room_stays_at_home_until_it_is_warm() {
        let workers = workers(2, 60);
        let (mut first, mut second) = (None, None);
        assert_eq!(chosen(&workers, &mut first, 3), [0, 0, 0]);
        assert_eq!(chosen(&workers, &mut second, 2), [1, 1], "the next room's home is the other one");
        workers.0.workers[0].load.store(700, Ordering::Relaxed);
        assert_eq!(chosen(&workers, &mut first, 1), [1], "newcomers overflow");
        workers.0.workers[0].load.store(100, Ordering::Relaxed);
        assert_eq!(chosen(&workers, &mut first, 1), [0]);
    }

    #[tokio::test]
    async fn a_burst_is_shared_before_the_load_shows() {
        let workers = workers(2, 60);
        let mut home = None;
        let chosen = chosen(&workers, &mut home, 1000);
        let first = chosen.iter().filter(|worker| **worker == 0).count();
        assert!(chosen[..200].iter().all(|worker| *worker == 0));
        assert!((400..=600).contains(&first), "{first}");
    }

    #[tokio::test]
    async fn at_zero_percent_every_session_goes_to_the_coolest() {
        let workers = workers(2, 0);
        assert_eq!(chosen(&workers, &mut None, 1), [0]);
        let mut home = Some(WorkerKey::local(0));
        assert_eq!(chosen(&workers, &mut home, 4), [1, 0, 1, 0]);
    }
}
