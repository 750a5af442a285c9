//! The end of the process: first no new rooms, then everybody is told to come back, in waves, so that whoever takes over is not run
//! over.

use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::phase::Phase;
use super::{Mail, Rooms};
use crate::metrics::Kind;

/// From one wave to the next.
const WAVE_INTERVAL: Duration = Duration::from_millis(100);
/// So the last wave goes 5 s after the first.
const WAVES_MAX: usize = 50;
/// Participants who go at once in any case; a join costs a server a handshake, about a millisecond.
const WAVE_PARTICIPANTS_MIN: usize = 50;

/// Who goes in one wave: rooms by their place in the list, and how many of each; none: all who are left.
type Wave = Vec<(usize, Option<usize>)>;

impl Rooms {
    /// No new rooms from now on.
    pub fn drain(&self) {
        self.0.phases.reach(Phase::Draining);
    }

    /// Resolves when nobody is in any room.
    pub async fn emptied(&self) {
        self.0.metrics.none_left(Kind::Participant).await;
    }

    /// Everybody is sent away, the rooms end and stay in the store. Without pauses once `hurried` is true.
    pub async fn shutdown(&self, mut hurried: watch::Receiver<bool>) {
        self.0.phases.reach(Phase::Stopping);
        let (inboxes, sizes): (Vec<mpsc::Sender<Mail>>, Vec<usize>) = self.0.table.inboxes().into_iter().unzip();
        for (number, wave) in waves(&sizes).into_iter().enumerate() {
            if number > 0 {
                // its sender lives with the control plane
                let _ = tokio::time::timeout(WAVE_INTERVAL, hurried.wait_for(|hurried| *hurried)).await;
            }
            for (room, at_most) in wave {
                let mail = at_most.map_or(Mail::Shutdown, |at_most| Mail::SendAway { at_most });
                if let Some(inbox) = inboxes.get(room) {
                    let _ = inbox.send(mail).await;
                }
            }
        }
        self.0.metrics.none_left(Kind::Room).await;
    }
}

/// One room after the other, large ones in parts, each wave about as many participants as any other.
fn waves(sizes: &[usize]) -> Vec<Wave> {
    let all: usize = sizes.iter().sum();
    let per_wave = all.div_ceil(WAVES_MAX).max(WAVE_PARTICIPANTS_MIN);
    let mut waves: Vec<Wave> = vec![Vec::new()];
    let mut room_left = per_wave;
    for (room, size) in sizes.iter().enumerate() {
        let mut left = *size;
        while left > room_left {
            push(&mut waves, (room, Some(room_left)));
            left -= room_left;
            waves.push(Vec::new());
            room_left = per_wave;
        }
        push(&mut waves, (room, None));
        room_left -= left;
    }
    waves
}

fn push(waves: &mut [Wave], part: (usize, Option<usize>)) {
    if let Some(wave) = waves.last_mut().filter(|_| part.1 != Some(0)) {
        wave.push(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn few_go_at_once_and_many_in_five_seconds() {
        assert_eq!(waves(&[]), [Wave::new()]);
        assert_eq!(waves(&[2, 0, 48]), [vec![(0, None), (1, None), (2, None)]]);
        assert_eq!(waves(&[40, 30]), [vec![(0, None), (1, Some(10))], vec![(1, None)]]);
        assert_eq!(waves(&[100_000]).len(), WAVES_MAX);
    }

    proptest! {
        #[test]
        fn everybody_goes_and_no_wave_is_larger_than_others(sizes in prop::collection::vec(0..400usize, 0..200)) {
            let all: usize = sizes.iter().sum();
            let per_wave = all.div_ceil(WAVES_MAX).max(WAVE_PARTICIPANTS_MIN);
            let waves = waves(&sizes);
            prop_assert!(waves.len() <= WAVES_MAX);
            let mut left = sizes.clone();
            let mut ended = Vec::new();
            for wave in waves {
                let mut gone = 0;
                for (room, at_most) in wave {
                    let part = at_most.unwrap_or(left[room]);
                    left[room] -= part;
                    gone += part;
                    if at_most.is_none() {
                        ended.push(room);
                    }
                }
                prop_assert!(gone <= per_wave, "{gone} of {per_wave}");
            }
            prop_assert_eq!(left.iter().sum::<usize>(), 0);
            prop_assert_eq!(ended, (0..sizes.len()).collect::<Vec<_>>());
        }
    }
}
