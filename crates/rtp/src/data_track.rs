//! Packets of LiveKit's data tracks, one per message of the channel `_data_track`.
//!
//! Twelve bytes, big-endian: version (3 bits, 0), start and final of a frame (1 bit each), extensions follow (1 bit), reserved
//! (10 bits); the track's handle, sequence number and frame number (16 bits each); a timestamp (32 bits, 90 kHz). Then, where
//! extensions follow, 16 bits with the number of words of 32 bits behind the one that they begin; then the payload.

use core::ops::Range;

use crate::RtpError;

/// Bytes of the header without extensions.
pub const HEADER_BYTES: usize = 12;
const HANDLE: Range<usize> = 2..4;

/// The header of a packet. Handle 0 is nobody's, and refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataTrackHeader {
    /// The first packet of its frame.
    pub start: bool,
    /// The last packet of its frame; a single one is both.
    pub last: bool,
    pub handle: u16,
    pub sequence: u16,
    pub frame: u16,
    pub timestamp: u32,
    /// Bytes before the payload, extensions included.
    pub length: usize,
}

impl DataTrackHeader {
    pub fn parse(packet: &[u8]) -> Result<Self, RtpError> {
        const WHAT: &str = "data track packet";
        let Some((header, rest)) = packet.split_first_chunk::<HEADER_BYTES>() else { return Err(RtpError::Truncated(WHAT)) };
        let [flags, _, h0, h1, s0, s1, f0, f1, t0, t1, t2, t3] = *header;
        let handle = u16::from_be_bytes([h0, h1]);
        if flags >> 5 != 0 || handle == 0 {
            return Err(RtpError::Invalid(WHAT));
        }
        let mut length = HEADER_BYTES;
        if flags & 0b100 != 0 {
            let words = rest.first_chunk::<2>().map(|words| usize::from(u16::from_be_bytes(*words)) + 1);
            length += 4 * words.ok_or(RtpError::Truncated(WHAT))?;
            if length > packet.len() {
                return Err(RtpError::Truncated(WHAT));
            }
        }
        Ok(Self {
            start: flags & 0b1_0000 != 0,
            last: flags & 0b1000 != 0,
            handle,
            sequence: u16::from_be_bytes([s0, s1]),
            frame: u16::from_be_bytes([f0, f1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            length,
        })
    }
}

/// Gives a packet that was parsed the handle by which its receiver knows the track.
pub fn set_handle(packet: &mut [u8], handle: u16) {
    if let Some(bytes) = packet.get_mut(HANDLE) {
        bytes.copy_from_slice(&handle.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: [u8; 14] = [0b0001_1000, 0, 0x01, 0x02, 0, 3, 0, 4, 0, 0, 0, 5, b'h', b'i'];

    #[test]
    fn a_packet_of_one_frame() {
        let header = DataTrackHeader::parse(&PLAIN).unwrap();
        let wanted =
            DataTrackHeader { start: true, last: true, handle: 0x102, sequence: 3, frame: 4, timestamp: 5, length: HEADER_BYTES };
        assert_eq!(header, wanted);
        let mut packet = PLAIN;
        set_handle(&mut packet, 7);
        assert_eq!(DataTrackHeader::parse(&packet).unwrap(), DataTrackHeader { handle: 7, ..wanted });
        assert_eq!(packet[4..], PLAIN[4..]);
    }

    #[test]
    fn extensions_end_where_their_words_say() {
        // a timestamp of the user: tag, length, eight bytes; with the count of words twelve, three words
        let mut packet = vec![0b0001_0100, 0, 0, 1, 0, 3, 0, 4, 0, 0, 0, 5, 0, 2, 2, 8, 0, 0, 0, 0, 0, 0, 0, 9];
        let header = DataTrackHeader::parse(&packet).unwrap();
        assert_eq!((header.start, header.last, header.length), (true, false, 24));
        packet[13] = 3;
        assert_eq!(DataTrackHeader::parse(&packet), Err(RtpError::Truncated("data track packet")));
        assert!(DataTrackHeader::parse(&packet[..13]).is_err());
    }

    #[test]
    fn what_is_short_newer_or_nobodys_is_refused() {
        for length in 0..HEADER_BYTES {
            assert!(DataTrackHeader::parse(&PLAIN[..length]).is_err());
        }
        let mut newer = PLAIN;
        newer[0] |= 0b0010_0000;
        assert!(DataTrackHeader::parse(&newer).is_err());
        let mut nobody = PLAIN;
        set_handle(&mut nobody, 0);
        assert!(DataTrackHeader::parse(&nobody).is_err());
    }
}
