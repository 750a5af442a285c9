//! What a room is, in as few words as possible: who is there, who may do what, who wants what. Everything else follows.
//!
//! Written from LiveKit's behaviour, not from the room's code. Knows no protocol: tracks are numbers, people are numbers.

use std::collections::{BTreeMap, BTreeSet};

pub type Who = u8;
/// A track, by the order of publication in the whole life of the room.
pub type Track = usize;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    pub publish: bool,
    /// Empty: all.
    pub sources: BTreeSet<i32>,
    pub subscribe: bool,
    pub data: bool,
    pub update_own: bool,
    pub hidden: bool,
    /// Only the token says it.
    pub agent: bool,
}

impl Rights {
    /// As a token can say it: sources allow to publish.
    pub fn of_token(self) -> Self {
        let sources = if self.publish { self.sources } else { BTreeSet::new() };
        Self { sources, ..self }
    }

    pub fn may_publish(&self, source: i32) -> bool {
        self.publish && (self.sources.is_empty() || self.sources.contains(&source))
    }
}

/// A publisher's word on who may subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    Everyone,
    /// All tracks, or these.
    Only(BTreeMap<Who, Option<BTreeSet<Track>>>),
}

#[derive(Clone, Debug)]
pub struct Person {
    pub rights: Rights,
    pub is_connected: bool,
    pub is_active: bool,
    pub takes_all: bool,
    /// New tracks come without asking.
    pub is_taking: bool,
    pub wants: BTreeSet<Track>,
    pub allowed: Allowed,
    pub name: String,
    pub metadata: String,
    pub attributes: BTreeMap<String, String>,
    pub counts_as_publisher: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    pub by: Who,
    pub source: i32,
    pub muted: bool,
}

#[derive(Clone, Debug, Default)]
pub struct Reference {
    pub people: BTreeMap<Who, Person>,
    pub tracks: BTreeMap<Track, Published>,
}

impl Reference {
    pub fn join(&mut self, who: Who, rights: Rights, takes_all: bool, is_single_pc: bool) {
        self.leave(who);
        let takes_at_once = takes_all && (is_single_pc || rights.subscribe);
        self.people.insert(
            who,
            Person {
                rights,
                is_connected: true,
                is_active: false,
                takes_all,
                is_taking: false,
                wants: BTreeSet::new(),
                allowed: Allowed::Everyone,
                name: String::new(),
                metadata: String::new(),
                attributes: BTreeMap::new(),
                counts_as_publisher: false,
            },
        );
        if takes_at_once {
            self.take_all(who);
        }
    }

    pub fn activate(&mut self, who: Who) {
        let Some(person) = self.people.get_mut(&who) else { return };
        person.is_active = true;
        if person.takes_all && !person.is_taking {
            self.take_all(who);
        }
    }

    pub fn leave(&mut self, who: Who) {
        self.people.remove(&who);
        let gone: Vec<Track> = self.of(who);
        gone.into_iter().for_each(|track| self.end(track));
    }

    pub fn publish(&mut self, who: Who, track: Track, source: i32) {
        self.tracks.insert(track, Published { by: who, source, muted: false });
        if let Some(person) = self.people.get_mut(&who) {
            person.counts_as_publisher = true;
        }
        self.offer(track);
    }

    pub fn end(&mut self, track: Track) {
        self.tracks.remove(&track);
        self.nobody_wants(track);
    }

    /// What the person may not do any more ends; what it is, stays.
    pub fn permit(&mut self, who: Who, rights: Rights) {
        let Some(person) = self.people.get_mut(&who) else { return };
        let was_hidden = person.rights.hidden;
        person.rights = Rights { agent: person.rights.agent, ..rights };
        person.counts_as_publisher &= person.rights.publish;
        let now = person.rights.clone();
        let lost = |track: &Track| !now.may_publish(self.tracks[track].source);
        let lost: Vec<Track> = self.of(who).into_iter().filter(lost).collect();
        lost.into_iter().for_each(|track| self.end(track));
        match (was_hidden, now.hidden) {
            // for the others they are gone
            (false, true) => {
                self.of(who).into_iter().for_each(|track| self.nobody_wants(track));
            }
            (true, false) => self.of(who).into_iter().for_each(|track| self.offer(track)),
            _ => {}
        }
    }

    pub fn of(&self, who: Who) -> Vec<Track> {
        self.tracks.iter().filter(|(_, track)| track.by == who).map(|(track, _)| *track).collect()
    }

    /// Whom `who` knows of.
    pub fn sees(&self, who: Who, other: Who) -> bool {
        who != other && self.people.get(&other).is_some_and(|person| !person.rights.hidden)
    }

    /// Tracks that `who` can ask for.
    pub fn offered(&self, who: Who) -> Vec<Track> {
        self.tracks.iter().filter(|(_, track)| self.sees(who, track.by)).map(|(track, _)| *track).collect()
    }

    /// The publisher lets it.
    pub fn is_allowed(&self, who: Who, track: Track) -> bool {
        match &self.people[&self.tracks[&track].by].allowed {
            Allowed::Everyone => true,
            Allowed::Only(list) => match list.get(&who) {
                Some(None) => true,
                Some(Some(tracks)) => tracks.contains(&track),
                None => false,
            },
        }
    }

    pub fn receives(&self, who: Who, track: Track) -> bool {
        let person = &self.people[&who];
        let is_exempt = person.rights.agent;
        person.wants.contains(&track) && person.rights.subscribe && (is_exempt || self.is_allowed(who, track))
    }

    /// Wants it, could have it, and its publisher does not let it.
    pub fn is_denied(&self, who: Who, track: Track) -> bool {
        let person = &self.people[&who];
        person.wants.contains(&track) && person.rights.subscribe && !person.rights.agent && !self.is_allowed(who, track)
    }

    pub fn participants(&self) -> usize {
        self.people.values().filter(|person| !person.rights.agent).count()
    }

    pub fn publishers(&self) -> usize {
        self.people.values().filter(|person| person.counts_as_publisher).count()
    }

    fn nobody_wants(&mut self, track: Track) {
        for person in self.people.values_mut() {
            person.wants.remove(&track);
        }
    }

    fn take_all(&mut self, who: Who) {
        let offered = self.offered(who);
        if let Some(person) = self.people.get_mut(&who) {
            person.is_taking = true;
            person.wants.extend(offered);
        }
    }

    fn offer(&mut self, track: Track) {
        let takers: Vec<Who> = self.people.keys().copied().filter(|who| self.offered(*who).contains(&track)).collect();
        for who in takers {
            if let Some(person) = self.people.get_mut(&who).filter(|person| person.is_taking) {
                person.wants.insert(track);
            }
        }
    }
}
