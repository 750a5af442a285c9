//! A plan: one publisher with sound and picture, some subscribers, a network; and what came of it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluicegate_load::PublishSpec;
use sluicegate_rtp::codec::{Codec, MediaKind};

use crate::net::Network;
use crate::world::World;

/// A packet that comes later is of no use any more.
pub const USEFUL: Duration = Duration::from_millis(600);
const AUDIO_INTERVAL: Duration = Duration::from_millis(20);
const VIDEO_INTERVAL: Duration = Duration::from_nanos(33_333_333);
const AUDIO_BYTES: usize = 100;
const VIDEO_BYTES: usize = 1100;
const PACKETS_PER_FRAME: usize = 3;

#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub network: Network,
    pub subscribers: usize,
    pub workers: usize,
    pub duration: Duration,
}

/// The outcome for all subscribers together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measured {
    pub audio: Delivery,
    pub video: Delivery,
    /// Bytes beyond first copies ÷ bytes of first copies.
    pub overhead_up: f64,
    pub overhead_down: f64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Delivery {
    pub sent: u64,
    pub in_time: u64,
    pub duplicates: u64,
}

impl Delivery {
    /// Share that did not come in time.
    pub fn lost(&self) -> f64 {
        1.0 - self.in_time as f64 / self.sent.max(1) as f64
    }
}

impl Plan {
    /// Runs the plan; none when the clients did not connect.
    pub fn run(&self) -> Option<Measured> {
        let mut world = World::with_workers(self.seed, self.network, self.workers);
        let specs = vec![PublishSpec::new("mic", Codec::Opus), PublishSpec::new("cam", Codec::Vp8)];
        let publisher = world.join("publisher", specs);
        for index in 0..self.subscribers {
            world.join(&format!("subscriber{index}"), Vec::new());
        }
        let connected = world.run_while(Duration::from_secs(20), |w| !w.nodes.iter().all(|node| node.client.is_connected()));
        if !connected {
            return None;
        }
        // subscriptions are negotiated and the first packets flow
        let mut source = Source::new(world.now);
        source.send(&mut world, publisher, Duration::from_secs(3));
        let measured_from = source.index;
        for node in &mut world.nodes {
            (node.first_bytes, node.other_bytes) = (0, 0);
        }
        let repair_before: (u64, u64) = totals(&world, publisher);
        source.send(&mut world, publisher, self.duration);
        let measured_to = source.index;
        world.run_for(Duration::from_secs(1));
        Some(self.measure(&world, publisher, &source, measured_from..measured_to, repair_before))
    }

    fn measure(
        &self,
        world: &World,
        publisher: usize,
        source: &Source,
        range: std::ops::Range<u64>,
        before: (u64, u64),
    ) -> Measured {
        let mut measured = Measured::default();
        for (at, node) in world.nodes.iter().enumerate().filter(|(at, _)| *at != publisher) {
            let mut arrived: BTreeMap<u64, Instant> = BTreeMap::new();
            for (when, arrival) in &node.arrivals {
                let Some(index) = stamp(arrival.kind, &arrival.payload) else { continue };
                if arrived.insert(index, *when).is_some() {
                    let delivery = if arrival.kind == MediaKind::Audio { &mut measured.audio } else { &mut measured.video };
                    delivery.duplicates += 1;
                }
            }
            for index in range.clone() {
                let Some((kind, sent)) = source.sent.get(&index) else { continue };
                let delivery = if *kind == MediaKind::Audio { &mut measured.audio } else { &mut measured.video };
                delivery.sent += 1;
                delivery.in_time += u64::from(arrived.get(&index).is_some_and(|when| *when - *sent <= USEFUL));
            }
            let (first, other) = (node.first_bytes as f64, node.other_bytes as f64);
            measured.overhead_down += other / first.max(1.0) / self.subscribers as f64;
            let _ = at;
        }
        let after = totals(world, publisher);
        measured.overhead_up = (after.1 - before.1) as f64 / ((after.0 - before.0) as f64).max(1.0);
        measured
    }
}

fn totals(world: &World, publisher: usize) -> (u64, u64) {
    let publications = &world.nodes[publisher].client.publications;
    (publications.iter().map(|p| p.media_bytes).sum(), publications.iter().map(|p| p.repair_bytes).sum())
}

/// Sends the clip: every packet carries its index.
pub struct Source {
    begin: Instant,
    index: u64,
    audio: u64,
    video: u64,
    pub sent: BTreeMap<u64, (MediaKind, Instant)>,
}

impl Source {
    pub fn new(begin: Instant) -> Self {
        Self { begin, index: 0, audio: 0, video: 0, sent: BTreeMap::new() }
    }

    /// The index of the next packet.
    pub fn next_index(&self) -> u64 {
        self.index
    }

    pub fn send(&mut self, world: &mut World, node: usize, duration: Duration) {
        let end = world.now + duration;
        loop {
            let audio = self.begin + AUDIO_INTERVAL * self.audio as u32;
            let video = self.begin + VIDEO_INTERVAL * self.video as u32;
            let next = audio.min(video);
            if next >= end {
                world.run_until(end);
                return;
            }
            world.run_until(next);
            if audio <= video {
                let timestamp = (self.audio * 960) as u32;
                self.audio += 1;
                self.packet(world, node, MediaKind::Audio, timestamp, true, &[]);
            } else {
                self.frame(world, node);
            }
        }
    }

    /// A frame of three packets; a key frame where one was asked for.
    fn frame(&mut self, world: &mut World, node: usize) {
        let key = world.nodes[node].client.publications.get_mut(1).is_some_and(|p| std::mem::take(&mut p.key_frame_wanted));
        let timestamp = (self.video * 3000) as u32;
        let picture = (self.video & 0x7FFF) as u16;
        self.video += 1;
        for at in 0..PACKETS_PER_FRAME {
            // descriptor: X, S on the first packet; picture id; then the frame's first byte, whose lowest bit is P
            let start = if at == 0 { 0x90 } else { 0x80 };
            let [high, low] = (picture | 0x8000).to_be_bytes();
            let header = [start, 0x80, high, low, u8::from(!key)];
            self.packet(world, node, MediaKind::Video, timestamp, at + 1 == PACKETS_PER_FRAME, &header);
        }
    }

    fn packet(&mut self, world: &mut World, node: usize, kind: MediaKind, timestamp: u32, marker: bool, header: &[u8]) {
        // the publisher's tracks in their order
        let (track, length) = if kind == MediaKind::Audio { (0, AUDIO_BYTES) } else { (1, VIDEO_BYTES) };
        let mut payload = header.to_vec();
        payload.extend(self.index.to_be_bytes());
        payload.resize(length, 0xAB);
        self.sent.insert(self.index, (kind, world.now));
        self.index += 1;
        world.send_media(node, track, timestamp, marker, &payload);
    }
}

/// The index that a packet carries.
pub fn stamp(kind: MediaKind, payload: &[u8]) -> Option<u64> {
    let at = if kind == MediaKind::Audio { 0 } else { 5 };
    payload.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes)
}
