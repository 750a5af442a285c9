//! What a participant may do, from its token's grants or from the API; and whom it lets subscribe.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb;
use sluicegate_proto::token::Claims;

use crate::config::TRACK_PERMISSIONS_MAX;

/// The permission that a token's grants give.
pub fn from_claims(claims: &Claims) -> pb::ParticipantPermission {
    from_grant(&grant_of(claims))
}

/// The token's video grant; a token without one grants nothing beyond the defaults.
pub fn grant_of(claims: &Claims) -> VideoGrant {
    claims.video.clone().unwrap_or_default()
}

/// LiveKit: canPublish and canSubscribe default to true, canPublishData to canPublish; sources, where named, decide instead of
/// canPublish.
pub fn from_grant(grant: &VideoGrant) -> pb::ParticipantPermission {
    let sources: Vec<i32> = grant.can_publish_sources.iter().filter_map(|name| source_of(name)).map(|s| s as i32).collect();
    let can_publish = grant.can_publish.unwrap_or(true) || !sources.is_empty();
    pb::ParticipantPermission {
        can_subscribe: grant.can_subscribe.unwrap_or(true),
        can_publish,
        can_publish_data: grant.can_publish_data.unwrap_or(can_publish),
        can_publish_sources: sources,
        hidden: grant.hidden,
        recorder: grant.recorder,
        can_update_metadata: grant.can_update_own_metadata.unwrap_or(false),
        agent: grant.agent,
        can_subscribe_metrics: grant.can_subscribe_metrics.unwrap_or(false),
        can_manage_agent_session: grant.can_manage_agent_session.unwrap_or(false),
    }
}

/// Writes a permission back into the grant, for refreshed tokens.
pub fn apply(grant: &mut VideoGrant, permission: &pb::ParticipantPermission) {
    grant.can_publish = Some(permission.can_publish);
    grant.can_publish_data = Some(permission.can_publish_data);
    grant.can_publish_sources = permission.can_publish_sources.iter().filter_map(|s| name_of(*s)).map(str::to_owned).collect();
    grant.can_subscribe = Some(permission.can_subscribe);
    grant.can_update_own_metadata = Some(permission.can_update_metadata);
    grant.hidden = permission.hidden;
    grant.recorder = permission.recorder;
    grant.agent = permission.agent;
    grant.can_subscribe_metrics = Some(permission.can_subscribe_metrics);
    grant.can_manage_agent_session = Some(permission.can_manage_agent_session);
}

/// A permission given by the API in place of the present one. What a participant *is* (agent, recorder) its token says: those
/// fields are deprecated and most callers leave them out.
pub fn replace(present: &pb::ParticipantPermission, given: pb::ParticipantPermission) -> pb::ParticipantPermission {
    let mut sources = given.can_publish_sources;
    sources.retain(|source| name_of(*source).is_some());
    sources.sort_unstable();
    sources.dedup();
    pb::ParticipantPermission { can_publish_sources: sources, recorder: present.recorder, agent: present.agent, ..given }
}

pub fn may_publish(permission: &pb::ParticipantPermission, source: i32) -> bool {
    let sources = &permission.can_publish_sources;
    permission.can_publish && (sources.is_empty() || sources.contains(&source))
}

fn source_of(name: &str) -> Option<pb::TrackSource> {
    pb::TrackSource::from_str_name(&name.to_uppercase())
}

fn name_of(source: i32) -> Option<&'static str> {
    Some(match pb::TrackSource::try_from(source).ok()? {
        pb::TrackSource::Camera => "camera",
        pb::TrackSource::Microphone => "microphone",
        pb::TrackSource::ScreenShare => "screen_share",
        pb::TrackSource::ScreenShareAudio => "screen_share_audio",
        pb::TrackSource::Unknown => return None,
    })
}

/// LiveKit: SubscriptionPermission, a publisher's word on who may subscribe to what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allowance {
    #[default]
    Everyone,
    Listed {
        by_identity: BTreeMap<String, Tracks>,
        by_sid: BTreeMap<String, Tracks>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracks {
    All,
    Some(BTreeSet<String>),
}

impl Allowance {
    /// A list that is too long is cut: that allows less, never more.
    pub fn new(permission: pb::SubscriptionPermission) -> Self {
        if permission.all_participants {
            return Self::Everyone;
        }
        let (mut by_identity, mut by_sid) = (BTreeMap::new(), BTreeMap::new());
        for entry in permission.track_permissions.into_iter().take(TRACK_PERMISSIONS_MAX) {
            let sids = entry.track_sids.into_iter().take(sluicegate_contract::limit::TRACKS_PER_SESSION_MAX);
            let tracks = if entry.all_tracks { Tracks::All } else { Tracks::Some(sids.collect()) };
            // LiveKit: the identity counts where there is one.
            if !entry.participant_identity.is_empty() {
                by_identity.insert(entry.participant_identity, tracks);
            } else if !entry.participant_sid.is_empty() {
                by_sid.insert(entry.participant_sid, tracks);
            }
        }
        Self::Listed { by_identity, by_sid }
    }

    pub fn allows(&self, identity: &str, sid: &str, track_sid: &str) -> bool {
        match self {
            Self::Everyone => true,
            Self::Listed { by_identity, by_sid } => match by_identity.get(identity).or_else(|| by_sid.get(sid)) {
                Some(Tracks::All) => true,
                Some(Tracks::Some(sids)) => sids.contains(track_sid),
                None => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(identity: &str, sid: &str, all: bool, tracks: &[&str]) -> pb::TrackPermission {
        pb::TrackPermission {
            participant_identity: identity.to_owned(),
            participant_sid: sid.to_owned(),
            all_tracks: all,
            track_sids: tracks.iter().map(|t| (*t).to_owned()).collect(),
        }
    }

    #[test]
    fn defaults_of_a_grant() {
        let permission = from_grant(&VideoGrant::default());
        assert!(permission.can_publish && permission.can_subscribe && permission.can_publish_data);
        assert!(!permission.can_update_metadata && !permission.hidden && !permission.can_subscribe_metrics);
        let muted = from_grant(&VideoGrant { can_publish: Some(false), ..Default::default() });
        assert!(!muted.can_publish && !muted.can_publish_data);
    }

    #[test]
    fn sources_decide_where_named() {
        let sources = vec!["camera".to_owned(), "screen_share_audio".to_owned()];
        let grant = VideoGrant { can_publish: Some(false), can_publish_sources: sources, ..Default::default() };
        let permission = from_grant(&grant);
        assert!(may_publish(&permission, pb::TrackSource::Camera as i32));
        assert!(!may_publish(&permission, pb::TrackSource::Microphone as i32));
        assert!(!may_publish(&permission, 77));
        let mut back = VideoGrant::default();
        apply(&mut back, &permission);
        assert_eq!(from_grant(&back), permission);
    }

    #[test]
    fn the_api_does_not_make_an_agent_a_person() {
        let agent = from_grant(&VideoGrant { agent: true, recorder: true, ..Default::default() });
        let given = pb::ParticipantPermission { can_publish: true, can_publish_sources: vec![2, 9, 2], ..Default::default() };
        let replaced = replace(&agent, given);
        assert!(replaced.agent && replaced.recorder && !replaced.can_subscribe);
        assert_eq!(replaced.can_publish_sources, [2]);
    }

    #[test]
    fn allowances_name_identities_or_sids() {
        assert!(Allowance::new(pb::SubscriptionPermission { all_participants: true, ..Default::default() }).allows("a", "b", "c"));
        let listed = Allowance::new(pb::SubscriptionPermission {
            all_participants: false,
            track_permissions: vec![entry("ann", "", true, &[]), entry("", "PA_b", false, &["TR_1"])],
        });
        assert!(listed.allows("ann", "PA_x", "TR_9"));
        assert!(listed.allows("ben", "PA_b", "TR_1") && !listed.allows("ben", "PA_b", "TR_2"));
        assert!(!listed.allows("cid", "PA_c", "TR_1"));
        let none = Allowance::new(pb::SubscriptionPermission::default());
        assert!(!none.allows("ann", "PA_a", "TR_1"));
        let long = pb::SubscriptionPermission {
            all_participants: false,
            track_permissions: (0..TRACK_PERMISSIONS_MAX + 1).map(|n| entry(&n.to_string(), "", true, &[])).collect(),
        };
        assert!(!Allowance::new(long).allows(&TRACK_PERMISSIONS_MAX.to_string(), "", ""));
    }
}
