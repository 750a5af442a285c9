//! Data tracks: who publishes which, who receives them under which handle. Their packets are the media plane's alone.

mod receive;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::time::Instant;

use prost::Message as _;
use sluicegate_contract::Command;
use sluicegate_contract::key::DataTrackKey;
use sluicegate_contract::limit::DATA_TRACKS_PER_SESSION_MAX;
use sluicegate_proto::pb::data_track_subscriber_handles::PublishedDataTrack;
use sluicegate_proto::pb::request_response::{Reason, Request};
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_proto::{pb, sid};

use crate::room::Room;
use crate::update::{Audience, Pace};

/// Bytes of a name (LiveKit: 256).
const NAME_BYTES_MAX: usize = 256;
/// Bytes of a request with the descriptions of frames and schema in it.
const REQUEST_BYTES_MAX: usize = 1024;
/// Bytes of all requests of one participant whose tracks are published: everybody is told of them all with each of its changes.
const REQUESTS_BYTES_MAX: usize = 64 << 10;

/// A published data track.
#[derive(Debug)]
pub struct DataTrack {
    /// Of this room, or of another one whose participant is shown here.
    pub key: DataTrackKey,
    /// The publisher's index.
    pub publisher: u32,
    pub info: pb::DataTrackInfo,
    /// Of the request with which it was published.
    bytes: usize,
    /// The indices of those who want it.
    wanted_by: BTreeSet<u32>,
}

/// One participant's data tracks.
#[derive(Debug, Default)]
pub struct DataTracks {
    /// Published, by handle: the track's index.
    published: BTreeMap<u16, u32>,
    /// Of these, those that the others have not heard of.
    untold: BTreeSet<u32>,
    /// Wanted, by the track's index.
    wanted: BTreeMap<u32, Wanted>,
    /// Those given to tracks for this participant, and the newest of all.
    handles: BTreeSet<u16>,
    last_handle: u16,
}

#[derive(Debug, Default)]
struct Wanted {
    target_fps: Option<NonZeroU32>,
    /// By which this participant knows the track; none while it may not have it.
    handle: Option<u16>,
    /// What the media plane was asked for, while there is a handle.
    asked_fps: Option<NonZeroU32>,
}

/// What one subscriber is to be told, in one message however much it is, and what is then asked of the media plane.
#[derive(Debug, Default)]
struct News {
    sub_handles: HashMap<u32, PublishedDataTrack>,
    commands: Vec<Command>,
}

impl DataTracks {
    /// A handle that none of the participant's tracks has, and none had lately.
    fn next_handle(handles: &mut BTreeSet<u16>, last: &mut u16) -> u16 {
        loop {
            *last = last.checked_add(1).unwrap_or(1);
            if handles.insert(*last) {
                return *last;
            }
        }
    }

    /// A track is over, or not wanted any more; whether there was a handle.
    fn forget_wanted(&mut self, track: u32) -> bool {
        let handle = self.wanted.remove(&track).and_then(|wanted| wanted.handle);
        handle.is_some_and(|handle| self.handles.remove(&handle))
    }
}

/// Publishing.
impl Room {
    pub(crate) fn handle_publish_data_track(&mut self, now: Instant, index: u32, request: pb::PublishDataTrackRequest) {
        let handle = match self.check_data_track(index, &request) {
            Ok(handle) => handle,
            Err((reason, message)) => {
                return self.refuse(index, 0, reason, message, Request::PublishDataTrack(request));
            }
        };
        let bytes = request.encoded_len();
        let info = pb::DataTrackInfo {
            pub_handle: handle.into(),
            sid: sid::generate(sid::DATA_TRACK, || self.entropy.next_u64()),
            name: request.name,
            encryption: request.encryption,
            frame_encoding: request.frame_encoding,
            schema: request.schema,
        };
        let track = DataTrackKey { room: self.key, index: self.next_data_track };
        self.add_data_track(index, track, info.clone(), bytes);
        self.command(Command::AddDataTrack { session: self.session_key(index), track, handle });
        self.signal(index, Message::PublishDataTrackResponse(pb::PublishDataTrackResponse { info: Some(info) }));
        self.tell(now, index, Audience::Everybody, Pace::Repeatable);
    }

    pub(crate) fn handle_unpublish_data_track(&mut self, now: Instant, index: u32, request: pb::UnpublishDataTrackRequest) {
        let track = self.participants.get(&index).zip(u16::try_from(request.pub_handle).ok());
        let Some(track) = track.and_then(|(participant, handle)| participant.data_tracks.published.get(&handle).copied()) else {
            return self.refuse(index, 0, Reason::NotFound, "there is no such track", Request::UnpublishDataTrack(request));
        };
        self.end_data_track(track);
        self.tell(now, index, Audience::Everybody, Pace::Repeatable);
    }

    fn check_data_track(&self, index: u32, request: &pb::PublishDataTrackRequest) -> Result<u16, (Reason, &'static str)> {
        let Some(participant) = self.participants.get(&index) else { return Err((Reason::UnclassifiedError, "")) };
        if !participant.permission.can_publish_data {
            return Err((Reason::NotAllowed, "does not have permission to publish data"));
        }
        let handle = u16::try_from(request.pub_handle).ok().filter(|handle| *handle != 0);
        let handle = handle.ok_or((Reason::InvalidHandle, "a handle is a number from 1 to 65535"))?;
        if request.name.is_empty() || request.name.len() > NAME_BYTES_MAX {
            return Err((Reason::InvalidName, "a name has 1 to 256 bytes"));
        }
        if request.encoded_len() > REQUEST_BYTES_MAX {
            return Err((Reason::LimitExceeded, "the description of frames and schema is too large"));
        }
        let published = &participant.data_tracks.published;
        if published.contains_key(&handle) {
            return Err((Reason::DuplicateHandle, "a track with this handle is published already"));
        }
        let mut tracks = published.values().filter_map(|track| self.data_tracks.get(track));
        if tracks.any(|track| track.info.name == request.name) {
            return Err((Reason::DuplicateName, "a track with this name is published already"));
        }
        if published.len() >= DATA_TRACKS_PER_SESSION_MAX {
            return Err((Reason::LimitExceeded, "too many data tracks"));
        }
        let bytes: usize = published.values().filter_map(|track| self.data_tracks.get(track)).map(|track| track.bytes).sum();
        if bytes + request.encoded_len() > REQUESTS_BYTES_MAX {
            return Err((Reason::LimitExceeded, "the names and descriptions of all data tracks are too large"));
        }
        Ok(handle)
    }

    /// LiveKit: ParticipantInfo.data_tracks.
    pub(crate) fn data_track_infos(&self, index: u32) -> Vec<pb::DataTrackInfo> {
        self.data_tracks_of(index).map(|track| track.info.clone()).collect()
    }

    /// Those a participant publishes, by handle.
    pub(crate) fn data_tracks_of(&self, index: u32) -> impl Iterator<Item = &DataTrack> {
        let published = self.participants.get(&index).map(|participant| participant.data_tracks.published.values());
        published.into_iter().flatten().filter_map(|track| self.data_tracks.get(track))
    }

    pub(crate) fn data_track_indices(&self, index: u32) -> Vec<u32> {
        let published = self.participants.get(&index).map(|participant| participant.data_tracks.published.values());
        published.into_iter().flatten().copied().collect()
    }

    /// A track that is published from now on, under the next index.
    /// `bytes`: of its description, as far as its publisher is held to a bound here.
    pub(crate) fn add_data_track(&mut self, index: u32, key: DataTrackKey, info: pb::DataTrackInfo, bytes: usize) {
        let track = self.next_data_track();
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let Ok(handle) = u16::try_from(info.pub_handle) else { return };
        participant.data_tracks.published.insert(handle, track);
        participant.data_tracks.untold.insert(track);
        self.data_tracks_by_sid.insert(info.sid.clone(), track);
        self.data_tracks.insert(track, DataTrack { key, publisher: index, info, bytes, wanted_by: BTreeSet::new() });
    }

    /// Ends one track and says so to its publisher. The caller tells the participant's change.
    pub(crate) fn end_data_track(&mut self, track: u32) {
        let is_own = self.data_tracks.get(&track).is_some_and(|track| track.key.room == self.key);
        if !is_own {
            self.end_data_subscriptions(track);
        }
        let Some(ended) = self.forget_data_track(track) else { return };
        if !is_own {
            return;
        }
        self.command(Command::RemoveDataTrack { track: ended.key });
        let info = Some(ended.info);
        self.signal(ended.publisher, Message::UnpublishDataTrackResponse(pb::UnpublishDataTrackResponse { info }));
    }

    /// In the media plane, one by one.
    pub(crate) fn end_data_subscriptions(&mut self, track: u32) {
        let subscribers = self.data_tracks.get(&track).map(|track| track.wanted_by.clone());
        for subscriber in subscribers.into_iter().flatten() {
            let mut news = News::default();
            self.unwant_data_track(subscriber, track, &mut news);
            self.tell_data_news(subscriber, news);
        }
    }

    /// Out of all lists; nobody is told.
    fn forget_data_track(&mut self, track: u32) -> Option<DataTrack> {
        let ended = self.data_tracks.remove(&track)?;
        self.data_tracks_by_sid.remove(&ended.info.sid);
        for subscriber in &ended.wanted_by {
            if let Some(participant) = self.participants.get_mut(subscriber) {
                participant.data_tracks.forget_wanted(track);
            }
        }
        if let Some(publisher) = self.participants.get_mut(&ended.publisher) {
            publisher.data_tracks.published.retain(|_, published| *published != track);
            publisher.data_tracks.untold.remove(&track);
        }
        Some(ended)
    }

    /// A participant that is already out of the room's list goes; the media plane forgets with its session.
    pub(crate) fn forget_data_tracks(&mut self, index: u32, tracks: &DataTracks) {
        for track in tracks.published.values() {
            self.forget_data_track(*track);
        }
        for track in tracks.wanted.keys() {
            if let Some(track) = self.data_tracks.get_mut(track) {
                track.wanted_by.remove(&index);
            }
        }
    }

    fn next_data_track(&mut self) -> u32 {
        let index = self.next_data_track;
        self.next_data_track = index.wrapping_add(1);
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles_go_round_and_are_nobody_elses() {
        let (mut handles, mut last) = (BTreeSet::from([1, 2, 4, u16::MAX]), u16::MAX - 2);
        let next: Vec<u16> = (0..3).map(|_| DataTracks::next_handle(&mut handles, &mut last)).collect();
        assert_eq!(next, [u16::MAX - 1, 3, 5]);
    }
}
