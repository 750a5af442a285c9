//! RoomService: who may, what is asked of which room, what is answered.

use axum::response::Response;
use sluicegate_proto::pb;
use sluicegate_room::config::apply_preset;
use sluicegate_room::input::ApiCall;
use sluicegate_room::output::ApiReply;

use super::error::{Code, TwirpError};
use super::{Call, unbuilt};
use crate::control::Control;

pub async fn call(control: &Control, method: &str, call: &Call) -> Result<Response, TwirpError> {
    let body = &call.body;
    match method {
        "CreateRoom" => body.reply("livekit.Room", &create_room(control, call).await?),
        "ListRooms" => body.reply("livekit.ListRoomsResponse", &list_rooms(control, call)?),
        "DeleteRoom" => {
            let request: pb::DeleteRoomRequest = body.decode()?;
            call.require(|grant| grant.room_create)?;
            control.rooms().delete(&request.room).await?;
            body.reply("livekit.DeleteRoomResponse", &pb::DeleteRoomResponse {})
        }
        "ListParticipants" => {
            let request: pb::ListParticipantsRequest = body.decode()?;
            call.require_admin(&request.room)?;
            let ApiReply::Participants(participants) = ask(control, &request.room, ApiCall::ListParticipants).await? else {
                return Err(unexpected());
            };
            body.reply("livekit.ListParticipantsResponse", &pb::ListParticipantsResponse { participants })
        }
        "GetParticipant" => {
            let request: pb::RoomParticipantIdentity = body.decode()?;
            call.require_admin(&request.room)?;
            let ask = ask(control, &request.room, ApiCall::GetParticipant { identity: request.identity });
            participant(call, ask.await?)
        }
        "RemoveParticipant" => {
            let request: pb::RoomParticipantIdentity = body.decode()?;
            call.require_admin(&request.room)?;
            let revoke = match u64::try_from(request.revoke_token_ts) {
                Ok(0) => None,
                Ok(secs) => Some(secs),
                Err(_) => return Err(TwirpError::new(Code::InvalidArgument, "revoke_token_ts is before 1970")),
            };
            control.rooms().remove_participant(&request.room, &request.identity, revoke).await?;
            body.reply("livekit.RemoveParticipantResponse", &pb::RemoveParticipantResponse {})
        }
        "MutePublishedTrack" => {
            let request: pb::MuteRoomTrackRequest = body.decode()?;
            call.require_admin(&request.room)?;
            let room = request.room.clone();
            let ApiReply::Track(track) = ask(control, &room, ApiCall::MutePublishedTrack(request)).await? else {
                return Err(unexpected());
            };
            let track = track.map(|track| *track);
            body.reply("livekit.MuteRoomTrackResponse", &pb::MuteRoomTrackResponse { track })
        }
        "UpdateParticipant" => {
            let request: pb::UpdateParticipantRequest = body.decode()?;
            call.require_admin(&request.room)?;
            let room = request.room.clone();
            participant(call, ask(control, &room, ApiCall::UpdateParticipant(request)).await?)
        }
        "UpdateSubscriptions" => {
            let request: pb::UpdateSubscriptionsRequest = body.decode()?;
            call.require_admin(&request.room)?;
            let room = request.room.clone();
            ask(control, &room, ApiCall::UpdateSubscriptions(request)).await?;
            body.reply("livekit.UpdateSubscriptionsResponse", &pb::UpdateSubscriptionsResponse {})
        }
        "SendData" => {
            let request: pb::SendDataRequest = body.decode()?;
            call.require_admin(&request.room)?;
            let room = request.room.clone();
            ask(control, &room, ApiCall::SendData(request)).await?;
            body.reply("livekit.SendDataResponse", &pb::SendDataResponse {})
        }
        "UpdateRoomMetadata" => {
            let request: pb::UpdateRoomMetadataRequest = body.decode()?;
            call.require_admin(&request.room)?;
            let ask = ask(control, &request.room, ApiCall::UpdateMetadata { metadata: request.metadata });
            let ApiReply::Room(room) = ask.await? else { return Err(unexpected()) };
            body.reply("livekit.Room", &*room)
        }
        "PerformRpc" => {
            let request: pb::PerformRpcRequest = body.decode()?;
            call.require_admin(&request.room)?;
            if request.destination_identity.is_empty() {
                return Err(TwirpError::new(Code::InvalidArgument, "destination identity is required"));
            }
            let room = request.room.clone();
            let ApiReply::Payload(payload) = ask(control, &room, ApiCall::PerformRpc(request)).await? else {
                return Err(unexpected());
            };
            body.reply("livekit.PerformRpcResponse", &pb::PerformRpcResponse { payload })
        }
        "MoveParticipant" => {
            let request: pb::MoveParticipantRequest = body.decode()?;
            destination(control, call, &request.room, &request.destination_room)?;
            control.rooms().move_participant(request, may_create(control, call)).await?;
            body.reply("livekit.MoveParticipantResponse", &pb::MoveParticipantResponse {})
        }
        "ForwardParticipant" => {
            let request: pb::ForwardParticipantRequest = body.decode()?;
            destination(control, call, &request.room, &request.destination_room)?;
            control.rooms().forward_participant(request, may_create(control, call)).await?;
            body.reply("livekit.ForwardParticipantResponse", &pb::ForwardParticipantResponse {})
        }
        _ => Err(unbuilt(method)),
    }
}

/// Both rooms must be the caller's; they are two.
fn destination(control: &Control, call: &Call, room: &str, destination: &str) -> Result<(), TwirpError> {
    call.require(|grant| grant.is_admin_of(room) && grant.destination_room == destination)?;
    let invalid = [
        (destination.is_empty(), "no destination room name"),
        (!control.config().limits.allows_room_name(destination), "the room name is too long"),
        (room == destination, "destination room cannot be the same as source room"),
    ];
    let found = invalid.iter().find(|(fails, _)| *fails);
    found.map_or(Ok(()), |(_, text)| Err(TwirpError::new(Code::InvalidArgument, *text)))
}

/// Whether a room is made that somebody is sent to: as a join would.
fn may_create(control: &Control, call: &Call) -> bool {
    control.config().auto_create || call.require(|grant| grant.room_create).is_ok()
}

async fn create_room(control: &Control, call: &Call) -> Result<pb::Room, TwirpError> {
    let mut request: pb::CreateRoomRequest = call.body.decode()?;
    call.require(|grant| grant.room_create)?;
    let config = control.config();
    let is_configured = apply_preset(&config.room.configurations, &mut request);
    let invalid = [
        (!is_configured, "unknown room configuration in create room request"),
        (request.name.is_empty(), "no room name"),
        (!config.limits.allows_room_name(&request.name), "the room name is too long"),
        (!config.room.limits.allows_metadata(&request.metadata), "the metadata is too large"),
    ];
    if let Some((_, text)) = invalid.iter().find(|(fails, _)| *fails) {
        return Err(TwirpError::new(Code::InvalidArgument, *text));
    }
    // better than a room that silently does not do what was asked
    if request.egress.is_some() {
        return Err(TwirpError::new(Code::Internal, "egress not connected (redis required)"));
    }
    if !request.agents.is_empty() {
        return Err(TwirpError::new(Code::Unimplemented, "agents of a room are not available in this version"));
    }
    Ok(control.rooms().create(request).await?)
}

fn list_rooms(control: &Control, call: &Call) -> Result<pb::ListRoomsResponse, TwirpError> {
    let request: pb::ListRoomsRequest = call.body.decode()?;
    call.require(|grant| grant.room_list)?;
    Ok(pb::ListRoomsResponse { rooms: control.rooms().list(&request.names) })
}

async fn ask(control: &Control, room: &str, call: ApiCall) -> Result<ApiReply, TwirpError> {
    Ok(control.rooms().ask(room, call).await?)
}

fn participant(call: &Call, reply: ApiReply) -> Result<Response, TwirpError> {
    let ApiReply::Participant(info) = reply else { return Err(unexpected()) };
    call.body.reply("livekit.ParticipantInfo", &*info)
}

fn unexpected() -> TwirpError {
    TwirpError::new(Code::Internal, "the room gave no fitting answer")
}
