//! Offer and answer (RFC 8829, RFC 9143, RFC 8853) of one PeerConnection.
//!
//! Owns the media sections in their order, what each carries, and the numbers of what we send. In the answering role the peer's
//! sending sections become receivers and its receiving ones carry our senders; in the offering role every section is ours.
//! Everything is bundled and multiplexed. A description that is refused with an error changes nothing.
//! Deliberately lacks rollback: each side has one description under way.

mod answer;
pub mod codecs;
mod feedback;
mod offer;
mod offered;
mod receive;
mod section;
mod sender;
mod text;

use std::collections::BTreeMap;

use sluicegate_rtp::codec::{Codec, MediaKind};

pub use codecs::NegotiatedCodec;
pub use feedback::{Congestion, Feedback};
pub use offered::OfferedSection;
pub use section::{ReceiveSection, Section, SectionKind, SendSection, Use};

use crate::connection::{Fingerprint, Remote};
use crate::sdp::SdpError;

/// SSRCs, and groups of SSRCs, one section may name.
pub const SSRCS_MAX: usize = 64;
/// Simulcast layers of one section (LiveKit has three).
pub const RIDS_MAX: usize = 3;
/// Characters of a mid, stream or track id, user name fragment or password.
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
    /// The source's format parameters, as [`NegotiatedCodec::fmtp`] of its section: its profile decides who can take it.
    pub fmtp: String,
    /// Also the CNAME.
    pub stream_id: String,
    pub track_id: String,
}

/// The peer's end of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteParameters {
    pub transport: Remote,
    /// Lines `candidate:…`.
    pub candidates: Vec<String>,
    /// The credentials are not those of the description before.
    pub ice_restart: bool,
    /// Largest message of a data channel that the peer takes; 0: any (RFC 8841 §6).
    pub message_bytes_max: Option<u64>,
}

/// Why a description cannot be used, or a sender not be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NegotiateError {
    #[error(transparent)]
    Sdp(#[from] SdpError),
    #[error("the description has no ICE credentials")]
    NoCredentials,
    #[error("the description has no usable certificate fingerprint (sha-256)")]
    NoFingerprint,
    #[error("the certificate is not the one of the first description")]
    FingerprintChanged,
    #[error("the description does not bundle its sections")]
    NoBundle,
    #[error("two sections have the same mid")]
    DuplicateMid,
    #[error("the sections are not those of the previous description")]
    Sections,
    #[error("this PeerConnection is offered by the other side")]
    Role,
    #[error("a label cannot be written into a description")]
    Label,
}

/// A PeerConnection's negotiated state.
#[derive(Debug)]
pub struct Negotiation {
    config: NegotiationConfig,
    congestion: Congestion,
    only_preferred: bool,
    sections: Vec<Section>,
    senders: BTreeMap<u64, Sender>,
    /// Counts senders in the order of their arrival.
    arrivals: u64,
    remote: Option<RemoteParameters>,
    version: u64,
    next_ssrc: u32,
    next_mid: u32,
    with_data: bool,
    allow_mixed: bool,
    dirty: bool,
}

#[derive(Debug)]
struct Sender {
    spec: SenderSpec,
    arrival: u64,
    state: SenderState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SenderState {
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
            congestion: Congestion::default(),
            only_preferred: false,
            sections: Vec::new(),
            senders: BTreeMap::new(),
            arrivals: 0,
            remote: None,
            version: 0,
            next_ssrc,
            next_mid: 0,
            with_data: false,
            allow_mixed: true,
            dirty: false,
        }
    }

    /// How peers shall tell of congestion on what we send, where they can.
    pub fn set_congestion(&mut self, congestion: Congestion) {
        self.congestion = congestion;
    }

    /// Answers name no codec beside the preferred one of a track. LiveKit: Firefox on Linux and Android.
    pub fn set_only_preferred(&mut self, only_preferred: bool) {
        self.only_preferred = only_preferred;
    }

    /// The next offer will carry a section for data channels.
    pub fn want_data(&mut self) {
        self.dirty |= !self.with_data;
        self.with_data = true;
    }

    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    pub fn remote(&self) -> Option<&RemoteParameters> {
        self.remote.as_ref()
    }

    /// For an ICE restart: the next description shows them.
    pub fn set_local_credentials(&mut self, ufrag: &str, pwd: &str) {
        if ufrag == self.config.local.ufrag && pwd == self.config.local.pwd {
            return;
        }
        ufrag.clone_into(&mut self.config.local.ufrag);
        pwd.clone_into(&mut self.config.local.pwd);
        self.dirty |= self.config.role == Role::Offer;
    }

    /// Lines `candidate:…` for the next descriptions.
    pub fn set_local_candidates(&mut self, candidates: Vec<String>) {
        self.config.local.candidates = candidates;
    }

    /// As the newest description shows it, or the next one will.
    pub fn local_ufrag(&self) -> &str {
        &self.config.local.ufrag
    }

    /// A track to send with the next description. A key that is there already is replaced.
    pub fn add_sender(&mut self, spec: SenderSpec) -> Result<(), NegotiateError> {
        if !is_label(&spec.stream_id) || !is_label(&spec.track_id) {
            return Err(NegotiateError::Label);
        }
        self.remove_sender(spec.key);
        self.arrivals += 1;
        self.dirty = true;
        let can_be_sent = self.config.subscribe.contains(&sender::without_red(spec.codec));
        let state = if can_be_sent { SenderState::Waiting } else { SenderState::Failed };
        self.senders.insert(spec.key, Sender { spec, arrival: self.arrivals, state });
        Ok(())
    }

    /// Stops sending; its section becomes free once the peer was told.
    pub fn remove_sender(&mut self, key: u64) {
        self.dirty |= self.senders.remove(&key).is_some();
        for section in &mut self.sections {
            if matches!(&section.use_, Use::Send(send) if send.key == key) {
                section.use_ = Use::Idle;
            }
        }
    }

    /// Something changed that the peer does not know: an offer must be made, or in the answering role be asked for.
    pub fn needs_offer(&self) -> bool {
        self.dirty
    }

    pub fn is_failed(&self, key: u64) -> bool {
        self.senders.get(&key).is_some_and(|sender| sender.state == SenderState::Failed)
    }

    /// Senders whose codec the peer cannot take. They stay here until they are removed.
    pub fn failed(&self) -> impl Iterator<Item = u64> {
        self.senders.iter().filter(|(_, sender)| sender.state == SenderState::Failed).map(|(key, _)| *key)
    }

    /// The negotiated numbers of a sender, with its mid.
    pub fn send_section(&self, key: u64) -> Option<(&str, &SendSection)> {
        self.sends().find(|(_, send)| send.key == key)
    }

    /// Which sender is on which mid: what becomes `mid_to_track_id` of an answer or offer.
    pub fn mids(&self) -> Vec<(String, u64)> {
        self.sends().map(|(mid, send)| (mid.to_owned(), send.key)).collect()
    }

    /// LiveKit: `SessionDescription.mid_to_track_id`.
    pub fn mid_to_track_id(&self) -> Vec<(String, String)> {
        self.sends().map(|(mid, send)| (mid.to_owned(), send.track_id.clone())).collect()
    }

    /// Senders without a section: (audio, video).
    pub fn outstanding(&self) -> (u32, u32) {
        let count = |kind| self.senders.values().filter(|s| s.state == SenderState::Waiting && s.spec.kind == kind).count() as u32;
        (count(MediaKind::Audio), count(MediaKind::Video))
    }

    /// Answering role: the peer's receiving sections that the next offer can fill: (audio, video).
    pub fn spare(&self) -> (u32, u32) {
        let count = |kind| self.sections.iter().filter(|section| section.is_spare(kind)).count() as u32;
        (count(MediaKind::Audio), count(MediaKind::Video))
    }

    /// Media sections of the last description: (audio, video).
    pub fn counts(&self) -> (u32, u32) {
        let count = |kind| self.sections.iter().filter(|section| section.kind == SectionKind::Media(kind)).count() as u32;
        (count(MediaKind::Audio), count(MediaKind::Video))
    }

    /// An SSRC that nothing of ours on this PeerConnection uses.
    pub fn take_ssrc(&mut self) -> u32 {
        next_ssrc(&mut self.next_ssrc)
    }

    fn sends(&self) -> impl Iterator<Item = (&str, &SendSection)> {
        self.sections.iter().filter_map(|section| match &section.use_ {
            Use::Send(send) => Some((section.mid.as_str(), &**send)),
            _ => None,
        })
    }

    /// Waiting senders of a kind, the longest waiting first.
    fn waiting(&self, kind: MediaKind) -> Vec<u64> {
        let mut waiting: Vec<(u64, u64)> = self
            .senders
            .iter()
            .filter(|(_, sender)| sender.state == SenderState::Waiting && sender.spec.kind == kind)
            .map(|(key, sender)| (sender.arrival, *key))
            .collect();
        waiting.sort_unstable();
        waiting.into_iter().map(|(_, key)| key).collect()
    }

    /// What a section becomes that carries this track from now on, under new SSRCs.
    fn carry(&mut self, spec: &SenderSpec, carried: sender::Carried) -> Use {
        let (ssrc, rtx_ssrc) = (self.take_ssrc(), self.take_ssrc());
        let mut send = SendSection {
            key: spec.key,
            kind: spec.kind,
            codec: spec.codec,
            payload_type: 0,
            rtx_payload_type: None,
            red_payload_type: None,
            ssrc,
            rtx_ssrc,
            extensions: Default::default(),
            nack: false,
            congestion: None,
            stream_id: spec.stream_id.clone(),
            track_id: spec.track_id.clone(),
            active: false,
            codecs: Vec::new(),
        };
        carried.apply(&mut send);
        Use::Send(Box::new(send))
    }
}

fn next_ssrc(counter: &mut u32) -> u32 {
    let ssrc = *counter;
    *counter = counter.wrapping_add(1).max(1);
    ssrc
}

/// A label of the peer or of the room that may stand in a line of a description.
fn is_label(label: &str) -> bool {
    !label.is_empty() && label.len() <= LABEL_MAX && label.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `sha-256 AB:CD` as bytes.
fn parse_fingerprint(text: &str) -> Option<Fingerprint> {
    let (algorithm, digits) = text.trim().split_once(' ')?;
    let digits = digits.trim();
    if digits.len() > 3 * 64 {
        return None;
    }
    let bytes: Option<Vec<u8>> = digits.split(':').map(|pair| u8::from_str_radix(pair, 16).ok()).collect();
    let bytes = bytes.filter(|bytes| (20..=64).contains(&bytes.len()))?;
    Some(Fingerprint { algorithm: algorithm.to_ascii_lowercase(), bytes })
}

#[cfg(test)]
mod tests;
