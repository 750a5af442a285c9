//! What of a room outlives its process: a room that is made of it goes on with the same sid and as much of its time as was left.
//!
//! Deliberately without participants: their media is gone with the process, and they join anew.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sluicegate_contract::key::RoomKey;
use sluicegate_contract::time::WallClock;
use sluicegate_proto::pb;

use crate::config::RoomConfig;
use crate::room::Room;

/// A room as it is stored; LiveKit's `rooms` and `room_internal`, and since when it is empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Without counts, which end with the process.
    pub info: pb::Room,
    pub internal: pb::RoomInternal,
    /// None: somebody who counts is there.
    pub vacancy: Option<Vacancy>,
}

/// An empty room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacancy {
    /// Milliseconds since the Unix epoch.
    pub since_ms: i64,
    /// Somebody was there before: the departure timeout counts, otherwise the empty timeout.
    pub was_joined: bool,
}

impl Room {
    /// A room of an earlier process. Where somebody was in it, it waits as if it were new and nobody had come.
    pub fn restore(
        now: Instant,
        config: impl Into<Arc<RoomConfig>>,
        key: RoomKey,
        saved: Saved,
        clock: WallClock,
        seed: u64,
    ) -> Self {
        let Saved { info, internal, vacancy } = saved;
        let mut room = Self::new(now, config, key, info.name.clone(), pb::CreateRoomRequest::default(), clock, seed);
        room.forget_outputs();
        room.said_at_creation = None;
        // which codecs there are is this process's business
        let enabled_codecs = std::mem::take(&mut room.info.enabled_codecs);
        room.info = pb::Room { enabled_codecs, ..without_counts(info) };
        room.sync_streams = internal.sync_streams;
        if let Some(Vacancy { since_ms, was_joined }) = vacancy {
            let since = clock.instant(Duration::from_millis(u64::try_from(since_ms).unwrap_or(0))).min(now);
            room.created_at = since;
            room.was_joined = was_joined;
            room.left_at = was_joined.then_some(since);
        }
        room.settle(now);
        room
    }

    /// What has to be stored, where that has changed since it was taken last.
    pub fn take_saved(&mut self) -> Option<Saved> {
        std::mem::take(&mut self.is_save_due).then(|| self.saved.clone()).flatten()
    }

    /// After every input that may have changed something.
    pub(crate) fn note_saved(&mut self) {
        let is_occupied = self.participants.values().any(|participant| !participant.is_dependent());
        let since = self.left_at.filter(|_| self.was_joined).unwrap_or(self.created_at);
        let vacancy = Vacancy { since_ms: self.clock.unix_ms(since), was_joined: self.was_joined };
        let vacancy = match &self.saved {
            // who is sent away comes back: to this room, which is as empty as it was
            Some(before) if self.is_leaving => before.vacancy,
            _ => (!is_occupied).then_some(vacancy),
        };
        let saved = Saved {
            info: without_counts(self.info.clone()),
            internal: pb::RoomInternal { sync_streams: self.sync_streams, ..Default::default() },
            vacancy,
        };
        if self.saved.as_ref() != Some(&saved) {
            self.saved = Some(saved);
            self.is_save_due = true;
        }
    }
}

fn without_counts(info: pb::Room) -> pb::Room {
    pb::Room { num_participants: 0, num_publishers: 0, active_recording: false, ..info }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{ApiCall, RequestId};
    use crate::output::Output;
    use crate::{Input, Room, RoomConfig};

    const UNIX: Duration = Duration::from_secs(1_700_000_000);

    fn room(now: Instant, create: pb::CreateRoomRequest) -> Room {
        Room::new(now, RoomConfig::default(), RoomKey(1), "a", create, WallClock::new(now, UNIX), 7)
    }

    /// In a process that starts at `now`, when it is so much later.
    fn restored(now: Instant, later: Duration, saved: Saved) -> Room {
        Room::restore(now, RoomConfig::default(), RoomKey(9), saved, WallClock::new(now, UNIX + later), 8)
    }

    fn closes_in(room: &Room, now: Instant) -> Duration {
        room.poll_timeout().unwrap().0 - now
    }

    #[test]
    fn a_restored_room_is_the_same_with_the_rest_of_its_time() {
        let now = Instant::now();
        let create = pb::CreateRoomRequest {
            empty_timeout: 100,
            metadata: "m".to_owned(),
            max_participants: 3,
            sync_streams: true,
            ..Default::default()
        };
        let mut first = room(now, create);
        let saved = first.take_saved().unwrap();
        assert_eq!(first.take_saved(), None, "once");
        let mut second = restored(now, Duration::from_secs(60), saved.clone());
        assert_eq!(second.room_info(), first.room_info());
        assert!(second.sync_streams);
        assert_eq!(closes_in(&second, now), Duration::from_secs(40));
        assert_eq!(second.take_saved(), Some(saved.clone()), "nothing changed by it");
        let outputs: Vec<Output> = std::iter::from_fn(|| second.poll_output()).collect();
        assert!(matches!(outputs.as_slice(), [Output::Snapshot(_)]), "it did not start just now: {outputs:?}");
        let overdue = restored(now, Duration::from_secs(101), saved);
        assert_eq!(closes_in(&overdue, now), Duration::ZERO);
    }

    #[test]
    fn where_somebody_was_it_waits_from_now_on() {
        let now = Instant::now();
        let mut first = room(now, pb::CreateRoomRequest { empty_timeout: 100, ..Default::default() });
        let saved = Saved { vacancy: None, ..first.take_saved().unwrap() };
        assert_eq!(closes_in(&restored(now, Duration::from_secs(5000), saved.clone()), now), Duration::from_secs(100));
        // left five seconds before the end of the process
        let vacancy = Vacancy { since_ms: i64::try_from(UNIX.as_millis()).unwrap(), was_joined: true };
        let left = Saved { vacancy: Some(vacancy), ..saved.clone() };
        assert_eq!(closes_in(&restored(now, Duration::from_secs(5), left), now), Duration::from_secs(15));
        // whatever stands in the file
        for since_ms in [i64::MIN, i64::MAX] {
            let odd = Saved { vacancy: Some(Vacancy { since_ms, was_joined: false }), ..saved.clone() };
            assert!(closes_in(&restored(now, Duration::ZERO, odd), now) <= Duration::from_secs(100));
        }
    }

    #[test]
    fn a_change_is_to_be_stored_once() {
        let now = Instant::now();
        let mut room = room(now, pb::CreateRoomRequest::default());
        room.take_saved().unwrap();
        let update = |room: &mut Room, metadata: &str| {
            let call = Box::new(ApiCall::UpdateMetadata { metadata: metadata.to_owned() });
            room.handle_input(now, Input::Api { request: RequestId(1), call });
            room.take_saved().map(|saved| saved.info.metadata)
        };
        assert_eq!(update(&mut room, "n"), Some("n".to_owned()));
        assert_eq!(update(&mut room, "n"), None);
    }
}
