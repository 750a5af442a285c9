//! RTP header extensions (RFC 8285): which id means what on a connection, and the values of a packet.
//!
//! Owns: the map from ids to kinds, the walk over elements, the shapes of the values.
//! Promises: a malformed element ends the walk, what came before it counts.

use std::ops::Range;

use crate::cursor::{Cursor, Sink};
use crate::header::{PROFILE_ONE_BYTE, PROFILE_TWO_BYTE, RtpHeader};

/// The header extensions that the server negotiates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum ExtensionKind {
    Mid,
    Rid,
    RepairedRid,
    AudioLevel,
    TransportCc,
    AbsSendTime,
    AbsCaptureTime,
    DependencyDescriptor,
    FrameMarking,
    PlayoutDelay,
}

impl ExtensionKind {
    pub const ALL: [ExtensionKind; 10] = [
        ExtensionKind::Mid,
        ExtensionKind::Rid,
        ExtensionKind::RepairedRid,
        ExtensionKind::AudioLevel,
        ExtensionKind::TransportCc,
        ExtensionKind::AbsSendTime,
        ExtensionKind::AbsCaptureTime,
        ExtensionKind::DependencyDescriptor,
        ExtensionKind::FrameMarking,
        ExtensionKind::PlayoutDelay,
    ];

    /// The URI of `a=extmap`.
    pub fn uri(self) -> &'static str {
        match self {
            ExtensionKind::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            ExtensionKind::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            ExtensionKind::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            ExtensionKind::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            ExtensionKind::TransportCc => "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01",
            ExtensionKind::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            ExtensionKind::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            ExtensionKind::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
            ExtensionKind::FrameMarking => "urn:ietf:params:rtp-hdrext:framemarking",
            ExtensionKind::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        }
    }

    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }
}

/// Ids of the header extensions of one connection or m-line. Id and kind are paired one to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExtensionMap {
    /// By kind; 0 = not negotiated.
    ids: [u8; ExtensionKind::ALL.len()],
    /// By id, for the range of the one-byte form.
    kinds: [Option<ExtensionKind>; 16],
}

impl ExtensionMap {
    pub fn new() -> Self {
        Self::default()
    }

    /// Pairs an id with a kind; earlier pairs of either are dissolved. Id 0 (padding) only dissolves the kind's.
    pub fn set(&mut self, id: u8, kind: ExtensionKind) {
        for used in &mut self.ids {
            if *used == id {
                *used = 0;
            }
        }
        for slot in &mut self.kinds {
            if *slot == Some(kind) {
                *slot = None;
            }
        }
        self.ids[kind as usize] = id;
        if id != 0
            && let Some(slot) = self.kinds.get_mut(usize::from(id))
        {
            *slot = Some(kind);
        }
    }

    pub fn id_of(&self, kind: ExtensionKind) -> Option<u8> {
        Some(self.ids[kind as usize]).filter(|id| *id != 0)
    }

    pub fn kind_of(&self, id: u8) -> Option<ExtensionKind> {
        match self.kinds.get(usize::from(id)) {
            Some(kind) => *kind,
            None => ExtensionKind::ALL.into_iter().find(|kind| self.ids[*kind as usize] == id),
        }
    }

    /// All pairs in the order of `ExtensionKind::ALL`.
    pub fn iter(&self) -> impl Iterator<Item = (u8, ExtensionKind)> + '_ {
        ExtensionKind::ALL.into_iter().filter_map(|kind| Some((self.id_of(kind)?, kind)))
    }
}

/// The values of a packet's header extensions. Texts are bytes as sent: compare them, never trust them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extensions<'a> {
    pub mid: Option<&'a [u8]>,
    pub rid: Option<&'a [u8]>,
    pub repaired_rid: Option<&'a [u8]>,
    pub audio_level: Option<AudioLevel>,
    pub transport_cc: Option<u16>,
    /// 24 bits: seconds modulo 64 in units of 2⁻¹⁸ s.
    pub abs_send_time: Option<u32>,
    pub abs_capture_time: Option<AbsCaptureTime>,
    pub dependency_descriptor: Option<&'a [u8]>,
    pub frame_marking: Option<&'a [u8]>,
    pub playout_delay: Option<PlayoutDelay>,
}

impl<'a> Extensions<'a> {
    /// Reads what the map knows; a value of a wrong size is left out.
    pub fn parse(map: &ExtensionMap, datagram: &'a [u8], header: &RtpHeader) -> Extensions<'a> {
        let mut values = Extensions::default();
        for (id, range) in elements(datagram, header) {
            if let (Some(kind), Some(data)) = (map.kind_of(id), datagram.get(range)) {
                values.store(kind, data);
            }
        }
        values
    }

    fn store(&mut self, kind: ExtensionKind, data: &'a [u8]) {
        match kind {
            ExtensionKind::Mid => self.mid = Some(data),
            ExtensionKind::Rid => self.rid = Some(data),
            ExtensionKind::RepairedRid => self.repaired_rid = Some(data),
            ExtensionKind::AudioLevel => self.audio_level = data.first().map(|b| AudioLevel::from_byte(*b)),
            ExtensionKind::TransportCc => self.transport_cc = Cursor::new(data).u16(),
            ExtensionKind::AbsSendTime => self.abs_send_time = Cursor::new(data).u24(),
            ExtensionKind::AbsCaptureTime => self.abs_capture_time = AbsCaptureTime::parse(data),
            ExtensionKind::DependencyDescriptor => self.dependency_descriptor = Some(data),
            ExtensionKind::FrameMarking => self.frame_marking = Some(data),
            ExtensionKind::PlayoutDelay => self.playout_delay = PlayoutDelay::parse(data),
        }
    }
}

/// The elements of a packet's header extension: id and place of the data in the datagram.
/// Unknown profiles have none.
pub fn elements<'a>(datagram: &'a [u8], header: &RtpHeader) -> Elements<'a> {
    let block = header.extension.and_then(|block| {
        let end = block.start.checked_add(block.len)?;
        let data = datagram.get(block.start..end)?;
        match block.profile {
            PROFILE_ONE_BYTE => Some((block.start, data, true)),
            profile if profile & 0xFFF0 == PROFILE_TWO_BYTE => Some((block.start, data, false)),
            _ => None,
        }
    });
    let (at, data, one_byte) = block.unwrap_or((0, &[], true));
    Elements { rest: Cursor::new(data), end: at + data.len(), one_byte }
}

/// See [`elements`].
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    rest: Cursor<'a>,
    end: usize,
    one_byte: bool,
}

impl Elements<'_> {
    fn read(&mut self) -> Option<(u8, Range<usize>)> {
        loop {
            let first = self.rest.u8()?;
            if first == 0 {
                continue;
            }
            let (id, len) = if self.one_byte {
                // Id 15 ends the walk, and so does an id 0 with a length (RFC 8285 §4.2).
                match first >> 4 {
                    0 | 15 => return None,
                    id => (id, usize::from(first & 0x0F) + 1),
                }
            } else {
                (first, usize::from(self.rest.u8()?))
            };
            let start = self.end - self.rest.rest().len();
            self.rest.take(len)?;
            return Some((id, start..start + len));
        }
    }
}

impl Iterator for Elements<'_> {
    type Item = (u8, Range<usize>);

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.read();
        if element.is_none() {
            self.rest = Cursor::new(&[]);
        }
        element
    }
}

/// RFC 6464: how loud the packet's audio is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioLevel {
    pub voice: bool,
    /// −dBov: 0 is loudest, 127 silence.
    pub level: u8,
}

impl AudioLevel {
    pub fn from_byte(byte: u8) -> Self {
        AudioLevel { voice: byte & 0x80 != 0, level: byte & 0x7F }
    }

    pub fn to_byte(self) -> u8 {
        u8::from(self.voice) << 7 | self.level & 0x7F
    }
}

/// When the first sample was captured, by the clock of the capturing system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbsCaptureTime {
    /// 32.32 NTP.
    pub ntp: u64,
    /// Estimated capture clock minus sender clock, signed 32.32.
    pub offset: Option<i64>,
}

impl AbsCaptureTime {
    pub fn parse(data: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(data);
        Some(AbsCaptureTime { ntp: cursor.u64()?, offset: cursor.u64().map(|offset| offset as i64) })
    }

    /// Writes the 8 or 16 bytes; the length, or `None` when they do not fit.
    pub fn write(&self, buf: &mut [u8]) -> Option<usize> {
        let mut sink = Sink::new(buf);
        sink.u64(self.ntp)?;
        if let Some(offset) = self.offset {
            sink.u64(offset as u64)?;
        }
        Some(sink.len())
    }
}

/// Bounds of the receiver's playout delay; 12 bits each, in units of 10 ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlayoutDelay {
    pub min_10ms: u16,
    pub max_10ms: u16,
}

impl PlayoutDelay {
    pub fn parse(data: &[u8]) -> Option<Self> {
        let bits = Cursor::new(data).u24()?;
        Some(PlayoutDelay { min_10ms: (bits >> 12) as u16, max_10ms: (bits & 0xFFF) as u16 })
    }

    pub fn to_bytes(self) -> [u8; 3] {
        u24_bytes(u32::from(self.min_10ms.min(0xFFF)) << 12 | u32::from(self.max_10ms.min(0xFFF)))
    }
}

/// The low 24 bits, as abs-send-time and playout-delay are sent.
pub fn u24_bytes(value: u32) -> [u8; 3] {
    let [_, tail @ ..] = value.to_be_bytes();
    tail
}

#[cfg(test)]
mod tests;
