//! A track that comes up: its announcement, its m-line, its receiver, and who gets it.

use sluicegate_contract::command::AddTrack;
use sluicegate_contract::relay::LayerSet;
use sluicegate_contract::{TrackKey, WorkerKey};
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::ExtensionMap;
use sluicegate_sfu::fanout::Fanout;
use sluicegate_sfu::receiver::Receiver;

use crate::demux::TransportIndex;

/// One published track, from the moment its m-line is negotiated.
#[derive(Debug)]
pub struct Publication {
    // hot: touched for each packet
    pub receiver: Receiver,
    pub fanout: Fanout,
    pub muted: bool,
    /// Payload types of this m-line and what they carry; short, so a scan beats a table.
    pub codecs: Vec<(u8, Codec)>,
    /// Repair payload types and the ones they repair.
    pub repairs: Vec<(u8, u8)>,
    pub extensions: ExtensionMap,
    /// Other workers that have subscribers of it.
    pub relays: Vec<RelaySink>,
    /// The layers that were last told alive to them.
    pub told_alive: LayerSet,

    // cold
    pub origin: Origin,
    /// Of a relayed track: the layers its publisher's worker was asked for.
    pub wanted: LayerSet,
    pub key: TrackKey,
    /// Everybody who subscribed, active or not.
    pub subscriptions: Vec<u32>,
    pub kind: MediaKind,
    pub codec: Codec,
    pub fmtp: String,
    pub screen_share: bool,
    pub mid: Box<str>,
    pub rids: Vec<Box<str>>,
}

/// Where a track comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A participant's transport on this worker.
    Session { session: u32, transport: TransportIndex },
    /// Another worker.
    Relay { worker: WorkerKey },
}

/// Another worker that gets a track.
#[derive(Clone, Copy, Debug)]
pub struct RelaySink {
    pub worker: WorkerKey,
    pub wanted: LayerSet,
    /// Layers that wait for a key frame, because the lane was full.
    pub blocked: LayerSet,
}

impl Publication {
    /// The session that publishes it here.
    pub fn session(&self) -> Option<u32> {
        match self.origin {
            Origin::Session { session, .. } => Some(session),
            Origin::Relay { .. } => None,
        }
    }

    /// Whether it comes up on this transport.
    pub fn comes_on(&self, link: TransportIndex) -> bool {
        matches!(self.origin, Origin::Session { transport, .. } if transport == link)
    }

    /// The codec that a payload type of this m-line carries.
    pub fn codec_of(&self, payload_type: u8) -> Option<Codec> {
        self.codecs.iter().find(|(pt, _)| *pt == payload_type).map(|(_, codec)| *codec)
    }

    /// The payload type that a repair payload type stands for.
    pub fn repaired_by(&self, payload_type: u8) -> Option<u8> {
        self.repairs.iter().find(|(repair, _)| *repair == payload_type).map(|(_, of)| *of)
    }
}

/// Tracks that the client announced and that have no m-line yet, in the order of their announcement.
#[derive(Debug, Default)]
pub struct Announced(Vec<AddTrack>);

impl Announced {
    pub fn push(&mut self, add: AddTrack) {
        self.0.push(add);
    }

    pub fn iter(&self) -> impl Iterator<Item = &AddTrack> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The announcement that belongs to an m-line (LiveKit's order: SDP track id equals a cid; else the first of the same kind).
    pub fn find(&self, kind: MediaKind, track_id: Option<&str>) -> Option<&AddTrack> {
        let named = |add: &&AddTrack| track_id.is_some_and(|id| add.cids.iter().any(|cid| &**cid == id));
        let mut of_kind = self.0.iter().filter(|add| add.kind == kind);
        of_kind.clone().find(named).or_else(|| of_kind.next())
    }

    pub fn take(&mut self, track: TrackKey) -> Option<AddTrack> {
        let at = self.0.iter().position(|add| add.track == track)?;
        Some(self.0.remove(at))
    }

    pub fn get_mut(&mut self, track: TrackKey) -> Option<&mut AddTrack> {
        self.0.iter_mut().find(|add| add.track == track)
    }
}

#[cfg(test)]
mod tests {
    use sluicegate_contract::{RoomKey, SessionKey};

    use super::*;

    fn add(index: u32, kind: MediaKind, cid: &str) -> AddTrack {
        let room = RoomKey(0);
        AddTrack {
            session: SessionKey { room, index: 0 },
            track: TrackKey { room, index },
            kind,
            cids: vec![cid.into()],
            preferred_codec: None,
            disable_red: false,
            stereo: false,
            dtx: true,
            muted: false,
            screen_share: false,
            rids: Vec::new(),
        }
    }

    #[test]
    fn the_cid_wins_over_the_order() {
        let mut announced = Announced::default();
        announced.push(add(1, MediaKind::Video, "a"));
        announced.push(add(2, MediaKind::Audio, "b"));
        announced.push(add(3, MediaKind::Video, "c"));
        let found = |announced: &Announced, kind, id: &str| announced.find(kind, Some(id)).map(|add| add.track.index);
        assert_eq!(found(&announced, MediaKind::Video, "c"), Some(3));
        assert_eq!(found(&announced, MediaKind::Video, "b"), Some(1), "a cid of another kind does not count");
        assert_eq!(found(&announced, MediaKind::Audio, "unheard of"), Some(2));
        announced.take(TrackKey { room: RoomKey(0), index: 2 });
        assert_eq!(found(&announced, MediaKind::Audio, "b"), None);
    }
}
