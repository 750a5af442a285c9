//! MoveParticipant: a participant leaves this room and its client goes on in another one.
//!
//! The media plane's keys carry the room, so a session cannot change it. The client is told of the new room, is given a token for
//! it and then joins anew, as after a lost connection: its SDK publishes again what it had published, and the application hears
//! that it was moved. LiveKit: `room_moved`.

use std::time::Instant;

use sluicegate_proto::pb;

use crate::output::{ApiError, ApiReply, Output};
use crate::participant::Departure;
use crate::room::Room;

/// Where somebody is moved to, as it is now.
#[derive(Debug)]
pub struct Destination {
    pub room: pb::Room,
    /// Those whom the newcomer may see.
    pub participants: Vec<pb::ParticipantInfo>,
}

impl Room {
    pub(crate) fn move_participant(&mut self, now: Instant, identity: &str, to: Destination) -> Result<ApiReply, ApiError> {
        let index = self.find_own(identity)?;
        let refuse = |why: &str| Err(ApiError::FailedPrecondition(why.to_owned()));
        let Some(participant) = self.participants.get(&index) else { return refuse("the participant has just left") };
        if !participant.client.knows_moving() {
            return refuse("the participant's client is too old to be moved");
        }
        // LiveKit: neither do recorders and agents, whose jobs belong to their room
        if participant.is_dependent() {
            return refuse("recorders and agents cannot be moved");
        }
        let Some(connection) = participant.connection else { return refuse("the participant is reconnecting, try again") };
        let mut token = participant.refreshed_grants();
        // what the token allowed beyond being in a room was meant for the old one
        (token.video.room_admin, token.video.room_record) = (false, false);
        token.video.destination_room = String::new();
        token.video.room = to.room.name.clone();
        // whoever moves somebody wants him there, whatever was taken back before
        token.begin_secs = None;
        let response = pb::RoomMovedResponse {
            room: Some(to.room),
            token: String::new(),
            participant: self.participant_info(index),
            other_participants: to.participants,
        };
        self.push(Output::RoomMoved { connection, token: Box::new(token), response: Box::new(response) });
        self.remove(now, index, Departure::reconnect(pb::DisconnectReason::Migration));
        Ok(ApiReply::Done)
    }
}
