//! Protobuf from outside: bounded in bytes and in what it grows to.
//!
//! Two bytes of a repeated message become hundreds in memory, so that a frame within the size limit could still fill it: fields are
//! counted before anything is built.

use prost::Message;
use prost::encoding::{WireType, decode_key, decode_varint};

use crate::pb;
use crate::pb::signal_request;

/// Messages, texts and bytes in one message with all that is nested in it, values of one JSON text. A subscription of every track
/// in the largest room fits several times over.
pub const FIELDS_MAX: usize = 1 << 16;
/// Nesting that is looked into; what is repeated below is too small to matter.
const DEPTH_MAX: usize = 8;

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("the message is too large")]
    TooLarge,
    #[error("the message has too many fields")]
    TooManyFields,
    #[error("the message is malformed")]
    Malformed,
}

/// A client's frame; the socket bounds its bytes. Enum values that nobody knows are gone from what is stored or sent on.
pub fn decode_signal_request(bytes: &[u8]) -> Result<pb::SignalRequest, CodecError> {
    let mut request: pb::SignalRequest = decode(bytes, bytes.len())?;
    match &mut request.message {
        Some(signal_request::Message::AddTrack(add)) => forget_unknown_enums(add),
        Some(signal_request::Message::UpdateAudioTrack(update)) => retain_known::<pb::AudioTrackFeature>(&mut update.features),
        Some(signal_request::Message::PublishDataTrackRequest(publish)) => publish.encryption = encryption(publish.encryption),
        _ => {}
    }
    Ok(request)
}

/// Any message from outside.
pub fn decode<M: Message + Default>(bytes: &[u8], bytes_max: usize) -> Result<M, CodecError> {
    if bytes.len() > bytes_max {
        return Err(CodecError::TooLarge);
    }
    if fields(bytes, DEPTH_MAX).is_some_and(|count| count > FIELDS_MAX) {
        return Err(CodecError::TooManyFields);
    }
    M::decode(bytes).map_err(|_| CodecError::Malformed)
}

/// Enum values of a newer client, or of a hostile one, would make every JSON that holds the track unwritable: they become what
/// promises least.
pub(crate) fn forget_unknown_enums(add: &mut pb::AddTrackRequest) {
    if pb::TrackType::try_from(add.r#type).is_err() {
        // neither audio nor video
        add.r#type = pb::TrackType::Data as i32;
    }
    add.source = add.source().into();
    add.encryption = encryption(add.encryption);
    add.backup_codec_policy = add.backup_codec_policy().into();
    retain_known::<pb::AudioTrackFeature>(&mut add.audio_features);
    retain_known::<pb::PacketTrailerFeature>(&mut add.packet_trailer_features);
    for codec in &mut add.simulcast_codecs {
        codec.video_layer_mode = codec.video_layer_mode().into();
    }
    for layer in add.layers.iter_mut().chain(add.simulcast_codecs.iter_mut().flat_map(|codec| &mut codec.layers)) {
        layer.quality = layer.quality().into();
    }
}

/// An unknown encryption is still one: the payload is not for us to read.
fn encryption(given: i32) -> i32 {
    pb::encryption::Type::try_from(given).unwrap_or(pb::encryption::Type::Custom).into()
}

fn retain_known<E: TryFrom<i32>>(values: &mut Vec<i32>) {
    values.retain(|value| E::try_from(*value).is_ok());
}

/// How many fields with a length there are, nested ones included, or somewhat more than [`FIELDS_MAX`]; none where this is no
/// message. Numbers take little more memory than bytes on the wire. Without the schema a text that happens to be a message counts
/// as one; its letters are mostly numbers then.
fn fields(mut rest: &[u8], depth: usize) -> Option<usize> {
    let mut count = 0usize;
    while !rest.is_empty() && count <= FIELDS_MAX {
        let (_, wire_type) = decode_key(&mut rest).ok()?;
        match wire_type {
            WireType::Varint => drop(decode_varint(&mut rest).ok()?),
            WireType::SixtyFourBit => rest = rest.get(8..)?,
            WireType::ThirtyTwoBit => rest = rest.get(4..)?,
            WireType::LengthDelimited => {
                count += 1;
                let length = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
                let (nested, after) = rest.split_at_checked(length)?;
                rest = after;
                if depth > 0 {
                    count += fields(nested, depth - 1).unwrap_or(0);
                }
            }
            // the fields of a group count like those around it
            WireType::StartGroup | WireType::EndGroup => {}
        }
    }
    Some(count)
}

#[cfg(test)]
mod tests;
