//! What a client that resumes says of itself (LiveKit: SyncState): what it publishes, takes and has received.

use std::time::Instant;

use sluicegate_proto::pb;

use crate::config::TRACKS_PER_REQUEST_MAX;
use crate::participant::Departure;
use crate::room::Room;

impl Room {
    /// Descriptions in it are old ones: what counts is offered anew with the ICE restart.
    pub(crate) fn handle_sync_state(&mut self, now: Instant, index: u32, state: pb::SyncState) {
        if !self.knows_published(index, &state) {
            return self.remove(now, index, Departure::reconnect(pb::DisconnectReason::StateMismatch));
        }
        if let Some(update) = &state.subscription {
            self.handle_subscription(now, index, update);
        }
        for sid in state.track_sids_disabled.iter().take(TRACKS_PER_REQUEST_MAX) {
            self.disable_track(index, sid);
        }
        if let Some(update) = state.data_subscription {
            self.handle_update_data_subscription(index, update);
        }
        self.replay_data(now, index, &state.datachannel_receive_states);
    }

    /// Whether all that the client believes to publish is known here, or was withdrawn while it could not be told.
    fn knows_published(&self, index: u32, state: &pb::SyncState) -> bool {
        let Some(participant) = self.participants.get(&index) else { return true };
        let is_known = |published: &pb::TrackPublishedResponse| {
            let sid = published.track.as_ref().map_or("", |track| track.sid.as_str());
            let mut tracks = participant.tracks.iter().filter_map(|track| self.tracks.get(track));
            let is_queued = || participant.queued.contains_key(&published.cid);
            tracks.any(|track| track.info.sid == sid) || participant.absence.has_withdrawn(sid) || is_queued()
        };
        let is_known_data = |published: &pb::PublishDataTrackResponse| {
            let sid = published.info.as_ref().map_or("", |info| info.sid.as_str());
            let track = self.data_tracks_by_sid.get(sid).and_then(|track| self.data_tracks.get(track));
            track.is_some_and(|track| track.publisher == index) || participant.absence.has_withdrawn(sid)
        };
        state.publish_tracks.iter().take(TRACKS_PER_REQUEST_MAX).all(is_known)
            && state.publish_data_tracks.iter().take(TRACKS_PER_REQUEST_MAX).all(is_known_data)
    }
}
