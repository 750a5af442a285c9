//! H.265 in RTP: NAL units, aggregates and fragments (RFC 7798 §4), without decoding order numbers
//! (sprop-max-don-diff is 0 in WebRTC).

use crate::cursor::Cursor;

pub const NAL_VPS: u8 = 32;
pub const NAL_SPS: u8 = 33;
pub const NAL_PPS: u8 = 34;
pub const AGGREGATION: u8 = 48;
pub const FRAGMENTATION: u8 = 49;
pub const PACI: u8 = 50;

/// The two bytes before every NAL unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalHeader {
    pub kind: u8,
    pub layer_id: u8,
    /// Temporal id plus one, as sent; 0 is forbidden.
    pub temporal_id_plus1: u8,
}

impl NalHeader {
    pub fn parse(bytes: &[u8]) -> Option<NalHeader> {
        let word = Cursor::new(bytes).u16()?;
        Some(NalHeader { kind: (word >> 9) as u8 & 0x3F, layer_id: (word >> 3) as u8 & 0x3F, temporal_id_plus1: word as u8 & 0x07 })
    }

    /// A picture at which decoding may start (H.265 §7.4.2.2: types 16 to 23).
    pub fn is_irap(self) -> bool {
        is_irap(self.kind)
    }
}

/// Whether the packet begins a key frame: a parameter set that goes before one, or an IRAP picture.
pub fn is_key_frame(payload: &[u8]) -> bool {
    nal_types(payload).any(|kind| is_irap(kind) || matches!(kind, NAL_VPS | NAL_SPS))
}

/// Whether the packet begins a NAL unit, rather than continuing a fragment.
pub fn starts_nal(payload: &[u8]) -> bool {
    match NalHeader::parse(payload) {
        Some(header) if header.kind == FRAGMENTATION => payload.get(2).is_some_and(|fu| fu & 0x80 != 0),
        Some(_) => true,
        None => false,
    }
}

/// Types of the NAL units that begin in a packet. Ends where the payload is malformed.
pub fn nal_types(payload: &[u8]) -> NalTypes<'_> {
    let body = payload.get(2..).unwrap_or(&[]);
    match NalHeader::parse(payload).map(|header| header.kind) {
        Some(AGGREGATION) => NalTypes { single: None, units: Cursor::new(body) },
        Some(FRAGMENTATION) => {
            let fu = body.first().filter(|fu| *fu & 0x80 != 0);
            NalTypes { single: fu.map(|fu| fu & 0x3F), units: Cursor::new(&[]) }
        }
        single => NalTypes { single, units: Cursor::new(&[]) },
    }
}

/// See [`nal_types`].
#[derive(Debug, Clone)]
pub struct NalTypes<'a> {
    single: Option<u8>,
    units: Cursor<'a>,
}

impl Iterator for NalTypes<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(kind) = self.single.take() {
            return Some(kind);
        }
        let unit = self.units.u16().and_then(|len| self.units.take(usize::from(len)));
        let kind = unit.and_then(NalHeader::parse).map(|header| header.kind);
        if kind.is_none() {
            self.units = Cursor::new(&[]);
        }
        kind
    }
}

fn is_irap(kind: u8) -> bool {
    (16..=23).contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const fn header(kind: u8) -> [u8; 2] {
        [kind << 1, 1]
    }

    #[test]
    fn single_units() {
        assert_eq!(NalHeader::parse(&[0x26, 0x09]), Some(NalHeader { kind: 19, layer_id: 1, temporal_id_plus1: 1 }));
        assert!(is_key_frame(&[0x26, 0x01, 0xAF]), "IDR_W_RADL");
        assert!(is_key_frame(&header(NAL_VPS)));
        assert!(!is_key_frame(&header(1)), "TRAIL_R");
        assert!(!is_key_frame(&[0x26]));
    }

    #[test]
    fn fragments() {
        let [a, b] = header(FRAGMENTATION);
        assert!(is_key_frame(&[a, b, 0x80 | 19, 0]) && starts_nal(&[a, b, 0x80 | 19, 0]));
        assert!(!is_key_frame(&[a, b, 19, 0]) && !starts_nal(&[a, b, 19, 0]));
        assert!(!starts_nal(&[a, b]));
    }

    #[test]
    fn aggregate() {
        let [a, b] = header(AGGREGATION);
        let [va, vb] = header(NAL_VPS);
        let [ta, tb] = header(1);
        let payload = [a, b, 0, 3, ta, tb, 9, 0, 2, va, vb];
        assert_eq!(nal_types(&payload).collect::<Vec<_>>(), [1, NAL_VPS]);
        assert!(is_key_frame(&payload));
        assert_eq!(nal_types(&payload[..10]).collect::<Vec<_>>(), [1], "the second is cut short");
    }

    proptest! {
        #[test]
        fn total(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(nal_types(&payload).count() <= payload.len());
            let _ = (is_key_frame(&payload), starts_nal(&payload));
        }
    }
}
