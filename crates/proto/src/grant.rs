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
    /// LiveKit: the admin of exactly this room.
    pub fn is_admin_of(&self, room: &str) -> bool {
        self.room_admin && self.room == room
    }

    /// What a participant with this token may do, all defaults applied. A source that nobody knows stays in the list as UNKNOWN:
    /// left out, a list of such names would allow everything.
    pub fn to_permission(&self) -> pb::ParticipantPermission {
        let sources: Vec<_> = self.can_publish_sources.iter().map(|name| source(name)).collect();
        let can_publish = self.can_publish.unwrap_or(true) || sources.iter().any(|source| *source != pb::TrackSource::Unknown);
        // the fields that say what a participant is are deprecated and still read by clients
        #[allow(deprecated)]
        pb::ParticipantPermission {
            can_subscribe: self.can_subscribe.unwrap_or(true),
            can_publish,
            can_publish_data: self.can_publish_data.unwrap_or(can_publish),
            can_publish_sources: sources.into_iter().map(|source| source as i32).collect(),
            hidden: self.hidden,
            recorder: self.recorder,
            can_update_metadata: self.can_update_own_metadata.unwrap_or(false),
            agent: self.agent,
            can_subscribe_metrics: self.can_subscribe_metrics.unwrap_or(false),
            can_manage_agent_session: self.can_manage_agent_session.unwrap_or(false),
        }
    }

    /// Whether it grants everything that the other one does. Which room they are for is not looked at.
    pub fn covers(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.to_permission(), other.to_permission());
        #[allow(deprecated)]
        let flags = [
            (self.room_create, other.room_create),
            (self.room_list, other.room_list),
            (self.room_record, other.room_record),
            (self.room_admin, other.room_admin),
            (self.room_join, other.room_join),
            (self.ingress_admin, other.ingress_admin),
            (mine.can_subscribe, theirs.can_subscribe),
            (mine.can_publish, theirs.can_publish),
            (mine.can_publish_data, theirs.can_publish_data),
            (mine.can_update_metadata, theirs.can_update_metadata),
            (mine.can_subscribe_metrics, theirs.can_subscribe_metrics),
            (mine.can_manage_agent_session, theirs.can_manage_agent_session),
            // to be unseen, or exempt from what publishers allow, is a right as well
            (mine.hidden, theirs.hidden),
            (mine.recorder, theirs.recorder),
            (mine.agent, theirs.agent),
        ];
        let (sources, wanted) = (&mine.can_publish_sources, &theirs.can_publish_sources);
        let may_publish = |source: &i32| *source == pb::TrackSource::Unknown as i32 || sources.contains(source);
        let covers_sources = !theirs.can_publish || sources.is_empty() || !wanted.is_empty() && wanted.iter().all(may_publish);
        let covers_destination = other.destination_room.is_empty() || self.destination_room == other.destination_room;
        flags.iter().all(|(mine, theirs)| *mine || !theirs) && covers_sources && covers_destination
    }

    /// Whether both grant the same, however they say it.
    pub fn is_as_good_as(&self, other: &Self) -> bool {
        self.covers(other) && other.covers(self)
    }

    /// The other way: a token with this grant gives the permission again. Sources that may not be published are left out: in a token
    /// they would allow what `can_publish` forbids.
    pub fn set_permission(&mut self, permission: &pb::ParticipantPermission) {
        let name = |source: &i32| pb::TrackSource::try_from(*source).unwrap_or_default().as_str_name().to_ascii_lowercase();
        self.can_publish = Some(permission.can_publish);
        self.can_publish_data = Some(permission.can_publish_data);
        let stays = |source: &&i32| permission.can_publish || **source == pb::TrackSource::Unknown as i32;
        self.can_publish_sources = permission.can_publish_sources.iter().filter(stays).map(name).collect();
        self.can_subscribe = Some(permission.can_subscribe);
        self.can_update_own_metadata = Some(permission.can_update_metadata);
        self.can_subscribe_metrics = Some(permission.can_subscribe_metrics);
        self.can_manage_agent_session = Some(permission.can_manage_agent_session);
        self.hidden = permission.hidden;
        #[allow(deprecated)]
        {
            self.recorder = permission.recorder;
            self.agent = permission.agent;
        }
    }
}

fn source(name: &str) -> pb::TrackSource {
    pb::TrackSource::from_str_name(&name.to_ascii_uppercase()).unwrap_or_default()
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
        let permission = VideoGrant::default().to_permission();
        assert!(permission.can_publish && permission.can_subscribe && permission.can_publish_data);
        assert!(!permission.can_update_metadata && !permission.can_subscribe_metrics && !permission.can_manage_agent_session);
        let silent = VideoGrant { can_publish: Some(false), ..VideoGrant::default() };
        assert!(!silent.to_permission().can_publish && !silent.to_permission().can_publish_data);
        let chatty = VideoGrant { can_publish_data: Some(true), ..silent }.to_permission();
        assert!(chatty.can_publish_data && !chatty.can_publish);
    }

    #[test]
    fn sources_go_there_and_back() {
        let only = |names: &[&str], can_publish| VideoGrant {
            can_publish,
            can_publish_sources: names.iter().map(|name| (*name).to_owned()).collect(),
            ..VideoGrant::default()
        };
        for (grant, sources, can_publish) in [
            (only(&["camera", "screen_share_audio"], Some(false)), &[1, 4][..], true),
            (only(&["camra"], None), &[0], true),
            (only(&["camra"], Some(false)), &[0], false),
            (only(&["MICROPHONE"], None), &[2], true),
        ] {
            let permission = grant.to_permission();
            assert_eq!((permission.can_publish, permission.can_publish_data), (can_publish, can_publish));
            assert_eq!(permission.can_publish_sources, sources);
            let mut back = VideoGrant::default();
            back.set_permission(&permission);
            assert_eq!(back.to_permission(), permission);
        }
    }

    #[test]
    fn a_withdrawn_permission_does_not_come_back_by_its_sources() {
        #[allow(deprecated)]
        let permission = pb::ParticipantPermission { can_publish_sources: vec![1], ..Default::default() };
        let mut grant = VideoGrant::default();
        grant.set_permission(&permission);
        assert!(!grant.to_permission().can_publish);
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

    #[test]
    fn whether_one_covers_another() {
        let with = |change: fn(&mut VideoGrant)| {
            let mut grant = VideoGrant { room_join: true, room: "r".to_owned(), ..VideoGrant::default() };
            change(&mut grant);
            grant
        };
        let all = with(|_| {});
        let said =
            with(|grant| (grant.can_publish, grant.can_publish_data, grant.can_subscribe) = (Some(true), Some(true), Some(true)));
        assert!(all.is_as_good_as(&said) && all.is_as_good_as(&all));
        let less: [fn(&mut VideoGrant); 5] = [
            |grant| grant.can_publish = Some(false),
            |grant| grant.can_subscribe = Some(false),
            |grant| grant.can_publish_data = Some(false),
            |grant| grant.can_publish_sources = vec!["camera".to_owned()],
            |grant| grant.can_publish_sources = vec!["camra".to_owned()],
        ];
        let more: [fn(&mut VideoGrant); 9] = [
            |grant| grant.room_admin = true,
            |grant| grant.room_create = true,
            |grant| grant.room_record = true,
            |grant| grant.hidden = true,
            |grant| grant.recorder = true,
            |grant| grant.agent = true,
            |grant| grant.can_update_own_metadata = Some(true),
            |grant| grant.can_subscribe_metrics = Some(true),
            |grant| grant.destination_room = "s".to_owned(),
        ];
        for (number, less) in less.into_iter().map(with).enumerate() {
            assert!(all.covers(&less) && !less.covers(&all) && less.covers(&less), "{number}");
        }
        for (number, more) in more.into_iter().map(with).enumerate() {
            assert!(!all.covers(&more) && more.covers(&all) && more.is_as_good_as(&more), "{number}");
        }
        let sources = |names: &[&str]| VideoGrant {
            can_publish_sources: names.iter().map(|name| (*name).to_owned()).collect(),
            ..VideoGrant::default()
        };
        assert!(sources(&["camera", "microphone"]).covers(&sources(&["camera"])));
        assert!(!sources(&["camera"]).covers(&sources(&["camera", "microphone"])));
    }
}
