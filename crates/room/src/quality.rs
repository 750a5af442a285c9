//! Connection quality: the media plane's scores, smoothed, told to everybody when they change.

use std::time::{Duration, Instant};

use sluicegate_contract::key::SessionKey;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;

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
        let wants = participant.quality.is_news() || !participant.quality.knows_others;
        if wants && !self.timers.is_set(Reason::Quality) {
            self.timers.set(Reason::Quality, now + GATHERING);
        }
    }

    /// What changed to everybody, everything to those who know nothing yet.
    pub(crate) fn tell_quality(&mut self) {
        let info = |participant: &crate::participant::Participant| {
            let score = participant.quality.score?;
            let participant_sid = participant.sid.clone();
            Some(pb::ConnectionQualityInfo { participant_sid, quality: level(score) as i32, score: score / 20.0 })
        };
        let visible = |index: u32, of: u32, hidden: bool| !hidden || index == of;
        let shown: Vec<_> = self
            .participants
            .iter()
            .filter_map(|(of, p)| Some((*of, p.permission.hidden, p.quality.is_news(), info(p)?)))
            .collect();
        let indices: Vec<u32> = self.participants.keys().copied().collect();
        for index in indices {
            let Some(participant) = self.participants.get_mut(&index) else { continue };
            if !participant.client.knows_quality() {
                continue;
            }
            let all = !std::mem::replace(&mut participant.quality.knows_others, participant.is_active);
            let mine = shown.iter().filter(|(of, hidden, news, _)| visible(index, *of, *hidden) && (all || *news));
            let mut updates: Vec<_> = mine.map(|(_, _, _, info)| info.clone()).collect();
            if !participant.client.knows_lost_quality() {
                let lost = updates.iter_mut().filter(|info| info.quality == pb::ConnectionQuality::Lost as i32);
                lost.for_each(|info| info.quality = pb::ConnectionQuality::Poor as i32);
            }
            if !updates.is_empty() {
                self.signal(index, Message::ConnectionQuality(pb::ConnectionQualityUpdate { updates }));
            }
        }
        for participant in self.participants.values_mut().filter(|participant| participant.quality.is_news()) {
            participant.quality.told = participant.quality.score;
        }
    }
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
