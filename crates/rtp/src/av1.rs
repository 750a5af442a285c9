//! AV1 in RTP: the aggregation header and the OBU elements behind it (AV1 RTP specification §4.4, §4.5).

use crate::RtpError;
use crate::cursor::Cursor;

/// OBU types (AV1 specification §6.2.2).
pub const OBU_SEQUENCE_HEADER: u8 = 1;
pub const OBU_TEMPORAL_DELIMITER: u8 = 2;
pub const OBU_FRAME_HEADER: u8 = 3;
pub const OBU_FRAME: u8 = 6;

/// The first byte of every AV1 payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AggregationHeader {
    /// Z: the first element continues an OBU of the packet before.
    pub continues: bool,
    /// Y: the last element goes on in the next packet.
    pub continued: bool,
    /// W: number of elements, 1 to 3, or 0 when each has its length before it.
    pub count: u8,
    /// N: first packet of a coded video sequence.
    pub new_sequence: bool,
}

impl AggregationHeader {
    pub fn parse(payload: &[u8]) -> Result<AggregationHeader, RtpError> {
        let byte = *payload.first().ok_or(RtpError::Truncated("AV1 aggregation header"))?;
        let header = AggregationHeader {
            continues: byte & 0x80 != 0,
            continued: byte & 0x40 != 0,
            count: byte >> 4 & 0x03,
            new_sequence: byte & 0x08 != 0,
        };
        if header.continues && header.new_sequence {
            return Err(RtpError::Invalid("AV1 aggregation header"));
        }
        Ok(header)
    }
}

/// Whether the packet begins a key frame: a new coded video sequence, or one with a sequence header.
pub fn is_key_frame(payload: &[u8]) -> bool {
    let Ok(header) = AggregationHeader::parse(payload) else {
        return false;
    };
    if header.continues {
        return false;
    }
    let mut types = obu_elements(payload).filter_map(obu_type);
    match types.next() {
        None => false,
        Some(first) => header.new_sequence || first == OBU_SEQUENCE_HEADER || types.any(|t| t == OBU_SEQUENCE_HEADER),
    }
}

/// The type of an OBU by its header byte.
pub fn obu_type(obu: &[u8]) -> Option<u8> {
    obu.first().map(|byte| byte >> 3 & 0x0F)
}

/// The OBU elements of a payload: whole OBUs or, first and last, fragments. Ends where the payload is malformed.
pub fn obu_elements(payload: &[u8]) -> ObuElements<'_> {
    let left = match AggregationHeader::parse(payload) {
        Ok(header) if header.count > 0 => Some(header.count),
        _ => None,
    };
    ObuElements { rest: Cursor::new(payload.get(1..).unwrap_or(&[])), left }
}

/// See [`obu_elements`].
#[derive(Debug, Clone)]
pub struct ObuElements<'a> {
    rest: Cursor<'a>,
    /// Elements still to come; unknown when each has its length before it.
    left: Option<u8>,
}

impl<'a> Iterator for ObuElements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.rest.is_empty() {
            return None;
        }
        if self.left == Some(1) {
            return self.rest.take(self.rest.rest().len());
        }
        let element = read_leb128(&mut self.rest).and_then(|len| self.rest.take(len));
        if element.is_none() {
            self.rest = Cursor::new(&[]);
        }
        self.left = self.left.map(|left| left - 1);
        element
    }
}

/// At most five bytes: more than 32 bits are no length of ours (AV1 specification §4.10.5).
fn read_leb128(cursor: &mut Cursor<'_>) -> Option<usize> {
    let mut value = 0u64;
    for index in 0..5 {
        let byte = cursor.u8()?;
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return usize::try_from(value).ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sequence_header_in_front() {
        // W=2, N=1: a sequence header of 3 bytes with its length, a frame without.
        let payload = [0x28, 3, OBU_SEQUENCE_HEADER << 3, 1, 2, OBU_FRAME << 3, 9];
        let header = AggregationHeader::parse(&payload).unwrap();
        assert_eq!((header.count, header.new_sequence, header.continues, header.continued), (2, true, false, false));
        let elements: Vec<_> = obu_elements(&payload).collect();
        assert_eq!(elements, [&payload[2..5], &payload[5..]]);
        assert!(is_key_frame(&payload));
    }

    #[test]
    fn lengths_everywhere() {
        // W=0: both elements have their length, the second's in two bytes.
        let payload = [0x00, 1, OBU_FRAME << 3, 0x82, 0x00, OBU_FRAME << 3, 7];
        let elements: Vec<_> = obu_elements(&payload).collect();
        assert_eq!(elements, [&payload[2..3], &payload[5..7]]);
        assert!(!is_key_frame(&payload));
    }

    #[test]
    fn fragments_and_nonsense() {
        assert!(!is_key_frame(&[0x90, OBU_SEQUENCE_HEADER << 3]), "a continued fragment begins nothing");
        assert!(AggregationHeader::parse(&[0x88, 0]).is_err(), "N with Z");
        assert!(AggregationHeader::parse(&[]).is_err());
        assert_eq!(obu_elements(&[0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]).count(), 0);
        assert_eq!(obu_elements(&[0x00, 5, 1]).count(), 0);
    }

    proptest! {
        #[test]
        fn total(payload in prop::collection::vec(any::<u8>(), 0..200)) {
            let bytes: usize = obu_elements(&payload).map(<[u8]>::len).sum();
            prop_assert!(bytes <= payload.len());
            let _ = is_key_frame(&payload);
        }
    }
}
