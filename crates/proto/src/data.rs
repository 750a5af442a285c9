//! Data packets on their way from one participant to others.
//!
//! A packet is read as far as routing needs and sent on as the bytes that came, with the sender's fields appended: for a field that
//! stands twice the last one counts, and a nested message that stands twice is merged (protobuf, encoding). So whatever a newer
//! client put in survives, which decoding and encoding again would lose.

use prost::Message;
use prost::encoding;

use crate::pb::data_packet::Kind;

/// Bytes of one packet (LiveKit: the SCTP max-message-size).
pub const DATA_BYTES_MAX: usize = 65_535;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    #[error("the data packet is too large")]
    TooLarge,
    #[error("the data packet is malformed")]
    Malformed,
}

/// What a packet carries: the arm of DataPacket's `value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    User,
    Speaker,
    SipDtmf,
    Transcription,
    Metrics,
    ChatMessage,
    RpcRequest,
    RpcAck,
    RpcResponse,
    StreamHeader,
    StreamChunk,
    StreamTrailer,
    EncryptedPacket,
    /// None, or one that is newer than this server.
    Unknown,
}

/// A packet that was read as far as routing needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    original: &'a [u8],
    pub value: Value,
    /// Empty, like `destination_sids`: everybody.
    pub destination_identities: Vec<String>,
    pub destination_sids: Vec<String>,
    /// Of a reliable packet; 0 is none.
    pub sequence: u32,
    /// By which a user packet that comes twice is known; empty is none.
    pub nonce: Vec<u8>,
}

/// Reads a packet from a client, at most [`DATA_BYTES_MAX`] long.
pub fn route(original: &[u8]) -> Result<Route<'_>, DataError> {
    if original.len() > DATA_BYTES_MAX {
        return Err(DataError::TooLarge);
    }
    let mut packet = Packet::decode(original).map_err(|_| DataError::Malformed)?;
    let mut route = Route {
        original,
        value: packet.value.as_ref().map_or(Value::Unknown, Arm::value),
        destination_identities: std::mem::take(&mut packet.destination_identities),
        destination_sids: Vec::new(),
        sequence: packet.sequence,
        nonce: Vec::new(),
    };
    if let Some(Arm::User(user)) = packet.value {
        // LiveKit: the packet's own identities count where there are any; SIDs are only here, and count beside them
        if route.destination_identities.is_empty() {
            route.destination_identities = user.destination_identities;
        }
        route.destination_sids = user.destination_sids;
        route.nonce = user.nonce;
    }
    Ok(route)
}

/// The packet as others get it: sender and kind are what the server knows, not what the client said. Both texts are empty for a
/// hidden sender and for the server itself. Refused where it has become too large for a channel.
pub fn override_fields(
    route: &Route<'_>,
    participant_sid: &str,
    participant_identity: &str,
    kind: Kind,
) -> Result<Vec<u8>, DataError> {
    let texts = participant_sid.len() + participant_identity.len();
    let mut bytes = Vec::with_capacity(route.original.len() + 2 * texts + 32);
    bytes.extend_from_slice(route.original);
    // written even where they are empty: only what is there overrides
    encoding::int32::encode(tag::KIND, &kind.into(), &mut bytes);
    text(tag::PARTICIPANT_IDENTITY, participant_identity, &mut bytes);
    text(tag::PARTICIPANT_SID, participant_sid, &mut bytes);
    if route.value == Value::User {
        // old clients read the sender here
        let mut user = Vec::with_capacity(texts + 8);
        text(tag::USER_PARTICIPANT_SID, participant_sid, &mut user);
        text(tag::USER_PARTICIPANT_IDENTITY, participant_identity, &mut user);
        encoding::bytes::encode(tag::USER, &user, &mut bytes);
    }
    if bytes.len() > DATA_BYTES_MAX { Err(DataError::TooLarge) } else { Ok(bytes) }
}

fn text(tag: u32, text: &str, bytes: &mut Vec<u8>) {
    encoding::encode_key(tag, encoding::WireType::LengthDelimited, bytes);
    encoding::encode_varint(text.len() as u64, bytes);
    bytes.extend_from_slice(text.as_bytes());
}

/// Field numbers of DataPacket and UserPacket.
mod tag {
    pub const KIND: u32 = 1;
    pub const USER: u32 = 2;
    pub const PARTICIPANT_IDENTITY: u32 = 4;
    pub const PARTICIPANT_SID: u32 = 17;
    pub const USER_PARTICIPANT_SID: u32 = 1;
    pub const USER_PARTICIPANT_IDENTITY: u32 = 5;
}

/// DataPacket without what it carries: payloads are passed over, not copied.
#[derive(Clone, PartialEq, prost::Message)]
struct Packet {
    #[prost(string, tag = "4")]
    participant_identity: String,
    #[prost(string, repeated, tag = "5")]
    destination_identities: Vec<String>,
    #[prost(uint32, tag = "16")]
    sequence: u32,
    #[prost(string, tag = "17")]
    participant_sid: String,
    #[prost(oneof = "Arm", tags = "2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 18")]
    value: Option<Arm>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Arm {
    #[prost(message, tag = "2")]
    User(User),
    #[prost(message, tag = "3")]
    Speaker(Opaque),
    #[prost(message, tag = "6")]
    SipDtmf(Opaque),
    #[prost(message, tag = "7")]
    Transcription(Opaque),
    #[prost(message, tag = "8")]
    Metrics(Opaque),
    #[prost(message, tag = "9")]
    ChatMessage(Opaque),
    #[prost(message, tag = "10")]
    RpcRequest(Opaque),
    #[prost(message, tag = "11")]
    RpcAck(Opaque),
    #[prost(message, tag = "12")]
    RpcResponse(Opaque),
    #[prost(message, tag = "13")]
    StreamHeader(Opaque),
    #[prost(message, tag = "14")]
    StreamChunk(Opaque),
    #[prost(message, tag = "15")]
    StreamTrailer(Opaque),
    #[prost(message, tag = "18")]
    EncryptedPacket(Opaque),
}

#[derive(Clone, PartialEq, prost::Message)]
struct User {
    #[prost(string, tag = "1")]
    participant_sid: String,
    #[prost(string, repeated, tag = "3")]
    destination_sids: Vec<String>,
    #[prost(string, tag = "5")]
    participant_identity: String,
    #[prost(string, repeated, tag = "6")]
    destination_identities: Vec<String>,
    #[prost(bytes = "vec", tag = "11")]
    nonce: Vec<u8>,
}

/// Well-formed, and nobody's business.
#[derive(Clone, PartialEq, prost::Message)]
struct Opaque {}

impl Arm {
    fn value(&self) -> Value {
        match self {
            Self::User(_) => Value::User,
            Self::Speaker(_) => Value::Speaker,
            Self::SipDtmf(_) => Value::SipDtmf,
            Self::Transcription(_) => Value::Transcription,
            Self::Metrics(_) => Value::Metrics,
            Self::ChatMessage(_) => Value::ChatMessage,
            Self::RpcRequest(_) => Value::RpcRequest,
            Self::RpcAck(_) => Value::RpcAck,
            Self::RpcResponse(_) => Value::RpcResponse,
            Self::StreamHeader(_) => Value::StreamHeader,
            Self::StreamChunk(_) => Value::StreamChunk,
            Self::StreamTrailer(_) => Value::StreamTrailer,
            Self::EncryptedPacket(_) => Value::EncryptedPacket,
        }
    }
}

#[cfg(test)]
mod tests;
