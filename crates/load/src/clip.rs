//! Clips: encoded frames in memory, read from IVF. Made by `scripts/gen_clips.py`.

use std::time::Duration;

use sluicegate_rtp::codec::Codec;

/// A clip whose first frame is its only key frame.
#[derive(Clone, Copy, Debug)]
pub struct Clip {
    pub codec: Codec,
    pub width: u32,
    pub height: u32,
    pub frames_per_second: u32,
    /// As the clip was encoded; the file's head does not say it.
    pub bitrate: u32,
    frames: &'static [u8],
}

/// A simulcast layer's clip and its name in LiveKit's order.
pub type LayerClip = (&'static str, Clip);

const HEAD_LEN: usize = 32;
const FRAME_HEAD_LEN: usize = 12;

static OPUS: &[u8] = include_bytes!("../clips/opus.ivf");
static VP8: [&[u8]; 3] =
    [include_bytes!("../clips/vp8_q.ivf"), include_bytes!("../clips/vp8_h.ivf"), include_bytes!("../clips/vp8_f.ivf")];
static H264: [&[u8]; 3] =
    [include_bytes!("../clips/h264_q.ivf"), include_bytes!("../clips/h264_h.ivf"), include_bytes!("../clips/h264_f.ivf")];
const BITRATES: [u32; 3] = [150_000, 500_000, 1_700_000];

impl Clip {
    /// Two seconds of a tone.
    pub fn tone() -> Option<Clip> {
        Self::read(Codec::Opus, OPUS, 24_000)
    }

    /// The same picture in three sizes, lowest first; none where there is no clip for the codec.
    pub fn layers(codec: Codec) -> Option<Vec<LayerClip>> {
        let files = match codec {
            Codec::Vp8 => &VP8,
            Codec::H264 => &H264,
            _ => return None,
        };
        let layers = files.iter().zip(BITRATES).zip(["q", "h", "f"]);
        layers.map(|((file, bitrate), rid)| Some((rid, Self::read(codec, file, bitrate)?))).collect()
    }

    pub fn frames(&self) -> impl Iterator<Item = &'static [u8]> + use<> {
        let mut rest = self.frames;
        std::iter::from_fn(move || {
            let len = u32::from_le_bytes(*rest.first_chunk()?) as usize;
            let frame = rest.get(FRAME_HEAD_LEN..FRAME_HEAD_LEN + len)?;
            rest = &rest[FRAME_HEAD_LEN + len..];
            Some(frame)
        })
    }

    pub fn interval(&self) -> Duration {
        Duration::from_secs(1) / self.frames_per_second.max(1)
    }

    fn read(codec: Codec, file: &'static [u8], bitrate: u32) -> Option<Clip> {
        let (head, frames) = file.split_at_checked(HEAD_LEN)?;
        let word = |at: usize| head.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes).map(u32::from);
        let (width, height, frames_per_second) = (word(12)?, word(14)?, word(16)?);
        head.starts_with(b"DKIF").then_some(Clip { codec, width, height, frames_per_second, bitrate, frames })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_are_what_they_say() {
        let tone = Clip::tone().unwrap();
        assert_eq!((tone.frames().count(), tone.interval()), (100, Duration::from_millis(20)));
        for codec in [Codec::Vp8, Codec::H264] {
            let layers = Clip::layers(codec).unwrap();
            let sizes: Vec<_> = layers.iter().map(|(rid, clip)| (*rid, clip.width, clip.height, clip.frames().count())).collect();
            assert_eq!(sizes, [("q", 320, 180, 30), ("h", 640, 360, 60), ("f", 1280, 720, 60)]);
            for (_, clip) in layers {
                let bits: usize = clip.frames().map(|frame| frame.len() * 8).sum();
                let rate = bits as u32 / 2;
                assert!(rate.abs_diff(clip.bitrate) < clip.bitrate / 10, "{rate} {}", clip.bitrate);
            }
        }
        assert!(Clip::layers(Codec::Av1).is_none());
    }
}
