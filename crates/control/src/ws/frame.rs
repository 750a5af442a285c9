//! Signal messages as frames: protobuf in binary ones, LiveKit's camelCase JSON in text ones.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::Bytes;
use sluicegate_proto::{Message as _, codec, json, pb};

/// What a client's last frame was; it is answered in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Protobuf,
    Json,
}

/// A message to clients; encoded at most once per encoding, for all who get it, by the first who needs it.
#[derive(Debug)]
pub struct Frame {
    response: Arc<pb::SignalResponse>,
    /// Bytes as protobuf.
    len: usize,
    binary: OnceLock<Bytes>,
    /// None: the message cannot be written.
    text: OnceLock<Option<Utf8Bytes>>,
}

impl Frame {
    pub fn new(response: Arc<pb::SignalResponse>) -> Self {
        Self { len: response.encoded_len(), response, binary: OnceLock::new(), text: OnceLock::new() }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn of(message: pb::signal_response::Message) -> Self {
        Self::new(Arc::new(pb::SignalResponse { message: Some(message) }))
    }

    /// None where the message cannot be written in that encoding, which is a defect of ours: JSON has no word for an enum value
    /// that nobody knows.
    pub fn message(&self, encoding: Encoding) -> Option<Message> {
        match encoding {
            Encoding::Protobuf => Some(Message::Binary(self.binary.get_or_init(|| self.response.encode_to_vec().into()).clone())),
            Encoding::Json => self.text.get_or_init(|| self.write()).clone().map(Message::Text),
        }
    }

    fn write(&self) -> Option<Utf8Bytes> {
        match json::camel(&*self.response) {
            Ok(text) => Some(text.into()),
            Err(error) => {
                tracing::error!(%error, "a signal message cannot be written as JSON; its receivers go without it");
                None
            }
        }
    }
}

/// A frame that is no SignalRequest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

pub fn decode_binary(bytes: &[u8]) -> Result<pb::SignalRequest, Malformed> {
    codec::decode_signal_request(bytes).map_err(|_| Malformed)
}

pub fn decode_text(text: &str) -> Result<pb::SignalRequest, Malformed> {
    json::parse(text.as_bytes()).map_err(|_| Malformed)
}

pub fn fuzz(bytes: &[u8]) {
    let _ = decode_binary(bytes);
    let _ = decode_text(&String::from_utf8_lossy(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_carry_the_same() {
        let frame = Frame::of(pb::signal_response::Message::Pong(7));
        assert_eq!(frame.message(Encoding::Json), Some(Message::Text(r#"{"pong":"7"}"#.into())));
        let Some(Message::Binary(bytes)) = frame.message(Encoding::Protobuf) else { panic!("not binary") };
        assert_eq!(pb::SignalResponse::decode(bytes).unwrap().message, Some(pb::signal_response::Message::Pong(7)));
        let request = pb::SignalRequest { message: Some(pb::signal_request::Message::Ping(3)) };
        assert_eq!(decode_binary(&request.encode_to_vec()), Ok(request.clone()));
        assert_eq!(decode_text(r#"{"ping":"3"}"#), Ok(request));
        assert_eq!(decode_text("ping"), Err(Malformed));
        assert_eq!(decode_binary(&[0xFF; 9]), Err(Malformed));
        let odd = pb::LeaveRequest { reason: 777, ..Default::default() };
        assert_eq!(Frame::of(pb::signal_response::Message::Leave(odd)).message(Encoding::Json), None, "no empty frame");
        // two bytes each, hundreds in memory
        let publish_tracks = vec![pb::TrackPublishedResponse::default(); codec::FIELDS_MAX + 1];
        let sync = pb::signal_request::Message::SyncState(pb::SyncState { publish_tracks, ..Default::default() });
        let request = pb::SignalRequest { message: Some(sync) };
        assert_eq!(decode_binary(&request.encode_to_vec()), Err(Malformed));
        assert_eq!(decode_text(&json::camel(&request).unwrap()), Err(Malformed));
    }
}
