//! Tracks that cross from one worker to another: the publisher's side copies each packet once per worker that wants its layer, the
//! subscriber's side feeds a Receiver of its own.
//!
//! A far Receiver sends no NACK and no TWCC; what it lacks because the lane was full is skipped to the layer's next key frame.

mod overflow;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use sluicegate_contract::command::Subscribe;
use sluicegate_contract::limit::RELAY_BATCH_PACKETS_MAX;
use sluicegate_contract::relay::{LayerReport, LayerReports, LayerSet, RelayBatch, RelayedPacket, RelayedTrack};
use sluicegate_contract::{Relay, SessionKey, TrackKey, WorkerKey};
use sluicegate_rtp::codec::Codec;
use sluicegate_rtp::extension::ExtensionMap;
use sluicegate_sfu::fanout::Fanout;
use sluicegate_sfu::receiver::ring::RingPacket;
use sluicegate_sfu::receiver::{Layer, Received, Receiver, ReceiverConfig};

use crate::engine::Engine;
use crate::publication::{Origin, Publication, RelaySink};

/// Batches kept for reuse.
const SPARE_MAX: usize = 64;

/// What waits for other workers, and tracks that were asked of them.
#[derive(Debug, Default)]
pub(crate) struct Relays {
    /// In the order of their making.
    messages: VecDeque<(WorkerKey, Relay)>,
    /// One growing batch per worker.
    batches: Vec<(WorkerKey, RelayBatch)>,
    spare: Vec<RelayBatch>,
    arriving: BTreeMap<TrackKey, Arriving>,
}

/// A track that was asked of another worker and is not described yet.
#[derive(Debug)]
struct Arriving {
    from: WorkerKey,
    subscribes: Vec<Subscribe>,
}

impl Relays {
    fn send(&mut self, to: WorkerKey, message: Relay) {
        self.messages.push_back((to, message));
    }

    fn batch(&mut self, to: WorkerKey) -> &mut RelayBatch {
        let at = match self.batches.iter().position(|(key, _)| *key == to) {
            Some(at) => at,
            None => {
                self.batches.push((to, self.spare.pop().unwrap_or_default()));
                self.batches.len() - 1
            }
        };
        if self.batches[at].1.packets.len() >= RELAY_BATCH_PACKETS_MAX {
            let full = std::mem::replace(&mut self.batches[at].1, self.spare.pop().unwrap_or_default());
            self.messages.push_back((to, Relay::Packets(full)));
        }
        &mut self.batches[at].1
    }
}

/// The publisher's side.
impl Engine {
    /// The next message for another worker; batches come when they are full or with the end of the tick.
    pub fn poll_relay(&mut self) -> Option<(WorkerKey, Relay)> {
        if let Some(message) = self.relays.messages.pop_front() {
            return Some(message);
        }
        if let Some((to, batch)) = self.relays.batches.pop() {
            return Some((to, Relay::Packets(batch)));
        }
        self.data_tracks.poll_relay()
    }

    /// A batch that was used up serves again.
    pub fn recycle(&mut self, mut batch: RelayBatch) {
        if self.relays.spare.len() < SPARE_MAX {
            batch.clear();
            self.relays.spare.push(batch);
        }
    }

    /// One copy of a packet for every worker that wants its layer.
    pub(crate) fn relay_packet(&mut self, now: Instant, index: u32, received: &Received) {
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        let alive = LayerSet(publication.receiver.alive(now));
        if publication.told_alive != alive {
            self.tell_layers(now, index);
        }
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        let Layer(layer) = received.layer;
        let Some(packet) = publication.receiver.packet(received.layer, received.ext_seq) else { return };
        let Some(codec) = publication.codec_of(packet.payload_type) else { return };
        let mut awaited = false;
        for sink in &mut publication.relays {
            if !sink.wanted.contains(layer) {
                continue;
            }
            let resumes = sink.blocked.contains(layer);
            if resumes && !received.key_frame {
                self.meters.dropped_relay += 1;
                awaited = true;
                continue;
            }
            sink.blocked = sink.blocked.without(layer);
            let batch = self.relays.batch(sink.worker);
            batch.packets.push(RelayedPacket {
                track: publication.key,
                ext_seq: received.ext_seq,
                arrived: self.config.wall_clock.unix(now),
                media_time: self.config.wall_clock.unix(received.media_time),
                timestamp: received.timestamp,
                codec,
                vp8: packet.vp8,
                payload: packet.payload.len() as u16,
                dependency_descriptor: packet.dependency_descriptor.len() as u16,
                abs_capture_time: packet.abs_capture_time.len() as u16,
                layer,
                marker: received.marker,
                key_frame: received.key_frame,
                restarted: received.restarted || resumes,
            });
            for part in [packet.payload, packet.dependency_descriptor, packet.abs_capture_time] {
                batch.bytes.extend_from_slice(part);
            }
            self.meters.relayed_up += 1;
        }
        if awaited {
            self.ask_key_frame(now, index, received.layer);
        }
    }

    /// Liveness and rates, to every worker that has the track.
    pub(crate) fn tell_layers(&mut self, now: Instant, index: u32) {
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        if publication.relays.is_empty() {
            return;
        }
        let layers = layers(now, publication);
        for sink in &publication.relays {
            self.relays.send(sink.worker, Relay::Layers { track: publication.key, layers });
        }
    }

    pub(crate) fn tell_relays(&mut self, index: u32, message: impl Fn(TrackKey) -> Relay) {
        let Some(publication) = self.publications.get(index as usize) else { return };
        for sink in &publication.relays {
            self.relays.send(sink.worker, message(publication.key));
        }
    }

    fn attached(&mut self, now: Instant, from: WorkerKey, track: TrackKey) {
        let Some(&index) = self.by_track.get(&track) else { return self.relays.send(from, Relay::Ended { track }) };
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        // what is relayed here itself is not passed on: every worker asks the publisher's own
        if !matches!(publication.origin, Origin::Session { .. }) {
            return self.relays.send(from, Relay::Ended { track });
        }
        publication.relays.retain(|sink| sink.worker != from);
        publication.relays.push(RelaySink { worker: from, wanted: LayerSet::default(), blocked: LayerSet::default() });
        let layers = layers(now, publication);
        let described = RelayedTrack {
            track,
            kind: publication.kind,
            codec: publication.codec,
            fmtp: publication.fmtp.as_str().into(),
            screen_share: publication.screen_share,
            muted: publication.muted,
            layers,
        };
        self.relays.send(from, Relay::Described(Box::new(described)));
    }

    fn relay_sink(&mut self, from: WorkerKey, track: TrackKey) -> Option<(u32, &mut RelaySink)> {
        let index = *self.by_track.get(&track)?;
        let publication = self.publications.get_mut(index as usize)?;
        publication.relays.iter_mut().find(|sink| sink.worker == from).map(|sink| (index, sink))
    }
}

/// The layers as they are, remembered as told.
fn layers(now: Instant, publication: &mut Publication) -> LayerReports {
    publication.told_alive = LayerSet(publication.receiver.alive(now));
    publication.receiver.activity(now).map(|a| LayerReport { is_alive: a.is_alive, bits_per_second: a.bits_per_second })
}

/// Both sides: the door.
impl Engine {
    /// Takes a message of another worker; a batch is given back for reuse.
    pub fn handle_relay(&mut self, now: Instant, from: WorkerKey, message: Relay) -> Option<RelayBatch> {
        match message {
            Relay::Attach { track } => self.attached(now, from, track),
            Relay::Detach { track } => {
                if let Some(publication) = self.by_track.get(&track).and_then(|index| self.publications.get_mut(*index as usize)) {
                    publication.relays.retain(|sink| sink.worker != from);
                }
            }
            Relay::Want { track, layers } => {
                if let Some((_, sink)) = self.relay_sink(from, track) {
                    sink.wanted = layers;
                }
            }
            Relay::KeyFrame { track, layer } => {
                if let Some((index, _)) = self.relay_sink(from, track) {
                    self.ask_key_frame(now, index, Layer(layer));
                }
            }
            Relay::Described(track) => self.described(now, from, &track),
            Relay::Layers { track, layers } => {
                if let Some(index) = self.relayed_from(from, track) {
                    self.publications[index as usize].receiver.set_alive(alive(&layers).0);
                    self.refresh_want(now, index);
                }
            }
            Relay::Muted { track, muted } => {
                if let Some(index) = self.relayed_from(from, track) {
                    self.set_muted(index, muted);
                }
            }
            Relay::Ended { track } => {
                self.relays.arriving.remove(&track);
                if let Some(index) = self.relayed_from(from, track) {
                    self.end_publication(now, index);
                }
            }
            Relay::Packets(batch) => {
                self.relayed_packets(now, from, &batch);
                return Some(batch);
            }
            Relay::AttachData { track } => self.data_track_attached(from, track),
            Relay::DetachData { track } => self.data_track_detached(from, track),
            Relay::DataPackets(packets) => self.data_packets_relayed(now, from, packets),
            Relay::Restarted => {
                self.peer_restarted(now, from);
                self.forget_far_tracks(from);
            }
        }
        None
    }

    /// What came from that worker is gone, and it has forgotten what it wanted.
    fn peer_restarted(&mut self, now: Instant, from: WorkerKey) {
        self.relays.arriving.retain(|_, arriving| arriving.from != from);
        let relayed = |publication: &Publication| publication.origin == Origin::Relay { worker: from };
        let ended: Vec<u32> = self.publications.iter().filter(|(_, p)| relayed(p)).map(|(index, _)| index as u32).collect();
        for index in ended {
            self.end_publication(now, index);
        }
        for (_, publication) in &mut self.publications {
            publication.relays.retain(|sink| sink.worker != from);
        }
    }

    /// A key frame of this layer is needed, wherever the track comes from; asked as often as its throttle allows.
    pub(crate) fn ask_key_frame(&mut self, now: Instant, index: u32, layer: Layer) {
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        publication.receiver.request_key_frame(now, layer);
        match publication.origin {
            Origin::Session { session, .. } => self.touch(session),
            Origin::Relay { worker } => {
                let track = publication.key;
                while publication.receiver.poll_output().is_some() {
                    self.relays.send(worker, Relay::KeyFrame { track, layer: layer.0 });
                }
            }
        }
    }
}

/// The subscriber's side.
impl Engine {
    /// A subscription to a track that is not here: it waits until the track has come from the worker that has it.
    pub(crate) fn await_track(&mut self, subscribe: &Subscribe) {
        let Some(from) = subscribe.from.filter(|from| *from != self.config.worker) else { return };
        let track = subscribe.track;
        let relays = &mut self.relays;
        let arriving = relays.arriving.entry(track).or_insert_with(|| {
            relays.messages.push_back((from, Relay::Attach { track }));
            Arriving { from, subscribes: Vec::new() }
        });
        if !arriving.subscribes.iter().any(|known| known.session == subscribe.session) {
            arriving.subscribes.push(subscribe.clone());
        }
    }

    pub(crate) fn forget_awaited(&mut self, session: SessionKey, track: Option<TrackKey>) {
        for (key, arriving) in &mut self.relays.arriving {
            if track.is_none_or(|track| track == *key) {
                arriving.subscribes.retain(|subscribe| subscribe.session != session);
            }
        }
    }

    pub(crate) fn configure_awaited(&mut self, session: SessionKey, track: TrackKey, disabled: bool) {
        let Some(arriving) = self.relays.arriving.get_mut(&track) else { return };
        for subscribe in arriving.subscribes.iter_mut().filter(|subscribe| subscribe.session == session) {
            subscribe.disabled = disabled;
        }
    }

    fn described(&mut self, now: Instant, from: WorkerKey, told: &RelayedTrack) {
        let track = told.track;
        let Some(arriving) = self.relays.arriving.remove(&track) else { return };
        let mut receiver = Receiver::new(ReceiverConfig {
            kind: told.kind,
            clock_rate: told.codec.clock_rate(),
            screen_share: told.screen_share,
            nack: false,
        });
        receiver.set_alive(alive(&told.layers).0);
        let index = self.publications.insert(Publication {
            receiver,
            fanout: Fanout::default(),
            muted: told.muted,
            codecs: Codec::ALL.into_iter().map(|codec| (codec as u8, codec)).collect(),
            repairs: Vec::new(),
            extensions: ExtensionMap::default(),
            relays: Vec::new(),
            told_alive: LayerSet::default(),
            wanted: LayerSet::default(),
            origin: Origin::Relay { worker: from },
            key: track,
            subscriptions: Vec::new(),
            kind: told.kind,
            codec: told.codec,
            fmtp: told.fmtp.to_string(),
            screen_share: told.screen_share,
            mid: "".into(),
            rids: Vec::new(),
        }) as u32;
        self.by_track.insert(track, index);
        for subscribe in &arriving.subscribes {
            self.subscribe(now, subscribe);
        }
        // everybody who wanted it has left meanwhile, or cannot take it
        self.end_if_unwanted(index);
    }

    fn relayed_packets(&mut self, now: Instant, from: WorkerKey, batch: &RelayBatch) {
        let mut rest = batch.bytes.as_slice();
        let mut last: Option<(TrackKey, Option<u32>)> = None;
        for packet in &batch.packets {
            let Some((bytes, after)) = rest.split_at_checked(packet.len()) else { return };
            rest = after;
            // packets of one track come in rows
            let index = match last {
                Some((track, index)) if track == packet.track => index,
                _ => self.relayed_from(from, packet.track),
            };
            last = Some((packet.track, index));
            if let Some(index) = index {
                self.relayed_packet(now, index, packet, bytes);
            }
        }
    }

    fn relayed_packet(&mut self, now: Instant, index: u32, packet: &RelayedPacket, bytes: &[u8]) {
        let (payload, rest) = bytes.split_at(usize::from(packet.payload));
        let (dependency_descriptor, abs_capture_time) = rest.split_at(usize::from(packet.dependency_descriptor));
        let received = Received {
            layer: Layer(packet.layer),
            ext_seq: packet.ext_seq,
            timestamp: packet.timestamp,
            marker: packet.marker,
            key_frame: packet.key_frame,
            restarted: packet.restarted,
            empty: payload.is_empty(),
            media_time: self.config.wall_clock.instant(packet.media_time),
            payload_len: packet.payload,
            vp8: packet.vp8,
        };
        let stored =
            RingPacket { payload, payload_type: packet.codec as u8, vp8: packet.vp8, dependency_descriptor, abs_capture_time };
        let receiver = &mut self.publications[index as usize].receiver;
        if receiver.handle_relayed(now, &received, &stored).is_some() {
            self.meters.relayed_down += 1;
            self.fan_out(now, index, &received);
        } else {
            self.meters.dropped_duplicates += 1;
        }
    }

    fn relayed_from(&self, from: WorkerKey, track: TrackKey) -> Option<u32> {
        let index = *self.by_track.get(&track)?;
        let publication = self.publications.get(index as usize)?;
        (publication.origin == Origin::Relay { worker: from }).then_some(index)
    }

    /// Tells the publisher's worker which layers are wanted here, when that changed: the one all should have, and those that some
    /// still have until it begins.
    pub(crate) fn refresh_want(&mut self, now: Instant, index: u32) {
        let Some(publication) = self.publications.get_mut(index as usize) else { return };
        let Origin::Relay { worker } = publication.origin else { return };
        let mut wanted = LayerSet::default();
        if !publication.fanout.active().is_empty() {
            let lines = publication.fanout.active().iter().filter_map(|s| self.subscriptions.get(*s as usize)?.line.as_ref());
            let current = lines.filter_map(|line| line.down_track.current());
            wanted = current.chain(publication.receiver.target(now)).fold(wanted, |set, layer| set.with(layer.0));
            // nothing is alive yet: whatever begins, its first packets shall not be missed
            if wanted == LayerSet::default() {
                wanted = LayerSet::ALL;
            }
        }
        if publication.wanted != wanted {
            publication.wanted = wanted;
            self.relays.send(worker, Relay::Want { track: publication.key, layers: wanted });
        }
    }

    /// A relayed track without subscriptions is given back.
    pub(crate) fn end_if_unwanted(&mut self, index: u32) {
        let Some(publication) = self.publications.get(index as usize) else { return };
        let Origin::Relay { worker } = publication.origin else { return };
        if publication.subscriptions.is_empty() && self.by_track.get(&publication.key) == Some(&index) {
            let track = publication.key;
            self.by_track.remove(&track);
            self.publications.remove(index as usize);
            self.relays.send(worker, Relay::Detach { track });
        }
    }

    pub(crate) fn live_relays(&self) -> (u64, u64) {
        let of_relays = |p: &Publication| matches!(p.origin, Origin::Relay { .. });
        let down = self.publications.iter().filter(|(_, p)| of_relays(p)).count() + self.relays.arriving.len();
        let up: usize = self.publications.iter().map(|(_, p)| p.relays.len()).sum();
        (down as u64, up as u64)
    }
}

fn alive(layers: &LayerReports) -> LayerSet {
    let set = layers.iter().enumerate().filter(|(_, report)| report.is_alive);
    set.fold(LayerSet::default(), |set, (at, _)| set.with(at as u8))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sluicegate_contract::RoomKey;

    use super::*;

    pub(super) fn packet() -> RelayedPacket {
        RelayedPacket {
            track: TrackKey { room: RoomKey(1), index: 1 },
            ext_seq: 1,
            arrived: Duration::ZERO,
            media_time: Duration::ZERO,
            timestamp: 1,
            codec: Codec::Opus,
            vp8: None,
            payload: 0,
            dependency_descriptor: 0,
            abs_capture_time: 0,
            layer: 0,
            marker: false,
            key_frame: false,
            restarted: false,
        }
    }

    #[test]
    fn a_batch_holds_so_many_packets() {
        let packet = packet();
        let mut relays = Relays::default();
        for _ in 0..RELAY_BATCH_PACKETS_MAX {
            relays.batch(WorkerKey::local(1)).packets.push(packet);
        }
        assert!(relays.messages.is_empty());
        relays.batch(WorkerKey::local(1)).packets.push(packet);
        let Some((_, Relay::Packets(full))) = relays.messages.pop_front() else { panic!("no batch") };
        assert_eq!((full.packets.len(), relays.batch(WorkerKey::local(1)).packets.len()), (RELAY_BATCH_PACKETS_MAX, 1));
    }
}
