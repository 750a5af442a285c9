//! Which codecs a section offers, which of them we take, and our own numbers for those we offer (LiveKit's).

use sluicegate_rtp::codec::{Codec, MediaKind};

use super::feedback::Feedback;
use crate::sdp::Media;

/// Longest fmtp that is looked at; browsers write less than 100 characters.
const FMTP_MAX: usize = 512;

/// A codec of a section with its repair stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedCodec {
    pub codec: Codec,
    pub payload_type: u8,
    pub rtx: Option<u8>,
    /// Format parameters: the peer's, in an answer with our own additions.
    pub fmtp: String,
    /// As offered; in a [`ReceiveSection`](super::ReceiveSection) what was agreed on.
    pub feedback: Feedback,
}

/// One payload type of a section, as its attributes describe it.
#[derive(Clone, Copy, Default)]
struct Format<'a> {
    payload_type: u8,
    rtpmap: &'a str,
    fmtp: &'a str,
    feedback: Feedback,
}

/// The codecs of a section in its own order, without those we do not know.
pub fn offered(media: &Media<'_>, kind: MediaKind) -> Vec<NegotiatedCodec> {
    let formats = formats(media);
    let mut repairs = [None; 128];
    for format in formats.iter().filter(|format| format.rtpmap.get(..4).is_some_and(|name| name.eq_ignore_ascii_case("rtx/"))) {
        let apt = parameter(format.fmtp, "apt").and_then(|apt| apt.parse::<usize>().ok());
        if let Some(slot) = apt.and_then(|apt| repairs.get_mut(apt)) {
            *slot = slot.or(Some(format.payload_type));
        }
    }
    let known = formats.iter().filter_map(|format| {
        Some(NegotiatedCodec {
            codec: codec_named(kind, format.rtpmap)?,
            payload_type: format.payload_type,
            rtx: repairs.get(usize::from(format.payload_type)).copied().flatten(),
            fmtp: format.fmtp.to_owned(),
            feedback: format.feedback,
        })
    });
    known.collect()
}

/// The payload types of the m-line, each once, in one walk over the attributes.
fn formats<'a>(media: &Media<'a>) -> Vec<Format<'a>> {
    let mut formats: Vec<Format<'a>> = Vec::new();
    let mut places = [None; 128];
    for payload_type in media.formats.iter().filter_map(|format| format.parse::<u8>().ok()) {
        if let Some(place @ None) = places.get_mut(usize::from(payload_type)) {
            *place = Some(formats.len());
            formats.push(Format { payload_type, rtpmap: static_rtpmap(payload_type), ..Format::default() });
        }
    }
    let mut of_all = Feedback::NONE;
    for attribute in &media.attributes {
        if !matches!(attribute.name, "rtpmap" | "fmtp" | "rtcp-fb") {
            continue;
        }
        let Some((number, rest)) = attribute.value.split_once(' ') else { continue };
        let rest = rest.trim();
        if number == "*" && attribute.name == "rtcp-fb" {
            of_all |= Feedback::named(rest);
        }
        let place = number.parse::<usize>().ok().and_then(|number| places.get(number).copied().flatten());
        let Some(format) = place.and_then(|place| formats.get_mut(place)) else { continue };
        match attribute.name {
            "rtpmap" => format.rtpmap = rest,
            "fmtp" if rest.len() <= FMTP_MAX => format.fmtp = rest,
            "rtcp-fb" => format.feedback |= Feedback::named(rest),
            _ => {}
        }
    }
    for format in &mut formats {
        format.feedback |= of_all;
    }
    formats
}

/// `opus/48000/2`; the clock must be the codec's.
fn codec_named(kind: MediaKind, rtpmap: &str) -> Option<Codec> {
    let mut parts = rtpmap.split('/');
    let name = parts.next()?;
    let clock = parts.next()?.parse::<u32>().ok()?;
    let named = |codec: &Codec| codec.mime().split('/').nth(1).is_some_and(|known| known.eq_ignore_ascii_case(name));
    Codec::ALL.into_iter().find(|codec| codec.kind() == kind && codec.clock_rate() == clock && named(codec))
}

/// Types 0 and 8 need no rtpmap (RFC 3551 §6).
fn static_rtpmap(payload_type: u8) -> &'static str {
    match payload_type {
        0 => "PCMU/8000",
        8 => "PCMA/8000",
        _ => "",
    }
}

/// What stands in `a=rtpmap` after the number.
pub fn rtpmap(codec: Codec) -> &'static str {
    match codec {
        Codec::Opus => "opus/48000/2",
        Codec::Red => "red/48000/2",
        Codec::Pcmu => "PCMU/8000",
        Codec::Pcma => "PCMA/8000",
        Codec::Vp8 => "VP8/90000",
        Codec::Vp9 => "VP9/90000",
        Codec::H264 => "H264/90000",
        Codec::H265 => "H265/90000",
        Codec::Av1 => "AV1/90000",
    }
}

/// One parameter of an fmtp line.
pub fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// How well a stream of one variant of a codec goes out under a variant that the peer takes; lower is better, none: not at all.
pub fn fit(codec: Codec, sent: &str, taken: &str) -> Option<u8> {
    let same = |name, default| parameter(sent, name).unwrap_or(default) == parameter(taken, name).unwrap_or(default);
    match codec {
        Codec::H264 => {
            let (sent_profile, taken_profile) = (H264Profile::of(sent), H264Profile::of(taken));
            let (sent_fragments, taken_fragments) = (has_fragments(sent), has_fragments(taken));
            // a peer that takes fragments takes single units too, not the other way (RFC 6184 §6)
            let profile = if sent_profile == taken_profile { 0 } else { 2 };
            let possible = sent_profile.is_decoded_by(taken_profile) && (taken_fragments || !sent_fragments);
            possible.then_some(profile + u8::from(sent_fragments != taken_fragments))
        }
        Codec::Vp9 => same("profile-id", "0").then_some(0),
        Codec::Av1 => same("profile", "0").then_some(0),
        Codec::H265 => same("profile-id", "1").then_some(0),
        _ => Some(0),
    }
}

/// The profiles of H264 that matter: each decodes those before it, in what WebRTC encoders make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum H264Profile {
    ConstrainedBaseline,
    /// As encoders make it, without the tools that Main lacks.
    Baseline,
    Main,
    High,
    Other(u8),
}

impl H264Profile {
    /// profile_idc and the constraint flags (RFC 6184 §8.1); without the parameter it is Baseline.
    fn of(fmtp: &str) -> Self {
        let id = parameter(fmtp, "profile-level-id").and_then(|id| u32::from_str_radix(id, 16).ok()).unwrap_or(0x42_00_0a);
        match ((id >> 16) as u8, (id >> 8) as u8) {
            (0x42, constraints) if constraints & 0x40 != 0 => Self::ConstrainedBaseline,
            (0x4D, constraints) if constraints & 0x80 != 0 => Self::ConstrainedBaseline,
            (0x42, _) => Self::Baseline,
            (0x4D, _) => Self::Main,
            (0x64, _) => Self::High,
            (other, _) => Self::Other(other),
        }
    }

    fn is_decoded_by(self, taken: Self) -> bool {
        match (self, taken) {
            (Self::Other(sent), Self::Other(taken)) => sent == taken,
            (Self::Other(_), _) | (_, Self::Other(_)) => false,
            // browsers say Baseline and mean Constrained Baseline
            (Self::Baseline, Self::ConstrainedBaseline) => true,
            (sent, taken) => sent <= taken,
        }
    }
}

fn has_fragments(fmtp: &str) -> bool {
    parameter(fmtp, "packetization-mode") == Some("1")
}

/// How much we like a variant to be published: constrained baseline with fragments before anything else, VP9 in 8 bits first.
pub fn publish_rank(codec: Codec, fmtp: &str) -> u8 {
    match codec {
        Codec::H264 => match (H264Profile::of(fmtp), has_fragments(fmtp)) {
            (H264Profile::ConstrainedBaseline, true) => 0,
            (H264Profile::ConstrainedBaseline, false) => 1,
            (H264Profile::Baseline, _) => 2,
            (H264Profile::High, true) => 3,
            _ => 4,
        },
        Codec::Vp9 => parameter(fmtp, "profile-id").and_then(|id| id.parse().ok()).unwrap_or(0),
        _ => 0,
    }
}

/// The numbers we use where we offer (LiveKit's): payload type and format parameters. A number always means the same, whatever
/// the section (RFC 9143 §9.1), but that a stereo source is told by `sprop-stereo` as LiveKit's clients expect.
pub fn own_numbers(codec: Codec, fmtp: &str) -> (u8, &'static str) {
    match codec {
        Codec::Opus if parameter(fmtp, "stereo") == Some("1") => (111, "minptime=10;useinbandfec=1;sprop-stereo=1"),
        Codec::Opus => (111, "minptime=10;useinbandfec=1"),
        Codec::Red => (63, "111/111"),
        Codec::Pcmu => (0, ""),
        Codec::Pcma => (8, ""),
        Codec::Vp8 => (96, ""),
        Codec::Vp9 => match parameter(fmtp, "profile-id") {
            Some("1") => (100, "profile-id=1"),
            Some("2") => (112, "profile-id=2"),
            _ => (98, "profile-id=0"),
        },
        Codec::H264 => match (H264Profile::of(fmtp), has_fragments(fmtp)) {
            (H264Profile::High, _) => (123, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640032"),
            (H264Profile::Main, true) => (106, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"),
            (H264Profile::Main, false) => (39, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=4d001f"),
            (_, true) => (108, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
            (_, false) => (125, "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
        },
        Codec::Av1 => (35, ""),
        Codec::H265 => (116, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSTRAINED: &str = "packetization-mode=1;profile-level-id=42e01f";
    const HIGH: &str = "packetization-mode=1;profile-level-id=640c1f";

    #[test]
    fn a_stream_goes_where_it_can_be_decoded() {
        assert_eq!(fit(Codec::H264, CONSTRAINED, CONSTRAINED), Some(0));
        assert_eq!(fit(Codec::H264, CONSTRAINED, HIGH), Some(2), "high decodes it, if there is nothing nearer");
        assert_eq!(fit(Codec::H264, HIGH, CONSTRAINED), None);
        assert_eq!(fit(Codec::H264, CONSTRAINED, "packetization-mode=0;profile-level-id=42e01f"), None, "fragments");
        assert_eq!(fit(Codec::H264, "profile-level-id=42e01f", CONSTRAINED), Some(1));
        assert_eq!(fit(Codec::H264, "packetization-mode=1;profile-level-id=42001f", CONSTRAINED), Some(2));
        assert_eq!(fit(Codec::Vp9, "profile-id=2", "profile-id=0"), None);
        assert_eq!(fit(Codec::Vp9, "", "profile-id=0"), Some(0));
        assert_eq!(fit(Codec::Vp8, "anything", ""), Some(0));
    }

    #[test]
    fn own_numbers_never_clash() {
        let mut taken = Vec::new();
        let profiles = ["640032", "42e01f", "4d001f"];
        let modes = profiles.iter().flat_map(|p| [0, 1].map(|m| format!("packetization-mode={m};profile-level-id={p}")));
        let variants: Vec<String> = modes.chain(["profile-id=0", "profile-id=1", "profile-id=2"].map(str::to_owned)).collect();
        for codec in Codec::ALL {
            for variant in &variants {
                let (number, fmtp) = own_numbers(codec, variant);
                let numbers = if codec.kind() == MediaKind::Video { vec![number, number + 1] } else { vec![number] };
                for number in numbers {
                    let entry = (number, codec, fmtp);
                    assert!(number < 128);
                    assert!(taken.iter().all(|t: &(u8, Codec, &str)| t.0 != number || *t == entry), "{entry:?} {taken:?}");
                    taken.push(entry);
                }
            }
        }
    }

    #[test]
    fn hostile_numbers_are_passed_over() {
        let text = "v=0\nm=video 9 x 96 96 200 300 -1 97 98\na=rtpmap:96 VP8/90000\na=rtpmap:97 RTX/90000\na=fmtp:97 apt=96\na=rtpmap:200 VP9/90000\na=rtpmap:98 VP8/48000\na=fmtp:98 apt=999\na=rtcp-fb:* nack\na=rtcp-fb:96 nack pli";
        let description = crate::sdp::Description::parse(text).unwrap();
        let codecs = offered(&description.media[0], MediaKind::Video);
        assert_eq!(codecs.len(), 1, "{codecs:?}");
        assert_eq!((codecs[0].payload_type, codecs[0].rtx, codecs[0].feedback), (96, Some(97), Feedback::NACK | Feedback::PLI));
    }
}
