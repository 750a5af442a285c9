//! LiveKit's two JSON flavours.
//!
//! WebSocket text frames, webhooks and claims: camelCase, zero fields left out; that is what livekit-protocol's serde writes.
//! Twirp responses: snake_case, every field present, unset messages `null`. The second is made from the first by a walk along
//! `json/fields.txt`, which `scripts/gen_proto_fields.py` takes from the published descriptors.

use std::collections::HashMap;
use std::sync::OnceLock;

use serde::Serialize;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::{Map, Value};

use crate::codec::FIELDS_MAX;

/// A message that cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(#[from] serde_json::Error);

/// The flavour of WebSocket frames and webhooks.
pub fn camel<M: Serialize>(message: &M) -> Result<String, JsonError> {
    Ok(serde_json::to_string(message)?)
}

/// The flavour of Twirp responses; `name` is the message's full name, `livekit.Room`.
pub fn twirp<M: Serialize>(message: &M, name: &str) -> Result<Vec<u8>, JsonError> {
    let value = serde_json::to_value(message)?;
    Ok(serde_json::to_vec(&complete(value, name))?)
}

/// Reads either spelling; unknown fields are passed over. A text of more than [`FIELDS_MAX`] values is refused before anything is
/// built: a comma and two braces become hundreds of bytes in memory.
pub fn parse<M: DeserializeOwned>(bytes: &[u8]) -> Result<M, JsonError> {
    if values(bytes) > FIELDS_MAX {
        return Err(JsonError(serde_json::Error::custom("too many values")));
    }
    Ok(serde_json::from_slice(bytes)?)
}

/// At least as many as there are values in the text, never much more than three times as many.
fn values(bytes: &[u8]) -> usize {
    let (mut count, mut in_string, mut escaped) = (0, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' | b',' if !in_string => count += 1,
            _ => {}
        }
    }
    count + 1
}

/// One field of a message.
struct Field {
    snake: &'static str,
    camel: String,
    repeated: bool,
    /// Shown only when set.
    optional: bool,
    kind: Kind,
}

enum Kind {
    Bool,
    Number,
    Long,
    Text,
    /// The name of value 0.
    Enum(&'static str),
    Message(&'static str),
    /// The type of the values, where they are messages.
    Map(Option<&'static str>),
}

fn fields() -> &'static HashMap<&'static str, Vec<Field>> {
    static FIELDS: OnceLock<HashMap<&'static str, Vec<Field>>> = OnceLock::new();
    FIELDS.get_or_init(|| {
        let line = |line: &'static str| {
            let mut words = line.split(' ');
            let name = words.next()?;
            Some((name, words.filter_map(field).collect()))
        };
        include_str!("json/fields.txt").lines().filter_map(line).collect()
    })
}

fn field(word: &'static str) -> Option<Field> {
    let (snake, rest) = word.split_once('=')?;
    let (repeated, rest) = rest.strip_prefix('*').map_or((false, rest), |rest| (true, rest));
    let (optional, rest) = rest.strip_prefix('?').map_or((false, rest), |rest| (true, rest));
    let kind = match rest.split_once(':').unwrap_or((rest, "")) {
        ("b", _) => Kind::Bool,
        ("n", _) => Kind::Number,
        ("l", _) => Kind::Long,
        ("e", first) => Kind::Enum(first),
        ("m", name) => Kind::Message(name),
        ("M", "") => Kind::Map(None),
        ("M", name) => Kind::Map(Some(name)),
        _ => Kind::Text,
    };
    Some(Field { snake, camel: camel_case(snake), repeated, optional, kind })
}

/// proto3's own rule: an underscore goes and the next letter grows.
fn camel_case(snake: &str) -> String {
    let mut upper = false;
    let mut camel = String::with_capacity(snake.len());
    for c in snake.chars() {
        if c == '_' {
            upper = true;
        } else {
            camel.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    camel
}

/// A value of the first flavour as the second has it.
fn complete(value: Value, name: &str) -> Value {
    let (Value::Object(mut object), Some(fields)) = (value.clone(), fields().get(name)) else { return value };
    let mut full = Map::new();
    for field in fields {
        let present = object.remove(&field.camel).or_else(|| object.remove(field.snake));
        let value = match present {
            Some(value) => convert(value, field),
            None if field.optional => continue,
            None => zero(field),
        };
        full.insert(field.snake.to_owned(), value);
    }
    // fields that are newer than the table stay as they are
    full.extend(object);
    Value::Object(full)
}

fn convert(value: Value, field: &Field) -> Value {
    match (&field.kind, value) {
        (Kind::Message(name), Value::Array(list)) if field.repeated => {
            Value::Array(list.into_iter().map(|item| complete(item, name)).collect())
        }
        (Kind::Message(name), value) => complete(value, name),
        (Kind::Map(Some(name)), Value::Object(map)) => {
            Value::Object(map.into_iter().map(|(key, value)| (key, complete(value, name))).collect())
        }
        (_, value) => value,
    }
}

fn zero(field: &Field) -> Value {
    if field.repeated {
        return Value::Array(Vec::new());
    }
    match field.kind {
        Kind::Bool => Value::Bool(false),
        Kind::Number => Value::from(0),
        Kind::Long => Value::from("0"),
        Kind::Text => Value::from(""),
        Kind::Enum(first) => Value::from(first),
        Kind::Message(_) => Value::Null,
        Kind::Map(_) => Value::Object(Map::new()),
    }
}

#[cfg(test)]
#[allow(deprecated)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::pb;

    fn twirp_value<M: Serialize>(message: &M, name: &str) -> Value {
        serde_json::from_slice(&twirp(message, name).unwrap()).unwrap()
    }

    #[test]
    fn a_room_has_every_field() {
        let room = pb::Room { name: "a".to_owned(), creation_time: 5, num_participants: 2, ..Default::default() };
        let value = twirp_value(&room, "livekit.Room");
        let wanted = json!({
            "sid": "", "name": "a", "empty_timeout": 0, "departure_timeout": 0, "max_participants": 0, "creation_time": "5",
            "creation_time_ms": "0", "turn_password": "", "enabled_codecs": [], "metadata": "", "num_participants": 2,
            "num_publishers": 0, "active_recording": false, "version": null
        });
        assert_eq!(value, wanted);
        assert_eq!(twirp_value(&pb::ListRoomsResponse::default(), "livekit.ListRoomsResponse"), json!({"rooms": []}));
    }

    #[test]
    fn nested_messages_enums_and_map_keys() {
        let track = pb::TrackInfo { sid: "TR_x".to_owned(), source: 2, layers: vec![Default::default()], ..Default::default() };
        let info = pb::ParticipantInfo {
            attributes: [("camelKey".to_owned(), "v".to_owned())].into(),
            tracks: vec![track],
            state: 2,
            ..Default::default()
        };
        let response = pb::ListParticipantsResponse { participants: vec![info] };
        let value = twirp_value(&response, "livekit.ListParticipantsResponse");
        let participant = &value["participants"][0];
        assert_eq!((&participant["state"], &participant["permission"]), (&json!("ACTIVE"), &Value::Null));
        assert_eq!(participant["attributes"], json!({"camelKey": "v"}));
        assert_eq!(
            (&participant["tracks"][0]["source"], &participant["tracks"][0]["mime_type"]),
            (&json!("MICROPHONE"), &json!(""))
        );
        assert_eq!(participant["tracks"][0]["layers"][0]["quality"], json!("LOW"));
        assert_eq!(participant["joined_at"], json!("0"));
    }

    #[test]
    fn both_spellings_are_read() {
        for text in [r#"{"empty_timeout":7,"name":"x","nobody":{"knows":1}}"#, r#"{"emptyTimeout":7,"name":"x"}"#] {
            let request: pb::CreateRoomRequest = parse(text.as_bytes()).unwrap();
            assert_eq!((request.empty_timeout, request.name.as_str()), (7, "x"));
        }
        assert_eq!(camel(&pb::Room { num_participants: 1, ..Default::default() }).unwrap(), r#"{"numParticipants":1}"#);
    }

    #[test]
    fn values_are_counted_before_anything_is_built() {
        let subscription = |sids: &str| format!(r#"{{"subscription":{{"trackSids":[{sids}]}}}}"#);
        let many = |count: usize| subscription(&vec!["\"\""; count].join(","));
        assert!(parse::<pb::SignalRequest>(many(FIELDS_MAX / 2).as_bytes()).is_ok());
        assert!(parse::<pb::SignalRequest>(many(FIELDS_MAX + 1).as_bytes()).is_err());
        // what stands in a text is no value
        let text = format!(r#""\\\"{}""#, "{[,".repeat(FIELDS_MAX));
        assert!(parse::<pb::SignalRequest>(subscription(&text).as_bytes()).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), text in "[\\[{:,\"a-z0-9}\\]]{0,200}") {
            let _ = parse::<pb::SignalRequest>(&bytes);
            let _ = parse::<pb::SignalRequest>(text.as_bytes());
            let deep = "[".repeat(5000);
            prop_assert!(parse::<pb::SignalRequest>(deep.as_bytes()).is_err());
        }
    }
}
