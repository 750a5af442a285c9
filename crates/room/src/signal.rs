//! The signal protocol: what a joined client asks, dispatched by kind.
//!
//! A request that cannot be served is answered where LiveKit's clients can understand an answer, and ignored otherwise.

mod join;
pub(crate) mod metadata;
mod negotiate;
mod publish;
mod simulate;
mod sync;

use std::time::Instant;

use sluicegate_proto::pb;
use sluicegate_proto::pb::request_response::{Reason, Request};
use sluicegate_proto::pb::signal_request::Message;

use crate::config::{ECHO_BYTES_MAX, TRACK_TEXT_BYTES_MAX, TRACKS_PER_REQUEST_MAX, UPDATE_PAUSE};
use crate::input::ConnectionKey;
use crate::participant::Departure;
use crate::permission::Allowance;
use crate::room::Room;
use crate::timer::Reason as Timer;

impl Room {
    pub(crate) fn handle_signal(&mut self, now: Instant, connection: ConnectionKey, request: pb::SignalRequest) {
        let Some(index) = self.by_connection.get(&connection).copied() else { return };
        let Some(message) = request.message else { return };
        match message {
            Message::Offer(offer) => self.handle_client_offer(now, index, offer),
            Message::Answer(answer) => self.handle_client_answer(now, index, answer),
            Message::Trickle(trickle) => self.handle_trickle(index, &trickle),
            Message::AddTrack(request) => self.handle_add_track(now, index, request),
            Message::Mute(mute) => self.handle_mute(now, index, mute),
            Message::Subscription(update) => self.handle_subscription(now, index, &update),
            Message::TrackSetting(settings) => self.update_track_settings(index, &settings),
            Message::Leave(_) => {
                self.remove(now, index, Departure::silent(pb::DisconnectReason::ClientInitiated));
            }
            Message::SubscriptionPermission(permission) => self.handle_subscription_permission(now, index, permission),
            Message::UpdateMetadata(update) => self.handle_update_metadata(now, index, update),
            Message::UpdateAudioTrack(update) => self.handle_update_audio_track(now, index, update),
            Message::UpdateVideoTrack(update) => self.handle_update_video_track(now, index, update),
            Message::Simulate(scenario) => self.handle_simulate(now, index, &scenario),
            Message::PublishDataTrackRequest(request) => self.handle_publish_data_track(now, index, request),
            Message::UnpublishDataTrackRequest(request) => self.handle_unpublish_data_track(now, index, request),
            Message::UpdateDataSubscription(update) => self.handle_update_data_subscription(index, update),
            Message::SyncState(state) => self.handle_sync_state(now, index, state),
            // Deprecated, answered by the shell, or of features that are not there yet and that clients do without.
            Message::UpdateLayers(_)
            | Message::Ping(_)
            | Message::PingReq(_)
            | Message::StoreDataBlobRequest(_)
            | Message::GetDataBlobRequest(_) => {}
        }
    }

    /// An answer other than OK, with the request that it belongs to; of a large one only with what it is known by.
    pub(crate) fn refuse(&mut self, index: u32, request_id: u32, reason: Reason, message: &str, request: Request) {
        let request = if request.encoded_len() > ECHO_BYTES_MAX { named(request) } else { request };
        let response =
            pb::RequestResponse { request_id, reason: reason as i32, message: message.to_owned(), request: Some(request) };
        self.signal(index, pb::signal_response::Message::RequestResponse(response));
    }

    fn handle_subscription(&mut self, now: Instant, index: u32, update: &pb::UpdateSubscription) {
        let in_participants = update.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
        let sids = update.track_sids.iter().chain(in_participants).take(TRACKS_PER_REQUEST_MAX);
        self.update_subscriptions(now, index, sids, update.subscribe);
    }

    /// Who may subscribe to the participant's tracks. It counts at once for what begins from now on; what is there already is looked
    /// at at once, too, but after that ten times a second and no more.
    fn handle_subscription_permission(&mut self, now: Instant, index: u32, permission: pb::SubscriptionPermission) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let allowance = Allowance::new(permission);
        if participant.allowance == allowance {
            return;
        }
        participant.allowance = allowance;
        match participant.allowance_applied_at.map(|at| at + UPDATE_PAUSE).filter(|next| now < *next) {
            Some(next) => self.timers.set(Timer::Allowance(index), next),
            None => self.apply_allowance(now, index),
        }
    }

    pub(crate) fn apply_allowance(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.allowance_applied_at = Some(now);
        self.describe_again(index);
        self.reconcile_own_tracks(index);
        self.reconcile_own_data_tracks(index);
    }
}

/// What a client tells the request by, and nothing else.
fn named(request: Request) -> Request {
    let short = |text: String| if text.len() > TRACK_TEXT_BYTES_MAX { String::new() } else { text };
    match request {
        Request::AddTrack(add) => {
            Request::AddTrack(pb::AddTrackRequest { cid: short(add.cid), sid: short(add.sid), ..Default::default() })
        }
        Request::Mute(mute) => Request::Mute(pb::MuteTrackRequest { sid: short(mute.sid), muted: mute.muted }),
        Request::UpdateMetadata(update) => {
            Request::UpdateMetadata(pb::UpdateParticipantMetadata { request_id: update.request_id, ..Default::default() })
        }
        Request::UpdateAudioTrack(update) => {
            Request::UpdateAudioTrack(pb::UpdateLocalAudioTrack { track_sid: short(update.track_sid), ..Default::default() })
        }
        Request::UpdateVideoTrack(update) => {
            Request::UpdateVideoTrack(pb::UpdateLocalVideoTrack { track_sid: short(update.track_sid), ..update })
        }
        Request::PublishDataTrack(publish) => {
            Request::PublishDataTrack(pb::PublishDataTrackRequest { pub_handle: publish.pub_handle, ..Default::default() })
        }
        Request::Trickle(trickle) => Request::Trickle(pb::TrickleRequest { candidate_init: String::new(), ..trickle }),
        Request::UnpublishDataTrack(unpublish) => Request::UnpublishDataTrack(unpublish),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_request_is_known_by_its_ids() {
        let long = || "x".repeat(TRACK_TEXT_BYTES_MAX + 1);
        let add = pb::AddTrackRequest { cid: "c".to_owned(), name: long(), sid: long(), ..Default::default() };
        let wanted = pb::AddTrackRequest { cid: "c".to_owned(), ..Default::default() };
        assert_eq!(named(Request::AddTrack(add)), Request::AddTrack(wanted));
        let update = pb::UpdateLocalAudioTrack { track_sid: "TR_x".to_owned(), features: vec![1; 9] };
        let wanted = pb::UpdateLocalAudioTrack { track_sid: "TR_x".to_owned(), features: Vec::new() };
        assert_eq!(named(Request::UpdateAudioTrack(update)), Request::UpdateAudioTrack(wanted));
    }
}
