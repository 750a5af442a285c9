//! Redundant audio (RFC 2198): a payload split into its blocks, and put together.

use arrayvec::ArrayVec;

use crate::RtpError;
use crate::cursor::{Cursor, Sink};

/// Blocks in one packet, the primary included. Browsers send up to ten.
pub const BLOCKS_MAX: usize = 16;
/// Fourteen bits of timestamp, ten of length.
const OFFSET_MAX: u16 = 0x3FFF;
const LEN_MAX: usize = 0x3FF;

/// One encoding of a stretch of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    pub payload_type: u8,
    /// How far before the packet's timestamp, in clock units; 0 for the primary.
    pub timestamp_offset: u16,
    pub data: &'a [u8],
}

/// The blocks of a payload, oldest first as sent; the last is the primary. Never empty.
pub fn split(payload: &[u8]) -> Result<ArrayVec<Block<'_>, BLOCKS_MAX>, RtpError> {
    let truncated = RtpError::Truncated("RED payload");
    let mut cursor = Cursor::new(payload);
    let mut headers = ArrayVec::<(u8, u16, usize), BLOCKS_MAX>::new();
    let primary = loop {
        let byte = cursor.u8().ok_or(truncated)?;
        if byte & 0x80 == 0 {
            break byte & 0x7F;
        }
        let bits = cursor.u24().ok_or(truncated)?;
        let header = (byte & 0x7F, (bits >> 10) as u16, (bits & 0x3FF) as usize);
        headers.try_push(header).map_err(|_| RtpError::Limit("RED blocks"))?;
    };
    let mut blocks = ArrayVec::new();
    for (payload_type, timestamp_offset, len) in headers {
        let data = cursor.take(len).ok_or(truncated)?;
        blocks.try_push(Block { payload_type, timestamp_offset, data }).map_err(|_| RtpError::Limit("RED blocks"))?;
    }
    let last = Block { payload_type: primary, timestamp_offset: 0, data: cursor.rest() };
    blocks.try_push(last).map_err(|_| RtpError::Limit("RED blocks"))?;
    Ok(blocks)
}

/// The primary block only: what a receiver without RED is sent.
pub fn primary(payload: &[u8]) -> Result<Block<'_>, RtpError> {
    split(payload)?.last().copied().ok_or(RtpError::Truncated("RED payload"))
}

/// Writes blocks, the last as the primary, and returns the length. `None` when `buf` is too small, there is no
/// block, or a redundant one is too long or too old for its header.
pub fn write(buf: &mut [u8], blocks: &[Block<'_>]) -> Option<usize> {
    let (primary, redundant) = blocks.split_last()?;
    let mut sink = Sink::new(buf);
    for block in redundant {
        if block.timestamp_offset > OFFSET_MAX || block.data.len() > LEN_MAX {
            return None;
        }
        sink.u8(0x80 | block.payload_type)?;
        sink.u24(u32::from(block.timestamp_offset) << 10 | block.data.len() as u32)?;
    }
    sink.u8(primary.payload_type & 0x7F)?;
    for block in blocks {
        sink.put(block.data)?;
    }
    Some(sink.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_redundant_block() {
        // Payload type 111 twice, 960 units ago, three bytes.
        let payload = [0x80 | 111, 0x0F, 0x00, 0x03, 111, 1, 2, 3, 4, 5];
        let blocks = split(&payload).unwrap();
        assert_eq!(blocks[0], Block { payload_type: 111, timestamp_offset: 960, data: &[1, 2, 3] });
        assert_eq!(blocks[1], Block { payload_type: 111, timestamp_offset: 0, data: &[4, 5] });
        assert_eq!(primary(&payload).unwrap().data, [4, 5]);
    }

    #[test]
    fn refused() {
        assert_eq!(split(&[]), Err(RtpError::Truncated("RED payload")));
        assert_eq!(split(&[0xEF, 0, 0, 9, 111, 1]), Err(RtpError::Truncated("RED payload")));
        let many = [[0xEF, 0, 0, 0]; 40].concat();
        assert_eq!(split(&many), Err(RtpError::Limit("RED blocks")));
    }

    proptest! {
        #[test]
        fn round_trip(list in prop::collection::vec((0u8..128, 0u16..0x4000, prop::collection::vec(any::<u8>(), 0..80)), 1..BLOCKS_MAX)) {
            let mut blocks: Vec<_> = list.iter().map(|(payload_type, timestamp_offset, data)| Block { payload_type: *payload_type, timestamp_offset: *timestamp_offset, data }).collect();
            blocks.last_mut().unwrap().timestamp_offset = 0;
            let mut buf = [0; 2000];
            let len = write(&mut buf, &blocks).unwrap();
            let parsed = split(&buf[..len]).unwrap();
            prop_assert_eq!(&parsed[..], &blocks[..]);
        }

        #[test]
        fn total(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (split(&payload), primary(&payload));
        }
    }
}
