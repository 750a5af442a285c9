//! What a participant may do, from its token's grants or from the API; and whom it lets subscribe.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate_proto::pb;

use crate::config::TRACK_PERMISSIONS_MAX;

/// A permission given by the API in place of the present one. What a participant *is* (agent, recorder) its token says: those
/// fields are deprecated and most callers leave them out. A source that nobody knows allows nothing, least of all everything.
pub fn replace(present: &pb::ParticipantPermission, given: pb::ParticipantPermission) -> pb::ParticipantPermission {
    let mut sources = given.can_publish_sources;
    sources.iter_mut().for_each(|source| *source = pb::TrackSource::try_from(*source).unwrap_or_default() as i32);
    sources.sort_unstable();
    sources.dedup();
    pb::ParticipantPermission { can_publish_sources: sources, recorder: present.recorder, agent: present.agent, ..given }
}

/// LiveKit: sources, where there are any, decide; UNKNOWN among them stands for a name that nobody knows and allows nothing.
pub fn may_publish(permission: &pb::ParticipantPermission, source: i32) -> bool {
    let sources = &permission.can_publish_sources;
    let named = || source != pb::TrackSource::Unknown as i32 && sources.contains(&source);
    permission.can_publish && (sources.is_empty() || named())
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
    use sluicegate_proto::grant::VideoGrant;

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
    fn sources_decide_where_named() {
        let sources = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let grant = |names: &[&str]| VideoGrant { can_publish_sources: sources(names), ..Default::default() }.to_permission();
        let permission = grant(&["camera", "screen_share_audio"]);
        assert!(may_publish(&permission, pb::TrackSource::Camera as i32));
        assert!(!may_publish(&permission, pb::TrackSource::Microphone as i32));
        assert!(!may_publish(&permission, 77));
        let misspelt = grant(&["camra"]);
        assert!((0..=4).chain([77]).all(|source| !may_publish(&misspelt, source)), "a name that nobody knows widens nothing");
    }

    #[test]
    fn the_api_does_not_make_an_agent_a_person() {
        let agent = VideoGrant { agent: true, recorder: true, ..Default::default() }.to_permission();
        let given = pb::ParticipantPermission { can_publish: true, can_publish_sources: vec![2, 9, 2], ..Default::default() };
        let replaced = replace(&agent, given);
        assert!(replaced.agent && replaced.recorder && !replaced.can_subscribe);
        assert_eq!(replaced.can_publish_sources, [0, 2]);
        let unknown = pb::ParticipantPermission { can_publish: true, can_publish_sources: vec![9], ..Default::default() };
        assert!(!may_publish(&replace(&agent, unknown), pb::TrackSource::Camera as i32));
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
