//! One section of the description and what it carries.

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::ExtensionMap;

use super::feedback::Congestion;
use super::{NegotiatedCodec, OfferedSection, PublishHint};

/// One section, in the order of the description.
#[derive(Clone, Debug)]
pub struct Section {
    pub mid: String,
    pub kind: SectionKind,
    pub use_: Use,
    /// What the peer said of it last (answering role).
    pub(super) offered: Option<OfferedSection>,
    /// The peer has seen the section without a track of ours since it carried the last one. By the standard it reports a new
    /// track only then (W3C webrtc-pc §4.4.1.5; Chromium does so in any case).
    pub(super) settled: bool,
    /// The offer under way shows it without a track, or given up (offering role).
    pub(super) shown_idle: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SectionKind {
    Media(MediaKind),
    /// Data channels.
    Data,
    /// Something we do not speak.
    Unknown,
}

/// What a section carries at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Use {
    /// Nothing.
    Idle,
    /// Refused, or taken away by the peer (port 0).
    Rejected,
    /// The peer's track.
    Receive(Box<ReceiveSection>),
    /// Ours.
    Send(Box<SendSection>),
    Data,
}

/// What arrives on a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiveSection {
    pub kind: MediaKind,
    /// Stream and track id of its `msid`. A different track id under the same mid is another publication.
    pub stream_id: Option<String>,
    pub track_id: Option<String>,
    /// As answered, best first: the peer sends the first one.
    pub codecs: Vec<NegotiatedCodec>,
    pub extensions: ExtensionMap,
    /// Primary SSRCs with their repair streams, in the order of the description. Often empty where there are rids.
    pub ssrcs: Vec<(u32, Option<u32>)>,
    /// In the order of the description: lowest layer first with LiveKit's clients.
    pub rids: Vec<String>,
    /// The feedback that the peer's estimator waits for; none for audio.
    pub congestion: Option<Congestion>,
    pub(super) hint: PublishHint,
}

/// What leaves on a section. The numbers of an SSRC never change while it is active.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendSection {
    pub key: u64,
    pub kind: MediaKind,
    /// The track's codec. RED without a `red_payload_type`: the peer takes only what RED wraps.
    pub codec: Codec,
    /// Of the codec itself; of Opus, where the track is RED.
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    pub red_payload_type: Option<u8>,
    pub ssrc: u32,
    /// Only sent where there is a payload type for it.
    pub rtx_ssrc: u32,
    pub extensions: ExtensionMap,
    /// The peer asks for what it lost.
    pub nack: bool,
    /// How the peer tells of congestion; none: not at all.
    pub congestion: Option<Congestion>,
    pub stream_id: String,
    pub track_id: String,
    /// The peer knows of it: media may flow.
    pub active: bool,
    pub(super) codecs: Vec<NegotiatedCodec>,
}

impl Section {
    pub(super) fn new(mid: String, kind: SectionKind, use_: Use) -> Self {
        Self { mid, kind, use_, offered: None, settled: true, shown_idle: false }
    }

    /// Answering role: free for one of our senders: the peer wants to receive on it.
    pub(super) fn is_spare(&self, kind: MediaKind) -> bool {
        self.kind == SectionKind::Media(kind)
            && self.settled
            && self.use_ == Use::Idle
            && self.offered.as_ref().is_some_and(|offered| offered.wants_to_receive)
    }

    pub(super) fn name(&self) -> &'static str {
        match self.kind {
            SectionKind::Media(MediaKind::Audio) => "audio",
            SectionKind::Media(MediaKind::Video) => "video",
            SectionKind::Data | SectionKind::Unknown => "application",
        }
    }
}
