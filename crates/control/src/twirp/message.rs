//! Bodies of Twirp requests and responses: protobuf, or JSON (in: both spellings; out: snake_case with every field).

use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sluicegate_proto::{Message, codec, json, pb};

use super::content_type;
use super::error::{Code, TwirpError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        match content_type(headers).to_ascii_lowercase().as_str() {
            "application/protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }
}

/// What was sent; answered in the same encoding.
#[derive(Clone, Debug)]
pub struct Body {
    pub encoding: Encoding,
    pub bytes: Bytes,
}

impl Body {
    /// Bounded in what it grows to; the bytes were bounded where they were read.
    pub fn decode<M: Message + Default + DeserializeOwned>(&self) -> Result<M, TwirpError> {
        match self.encoding {
            Encoding::Protobuf => codec::decode(&self.bytes, self.bytes.len())
                .map_err(|_| TwirpError::new(Code::Malformed, "the protobuf request could not be decoded")),
            Encoding::Json => {
                json::parse(&self.bytes).map_err(|_| TwirpError::new(Code::Malformed, "the json request could not be decoded"))
            }
        }
    }

    /// `name`: the message's full name, as `livekit.Room`.
    pub fn reply<M: Message + Serialize>(&self, name: &str, message: &M) -> Result<Response, TwirpError> {
        let (kind, bytes) = match self.encoding {
            Encoding::Protobuf => ("application/protobuf", message.encode_to_vec()),
            Encoding::Json => {
                let bytes = json::twirp(message, name)
                    .map_err(|error| TwirpError::new(Code::Internal, format!("cannot write the answer: {error}")))?;
                ("application/json", bytes)
            }
        };
        Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
    }
}

/// Whatever bytes, as every request of the RoomService in both encodings.
pub fn fuzz(bytes: &[u8]) {
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let body = Body { encoding, bytes: Bytes::copy_from_slice(bytes) };
        let _ = body.decode::<pb::CreateRoomRequest>();
        let _ = body.decode::<pb::ListRoomsRequest>();
        let _ = body.decode::<pb::DeleteRoomRequest>();
        let _ = body.decode::<pb::ListParticipantsRequest>();
        let _ = body.decode::<pb::RoomParticipantIdentity>();
        let _ = body.decode::<pb::MuteRoomTrackRequest>();
        let _ = body.decode::<pb::UpdateParticipantRequest>();
        let _ = body.decode::<pb::UpdateSubscriptionsRequest>();
        let _ = body.decode::<pb::SendDataRequest>();
        let _ = body.decode::<pb::UpdateRoomMetadataRequest>();
        let _ = body.decode::<pb::PerformRpcRequest>();
        let _ = body.decode::<pb::MoveParticipantRequest>();
        let _ = body.decode::<pb::ForwardParticipantRequest>();
    }
}
