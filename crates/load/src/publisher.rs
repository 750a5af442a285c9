//! A stream the client sends (a track, or one of its simulcast layers): numbers, history, answers to repair requests, sender reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sluicegate_rtp::extension::{AudioLevel, ExtensionKind, ExtensionMap};
use sluicegate_rtp::header::{self, Element, RtpWrite};
use sluicegate_rtp::ntp::NtpTime;
use sluicegate_rtp::rtcp::{SenderInfo, Writer};

use crate::peer::Peer;

/// Packets that can be sent again.
const HISTORY: usize = 1200;
/// libwebrtc does not answer the same request twice within a round trip; unknown, it takes this.
const RESEND_SPACING: Duration = Duration::from_millis(60);
/// Somebody speaks: −20 dBov.
const LEVEL: AudioLevel = AudioLevel { voice: true, level: 20 };

/// What the negotiation says of a stream.
#[derive(Clone, Debug)]
pub struct Numbers {
    pub payload_type: u8,
    pub rtx_payload_type: Option<u8>,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub mid: String,
    /// Of a simulcast layer.
    pub rid: Option<&'static str>,
    pub extensions: ExtensionMap,
}

/// One stream of one track.
#[derive(Debug)]
pub struct Publication {
    /// Which of the tracks to publish.
    pub track: usize,
    numbers: Numbers,
    next: u64,
    next_rtx: u64,
    history: VecDeque<Sent>,
    last: Option<(u32, Instant)>,
    pub packets: u32,
    octets: u32,
    report_due: Option<Instant>,
    pub key_frame_wanted: bool,
    /// Bytes of first copies and of repairs, as sealed.
    pub media_bytes: u64,
    pub repair_bytes: u64,
    pub repairs: u32,
}

#[derive(Debug)]
struct Sent {
    sequence: u64,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
    at: Instant,
}

impl Publication {
    pub fn new(track: usize, numbers: Numbers, first_sequence: u16) -> Self {
        let first = u64::from(first_sequence & 0x7FFF);
        Self {
            track,
            numbers,
            next: first,
            next_rtx: 7,
            history: VecDeque::new(),
            last: None,
            packets: 0,
            octets: 0,
            report_due: None,
            key_frame_wanted: true,
            media_bytes: 0,
            repair_bytes: 0,
            repairs: 0,
        }
    }

    pub fn ssrc(&self) -> u32 {
        self.numbers.ssrc
    }

    pub fn payload_type(&self) -> u8 {
        self.numbers.payload_type
    }

    /// Sends one packet.
    pub fn send(&mut self, now: Instant, peer: &mut Peer, timestamp: u32, marker: bool, payload: &[u8]) {
        let sequence = self.next;
        self.next += 1;
        self.last = Some((timestamp, now));
        self.packets += 1;
        self.octets += payload.len() as u32;
        self.report_due.get_or_insert(now);
        let mut kept = match self.history.len() == HISTORY {
            true => self.history.pop_front().map(|sent| sent.payload).unwrap_or_default(),
            false => Vec::new(),
        };
        kept.clear();
        kept.extend_from_slice(payload);
        self.history.push_back(Sent { sequence, timestamp, marker, payload: kept, at: now });
        let header = self.header(sequence, timestamp, marker);
        self.media_bytes += self.numbers.write(peer, &header, sequence, None, payload);
    }

    /// The receiver misses a packet.
    pub fn resend(&mut self, now: Instant, peer: &mut Peer, sequence: u16) {
        let Some(sent) = self.history.iter_mut().rev().find(|sent| sent.sequence as u16 == sequence) else { return };
        if now.saturating_duration_since(sent.at) < RESEND_SPACING {
            return;
        }
        sent.at = now;
        let numbers = &self.numbers;
        let header = RtpWrite {
            marker: sent.marker,
            payload_type: numbers.payload_type,
            sequence,
            timestamp: sent.timestamp,
            ssrc: numbers.ssrc,
        };
        self.repairs += 1;
        self.repair_bytes += match numbers.rtx_payload_type {
            Some(payload_type) => {
                let number = self.next_rtx;
                self.next_rtx += 1;
                let header = RtpWrite { payload_type, sequence: number as u16, ssrc: numbers.rtx_ssrc, ..header };
                numbers.write(peer, &header, number, Some(sequence), &sent.payload)
            }
            None => numbers.write(peer, &header, sent.sequence, None, &sent.payload),
        };
    }

    /// A sender report a second.
    pub fn report(&mut self, now: Instant, peer: &mut Peer, ntp: NtpTime, clock_rate: u32) {
        let Some((timestamp, at)) = self.last else { return };
        let due = *self.report_due.get_or_insert(now);
        if due > now {
            return;
        }
        self.report_due = Some(now + Duration::from_secs(1));
        let elapsed = (now.saturating_duration_since(at).as_secs_f64() * f64::from(clock_rate)) as u32;
        let info = SenderInfo {
            ssrc: self.numbers.ssrc,
            ntp: ntp.0,
            rtp: timestamp.wrapping_add(elapsed),
            packets: self.packets,
            octets: self.octets,
        };
        let mut buffer = [0u8; 256];
        let mut writer = Writer::new(&mut buffer);
        writer.sender_report(&info, &[]);
        writer.cname(info.ssrc, "client");
        let len = writer.len();
        peer.send_rtcp(&buffer[..len]);
    }

    pub fn report_due(&self) -> Option<Instant> {
        self.last.and(self.report_due)
    }

    fn header(&self, sequence: u64, timestamp: u32, marker: bool) -> RtpWrite {
        let Numbers { payload_type, ssrc, .. } = self.numbers;
        RtpWrite { marker, payload_type, sequence: sequence as u16, timestamp, ssrc }
    }
}

impl Numbers {
    /// Returns the bytes on the wire.
    fn write(&self, peer: &mut Peer, header: &RtpWrite, ext_sequence: u64, original: Option<u16>, payload: &[u8]) -> u64 {
        let level = [LEVEL.to_byte()];
        let transport = peer.next_transport_sequence().to_be_bytes();
        let rid_kind = if original.is_some() { ExtensionKind::RepairedRid } else { ExtensionKind::Rid };
        let values: [(ExtensionKind, Option<&[u8]>); 4] = [
            (ExtensionKind::Mid, Some(self.mid.as_bytes())),
            (rid_kind, self.rid.map(str::as_bytes)),
            (ExtensionKind::AudioLevel, Some(&level)),
            (ExtensionKind::TransportCc, Some(&transport)),
        ];
        let mut elements = [Element { id: 0, data: &[] }; 4];
        let mut count = 0;
        for (kind, data) in values {
            if let (Some(id), Some(data)) = (self.extensions.id_of(kind), data) {
                elements[count] = Element { id, data };
                count += 1;
            }
        }
        let sealed = peer.send_rtp(header.ssrc, ext_sequence, |buffer| {
            let start = header::write(buffer, header, &elements[..count])?;
            let mut end = start;
            if let Some(original) = original {
                buffer.get_mut(end..end + 2)?.copy_from_slice(&original.to_be_bytes());
                end += 2;
            }
            buffer.get_mut(end..end + payload.len())?.copy_from_slice(payload);
            Some((start, end + payload.len()))
        });
        sealed.unwrap_or(0) as u64
    }
}
