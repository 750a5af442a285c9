//! Connection quality: the media plane's scores, smoothed, told to everybody when they change.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sluicegate_contract::key::SessionKey;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use smallvec::{SmallVec, smallvec};

use crate::input::ConnectionKey;
use crate::participant::Participant;
use crate::room::Room;
use crate::timer::Reason;

/// Scores that come one after the other are told together.
const GATHERING: Duration = Duration::from_millis(500);
/// A smaller change is not worth a message.
const CHANGE_MIN: f32 = 5.0;

/// One participant's quality.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quality {
    /// 0 to 100; none before the first judgement.
    score: Option<f32>,
    /// What the others were told last.
    told: Option<f32>,
    /// It knows those of the others.
    knows_others: bool,
}

impl Quality {
    /// LiveKit's smoothing: bad news count more.
    fn judge(&mut self, score: f32) {
        self.score = Some(match self.score {
            None => score,
            Some(before) => before + (score - before) * if score > before { 0.4 } else { 0.8 },
        });
    }

    /// Its client may have missed what it was told.
    pub fn forget_others(&mut self) {
        self.knows_others = false;
    }

    fn is_news(&self) -> bool {
        let Some(score) = self.score else { return false };
        self.told.is_none_or(|told| (told - score).abs() >= CHANGE_MIN || level(told) != level(score))
    }
}

/// LiveKit's bounds.
fn level(score: f32) -> pb::ConnectionQuality {
    match score {
        score if score > 80.0 => pb::ConnectionQuality::Excellent,
        score if score > 40.0 => pb::ConnectionQuality::Good,
        score if score > 20.0 => pb::ConnectionQuality::Poor,
        _ => pb::ConnectionQuality::Lost,
    }
}

impl Room {
    pub(crate) fn handle_quality(&mut self, now: Instant, session: SessionKey, score: u8) {
        let Some(participant) = self.participants.get_mut(&session.index) else { return };
        participant.quality.judge(f32::from(score));
        let is_news = participant.quality.is_news();
        let is_new = participant.is_active && participant.client.knows_quality() && !participant.quality.knows_others;
        if (is_news || is_new) && !self.timers.is_set(Reason::Quality) {
            self.timers.set(Reason::Quality, now + GATHERING);
        }
    }

    /// What changed to everybody, everything to those who know nothing yet: two lists that all share. A hidden one's quality only
    /// itself hears.
    pub(crate) fn tell_quality(&mut self) {
        let mut lists = Lists::default();
        for participant in self.participants.values().filter(|participant| !participant.permission.hidden) {
            let Some(info) = info(participant) else { continue };
            if participant.quality.is_news() {
                lists.news.push(info.clone());
            }
            lists.all.push(info);
        }
        let mut audiences = BTreeMap::<(bool, bool), SmallVec<[ConnectionKey; 1]>>::new();
        let mut hidden = Vec::new();
        for participant in self.participants.values_mut().filter(|participant| participant.client.knows_quality()) {
            let Some(connection) = participant.connection else { continue };
            let knows_others = std::mem::replace(&mut participant.quality.knows_others, participant.is_active);
            let kind = (knows_others, participant.client.knows_lost_quality());
            match info(participant).filter(|_| participant.permission.hidden) {
                Some(own) if !knows_others || participant.quality.is_news() => hidden.push((connection, kind, own)),
                _ => audiences.entry(kind).or_default().push(connection),
            }
        }
        for (kind, connections) in audiences {
            self.send_quality(connections, lists.of(kind));
        }
        for (connection, kind, own) in hidden {
            self.send_quality(smallvec![connection], [lists.of(kind), understood(vec![own], kind.1)].concat());
        }
        for participant in self.participants.values_mut().filter(|participant| participant.quality.is_news()) {
            participant.quality.told = participant.quality.score;
        }
    }

    fn send_quality(&mut self, connections: SmallVec<[ConnectionKey; 1]>, updates: Vec<pb::ConnectionQualityInfo>) {
        if !updates.is_empty() {
            self.signal_many(connections, Message::ConnectionQuality(pb::ConnectionQualityUpdate { updates }));
        }
    }
}

/// What there is to tell.
#[derive(Default)]
struct Lists {
    all: Vec<pb::ConnectionQualityInfo>,
    news: Vec<pb::ConnectionQualityInfo>,
}

impl Lists {
    fn of(&self, (knows_others, knows_lost): (bool, bool)) -> Vec<pb::ConnectionQualityInfo> {
        understood(if knows_others { self.news.clone() } else { self.all.clone() }, knows_lost)
    }
}

fn info(participant: &Participant) -> Option<pb::ConnectionQualityInfo> {
    let score = participant.quality.score?;
    let participant_sid = participant.sid.clone();
    Some(pb::ConnectionQualityInfo { participant_sid, quality: level(score) as i32, score: score / 20.0 })
}

/// As a client that knows LOST, or one that does not, can read it.
fn understood(mut updates: Vec<pb::ConnectionQualityInfo>, knows_lost: bool) -> Vec<pb::ConnectionQualityInfo> {
    let lost = updates.iter_mut().filter(|info| !knows_lost && info.quality() == pb::ConnectionQuality::Lost);
    lost.for_each(|info| info.quality = pb::ConnectionQuality::Poor as i32);
    updates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_news_travel_fast() {
        let mut quality = Quality::default();
        assert!(!quality.is_news());
        quality.judge(98.0);
        assert!(quality.is_news());
        quality.told = quality.score;
        quality.judge(96.0);
        assert!(!quality.is_news(), "a little less");
        quality.judge(30.0);
        assert!(quality.is_news() && level(quality.score.unwrap()) == pb::ConnectionQuality::Good);
        quality.judge(0.0);
        assert_eq!(level(quality.score.unwrap()), pb::ConnectionQuality::Lost);
    }
}
