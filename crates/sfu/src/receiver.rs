//! One published track as it arrives: its layers, their rings, what is missing, how it is.

pub mod feedback;
pub mod nack;
pub mod relay;
pub mod ring;
pub mod stats;

use std::time::{Duration, Instant};

use arrayvec::ArrayVec;
use sluicegate_rtp::codec::{self, Codec, MediaKind};
use sluicegate_rtp::extension::{AbsCaptureTime, Extensions};
use sluicegate_rtp::header::{self, RtpHeader};
use sluicegate_rtp::ntp::NtpTime;
use sluicegate_rtp::rtcp::ReportBlock;
use sluicegate_rtp::seq::{SequenceUnwrapper, TimestampUnwrapper};
use sluicegate_rtp::vp8;

use crate::clock::{PublisherClock, StreamClock};
use crate::keyframe::KeyFrameThrottle;
use nack::{NackGenerator, REQUEST_MAX};
use relay::RateCounter;
use ring::{Ring, RingPacket};
use stats::ReceptionStats;

/// Simulcast layers of a track.
pub const LAYERS: usize = 3;
/// Packets kept for repairs: half a second of a fast layer, several seconds of sound.
const VIDEO_RING: usize = 512;
const AUDIO_RING: usize = 256;
/// A jump ahead of more packets than this is a new start, not a loss (RFC 3550 A.1: MAX_DROPOUT).
const DROPOUT_MAX: u16 = 3000;
/// A layer without packets for this long is dead (LiveKit: four cycles of 500 ms; a still screen: of 2 s).
const ALIVE: Duration = Duration::from_secs(2);
const ALIVE_SCREEN: Duration = Duration::from_secs(8);

/// A simulcast layer, the lowest quality first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer(pub u8);

#[derive(Clone, Copy, Debug)]
pub struct ReceiverConfig {
    pub kind: MediaKind,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    pub screen_share: bool,
    /// The publisher answers NACK.
    pub nack: bool,
}

/// A packet as it was opened, parsed once; borrowed from its datagram.
#[derive(Clone, Copy, Debug)]
pub struct Opened<'a> {
    pub layer: Layer,
    pub codec: Codec,
    pub header: &'a RtpHeader,
    pub extensions: &'a Extensions<'a>,
    /// The clock of the session that publishes it.
    pub publisher: &'a PublisherClock,
    pub plaintext: &'a [u8],
}

/// A packet that is new, as every sink of the track sees it.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub layer: Layer,
    pub ext_seq: u64,
    pub timestamp: u32,
    pub marker: bool,
    /// It begins a key frame.
    pub key_frame: bool,
    /// The source jumped: nothing of it connects with what came before.
    pub restarted: bool,
    /// Padding only.
    pub empty: bool,
    /// When it was made, on the server's time line.
    pub media_time: Instant,
    pub payload_len: u16,
    pub vp8: Option<vp8::Descriptor>,
}

/// What a receiver wants sent to the publisher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverOutput {
    Nack { ssrc: u32, sequences: ArrayVec<u16, REQUEST_MAX> },
    Pli { ssrc: u32 },
}

#[derive(Debug)]
pub struct Receiver {
    // hot
    layers: [Option<Box<LayerState>>; LAYERS],
    // warm
    config: ReceiverConfig,
    outputs: ArrayVec<ReceiverOutput, 16>,
    pub dropped: u64,
    /// Of a relayed track: the layers that are alive by its publisher's worker.
    told_alive: Option<u8>,
}

#[derive(Debug)]
struct LayerState {
    ssrc: u32,
    /// The round of numbers in which the first packet of a further source lies.
    continues: Option<u64>,
    sequence: SequenceUnwrapper,
    timestamp: TimestampUnwrapper,
    ring: Ring,
    nack: NackGenerator,
    stats: ReceptionStats,
    clock: StreamClock,
    last_packet: Option<Instant>,
    key_frames: KeyFrameThrottle,
    rate: RateCounter,
}

impl LayerState {
    /// What was counted and measured of the packets before a jump says nothing about those after it.
    fn restart(&mut self, rate: u32) {
        self.timestamp = TimestampUnwrapper::new();
        self.nack = NackGenerator::default();
        self.stats = ReceptionStats::default();
        self.clock = StreamClock::new(rate);
    }
}

impl Receiver {
    pub fn new(config: ReceiverConfig) -> Self {
        Self { layers: [None, None, None], config, outputs: ArrayVec::new(), dropped: 0, told_alive: None }
    }

    /// The layer's primary SSRC is known. A new SSRC begins the layer anew.
    pub fn bind_layer(&mut self, layer: Layer, ssrc: u32) {
        let Some(slot) = self.layers.get_mut(usize::from(layer.0)) else { return };
        if slot.as_ref().is_some_and(|state| state.ssrc == ssrc) {
            return;
        }
        // another source counts on where the last one ended, so that no number means two packets: here and on other workers
        let continues = slot.as_ref().and_then(|state| state.sequence.highest()).map(|highest| ((highest >> 16) + 2) << 16);
        let ring = if self.config.kind == MediaKind::Video { VIDEO_RING } else { AUDIO_RING };
        *slot = Some(Box::new(LayerState {
            ssrc,
            continues,
            sequence: SequenceUnwrapper::new(),
            timestamp: TimestampUnwrapper::new(),
            ring: Ring::new(ring),
            nack: NackGenerator::default(),
            stats: ReceptionStats::default(),
            clock: StreamClock::new(self.config.clock_rate),
            last_packet: None,
            key_frames: KeyFrameThrottle::default(),
            rate: RateCounter::default(),
        }));
    }

    pub fn ssrc(&self, layer: Layer) -> Option<u32> {
        self.state(layer).map(|state| state.ssrc)
    }

    /// Takes an opened packet. None: there is nothing to forward, for the reason that was counted.
    pub fn handle_rtp(&mut self, now: Instant, opened: &Opened<'_>) -> Option<Received> {
        let header = opened.header;
        let payload = header.payload(opened.plaintext).ok();
        let taken = payload.and_then(|payload| self.take(now, opened, *header, header.sequence, payload, false));
        self.dropped += u64::from(taken.is_none());
        taken
    }

    /// Takes an opened packet of the repair stream (RFC 4588), which repairs `payload_type`: the original number leads the payload.
    /// Empty ones are probes.
    pub fn handle_rtx(&mut self, now: Instant, payload_type: u8, opened: &Opened<'_>) -> Option<Received> {
        let payload = opened.header.payload(opened.plaintext).ok();
        let (sequence, payload) = payload.and_then(header::split_rtx).filter(|(_, payload)| !payload.is_empty())?;
        self.take(now, opened, RtpHeader { payload_type, ..*opened.header }, sequence, payload, true)
    }

    fn take(
        &mut self,
        now: Instant,
        opened: &Opened<'_>,
        header: RtpHeader,
        sequence: u16,
        payload: &[u8],
        repaired: bool,
    ) -> Option<Received> {
        let Opened { layer, codec, extensions, publisher, .. } = *opened;
        let nack = self.config.nack;
        let rate = self.config.clock_rate;
        let state = self.layers.get_mut(usize::from(layer.0))?.as_mut()?;
        let is_other_source = state.continues.take().map(|round| {
            state.sequence = SequenceUnwrapper::starting_at(round + u64::from(sequence) - 1);
        });
        let ext_seq = state.sequence.peek(sequence);
        // it is authentic, so it is the publisher itself that jumps
        let jumped = !repaired && state.sequence.highest().is_some_and(|highest| ext_seq > highest + u64::from(DROPOUT_MAX));
        let restarted = jumped || is_other_source.is_some();
        if jumped {
            state.restart(rate);
        }
        if state.ring.contains(ext_seq) {
            return None;
        }
        let vp8 = if codec == Codec::Vp8 && !payload.is_empty() { vp8::Descriptor::parse(payload).ok() } else { None };
        let mut capture = [0u8; 16];
        let capture_len = extensions.abs_capture_time.and_then(|time: AbsCaptureTime| time.write(&mut capture)).unwrap_or(0);
        let packet = RingPacket {
            payload,
            payload_type: header.payload_type,
            vp8,
            dependency_descriptor: extensions.dependency_descriptor.unwrap_or_default(),
            abs_capture_time: &capture[..capture_len],
        };
        if !state.ring.store(ext_seq, &packet) {
            return None;
        }
        state.sequence.extend(sequence);
        let ext_timestamp = state.timestamp.extend(header.timestamp);
        state.stats.handle_packet(now, ext_seq, ext_timestamp, rate, repaired);
        if nack {
            state.nack.handle_packet(now, ext_seq);
        }
        state.last_packet = Some(now);
        state.rate.add(payload.len());
        let key_frame = vp8.map_or_else(|| codec::is_key_frame(codec, payload), |vp8| vp8.key_frame && vp8.starts_frame());
        let media_time = state.clock.media_time(now, ext_timestamp, publisher);
        Some(Received {
            layer,
            ext_seq,
            timestamp: header.timestamp,
            marker: header.marker,
            key_frame,
            restarted,
            empty: payload.is_empty(),
            media_time,
            payload_len: payload.len() as u16,
            vp8,
        })
    }

    /// A stored packet, to be sent or sent again.
    pub fn packet(&self, layer: Layer, ext_seq: u64) -> Option<RingPacket<'_>> {
        self.state(layer)?.ring.get(ext_seq)
    }

    pub fn handle_sender_report(&mut self, now: Instant, ssrc: u32, ntp: NtpTime, timestamp: u32) {
        if let Some(state) = self.layers.iter_mut().flatten().find(|state| state.ssrc == ssrc) {
            let ext = state.timestamp.peek(timestamp);
            state.stats.handle_sender_report(now, ntp);
            state.clock.handle_sender_report(ntp, ext);
        }
    }

    pub fn set_round_trip(&mut self, round_trip: Duration) {
        for state in self.layers.iter_mut().flatten() {
            state.nack.set_round_trip(round_trip);
        }
    }

    /// One block per layer that has packets.
    pub fn report_blocks(&mut self, now: Instant, mut push: impl FnMut(ReportBlock)) {
        for state in self.layers.iter_mut().flatten() {
            if let Some(block) = state.stats.report(now, state.ssrc) {
                push(block);
            }
        }
    }

    /// The lowest layer that is alive: the one to forward.
    pub fn target(&self, now: Instant) -> Option<Layer> {
        let is_alive = |at: &usize| match self.told_alive {
            Some(told) => told & 1 << at != 0,
            None => self.is_alive(now, *at),
        };
        (0..LAYERS).find(is_alive).map(|at| Layer(at as u8))
    }

    fn is_alive(&self, now: Instant, layer: usize) -> bool {
        let alive = if self.config.screen_share { ALIVE_SCREEN } else { ALIVE };
        let last = self.layers.get(layer).and_then(|state| state.as_ref()?.last_packet);
        last.is_some_and(|last| now.saturating_duration_since(last) < alive)
    }

    /// Somebody needs a key frame of this layer; asked of the publisher as often as the throttle allows.
    pub fn request_key_frame(&mut self, now: Instant, layer: Layer) {
        if self.config.kind == MediaKind::Audio {
            return;
        }
        if self.told_alive.is_some() {
            self.bind_layer(layer, u32::from(layer.0) + 1);
        }
        let Some(state) = self.layers.get_mut(usize::from(layer.0)).and_then(Option::as_mut) else { return };
        if state.key_frames.allow(now, layer.0) {
            let _ = self.outputs.try_push(ReceiverOutput::Pli { ssrc: state.ssrc });
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for state in self.layers.iter_mut().flatten() {
            while !self.outputs.is_full() {
                let sequences = state.nack.take_due(now);
                if sequences.is_empty() {
                    break;
                }
                let _ = self.outputs.try_push(ReceiverOutput::Nack { ssrc: state.ssrc, sequences });
            }
        }
    }

    pub fn poll_output(&mut self) -> Option<ReceiverOutput> {
        self.outputs.pop_at(0)
    }

    /// Something waits in [`Receiver::poll_output`], or will at [`Receiver::poll_timeout`].
    pub fn has_business(&self) -> bool {
        !self.outputs.is_empty() || self.layers.iter().flatten().any(|state| state.nack.missing() > 0)
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.layers.iter().flatten().filter_map(|state| state.nack.poll_timeout()).min()
    }

    fn state(&self, layer: Layer) -> Option<&LayerState> {
        self.layers.get(usize::from(layer.0))?.as_deref()
    }
}

#[cfg(test)]
mod tests;
