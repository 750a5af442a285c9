//! What a publisher shows: clips in a loop, on the beat of their frame rate. A wanted key frame makes a clip begin again.

use std::time::{Duration, Instant};

use sluicegate_rtp::codec::{Codec, MediaKind};

use crate::client::{Client, LayerSpec, PublishSpec};
use crate::clip::Clip;
use crate::packetiser::Packetiser;

/// The media of one publisher.
#[derive(Debug)]
pub struct Source {
    begun: Instant,
    /// In the order of the client's publications.
    streams: Vec<Stream>,
}

#[derive(Debug)]
struct Stream {
    frames: Vec<&'static [u8]>,
    position: usize,
    interval: Duration,
    clock_rate: u32,
    /// Frames since the beginning, those included that were left out.
    beat: u32,
    /// Layers are not all sent in the same moment, nor publishers.
    offset: Duration,
    packetiser: Packetiser,
}

/// A microphone.
pub fn audio_track(cid: &str) -> PublishSpec {
    PublishSpec::new(cid, Codec::Opus)
}

/// A camera with its simulcast layers; none where there is no clip for the codec.
pub fn video_track(cid: &str, codec: Codec) -> Option<PublishSpec> {
    let layers = Clip::layers(codec)?.into_iter();
    let layers = layers.map(|(rid, clip)| LayerSpec { rid, width: clip.width, height: clip.height, bitrate: clip.bitrate });
    Some(PublishSpec { layers: layers.collect(), ..PublishSpec::new(cid, codec) })
}

impl Source {
    /// For these tracks, beginning at `now`; `seed` moves the beat.
    pub fn new(now: Instant, tracks: &[PublishSpec], seed: u64) -> Self {
        let mut streams = Vec::new();
        for track in tracks {
            let clips: Vec<Clip> = match track.codec.kind() {
                MediaKind::Audio => Clip::tone().into_iter().collect(),
                MediaKind::Video => Clip::layers(track.codec).into_iter().flatten().map(|(_, clip)| clip).collect(),
            };
            for clip in clips {
                // spread over a whole interval, and never twice the same
                let step = seed.wrapping_mul(31).wrapping_add(streams.len() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56;
                let offset = clip.interval() * step as u32 / 256;
                streams.push(Stream {
                    frames: clip.frames().collect(),
                    position: 0,
                    interval: clip.interval(),
                    clock_rate: track.codec.clock_rate(),
                    beat: 0,
                    offset,
                    packetiser: Packetiser::new(track.codec, seed as u16),
                });
            }
        }
        Self { begun: now, streams }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.streams.iter().map(|stream| stream.due(self.begun)).min()
    }

    /// Sends the frames that are due. `clock` is what stamps say of the time of sending.
    pub fn handle_timeout(&mut self, now: Instant, client: &mut Client, mut clock: impl FnMut() -> u64) {
        for (index, stream) in self.streams.iter_mut().enumerate() {
            let late = now.saturating_duration_since(stream.due(self.begun));
            if stream.due(self.begun) > now {
                continue;
            }
            // after a stall nothing is made up for: a camera does not, either
            let skipped = (late.as_nanos() / stream.interval.as_nanos().max(1)) as u32;
            stream.beat += skipped;
            stream.send(now, index, client, clock());
        }
    }
}

impl Stream {
    fn due(&self, begun: Instant) -> Instant {
        begun + self.offset + self.interval * self.beat
    }

    fn send(&mut self, now: Instant, index: usize, client: &mut Client, sent_ns: u64) {
        let ticks = u128::from(self.clock_rate) * self.interval.as_nanos() * u128::from(self.beat) / 1_000_000_000;
        self.beat += 1;
        // a track that the server did not take has no publication
        let Some(publication) = client.publications.get_mut(index) else { return };
        if std::mem::take(&mut publication.key_frame_wanted) || self.position >= self.frames.len() {
            self.position = 0;
        }
        let Some(frame) = self.frames.get(self.position) else { return };
        self.position += 1;
        self.packetiser.packetise(frame, sent_ns, |payload, marker| {
            client.send_media(now, index, ticks as u32, marker, payload);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracks_and_their_streams() {
        let video = video_track("cam", Codec::Vp8).unwrap();
        assert_eq!(
            video.layers.iter().map(|layer| (layer.rid, layer.width)).collect::<Vec<_>>(),
            [("q", 320), ("h", 640), ("f", 1280)]
        );
        assert!(video_track("cam", Codec::Vp9).is_none());
        let now = Instant::now();
        let source = Source::new(now, &[audio_track("mic"), video], 7);
        assert_eq!(source.streams.len(), 4);
        let due = source.poll_timeout().unwrap();
        assert!(due >= now && due <= now + Duration::from_millis(20));
        assert!(source.streams.iter().all(|stream| stream.offset < stream.interval));
    }
}
