//! How a participant leaves: its signalling and media end, its tracks vanish, the others hear of it.

use std::time::Instant;

use sluicegate_contract::Command;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;

use crate::output::{Happened, Output};
use crate::participant::{Departure, Participant};
use crate::room::Room;
use crate::update::{Audience, Pace};

/// Who ended a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Its m-line is gone: the media plane reported it.
    Client,
    /// A permission was withdrawn.
    Server,
}

impl Room {
    /// Ends a participant's stay. The others are told at once (in large rooms only of publishers).
    pub(crate) fn remove(&mut self, now: Instant, index: u32, departure: Departure) {
        let Some(mut info) = self.participant_info(index) else { return };
        self.end_signalling(now, index, departure);
        let was_shown = self.stop_showing(index);
        let Some(mut participant) = self.participants.remove(&index) else { return };
        self.by_identity.remove(&participant.identity);
        self.by_sid.remove(&participant.sid);
        self.repeating.remove(&index);
        self.timers.cancel_participant(index);
        self.end_rpcs(index);
        if !was_shown {
            self.command(Command::RemoveSession { session: participant.session });
        }

        participant.touch();
        info.version = participant.version;
        info.state = pb::participant_info::State::Disconnected as i32;
        info.disconnect_reason = departure.reason as i32;
        let tracks = std::mem::take(&mut info.tracks);
        info.data_tracks.clear();
        self.end_forwarding(index, participant.session, &info);
        if !self.is_closed && !self.is_leaving && !participant.permission.hidden {
            self.note_departure(now, &info);
            self.tell_departure(now, info.clone());
        }
        for track in participant.subscriptions.keys() {
            if let Some(track) = self.tracks.get_mut(track) {
                track.subscribers.remove(&index);
            }
        }
        for track in &participant.tracks {
            self.forget_track(*track);
        }
        self.forget_data_tracks(index, &participant.data_tracks);
        for track in tracks {
            let (participant, track) = (Box::new(info.clone()), Box::new(track));
            self.push(Output::Happened(Happened::TrackUnpublished { participant, track }));
        }
        let info = Box::new(info);
        self.push(Output::Happened(match participant.is_active {
            true => Happened::ParticipantLeft(info),
            false => Happened::ParticipantConnectionAborted(info),
        }));
        if !participant.is_dependent() {
            self.left_at = Some(now);
        }
        if !self.is_closed && !self.is_leaving {
            let recording = participant.is_recorder() && !self.participants.values().any(Participant::is_recorder);
            self.room_changed(now, recording);
        }
    }

    /// Says goodbye where there is something to say, then closes the WebSocket.
    pub(crate) fn end_signalling(&mut self, now: Instant, index: u32, departure: Departure) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let Some(connection) = participant.connection.take() else { return };
        self.by_connection.remove(&connection);
        participant.absence.begin(now);
        if let Some(leave) = participant.leave(departure) {
            self.signal_many(smallvec::smallvec![connection], Message::Leave(leave));
        }
        self.push(Output::CloseConnection { connection });
    }

    /// Ends one track, announced or published. The caller tells the participant's change.
    /// Says whether others had seen the track.
    pub(crate) fn end_track(&mut self, now: Instant, index: u32, by: EndedBy) -> bool {
        let Some(track) = self.tracks.get(&index) else { return false };
        let (key, publisher, published) = (track.key, track.publisher, track.published);
        let (cid, info) = (track.cid.clone(), track.info.clone());
        self.end_subscriptions(index);
        self.forget_track(index);
        // another room's is not ours to end
        if key.room == self.key {
            self.command(Command::RemoveTrack { track: key });
        }
        if let Some(participant) = self.participants.get_mut(&publisher) {
            participant.tracks.remove(&index);
            if by == EndedBy::Server && participant.client.knows_track_unpublished() {
                let track_sid = info.sid.clone();
                self.signal(publisher, Message::TrackUnpublished(pb::TrackUnpublishedResponse { track_sid }));
            }
        }
        if published && let Some(participant) = self.participant_info(publisher) {
            let (participant, track) = (Box::new(participant), Box::new(info));
            self.push(Output::Happened(Happened::TrackUnpublished { participant, track }));
        }
        self.publish_queued(now, publisher, &cid);
        published
    }

    /// In the media plane; who wanted the track goes on wanting it.
    pub(crate) fn end_subscriptions(&mut self, index: u32) {
        let Some(track) = self.tracks.get_mut(&index) else { return };
        let (key, subscribers) = (track.key, std::mem::take(&mut track.subscribers));
        for subscriber in subscribers {
            let session = self.session_key(subscriber);
            self.command(Command::Unsubscribe { session, track: key });
        }
    }

    /// The client took a track away.
    pub(crate) fn handle_track_ended(&mut self, now: Instant, index: u32) {
        let Some(publisher) = self.tracks.get(&index).map(|track| track.publisher) else { return };
        if self.end_track(now, index, EndedBy::Client) {
            self.tell(now, publisher, Audience::Others, Pace::Repeatable);
        }
    }

    /// Out of all lists; nobody is told.
    fn forget_track(&mut self, index: u32) {
        let Some(track) = self.tracks.remove(&index) else { return };
        self.tracks_by_sid.remove(&track.info.sid);
        self.forget_shown_track(track.key);
        for participant in self.participants.values_mut() {
            participant.subscriptions.remove(&index);
            participant.denied.remove(&index);
        }
    }
}
