//! The packet path alone: one publisher's sealed packets, fed to a real engine with many subscribers, without any network.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluicegate_contract::command::DataChannel;
use sluicegate_contract::{Command, RoomKey, SessionKey};
use sluicegate_engine::Reason;
use sluicegate_engine::demux::Path;
use sluicegate_engine::sink::EachDatagram;
use sluicegate_load::{Output, PublishSpec};
use sluicegate_proto::pb::{self, signal_request};
use sluicegate_rtp::codec::Codec;
use sluicegate_rtp::header::{self, RtpHeader};

use smallvec::SmallVec;

use crate::net::Network;
use crate::world::World;

/// A connected world with a publisher of one video track and its subscribers.
pub struct Forwarding {
    world: World,
    now: Instant,
    frame: u32,
    pub subscribers: usize,
}

/// Bytes of a packet as it leaves: header, payload and tag.
pub const PACKET_BYTES: usize = 1200;
/// RTP header and GCM tag.
const AROUND: usize = 12 + 16;

impl Forwarding {
    /// None when the clients did not connect.
    pub fn new(subscribers: usize) -> Option<Self> {
        Self::with_workers(subscribers, 1)
    }

    /// The publisher on the first worker, everybody else on the last.
    pub fn with_workers(subscribers: usize, workers: usize) -> Option<Self> {
        let network = Network::sound(Duration::from_micros(100));
        let mut world = World::with_workers(1, network, workers);
        world.next_worker = Some(0);
        world.join("publisher", vec![PublishSpec::new("cam", Codec::Vp8)]);
        world.next_worker = Some(workers - 1);
        for index in 0..subscribers {
            world.join(&format!("subscriber{index}"), Vec::new());
        }
        let connected = world.run_while(Duration::from_secs(30), |w| !w.nodes.iter().all(|node| node.client.is_connected()));
        if !connected {
            return None;
        }
        // the subscriptions are negotiated
        world.run_for(Duration::from_secs(2));
        let now = world.now;
        let mut forwarding = Self { world, now, frame: 0, subscribers };
        // a key frame starts the streams; then everything that grows has grown
        for _ in 0..40 {
            let packets = forwarding.seal(50);
            forwarding.forward(packets, Duration::from_millis(1));
        }
        Some(forwarding)
    }

    /// Every subscriber switches the track off.
    pub fn disable_all(&mut self) {
        self.world.now = self.world.now.max(self.now);
        for node in &mut self.world.nodes[1..] {
            let tracks = node.client.participants.values().flat_map(|participant| &participant.tracks);
            let track_sids = tracks.map(|track| track.sid.clone()).collect();
            let settings = pb::UpdateTrackSettings { track_sids, disabled: true, ..Default::default() };
            node.client.request(signal_request::Message::TrackSetting(settings));
        }
        self.world.run_for(Duration::from_secs(1));
        self.now = self.world.now;
    }

    /// In one tick a reliable message for every subscriber and one packet of media. Returns, flush by flush, the first bytes of the
    /// datagrams that left, until nothing waits any more.
    pub fn data_beside_media(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        let packet = self.seal(1).pop();
        let sessions = (1..=self.subscribers as u32).map(|index| SessionKey { room: RoomKey(1), index }).collect();
        let payload = message.to_vec().into();
        let engine = &mut self.world.engines[0];
        engine.handle_command(self.now, Command::SendData { sessions, channel: DataChannel::Reliable, payload });
        if let Some(mut packet) = packet {
            engine.handle_datagram(self.now, 0, self.world.nodes[0].address(), &mut packet);
        }
        let mut flushes = Vec::new();
        loop {
            let mut left = Vec::new();
            engine.flush(self.now, &mut EachDatagram::new(|_, datagram: &[u8]| left.extend(datagram.first())));
            flushes.push(left);
            if engine.poll_timeout().is_none_or(|(at, reason)| reason != Reason::Data || at > self.now) {
                return flushes;
            }
        }
    }

    /// Reliable messages for every subscriber, `per_tick` of them in each tick, until all have them and nothing moves any more.
    /// Returns what `cpu`, the thread's CPU time, says of each tick of the worker: acknowledgements received, at most `datagrams` a
    /// tick, and the flush.
    pub fn data_ticks(
        &mut self,
        messages: Vec<Vec<u8>>,
        per_tick: usize,
        datagrams: usize,
        cpu: impl Fn() -> Duration,
    ) -> Vec<Duration> {
        let sessions: SmallVec<_> = (1..=self.subscribers as u32).map(|index| SessionKey { room: RoomKey(1), index }).collect();
        let mut messages = messages.into_iter().map(Bytes::from);
        let mut ticks = Vec::new();
        let mut arriving: VecDeque<(SocketAddr, Vec<u8>)> = VecDeque::new();
        let end = self.now + Duration::from_millis(500) + Duration::from_millis(messages.len() as u64);
        while self.now < end {
            let mut left = Vec::new();
            let engine = &mut self.world.engines[0];
            let before = cpu();
            for payload in messages.by_ref().take(per_tick) {
                let send = Command::SendData { sessions: sessions.clone(), channel: DataChannel::Reliable, payload };
                engine.handle_command(self.now, send);
            }
            engine.handle_timeout(self.now);
            for (source, mut datagram) in arriving.drain(..datagrams.min(arriving.len())) {
                engine.handle_datagram(self.now, 0, source, &mut datagram);
            }
            engine
                .flush(self.now, &mut EachDatagram::new(|path: Path, datagram: &[u8]| left.push((path.remote, datagram.to_vec()))));
            while engine.poll_event().is_some() {}
            ticks.push(cpu() - before);
            arriving.extend(self.world.answers(self.now, left));
            self.now += Duration::from_millis(1);
        }
        ticks
    }

    /// Data messages that all subscribers have got so far.
    pub fn messages(&self) -> usize {
        self.world.nodes.iter().map(|node| node.messages.len()).sum()
    }

    /// Packets of the publisher, sealed and ready to be received.
    pub fn seal(&mut self, count: usize) -> Vec<Vec<u8>> {
        let mut payload = vec![0xABu8; PACKET_BYTES - AROUND];
        let mut packets = Vec::with_capacity(count);
        for _ in 0..count {
            self.frame += 1;
            let [high, low] = ((self.frame as u16 & 0x7FFF) | 0x8000).to_be_bytes();
            // every hundredth is a key frame
            payload[..5].copy_from_slice(&[0x90, 0x80, high, low, u8::from(!self.frame.is_multiple_of(100))]);
            let client = &mut self.world.nodes[0].client;
            client.send_media(self.now, 0, self.frame * 3000, true, &payload);
            while let Some(output) = client.poll_output() {
                if let Output::Datagram { contents, .. } = output {
                    packets.push(contents);
                }
            }
        }
        packets.retain(|packet| header::classify(packet) == header::Kind::Rtp);
        packets
    }

    /// Receives all packets and then flushes once: destination and sequence number of each datagram of media, as they left.
    pub fn forward_at_once(&mut self, packets: Vec<Vec<u8>>) -> Vec<(SocketAddr, u16)> {
        let source = self.world.nodes[0].address();
        for mut packet in packets {
            self.world.engines[0].handle_datagram(self.now, 0, source, &mut packet);
        }
        let mut left = Vec::new();
        let mut sink = EachDatagram::new(|path: Path, datagram: &[u8]| {
            if header::classify(datagram) == header::Kind::Rtp
                && let Ok(header) = RtpHeader::parse(datagram)
            {
                left.push((path.remote, header.sequence));
            }
        });
        self.world.engines[0].flush(self.now, &mut sink);
        left
    }

    /// Receives, forwards and seals; one flush per packet, `step` between them. Returns the datagrams that left and their bytes.
    pub fn forward(&mut self, packets: Vec<Vec<u8>>, step: Duration) -> (u64, u64) {
        let source = self.world.nodes[0].address();
        let (mut count, mut bytes) = (0, 0);
        let mut sink = EachDatagram::new(|_, datagram: &[u8]| {
            count += 1;
            bytes += datagram.len() as u64;
        });
        for mut packet in packets {
            self.now += step;
            self.world.engines[0].handle_timeout(self.now);
            self.world.engines[0].handle_datagram(self.now, 0, source, &mut packet);
            self.world.carry_relays();
            for engine in &mut self.world.engines {
                engine.flush(self.now, &mut sink);
            }
        }
        (count, bytes)
    }
}
