//! Commands of the control plane, one function each.

use std::time::Instant;

use sluicegate_contract::command::{AddSession, AddTrack, Fault, PcMode, PcTarget, Subscribe};
use sluicegate_contract::entropy::Entropy;
use sluicegate_contract::event::SubscriptionError;
use sluicegate_contract::limit::{PENDING_TRACKS_MAX, SUBSCRIPTIONS_PER_SESSION_MAX};
use sluicegate_contract::{Command, Event, SessionKey, TrackKey};
use sluicegate_rtp::codec::Codec;
use sluicegate_transport::negotiate::{Role, SenderSpec};
use sluicegate_transport::transport::{Transport, TransportConfig};

use crate::engine::Engine;
use crate::link::Link;
use crate::publication::Publication;
use crate::session::Session;
use crate::subscription::Subscription;

impl Engine {
    pub(crate) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::AddSession(add) => self.add_session(now, &add),
            Command::RemoveSession { session } => {
                self.remove_session(now, session);
                self.removed_up(session);
            }
            Command::Offer { session, sdp, id } => self.offered(now, session, &sdp, id),
            Command::Answer { session, sdp, id } => self.answered(now, session, &sdp, id),
            Command::RestartIce { session, tcp_only } => self.restart_ice(now, session, tcp_only),
            Command::Candidate { session, target, candidate } => self.candidate(session, target, &candidate),
            Command::AddTrack(add) => self.add_track(now, *add),
            Command::RemoveTrack { track } => self.remove_track(now, track),
            Command::MuteTrack { track, muted } => self.mute_track(track, muted),
            Command::Subscribe(subscribe) => self.subscribe(now, &subscribe),
            Command::Unsubscribe { session, track } => self.unsubscribe(now, session, track),
            Command::ConfigureSubscription { session, track, disabled } => {
                self.configure_subscription(now, session, track, disabled);
            }
            Command::DataTaken { session, bytes, refused } => {
                self.meters.dropped_data += u64::from(refused);
                self.data_taken(session, bytes);
            }
            Command::AddDataTrack { session, track, handle } => self.add_data_track(session, track, handle),
            Command::RemoveDataTrack { track } => self.remove_data_track(track),
            Command::SubscribeDataTrack { session, track, handle, target_fps, from } => {
                self.subscribe_data_track(session, track, handle, target_fps, from);
            }
            Command::UnsubscribeDataTrack { session, track } => self.unsubscribe_data_track(session, track),
            Command::SendData { sessions, channel, payload } => {
                for session in sessions {
                    self.contain(now, |engine| engine.send_data(now, session, channel, &payload), |_| Some(session));
                }
            }
            Command::Fault(fault) => self.fault(fault),
        }
    }

    pub(crate) fn session_index(&self, key: SessionKey) -> Option<u32> {
        self.by_session.get(&key).copied()
    }

    pub(crate) fn link_of(&self, session: u32, target: PcTarget) -> Option<u32> {
        let session = self.sessions.get(session as usize)?;
        match target {
            PcTarget::Publisher => Some(session.publisher),
            PcTarget::Subscriber => session.subscriber,
        }
    }

    fn add_session(&mut self, now: Instant, add: &AddSession) {
        if self.by_session.contains_key(&add.session) {
            return;
        }
        let index = self.sessions.vacant_key() as u32;
        // what may panic comes first, so that nothing half made is in any table
        let publisher = self.make_link(now, add, index, PcTarget::Publisher);
        let subscriber = matches!(add.mode, PcMode::Dual { .. }).then(|| self.make_link(now, add, index, PcTarget::Subscriber));
        let publisher = self.insert_link(publisher);
        let subscriber = subscriber.map(|link| self.insert_link(link));
        self.sessions.insert(Session::new(add, publisher, subscriber, now));
        self.by_session.insert(add.session, index);
        self.touch(index);
    }

    fn make_link(&self, now: Instant, add: &AddSession, session: u32, target: PcTarget) -> Link {
        let mut entropy = Entropy::new(add.seed ^ (target as u64 + 1));
        let transport = Transport::new(
            now,
            TransportConfig {
                role: if target == PcTarget::Publisher { Role::Answer } else { Role::Offer },
                single_pc: add.mode == PcMode::Single,
                ice_lite: add.ice_lite,
                certificate: &self.config.certificate,
                candidates: &self.config.candidates,
                worker: self.config.worker.index,
                publish_codecs: &add.publish_codecs,
                subscribe_codecs: &add.subscribe_codecs,
                session_id: entropy.next_u64(),
                // room for a long count before the numbers wrap
                first_ssrc: entropy.next_u32() >> 1,
            },
        );
        let feedback_ssrc = transport.feedback_ssrc;
        let mut transport = transport;
        if add.tcp_only {
            transport.tell_addresses(&self.addresses(true));
        }
        if target == PcTarget::Subscriber {
            transport.negotiation.want_data();
        }
        Link::new(now, transport, session, target, feedback_ssrc)
    }

    fn insert_link(&mut self, link: Link) -> u32 {
        let ufrag = link.transport.connection.local_ufrag().to_owned();
        let index = self.links.insert(link) as u32;
        self.demux.set_ufrags(index, &ufrag, &ufrag);
        index
    }

    pub(crate) fn remove_session(&mut self, now: Instant, key: SessionKey) {
        let Some(index) = self.by_session.remove(&key) else { return };
        self.forget_awaited(key, None);
        self.check_fault(index, Fault::Removal);
        let Some(session) = self.sessions.get_mut(index as usize) else { return };
        let (publications, subscriptions) = (std::mem::take(&mut session.publications), std::mem::take(&mut session.subscriptions));
        for publication in publications {
            self.end_publication(now, publication);
        }
        for subscription in subscriptions {
            self.drop_subscription(now, subscription);
        }
        let session = self.sessions.remove(index as usize);
        for link in session.transports() {
            self.demux.remove(link);
            self.links.remove(link as usize);
        }
        self.dirty.retain(|dirty| *dirty != index);
        self.timers.set(index, None);
        self.forget_data(index, &session.data);
        self.forget_tracks(index, &session.tracks);
    }

    fn candidate(&mut self, session: SessionKey, target: PcTarget, candidate: &str) {
        let Some(index) = self.session_index(session) else { return };
        let Some(link) = self.link_of(index, target) else { return };
        // a candidate that cannot be used is no reason to give the others up
        let _ = self.links[link as usize].transport.connection.add_remote_candidate(candidate);
        self.touch(index);
    }

    fn add_track(&mut self, now: Instant, add: AddTrack) {
        let Some(index) = self.session_index(add.session) else { return };
        let session = &mut self.sessions[index as usize];
        if session.announced.len() < PENDING_TRACKS_MAX {
            session.announced.push(add);
            self.claim_sections(now, index);
        }
    }

    fn remove_track(&mut self, now: Instant, track: TrackKey) {
        if let Some(&publication) = self.by_track.get(&track) {
            let session = self.publications.get(publication as usize).and_then(Publication::session);
            self.end_publication(now, publication);
            if let Some(session) = session.and_then(|session| self.sessions.get_mut(session as usize)) {
                session.publications.retain(|known| *known != publication);
            }
            return;
        }
        for (_, session) in &mut self.sessions {
            if session.key.room == track.room && session.announced.take(track).is_some() {
                return;
            }
        }
    }

    fn mute_track(&mut self, track: TrackKey, muted: bool) {
        if let Some(&publication) = self.by_track.get(&track) {
            self.set_muted(publication, muted);
            return;
        }
        for (_, session) in &mut self.sessions {
            if session.key.room == track.room
                && let Some(add) = session.announced.get_mut(track)
            {
                add.muted = muted;
                return;
            }
        }
    }

    pub(crate) fn subscribe(&mut self, now: Instant, subscribe: &Subscribe) {
        let Some(index) = self.session_index(subscribe.session) else { return };
        let Some(&publication) = self.by_track.get(&subscribe.track) else {
            self.await_track(subscribe);
            return;
        };
        if self.subscription_of(index, subscribe.track).is_some() {
            return;
        }
        let session = &self.sessions[index as usize];
        if session.subscriptions.len() >= SUBSCRIPTIONS_PER_SESSION_MAX {
            return;
        }
        let source = &self.publications[publication as usize];
        let plain = if source.codec == Codec::Red { Codec::Opus } else { source.codec };
        if !session.subscribe_codecs.contains(&plain) {
            let (session, track) = (subscribe.session, subscribe.track);
            self.events.push_back(Event::SubscriptionFailed { session, track, why: SubscriptionError::CodecUnsupported });
            return;
        }
        let link = session.down();
        let added = self.links[link as usize].transport.negotiation.add_sender(SenderSpec {
            key: subscribe.track.packed(),
            kind: source.kind,
            codec: source.codec,
            fmtp: source.fmtp.clone(),
            stream_id: subscribe.stream_id.to_string(),
            track_id: subscribe.track_id.to_string(),
        });
        if added.is_err() {
            return;
        }
        let subscription = self.subscriptions.insert(Subscription {
            line: None,
            publication,
            transport: link,
            track: subscribe.track,
            session: index,
            kind: source.kind,
            disabled: subscribe.disabled,
        }) as u32;
        self.publications[publication as usize].subscriptions.push(subscription);
        let session = &mut self.sessions[index as usize];
        session.subscriptions.push(subscription);
        session.offering.want(now);
        self.touch(index);
    }

    fn unsubscribe(&mut self, now: Instant, session: SessionKey, track: TrackKey) {
        self.forget_awaited(session, Some(track));
        let Some(index) = self.session_index(session) else { return };
        let Some(subscription) = self.subscription_of(index, track) else { return };
        self.end_subscription(now, subscription);
    }

    fn configure_subscription(&mut self, now: Instant, session: SessionKey, track: TrackKey, disabled: bool) {
        self.configure_awaited(session, track, disabled);
        let Some(index) = self.session_index(session) else { return };
        let Some(subscription) = self.subscription_of(index, track) else { return };
        let state = &mut self.subscriptions[subscription as usize];
        if state.disabled != disabled {
            state.disabled = disabled;
            self.refresh_sink(now, subscription);
        }
    }

    pub(crate) fn subscription_of(&self, session: u32, track: TrackKey) -> Option<u32> {
        let session = self.sessions.get(session as usize)?;
        session.subscriptions.iter().copied().find(|s| self.subscriptions[*s as usize].track == track)
    }
}
