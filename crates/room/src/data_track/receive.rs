//! Who receives which data track: what was asked for, what is allowed, and the difference told to client and media plane.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;

use sluicegate_contract::Command;
use sluicegate_contract::limit::DATA_SUBSCRIPTIONS_PER_SESSION_MAX;
use sluicegate_proto::pb;
use sluicegate_proto::pb::data_track_subscriber_handles::PublishedDataTrack;
use sluicegate_proto::pb::signal_response::Message;

use super::{DataTrack, DataTracks, News};
use crate::config::TRACKS_PER_REQUEST_MAX;
use crate::participant::Participant;
use crate::room::Room;

impl Room {
    /// A track that does not exist, or not for this participant, is not waited for: clients ask when they have heard of it. Of one
    /// that is named more than once the last word counts. What is not wanted any more makes room for what is.
    pub(crate) fn handle_update_data_subscription(&mut self, index: u32, update: pb::UpdateDataSubscription) {
        let mut wishes: BTreeMap<u32, pb::update_data_subscription::Update> = BTreeMap::new();
        for update in update.updates.into_iter().take(TRACKS_PER_REQUEST_MAX) {
            if let Some(track) = self.data_tracks_by_sid.get(&update.track_sid) {
                wishes.insert(*track, update);
            }
        }
        let mut news = News::default();
        for (track, _) in wishes.iter().filter(|(_, wish)| !wish.subscribe) {
            self.unwant_data_track(index, *track, &mut news);
        }
        for (track, wish) in wishes.into_iter().filter(|(_, wish)| wish.subscribe) {
            let target_fps = wish.options.and_then(|options| options.target_fps).and_then(NonZeroU32::new);
            self.want_data_track(index, track, target_fps, &mut news);
        }
        self.tell_data_news(index, news);
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

    /// The others have heard of all that a participant publishes: who takes everything takes what is new. A hidden one's nobody takes.
    pub(crate) fn offer_data_tracks(&mut self, index: u32) {
        let Some(publisher) = self.participants.get_mut(&index) else { return };
        if publisher.permission.hidden || publisher.data_tracks.untold.is_empty() {
            return;
        }
        let tracks = std::mem::take(&mut publisher.data_tracks.untold);
        let takes = |participant: &Participant| participant.is_active && participant.auto_subscribe_data_track;
        let takers: Vec<u32> = self.participants.iter().filter(|(_, other)| takes(other)).map(|(other, _)| *other).collect();
        for taker in takers {
            self.take_data_tracks(taker, tracks.iter().copied());
        }
    }

    /// A participant has come out of hiding, and the others heard of it.
    pub(crate) fn offer_all_data_tracks(&mut self, index: u32) {
        let Some(publisher) = self.participants.get_mut(&index) else { return };
        publisher.data_tracks.untold = publisher.data_tracks.published.values().copied().collect();
        self.offer_data_tracks(index);
    }

    /// Everything there is, for a participant that takes all and is far enough.
    pub(crate) fn take_all_data_tracks(&mut self, index: u32) {
        if !self.participants.get(&index).is_some_and(|participant| participant.auto_subscribe_data_track) {
            return;
        }
        let is_told = |(track, source): &(&u32, &DataTrack)| {
            let publisher = self.participants.get(&source.publisher);
            publisher.is_some_and(|publisher| !publisher.data_tracks.untold.contains(track))
        };
        let tracks: Vec<u32> = self.data_tracks.iter().filter(is_told).map(|(track, _)| *track).collect();
        self.take_data_tracks(index, tracks.into_iter());
    }

    /// Those that it does not want already.
    fn take_data_tracks(&mut self, index: u32, tracks: impl Iterator<Item = u32>) {
        let mut news = News::default();
        for track in tracks {
            let wants = |participant: &Participant| participant.data_tracks.wanted.contains_key(&track);
            if !self.participants.get(&index).is_some_and(wants) {
                self.want_data_track(index, track, None, &mut news);
            }
        }
        self.tell_data_news(index, news);
    }

    fn want_data_track(&mut self, index: u32, track: u32, target_fps: Option<NonZeroU32>, news: &mut News) {
        let Some(source) = self.data_tracks.get_mut(&track) else { return };
        let publisher = self.participants.get(&source.publisher);
        let is_visible = publisher.is_some_and(|publisher| !publisher.permission.hidden && publisher.session.index != index);
        let Some(participant) = self.participants.get_mut(&index).filter(|_| is_visible) else { return };
        let wanted = &mut participant.data_tracks.wanted;
        if !wanted.contains_key(&track) && wanted.len() >= DATA_SUBSCRIPTIONS_PER_SESSION_MAX {
            return;
        }
        wanted.entry(track).or_default().target_fps = target_fps;
        source.wanted_by.insert(index);
        // asked again: the handle is told again, too, for the client may have forgotten it
        self.reconcile_data_track(index, track, true, news);
    }

    pub(super) fn unwant_data_track(&mut self, index: u32, track: u32, news: &mut News) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let (session, had_handle) = (participant.session, participant.data_tracks.forget_wanted(track));
        let Some(track) = self.data_tracks.get_mut(&track) else { return };
        track.wanted_by.remove(&index);
        if had_handle {
            news.commands.push(Command::UnsubscribeDataTrack { session, track: track.key });
        }
    }

    /// Before the media plane hears of it: the client should know the handles before the first packets.
    pub(super) fn tell_data_news(&mut self, index: u32, News { sub_handles, commands }: News) {
        if !sub_handles.is_empty() {
            self.signal(index, Message::DataTrackSubscriberHandles(pb::DataTrackSubscriberHandles { sub_handles }));
        }
        for command in commands {
            self.command(command);
        }
    }

    /// Brings a wanted track to what is allowed now; with `again` a handle that is known already is said once more.
    fn reconcile_data_track(&mut self, index: u32, track: u32, again: bool, news: &mut News) {
        let Some(source) = self.data_tracks.get(&track) else { return };
        let key = source.key;
        let Some(publisher) = self.participants.get(&source.publisher) else { return };
        let Some(participant) = self.participants.get(&index) else { return };
        let is_allowed = participant.permission.can_subscribe
            && !publisher.permission.hidden
            && (participant.is_exempt_from_allowances()
                || publisher.allowance.allows(&participant.identity, &participant.sid, &source.info.sid));
        let is_known = participant.data_tracks.wanted.get(&track).is_some_and(|wanted| wanted.handle.is_some());
        let is_told = is_allowed && (again || !is_known);
        let published = is_told.then(|| published(publisher, source));
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let session = participant.session;
        let DataTracks { wanted, handles, last_handle, .. } = &mut participant.data_tracks;
        let Some(wanted) = wanted.get_mut(&track) else { return };
        if let Some(published) = published {
            let handle = *wanted.handle.get_or_insert_with(|| DataTracks::next_handle(handles, last_handle));
            news.sub_handles.insert(handle.into(), published);
            if !is_known || wanted.asked_fps != wanted.target_fps {
                let target_fps = wanted.target_fps;
                wanted.asked_fps = target_fps;
                news.commands.push(Command::SubscribeDataTrack { session, track: key, handle, target_fps, from: None });
            }
        } else if let Some(handle) = wanted.handle.take_if(|_| !is_allowed) {
            handles.remove(&handle);
            news.commands.push(Command::UnsubscribeDataTrack { session, track: key });
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
        let mut news = News::default();
        for track in wanted {
            self.reconcile_data_track(index, track, false, &mut news);
        }
        self.tell_data_news(index, news);
    }

    /// Everybody's wishes for a participant's data tracks, after it hid, came out of hiding (and the others heard of it) or changed
    /// who may subscribe.
    pub(crate) fn reconcile_own_data_tracks(&mut self, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        let mut wishes: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        for track in participant.data_tracks.published.values() {
            for subscriber in self.data_tracks.get(track).into_iter().flat_map(|track| &track.wanted_by) {
                wishes.entry(*subscriber).or_default().push(*track);
            }
        }
        for (subscriber, tracks) in wishes {
            let mut news = News::default();
            for track in tracks {
                self.reconcile_data_track(subscriber, track, false, &mut news);
            }
            self.tell_data_news(subscriber, news);
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
