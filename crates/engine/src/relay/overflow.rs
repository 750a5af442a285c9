//! A lane that was full: its layers have a hole, and nothing of them goes on before their next key frame.

use std::time::Instant;

use sluicegate_contract::relay::{RelayBatch, RelayedPacket};
use sluicegate_contract::{Relay, TrackKey, WorkerKey};
use sluicegate_rtp::codec::MediaKind;
use sluicegate_sfu::receiver::Layer;

use super::Relays;
use crate::engine::Engine;

/// A layer of a track.
type Hole = (TrackKey, u8);

impl Relays {
    /// What is behind the holes in batches that wait already: it goes on with a key frame, as a new start, and no more than that is
    /// left in `holes`. Returns how many packets were taken out.
    fn close(&mut self, to: WorkerKey, holes: &mut Vec<Hole>) -> usize {
        let waiting = self.messages.iter_mut().filter_map(|(worker, message)| match message {
            Relay::Packets(batch) if *worker == to => Some(batch),
            _ => None,
        });
        let growing = self.batches.iter_mut().filter(|(worker, _)| *worker == to).map(|(_, batch)| batch);
        waiting.chain(growing).map(|batch| cut(batch, holes)).sum()
    }
}

fn cut(batch: &mut RelayBatch, holes: &mut Vec<Hole>) -> usize {
    let before = batch.packets.len();
    if holes.is_empty() {
        return 0;
    }
    let (mut from, mut end) = (0, 0);
    let RelayBatch { packets, bytes } = batch;
    packets.retain_mut(|packet| {
        let next = from + packet.len();
        let goes = passes(packet, holes);
        if goes {
            bytes.copy_within(from..next, end);
            end += next - from;
        }
        from = next;
        goes
    });
    bytes.truncate(end);
    before - packets.len()
}

fn passes(packet: &mut RelayedPacket, holes: &mut Vec<Hole>) -> bool {
    let Some(at) = holes.iter().position(|hole| *hole == (packet.track, packet.layer)) else { return true };
    if packet.key_frame {
        packet.restarted = true;
        holes.swap_remove(at);
    }
    packet.key_frame
}

impl Engine {
    /// The lane to `to` had no room for this batch: its layers go on with their next key frames.
    pub fn relay_overflowed(&mut self, now: Instant, to: WorkerKey, batch: &RelayBatch) {
        self.meters.dropped_relay += batch.packets.len() as u64;
        let mut holes = Vec::new();
        for packet in &batch.packets {
            let hole = (packet.track, packet.layer);
            // sound has no key frames: what follows is whole
            let is_new = self.relay_sink(to, packet.track).is_some_and(|(_, sink)| !sink.blocked.contains(packet.layer));
            if is_new && !holes.contains(&hole) && self.is_video(packet.track) {
                holes.push(hole);
            }
        }
        let mut blocked = holes.clone();
        self.meters.dropped_relay += self.relays.close(to, &mut blocked) as u64;
        for (track, layer) in blocked {
            let Some((index, sink)) = self.relay_sink(to, track) else { continue };
            sink.blocked = sink.blocked.with(layer);
            self.ask_key_frame(now, index, Layer(layer));
        }
    }

    fn is_video(&self, track: TrackKey) -> bool {
        let publication = self.by_track.get(&track).and_then(|index| self.publications.get(*index as usize));
        publication.is_some_and(|publication| publication.kind == MediaKind::Video)
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_contract::RoomKey;
    use sluicegate_rtp::codec::Codec;

    use super::super::tests::packet;
    use super::*;

    fn track(index: u32) -> TrackKey {
        TrackKey { room: RoomKey(1), index }
    }

    /// Packets of (track, layer, number, key frame), each with its number's worth of bytes.
    fn batch(packets: &[(u32, u8, u64, bool)]) -> RelayBatch {
        let mut batch = RelayBatch::default();
        for (index, layer, ext_seq, key_frame) in packets.iter().copied() {
            let payload = ext_seq as u16;
            let codec = Codec::Vp8;
            batch.packets.push(RelayedPacket { track: track(index), layer, ext_seq, key_frame, payload, codec, ..packet() });
            batch.bytes.extend(std::iter::repeat_n(ext_seq as u8, usize::from(payload)));
        }
        batch
    }

    /// (number, a new start) of the packets, whose bytes are their own.
    fn left(batch: &RelayBatch) -> Vec<(u64, bool)> {
        let mut rest = batch.bytes.as_slice();
        let left = batch.packets.iter().map(|packet| {
            let (bytes, after) = rest.split_at(packet.len());
            rest = after;
            assert!(bytes.iter().all(|byte| u64::from(*byte) == packet.ext_seq));
            (packet.ext_seq, packet.restarted)
        });
        let left = left.collect();
        assert!(rest.is_empty());
        left
    }

    #[test]
    fn what_waits_behind_a_hole_goes_on_with_a_key_frame() {
        let (here, there) = (WorkerKey::local(1), WorkerKey::local(2));
        let mut relays = Relays::default();
        let first = batch(&[(1, 0, 5, false), (2, 0, 6, false), (1, 0, 7, false), (1, 1, 8, false)]);
        relays.messages.push_back((here, Relay::Packets(first.clone())));
        relays.messages.push_back((there, Relay::Packets(first)));
        relays.batches.push((here, batch(&[(1, 0, 9, false), (1, 0, 10, true), (1, 0, 11, false), (1, 1, 12, false)])));
        let mut holes = vec![(track(1), 0), (track(1), 1)];
        assert_eq!(relays.close(here, &mut holes), 5);
        assert_eq!(holes, [(track(1), 1)], "no key frame of it waits");
        let waiting: Vec<_> = relays.messages.iter().map(|(_, message)| message).collect();
        let [Relay::Packets(to_here), Relay::Packets(to_there)] = waiting[..] else { panic!("{waiting:?}") };
        assert_eq!((left(to_here), left(to_there).len()), (vec![(6, false)], 4));
        assert_eq!(left(&relays.batches[0].1), [(10, true), (11, false)]);
    }
}
