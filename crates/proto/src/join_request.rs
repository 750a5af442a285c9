//! The bundled join of `/rtc/v1`: base64url of a wrapped, perhaps compressed JoinRequest.

use std::io::Read;

use crate::codec::{self, CodecError};
use crate::pb;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Bytes of a decompressed join request (LiveKit: 1 MiB).
pub const JOIN_REQUEST_BYTES_MAX: usize = 1 << 20;

/// The texts are LiveKit's; each goes out with status 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JoinRequestError {
    #[error("join_request is required")]
    Missing,
    #[error("cannot base64 decode wrapped join request")]
    Base64,
    #[error("cannot unmarshal wrapped join request")]
    Wrapped,
    #[error("cannot unmarshal join request")]
    Inner,
    #[error("join request too large")]
    TooLarge,
    #[error("cannot read decompressed join request")]
    Compression,
}

/// Takes padded and unpadded text. Enum values that nobody knows are gone from the tracks.
pub fn decode(text: &str) -> Result<pb::JoinRequest, JoinRequestError> {
    const ENGINE: GeneralPurpose =
        GeneralPurpose::new(&URL_SAFE, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));
    if text.is_empty() {
        return Err(JoinRequestError::Missing);
    }
    if text.len() > 2 * JOIN_REQUEST_BYTES_MAX {
        return Err(JoinRequestError::TooLarge);
    }
    let wrapped = ENGINE.decode(text).map_err(|_| JoinRequestError::Base64)?;
    let wrapped: pb::WrappedJoinRequest = codec::decode(&wrapped, wrapped.len()).map_err(|_| JoinRequestError::Wrapped)?;
    let inner = match wrapped.compression() {
        pb::wrapped_join_request::Compression::None => wrapped.join_request,
        pb::wrapped_join_request::Compression::Gzip => decompress(&wrapped.join_request)?,
    };
    let mut request: pb::JoinRequest = codec::decode(&inner, JOIN_REQUEST_BYTES_MAX).map_err(|error| match error {
        CodecError::TooLarge | CodecError::TooManyFields => JoinRequestError::TooLarge,
        CodecError::Malformed => JoinRequestError::Inner,
    })?;
    request.add_track_requests.iter_mut().for_each(codec::forget_unknown_enums);
    Ok(request)
}

fn decompress(bytes: &[u8]) -> Result<Vec<u8>, JoinRequestError> {
    let mut inner = Vec::new();
    // one byte more than allowed tells too large from just fitting
    let mut limited = flate2::read::GzDecoder::new(bytes).take(JOIN_REQUEST_BYTES_MAX as u64 + 1);
    limited.read_to_end(&mut inner).map_err(|_| JoinRequestError::Compression)?;
    Ok(inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
    use proptest::prelude::*;
    use prost::Message as _;

    use super::*;

    fn wrapped(inner: &[u8], gzip: bool) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(inner).unwrap();
        let join_request = if gzip { encoder.finish().unwrap() } else { inner.to_vec() };
        pb::WrappedJoinRequest { compression: i32::from(gzip), join_request }.encode_to_vec()
    }

    #[test]
    fn every_form_is_read_and_every_fault_named() {
        let join = pb::JoinRequest { metadata: "hello".to_owned(), ..Default::default() };
        for gzip in [false, true] {
            let bytes = wrapped(&join.encode_to_vec(), gzip);
            assert_eq!(decode(&URL_SAFE.encode(&bytes)), Ok(join.clone()));
            assert_eq!(decode(&URL_SAFE_NO_PAD.encode(&bytes)), Ok(join.clone()));
            let large = wrapped(&vec![0; JOIN_REQUEST_BYTES_MAX + 1], gzip);
            assert_eq!(decode(&URL_SAFE.encode(large)), Err(JoinRequestError::TooLarge));
        }
        let broken = pb::WrappedJoinRequest { compression: 1, join_request: vec![1, 2, 3] }.encode_to_vec();
        assert_eq!(decode(""), Err(JoinRequestError::Missing));
        assert_eq!(decode("!"), Err(JoinRequestError::Base64));
        assert_eq!(decode("////"), Err(JoinRequestError::Base64));
        assert_eq!(decode(&URL_SAFE.encode([0xFF; 5])), Err(JoinRequestError::Wrapped));
        assert_eq!(decode(&URL_SAFE.encode(wrapped(&[0xFF; 5], false))), Err(JoinRequestError::Inner));
        assert_eq!(decode(&URL_SAFE.encode(broken)), Err(JoinRequestError::Compression));
        let crowd = pb::JoinRequest { add_track_requests: vec![Default::default(); codec::FIELDS_MAX + 1], ..Default::default() };
        assert_eq!(decode(&URL_SAFE.encode(wrapped(&crowd.encode_to_vec(), true))), Err(JoinRequestError::TooLarge));
    }

    #[test]
    fn a_bundled_track_has_only_known_enum_values() {
        let add = pb::AddTrackRequest { source: 77, audio_features: vec![77], ..Default::default() };
        let join = pb::JoinRequest { add_track_requests: vec![add], ..Default::default() };
        let read = decode(&URL_SAFE.encode(wrapped(&join.encode_to_vec(), false))).unwrap();
        assert!(serde_json::to_string(&read.add_track_requests).is_ok());
        assert_eq!(read.add_track_requests[0].source, 0);
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), gzip: bool, text in "\\PC{0,40}") {
            let _ = decode(&text);
            let _ = decode(&URL_SAFE.encode(&bytes));
            let _ = decode(&URL_SAFE.encode(wrapped(&bytes, gzip)));
        }
    }
}
