//! Which worker each of the room's sessions is on, and what the room's commands become there.
//!
//! The room itself knows no workers. A subscription to a track of another worker says where to get it; a message for sessions of several workers goes to each with its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sluicegate_contract::command::Fault;
use sluicegate_contract::{Command, DataTrackKey, SessionKey, TrackKey, WorkerKey};
use smallvec::SmallVec;

use crate::forwarding::Forwarded;

/// A room's share of the placement. Sessions are placed by the caller and stay where they are.
#[derive(Debug, Default)]
pub struct Placement {
    sessions: HashMap<SessionKey, WorkerKey>,
    tracks: BTreeMap<TrackKey, (WorkerKey, SessionKey)>,
    data_tracks: BTreeMap<DataTrackKey, DataTrack>,
}

#[derive(Debug)]
struct DataTrack {
    worker: WorkerKey,
    /// The publisher.
    session: SessionKey,
    /// Other workers that were asked to receive it.
    far: BTreeSet<WorkerKey>,
}

/// Where the tracks of a participant are that another room shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    tracks: Vec<(TrackKey, WorkerKey)>,
    data_tracks: Vec<(DataTrackKey, WorkerKey)>,
}

/// Tracks of other rooms.
impl Placement {
    /// What the other room's placement must know.
    pub fn lend(&self, forwarded: &Forwarded) -> Places {
        let track = |key: &TrackKey| self.tracks.get(key).map(|(worker, _)| (*key, *worker));
        let data_track = |key: &DataTrackKey| self.data_tracks.get(key).map(|track| (*key, track.worker));
        Places {
            tracks: forwarded.tracks.iter().filter_map(|(key, ..)| track(key)).collect(),
            data_tracks: forwarded.data_tracks.iter().filter_map(|(key, _)| data_track(key)).collect(),
        }
    }

    /// The tracks of another room's participant, in place of what was lent of it before. Only subscriptions are routed by them: what
    /// ends or mutes a track its own room says.
    pub fn borrow(&mut self, source: SessionKey, lent: &Places) {
        self.give_back(source);
        self.tracks.extend(lent.tracks.iter().map(|(track, worker)| (*track, (*worker, source))));
        let data_track = |worker| DataTrack { worker, session: source, far: BTreeSet::new() };
        self.data_tracks.extend(lent.data_tracks.iter().map(|(track, worker)| (*track, data_track(*worker))));
    }

    /// Nothing of that participant is here any more.
    pub fn give_back(&mut self, source: SessionKey) {
        self.tracks.retain(|_, (_, publisher)| *publisher != source);
        self.data_tracks.retain(|_, track| track.session != source);
    }
}

impl Placement {
    /// The session that is about to be added goes to this worker.
    pub fn place(&mut self, session: SessionKey, worker: WorkerKey) {
        self.sessions.insert(session, worker);
    }

    pub fn worker_of(&self, session: SessionKey) -> Option<WorkerKey> {
        self.sessions.get(&session).copied()
    }

    /// Hands the command to `send`, once for each worker it concerns. What concerns nobody any more is dropped.
    pub fn route(&mut self, command: Command, mut send: impl FnMut(WorkerKey, Command)) {
        match command {
            Command::SendData { sessions, channel, payload } => {
                let mut shares: BTreeMap<WorkerKey, SmallVec<[SessionKey; 4]>> = BTreeMap::new();
                for session in sessions {
                    if let Some(worker) = self.worker_of(session) {
                        shares.entry(worker).or_default().push(session);
                    }
                }
                for (worker, sessions) in shares {
                    send(worker, Command::SendData { sessions, channel, payload: payload.clone() });
                }
            }
            Command::Subscribe(mut subscribe) => {
                let Some(worker) = self.worker_of(subscribe.session) else { return };
                let publisher = self.tracks.get(&subscribe.track).map(|(publisher, _)| *publisher);
                subscribe.from = publisher.filter(|publisher| *publisher != worker);
                send(worker, Command::Subscribe(subscribe));
            }
            Command::AddTrack(add) => {
                let Some(worker) = self.worker_of(add.session) else { return };
                self.tracks.insert(add.track, (worker, add.session));
                send(worker, Command::AddTrack(add));
            }
            Command::RemoveTrack { track } => {
                if let Some((worker, _)) = self.tracks.remove(&track) {
                    send(worker, Command::RemoveTrack { track });
                }
            }
            Command::MuteTrack { track, muted } => {
                if let Some((worker, _)) = self.tracks.get(&track) {
                    send(*worker, Command::MuteTrack { track, muted });
                }
            }
            Command::AddDataTrack { session, track, .. } => {
                let Some(worker) = self.worker_of(session) else { return };
                self.data_tracks.insert(track, DataTrack { worker, session, far: BTreeSet::new() });
                send(worker, command);
            }
            Command::SubscribeDataTrack { session, track, handle, target_fps, .. } => {
                let (Some(worker), Some(source)) = (self.worker_of(session), self.data_tracks.get_mut(&track)) else { return };
                let from = (source.worker != worker).then_some(source.worker);
                if from.is_some() {
                    source.far.insert(worker);
                }
                send(worker, Command::SubscribeDataTrack { session, track, handle, target_fps, from });
            }
            Command::RemoveDataTrack { track } => {
                let Some(source) = self.data_tracks.remove(&track) else { return };
                for worker in source.far.into_iter().chain([source.worker]) {
                    send(worker, Command::RemoveDataTrack { track });
                }
            }
            Command::RemoveSession { session } => {
                let Some(worker) = self.sessions.remove(&session) else { return };
                self.tracks.retain(|_, (_, publisher)| *publisher != session);
                send(worker, Command::RemoveSession { session });
                // its own worker forgets its data tracks with it, the others must be told
                let is_its_own = |_: &DataTrackKey, track: &mut DataTrack| track.session == session;
                for (track, source) in self.data_tracks.extract_if(.., is_its_own) {
                    for worker in source.far {
                        send(worker, Command::RemoveDataTrack { track });
                    }
                }
            }
            Command::Fault(Fault::Worker(worker)) => send(worker, command),
            other => {
                if let Some(worker) = other.session().and_then(|session| self.worker_of(session)) {
                    send(worker, other);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use sluicegate_contract::RoomKey;
    use sluicegate_contract::command::{AddTrack, DataChannel, Subscribe};
    use sluicegate_rtp::codec::MediaKind;

    use super::*;

    #[test]
    fn data_tracks_end_on_every_worker_that_has_them() {
        let mut placement = Placement::default();
        for (index, worker) in [(1, A), (2, B), (3, A)] {
            placement.place(session(index), worker);
        }
        let track = |index| DataTrackKey { room: ROOM, index };
        for (index, handle) in [(1, 1), (2, 2)] {
            let added = routed(&mut placement, Command::AddDataTrack { session: session(1), track: track(index), handle });
            assert_eq!(added, [(0, "AddDataTrack".to_owned())]);
        }
        for (to, worker, far) in [(2, B, Some(A)), (3, A, None)] {
            let (session, track, handle, target_fps) = (session(to), track(1), 1, None);
            let subscribe = Command::SubscribeDataTrack { session, track, handle, target_fps, from: None };
            let mut seen = Vec::new();
            placement.route(subscribe, |at, command| match command {
                Command::SubscribeDataTrack { from, .. } => seen.push((at, from)),
                other => panic!("{other:?}"),
            });
            assert_eq!(seen, [(worker, far)]);
        }
        let removed = |worker| (worker, "RemoveDataTrack".to_owned());
        assert_eq!(routed(&mut placement, Command::RemoveDataTrack { track: track(2) }), [removed(0)]);
        let gone = routed(&mut placement, Command::RemoveSession { session: session(1) });
        assert_eq!(gone, [(0, "RemoveSession".to_owned()), removed(1)]);
        assert_eq!(routed(&mut placement, Command::RemoveDataTrack { track: track(1) }), []);
    }

    const ROOM: RoomKey = RoomKey(1);
    const A: WorkerKey = WorkerKey::local(0);
    const B: WorkerKey = WorkerKey::local(1);

    fn session(index: u32) -> SessionKey {
        SessionKey { room: ROOM, index }
    }

    fn track(index: u32) -> TrackKey {
        TrackKey { room: ROOM, index }
    }

    fn routed(placement: &mut Placement, command: Command) -> Vec<(u16, String)> {
        let mut out = Vec::new();
        placement.route(command, |worker, command| {
            let name = format!("{command:?}").split([' ', '(']).next().unwrap_or_default().to_owned();
            let to = match &command {
                Command::Subscribe(subscribe) => subscribe.from.map(|from| format!(" from {}", from.index)).unwrap_or_default(),
                Command::SendData { sessions, .. } => format!(" {:?}", sessions.iter().map(|s| s.index).collect::<Vec<_>>()),
                _ => String::new(),
            };
            out.push((worker.index, name + &to));
        });
        out
    }

    fn placement() -> Placement {
        let mut placement = Placement::default();
        for (index, worker) in [(1, A), (2, B), (3, A)] {
            placement.place(session(index), worker);
        }
        let add = AddTrack {
            session: session(1),
            track: track(7),
            kind: MediaKind::Audio,
            cids: Vec::new(),
            preferred_codec: None,
            disable_red: false,
            stereo: false,
            dtx: true,
            muted: false,
            screen_share: false,
            rids: Vec::new(),
        };
        assert_eq!(routed(&mut placement, Command::AddTrack(Box::new(add))), [(0, "AddTrack".to_owned())]);
        placement
    }

    fn subscribe(by: u32) -> Command {
        Command::Subscribe(Box::new(Subscribe {
            session: session(by),
            track: track(7),
            stream_id: "".into(),
            track_id: "".into(),
            disabled: false,
            from: None,
        }))
    }

    #[test]
    fn a_track_of_another_worker_is_relayed() {
        let mut placement = placement();
        assert_eq!(routed(&mut placement, subscribe(3)), [(0, "Subscribe".to_owned())]);
        assert_eq!(routed(&mut placement, subscribe(2)), [(1, "Subscribe from 0".to_owned())]);
        // once it is withdrawn nobody relays it
        routed(&mut placement, Command::RemoveTrack { track: track(7) });
        assert_eq!(routed(&mut placement, subscribe(2)), [(1, "Subscribe".to_owned())]);
    }

    #[test]
    fn what_another_room_lends_is_found_and_never_ended() {
        let (lender, mut borrower) = (placement(), Placement::default());
        let far = |index| SessionKey { room: RoomKey(9), index };
        borrower.place(far(1), A);
        borrower.place(far(2), B);
        let forwarded = Forwarded {
            source: session(1),
            info: Default::default(),
            tracks: vec![(track(7), MediaKind::Audio, Default::default()), (track(8), MediaKind::Audio, Default::default())],
            data_tracks: Vec::new(),
            allowance: Default::default(),
        };
        let lent = lender.lend(&forwarded);
        assert_eq!(lent.tracks, [(track(7), A)], "the other one is not there");
        borrower.borrow(session(1), &lent);
        let subscribe = |by| match subscribe(1) {
            Command::Subscribe(subscribe) => Command::Subscribe(Box::new(Subscribe { session: far(by), ..*subscribe })),
            other => other,
        };
        assert_eq!(routed(&mut borrower, subscribe(1)), [(0, "Subscribe".to_owned())]);
        assert_eq!(routed(&mut borrower, subscribe(2)), [(1, "Subscribe from 0".to_owned())]);
        assert_eq!(routed(&mut borrower, Command::RemoveSession { session: session(1) }), []);
        borrower.borrow(session(1), &Places::default());
        assert!(borrower.tracks.is_empty());
        borrower.borrow(session(1), &lent);
        borrower.give_back(session(1));
        assert!(borrower.tracks.is_empty());
    }

    #[test]
    fn a_message_is_shared_out() {
        let mut placement = placement();
        let sessions = [1, 2, 3, 4].map(session).into_iter().collect();
        let data = Command::SendData { sessions, channel: DataChannel::Lossy, payload: Bytes::new() };
        assert_eq!(routed(&mut placement, data), [(0, "SendData [1, 3]".to_owned()), (1, "SendData [2]".to_owned())]);
    }

    #[test]
    fn a_session_takes_its_tracks_along() {
        let mut placement = placement();
        assert_eq!(routed(&mut placement, Command::RemoveSession { session: session(1) }), [(0, "RemoveSession".to_owned())]);
        assert!(placement.tracks.is_empty());
        assert_eq!(routed(&mut placement, Command::MuteTrack { track: track(7), muted: true }), []);
        assert_eq!(routed(&mut placement, Command::RemoveSession { session: session(1) }), []);
    }
}
