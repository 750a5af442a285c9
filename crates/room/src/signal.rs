//! The signal protocol: what a joined client asks, dispatched by kind.
//!
//! A request that cannot be served is answered where LiveKit's clients can understand an answer, and ignored otherwise.

mod join;
pub(crate) mod metadata;
mod negotiate;
mod publish;
mod simulate;

use std::time::Instant;

use sluicegate_proto::pb;
use sluicegate_proto::pb::request_response::{Reason, Request};
use sluicegate_proto::pb::signal_request::Message;

use crate::config::TRACKS_PER_REQUEST_MAX;
use crate::input::ConnectionKey;
use crate::participant::Departure;
use crate::permission::Allowance;
use crate::room::Room;

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
            Message::Subscription(update) => {
                let in_participants = update.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
                let sids = update.track_sids.iter().chain(in_participants).take(TRACKS_PER_REQUEST_MAX);
                self.update_subscriptions(now, index, sids, update.subscribe);
            }
            Message::TrackSetting(settings) => self.update_track_settings(index, &settings),
            Message::Leave(_) => {
                self.remove(now, index, Departure::silent(pb::DisconnectReason::ClientInitiated));
            }
            Message::SubscriptionPermission(permission) => self.handle_subscription_permission(index, permission),
            Message::UpdateMetadata(update) => self.handle_update_metadata(now, index, update),
            Message::UpdateAudioTrack(update) => self.handle_update_audio_track(now, index, update),
            Message::UpdateVideoTrack(update) => self.handle_update_video_track(now, index, update),
            Message::Simulate(scenario) => self.handle_simulate(now, index, &scenario),
            Message::PublishDataTrackRequest(request) => self.refuse_data_track(index, Request::PublishDataTrack(request)),
            Message::UnpublishDataTrackRequest(request) => {
                self.refuse_data_track(index, Request::UnpublishDataTrack(request));
            }
            // Of what resuming needs, this much.
            Message::SyncState(state) => self.replay_data(now, index, &state.datachannel_receive_states),
            // Deprecated, answered by the shell, or of features that are not there yet and that clients do without.
            Message::UpdateLayers(_)
            | Message::Ping(_)
            | Message::PingReq(_)
            | Message::UpdateDataSubscription(_)
            | Message::StoreDataBlobRequest(_)
            | Message::GetDataBlobRequest(_) => {}
        }
    }

    /// An answer other than OK, with the request that it belongs to.
    pub(crate) fn refuse(&mut self, index: u32, request_id: u32, reason: Reason, message: &str, request: Request) {
        let response =
            pb::RequestResponse { request_id, reason: reason as i32, message: message.to_owned(), request: Some(request) };
        self.signal(index, pb::signal_response::Message::RequestResponse(response));
    }

    /// Who may subscribe to the participant's tracks.
    fn handle_subscription_permission(&mut self, index: u32, permission: pb::SubscriptionPermission) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.allowance = Allowance::new(permission);
        self.reconcile_own_tracks(index);
    }

    fn refuse_data_track(&mut self, index: u32, request: Request) {
        self.refuse(index, 0, Reason::UnsupportedType, "data tracks are not available", request);
    }
}
