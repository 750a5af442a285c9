//! The end of the process: first no new rooms, then everybody is told to come back, in waves, so that whoever takes over is not run
//! over.

use std::collections::HashMap;
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
        let mut post = Post { inboxes, behind: HashMap::new() };
        for (number, wave) in waves(&sizes).into_iter().enumerate() {
            if number > 0 {
                // its sender lives with the control plane
                let _ = tokio::time::timeout(WAVE_INTERVAL, hurried.wait_for(|hurried| *hurried)).await;
            }
            for (room, at_most) in wave {
                let mail = at_most.map_or(Mail::Shutdown, |at_most| Mail::SendAway { at_most });
                post.send(room, mail);
            }
        }
        drop(post);
        self.0.metrics.none_left(Kind::Room).await;
    }
}

/// Mail to many rooms, to each in order. Waits for none: one that does not take its mail keeps no other from its wave.
struct Post {
    inboxes: Vec<mpsc::Sender<Mail>>,
    /// What waits for rooms that were full, by their place in the list: no more than one for each wave.
    behind: HashMap<usize, mpsc::UnboundedSender<Mail>>,
}

impl Post {
    fn send(&mut self, room: usize, mail: Mail) {
        let Some(inbox) = self.inboxes.get(room) else { return };
        if let Some(behind) = self.behind.get(&room) {
            let _ = behind.send(mail);
        } else if let Err(mpsc::error::TrySendError::Full(mail)) = inbox.try_send(mail) {
            let (behind, mut waiting) = mpsc::unbounded_channel();
            let _ = behind.send(mail);
            self.behind.insert(room, behind);
            let inbox = inbox.clone();
            tokio::spawn(async move {
                while let Some(mail) = waiting.recv().await {
                    if inbox.send(mail).await.is_err() {
                        return;
                    }
                }
            });
        }
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
    use std::sync::Arc;

    use proptest::prelude::*;
    use sluicegate_proto::pb;
    use sluicegate_room::input::ApiCall;
    use sluicegate_room::output::ApiError;

    use super::*;
    use crate::metrics::Metrics;
    use crate::placement::{WorkerPort, Workers};
    use crate::rooms::table::Doors;
    use crate::store::rows::ROOMS;
    use crate::{ControlConfig, Store};

    async fn rooms(store: &Store, names: &[&str]) -> Rooms {
        let (commands, _) = mpsc::channel(1);
        let meters = watch::channel(Default::default()).1;
        let workers = Workers::start(vec![WorkerPort { commands, meters }], 60);
        let rooms = Rooms::new(&ControlConfig::default(), workers, Arc::new(Metrics::default()), store.clone());
        rooms.restore().await.unwrap();
        for name in names {
            rooms.create(pb::CreateRoomRequest { name: (*name).to_owned(), ..Default::default() }).await.unwrap();
        }
        rooms
    }

    fn update(metadata: &str) -> ApiCall {
        ApiCall::UpdateMetadata { metadata: metadata.to_owned() }
    }

    #[tokio::test]
    async fn what_is_answered_during_a_stop_is_stored() {
        let store = Store::in_memory().unwrap();
        let rooms = rooms(&store, &["a", "b"]).await;
        rooms.0.phases.reach(Phase::Stopping);
        for name in ["a", "b"] {
            rooms.0.table.inbox(name).unwrap().send(Mail::SendAway { at_most: 1 }).await.unwrap();
        }
        // between the waves
        rooms.ask("a", update("new")).await.unwrap();
        let create = pb::CreateRoomRequest { name: "a".to_owned(), empty_timeout: 7, ..Default::default() };
        rooms.create(create.clone()).await.unwrap();
        rooms.delete("b").await.unwrap();
        assert_eq!(store.counts().waiting, 0);
        rooms.shutdown(watch::channel(true).1).await;
        let saved = store.list(&ROOMS).await.unwrap();
        let [(name, room)] = saved.as_slice() else { panic!("{saved:?}") };
        assert_eq!((name.as_str(), room.metadata.as_str(), room.empty_timeout), ("a", "new", 7));
        // and afterwards
        let later = [rooms.ask("a", update("newer")).await.err(), rooms.delete("a").await.err(), rooms.create(create).await.err()];
        assert!(later.iter().all(|error| matches!(error, Some(ApiError::Unavailable(_)))), "{later:?}");
    }

    #[tokio::test]
    async fn a_room_that_takes_no_mail_keeps_no_other_from_its_wave() {
        let rooms = rooms(&Store::in_memory().unwrap(), &["z"]).await;
        let ((inbox, mut mails), (media, _events)) = (mpsc::channel(1), mpsc::channel(1));
        inbox.try_send(Mail::Shutdown).unwrap();
        let info = pb::Room { num_participants: 60, ..Default::default() };
        rooms.0.table.find_or_insert("a", None, |_| Some((Doors { inbox, media }, info)));
        let other = rooms.0.table.inbox("z").unwrap();
        let stopping = tokio::spawn(async move { rooms.shutdown(watch::channel(true).1).await });
        tokio::time::timeout(Duration::from_secs(20), other.closed()).await.unwrap();
        stopping.await.unwrap();
        // it gets its own in order, as soon as it takes them
        mails.recv().await.unwrap();
        assert!(matches!(mails.recv().await, Some(Mail::SendAway { at_most: 50 })));
        assert!(matches!(mails.recv().await, Some(Mail::Shutdown)));
    }

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
