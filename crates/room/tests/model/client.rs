//! A client as SDKs are: what it is told is all that it knows.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;

#[derive(Debug, Default)]
pub struct Client {
    pub me: pb::ParticipantInfo,
    /// By identity.
    pub others: BTreeMap<String, pb::ParticipantInfo>,
    /// Track SIDs whose publishers were said not to allow it, and have not been since.
    pub denied: BTreeSet<String>,
    /// Own tracks that the server ended.
    pub unpublished: BTreeSet<String>,
    pub room: pb::Room,
    pub has_left: bool,
}

impl Client {
    pub fn hear(&mut self, message: &Message) {
        match message {
            Message::Join(join) => {
                self.me = join.participant.clone().unwrap();
                self.others = join.other_participants.iter().map(|info| (info.identity.clone(), info.clone())).collect();
                self.room = join.room.clone().unwrap();
            }
            Message::Update(update) => update.participants.iter().for_each(|info| self.update(info)),
            Message::RoomUpdate(update) => self.room = update.room.clone().unwrap(),
            Message::SubscriptionPermissionUpdate(update) if update.allowed => {
                self.denied.remove(&update.track_sid);
            }
            Message::SubscriptionPermissionUpdate(update) => {
                self.denied.insert(update.track_sid.clone());
            }
            Message::TrackUnpublished(unpublished) => {
                self.unpublished.insert(unpublished.track_sid.clone());
            }
            Message::Leave(_) => self.has_left = true,
            _ => {}
        }
    }

    /// LiveKit's SDKs drop what is older than what they know.
    fn update(&mut self, info: &pb::ParticipantInfo) {
        if info.identity == self.me.identity {
            if info.sid == self.me.sid && info.version >= self.me.version {
                self.me = info.clone();
            }
            return;
        }
        let known = self.others.get(&info.identity);
        let is_gone = info.state() == pb::participant_info::State::Disconnected;
        let is_same = known.is_some_and(|known| known.sid == info.sid);
        if is_gone {
            if is_same {
                self.others.remove(&info.identity);
            }
        } else if !is_same || known.is_some_and(|known| info.version >= known.version) {
            self.others.insert(info.identity.clone(), info.clone());
        }
        // a track that is not there any more can be allowed or not to nobody
        let of_others: BTreeSet<&String> = self.others.values().flat_map(|info| &info.tracks).map(|track| &track.sid).collect();
        self.denied.retain(|sid| of_others.contains(sid));
    }
}
