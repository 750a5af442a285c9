//! How one of our tracks goes out on a section: the numbers that the peer takes, the header extensions, the feedback.

use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::{ExtensionKind, ExtensionMap};

use super::codecs::{NegotiatedCodec, fit, own_numbers};
use super::feedback::{Congestion, Feedback};
use super::offered::OfferedSection;
use super::{SendSection, SenderSpec};

/// What is written for a track: RED first where it wraps the codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Carried {
    pub red: Option<NegotiatedCodec>,
    pub main: NegotiatedCodec,
    pub extensions: ExtensionMap,
    pub congestion: Option<Congestion>,
}

impl Carried {
    /// The peer's numbers for a track of ours, from the codecs of its section; none: it cannot take the track.
    pub fn taken(spec: &SenderSpec, section: &OfferedSection, wanted: Congestion) -> Option<Self> {
        let plain = without_red(spec.codec);
        let fits = section.codecs.iter().filter(|codec| codec.codec == plain);
        let (_, main) = fits.filter_map(|codec| Some((fit(plain, &spec.fmtp, &codec.fmtp)?, codec))).min_by_key(|(fit, _)| *fit)?;
        let wraps = |codec: &&NegotiatedCodec| codec.codec == Codec::Red && red_wraps(&codec.fmtp, main.payload_type);
        let red = if spec.codec == Codec::Red { section.codecs.iter().find(wraps).cloned() } else { None };
        let congestion = Self::congestion(spec.kind, main.feedback, &section.extensions, wanted);
        let mut main = main.clone();
        main.feedback = main.feedback & our_feedback(spec.kind, congestion, red.is_some());
        let extensions = intersect(&section.extensions, &extensions(spec.kind, congestion));
        Some(Self {
            red: red.map(|red| NegotiatedCodec { feedback: Feedback::NONE, rtx: None, ..red }),
            main,
            extensions,
            congestion,
        })
    }

    /// Our own numbers, where we offer.
    pub fn own(spec: &SenderSpec, congestion: Congestion) -> Self {
        let codec = |codec: Codec, feedback| {
            let (payload_type, fmtp) = own_numbers(codec, &spec.fmtp);
            let rtx = (spec.kind == MediaKind::Video).then_some(payload_type + 1);
            NegotiatedCodec { codec, payload_type, rtx, fmtp: fmtp.to_owned(), feedback }
        };
        let is_red = spec.codec == Codec::Red;
        let congestion = (spec.kind == MediaKind::Video).then_some(congestion);
        Self {
            red: is_red.then(|| codec(Codec::Red, Feedback::NONE)),
            main: codec(without_red(spec.codec), our_feedback(spec.kind, congestion, is_red)),
            extensions: own_extensions(spec.kind, congestion),
            congestion,
        }
    }

    /// What we want where the peer speaks it, else the other way.
    fn congestion(kind: MediaKind, feedback: Feedback, extensions: &ExtensionMap, wanted: Congestion) -> Option<Congestion> {
        let speaks = |congestion: &Congestion| {
            let (kind, name) = signs(*congestion);
            extensions.id_of(kind).is_some() && feedback.contains(name)
        };
        let order = match wanted {
            Congestion::Remb => [Congestion::Remb, Congestion::TransportCc],
            Congestion::TransportCc => [Congestion::TransportCc, Congestion::Remb],
        };
        order.into_iter().find(|congestion| kind == MediaKind::Video && speaks(congestion))
    }

    pub fn codecs(&self) -> Vec<NegotiatedCodec> {
        self.red.iter().chain([&self.main]).cloned().collect()
    }

    /// Whether the packets of that section look as these would.
    pub fn has_numbers_of(&self, send: &SendSection) -> bool {
        let numbers = |codecs: &[NegotiatedCodec]| codecs.iter().map(|c| (c.codec, c.payload_type, c.rtx)).collect::<Vec<_>>();
        numbers(&send.codecs) == numbers(&self.codecs()) && send.extensions == self.extensions
    }

    /// Writes the numbers into a section that carries the track.
    pub fn apply(self, send: &mut SendSection) {
        send.codecs = self.codecs();
        send.payload_type = self.main.payload_type;
        send.rtx_payload_type = self.main.rtx;
        send.red_payload_type = self.red.map(|red| red.payload_type);
        send.nack = self.main.feedback.contains(Feedback::NACK);
        send.extensions = self.extensions;
        send.congestion = self.congestion;
    }
}

pub(super) fn without_red(codec: Codec) -> Codec {
    if codec == Codec::Red { Codec::Opus } else { codec }
}

/// `111/111`: what RED wraps (RFC 2198 §5); where nothing is said, whatever there is.
pub(super) fn red_wraps(fmtp: &str, payload_type: u8) -> bool {
    fmtp.is_empty() || fmtp.split('/').next().and_then(|number| number.trim().parse().ok()) == Some(payload_type)
}

/// The header extension and the feedback by which congestion is told.
fn signs(congestion: Congestion) -> (ExtensionKind, Feedback) {
    match congestion {
        Congestion::Remb => (ExtensionKind::AbsSendTime, Feedback::REMB),
        Congestion::TransportCc => (ExtensionKind::TransportCc, Feedback::TRANSPORT_CC),
    }
}

/// LiveKit: retransmission is asked for, but not of audio that carries its own redundancy.
fn our_feedback(kind: MediaKind, congestion: Option<Congestion>, is_red: bool) -> Feedback {
    match kind {
        MediaKind::Audio if is_red => Feedback::NONE,
        MediaKind::Audio => Feedback::NACK,
        MediaKind::Video => {
            let told = congestion.map_or(Feedback::NONE, |congestion| signs(congestion).1);
            told | Feedback::FIR | Feedback::NACK | Feedback::PLI
        }
    }
}

/// Header extensions of what we send (LiveKit: subscriber).
fn extensions(kind: MediaKind, congestion: Option<Congestion>) -> Vec<ExtensionKind> {
    let mut kinds = vec![ExtensionKind::AbsCaptureTime];
    if kind == MediaKind::Video {
        kinds.push(ExtensionKind::DependencyDescriptor);
        kinds.extend(congestion.map(|congestion| signs(congestion).0));
    }
    kinds
}

/// Our numbers for the extensions of what we send: the same in every section.
fn own_extensions(kind: MediaKind, congestion: Option<Congestion>) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for extension in extensions(kind, congestion) {
        let id = match extension {
            ExtensionKind::AbsSendTime => 2,
            ExtensionKind::DependencyDescriptor => 3,
            ExtensionKind::TransportCc => 5,
            _ => 4,
        };
        map.set(id, extension);
    }
    map
}

/// The peer's numbers of those extensions that both sides know.
pub(super) fn intersect(offered: &ExtensionMap, ours: &[ExtensionKind]) -> ExtensionMap {
    let mut map = ExtensionMap::new();
    for (id, kind) in offered.iter() {
        if ours.contains(&kind) {
            map.set(id, kind);
        }
    }
    map
}
