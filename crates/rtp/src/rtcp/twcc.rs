//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).

use crate::cursor::{Cursor, Sink};

/// Whether and when a packet arrived: ticks of 250 µs after the one before it (the first: after the reference time).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TwccStatus {
    Lost,
    Received { delta: i16 },
}

impl TwccStatus {
    /// 0 lost, 1 small delta, 2 large or negative delta.
    fn symbol(self) -> u16 {
        match self {
            TwccStatus::Lost => 0,
            TwccStatus::Received { delta: 0..=255 } => 1,
            TwccStatus::Received { .. } => 2,
        }
    }
}

/// A feedback packet as received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    pub sender: u32,
    pub media: u32,
    pub base: u16,
    pub count: u16,
    /// In 64 ms, 24 bits signed on the wire.
    pub reference_64ms: u32,
    pub feedback_count: u8,
    rest: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn read(body: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        Some(Self {
            sender: cursor.u32()?,
            media: cursor.u32()?,
            base: cursor.u16()?,
            count: cursor.u16()?,
            reference_64ms: cursor.u24()?,
            feedback_count: cursor.u8()?,
            rest: cursor.rest(),
        })
    }

    /// Each sequence number with its fate, `count` at most; ends early where the packet is cut short.
    pub fn statuses(&self) -> Statuses<'a> {
        let mut deltas = Cursor::new(self.rest);
        let mut left = usize::from(self.count);
        while left > 0 {
            let Some(chunk) = deltas.u16() else { break };
            left = left.saturating_sub(Chunk(chunk).len());
        }
        Statuses { chunks: Cursor::new(self.rest), deltas, chunk: Chunk(0), at: 0, in_chunk: 0, next: self.base, left: self.count }
    }
}

#[derive(Debug, Clone, Copy)]
struct Chunk(u16);

impl Chunk {
    fn len(self) -> usize {
        match self.0 >> 14 {
            0 | 1 => usize::from(self.0 & 0x1FFF),
            2 => 14,
            _ => 7,
        }
    }

    fn symbol(self, at: usize) -> u16 {
        match self.0 >> 14 {
            0 | 1 => self.0 >> 13 & 3,
            2 => self.0 >> (13 - at) & 1,
            _ => self.0 >> (12 - 2 * at) & 3,
        }
    }
}

/// Iterator over (sequence number, fate).
#[derive(Debug, Clone)]
pub struct Statuses<'a> {
    chunks: Cursor<'a>,
    deltas: Cursor<'a>,
    chunk: Chunk,
    at: usize,
    in_chunk: usize,
    next: u16,
    left: u16,
}

impl Iterator for Statuses<'_> {
    type Item = (u16, TwccStatus);

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 {
            return None;
        }
        while self.at == self.in_chunk {
            self.chunk = Chunk(self.chunks.u16()?);
            (self.at, self.in_chunk) = (0, self.chunk.len());
        }
        let status = match self.chunk.symbol(self.at) {
            1 => TwccStatus::Received { delta: i16::from(self.deltas.u8()?) },
            2 => TwccStatus::Received { delta: self.deltas.u16()? as i16 },
            _ => TwccStatus::Lost,
        };
        let sequence = self.next;
        self.at += 1;
        self.next = self.next.wrapping_add(1);
        self.left -= 1;
        Some((sequence, status))
    }
}

/// Packets of one feedback: with two bytes of delta each it still fits a datagram.
const COUNT_MAX: usize = 400;

/// Writes base, count, reference, chunks and deltas; returns the number of packets covered.
pub(super) fn write(
    sink: &mut Sink<'_>,
    base: u16,
    reference_64ms: u32,
    feedback_count: u8,
    status: &[TwccStatus],
) -> Option<usize> {
    let status = &status[..status.len().min(COUNT_MAX)];
    sink.u16(base)?;
    sink.u16(status.len() as u16)?;
    sink.u24(reference_64ms & 0xFF_FFFF)?;
    sink.u8(feedback_count)?;
    let mut rest = status;
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|status| status.symbol() == first.symbol()).count();
        let small = rest.iter().take(14).take_while(|status| status.symbol() < 2).count();
        let covered = if run == rest.len() || run >= 14 || run >= 7 && small < 14 {
            sink.u16(first.symbol() << 13 | run as u16)?;
            run
        } else if small == rest.len().min(14) {
            // one bit a symbol, fourteen symbols
            let bits = rest.iter().take(small).enumerate();
            sink.u16(bits.fold(0x8000, |chunk, (at, status)| chunk | status.symbol() << (13 - at)))?;
            small
        } else {
            // two bits a symbol, seven symbols
            let pairs = rest.iter().take(7).enumerate();
            sink.u16(pairs.fold(0xC000, |chunk, (at, status)| chunk | status.symbol() << (12 - 2 * at)))?;
            rest.len().min(7)
        };
        rest = &rest[covered..];
    }
    for status in status {
        match status {
            TwccStatus::Lost => {}
            TwccStatus::Received { delta: delta @ 0..=255 } => sink.u8(*delta as u8)?,
            TwccStatus::Received { delta } => sink.u16(*delta as u16)?,
        }
    }
    Some(status.len())
}
