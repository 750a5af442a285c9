//! Offer and answer (RFC 8829, RFC 9143, RFC 8853) of one PeerConnection.
//!
//! Owns the media sections in their order, what each carries, and the numbers of what we send. In the answering role the peer's
//! sending sections become receivers and its receiving ones carry our senders; in the offering role every section is ours.
//! Everything is bundled and multiplexed. Deliberately lacks rollback: each side has one description under way.

mod answer;
pub mod codecs;
mod offer;
mod offered;
mod text;

use std::collections::BTreeMap;

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::ExtensionMap;

pub use codecs::NegotiatedCodec;
pub use offered::OfferedSection;

use crate::connection::{Fingerprint, Remote};
use crate::sdp::SdpError;

/// SSRCs one section may name.
pub const SSRCS_MAX: usize = 64;
/// Simulcast layers of one section (LiveKit has three).
pub const RIDS_MAX: usize = 3;
/// Characters of a mid, rid, stream or track id.
pub const LABEL_MAX: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The peer offers.
    Answer,
    /// We offer.
    Offer,
}

/// Our end of the transport, as the description shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalParameters {
    pub ufrag: String,
    pub pwd: String,
    /// `sha-256 AB:…`
    pub fingerprint: String,
    pub ice_lite: bool,
    /// Lines `candidate:…`.
    pub candidates: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct NegotiationConfig {
    pub role: Role,
    pub local: LocalParameters,
    /// The peer sends and receives on this one PeerConnection.
    pub single_pc: bool,
    /// Codecs the peer may send.
    pub publish: Vec<Codec>,
    /// Codecs we may send.
    pub subscribe: Vec<Codec>,
    pub session_id: u64,
    /// SSRCs count upwards from here; a section that is used again gets new ones.
    pub first_ssrc: u32,
}

/// What the room knows about a track whose section is being answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishHint {
    pub preferred_codec: Option<Codec>,
    pub disable_red: bool,
    pub stereo: bool,
    pub dtx: bool,
}

/// A track we want to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderSpec {
    /// The caller's name for it.
    pub key: u64,
    pub kind: MediaKind,
    pub codec: Codec,
    /// The source's format parameters: its profile decides who can take it.
    pub fmtp: String,
    pub stream_id: String,
    pub track_id: String,
}

/// The peer's end of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParameters {
    pub transport: Remote,
    pub candidates: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    #[error(transparent)]
    Sdp(#[from] SdpError),
    #[error("the description has no ICE credentials")]
    NoCredentials,
    #[error("the description has no usable certificate fingerprint")]
    NoFingerprint,
    #[error("the sections are not those of the previous description")]
    Sections,
    #[error("this PeerConnection is offered by the other side")]
    Role,
    #[error("a label cannot be written into a description")]
    Label,
}

/// One section, in the order of the description.
#[derive(Clone, Debug)]
pub struct Section {
    pub mid: String,
    pub kind: SectionKind,
    pub use_: Use,
    /// What the peer said of it last.
    pub(crate) offered: Option<OfferedSection>,
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
#[derive(Clone, Debug)]
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
    /// Stream and track id of its `msid`.
    pub stream_id: Option<String>,
    pub track_id: Option<String>,
    /// As answered, best first.
    pub codecs: Vec<NegotiatedCodec>,
    pub extensions: ExtensionMap,
    /// Primary SSRCs with their repair streams, in the order of the description.
    pub ssrcs: Vec<(u32, Option<u32>)>,
    /// In the order of the description: lowest layer first with LiveKit's clients.
    pub rids: Vec<String>,
    pub(crate) hint: PublishHint,
}

/// What leaves on a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendSection {
    pub key: u64,
    pub kind: MediaKind,
    pub codec: Codec,
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    /// Where RED wraps the codec.
    pub red_payload_type: Option<u8>,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub extensions: ExtensionMap,
    pub stream_id: String,
    pub track_id: String,
    /// The peer knows of it: media may flow.
    pub active: bool,
}

/// A PeerConnection's negotiated state.
#[derive(Debug)]
pub struct Negotiation {
    pub(crate) config: NegotiationConfig,
    pub(crate) sections: Vec<Section>,
    /// Senders by key, in the order of their arrival through `order`.
    pub(crate) senders: BTreeMap<u64, Sender>,
    pub(crate) order: u64,
    pub(crate) remote: Option<RemoteParameters>,
    pub(crate) version: u64,
    pub(crate) next_ssrc: u32,
    pub(crate) next_mid: u32,
    pub(crate) with_data: bool,
}

#[derive(Debug)]
pub(crate) struct Sender {
    pub spec: SenderSpec,
    pub order: u64,
    pub state: SenderState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SenderState {
    Waiting,
    Bound,
    /// The peer cannot take the codec.
    Failed,
}

impl Negotiation {
    pub fn new(config: NegotiationConfig) -> Self {
        let next_ssrc = config.first_ssrc.max(1);
        Self {
            config,
            sections: Vec::new(),
            senders: BTreeMap::new(),
            order: 0,
            remote: None,
            version: 0,
            next_ssrc,
            next_mid: 0,
            with_data: false,
        }
    }

    /// The first offer will carry a section for data channels.
    pub fn want_data(&mut self) {
        self.with_data = true;
    }

    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub fn remote(&self) -> Option<&RemoteParameters> {
        self.remote.as_ref()
    }

    /// After an ICE restart our credentials are new.
    pub fn set_local_credentials(&mut self, ufrag: &str, pwd: &str) {
        ufrag.clone_into(&mut self.config.local.ufrag);
        pwd.clone_into(&mut self.config.local.pwd);
    }

    /// A track to send with the next description.
    pub fn add_sender(&mut self, spec: SenderSpec) -> Result<(), NegotiateError> {
        if !is_label(&spec.stream_id) || !is_label(&spec.track_id) {
            return Err(NegotiateError::Label);
        }
        self.order += 1;
        self.senders.insert(spec.key, Sender { spec, order: self.order, state: SenderState::Waiting });
        Ok(())
    }

    /// Stops sending; its section becomes free with the next description.
    pub fn remove_sender(&mut self, key: u64) {
        self.senders.remove(&key);
        for section in &mut self.sections {
            if matches!(&section.use_, Use::Send(send) if send.key == key) {
                section.use_ = Use::Idle;
            }
        }
    }

    pub fn is_failed(&self, key: u64) -> bool {
        self.senders.get(&key).is_some_and(|sender| sender.state == SenderState::Failed)
    }

    /// The negotiated numbers of a sender.
    pub fn send_section(&self, key: u64) -> Option<(&str, &SendSection)> {
        self.sections.iter().find_map(|section| match &section.use_ {
            Use::Send(send) if send.key == key => Some((section.mid.as_str(), &**send)),
            _ => None,
        })
    }

    /// Senders without a section: (audio, video).
    pub fn outstanding(&self) -> (u32, u32) {
        let count = |kind| {
            self.senders.values().filter(|s| s.state == SenderState::Waiting && s.spec.kind == kind).count() as u32
        };
        (count(MediaKind::Audio), count(MediaKind::Video))
    }

    /// Answering role: the peer's receiving sections that carry nothing yet: (audio, video).
    pub fn spare(&self) -> (u32, u32) {
        let count = |kind| self.sections.iter().filter(|section| section.is_spare(kind)).count() as u32;
        (count(MediaKind::Audio), count(MediaKind::Video))
    }

    /// Media sections of the last description: (audio, video).
    pub fn counts(&self) -> (u32, u32) {
        let count = |kind| self.sections.iter().filter(|section| section.kind == SectionKind::Media(kind)).count() as u32;
        (count(MediaKind::Audio), count(MediaKind::Video))
    }

    /// An SSRC that nothing on this PeerConnection uses.
    pub fn take_ssrc(&mut self) -> u32 {
        let ssrc = self.next_ssrc;
        self.next_ssrc = self.next_ssrc.wrapping_add(1).max(1);
        ssrc
    }

    /// Waiting senders of a kind, the longest waiting first.
    pub(crate) fn waiting(&self, kind: MediaKind) -> Vec<u64> {
        let mut waiting: Vec<(u64, u64)> = self
            .senders
            .iter()
            .filter(|(_, sender)| sender.state == SenderState::Waiting && sender.spec.kind == kind)
            .map(|(key, sender)| (sender.order, *key))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, key)| key).collect()
    }
}

impl Section {
    /// Free for one of our senders: the peer wants to receive on it.
    pub(crate) fn is_spare(&self, kind: MediaKind) -> bool {
        self.kind == SectionKind::Media(kind)
            && matches!(self.use_, Use::Idle)
            && self.offered.as_ref().is_some_and(|offered| offered.wants_to_receive)
    }
}

/// A label of the peer or of the room that may stand in a line of a description.
pub(crate) fn is_label(label: &str) -> bool {
    !label.is_empty() && label.len() <= LABEL_MAX && label.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `sha-256 AB:CD` as bytes.
pub(crate) fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let (algorithm, digits) = text.trim().split_once(' ')?;
    let bytes: Option<Vec<u8>> = digits.trim().split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    let bytes = bytes.filter(|bytes| (20..=64).contains(&bytes.len()))?;
    Some(Fingerprint { algorithm: algorithm.to_ascii_lowercase(), bytes })
}

#[cfg(test)]
mod tests;
