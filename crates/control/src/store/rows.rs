//! LiveKit's keys and what lies under them. A hash is a key with fields; LiveKit's sets are hashes whose values say nothing, its
//! plain values are hashes with the one field "".

use std::borrow::Cow;
use std::marker::PhantomData;

use sluicegate_proto::{Message, pb};

use super::StoreError;

/// One field of a hash: put, or taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub(super) key: String,
    pub(super) field: String,
    pub(super) value: Option<Vec<u8>>,
}

/// What a hash holds; LiveKit's bytes.
pub trait Value: Sized {
    fn to_bytes(&self) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Result<Self, String>;
}

impl<M: Message + Default> Value for M {
    fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        M::decode(bytes).map_err(|error| error.to_string())
    }
}

/// Plain text, UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(pub String);

impl Value for Text {
    fn to_bytes(&self) -> Vec<u8> {
        self.0.clone().into_bytes()
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, String> {
        String::from_utf8(bytes.to_vec()).map(Self).map_err(|error| error.to_string())
    }
}

/// A member of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member;

impl Value for Member {
    fn to_bytes(&self) -> Vec<u8> {
        Vec::new()
    }

    fn from_bytes(_: &[u8]) -> Result<Self, String> {
        Ok(Self)
    }
}

/// The name of a hash and the type of its values.
#[derive(Clone, Debug)]
pub struct Hash<V> {
    key: Cow<'static, str>,
    values: PhantomData<fn() -> V>,
}

impl<V: Value> Hash<V> {
    const fn named(key: &'static str) -> Self {
        Self { key: Cow::Borrowed(key), values: PhantomData }
    }

    fn of(prefix: &str, name: &str) -> Self {
        Self { key: Cow::Owned(format!("{prefix}:{name}")), values: PhantomData }
    }

    pub fn key(&self) -> &str {
        &self.key
    }

    pub fn put(&self, field: &str, value: &V) -> Change {
        Change { key: self.key.clone().into_owned(), field: field.to_owned(), value: Some(value.to_bytes()) }
    }

    pub fn delete(&self, field: &str) -> Change {
        Change { key: self.key.clone().into_owned(), field: field.to_owned(), value: None }
    }

    pub(super) fn decode(&self, field: &str, bytes: &[u8]) -> Result<V, StoreError> {
        let row = |why| StoreError::Row { key: self.key.clone().into_owned(), field: field.to_owned(), why };
        V::from_bytes(bytes).map_err(row)
    }
}

/// By name.
pub const ROOMS: Hash<pb::Room> = Hash::named("rooms");
/// By name.
pub const ROOM_INTERNAL: Hash<pb::RoomInternal> = Hash::named("room_internal");
/// Ours: by name, of an empty room since when, `never|<Unix ms>` where nobody came yet, else `left|<Unix ms>`.
pub const ROOM_EMPTY: Hash<Text> = Hash::named("sluicegate_room_empty");
/// Ours: tokens that were taken back, by room and identity as a JSON list of two: `<those that began before, Unix s>|<kept until,
/// Unix s>`.
pub const REVOKED_TOKENS: Hash<Text> = Hash::named("sluicegate_revoked_tokens");

/// By egress id.
pub const EGRESS: Hash<pb::EgressInfo> = Hash::named("egress");
/// By egress id, `<room>|<end, Unix ns>` (LiveKit).
pub const ENDED_EGRESS: Hash<Text> = Hash::named("ended_egress");

/// By ingress id.
pub const INGRESS: Hash<pb::IngressInfo> = Hash::named("ingress");
/// By stream key, the ingress id.
pub const INGRESS_STREAM_KEY: Hash<Text> = Hash::named("{ingress}_stream_key");

/// By trunk id; LiveKit's trunks of old, then those of either direction.
pub const SIP_TRUNK: Hash<pb::SipTrunkInfo> = Hash::named("sip_trunk");
pub const SIP_INBOUND_TRUNK: Hash<pb::SipInboundTrunkInfo> = Hash::named("sip_inbound_trunk");
pub const SIP_OUTBOUND_TRUNK: Hash<pb::SipOutboundTrunkInfo> = Hash::named("sip_outbound_trunk");
/// By rule id.
pub const SIP_DISPATCH_RULE: Hash<pb::SipDispatchRuleInfo> = Hash::named("sip_dispatch_rule");

/// Ids of a room's egresses.
pub fn egress_of(room: &str) -> Hash<Member> {
    Hash::of("egress:room", room)
}

/// Ids of a room's ingresses.
pub fn ingress_of(room: &str) -> Hash<Member> {
    Hash::of("room_{ingress}", room)
}

/// Of one ingress; the only field is "".
pub fn ingress_state(ingress: &str) -> Hash<pb::IngressState> {
    Hash::of("{ingress}_state", ingress)
}

/// A room's dispatches, by id.
pub fn agent_dispatch(room: &str) -> Hash<pb::AgentDispatch> {
    Hash::of("agent_dispatch", room)
}

/// A room's jobs, by id.
pub fn agent_job(room: &str) -> Hash<pb::Job> {
    Hash::of("agent_job", room)
}
