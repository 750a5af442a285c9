//! Everything that can be seen of the room against everything that should be.

use std::collections::{BTreeMap, BTreeSet};

use sluicegate_contract::key::SessionKey;
use sluicegate_proto::pb;

use crate::drive::{identity, is_same};
use crate::life::{Life, Seat};
use crate::reference::Who;

impl Life {
    /// Everything that can be seen of the room against everything that should be.
    pub fn compare(&mut self) {
        let sessions: BTreeSet<SessionKey> = self.seats.values().map(|seat| seat.session).collect();
        self.check(self.sessions == sessions, "a session for everybody");
        let owner = |track: &crate::reference::Published| self.seats[&track.by].session;
        let media = self.reference.tracks.iter().map(|(track, published)| (self.tracks[*track].0, owner(published))).collect();
        self.check(self.media == media, "the media plane has the tracks there are");
        let mut subscriptions = BTreeSet::new();
        for who in self.reference.people.keys() {
            let received = self.reference.tracks.keys().filter(|track| self.reference.receives(*who, **track));
            subscriptions.extend(received.map(|track| (self.seats[who].session, self.tracks[*track].0)));
        }
        self.check(self.subscriptions == subscriptions, "everybody receives what he wants and may have, and nothing else");
        let info = self.room.room_info();
        let counts = (info.num_participants as usize, info.num_publishers as usize);
        self.check(counts == (self.reference.participants(), self.reference.publishers()), "the counts");
        let people: Vec<Who> = self.reference.people.keys().copied().collect();
        for who in people.iter().copied().filter(|who| self.is_connected(*who)) {
            self.compare_client(who, &people);
        }
    }

    pub fn compare_client(&self, who: Who, people: &[Who]) {
        let Seat { client, token, .. } = &self.seats[&who];
        let sees: BTreeSet<String> =
            people.iter().filter(|other| self.reference.sees(who, **other)).map(|other| identity(*other)).collect();
        let known: BTreeSet<String> = client.others.keys().cloned().collect();
        self.check(known == sees, "who is seen");
        for other in people.iter().copied().filter(|other| self.reference.sees(who, *other)) {
            let info = &client.others[&identity(other)];
            self.check(info.sid == self.seats[&other].client.me.sid, "the SID of another");
            let state = if self.reference.people[&other].is_active { 2 } else { 1 };
            self.check(info.state == state, "the state of another");
            self.compare_info(other, info);
        }
        self.compare_info(who, &client.me);
        let denied: BTreeSet<String> = self
            .reference
            .tracks
            .keys()
            .filter(|track| self.reference.is_denied(who, **track))
            .map(|track| self.tracks[*track].1.clone())
            .collect();
        let receives = |sid: &&String| {
            self.reference.tracks.keys().any(|track| self.tracks[*track].1 == **sid && self.reference.receives(who, *track))
        };
        self.check(denied.is_subset(&client.denied), "who is denied a track is told");
        self.check(!client.denied.iter().any(|sid| receives(&sid)), "who receives a track does not take it for denied");
        let video = &token.as_ref().unwrap().video;
        let rights = self.reference.people[&who].rights.clone().of_token();
        self.check(is_same(&video.to_permission(), &rights), "the newest token has the newest rights");
    }

    pub fn compare_info(&self, of: Who, info: &pb::ParticipantInfo) {
        let person = &self.reference.people[&of];
        let attributes: BTreeMap<String, String> = info.attributes.clone().into_iter().collect();
        let texts = (&info.name, &info.metadata, &attributes) == (&person.name, &person.metadata, &person.attributes);
        self.check(texts, "name, metadata, attributes");
        self.check(is_same(info.permission.as_ref().unwrap(), &person.rights), "the permission that is shown");
        let shown: Vec<(&str, i32, bool)> =
            info.tracks.iter().map(|track| (track.sid.as_str(), track.source, track.muted)).collect();
        let tracks = self.reference.of(of).into_iter().map(|track| {
            let published = &self.reference.tracks[&track];
            (self.tracks[track].1.as_str(), published.source, published.muted)
        });
        self.check(shown == tracks.collect::<Vec<_>>(), "the tracks that are shown");
    }
}
