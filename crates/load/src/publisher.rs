//! A track the client sends: numbers, history, answers to repair requests, sender reports.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sluicegate_rtp::header::{self, Element, RtpWrite};
use sluicegate_rtp::ntp::NtpTime;
use sluicegate_rtp::rtcp::{SenderInfo, Writer};
use sluicegate_transport::negotiate::SendSection;

use crate::peer::Peer;

/// Packets that can be sent again.
const HISTORY: usize = 1200;
/// libwebrtc does not answer the same request twice within a round trip; unknown, it takes this.
const RESEND_SPACING: Duration = Duration::from_millis(60);

/// One stream of one track.
#[derive(Debug)]
pub struct Publication {
    section: SendSection,
    next: u64,
    next_rtx: u64,
    history: VecDeque<Sent>,
    last: Option<(u32, Instant)>,
    packets: u32,
    octets: u32,
    report_due: Option<Instant>,
    pub key_frame_wanted: bool,
    /// Bytes of first copies and of repairs, as sealed.
    pub media_bytes: u64,
    pub repair_bytes: u64,
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
    pub fn new(section: SendSection, first_sequence: u16) -> Self {
        let first = u64::from(first_sequence & 0x7FFF);
        Self {
            section,
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
        }
    }

    pub fn ssrc(&self) -> u32 {
        self.section.ssrc
    }

    pub fn payload_type(&self) -> u8 {
        self.section.payload_type
    }

    /// Sends one packet.
    pub fn send(&mut self, now: Instant, peer: &mut Peer, timestamp: u32, marker: bool, payload: &[u8]) {
        let sequence = self.next;
        self.next += 1;
        self.last = Some((timestamp, now));
        self.packets += 1;
        self.octets += payload.len() as u32;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Sent { sequence, timestamp, marker, payload: payload.to_vec(), at: now });
        let header = RtpWrite {
            marker,
            payload_type: self.section.payload_type,
            sequence: sequence as u16,
            timestamp,
            ssrc: self.section.ssrc,
        };
        self.media_bytes += write(peer, &header, sequence, None, payload);
    }

    /// The receiver misses a packet.
    pub fn resend(&mut self, now: Instant, peer: &mut Peer, sequence: u16) {
        let Some(sent) = self.history.iter_mut().rev().find(|sent| sent.sequence as u16 == sequence) else { return };
        if now.saturating_duration_since(sent.at) < RESEND_SPACING {
            return;
        }
        sent.at = now;
        let header = RtpWrite {
            marker: sent.marker,
            payload_type: self.section.payload_type,
            sequence,
            timestamp: sent.timestamp,
            ssrc: self.section.ssrc,
        };
        self.repair_bytes += match self.section.rtx_payload_type {
            Some(payload_type) => {
                let number = self.next_rtx;
                self.next_rtx += 1;
                let header = RtpWrite { payload_type, sequence: number as u16, ssrc: self.section.rtx_ssrc, ..header };
                write(peer, &header, number, Some(sequence), &sent.payload)
            }
            None => write(peer, &header, sent.sequence, None, &sent.payload),
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
            ssrc: self.section.ssrc,
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
}

/// Returns the bytes on the wire.
fn write(peer: &mut Peer, header: &RtpWrite, ext_sequence: u64, original: Option<u16>, payload: &[u8]) -> u64 {
    let no_extensions: [Element<'_>; 0] = [];
    let sealed = peer.send_rtp(header.ssrc, ext_sequence, |buffer| {
        let start = header::write(buffer, header, &no_extensions)?;
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
