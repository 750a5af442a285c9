//! What the media plane reports, and what the room makes of it.

use std::collections::HashMap;
use std::time::Instant;

use sluicegate_contract::command::PcTarget;
use sluicegate_contract::event::{Event, MidTrack, SessionEnd, TransportState};
use sluicegate_contract::key::{SessionKey, TrackKey};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_rtp::codec::Codec;

use crate::config::{DISCONNECT_GRACE, NEGOTIATION_TIMEOUT};
use crate::output::{Happened, Output};
use crate::participant::Departure;
use crate::room::Room;
use crate::timer::Reason;
use crate::update::{Audience, Pace};

impl Room {
    pub(crate) fn handle_media(&mut self, now: Instant, event: Event) {
        if self.is_closed || event.room() != self.key {
            return;
        }
        match event {
            Event::Answer { session, sdp, id, mids } => {
                let answer = self.description("answer", sdp, id, &mids);
                self.signal(session.index, Message::Answer(answer));
            }
            Event::Offer { session, sdp, id, mids } => self.handle_offer(now, session, sdp, id, &mids),
            Event::NegotiationFailed { session, .. } => {
                self.remove(now, session.index, Departure::reconnect(pb::DisconnectReason::StateMismatch));
            }
            Event::Candidate { session, target, candidate, mid, last } => {
                self.handle_local_candidate(session, target, &candidate, &mid, last);
            }
            Event::TransportState { session, target, state } => self.handle_transport_state(now, session, target, state),
            Event::MediaSectionsNeeded { session, audios, videos } => {
                let needed = pb::MediaSectionsRequirement { num_audios: audios, num_videos: videos };
                self.signal(session.index, Message::MediaSectionsRequirement(needed));
            }
            Event::TrackStarted { track, codec, mid, .. } => self.handle_track_started(now, track, codec, &mid),
            Event::TrackEnded { track } => self.handle_track_ended(now, track.index),
            Event::Subscribed { session, track } => self.subscription_bound(session, track),
            Event::SubscriptionFailed { session, track, why } => self.subscription_failed(session, track, why),
            Event::Data { session, channel, payload } => self.handle_data(now, session, channel, &payload),
            Event::Quality { session, score } => self.handle_quality(now, session, score),
            Event::SessionEnded { session, why } => self.handle_session_ended(now, session, why),
        }
    }

    /// The client's WebSocket is gone. One that was connected keeps its media; only the loss of that, too, ends its stay.
    pub(crate) fn handle_signal_closed(&mut self, now: Instant, connection: crate::input::ConnectionKey) {
        let Some(index) = self.by_connection.remove(&connection) else { return };
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.connection = None;
        participant.absence.begin(now);
        if !participant.is_active {
            self.remove(now, index, Departure::silent(pb::DisconnectReason::SignalClose));
        } else if participant.has_closed() {
            self.remove(now, index, Departure::silent(pb::DisconnectReason::ClientInitiated));
        } else if participant.is_transport_down() && !self.timers.is_set(Reason::Disconnect(index)) {
            self.timers.set(Reason::Disconnect(index), now + DISCONNECT_GRACE);
        }
    }

    /// Our offer was not answered. Without a connection (either kind) other deadlines decide.
    pub(crate) fn handle_negotiation_timeout(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.offer_id = None;
        let connected = participant.subscriber_transport == Some(TransportState::Connected);
        if connected && participant.connection.is_some() {
            self.remove(now, index, Departure::reconnect(pb::DisconnectReason::StateMismatch));
        }
    }

    fn handle_offer(&mut self, now: Instant, session: SessionKey, sdp: Box<str>, id: u32, mids: &[MidTrack]) {
        let offer = self.description("offer", sdp, id, mids);
        let Some(participant) = self.participants.get_mut(&session.index) else { return };
        participant.offer_id = Some(id);
        self.timers.set(Reason::Negotiation(session.index), now + NEGOTIATION_TIMEOUT);
        self.signal(session.index, Message::Offer(offer));
    }

    fn description(&self, kind: &str, sdp: Box<str>, id: u32, mids: &[MidTrack]) -> pb::SessionDescription {
        let sid = |entry: &MidTrack| {
            let track = self.tracks.get(&self.track_index(entry.track)?)?;
            Some((entry.mid.to_string(), track.info.sid.clone()))
        };
        let mid_to_track_id: HashMap<String, String> = mids.iter().filter_map(sid).collect();
        pb::SessionDescription { r#type: kind.to_owned(), sdp: sdp.into(), id, mid_to_track_id }
    }

    fn handle_local_candidate(&mut self, session: SessionKey, target: PcTarget, candidate: &str, mid: &str, last: bool) {
        // An empty one would only say that there are no more, and native clients cannot parse it.
        if candidate.is_empty() {
            return;
        }
        let init = serde_json::json!({
            "candidate": candidate, "sdpMid": mid, "sdpMLineIndex": 0, "usernameFragment": null,
        });
        let target = match target {
            PcTarget::Publisher => pb::SignalTarget::Publisher,
            PcTarget::Subscriber => pb::SignalTarget::Subscriber,
        };
        let trickle = pb::TrickleRequest { candidate_init: init.to_string(), target: target as i32, r#final: last };
        self.signal(session.index, Message::Trickle(trickle));
    }

    fn handle_transport_state(&mut self, now: Instant, session: SessionKey, target: PcTarget, state: TransportState) {
        let index = session.index;
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.set_transport(target, state);
        match state {
            TransportState::Connected => {
                if !participant.is_failing && !participant.is_transport_down() {
                    self.timers.cancel(Reason::Disconnect(index));
                }
                if participant.primary() == target && !participant.is_active {
                    self.activate(now, index);
                }
            }
            TransportState::Disconnected => {
                if participant.connection.is_none() && !self.timers.is_set(Reason::Disconnect(index)) {
                    self.timers.set(Reason::Disconnect(index), now + DISCONNECT_GRACE);
                }
            }
            TransportState::Failed => self.handle_transport_failed(now, index),
            TransportState::Closed => self.handle_transport_closed(now, index),
        }
    }

    /// LiveKit: the client is told to resume, its signalling is dropped, and unless it comes back it goes.
    fn handle_transport_failed(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        if std::mem::replace(&mut participant.is_failing, true) {
            return;
        }
        let leave = Some(pb::leave_request::Action::Resume);
        self.end_signalling(now, index, Departure { reason: pb::DisconnectReason::ConnectionTimeout, leave });
        if !self.timers.is_set(Reason::Disconnect(index)) {
            self.timers.set(Reason::Disconnect(index), now + DISCONNECT_GRACE);
        }
    }

    /// The client is going. Its leave request may come behind its datagrams, so signalling stays open for it, for a moment.
    fn handle_transport_closed(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        if participant.connection.is_none() {
            self.remove(now, index, Departure::silent(pb::DisconnectReason::ClientInitiated));
        } else if !self.timers.is_set(Reason::Disconnect(index)) {
            self.timers.set(Reason::Disconnect(index), now + DISCONNECT_GRACE);
        }
    }

    /// The primary PeerConnection is up for the first time.
    fn activate(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get_mut(&index) else { return };
        participant.is_active = true;
        self.timers.cancel(Reason::Join(index));
        self.tell(now, index, Audience::Others, Pace::MayWait);
        if let Some(info) = self.participant_info(index) {
            self.push(Output::Happened(Happened::ParticipantJoined(Box::new(info))));
        }
        self.auto_subscribe(index);
        self.take_all_data_tracks(index);
    }

    /// A publication has its m-line: from now on the others see it. They are told before anything that carries it.
    fn handle_track_started(&mut self, now: Instant, key: TrackKey, codec: Codec, mid: &str) {
        let Some(track) = self.tracks.get_mut(&key.index) else { return };
        if codec.kind() != track.kind {
            return;
        }
        let before = track.published.then(|| track.info.clone());
        track.start(codec, mid);
        if before.as_ref() == Some(&track.info) {
            return;
        }
        let is_new = before.is_none();
        let (publisher, info) = (track.publisher, track.info.clone());
        let Some(participant) = self.participants.get_mut(&publisher) else { return };
        let first = !participant.is_publisher;
        participant.is_publisher = true;
        self.tell(now, publisher, Audience::Everybody, Pace::AtOnce);
        if !is_new {
            return;
        }
        if let Some(participant) = self.participant_info(publisher) {
            let (participant, track) = (Box::new(participant), Box::new(info));
            self.push(Output::Happened(Happened::TrackPublished { participant, track }));
        }
        self.offer_track(key.index);
        if first {
            self.room_changed(now, false);
        }
    }

    fn handle_session_ended(&mut self, now: Instant, session: SessionKey, why: SessionEnd) {
        let departure = match why {
            // Ours to repair: the client joins anew.
            SessionEnd::Panicked => Departure::reconnect(pb::DisconnectReason::StateMismatch),
            SessionEnd::TooSlow => Departure::reconnect(pb::DisconnectReason::StateMismatch),
            // A client that floods us would do it again.
            SessionEnd::Overrun => Departure::disconnect(pb::DisconnectReason::StateMismatch),
        };
        self.remove(now, session.index, departure);
    }
}
