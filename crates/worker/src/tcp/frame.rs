//! RFC 4571: each packet in a stream behind its length in two bytes.

/// Bytes in front of a packet.
pub(crate) const PREFIX: usize = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A whole packet of so many bytes lies behind the prefix.
    Whole(usize),
    /// It has not come whole yet.
    Part,
    /// It is longer than any packet we take: the stream is of no use.
    TooLong,
}

/// What the stream holds at its beginning; a packet has at most `longest` bytes.
pub(crate) fn next(stream: &[u8], longest: usize) -> Next {
    let Some(prefix) = stream.first_chunk::<PREFIX>() else { return Next::Part };
    let length = usize::from(u16::from_be_bytes(*prefix));
    if length > longest {
        Next::TooLong
    } else if stream.len() < PREFIX + length {
        Next::Part
    } else {
        Next::Whole(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_by_their_length() {
        assert_eq!(next(&[], 10), Next::Part);
        assert_eq!(next(&[0], 10), Next::Part);
        assert_eq!(next(&[0, 3, 1, 2], 10), Next::Part);
        assert_eq!(next(&[0, 3, 1, 2, 3, 0], 10), Next::Whole(3));
        assert_eq!(next(&[0, 0, 1], 10), Next::Whole(0));
        assert_eq!(next(&[0, 11], 10), Next::TooLong);
        assert_eq!(next(&[255, 255], 10), Next::TooLong);
    }
}
