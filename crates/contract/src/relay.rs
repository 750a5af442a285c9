//! What one worker tells another about a track that has subscribers there (lane *relay*).
//!
//! The subscriber's worker asks (`Attach`), the publisher's describes the track and sends its packets in batches; back come the
//! layers that are wanted and requests for key frames. Everything is an owned value without numbers of any PeerConnection, and times
//! are Unix times, so that the same messages can pass between nodes.
//!
//! Packets may be lost when the lane is full; everything else arrives, in order.

use std::time::Duration;

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::vp8;

use crate::key::{DataTrackKey, TrackKey};

/// Raised whenever the meaning of a message changes.
pub const RELAY_VERSION: u16 = 2;

/// A media worker of a node; node 0 is this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerKey {
    pub node: u16,
    pub index: u16,
}

impl WorkerKey {
    /// A worker of this process.
    pub const fn local(index: u16) -> Self {
        Self { node: 0, index }
    }
}

/// One message between workers.
#[derive(Clone, Debug)]
pub enum Relay {
    /// From the subscriber's side: somebody here wants the track. Answered by `Described` or `Ended`.
    Attach {
        track: TrackKey,
    },
    /// Nobody here wants the track any more.
    Detach {
        track: TrackKey,
    },
    /// The layers to send from now on; none of them: the track stays attached and costs nothing.
    Want {
        track: TrackKey,
        layers: LayerSet,
    },
    /// A subscriber here needs a key frame of this layer.
    KeyFrame {
        track: TrackKey,
        layer: u8,
    },

    /// From the publisher's side: the answer to `Attach`.
    Described(Box<RelayedTrack>),
    /// The layers' liveness and rates, when the liveness changed and once a second.
    Layers {
        track: TrackKey,
        layers: LayerReports,
    },
    Muted {
        track: TrackKey,
        muted: bool,
    },
    /// There is no such track, or not any more.
    Ended {
        track: TrackKey,
    },
    Packets(RelayBatch),

    /// From the subscriber's side: somebody here wants the data track. Its packets follow, and its end is the rooms' to tell.
    AttachData {
        track: DataTrackKey,
    },
    DetachData {
        track: DataTrackKey,
    },
    /// Packets of data tracks as their publishers sent them, in order. Where the lane is full they are lost.
    DataPackets(DataPackets),

    /// The sending worker began anew and knows nothing of what was before.
    Restarted,
}

/// Whole packets with the track that each is of.
pub type DataPackets = Vec<(DataTrackKey, Vec<u8>)>;

/// What a far Receiver must know of a track.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayedTrack {
    pub track: TrackKey,
    pub kind: MediaKind,
    pub codec: Codec,
    /// Format parameters of the publisher's m-line, without `a=fmtp:` and payload type.
    pub fmtp: Box<str>,
    pub screen_share: bool,
    pub muted: bool,
    pub layers: LayerReports,
}

/// A set of layers, bit 0 the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerSet(pub u8);

impl LayerSet {
    pub const ALL: Self = Self(0b111);

    pub const fn one(layer: u8) -> Self {
        Self(1 << layer)
    }

    pub const fn contains(self, layer: u8) -> bool {
        layer < 8 && self.0 & (1 << layer) != 0
    }

    pub const fn with(self, layer: u8) -> Self {
        Self(self.0 | 1 << layer)
    }

    pub const fn without(self, layer: u8) -> Self {
        Self(self.0 & !(1 << layer))
    }
}

/// One entry per layer, the lowest first.
pub type LayerReports = [LayerReport; 3];

/// How a layer is at its publisher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerReport {
    pub is_alive: bool,
    /// Payload bits per second over the last second.
    pub bits_per_second: u32,
}

/// Packets of one tick for one worker: heads, and their bytes one after the other.
#[derive(Clone, Debug, Default)]
pub struct RelayBatch {
    pub packets: Vec<RelayedPacket>,
    pub bytes: Vec<u8>,
}

impl RelayBatch {
    pub fn clear(&mut self) {
        self.packets.clear();
        self.bytes.clear();
    }
}

/// A packet as the publisher's Receiver took it. Its bytes in the batch: payload, dependency descriptor, capture time.
#[derive(Clone, Copy, Debug)]
pub struct RelayedPacket {
    pub track: TrackKey,
    pub ext_seq: u64,
    /// Unix time at which it arrived.
    pub arrived: Duration,
    /// Unix time at which it was made, by the publisher's clock brought to the server's.
    pub media_time: Duration,
    pub timestamp: u32,
    pub codec: Codec,
    pub vp8: Option<vp8::Descriptor>,
    pub payload: u16,
    pub dependency_descriptor: u16,
    pub abs_capture_time: u16,
    pub layer: u8,
    pub marker: bool,
    pub key_frame: bool,
    /// The source jumped: nothing of it connects with what came before.
    pub restarted: bool,
}

impl RelayedPacket {
    /// How many bytes of the batch are its own.
    pub fn len(&self) -> usize {
        usize::from(self.payload) + usize::from(self.dependency_descriptor) + usize::from(self.abs_capture_time)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_of_layers() {
        let set = LayerSet::one(0).with(2);
        assert_eq!([0, 1, 2, 3, 9].map(|layer| set.contains(layer)), [true, false, true, false, false]);
        assert_eq!(set.without(0), LayerSet::one(2));
    }
}
