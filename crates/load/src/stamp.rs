//! The stamp in a published payload: when it was sent, and its number, where decoders do not look.
//!
//! It holds no byte below 0x80, so that neither a start code nor an escape of H264 can arise in it.

use sluicegate_rtp::codec::Codec;

/// Bytes of a stamp.
pub const LEN: usize = MAGIC.len() + TIME_LEN + NUMBER_LEN;
/// Bytes of the SEI message that carries a stamp in H264.
pub const SEI_LEN: usize = SEI_HEAD.len() + LEN + 1;

const MAGIC: [u8; 8] = [0xFA, 0xD3, 0xC5, 0x9E, 0xE7, 0xB8, 0xA1, 0xF2];
/// 64 and 28 bits, seven to a byte.
const TIME_LEN: usize = 10;
const NUMBER_LEN: usize = 4;
/// NAL type 6, user_data_unregistered, its size, and a UUID of our own (H.264 §D.1.6).
const SEI_HEAD: [u8; 19] =
    [6, 5, 16 + LEN as u8, 0x9B, 0x1D, 0x7C, 0x6A, 0xE2, 0x4F, 0x4A, 0x0C, 0x8E, 0x55, 0xC7, 0x31, 0xB0, 0xD4, 0x6F, 0x12];
/// RBSP's last byte.
const SEI_END: u8 = 0x80;
/// STAP-A's own header and the size of its first unit.
const STAP_HEAD: usize = 3;

/// What a stamp says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// CLOCK_MONOTONIC of the sending machine.
    pub sent_ns: u64,
    /// Counts the frames of a stream; 28 bits.
    pub number: u32,
}

impl Stamp {
    pub fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0x80; LEN];
        bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
        for (at, byte) in bytes[MAGIC.len()..MAGIC.len() + TIME_LEN].iter_mut().enumerate() {
            *byte |= (self.sent_ns >> (7 * at)) as u8 & 0x7F;
        }
        for (at, byte) in bytes[MAGIC.len() + TIME_LEN..].iter_mut().enumerate() {
            *byte |= (self.number >> (7 * at)) as u8 & 0x7F;
        }
        bytes
    }

    /// The stamp as a NAL unit.
    pub fn to_sei(self) -> [u8; SEI_LEN] {
        let mut bytes = [SEI_END; SEI_LEN];
        bytes[..SEI_HEAD.len()].copy_from_slice(&SEI_HEAD);
        bytes[SEI_HEAD.len()..SEI_HEAD.len() + LEN].copy_from_slice(&self.to_bytes());
        bytes
    }

    /// The stamp of a packet's payload, where it has one.
    pub fn find(codec: Codec, payload: &[u8]) -> Option<Stamp> {
        if codec == Codec::H264 {
            let start = if payload.first()? & 0x1F == sluicegate_rtp::h264::STAP_A { STAP_HEAD } else { 0 };
            let rest = payload.get(start..)?.strip_prefix(&SEI_HEAD[..])?;
            return Self::parse(rest.get(..LEN)?);
        }
        Self::parse(payload.get(payload.len().checked_sub(LEN)?..)?)
    }

    fn parse(bytes: &[u8]) -> Option<Stamp> {
        let rest = bytes.strip_prefix(&MAGIC)?;
        let (time, number) = rest.split_at_checked(TIME_LEN)?;
        let read = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |value, byte| value << 7 | u64::from(byte & 0x7F));
        Some(Stamp { sent_ns: read(time), number: read(number) as u32 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trip(sent_ns in any::<u64>(), number in 0u32..1 << 28, before in prop::collection::vec(any::<u8>(), 0..40)) {
            let stamp = Stamp { sent_ns, number };
            let mut payload = before;
            payload.extend(stamp.to_bytes());
            prop_assert_eq!(Stamp::find(Codec::Opus, &payload), Some(stamp));
            prop_assert_eq!(Stamp::find(Codec::Vp8, &payload), Some(stamp));
            prop_assert_eq!(Stamp::find(Codec::H264, &stamp.to_sei()), Some(stamp));
            prop_assert!(stamp.to_bytes().iter().all(|byte| *byte >= 0x80));
        }

        #[test]
        fn arbitrary_bytes_never_panic(payload in prop::collection::vec(any::<u8>(), 0..100)) {
            for codec in Codec::ALL {
                let _ = Stamp::find(codec, &payload);
            }
        }
    }
}
