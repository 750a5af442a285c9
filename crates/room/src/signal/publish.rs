//! Publishing: the announcement of a track, the queue behind a cid in use, mute, later changes.

use std::collections::BTreeSet;
use std::time::Instant;

use sluicegate_contract::Command;
use sluicegate_contract::limit::{PENDING_TRACKS_MAX, TRACKS_PER_SESSION_MAX};
use sluicegate_proto::pb::request_response::{Reason, Request};
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_proto::{pb, sid};
use sluicegate_rtp::codec::MediaKind;

use crate::config::{FEATURES_MAX, QUEUED_PER_CID_MAX};
use crate::permission;
use crate::room::Room;
use crate::track::{self, Track};
use crate::update::{Audience, Pace};

impl Room {
    pub(crate) fn handle_add_track(&mut self, _now: Instant, index: u32, request: pb::AddTrackRequest) {
        match self.check_add_track(index, &request) {
            Ok(kind) => self.announce(index, kind, &request),
            Err((Reason::Queued, _)) => self.queue_track(index, request),
            Err((reason, message)) => self.refuse_track(index, reason, message, request),
        }
    }

    /// A track with this cid has ended: the next one that waits for the cid is announced. One that is not allowed any more is
    /// refused, and then the next may.
    pub(crate) fn publish_queued(&mut self, now: Instant, index: u32, cid: &str) {
        while let Some(participant) = self.participants.get_mut(&index) {
            let Some(queue) = participant.queued.get_mut(cid) else { return };
            let next = queue.pop_front();
            if queue.is_empty() {
                participant.queued.remove(cid);
            }
            let Some(request) = next else { return };
            self.handle_add_track(now, index, request);
            if self.is_cid_in_use(index, cid) {
                return;
            }
        }
    }

    /// The client mutes or unmutes a track of its own.
    pub(crate) fn handle_mute(&mut self, now: Instant, index: u32, mute: pb::MuteTrackRequest) {
        match self.own_track(index, &mute.sid) {
            Some(track) => self.mute_track(now, track, mute.muted),
            None => self.refuse(index, 0, Reason::NotFound, "there is no such track", Request::Mute(mute)),
        }
    }

    /// Flag, news and media; nothing where nothing changes.
    pub(crate) fn mute_track(&mut self, now: Instant, index: u32, muted: bool) {
        let Some(track) = self.tracks.get_mut(&index) else { return };
        if std::mem::replace(&mut track.info.muted, muted) == muted {
            return;
        }
        let (key, publisher, published) = (track.key, track.publisher, track.published);
        self.command(Command::MuteTrack { track: key, muted });
        if published {
            self.tell(now, publisher, Audience::Everybody, Pace::Repeatable);
        }
    }

    pub(crate) fn handle_update_audio_track(&mut self, now: Instant, index: u32, update: pb::UpdateLocalAudioTrack) {
        let track = self.own_track(index, &update.track_sid).and_then(|track| self.tracks.get_mut(&track));
        let Some(track) = track.filter(|track| track.kind == MediaKind::Audio) else {
            return self.refuse(index, 0, Reason::NotFound, "there is no such track", Request::UpdateAudioTrack(update));
        };
        let changes = track.set_audio_features(update.features.get(..FEATURES_MAX).unwrap_or(&update.features));
        if changes && track.published {
            self.tell(now, index, Audience::Everybody, Pace::Repeatable);
        }
    }

    pub(crate) fn handle_update_video_track(&mut self, now: Instant, index: u32, update: pb::UpdateLocalVideoTrack) {
        let track = self.own_track(index, &update.track_sid).and_then(|track| self.tracks.get_mut(&track));
        let Some(track) = track.filter(|track| track.kind == MediaKind::Video) else {
            return self.refuse(index, 0, Reason::NotFound, "there is no such track", Request::UpdateVideoTrack(update));
        };
        let changes = (track.info.width, track.info.height) != (update.width, update.height);
        (track.info.width, track.info.height) = (update.width, update.height);
        if changes && track.published {
            self.tell(now, index, Audience::Everybody, Pace::Repeatable);
        }
    }

    /// A track of this participant, announced or published.
    pub(crate) fn own_track(&self, index: u32, sid: &str) -> Option<u32> {
        let track = self.tracks_by_sid.get(sid).copied()?;
        self.participants.get(&index)?.tracks.contains(&track).then_some(track)
    }

    /// The kind of the track, or why it cannot be announced now.
    fn check_add_track(&self, index: u32, request: &pb::AddTrackRequest) -> Result<MediaKind, (Reason, &'static str)> {
        let Some(participant) = self.participants.get(&index) else { return Err((Reason::UnclassifiedError, "")) };
        if !permission::may_publish(&participant.permission, request.source) {
            return Err((Reason::NotAllowed, "does not have permission to publish this source"));
        }
        let kind = track::kind_of(request).ok_or((Reason::UnsupportedType, "neither audio nor video"))?;
        if let Some(what) = track::oversize(request) {
            return Err((Reason::LimitExceeded, what));
        }
        if !request.sid.is_empty() {
            return match self.own_track(index, &request.sid) {
                Some(_) => Err((Reason::UnsupportedType, "a second codec for a track is not available")),
                None => Err((Reason::NotFound, "there is no such track")),
            };
        }
        if request.cid.is_empty() {
            return Err((Reason::InvalidRequest, "a track needs a cid"));
        }
        let pending = |track: &&u32| self.tracks.get(track).is_some_and(|track| !track.published);
        let waiting = participant.tracks.iter().filter(pending).count() + participant.queued_tracks();
        if waiting >= PENDING_TRACKS_MAX {
            return Err((Reason::LimitExceeded, "too many pending tracks"));
        }
        if self.is_cid_in_use(index, &request.cid) {
            let queued = participant.queued.get(&request.cid).map_or(0, |queue| queue.len());
            let full = queued >= QUEUED_PER_CID_MAX;
            return Err(if full { (Reason::LimitExceeded, "too many queued tracks") } else { (Reason::Queued, "") });
        }
        if participant.tracks.len() >= TRACKS_PER_SESSION_MAX {
            return Err((Reason::LimitExceeded, "too many tracks"));
        }
        Ok(kind)
    }

    fn is_cid_in_use(&self, index: u32, cid: &str) -> bool {
        let Some(participant) = self.participants.get(&index) else { return false };
        participant.tracks.iter().filter_map(|track| self.tracks.get(track)).any(|track| track.cid == cid)
    }

    /// The client learns the track's SID at once, before any media; the others with the media.
    fn announce(&mut self, index: u32, kind: MediaKind, request: &pb::AddTrackRequest) {
        let sid = sid::track(request.r#type(), request.source(), || self.entropy.next_u64());
        let key = self.next_track();
        let key = self.track_key(key);
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let enabled = participant.client.publish_codecs(&self.config.enabled_codecs);
        participant.tracks.insert(key.index);
        let track = Track {
            key,
            publisher: index,
            kind,
            cid: request.cid.clone(),
            info: track::track_info(request, kind, sid.clone(), &enabled),
            published: false,
            subscribers: BTreeSet::new(),
            subscribed_told: false,
        };
        let announcement = track.announcement(participant.session);
        let published = pb::TrackPublishedResponse { cid: track.cid.clone(), track: Some(track.info.clone()) };
        self.tracks_by_sid.insert(sid, key.index);
        self.tracks.insert(key.index, track);
        self.command(Command::AddTrack(Box::new(announcement)));
        self.signal(index, Message::TrackPublished(published));
    }

    fn queue_track(&mut self, index: u32, request: pb::AddTrackRequest) {
        if let Some(participant) = self.participants.get_mut(&index) {
            participant.queued.entry(request.cid.clone()).or_default().push_back(request.clone());
        }
        self.refuse_track(index, Reason::Queued, "", request);
    }

    fn refuse_track(&mut self, index: u32, reason: Reason, message: &str, request: pb::AddTrackRequest) {
        self.refuse(index, 0, reason, message, Request::AddTrack(request));
    }
}
