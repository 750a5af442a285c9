//! The outcome of a load test: as a table, as JSON, and whether it was good.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::options::LoadOptions;
use super::percent::Percent;
use super::process::Usage;
use super::tally::{Outcome, Role, Tally};
use crate::histogram::Histogram;
use crate::subscriber::Counts;

/// What was asked for and what came of it.
#[derive(Clone, Debug)]
pub struct Report {
    pub scenario: Scenario,
    pub joins: Joins,
    /// Expected and got, over all subscribers: audio, video.
    pub audio_tracks: (u32, u32),
    pub video_tracks: (u32, u32),
    /// How long was measured.
    pub measured: Duration,
    pub tally: Tally,
    /// Used within the measured time.
    pub server: Option<Cost>,
    pub client: Cost,
    pub max_loss: Percent,
}

/// The options that matter to a reader.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub url: String,
    pub rooms: u32,
    pub audio_publishers: u32,
    pub video_publishers: u32,
    pub subscribers: u32,
    pub video_codec: String,
    pub layout: String,
    pub loss: Percent,
    pub delay: Duration,
    pub data_rate: u32,
    pub churn: u32,
}

#[derive(Clone, Debug, Default)]
pub struct Joins {
    pub wanted: u32,
    /// Why single clients could not join, each reason with its count.
    pub refused: Vec<(String, u32)>,
    /// Passers-by.
    pub churn_wanted: u32,
    pub churn_refused: u32,
}

/// What a process used.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub cpu: Duration,
    pub user: Duration,
    pub system: Duration,
    pub resident_before: u64,
    pub resident: u64,
}

impl Scenario {
    pub fn new(options: &LoadOptions) -> Self {
        Self {
            url: options.url.clone(),
            rooms: options.rooms,
            audio_publishers: options.audio_publishers,
            video_publishers: options.video_publishers,
            subscribers: options.subscribers,
            video_codec: options.video_codec.clone(),
            layout: options.layout.name(),
            loss: options.loss,
            delay: options.delay,
            data_rate: options.data_rate,
            churn: options.churn,
        }
    }
}

impl Cost {
    /// Between two moments; `before` is the memory at a third, earlier one.
    pub fn between(begun: Usage, ended: Usage, resident_before: u64) -> Cost {
        Cost {
            cpu: ended.cpu().saturating_sub(begun.cpu()),
            user: ended.user.saturating_sub(begun.user),
            system: ended.system.saturating_sub(begun.system),
            resident_before,
            resident: ended.resident_bytes,
        }
    }

    fn us_per(&self, packets: u64) -> Option<f64> {
        (packets > 0).then(|| self.cpu.as_secs_f64() * 1e6 / packets as f64)
    }
}

/// Times of single clients, sorted.
struct Times(Vec<Duration>);

impl Times {
    fn of(outcomes: &[Outcome], role: Option<Role>, time: impl Fn(&Outcome) -> Option<Duration>) -> Times {
        let chosen = outcomes.iter().filter(|outcome| role.is_none_or(|role| outcome.role == role));
        let mut times: Vec<Duration> = chosen.filter_map(time).collect();
        times.sort_unstable();
        Times(times)
    }

    fn quantile(&self, share: f64) -> Option<Duration> {
        let at = (self.0.len() as f64 * share).ceil() as usize;
        self.0.get(at.saturating_sub(1)).or(self.0.last()).copied()
    }

    fn row(&self) -> String {
        [0.5, 0.99, 1.0].map(|share| format!("{:>10}", in_ms(self.quantile(share)))).concat()
    }

    fn to_json(&self) -> Value {
        let ms = |share| self.quantile(share).map(|time| time.as_secs_f64() * 1e3);
        json!({ "count": self.0.len(), "p50_ms": ms(0.5), "p99_ms": ms(0.99), "max_ms": ms(1.0) })
    }
}

impl Report {
    /// Packets that the server forwarded: those that subscribers received.
    pub fn forwarded(&self) -> u64 {
        self.tally.totals.received().packets
    }

    /// Lost in spite of repair, of those that should have come.
    pub fn loss(&self) -> f64 {
        loss(&self.tally.totals.received())
    }

    /// What was not as it should be; nothing: the test is passed.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (why, count) in &self.joins.refused {
            faults.push(format!("{count} of {} clients could not join: {why}", self.joins.wanted));
        }
        if self.joins.churn_refused > 0 {
            faults.push(format!("{} of {} passers-by could not join", self.joins.churn_refused, self.joins.churn_wanted));
        }
        let unconnected = self.tally.outcomes.iter().filter(|o| o.role != Role::Churner && o.connected.is_none()).count();
        if unconnected > 0 {
            faults.push(format!("{unconnected} clients got no media connection"));
        }
        let gone: Vec<&String> = self.tally.outcomes.iter().filter_map(|outcome| outcome.lost.as_ref()).collect();
        if let Some(why) = gone.first() {
            faults.push(format!("{} clients were disconnected: {why}", gone.len()));
        }
        for (kind, (expected, got)) in [("audio", self.audio_tracks), ("video", self.video_tracks)] {
            if got < expected {
                faults.push(format!("{} of {expected} {kind} tracks are missing", expected - got));
            }
        }
        if self.loss() > self.max_loss.share() {
            faults.push(format!("{:.3} % of the packets were lost, more than {} %", self.loss() * 100.0, self.max_loss));
        }
        faults
    }

    pub fn to_table(&self) -> String {
        let mut text = String::new();
        let (scenario, secs) = (&self.scenario, self.measured.as_secs_f64());
        let _ = writeln!(
            text,
            "{} audio and {} video publishers ({}), {} subscribers ({}), {} room(s), {:.1} s at {}",
            scenario.audio_publishers,
            scenario.video_publishers,
            scenario.video_codec,
            scenario.subscribers,
            scenario.layout,
            scenario.rooms,
            secs,
            scenario.url
        );
        self.write_joins(&mut text);
        let totals = &self.tally.totals;
        let _ = writeln!(
            text,
            "\n{:<8}{:>12}{:>13}{:>11}{:>12}{:>10}{:>9}{:>9}{:>9}   latency ms p50 / p99 / p99.9 / max",
            "received", "tracks", "packets", "packets/s", "Mbit/s", "repaired", "dup", "lost", "lost %"
        );
        let rows = [
            ("audio", self.audio_tracks, totals.audio, &self.tally.audio_latency),
            ("video", self.video_tracks, totals.video, &self.tally.video_latency),
        ];
        for (name, (expected, got), counts, latency) in rows {
            let _ = writeln!(
                text,
                "{name:<8}{:>12}{:>13}{:>11.0}{:>12.2}{:>10}{:>9}{:>9}{:>9.3}   {}",
                format!("{got}/{expected}"),
                counts.packets,
                counts.packets as f64 / secs,
                counts.bytes as f64 * 8e-6 / secs,
                counts.repaired,
                counts.duplicates,
                counts.lost,
                loss(&counts) * 100.0,
                latency_text(latency)
            );
        }
        let _ = writeln!(
            text,
            "published: {} packets, {:.2} Mbit/s, {} sent again",
            totals.sent_packets,
            totals.sent_bytes as f64 * 8e-6 / secs,
            totals.sent_repairs
        );
        if scenario.data_rate > 0 {
            let latency = latency_text(&self.tally.data_latency);
            let _ = writeln!(
                text,
                "data: {} messages sent, {} refused, {} received   latency ms {latency}",
                totals.data_sent, totals.data_unsent, totals.data_received
            );
        }
        self.write_costs(&mut text);
        for fault in self.faults() {
            let _ = writeln!(text, "FAULT: {fault}");
        }
        text
    }

    fn write_joins(&self, text: &mut String) {
        let outcomes = &self.tally.outcomes;
        let joined = outcomes.iter().filter(|outcome| outcome.role != Role::Churner).count();
        let _ = writeln!(text, "joined {joined} of {}{:>24}{:>10}{:>10}", self.joins.wanted, "ms p50", "p99", "max");
        for (name, times) in self.times() {
            let _ = writeln!(text, "  {name:<26}{}", times.row());
        }
        if self.joins.churn_wanted > 0 {
            let _ = writeln!(text, "  passers-by: {} joined, {} refused", self.joins.churn_wanted, self.joins.churn_refused);
        }
    }

    fn times(&self) -> [(&'static str, Times); 4] {
        let outcomes = &self.tally.outcomes;
        let subscribers = Some(Role::Subscriber);
        [
            ("join", Times::of(outcomes, None, |outcome| Some(outcome.joined))),
            ("media connection", Times::of(outcomes, None, |outcome| outcome.connected)),
            ("first packet", Times::of(outcomes, subscribers, |outcome| outcome.first_packet)),
            ("first key frame", Times::of(outcomes, subscribers, |outcome| outcome.first_key_frame)),
        ]
    }

    fn write_costs(&self, text: &mut String) {
        let secs = self.measured.as_secs_f64();
        let rows = [("server", "forwarded", self.server), ("load test", "received", Some(self.client))];
        for (name, what, cost) in rows.into_iter().filter_map(|(name, what, cost)| Some((name, what, cost?))) {
            let per = cost.us_per(self.forwarded()).map_or("-".to_owned(), |us| format!("{us:.2}"));
            let _ = writeln!(
                text,
                "{name}: CPU {:.1} % of a core (user {:.1}, system {:.1}), {per} µs per {what} packet, memory {:.1} → {:.1} MiB",
                cost.cpu.as_secs_f64() * 100.0 / secs,
                cost.user.as_secs_f64() * 100.0 / secs,
                cost.system.as_secs_f64() * 100.0 / secs,
                mib(cost.resident_before),
                mib(cost.resident)
            );
        }
    }

    pub fn to_json(&self) -> Value {
        let (scenario, secs, totals) = (&self.scenario, self.measured.as_secs_f64(), &self.tally.totals);
        let media = |(expected, got): (u32, u32), counts: &Counts, latency: &Histogram| {
            json!({
                "tracks_expected": expected, "tracks": got,
                "packets": counts.packets, "bytes": counts.bytes, "repaired": counts.repaired, "duplicates": counts.duplicates,
                "lost": counts.lost, "loss": loss(counts), "packets_per_second": counts.packets as f64 / secs,
                "latency": latency_json(latency),
            })
        };
        let cost = |cost: &Cost| {
            json!({
                "cpu_s": cost.cpu.as_secs_f64(), "user_s": cost.user.as_secs_f64(), "system_s": cost.system.as_secs_f64(),
                "cpu_share_of_core": cost.cpu.as_secs_f64() / secs, "us_per_forwarded_packet": cost.us_per(self.forwarded()),
                "resident_bytes_before": cost.resident_before, "resident_bytes": cost.resident,
            })
        };
        let times = self.times().map(|(name, times)| (name.replace(' ', "_"), times.to_json()));
        json!({
            "scenario": {
                "url": scenario.url, "rooms": scenario.rooms, "audio_publishers": scenario.audio_publishers,
                "video_publishers": scenario.video_publishers, "subscribers": scenario.subscribers,
                "video_codec": scenario.video_codec, "layout": scenario.layout, "loss": scenario.loss.share(),
                "delay_ms": scenario.delay.as_secs_f64() * 1e3, "data_rate": scenario.data_rate, "churn": scenario.churn,
            },
            "measured_s": secs,
            "joins": {
                "wanted": self.joins.wanted,
                "refused": self.joins.refused.iter().map(|(why, count)| json!({ "why": why, "count": count })).collect::<Vec<_>>(),
                "churn_wanted": self.joins.churn_wanted, "churn_refused": self.joins.churn_refused,
                "times": times.into_iter().collect::<serde_json::Map<_, _>>(),
            },
            "audio": media(self.audio_tracks, &totals.audio, &self.tally.audio_latency),
            "video": media(self.video_tracks, &totals.video, &self.tally.video_latency),
            "published": { "packets": totals.sent_packets, "bytes": totals.sent_bytes, "repairs": totals.sent_repairs },
            "data": {
                "sent": totals.data_sent, "refused": totals.data_unsent, "received": totals.data_received,
                "latency": latency_json(&self.tally.data_latency),
            },
            "unauthentic": totals.unauthentic,
            "forwarded_packets": self.forwarded(),
            "loss": self.loss(),
            "server": self.server.as_ref().map(cost),
            "load_test": cost(&self.client),
            "faults": self.faults(),
        })
    }
}

fn loss(counts: &Counts) -> f64 {
    counts.lost as f64 / (counts.packets + counts.lost).max(1) as f64
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn in_ms(time: Option<Duration>) -> String {
    time.map_or("-".to_owned(), |time| format!("{:.2}", time.as_secs_f64() * 1e3))
}

const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

fn latency_text(latency: &Histogram) -> String {
    let times = QUANTILES.map(|share| latency.quantile(share)).into_iter().chain([latency.max()]);
    times.map(in_ms).collect::<Vec<_>>().join(" / ")
}

fn latency_json(latency: &Histogram) -> Value {
    let [p50, p99, p999] = QUANTILES.map(|share| latency.quantile(share).map(|time| time.as_secs_f64() * 1e3));
    json!({
        "count": latency.count(), "p50_ms": p50, "p99_ms": p99, "p99_9_ms": p999,
        "max_ms": latency.max().map(|time| time.as_secs_f64() * 1e3),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::options::tests_support::options;

    fn report() -> Report {
        let usage = |ms| Usage { user: Duration::from_millis(ms), system: Duration::ZERO, resident_bytes: 1 << 20 };
        let mut tally = Tally::default();
        tally.totals.video = Counts { packets: 990, bytes: 1000, lost: 10, ..Counts::default() };
        tally.video_latency.record(2_000_000);
        let options = options(&["--video-publishers=1", "--subscribers=2", "--data-rate=1"]);
        Report {
            scenario: Scenario::new(&options),
            joins: Joins { wanted: 3, ..Joins::default() },
            audio_tracks: (0, 0),
            video_tracks: (2, 2),
            measured: Duration::from_secs(10),
            tally,
            server: Some(Cost::between(usage(10), usage(109), 1 << 20)),
            client: Cost::between(usage(0), usage(5), 1 << 20),
            max_loss: options.max_loss,
        }
    }

    #[test]
    fn a_good_test_has_no_faults() {
        let report = report();
        assert_eq!((report.faults(), report.loss()), (Vec::<String>::new(), 0.01));
        let json = report.to_json();
        assert_eq!(json["server"]["us_per_forwarded_packet"], json!(100.0));
        assert_eq!((&json["video"]["tracks"], &json["audio"]["latency"]["p50_ms"]), (&json!(2), &Value::Null));
        let table = report.to_table();
        assert!(table.contains("100.00 µs per forwarded packet") && table.contains("2/2"), "{table}");
    }

    #[test]
    fn faults_are_named() {
        let mut report = report();
        report.video_tracks = (4, 2);
        report.tally.totals.video.lost = 11;
        report.joins.refused.push(("401 no".to_owned(), 2));
        let faults = report.faults();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(faults[0].contains("401 no") && faults[1].contains("2 of 4 video") && faults[2].contains("1.099 %"), "{faults:?}");
    }

    #[test]
    fn times_of_clients() {
        let outcome = |ms| Outcome {
            role: Role::Subscriber,
            joined: Duration::from_millis(ms),
            connected: None,
            first_packet: None,
            first_key_frame: None,
            tracks: (0, 0),
            lost: None,
        };
        let outcomes: Vec<Outcome> = (1..=100).map(outcome).collect();
        let times = Times::of(&outcomes, Some(Role::Subscriber), |outcome| Some(outcome.joined));
        assert_eq!([0.5, 0.99, 1.0].map(|share| times.quantile(share).unwrap().as_millis()), [50, 99, 100]);
        assert!(Times::of(&outcomes, Some(Role::Publisher), |_| None).quantile(0.5).is_none());
    }
}
