//! Data tracks: who publishes which, who receives them under which handle. Their packets are the media plane's alone.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Instant;

use prost::Message as _;
use sluicegate_contract::Command;
use sluicegate_contract::key::DataTrackKey;
use sluicegate_contract::limit::{DATA_SUBSCRIPTIONS_PER_SESSION_MAX, DATA_TRACKS_PER_SESSION_MAX};
use sluicegate_proto::pb::data_track_subscriber_handles::PublishedDataTrack;
use sluicegate_proto::pb::request_response::{Reason, Request};
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_proto::{pb, sid};

use crate::config::TRACKS_PER_REQUEST_MAX;
use crate::participant::Participant;
use crate::room::Room;
use crate::update::{Audience, Pace};

/// Bytes of a name (LiveKit: 256).
const NAME_BYTES_MAX: usize = 256;
/// Bytes of a request with the descriptions of frames and schema in it.
const REQUEST_BYTES_MAX: usize = 1024;

/// A published data track.
#[derive(Debug)]
pub struct DataTrack {
    /// Of this room, or of another one whose participant is shown here.
    pub key: DataTrackKey,
    /// The publisher's index.
    pub publisher: u32,
    pub info: pb::DataTrackInfo,
}

/// One participant's data tracks.
#[derive(Debug, Default)]
pub struct DataTracks {
    /// Published, by handle: the track's index.
    published: BTreeMap<u16, u32>,
    /// Wanted, by the track's index.
    wanted: BTreeMap<u32, Wanted>,
    /// The newest handle that was given to a track for this participant.
    last_handle: u16,
}

#[derive(Debug, Default)]
struct Wanted {
    target_fps: Option<NonZeroU32>,
    /// By which this participant knows the track; none while it may not have it.
    handle: Option<u16>,
}

impl DataTracks {
    /// A handle that none of the participant's tracks has, and none had lately.
    fn next_handle(&self) -> u16 {
        let mut handle = self.last_handle;
        loop {
            handle = handle.checked_add(1).unwrap_or(1);
            if !self.wanted.values().any(|wanted| wanted.handle == Some(handle)) {
                return handle;
            }
        }
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
        let info = pb::DataTrackInfo {
            pub_handle: handle.into(),
            sid: sid::generate(sid::DATA_TRACK, || self.entropy.next_u64()),
            name: request.name,
            encryption: request.encryption,
            frame_encoding: request.frame_encoding,
            schema: request.schema,
        };
        let track = DataTrackKey { room: self.key, index: self.next_data_track };
        self.add_data_track(index, track, info.clone());
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
    pub(crate) fn add_data_track(&mut self, index: u32, key: DataTrackKey, info: pb::DataTrackInfo) {
        let track = self.next_data_track();
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let Ok(handle) = u16::try_from(info.pub_handle) else { return };
        participant.data_tracks.published.insert(handle, track);
        self.data_tracks_by_sid.insert(info.sid.clone(), track);
        self.data_tracks.insert(track, DataTrack { key, publisher: index, info });
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
        let subscribers: Vec<u32> = self.participants.keys().copied().collect();
        for subscriber in subscribers {
            self.unwant_data_track(subscriber, track);
        }
    }

    /// Out of all lists; nobody is told.
    fn forget_data_track(&mut self, track: u32) -> Option<DataTrack> {
        let ended = self.data_tracks.remove(&track)?;
        self.data_tracks_by_sid.remove(&ended.info.sid);
        for participant in self.participants.values_mut() {
            participant.data_tracks.wanted.remove(&track);
            participant.data_tracks.published.retain(|_, published| *published != track);
        }
        Some(ended)
    }

    /// A participant that is already out of the room's list goes; the media plane forgets with its session.
    pub(crate) fn forget_data_tracks(&mut self, tracks: &DataTracks) {
        for track in tracks.published.values() {
            self.forget_data_track(*track);
        }
    }

    fn next_data_track(&mut self) -> u32 {
        let index = self.next_data_track;
        self.next_data_track = index.wrapping_add(1);
        index
    }
}

/// Receiving.
impl Room {
    /// A track that does not exist, or not for this participant, is not waited for: clients ask when they have heard of it.
    pub(crate) fn handle_update_data_subscription(&mut self, index: u32, update: pb::UpdateDataSubscription) {
        for update in update.updates.into_iter().take(TRACKS_PER_REQUEST_MAX) {
            let Some(track) = self.data_tracks_by_sid.get(&update.track_sid).copied() else { continue };
            if update.subscribe {
                let target_fps = update.options.and_then(|options| options.target_fps).and_then(NonZeroU32::new);
                self.want_data_track(index, track, target_fps);
            } else {
                self.unwant_data_track(index, track);
            }
        }
    }

    /// All handles once more, to a client that may have missed some.
    pub(crate) fn tell_data_handles(&mut self, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        let mut sub_handles = HashMap::new();
        for (track, wanted) in &participant.data_tracks.wanted {
            let Some((handle, source)) = wanted.handle.zip(self.data_tracks.get(track)) else { continue };
            let Some(publisher) = self.participants.get(&source.publisher) else { continue };
            sub_handles.insert(u32::from(handle), published(publisher, source));
        }
        if !sub_handles.is_empty() {
            self.signal(index, Message::DataTrackSubscriberHandles(pb::DataTrackSubscriberHandles { sub_handles }));
        }
    }

    fn want_data_track(&mut self, index: u32, track: u32, target_fps: Option<NonZeroU32>) {
        let publisher = self.data_tracks.get(&track).and_then(|track| self.participants.get(&track.publisher));
        let is_visible = publisher.is_some_and(|publisher| !publisher.permission.hidden && publisher.session.index != index);
        let Some(participant) = self.participants.get_mut(&index).filter(|_| is_visible) else { return };
        let wanted = &mut participant.data_tracks.wanted;
        if !wanted.contains_key(&track) && wanted.len() >= DATA_SUBSCRIPTIONS_PER_SESSION_MAX {
            return;
        }
        wanted.entry(track).or_default().target_fps = target_fps;
        // asked again: the handle is told again, too, for the client may have forgotten it
        self.reconcile_data_track(index, track, true);
    }

    fn unwant_data_track(&mut self, index: u32, track: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let Some(wanted) = participant.data_tracks.wanted.remove(&track) else { return };
        if wanted.handle.is_some() {
            let session = participant.session;
            let Some(track) = self.data_tracks.get(&track).map(|track| track.key) else { return };
            self.command(Command::UnsubscribeDataTrack { session, track });
        }
    }

    /// Brings a wanted track to what is allowed now; with `again` what is so already is said once more.
    fn reconcile_data_track(&mut self, index: u32, track: u32, again: bool) {
        let Some(source) = self.data_tracks.get(&track) else { return };
        let key = source.key;
        let Some(publisher) = self.participants.get(&source.publisher) else { return };
        let Some(participant) = self.participants.get(&index) else { return };
        let is_allowed = participant.permission.can_subscribe
            && !publisher.permission.hidden
            && (participant.is_exempt_from_allowances()
                || publisher.allowance.allows(&participant.identity, &participant.sid, &source.info.sid));
        let published = published(publisher, source);
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let session = participant.session;
        let next = participant.data_tracks.next_handle();
        let DataTracks { wanted, last_handle, .. } = &mut participant.data_tracks;
        let Some(wanted) = wanted.get_mut(&track) else { return };
        let target_fps = wanted.target_fps;
        if is_allowed && (wanted.handle.is_none() || again) {
            let handle = *wanted.handle.get_or_insert_with(|| {
                *last_handle = next;
                next
            });
            let sub_handles = HashMap::from([(u32::from(handle), published)]);
            // before the media plane hears of it: the client should know the handle before its first packet
            self.signal(index, Message::DataTrackSubscriberHandles(pb::DataTrackSubscriberHandles { sub_handles }));
            self.command(Command::SubscribeDataTrack { session, track: key, handle, target_fps, from: None });
        } else if !is_allowed && wanted.handle.take().is_some() {
            self.command(Command::UnsubscribeDataTrack { session, track: key });
        }
    }

    /// A participant's own permission changed: what it may not send any more ends; what it may receive is looked at again. Says
    /// nothing of the participant itself.
    pub(crate) fn data_permission_changed(&mut self, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        if !participant.permission.can_publish_data {
            let published: Vec<u32> = participant.data_tracks.published.values().copied().collect();
            for track in published {
                self.end_data_track(track);
            }
        }
        let Some(participant) = self.participants.get(&index) else { return };
        let wanted: Vec<u32> = participant.data_tracks.wanted.keys().copied().collect();
        for track in wanted {
            self.reconcile_data_track(index, track, false);
        }
    }

    /// Everybody's wishes for a participant's data tracks, after it hid, came out of hiding (and the others heard of it) or changed
    /// who may subscribe.
    pub(crate) fn reconcile_own_data_tracks(&mut self, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        let published: Vec<u32> = participant.data_tracks.published.values().copied().collect();
        let others: Vec<u32> = self.participants.keys().copied().filter(|other| *other != index).collect();
        for other in others {
            for track in &published {
                let wants = self.participants.get(&other).is_some_and(|other| other.data_tracks.wanted.contains_key(track));
                if wants {
                    self.reconcile_data_track(other, *track, false);
                }
            }
        }
    }
}

fn published(publisher: &Participant, track: &DataTrack) -> PublishedDataTrack {
    PublishedDataTrack {
        publisher_identity: publisher.identity.clone(),
        publisher_sid: publisher.sid.clone(),
        track_sid: track.info.sid.clone(),
    }
}
