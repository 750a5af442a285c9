//! A load test from its first join to its report.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sluicegate_transport::certificate::Certificate;

use super::clock;
use super::driver::{Command, Driver};
use super::fault::LoadError;
use super::join::{Door, Entered};
use super::link::Network;
use super::options::LoadOptions;
use super::plan::{Entrant, Plan};
use super::process::Usage;
use super::report::{Cost, Joins, Report, Scenario};
use super::seat::SeatConfig;
use super::signal::Server;
use super::tally::{Progress, Role, Tally};
use crate::source;

/// A passer-by stays so long.
const STAY: Duration = Duration::from_secs(5);
/// The last client has so long to get its media connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Between the last connection and the beginning of measuring: first key frames, subscriptions.
const SETTLE: Duration = Duration::from_secs(2);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Runs the test; says how it goes on standard error.
pub fn run(options: &LoadOptions) -> Result<Report, LoadError> {
    let seed = options.seed.unwrap_or_else(clock::monotonic_ns);
    let plan = Plan::new(options, &format!("load-test-{:06x}", seed & 0xFF_FFFF));
    if plan.entrants.is_empty() {
        return Err(LoadError::Nobody);
    }
    let codec = options.codec()?;
    raise_open_files(plan.open_files(options.churn, STAY.as_secs() as u32))?;
    let door = Door::new(Server::resolve(&options.url)?, &options.api_key, &options.api_secret)?;
    let config = SeatConfig {
        certificate: Certificate::generate().map_err(|_| LoadError::Certificate)?,
        audio: source::audio_track("microphone"),
        video: source::video_track("camera", codec).ok_or_else(|| LoadError::Codec(options.video_codec.clone()))?,
        data_rate: options.data_rate,
        layout: options.layout,
        network: Network { loss: options.loss.share(), delay: options.delay },
        seed,
        stay: STAY,
    };
    let progress = Arc::new(Progress::default());
    let drivers = (0..options.threads).map(|index| Driver::start(format!("load {index}"), config.clone(), Arc::clone(&progress)));
    let drivers = drivers.collect::<Result<Vec<Driver>, LoadError>>()?;
    let (joined, joins) = mpsc::channel();
    let before = usages(options)?;
    let mut test =
        Test { options, plan, door: Arc::new(door), drivers, progress, joined, joins, refused: BTreeMap::new(), line: Line::new() };
    test.join_all()?;
    test.wait_connected();
    let measured = test.measure()?;
    Ok(test.report(measured, before))
}

struct Test<'a> {
    options: &'a LoadOptions,
    plan: Plan,
    door: Arc<Door>,
    drivers: Vec<Driver>,
    progress: Arc<Progress>,
    joined: Sender<Joined>,
    joins: Receiver<Joined>,
    refused: BTreeMap<String, u32>,
    line: Line,
}

struct Joined {
    role: Role,
    result: Result<Box<Entered>, String>,
}

/// The measured time: how long, CPU of the server and ours at both ends, what became of passers-by.
struct Measured {
    duration: Duration,
    begun: Usages,
    ended: Usages,
    churn_wanted: u32,
    churn_refused: u32,
}

#[derive(Clone, Copy)]
struct Usages {
    server: Option<Usage>,
    client: Usage,
}

fn usages(options: &LoadOptions) -> Result<Usages, LoadError> {
    let of = |pid: u32| Usage::of(pid).ok_or(LoadError::Process(pid));
    Ok(Usages { server: options.server_pid.map(of).transpose()?, client: of(std::process::id())? })
}

impl Test<'_> {
    /// All who stay; an error when nobody can.
    fn join_all(&mut self) -> Result<(), LoadError> {
        let spacing = Duration::from_secs(1) / self.options.num_per_second;
        let begun = Instant::now();
        let wanted = self.plan.entrants.len();
        let mut decided = 0;
        for (at, entrant) in self.plan.entrants.clone().into_iter().enumerate() {
            let due = begun + spacing * at as u32;
            while Instant::now() < due {
                decided += self.take_joins(due);
                self.line.show(&self.progress, "joining", wanted);
            }
            self.enter(entrant);
        }
        while decided < wanted {
            decided += self.take_joins(Instant::now() + PROGRESS_INTERVAL);
            self.line.show(&self.progress, "joining", wanted);
        }
        match self.refused.iter().next() {
            Some((why, count)) if *count as usize == wanted => Err(LoadError::Join(why.clone())),
            _ => Ok(()),
        }
    }

    fn wait_connected(&mut self) {
        let wanted = self.plan.entrants.len();
        let refused: u32 = self.refused.values().sum();
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        while Progress::read(&self.progress.connected) + u64::from(refused) < wanted as u64 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(20));
            self.line.show(&self.progress, "connecting", wanted);
        }
        self.pass(Instant::now() + SETTLE, "settling");
    }

    fn measure(&mut self) -> Result<Measured, LoadError> {
        self.drivers.iter().for_each(|driver| driver.send(Command::BeginMeasuring));
        let (started, begun) = (Instant::now(), usages(self.options)?);
        let end = started + self.options.duration;
        let mut churn_wanted = 0;
        let mut churn_refused = 0;
        if self.options.churn > 0 {
            let spacing = Duration::from_secs(1) / self.options.churn;
            while Instant::now() + spacing < end {
                let due = started + spacing * churn_wanted;
                while Instant::now() < due {
                    self.take_joins(due.min(Instant::now() + PROGRESS_INTERVAL));
                    self.line.show(&self.progress, "measuring", self.plan.entrants.len());
                }
                self.enter(self.plan.churner(churn_wanted));
                churn_wanted += 1;
            }
            churn_refused = self.refused.remove(CHURN_REFUSED).unwrap_or(0);
        }
        self.pass(end, "measuring");
        let (duration, ended) = (started.elapsed(), usages(self.options)?);
        self.drivers.iter().for_each(|driver| driver.send(Command::EndMeasuring));
        churn_refused += self.refused.remove(CHURN_REFUSED).unwrap_or(0);
        Ok(Measured { duration, begun, ended, churn_wanted, churn_refused })
    }

    fn report(mut self, measured: Measured, before: Usages) -> Report {
        self.line.end();
        let mut tally = Tally::default();
        for driver in self.drivers {
            tally.merge(driver.finish());
        }
        let subscribers = || tally.outcomes.iter().filter(|outcome| outcome.role == Role::Subscriber);
        let got = (subscribers().map(|o| o.tracks.0).sum(), subscribers().map(|o| o.tracks.1).sum());
        let expected = self.plan.expected_tracks(self.options.layout.pictures());
        let resident_before = |usage: Option<Usage>| usage.map_or(0, |usage| usage.resident_bytes);
        let Measured { begun, ended, .. } = measured;
        let server = begun.server.zip(ended.server);
        Report {
            scenario: Scenario::new(self.options),
            joins: Joins {
                wanted: self.plan.entrants.len() as u32,
                refused: self.refused.into_iter().collect(),
                churn_wanted: measured.churn_wanted,
                churn_refused: measured.churn_refused,
            },
            audio_tracks: (expected.0, got.0),
            video_tracks: (expected.1, got.1),
            measured: measured.duration,
            tally,
            server: server.map(|(begun, ended)| Cost::between(begun, ended, resident_before(before.server))),
            client: Cost::between(begun.client, ended.client, before.client.resident_bytes),
            max_loss: self.options.max_loss,
        }
    }

    /// Starts a join; its result comes through the channel.
    fn enter(&self, entrant: Entrant) {
        let (door, joined, role) = (Arc::clone(&self.door), self.joined.clone(), entrant.role);
        let spawned = thread::Builder::new().stack_size(256 << 10).spawn(move || {
            let result = door.enter(entrant).map(Box::new);
            // nobody waits any more when the test is over
            let _ = joined.send(Joined { role, result });
        });
        if let Err(error) = spawned {
            let _ = self.joined.send(Joined { role, result: Err(error.to_string()) });
        }
    }

    /// Hands those who got in to the drivers, until `until` or the next one; returns how many were decided.
    fn take_joins(&mut self, until: Instant) -> usize {
        let wait = until.saturating_duration_since(Instant::now()).min(PROGRESS_INTERVAL);
        let Ok(first) = self.joins.recv_timeout(wait) else { return 0 };
        let mut decided = 0;
        for joined in std::iter::once(first).chain(std::iter::from_fn(|| self.joins.try_recv().ok())).collect::<Vec<_>>() {
            decided += 1;
            match joined.result {
                Ok(entered) => {
                    let at = entered.entrant.index as usize % self.drivers.len().max(1);
                    if let Some(driver) = self.drivers.get(at) {
                        driver.send(Command::Enter(entered));
                    }
                }
                Err(_) if joined.role == Role::Churner => *self.refused.entry(CHURN_REFUSED.to_owned()).or_default() += 1,
                Err(why) => *self.refused.entry(why).or_default() += 1,
            }
        }
        decided
    }

    fn pass(&mut self, until: Instant, doing: &str) {
        while Instant::now() < until {
            self.take_joins(until);
            self.line.show(&self.progress, doing, self.plan.entrants.len());
        }
    }
}

/// Passers-by are counted, their reasons are not.
const CHURN_REFUSED: &str = "passer-by";

/// The progress line.
struct Line {
    shown: Instant,
    packets: u64,
    bytes: u64,
}

impl Line {
    fn new() -> Self {
        Self { shown: Instant::now(), packets: 0, bytes: 0 }
    }

    fn show(&mut self, progress: &Progress, doing: &str, wanted: usize) {
        let elapsed = self.shown.elapsed();
        if elapsed < PROGRESS_INTERVAL {
            return;
        }
        self.shown = Instant::now();
        let (packets, bytes) = (Progress::read(&progress.packets), Progress::read(&progress.bytes));
        let per_second = |now: u64, before: u64| (now - before) as f64 / elapsed.as_secs_f64();
        let lost = match Progress::read(&progress.lost_clients) {
            0 => String::new(),
            lost => format!(", {lost} disconnected"),
        };
        eprint!(
            "\r{doing}: {}/{wanted} connected{lost}, {:.0} packets/s, {:.1} Mbit/s      ",
            Progress::read(&progress.connected),
            per_second(packets, self.packets),
            per_second(bytes, self.bytes) * 8e-6
        );
        let _ = std::io::stderr().flush();
        (self.packets, self.bytes) = (packets, bytes);
    }

    fn end(&mut self) {
        eprintln!();
    }
}

/// Asks for as many open files as the test needs.
fn raise_open_files(needed: u64) -> Result<(), LoadError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|limit| limit >= needed) {
        return Ok(());
    }
    let wanted = maximum.map_or(needed, |maximum| maximum.min(needed));
    if wanted >= needed && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok() {
        return Ok(());
    }
    Err(LoadError::OpenFiles { needed, limit: maximum.or(current).unwrap_or(0) })
}
