//! Who receives which track: what was asked for, what is allowed, and the difference told to the media plane.
//!
//! A subscription outlives a refusal: it stays wanted and is taken up again when the permission returns. One that is not wanted
//! any more is forgotten at once. Layers, bandwidth and priorities belong to the media plane.

use std::time::Instant;

use sluicegate_contract::Command;
use sluicegate_contract::command::Subscribe;
use sluicegate_contract::event::SubscriptionError;
use sluicegate_contract::key::{SessionKey, TrackKey};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;

use crate::config::{TRACK_NOT_FOUND_TIMEOUT, TRACKS_PER_REQUEST_MAX};
use crate::output::Output;
use crate::participant::{Participant, Unresolved};
use crate::room::Room;
use crate::timer::Reason;
use crate::track;

/// One participant's wish for one track.
#[derive(Clone, Debug, Default)]
pub struct Subscription {
    pub state: State,
    /// LiveKit: UpdateTrackSettings; only `disabled` has an effect so far.
    pub settings: pb::UpdateTrackSettings,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Nothing was asked of the media plane; the participant may not subscribe at the moment.
    #[default]
    Held,
    /// The publisher does not allow it; the subscriber was told.
    Denied,
    /// The media plane was asked.
    Asked,
    /// It has its m-line.
    Bound,
    /// The subscriber has no codec for it; it must ask again.
    Failed,
}

impl State {
    /// The media plane has it.
    pub fn is_live(self) -> bool {
        matches!(self, State::Asked | State::Bound)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    /// The publisher's subscription permission excludes the subscriber.
    DeniedByPublisher,
    /// The subscriber's own permission.
    Held,
    /// There is no such track for this subscriber.
    Invisible,
}

impl Room {
    /// Signal request `subscription` and the API's UpdateSubscriptions.
    pub(crate) fn update_subscriptions<'a>(
        &mut self,
        now: Instant,
        index: u32,
        track_sids: impl Iterator<Item = &'a String>,
        subscribe: bool,
    ) {
        for sid in track_sids.take(TRACKS_PER_REQUEST_MAX) {
            match (self.tracks_by_sid.get(sid).copied(), subscribe) {
                (Some(track), true) if self.verdict(index, track) != Verdict::Invisible => self.want(index, track),
                (_, true) => self.want_unresolved(now, index, sid),
                (track, false) => {
                    if let Some(participant) = self.participants.get_mut(&index) {
                        participant.unresolved.remove(sid);
                    }
                    if let Some(track) = track {
                        self.unwant(index, track);
                    }
                }
            }
        }
    }

    /// The participant wants a track that exists and that it may know of.
    pub(crate) fn want(&mut self, index: u32, track: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        if !participant.subscriptions.contains_key(&track) {
            if !participant.has_room_for_subscription() {
                return;
            }
            participant.subscriptions.insert(track, Subscription::default());
        }
        if let Some(subscription) = participant.subscriptions.get_mut(&track)
            && subscription.state == State::Failed
        {
            subscription.state = State::Held;
        }
        self.reconcile(index, track);
    }

    /// The participant does not want a track (any more).
    pub(crate) fn unwant(&mut self, index: u32, track: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        if let Some(subscription) = participant.subscriptions.remove(&track)
            && subscription.state.is_live()
        {
            self.unsubscribe(index, track);
        }
    }

    /// Everything there is, for a participant that takes all.
    pub(crate) fn auto_subscribe(&mut self, index: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        if !participant.auto_subscribe || participant.is_subscribing {
            return;
        }
        participant.is_subscribing = true;
        let tracks: Vec<u32> = self.tracks.keys().copied().collect();
        for track in tracks {
            if self.verdict(index, track) != Verdict::Invisible {
                self.want(index, track);
            }
        }
    }

    /// A track was published (or its publisher came out of hiding): all who take everything, and those who had asked for it.
    pub(crate) fn offer_track(&mut self, track: u32) {
        let Some(sid) = self.tracks.get(&track).map(|t| t.info.sid.clone()) else { return };
        let indices: Vec<u32> = self.participants.keys().copied().collect();
        for index in indices {
            if self.verdict(index, track) == Verdict::Invisible {
                continue;
            }
            let Some(participant) = self.participants.get_mut(&index) else { continue };
            let asked = participant.unresolved.remove(&sid);
            if asked.is_none() && !participant.is_subscribing {
                continue;
            }
            if let Some(asked) = asked
                && participant.has_room_for_subscription()
            {
                let settings = pb::UpdateTrackSettings { disabled: asked.disabled, ..Default::default() };
                participant.subscriptions.entry(track).or_insert(Subscription { state: State::Held, settings });
            }
            self.want(index, track);
        }
    }

    /// Brings a wanted subscription to what is allowed now.
    pub(crate) fn reconcile(&mut self, index: u32, track: u32) {
        let concerns =
            |participant: &Participant| participant.subscriptions.contains_key(&track) || participant.denied.contains(&track);
        if !self.participants.get(&index).is_some_and(concerns) {
            return;
        }
        let verdict = self.verdict(index, track);
        let Some(participant) = self.participants.get_mut(&index) else { return };
        if verdict == Verdict::Invisible {
            // its client has forgotten the track
            participant.denied.remove(&track);
        }
        let Some(subscription) = participant.subscriptions.get_mut(&track) else { return };
        let before = subscription.state;
        let after = match verdict {
            Verdict::Invisible => return self.unwant(index, track),
            Verdict::Allowed if before.is_live() || before == State::Failed => return,
            Verdict::Allowed => State::Asked,
            Verdict::DeniedByPublisher => State::Denied,
            Verdict::Held => State::Held,
        };
        subscription.state = after;
        if before.is_live() {
            self.unsubscribe(index, track);
        }
        match after {
            State::Asked => {
                self.tell_permission(index, track, true);
                self.subscribe(index, track);
            }
            State::Denied => self.tell_permission(index, track, false),
            _ => {}
        }
    }

    /// Everybody's wishes for a participant's tracks, after a permission of it changed.
    pub(crate) fn reconcile_own_tracks(&mut self, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        let tracks: Vec<u32> = participant.tracks.iter().copied().collect();
        let subscribers: Vec<u32> = self.participants.keys().copied().collect();
        for track in tracks {
            for subscriber in &subscribers {
                self.reconcile(*subscriber, track);
            }
        }
    }

    /// A participant that has come out of hiding.
    pub(crate) fn offer_own_tracks(&mut self, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        let tracks: Vec<u32> = participant.tracks.iter().copied().collect();
        for track in tracks {
            self.offer_track(track);
        }
    }

    /// Signal request `track_setting`.
    pub(crate) fn update_track_settings(&mut self, index: u32, settings: &pb::UpdateTrackSettings) {
        for sid in settings.track_sids.iter().take(TRACKS_PER_REQUEST_MAX) {
            let track = self.tracks_by_sid.get(sid).copied();
            let Some(participant) = self.participants.get_mut(&index) else { return };
            if let Some(unresolved) = participant.unresolved.get_mut(sid) {
                unresolved.disabled = settings.disabled;
            }
            let Some(track) = track else { continue };
            let session = participant.session;
            let Some(subscription) = participant.subscriptions.get_mut(&track) else { continue };
            let changed = subscription.settings.disabled != settings.disabled;
            subscription.settings = pb::UpdateTrackSettings { track_sids: Vec::new(), ..settings.clone() };
            if changed && subscription.state.is_live() {
                let Some(track) = self.tracks.get(&track).map(|track| track.key) else { continue };
                self.command(Command::ConfigureSubscription { session, track, disabled: settings.disabled });
            }
        }
    }

    /// One track, for a client that says no more of its settings than this.
    pub(crate) fn disable_track(&mut self, index: u32, sid: &str) {
        let Some(participant) = self.participants.get(&index) else { return };
        let track = self.tracks_by_sid.get(sid);
        let known = track.and_then(|track| participant.subscriptions.get(track)).map(|subscription| subscription.settings.clone());
        let settings = pb::UpdateTrackSettings { track_sids: vec![sid.to_owned()], disabled: true, ..known.unwrap_or_default() };
        self.update_track_settings(index, &settings);
    }

    /// The media plane bound a subscription; the publisher hears of its first subscriber.
    pub(crate) fn subscription_bound(&mut self, session: SessionKey, key: TrackKey) {
        let Some(at) = self.track_index(key) else { return };
        let Some(participant) = self.participants.get_mut(&session.index) else { return };
        let Some(subscription) = participant.subscriptions.get_mut(&at) else { return };
        if subscription.state != State::Asked {
            return;
        }
        subscription.state = State::Bound;
        let Some(track) = self.tracks.get_mut(&at) else { return };
        if !track.subscribed_told {
            track.subscribed_told = true;
            let (publisher, track_sid) = (track.publisher, track.info.sid.clone());
            self.signal(publisher, Message::TrackSubscribed(pb::TrackSubscribed { track_sid }));
        }
    }

    /// The media plane cannot send a track to a subscriber.
    pub(crate) fn subscription_failed(&mut self, session: SessionKey, key: TrackKey, why: SubscriptionError) {
        let Some(at) = self.track_index(key) else { return };
        let Some(participant) = self.participants.get_mut(&session.index) else { return };
        let Some(subscription) = participant.subscriptions.get_mut(&at) else { return };
        if !subscription.state.is_live() {
            return;
        }
        subscription.state = State::Failed;
        let Some(track) = self.tracks.get_mut(&at) else { return };
        track.subscribers.remove(&session.index);
        let err = match why {
            SubscriptionError::CodecUnsupported => pb::SubscriptionError::SeCodecUnsupported,
        };
        let track_sid = track.info.sid.clone();
        self.signal(session.index, Message::SubscriptionResponse(pb::SubscriptionResponse { track_sid, err: err as i32 }));
    }

    /// Tracks that were asked for and did not appear in time.
    pub(crate) fn give_up_unresolved(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let late: Vec<String> = participant.unresolved.iter().filter(|(_, u)| u.until <= now).map(|(sid, _)| sid.clone()).collect();
        for sid in &late {
            participant.unresolved.remove(sid);
        }
        if let Some(until) = participant.unresolved.values().map(|u| u.until).min() {
            self.timers.set(Reason::TrackNotFound(index), until);
        }
        for track_sid in late {
            let err = pb::SubscriptionError::SeTrackNotfound as i32;
            self.signal(index, Message::SubscriptionResponse(pb::SubscriptionResponse { track_sid, err }));
        }
    }

    fn want_unresolved(&mut self, now: Instant, index: u32, sid: &str) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let too_long = sid.len() > crate::config::TRACK_TEXT_BYTES_MAX;
        if too_long || participant.unresolved.contains_key(sid) || !participant.has_room_for_subscription() {
            return;
        }
        let until = now + TRACK_NOT_FOUND_TIMEOUT;
        participant.unresolved.insert(sid.to_owned(), Unresolved { until, disabled: false });
        if !self.timers.is_set(Reason::TrackNotFound(index)) {
            self.timers.set(Reason::TrackNotFound(index), until);
        }
    }

    fn verdict(&self, index: u32, track: u32) -> Verdict {
        let Some(subscriber) = self.participants.get(&index) else { return Verdict::Invisible };
        let Some(track) = self.tracks.get(&track) else { return Verdict::Invisible };
        let Some(publisher) = self.participants.get(&track.publisher) else { return Verdict::Invisible };
        if !track.published || track.publisher == index || publisher.permission.hidden {
            return Verdict::Invisible;
        }
        if !subscriber.permission.can_subscribe {
            return Verdict::Held;
        }
        let allowed = subscriber.is_exempt_from_allowances()
            || publisher.allowance.allows(&subscriber.identity, &subscriber.sid, &track.info.sid);
        if allowed { Verdict::Allowed } else { Verdict::DeniedByPublisher }
    }

    fn subscribe(&mut self, index: u32, track: u32) {
        let Some(subscriber) = self.participants.get(&index) else { return };
        let Some(subscription) = subscriber.subscriptions.get(&track) else { return };
        let Some(entry) = self.tracks.get_mut(&track) else { return };
        let Some(publisher) = self.participants.get(&entry.publisher) else { return };
        let sync_streams = self.sync_streams && subscriber.client.knows_sync_streams();
        let command = Subscribe {
            session: subscriber.session,
            track: entry.key,
            stream_id: track::stream_id(&publisher.sid, &entry.info, sync_streams),
            track_id: entry.info.sid.as_str().into(),
            disabled: subscription.settings.disabled,
            from: None,
        };
        entry.subscribers.insert(index);
        self.push(Output::Media(Command::Subscribe(Box::new(command))));
    }

    fn unsubscribe(&mut self, index: u32, track: u32) {
        let session = self.session_key(index);
        let Some(entry) = self.tracks.get_mut(&track) else { return };
        entry.subscribers.remove(&index);
        let track = entry.key;
        self.command(Command::Unsubscribe { session, track });
    }

    /// Nothing, where the subscriber knows it.
    fn tell_permission(&mut self, index: u32, track: u32, allowed: bool) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        let is_news = if allowed { participant.denied.remove(&track) } else { participant.denied.insert(track) };
        if !is_news {
            return;
        }
        let Some(entry) = self.tracks.get(&track) else { return };
        let Some(publisher) = self.participants.get(&entry.publisher) else { return };
        let update =
            pb::SubscriptionPermissionUpdate { participant_sid: publisher.sid.clone(), track_sid: entry.info.sid.clone(), allowed };
        self.signal(index, Message::SubscriptionPermissionUpdate(update));
    }
}
