//! Which codecs a section offers, which of them we take, and our own numbers for those we offer (LiveKit's).

use sluicegate_rtp::codec::{Codec, MediaKind};

use crate::sdp::Media;

/// Payload types of one section that are looked at.
const CODECS_MAX: usize = 96;

/// A codec of a section with its repair stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedCodec {
    pub codec: Codec,
    pub payload_type: u8,
    pub rtx: Option<u8>,
    /// Format parameters as the offer wrote them.
    pub fmtp: String,
    /// Encoding name, clock and channels as the offer wrote them.
    pub rtpmap: String,
    /// Feedback that was offered for it.
    pub feedback: Vec<String>,
}

/// The codecs of a section in its own order, without those we do not know.
pub fn offered(media: &Media, kind: MediaKind) -> Vec<NegotiatedCodec> {
    let mut codecs = Vec::new();
    for format in media.formats.iter().take(CODECS_MAX) {
        let Ok(payload_type) = format.parse::<u8>() else { continue };
        let rtpmap = numbered(media, "rtpmap", payload_type).next().or_else(|| static_rtpmap(payload_type));
        let Some(rtpmap) = rtpmap else { continue };
        let name = rtpmap.split('/').next().unwrap_or_default();
        let Some(codec) = codec_named(kind, name) else { continue };
        let rtx = repair_of(media, payload_type);
        codecs.push(NegotiatedCodec {
            codec,
            payload_type,
            rtx,
            fmtp: numbered(media, "fmtp", payload_type).next().unwrap_or_default().to_owned(),
            rtpmap: rtpmap.to_owned(),
            feedback: feedback_of(media, payload_type),
        });
    }
    codecs
}

/// The values of `a=name:<payload type> value`.
fn numbered<'a>(media: &'a Media, name: &'a str, payload_type: u8) -> impl Iterator<Item = &'a str> {
    media.all(name).filter_map(move |value| {
        let (number, rest) = value.split_once(' ')?;
        (number.parse() == Ok(payload_type)).then_some(rest)
    })
}

fn feedback_of(media: &Media, payload_type: u8) -> Vec<String> {
    let of_all = media.all("rtcp-fb").filter_map(|value| value.strip_prefix("* "));
    numbered(media, "rtcp-fb", payload_type).chain(of_all).take(16).map(str::to_owned).collect()
}

fn repair_of(media: &Media, payload_type: u8) -> Option<u8> {
    media.formats.iter().take(CODECS_MAX).filter_map(|format| format.parse::<u8>().ok()).find(|candidate| {
        let is_rtx = numbered(media, "rtpmap", *candidate).next().is_some_and(|map| map.get(..4).is_some_and(|n| n.eq_ignore_ascii_case("rtx/")));
        is_rtx && numbered(media, "fmtp", *candidate).any(|fmtp| parameter(fmtp, "apt").and_then(|apt| apt.parse().ok()) == Some(payload_type))
    })
}

fn codec_named(kind: MediaKind, name: &str) -> Option<Codec> {
    let prefix = if kind == MediaKind::Audio { "audio" } else { "video" };
    Codec::from_mime(&format!("{prefix}/{name}"))
}

/// Types 0 and 8 need no rtpmap (RFC 3551 §6).
fn static_rtpmap(payload_type: u8) -> Option<&'static str> {
    match payload_type {
        0 => Some("PCMU/8000"),
        8 => Some("PCMA/8000"),
        _ => None,
    }
}

/// One parameter of an fmtp line.
pub fn parameter<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    fmtp.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Whether packets of one variant of a codec can go out under the other: profile and packetisation decide.
pub fn compatible(codec: Codec, sent: &str, received: &str) -> bool {
    match codec {
        Codec::H264 => {
            let mode = |fmtp| parameter(fmtp, "packetization-mode").unwrap_or("0").to_owned();
            // pm=1 may carry everything that pm=0 does, not the other way
            h264_profile(sent) == h264_profile(received) && (mode(received) == "1" || mode(sent) == mode(received))
        }
        Codec::Vp9 => parameter(sent, "profile-id").unwrap_or("0") == parameter(received, "profile-id").unwrap_or("0"),
        Codec::Av1 => parameter(sent, "profile").unwrap_or("0") == parameter(received, "profile").unwrap_or("0"),
        Codec::H265 => parameter(sent, "profile-id").unwrap_or("1") == parameter(received, "profile-id").unwrap_or("1"),
        _ => true,
    }
}

/// profile_idc and the constraint flags that tell constrained baseline from baseline (RFC 6184 §8.1).
fn h264_profile(fmtp: &str) -> (u8, bool) {
    let id = parameter(fmtp, "profile-level-id").and_then(|id| u32::from_str_radix(id, 16).ok()).unwrap_or(0x42_00_1f);
    let (profile, constraints) = ((id >> 16) as u8, (id >> 8) as u8);
    (profile, profile == 0x42 && constraints & 0x40 != 0)
}

/// How much we like a variant to be published: constrained baseline with fragments before anything else, VP9 in 8 bits first.
pub fn publish_rank(codec: &NegotiatedCodec) -> u8 {
    match codec.codec {
        Codec::H264 => match (h264_profile(&codec.fmtp), parameter(&codec.fmtp, "packetization-mode")) {
            ((0x42, true), Some("1")) => 0,
            ((0x42, true), _) => 1,
            ((0x64, _), Some("1")) => 2,
            _ => 3,
        },
        Codec::Vp9 => parameter(&codec.fmtp, "profile-id").and_then(|id| id.parse().ok()).unwrap_or(0),
        _ => 0,
    }
}

/// The numbers we use where we offer (LiveKit's): payload type, rtpmap, default format parameters.
pub fn own_numbers(codec: Codec, fmtp: &str) -> (u8, &'static str, &'static str) {
    match codec {
        Codec::Opus => (111, "opus/48000/2", "minptime=10;useinbandfec=1"),
        Codec::Red => (63, "red/48000/2", "111/111"),
        Codec::Pcmu => (0, "PCMU/8000", ""),
        Codec::Pcma => (8, "PCMA/8000", ""),
        Codec::Vp8 => (96, "VP8/90000", ""),
        Codec::Vp9 if parameter(fmtp, "profile-id") == Some("1") => (100, "VP9/90000", "profile-id=1"),
        Codec::Vp9 => (98, "VP9/90000", "profile-id=0"),
        Codec::H264 => match (h264_profile(fmtp).0, parameter(fmtp, "packetization-mode")) {
            (0x64, _) => (123, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640032"),
            (_, Some("1")) => (108, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
            _ => (125, "H264/90000", "level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
        },
        Codec::Av1 => (35, "AV1/90000", ""),
        Codec::H265 => (116, "H265/90000", ""),
    }
}
