//! One track for one subscriber: decides, renumbers, remembers. It never holds a packet.

use std::time::{Duration, Instant};

use sluicegate_rtp::codec::MediaKind;
use sluicegate_rtp::ntp::{self, NtpTime};
use sluicegate_rtp::rtcp::{ReportBlock, SenderInfo};
use sluicegate_rtp::vp8;

use crate::forwarder::munger::{Munger, Numbered};
use crate::forwarder::selector::{Selected, Selector};
use crate::forwarder::vp8::{Vp8Ids, Vp8Munger};
use crate::receiver::{Layer, Received};
use crate::resend::{Resend, ResendRing};

/// Packets that can be sent again.
const RESENDS_VIDEO: usize = 512;
const RESENDS_AUDIO: usize = 256;
/// Before the first report of the subscriber.
const ROUND_TRIP_DEFAULT: Duration = Duration::from_millis(70);

#[derive(Clone, Copy, Debug)]
pub struct DownTrackConfig {
    pub kind: MediaKind,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    pub ssrc: u32,
    /// Any number; what counts of it is below 2^15.
    pub first_sequence: u16,
    pub first_rtx_sequence: u16,
}

/// The numbers under which a packet goes to this subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// With the roll-over counter.
    pub ext_seq: u64,
    pub timestamp: u32,
    pub marker: bool,
    /// Where VP8's counters differ from the source's.
    pub vp8: Option<Vp8Ids>,
}

impl Rewritten {
    /// Copies the payload with what must differ; returns its length.
    pub fn write_payload(&self, source: Option<&vp8::Descriptor>, payload: &[u8], room: &mut [u8]) -> Option<usize> {
        match (self.vp8, source) {
            (Some(ids), Some(source)) => ids.write(source, payload, room),
            _ => {
                room.get_mut(..payload.len())?.copy_from_slice(payload);
                Some(payload.len())
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    Send(Rewritten),
    Drop,
}

#[derive(Debug)]
pub struct DownTrack {
    // hot
    selector: Selector,
    munger: Munger,
    /// Output − source, in RTP ticks.
    timestamp_offset: u32,
    vp8: Vp8Munger,
    /// The newest packet: its time as sent, and when it was made.
    newest: Option<(u32, Instant)>,
    packets: u32,
    octets: u32,
    // warm
    resend: ResendRing,
    round_trip: Duration,
    next_rtx: u64,
    // cold
    config: DownTrackConfig,
}

impl DownTrack {
    pub fn new(config: DownTrackConfig) -> Self {
        Self {
            selector: Selector::new(config.kind),
            munger: Munger::new(config.first_sequence),
            timestamp_offset: 0,
            vp8: Vp8Munger::default(),
            newest: None,
            packets: 0,
            octets: 0,
            resend: ResendRing::new(if config.kind == MediaKind::Video { RESENDS_VIDEO } else { RESENDS_AUDIO }),
            round_trip: ROUND_TRIP_DEFAULT,
            next_rtx: u64::from(config.first_rtx_sequence & 0x7FFF),
            config,
        }
    }

    /// A packet of the track arrived; `target` is the layer that this subscriber should have.
    pub fn forward(&mut self, now: Instant, target: Layer, packet: &Received) -> Forwarding {
        self.selector.set_target(target);
        if packet.restarted {
            self.selector.interrupt(packet.layer);
        }
        match self.selector.select(packet.layer, packet.key_frame, packet.empty) {
            Selected::Forward => {}
            Selected::Switch => self.switch(packet),
            Selected::Drop => return Forwarding::Drop,
        }
        let (ext_seq, newest) = match self.munger.number(packet.ext_seq, packet.empty) {
            Numbered::Next(ext_seq) => (ext_seq, true),
            Numbered::Late(ext_seq) => (ext_seq, false),
            Numbered::Dropped => return Forwarding::Drop,
        };
        let timestamp = packet.timestamp.wrapping_add(self.timestamp_offset);
        if newest {
            self.newest = Some((timestamp, packet.media_time));
        }
        let vp8 = packet.vp8.as_ref().and_then(|descriptor| self.vp8.rewrite(descriptor, newest));
        let rewritten = Rewritten { ext_seq, timestamp, marker: packet.marker, vp8 };
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(u32::from(packet.payload_len));
        self.resend.store(now, packet.layer, packet.ext_seq, rewritten);
        Forwarding::Send(rewritten)
    }

    /// Another source begins: numbers and time run on from what was sent last. The very first packet keeps its time.
    fn switch(&mut self, packet: &Received) {
        self.munger.switch(packet.ext_seq);
        if let Some((last, at)) = self.newest {
            let elapsed = packet.media_time.saturating_duration_since(at).as_secs_f64();
            let ticks = ((elapsed * f64::from(self.config.clock_rate)) as u64).max(1) as u32;
            self.timestamp_offset = last.wrapping_add(ticks).wrapping_sub(packet.timestamp);
        }
        if let Some(descriptor) = &packet.vp8 {
            self.vp8.switch(descriptor);
        }
    }

    /// Nothing was or will be sent for a while (muted, disabled): what comes next begins anew.
    pub fn pause(&mut self) {
        self.selector.pause();
    }

    /// The layer whose key frame the subscriber waits for.
    pub fn awaited(&self) -> Option<Layer> {
        self.selector.awaited()
    }

    /// The layer that is forwarded.
    pub fn current(&self) -> Option<Layer> {
        self.selector.current()
    }

    /// The subscriber misses a packet. A number that we left open because the source lacks it comes by itself when repaired.
    pub fn handle_nack(&mut self, now: Instant, sequence: u16) -> Option<Resend> {
        let newest = self.munger.newest_output()?;
        let behind = u64::from((newest as u16).wrapping_sub(sequence));
        self.resend.request(now, newest.checked_sub(behind)?, self.round_trip)
    }

    /// The next number of the repair stream.
    pub fn take_rtx_sequence(&mut self) -> u64 {
        let sequence = self.next_rtx;
        self.next_rtx += 1;
        sequence
    }

    /// What the subscriber reports of this stream; `now_ntp` is the server's own time.
    pub fn handle_report_block(&mut self, now_ntp: NtpTime, block: &ReportBlock) -> Option<Duration> {
        let round_trip = ntp::from_compact(block.round_trip(now_ntp.middle())?);
        // smoothed: one delayed report must not stop repairs
        self.round_trip = (self.round_trip * 3 + round_trip) / 4;
        Some(round_trip)
    }

    pub fn set_round_trip(&mut self, round_trip: Duration) {
        self.round_trip = round_trip;
    }

    /// Our sender report: the RTP time that is now, by the clock under which the newest packet was made. None before the first.
    pub fn sender_report(&self, now: Instant, now_ntp: NtpTime) -> Option<SenderInfo> {
        let (timestamp, at) = self.newest?;
        let rate = f64::from(self.config.clock_rate);
        let ahead = (now.saturating_duration_since(at).as_secs_f64() * rate) as u64 as u32;
        let behind = (at.saturating_duration_since(now).as_secs_f64() * rate) as u64 as u32;
        Some(SenderInfo {
            ssrc: self.config.ssrc,
            ntp: now_ntp.0,
            rtp: timestamp.wrapping_add(ahead).wrapping_sub(behind),
            packets: self.packets,
            octets: self.octets,
        })
    }
}

#[cfg(test)]
mod tests;
