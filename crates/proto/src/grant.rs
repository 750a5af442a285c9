//! The `video` grant of a token (LiveKit: VideoGrant).

use serde::{Deserialize, Deserializer, Serialize};

use crate::pb;

/// What a token allows. Absent flags keep their defaults, which differ: see the methods.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoGrant {
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub room_create: bool,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub room_list: bool,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub room_record: bool,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub room_admin: bool,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub room_join: bool,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub room: String,
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub destination_room: String,
    /// Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish: Option<bool>,
    /// Default: true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe: Option<bool>,
    /// Default: as `can_publish`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_publish_data: Option<bool>,
    /// Lower-case source names; where there are any they decide instead of `can_publish`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub can_publish_sources: Vec<String>,
    /// Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_update_own_metadata: Option<bool>,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub ingress_admin: bool,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub hidden: bool,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub recorder: bool,
    #[serde(skip_serializing_if = "is_false", deserialize_with = "or_default")]
    pub agent: bool,
    /// Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_subscribe_metrics: Option<bool>,
    /// Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub can_manage_agent_session: Option<bool>,
}

impl VideoGrant {
    /// May publish something at all: sources, where there are any, decide instead of the flag.
    pub fn can_publish(&self) -> bool {
        self.can_publish.unwrap_or(true) || !self.can_publish_sources.is_empty()
    }

    pub fn can_publish_source(&self, source: pb::TrackSource) -> bool {
        self.can_publish() && (self.can_publish_sources.is_empty() || self.sources().any(|named| named == source))
    }

    pub fn can_subscribe(&self) -> bool {
        self.can_subscribe.unwrap_or(true)
    }

    pub fn can_publish_data(&self) -> bool {
        self.can_publish_data.unwrap_or_else(|| self.can_publish())
    }

    pub fn can_update_own_metadata(&self) -> bool {
        self.can_update_own_metadata.unwrap_or(false)
    }

    pub fn can_subscribe_metrics(&self) -> bool {
        self.can_subscribe_metrics.unwrap_or(false)
    }

    pub fn can_manage_agent_session(&self) -> bool {
        self.can_manage_agent_session.unwrap_or(false)
    }

    /// LiveKit: the admin of exactly this room.
    pub fn is_admin_of(&self, room: &str) -> bool {
        self.room_admin && self.room == room
    }

    /// What a participant with this token may do, all defaults applied.
    pub fn to_permission(&self) -> pb::ParticipantPermission {
        // the fields that say what a participant is are deprecated and still read by clients
        #[allow(deprecated)]
        pb::ParticipantPermission {
            can_subscribe: self.can_subscribe(),
            can_publish: self.can_publish(),
            can_publish_data: self.can_publish_data(),
            can_publish_sources: self.sources().map(|source| source as i32).collect(),
            hidden: self.hidden,
            recorder: self.recorder,
            can_update_metadata: self.can_update_own_metadata(),
            agent: self.agent,
            can_subscribe_metrics: self.can_subscribe_metrics(),
            can_manage_agent_session: self.can_manage_agent_session(),
        }
    }

    /// A name that nobody knows stays in the list as UNKNOWN: left out, a list of such names would allow everything.
    fn sources(&self) -> impl Iterator<Item = pb::TrackSource> + '_ {
        let source = |name: &String| pb::TrackSource::from_str_name(&name.to_ascii_uppercase());
        self.can_publish_sources.iter().map(move |name| source(name).unwrap_or(pb::TrackSource::Unknown))
    }
}

fn is_false(flag: &bool) -> bool {
    !*flag
}

/// `null` is as good as nothing: some SDKs write it.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults() {
        let grant = VideoGrant::default();
        assert!(grant.can_publish() && grant.can_subscribe() && grant.can_publish_data());
        assert!(!grant.can_update_own_metadata() && !grant.can_subscribe_metrics() && !grant.can_manage_agent_session());
        let silent = VideoGrant { can_publish: Some(false), ..VideoGrant::default() };
        assert!(!silent.can_publish() && !silent.can_publish_data() && !silent.can_publish_source(pb::TrackSource::Camera));
        let chatty = VideoGrant { can_publish_data: Some(true), ..silent };
        assert!(chatty.can_publish_data() && !chatty.can_publish());
    }

    #[test]
    fn sources_decide_where_there_are_any() {
        let only = |names: &[&str], can_publish| VideoGrant {
            can_publish,
            can_publish_sources: names.iter().map(|name| (*name).to_owned()).collect(),
            ..VideoGrant::default()
        };
        let camera = only(&["camera"], Some(false));
        assert!(camera.can_publish_source(pb::TrackSource::Camera) && !camera.can_publish_source(pb::TrackSource::Microphone));
        assert_eq!(camera.to_permission().can_publish_sources, [pb::TrackSource::Camera as i32]);
        let odd = only(&["camra"], None);
        assert!(!odd.can_publish_source(pb::TrackSource::Camera) && !odd.to_permission().can_publish_sources.is_empty());
    }

    #[test]
    fn null_is_as_good_as_nothing() {
        let text = r#"{"roomJoin":null,"room":null,"canPublish":null,"canPublishSources":null,"hidden":null,"newGrant":{}}"#;
        assert_eq!(serde_json::from_str::<VideoGrant>(text).unwrap(), VideoGrant::default());
    }

    #[test]
    fn an_admin_rules_its_own_room() {
        let grant = VideoGrant { room_admin: true, room: "a".to_owned(), ..VideoGrant::default() };
        assert!(grant.is_admin_of("a") && !grant.is_admin_of("b"));
        assert!(!VideoGrant { room: "a".to_owned(), ..VideoGrant::default() }.is_admin_of("a"));
    }
}
