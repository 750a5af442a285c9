//! RoomService calls on a living room.

use std::time::Instant;

use prost::Message as _;
use sluicegate_contract::Command;
use sluicegate_contract::command::{DataChannel, Fault};
use sluicegate_proto::data::{self, DATA_BYTES_MAX};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;

use crate::departure::EndedBy;
use crate::input::{ApiCall, RequestId};
use crate::output::{ApiError, ApiReply, Output};
use crate::participant::Departure;
use crate::permission;
use crate::room::Room;
use crate::signal::metadata::Exceeds;
use crate::update::{Audience, Pace};

type Answer = Result<ApiReply, ApiError>;

impl Room {
    pub(crate) fn handle_api(&mut self, now: Instant, request: RequestId, call: ApiCall) {
        if self.is_closed {
            let answer = Err(ApiError::NotFound("requested room does not exist".to_owned()));
            return self.push(Output::ApiAnswer { request, answer });
        }
        // The answer precedes the end of the room, after which nothing comes.
        if matches!(call, ApiCall::Delete) {
            self.push(Output::ApiAnswer { request, answer: Ok(ApiReply::Done) });
            return self.close(now, Departure::disconnect(pb::DisconnectReason::RoomDeleted));
        }
        // its answer comes later
        let call = match call {
            ApiCall::PerformRpc(rpc) => return self.perform_rpc(now, request, rpc),
            call => call,
        };
        let answer = self.answer(now, call);
        self.push(Output::ApiAnswer { request, answer });
    }

    fn answer(&mut self, now: Instant, call: ApiCall) -> Answer {
        match call {
            ApiCall::Delete | ApiCall::PerformRpc(_) => Ok(ApiReply::Done),
            ApiCall::Configure(create) => self.reconfigure(now, &create),
            ApiCall::ListParticipants => {
                Ok(ApiReply::Participants(self.participants.keys().filter_map(|index| self.participant_info(*index)).collect()))
            }
            ApiCall::GetParticipant { identity } => {
                let index = self.find(&identity)?;
                self.participant_reply(index)
            }
            ApiCall::RemoveParticipant { identity } => {
                let index = self.find(&identity)?;
                let token_expiry_secs = self.participants.get(&index).map_or(0, |participant| participant.tokens.known_until_secs);
                self.remove(now, index, Departure::disconnect(pb::DisconnectReason::ParticipantRemoved));
                Ok(ApiReply::Removed { token_expiry_secs })
            }
            ApiCall::MutePublishedTrack(mute) => self.mute_published_track(now, &mute),
            ApiCall::UpdateParticipant(update) => self.update_participant(now, update),
            ApiCall::UpdateSubscriptions(update) => {
                let index = self.find_own(&update.identity)?;
                let in_participants = update.participant_tracks.iter().flat_map(|tracks| &tracks.track_sids);
                let sids = update.track_sids.iter().chain(in_participants);
                self.update_subscriptions(now, index, sids, update.subscribe);
                Ok(ApiReply::Done)
            }
            ApiCall::SendData(send) => self.send_data(now, send),
            ApiCall::Forward { identity } => self.forward_participant(&identity),
            ApiCall::Show(forwarded) => self.show_participant(now, *forwarded),
            ApiCall::Move { identity, to } => self.move_participant(now, &identity, to),
            ApiCall::UpdateMetadata { metadata } => self.update_room_metadata(now, metadata),
            ApiCall::Fault { identity } => self.provoke(identity.as_deref()),
        }
    }

    #[expect(clippy::panic, reason = "a provoked panic is the purpose")]
    fn provoke(&mut self, identity: Option<&str>) -> Answer {
        let Some(identity) = identity else { panic!("provoked") };
        let index = self.find(identity)?;
        self.command(Command::Fault(Fault::Service(self.session_key(index))));
        Ok(ApiReply::Done)
    }

    pub(crate) fn find(&self, identity: &str) -> Result<u32, ApiError> {
        self.by_identity.get(identity).copied().ok_or_else(|| ApiError::NotFound("participant does not exist".to_owned()))
    }

    fn participant_reply(&self, index: u32) -> Answer {
        let info = self.participant_info(index);
        info.map(|info| ApiReply::Participant(Box::new(info))).ok_or_else(|| ApiError::NotFound("participant has left".to_owned()))
    }

    fn reconfigure(&mut self, now: Instant, create: &pb::CreateRoomRequest) -> Answer {
        if !self.config.limits.allows_metadata(&create.metadata) {
            return Err(ApiError::InvalidArgument("exceeds metadata size limit".to_owned()));
        }
        self.said_at_creation = None;
        if self.configure(create) {
            self.room_changed(now, true);
        }
        Ok(ApiReply::Room(Box::new(self.room_info())))
    }

    fn update_room_metadata(&mut self, now: Instant, metadata: String) -> Answer {
        if !self.config.limits.allows_metadata(&metadata) {
            return Err(ApiError::InvalidArgument("exceeds metadata size limit".to_owned()));
        }
        self.info.metadata = metadata;
        self.room_changed(now, true);
        Ok(ApiReply::Room(Box::new(self.room_info())))
    }

    fn mute_published_track(&mut self, now: Instant, mute: &pb::MuteRoomTrackRequest) -> Answer {
        let index = self.find_own(&mute.identity)?;
        if !mute.muted && !self.config.enable_remote_unmute {
            return Err(ApiError::FailedPrecondition("remote unmute not enabled".to_owned()));
        }
        let Some(track) = self.own_track(index, &mute.track_sid) else { return Ok(ApiReply::Track(None)) };
        let asked = pb::MuteTrackRequest { sid: mute.track_sid.clone(), muted: mute.muted };
        self.signal(index, Message::Mute(asked));
        self.mute_track(now, track, mute.muted);
        Ok(ApiReply::Track(self.tracks.get(&track).map(|track| Box::new(track.info.clone()))))
    }

    fn update_participant(&mut self, now: Instant, update: pb::UpdateParticipantRequest) -> Answer {
        let index = self.find_own(&update.identity)?;
        self.change_metadata(now, index, &update.name, &update.metadata, &update.attributes)
            .map_err(|Exceeds(message)| ApiError::InvalidArgument(message.to_owned()))?;
        if let Some(permission) = update.permission {
            self.change_permission(now, index, permission);
        }
        self.participant_reply(index)
    }

    /// Replaces a participant's permission: what it may not do any more ends, what it may again is taken up.
    fn change_permission(&mut self, now: Instant, index: u32, permission: pb::ParticipantPermission) {
        let was_recording = self.room_info().active_recording;
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let permission = permission::replace(&participant.permission, permission);
        if permission == participant.permission {
            return;
        }
        participant.tokens.replaced(&participant.grant);
        participant.grant.set_permission(&permission);
        let was_hidden = std::mem::replace(&mut participant.permission, permission.clone()).hidden;
        participant.is_publisher &= permission.can_publish;
        let tracks: Vec<u32> = participant.tracks.iter().copied().collect();
        let wanted: Vec<u32> = participant.subscriptions.keys().copied().collect();
        for track in tracks {
            let source = self.tracks.get(&track).map_or(0, |track| track.info.source);
            if !permission::may_publish(&permission, source) {
                self.end_track(now, track, EndedBy::Server);
            }
        }
        for track in wanted {
            self.reconcile(index, track);
        }
        if !was_hidden && permission.hidden {
            self.tell_hidden(now, index);
            self.reconcile_own_tracks(index);
        }
        self.data_permission_changed(index);
        self.tell(now, index, Audience::Everybody, Pace::AtOnce);
        self.reconcile_own_data_tracks(index);
        if was_hidden && !permission.hidden {
            self.offer_own_tracks(index);
            self.offer_all_data_tracks(index);
        }
        self.room_changed(now, was_recording != self.room_info().active_recording);
        self.refresh_token(now, index);
    }

    fn send_data(&mut self, now: Instant, send: pb::SendDataRequest) -> Answer {
        if !send.nonce.is_empty() && send.nonce.len() != 16 {
            return Err(ApiError::InvalidArgument("nonce should be 16-bytes or not specified".to_owned()));
        }
        let channel = match pb::data_packet::Kind::try_from(send.kind) {
            Ok(pb::data_packet::Kind::Lossy) => DataChannel::Lossy,
            _ => DataChannel::Reliable,
        };
        let packet = user_packet(send).encode_to_vec();
        let sent = data::route(&packet).and_then(|route| self.send_packet(now, None, channel, &route));
        if sent.is_err() {
            return Err(ApiError::InvalidArgument(format!("data is too large: {DATA_BYTES_MAX} bytes at most with its packet")));
        }
        Ok(ApiReply::Done)
    }
}

/// The packet as clients get it: it comes from no participant.
fn user_packet(send: pb::SendDataRequest) -> pb::DataPacket {
    let user = pb::UserPacket {
        payload: send.data,
        destination_sids: send.destination_sids,
        destination_identities: send.destination_identities.clone(),
        topic: send.topic,
        nonce: send.nonce,
        ..Default::default()
    };
    pb::DataPacket {
        kind: send.kind,
        destination_identities: send.destination_identities,
        value: Some(pb::data_packet::Value::User(user)),
        ..Default::default()
    }
}
