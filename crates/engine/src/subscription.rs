//! A track that goes down to one participant: its m-line, its down track.

use sluicegate_contract::TrackKey;
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::ExtensionMap;
use sluicegate_sfu::down_track::DownTrack;

use crate::demux::TransportIndex;

/// One participant's subscription to one track.
#[derive(Debug)]
pub struct Subscription {
    // hot: touched for each packet
    /// None until the m-line is negotiated.
    pub line: Option<DownLine>,
    pub publication: u32,
    pub transport: TransportIndex,

    // cold
    pub track: TrackKey,
    pub session: u32,
    pub kind: MediaKind,
    /// The subscriber wants nothing at the moment; the m-line stays.
    pub disabled: bool,
}

/// What the negotiated m-line gives: numbers to write and the state of the stream.
#[derive(Debug)]
pub struct DownLine {
    pub down_track: DownTrack,
    pub ssrc: u32,
    pub rtx: Option<Rtx>,
    pub payload_types: PayloadTypes,
    pub extensions: ExtensionMap,
    pub cname: Box<str>,
}

#[derive(Clone, Copy, Debug)]
pub struct Rtx {
    pub ssrc: u32,
    pub payload_type: u8,
}

/// Payload types of the subscriber's m-line by what they carry.
#[derive(Clone, Copy, Debug)]
pub struct PayloadTypes {
    /// The track's own codec (Opus where RED wraps it).
    pub main: u8,
    pub red: Option<u8>,
}

/// How a packet of a publisher's codec goes to a subscriber's m-line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carriage {
    /// The payload as it is, under this payload type.
    AsIs(u8),
    /// The subscriber has no RED: only the newest frame of it, under this payload type.
    RedPrimary(u8),
}

impl PayloadTypes {
    pub fn carriage(self, codec: Codec) -> Carriage {
        match (codec, self.red) {
            (Codec::Red, Some(red)) => Carriage::AsIs(red),
            (Codec::Red, None) => Carriage::RedPrimary(self.main),
            _ => Carriage::AsIs(self.main),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn red_is_unwrapped_for_those_who_lack_it() {
        let with = PayloadTypes { main: 111, red: Some(63) };
        let without = PayloadTypes { main: 111, red: None };
        assert_eq!(with.carriage(Codec::Red), Carriage::AsIs(63));
        assert_eq!(with.carriage(Codec::Opus), Carriage::AsIs(111));
        assert_eq!(without.carriage(Codec::Red), Carriage::RedPrimary(111));
    }
}
