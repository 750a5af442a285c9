//! What a room wants done, carried out in order.

use std::sync::Arc;

use sluicegate_contract::{Command, WorkerKey};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_room::Output;
use sluicegate_room::input::ConnectionKey;
use sluicegate_room::output::{Happened, RefreshedGrants};
use smallvec::SmallVec;

use super::{JoinAnswer, Task, refresh};
use crate::auth::unix_secs;
use crate::metrics::{Fact, Kind};
use crate::ws::frame::Frame;

impl Task {
    pub(super) async fn carry_out(&mut self, output: Output) {
        match output {
            Output::JoinAccepted { connection } => {
                self.rooms.0.metrics.count(Fact::JoinAccepted);
                self.answer_join(connection, JoinAnswer::Accepted);
            }
            Output::JoinRefused { connection, refusal } => {
                self.rooms.0.metrics.count(Fact::JoinRefused);
                self.connections.remove(&connection);
                self.answer_join(connection, JoinAnswer::Refused(refusal));
            }
            Output::Signal { connections, response } => {
                let frame = Arc::new(Frame::new(response));
                for connection in connections {
                    self.send(connection, &frame);
                }
            }
            // dropping the lane lets its socket send what is queued, then close
            Output::CloseConnection { connection } => drop(self.connections.remove(&connection)),
            Output::RefreshToken { connection, token } => self.refresh(connection, *token),
            Output::RoomMoved { connection, token, response } => self.tell_moved(connection, *token, *response),
            Output::Media(command) => self.command(command).await,
            Output::Forwarded(forwarded) => self.forwards.describe(*forwarded, &self.placement),
            Output::ForwardingEnded { source } => self.forwards.stopped(source, &mut self.placement),
            Output::ApiAnswer { request, answer } => {
                let Err(answer) = self.forwards.answered(request, answer, &mut self.placement) else { return };
                if let Some(asked) = self.asking.remove(&request) {
                    let _ = asked.send(answer);
                }
            }
            Output::Snapshot(snapshot) => self.rooms.0.table.update(&self.name, self.key, *snapshot),
            Output::Happened(happened) => self.note(&happened),
            Output::Unhonoured(names) => {
                let asked = names.join(", ");
                tracing::warn!(asked, "this room asks for what is not available in this version; it goes on without");
            }
            Output::Closed => self.is_over = true,
        }
    }

    fn answer_join(&mut self, connection: ConnectionKey, answer: JoinAnswer) {
        if let Some(asked) = self.joining.remove(&connection) {
            let _ = asked.send(answer);
        }
    }

    fn send(&mut self, connection: ConnectionKey, frame: &Arc<Frame>) {
        let Some(there) = self.connections.get(&connection) else { return };
        if !there.lane.push(frame) {
            self.rooms.0.metrics.count(Fact::SignalOverrun);
            tracing::warn!(connection = connection.0, "a client does not read what it is sent and is disconnected");
            if let Some(gone) = self.connections.remove(&connection) {
                gone.lane.cut();
            }
            self.overrun.insert(connection);
        }
    }

    fn refresh(&mut self, connection: ConnectionKey, grants: RefreshedGrants) {
        let Some(token) = self.sign(connection, grants) else { return };
        let response = pb::SignalResponse { message: Some(Message::RefreshToken(token)) };
        self.send(connection, &Arc::new(Frame::new(Arc::new(response))));
    }

    fn tell_moved(&mut self, connection: ConnectionKey, grants: RefreshedGrants, moved: pb::RoomMovedResponse) {
        let Some(token) = self.sign(connection, grants) else { return };
        // native SDKs keep the token of this message alone
        for message in [Message::RefreshToken(token.clone()), Message::RoomMoved(pb::RoomMovedResponse { token, ..moved })] {
            self.send(connection, &Arc::new(Frame::new(Arc::new(pb::SignalResponse { message: Some(message) }))));
        }
    }

    fn sign(&self, connection: ConnectionKey, grants: RefreshedGrants) -> Option<String> {
        let there = self.connections.get(&connection)?;
        refresh::sign(&self.rooms.0.keys, &there.api_key, grants, unix_secs())
    }

    pub(super) async fn command(&mut self, command: Command) {
        match &command {
            Command::AddSession(add) => {
                self.placement.place(add.session, self.rooms.0.workers.choose(&mut self.home));
                self.sessions.insert(add.session, self.rooms.0.metrics.enter(Kind::Participant));
            }
            Command::RemoveSession { session } => drop(self.sessions.remove(session)),
            _ => {}
        }
        let mut routed: SmallVec<[(WorkerKey, Command); 2]> = SmallVec::new();
        self.placement.route(command, |worker, command| routed.push((worker, command)));
        for (worker, command) in routed {
            self.rooms.0.workers.send(worker, command).await;
        }
    }

    fn note(&self, happened: &Happened) {
        let metrics = &self.rooms.0.metrics;
        match happened {
            Happened::RoomStarted => {
                tracing::debug!(name = self.name, "room name");
                tracing::info!("room started");
            }
            Happened::RoomFinished => tracing::info!("room finished"),
            Happened::ParticipantJoined(participant) => {
                metrics.count(Fact::ParticipantActive);
                tracing::debug!(participant = participant.sid, identity = participant.identity, "participant identity");
                tracing::info!(participant = participant.sid, "participant joined");
            }
            Happened::ParticipantLeft(participant) => {
                tracing::info!(participant = participant.sid, reason = ?participant.disconnect_reason(), "participant left");
            }
            Happened::ParticipantConnectionAborted(participant) => {
                let reason = participant.disconnect_reason();
                tracing::info!(participant = participant.sid, ?reason, "participant left before it was connected");
            }
            Happened::TrackPublished { participant, track } => {
                metrics.count(Fact::TrackPublished);
                tracing::info!(participant = participant.sid, track = track.sid, mime = track.mime_type, "track published");
            }
            Happened::TrackUnpublished { participant, track } => {
                metrics.count(Fact::TrackUnpublished);
                tracing::info!(participant = participant.sid, track = track.sid, "track unpublished");
            }
        }
    }
}
