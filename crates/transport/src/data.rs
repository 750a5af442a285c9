//! Data channels of one connection: their limits, their names here, and the bound on SCTP streams that str0m does not have.
//!
//! The channels themselves (SCTP, RFC 8831; DCEP, RFC 8832) are str0m's.

use std::collections::VecDeque;

use str0m::channel::{ChannelConfig, ChannelId as StreamId, Reliability};

/// Largest message either way, as the SDP says (`a=max-message-size`).
pub const MESSAGE_MAX: u32 = 65_535;
/// Channels that may be open at once; LiveKit's clients open three.
pub const CHANNELS_MAX: usize = 64;
/// Streams are numbered below this, as libwebrtc does it (kMaxSctpStreams).
pub(crate) const SCTP_STREAMS_MAX: u16 = 1024;
/// Bytes that wait for a slow peer's acknowledgement before a message is refused.
pub(crate) const SCTP_BUFFER_MAX: usize = 1 << 20;

/// Chunks (RFC 9260 §3.3.1) that wait so: for each step of an association the library walks over all of them, so many small
/// messages under way would cost their square.
const SCTP_CHUNKS_MAX: usize = 512;
/// What of a message fits one chunk.
const CHUNK_BYTES: usize = 1100;

/// One data channel of a connection; never used again in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChannelId(u32);

/// What a channel promises (RFC 8831 §6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelPromise {
    pub ordered: bool,
    /// Nothing is given up: neither after a time nor after a number of retransmissions.
    pub reliable: bool,
}

impl ChannelPromise {
    pub(crate) fn of(config: &ChannelConfig) -> Self {
        Self { ordered: config.ordered, reliable: config.reliability == Reliability::Reliable }
    }
}

/// The open channels.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    open: Vec<(ChannelId, StreamId)>,
    next: u32,
    /// Beside `open`.
    under_way: Vec<UnderWay>,
}

/// Messages of one channel that were handed to SCTP and are not acknowledged or given up.
#[derive(Debug, Default)]
struct UnderWay {
    is_reliable: bool,
    /// Bytes of each, the oldest first.
    messages: VecDeque<u32>,
    bytes: usize,
    chunks: usize,
}

impl UnderWay {
    fn push(&mut self, bytes: usize) {
        self.messages.push_back(bytes as u32);
        self.bytes += bytes;
        self.chunks += chunks(bytes);
    }

    /// SCTP still holds so many bytes. Unordered messages may end in another order; their number is what matters.
    fn settle(&mut self, held: usize) {
        // an empty one is held by nobody's count
        while let Some(oldest) = self.messages.front().map(|bytes| *bytes as usize)
            && (self.bytes > held || oldest == 0)
        {
            self.messages.pop_front();
            self.bytes -= oldest;
            self.chunks -= chunks(oldest);
        }
    }
}

fn chunks(bytes: usize) -> usize {
    bytes.div_ceil(CHUNK_BYTES).max(1)
}

impl Channels {
    /// Names a channel that opened; none when there are too many.
    pub fn open(&mut self, stream: StreamId, is_reliable: bool) -> Option<ChannelId> {
        if let Some(known) = self.id(stream) {
            return Some(known);
        }
        if self.open.len() >= CHANNELS_MAX {
            return None;
        }
        let id = ChannelId(self.next);
        self.next = self.next.wrapping_add(1);
        self.open.push((id, stream));
        self.under_way.push(UnderWay { is_reliable, ..UnderWay::default() });
        Some(id)
    }

    /// Forgets a channel, if it was one that had opened.
    pub fn close(&mut self, stream: StreamId) -> Option<ChannelId> {
        let at = self.open.iter().position(|(_, known)| *known == stream)?;
        self.under_way.remove(at);
        Some(self.open.remove(at).0)
    }

    /// Whether SCTP may be given another message of a channel. `held`: the bytes that it still holds of one.
    pub fn may_send(&mut self, id: ChannelId, mut held: impl FnMut(StreamId) -> usize) -> bool {
        let Some(at) = self.at(id) else { return false };
        // what is sent reliably waits where it comes from; it leaves room for what cannot wait
        let limit = if self.under_way[at].is_reliable { SCTP_CHUNKS_MAX * 3 / 4 } else { SCTP_CHUNKS_MAX };
        if self.chunks() < limit {
            return true;
        }
        for ((_, stream), under_way) in self.open.iter().zip(&mut self.under_way) {
            under_way.settle(held(*stream));
        }
        self.chunks() < limit
    }

    fn chunks(&self) -> usize {
        self.under_way.iter().map(|channel| channel.chunks).sum()
    }

    /// A message went.
    pub fn sent(&mut self, id: ChannelId, bytes: usize) {
        if let Some(at) = self.at(id) {
            self.under_way[at].push(bytes);
        }
    }

    fn at(&self, id: ChannelId) -> Option<usize> {
        self.open.iter().position(|(known, _)| *known == id)
    }

    pub fn id(&self, stream: StreamId) -> Option<ChannelId> {
        self.open.iter().find(|(_, known)| *known == stream).map(|(id, _)| *id)
    }

    pub fn stream(&self, id: ChannelId) -> Option<StreamId> {
        self.open.iter().find(|(known, _)| *known == id).map(|(_, stream)| *stream)
    }
}

/// True when an SCTP packet (RFC 9260 §3) carries data of a stream whose number no honest peer uses. str0m keeps an entry for each
/// stream it ever saw, whether or not a channel was opened on it.
pub(crate) fn names_stream_beyond_limit(packet: &[u8]) -> bool {
    const DATA: u8 = 0;
    const I_DATA: u8 = 64;
    let mut rest = packet.get(12..).unwrap_or_default();
    while let [kind, _, length @ ..] = rest {
        let Some(length) = length.first_chunk().map(|length| usize::from(u16::from_be_bytes(*length))) else { break };
        if matches!(*kind, DATA | I_DATA)
            && let Some(stream) = rest.get(8..10).and_then(|stream| stream.first_chunk())
            && u16::from_be_bytes(*stream) >= SCTP_STREAMS_MAX
        {
            return true;
        }
        // a chunk is at least its own header, and padded to words
        rest = rest.get(length.max(4).next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A packet of two chunks: a SACK, and DATA of `stream`.
    fn packet(stream: u16) -> Vec<u8> {
        let mut packet = vec![0; 12];
        packet.extend([3, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend([0, 3, 0, 17, 0, 0, 0, 1]);
        packet.extend(stream.to_be_bytes());
        packet.extend([0, 0, 0, 0, 0, 51, b'x', 0, 0, 0]);
        packet
    }

    #[test]
    fn streams_are_numbered_below_the_limit() {
        assert!(!names_stream_beyond_limit(&packet(1023)));
        assert!(names_stream_beyond_limit(&packet(1024)));
        assert!(names_stream_beyond_limit(&packet(65_535)));
        assert!(!names_stream_beyond_limit(&[]));
    }

    #[test]
    fn small_messages_under_way_are_few() {
        let mut under_way = UnderWay::default();
        for _ in 0..100 {
            under_way.push(10);
        }
        under_way.push(15_000);
        assert_eq!((under_way.bytes, under_way.chunks), (16_000, 114));
        under_way.settle(15_005);
        assert_eq!((under_way.messages.len(), under_way.chunks), (1, 14));
        under_way.settle(15_000);
        assert_eq!(under_way.messages.len(), 1);
        under_way.push(0);
        under_way.settle(0);
        assert_eq!((under_way.bytes, under_way.chunks), (0, 0));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = names_stream_beyond_limit(&bytes);
        }
    }
}
