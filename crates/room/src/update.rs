//! How participants hear of each other and of the room: at once in small rooms, gathered in large ones; and of one who changes
//! again and again, ten times a second.

use std::sync::Arc;
use std::time::Instant;

use prost::Message as _;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use smallvec::SmallVec;

use crate::config::{
    ROOM_UPDATE_DELAY, ROOM_UPDATE_INTERVAL, SMALL_ROOM_PARTICIPANTS_MAX, UPDATE_BYTES_MAX, UPDATE_INTERVAL, UPDATE_PAUSE,
};
use crate::input::ConnectionKey;
use crate::output::Output;
use crate::room::Room;
use crate::timer::Reason;

/// Who hears of a participant's change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// All but the participant itself.
    Others,
    Everybody,
}

/// How soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// What happens once, or what must be known before something else comes.
    AtOnce,
    /// What a client can do as often as it likes: gathered where it was told of less than [`UPDATE_PAUSE`] ago.
    Repeatable,
    /// Gathered in large rooms, unless the participant publishes.
    MayWait,
}

/// A change of one identity that waits to be told; ordered by identity, because clients keep participants by it.
#[derive(Debug, Default)]
pub struct Gathered {
    /// Somebody of that identity has left: told before its successor.
    departed: Option<Box<pb::ParticipantInfo>>,
}

impl Room {
    /// Something of a participant changed: its version grows and it is told. A hidden one's changes only itself hears.
    pub(crate) fn tell(&mut self, now: Instant, index: u32, audience: Audience, pace: Pace) {
        let large = self.participants.len() > SMALL_ROOM_PARTICIPANTS_MAX;
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.touch();
        let (identity, hidden) = (participant.identity.clone(), participant.permission.hidden);
        let own = participant.connection;
        if large && pace == Pace::MayWait && !participant.is_publisher && !hidden {
            self.gathered.entry(identity).or_default();
            self.schedule_updates(now);
            return;
        }
        if pace == Pace::Repeatable && !hidden && participant.told_at.is_some_and(|at| now < at + UPDATE_PAUSE) {
            self.repeating.insert(index);
            if !self.timers.is_set(Reason::Repeating) {
                self.timers.set(Reason::Repeating, now + UPDATE_PAUSE);
            }
            return;
        }
        participant.told_at = Some(now);
        self.repeating.remove(&index);
        let Some(info) = self.participant_info(index) else { return };
        if hidden {
            let own = own.filter(|_| audience == Audience::Everybody);
            return self.send_updates(own.into_iter().collect(), vec![info]);
        }
        let departed = self.gathered.remove(&identity).and_then(|gathered| gathered.departed);
        let mut infos: Vec<_> = departed.into_iter().map(|info| *info).collect();
        infos.push(info);
        let connections = self.connections_except((audience == Audience::Others).then_some(index));
        self.send_updates(connections, infos);
        self.offer_data_tracks(index);
    }

    /// Somebody is gone (already out of the lists): the others hear it.
    pub(crate) fn tell_departure(&mut self, now: Instant, info: pb::ParticipantInfo) {
        let large = self.participants.len() > SMALL_ROOM_PARTICIPANTS_MAX;
        if large && !info.is_publisher {
            let gathered = self.gathered.entry(info.identity.clone()).or_default();
            gathered.departed = Some(Box::new(info));
            return self.schedule_updates(now);
        }
        self.gathered.remove(&info.identity);
        let connections = self.connections_except(None);
        self.send_updates(connections, vec![info]);
    }

    /// For the others a participant that hides is gone.
    pub(crate) fn tell_hidden(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.touch();
        let Some(mut info) = self.participant_info(index) else { return };
        info.state = pb::participant_info::State::Disconnected as i32;
        info.tracks.clear();
        info.data_tracks.clear();
        self.gathered.remove(&info.identity);
        self.note_departure(now, &info);
        let connections = self.connections_except(Some(index));
        self.send_updates(connections, vec![info]);
    }

    /// Tells of those who changed again and again.
    pub(crate) fn flush_repeating(&mut self, now: Instant) {
        let mut infos = Vec::new();
        let repeating = std::mem::take(&mut self.repeating);
        for index in repeating.iter().copied() {
            let Some(info) = self.participant_info(index).filter(|info| !is_hidden(info)) else { continue };
            if let Some(participant) = self.participants.get_mut(&index) {
                participant.told_at = Some(now);
            }
            infos.extend(self.gathered.remove(&info.identity).and_then(|gathered| gathered.departed).map(|info| *info));
            infos.push(info);
        }
        let connections = self.connections_except(None);
        self.send_updates(connections, infos);
        for index in repeating {
            self.offer_data_tracks(index);
        }
    }

    /// Tells everything that was gathered.
    pub(crate) fn flush_updates(&mut self) {
        let mut infos = Vec::new();
        for (identity, gathered) in std::mem::take(&mut self.gathered) {
            infos.extend(gathered.departed.map(|info| *info));
            let index = self.by_identity.get(&identity).copied();
            infos.extend(index.and_then(|index| self.participant_info(index)).filter(|info| !is_hidden(info)));
        }
        let connections = self.connections_except(None);
        self.send_updates(connections, infos);
    }

    /// The room's counts changed (gathered), or more than that (at once).
    pub(crate) fn room_changed(&mut self, now: Instant, at_once: bool) {
        self.is_snapshot_due = true;
        if at_once {
            self.send_room_update(now);
        } else if !self.timers.is_set(Reason::RoomUpdate) {
            let soon = now + ROOM_UPDATE_DELAY;
            let next = self.room_updated_at.map_or(soon, |at| soon.max(at + ROOM_UPDATE_INTERVAL));
            self.timers.set(Reason::RoomUpdate, next);
        }
    }

    pub(crate) fn send_room_update(&mut self, now: Instant) {
        self.timers.cancel(Reason::RoomUpdate);
        self.room_updated_at = Some(now);
        let update = pb::RoomUpdate { room: Some(self.room_info()) };
        let connections = self.connections_except(None);
        self.signal_many(connections, Message::RoomUpdate(update));
    }

    /// One message to one participant; kept for one without signalling, where that matters.
    pub(crate) fn signal(&mut self, index: u32, message: Message) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        match participant.connection {
            Some(connection) => self.signal_many(SmallVec::from_elem(connection, 1), message),
            // it has a client, but not here
            None if participant.is_forwarded() => {}
            None => participant.absence.miss(message),
        }
    }

    pub(crate) fn signal_many(&mut self, connections: SmallVec<[ConnectionKey; 1]>, message: Message) {
        if !connections.is_empty() {
            let response = Arc::new(pb::SignalResponse { message: Some(message) });
            self.push(Output::Signal { connections, response });
        }
    }

    fn schedule_updates(&mut self, now: Instant) {
        if !self.timers.is_set(Reason::Updates) {
            self.timers.set(Reason::Updates, now + UPDATE_INTERVAL);
        }
    }

    fn connections_except(&self, index: Option<u32>) -> SmallVec<[ConnectionKey; 1]> {
        let others = self.participants.iter().filter(|(i, _)| Some(**i) != index);
        others.filter_map(|(_, participant)| participant.connection).collect()
    }

    /// In messages of a bounded size, each shared by all who get it.
    pub(crate) fn send_updates(&mut self, connections: SmallVec<[ConnectionKey; 1]>, infos: Vec<pb::ParticipantInfo>) {
        for participants in chunks(infos) {
            self.signal_many(connections.clone(), Message::Update(pb::ParticipantUpdate { participants }));
        }
    }
}

fn is_hidden(info: &pb::ParticipantInfo) -> bool {
    info.permission.as_ref().is_some_and(|permission| permission.hidden)
}

fn chunks(infos: Vec<pb::ParticipantInfo>) -> Vec<Vec<pb::ParticipantInfo>> {
    let mut chunks: Vec<Vec<pb::ParticipantInfo>> = Vec::new();
    let mut bytes = 0;
    for info in infos {
        let len = info.encoded_len();
        match chunks.last_mut() {
            Some(chunk) if bytes + len <= UPDATE_BYTES_MAX => chunk.push(info),
            _ => {
                chunks.push(vec![info]);
                bytes = 0;
            }
        }
        bytes += len;
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn updates_are_cut_by_bytes_and_keep_their_order() {
        let info = |n: u32| pb::ParticipantInfo { version: n, metadata: "x".repeat(50 << 10), ..Default::default() };
        let cut = chunks((0..5).map(info).collect());
        assert_eq!(
            cut.iter().map(|c| c.iter().map(|i| i.version).collect::<Vec<_>>()).collect::<Vec<_>>(),
            [vec![0, 1], vec![2, 3], vec![4]]
        );
        let huge = pb::ParticipantInfo { metadata: "x".repeat(500 << 10), ..Default::default() };
        assert_eq!(chunks(vec![huge.clone(), huge]).len(), 2);
        assert!(chunks(Vec::new()).is_empty());
    }
}
