//! The codecs that the server forwards.

use crate::{av1, h264, h265, vp8, vp9};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MediaKind {
    Audio,
    Video,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Codec {
    Opus,
    Red,
    Pcmu,
    Pcma,
    Vp8,
    Vp9,
    H264,
    H265,
    Av1,
}

impl Codec {
    pub const ALL: [Codec; 9] =
        [Codec::Opus, Codec::Red, Codec::Pcmu, Codec::Pcma, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1];

    /// LiveKit's spelling.
    pub fn mime(self) -> &'static str {
        match self {
            Codec::Opus => "audio/opus",
            Codec::Red => "audio/red",
            Codec::Pcmu => "audio/PCMU",
            Codec::Pcma => "audio/PCMA",
            Codec::Vp8 => "video/VP8",
            Codec::Vp9 => "video/VP9",
            Codec::H264 => "video/H264",
            Codec::H265 => "video/H265",
            Codec::Av1 => "video/AV1",
        }
    }

    /// In whatever case.
    pub fn from_mime(mime: &str) -> Option<Codec> {
        Self::ALL.into_iter().find(|codec| codec.mime().eq_ignore_ascii_case(mime))
    }

    /// RTP clock in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Opus | Codec::Red => 48_000,
            Codec::Pcmu | Codec::Pcma => 8_000,
            Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H265 | Codec::Av1 => 90_000,
        }
    }

    pub fn kind(self) -> MediaKind {
        match self {
            Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => MediaKind::Audio,
            Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::H265 | Codec::Av1 => MediaKind::Video,
        }
    }
}

/// Whether a packet begins a key frame: a decoder may start at it. Never so for audio, which has none.
pub fn is_key_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => false,
        Codec::Vp8 => vp8::Descriptor::parse(payload).is_ok_and(|d| d.key_frame),
        Codec::Vp9 => vp9::Descriptor::parse(payload).is_ok_and(|d| d.key_frame),
        Codec::H264 => h264::is_key_frame(payload),
        Codec::H265 => h265::is_key_frame(payload),
        Codec::Av1 => av1::is_key_frame(payload),
    }
}

/// Whether a packet may begin a frame, as far as its payload tells. With H264 and H265 any packet may that
/// does not continue a fragment; there the change of the timestamp decides. Every audio packet does.
pub fn starts_frame(codec: Codec, payload: &[u8]) -> bool {
    match codec {
        Codec::Opus | Codec::Red | Codec::Pcmu | Codec::Pcma => true,
        Codec::Vp8 => vp8::Descriptor::parse(payload).is_ok_and(|d| d.starts_frame()),
        Codec::Vp9 => vp9::Descriptor::parse(payload).is_ok_and(|d| d.starts_picture()),
        Codec::H264 => h264::starts_nal(payload),
        Codec::H265 => h265::starts_nal(payload),
        Codec::Av1 => av1::AggregationHeader::parse(payload).is_ok_and(|h| !h.continues),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn mime_round_trip() {
        for codec in Codec::ALL {
            assert_eq!(Codec::from_mime(codec.mime()), Some(codec));
            assert_eq!(Codec::from_mime(&codec.mime().to_lowercase()), Some(codec));
        }
        assert_eq!(Codec::from_mime("video/rtx"), None);
        assert_eq!(Codec::Pcmu.clock_rate(), 8000);
        assert_eq!(Codec::Av1.kind(), MediaKind::Video);
    }

    proptest! {
        #[test]
        fn total(payload in prop::collection::vec(any::<u8>(), 0..100)) {
            for codec in Codec::ALL {
                let key = is_key_frame(codec, &payload);
                prop_assert!(!key || starts_frame(codec, &payload), "{codec:?} {payload:?}");
            }
        }
    }
}
