//! Resuming: a participant that lost its signalling, or its network, comes back to the stay it had, and is told what it has missed.
//! Nobody else hears of any of it. It may come back before its old connection is known to be dead, and as often as it likes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use sluicegate_contract::Command;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_proto::token::Claims;
use smallvec::smallvec;

use crate::client::Client;
use crate::input::{ConnectionKey, Join, Reconnect};
use crate::output::{Output, Refusal};
use crate::participant::{Departure, kind_of, leave_request};
use crate::room::Room;
use crate::timer::Reason;

/// Messages that are kept for one without signalling; whoever missed more joins anew.
const MISSED_MAX: usize = 64;
/// Departures that are kept for those without signalling.
const DEPARTURES_MAX: usize = 1000;
/// What was sent so shortly before a client came back may never have arrived: clients give up a silent connection after 15 s.
const IN_DOUBT: Duration = Duration::from_secs(20);
/// From resuming to a transport that is up again; clients give that up after 15 s.
const RESTART_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a simulated disturbance waits for a resume (LiveKit: 5 s).
const DISTURBANCE_TIME: Duration = Duration::from_secs(5);

/// What a client asked for to test its own resuming (LiveKit: SimulateScenario).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disturbance {
    /// `disconnect_signal_on_resume`: the connection ends behind the first messages.
    AfterMessages,
    /// `disconnect_signal_on_resume_no_messages`: the connection does not come about.
    BeforeMessages,
}

/// One participant's time without signalling, and what it missed of what concerns it alone. The state of the room it is told anew.
#[derive(Debug, Default)]
pub struct Absence {
    since: Option<Instant>,
    missed: Vec<Message>,
    /// There was too much to keep.
    is_lost: bool,
    /// Tracks that the server withdrew meanwhile: the client still names them when it resumes.
    withdrawn: Vec<String>,
    /// When the last time without signalling ended, and with it what had been withdrawn was told.
    ended: Option<Instant>,
    disturbance: Option<(Disturbance, Instant)>,
}

impl Absence {
    pub fn begin(&mut self, now: Instant) {
        self.since.get_or_insert(now);
        // what it was told lately may never have arrived
        if self.ended.take_if(|ended| now.saturating_duration_since(*ended) > IN_DOUBT).is_some() {
            self.withdrawn.clear();
        }
    }

    /// Of a message that nobody could be sent. What is negotiated or told anew in any case is not kept.
    pub fn miss(&mut self, message: Message) {
        match &message {
            Message::TrackUnpublished(unpublished) => self.withdrawn.push(unpublished.track_sid.clone()),
            Message::UnpublishDataTrackResponse(unpublished) => {
                self.withdrawn.extend(unpublished.info.as_ref().map(|info| info.sid.clone()));
            }
            Message::Mute(_)
            | Message::TrackPublished(_)
            | Message::TrackSubscribed(_)
            | Message::SubscriptionPermissionUpdate(_)
            | Message::SubscriptionResponse(_) => {}
            _ => return,
        }
        self.is_lost |= self.missed.len() >= MISSED_MAX || self.withdrawn.len() > MISSED_MAX;
        if self.is_lost {
            self.missed.clear();
            self.withdrawn.clear();
        } else {
            self.missed.push(message);
        }
    }

    pub fn disturb(&mut self, now: Instant, disturbance: Disturbance) {
        self.disturbance = Some((disturbance, now + DISTURBANCE_TIME));
    }

    fn take_disturbance(&mut self, now: Instant) -> Option<Disturbance> {
        let (disturbance, until) = self.disturbance.take()?;
        (now < until).then_some(disturbance)
    }

    pub fn has_withdrawn(&self, sid: &str) -> bool {
        self.withdrawn.iter().any(|withdrawn| withdrawn == sid)
    }

    /// It is over: since when it was, and what was missed.
    fn end(&mut self, now: Instant) -> (Option<Instant>, Vec<Message>) {
        self.ended = Some(now);
        (self.since.take(), std::mem::take(&mut self.missed))
    }
}

/// Who left lately, for those who were not there to hear it.
#[derive(Debug, Default)]
pub struct Departures {
    /// The oldest first.
    newest: VecDeque<(Instant, pb::ParticipantInfo)>,
    /// When the newest of those left that were dropped for want of space.
    forgotten: Option<Instant>,
}

impl Departures {
    /// `needed_since`: the beginning of the longest absence of those who may come back.
    fn note(&mut self, now: Instant, info: &pb::ParticipantInfo, needed_since: Option<Instant>) {
        let in_doubt = |at: Instant| now.saturating_duration_since(at) <= IN_DOUBT;
        while let Some((at, _)) = self.newest.front()
            && !in_doubt(*at)
            && needed_since.is_none_or(|since| *at < since)
        {
            self.newest.pop_front();
        }
        if self.newest.len() >= DEPARTURES_MAX {
            self.forgotten = self.newest.pop_front().map(|(at, _)| at);
        }
        let sid = info.sid.clone();
        let told = pb::ParticipantInfo {
            sid,
            identity: info.identity.clone(),
            state: pb::participant_info::State::Disconnected as i32,
            version: info.version,
            kind: info.kind,
            permission: info.permission.clone(),
            joined_at: info.joined_at,
            joined_at_ms: info.joined_at_ms,
            disconnect_reason: info.disconnect_reason,
            ..Default::default()
        };
        self.newest.push_back((now, told));
    }

    /// Whether everything is known since then.
    fn reach(&self, since: Instant) -> bool {
        self.forgotten.is_none_or(|forgotten| forgotten < since)
    }
}

impl Room {
    /// A client asks for the stay it had. The first frame says whether it has it.
    pub(crate) fn handle_resume(&mut self, now: Instant, join: Join, resumed: &Reconnect) {
        let connection = join.connection;
        let index = self.resumable(&join, resumed);
        let participant = index.and_then(|index| self.participants.get_mut(&index));
        let disturbance = participant.and_then(|participant| participant.absence.take_disturbance(now));
        if disturbance == Some(Disturbance::BeforeMessages) {
            let refusal = Refusal { status: 503, text: "disconnected as asked for".to_owned() };
            return self.push(Output::JoinRefused { connection, refusal });
        }
        self.push(Output::JoinAccepted { connection });
        let Some(index) = index else { return self.refuse_resume(join) };
        let (since, missed) = self.reconnect(now, index, connection, &join.claims);
        if let Some(response) = self.reconnect_response(index) {
            self.signal(index, Message::Reconnect(response));
        }
        self.tell_missed(now, index, since, missed);
        self.restart_ice(index);
        if let Some(offer) = join.publisher_offer {
            self.handle_client_offer(now, index, offer);
        }
        self.refresh_token(now, index);
        if disturbance == Some(Disturbance::AfterMessages) {
            self.end_signalling(now, index, Departure::silent(pb::DisconnectReason::SignalClose));
        }
    }

    pub(crate) fn restart_ice(&mut self, index: u32) {
        let (session, tcp_only) = (self.session_key(index), self.is_tcp_only(index));
        self.command(Command::RestartIce { session, tcp_only });
    }

    /// The participant that this client was, where it can be so again: it is there, its transports are of the same kind and were not
    /// closed, what it missed is known, and its token gives it no less than the stay has, as far as that came of tokens. A client that does not name its SID is known by its identity (LiveKit's Android SDK).
    fn resumable(&self, join: &Join, resumed: &Reconnect) -> Option<u32> {
        let index = *self.by_identity.get(&join.identity)?;
        let participant = self.participants.get(&index)?;
        let is_same = resumed.participant_sid.is_empty() || resumed.participant_sid == participant.sid;
        let is_alive = participant.mode == join.mode && !participant.has_closed() && !participant.is_forwarded();
        let absence = &participant.absence;
        let is_known = !absence.is_lost && absence.since.is_none_or(|since| self.departures.reach(since));
        let token = join.claims.video.clone().unwrap_or_default();
        let is_entitled = kind_of(&join.claims.kind) == participant.kind && participant.tokens.admit(&participant.grant, &token);
        (is_same && is_alive && is_known && is_entitled).then_some(index)
    }

    /// The client is told, in the first frame, to join anew.
    fn refuse_resume(&mut self, join: Join) {
        let departure = Departure::reconnect(pb::DisconnectReason::StateMismatch);
        if let Some(leave) = leave_request(&Client::new(join.client), departure) {
            self.signal_many(smallvec![join.connection], Message::Leave(leave));
        }
        self.push(Output::CloseConnection { connection: join.connection });
    }

    /// The new connection takes the old one's place.
    fn reconnect(
        &mut self,
        now: Instant,
        index: u32,
        connection: ConnectionKey,
        claims: &Claims,
    ) -> (Option<Instant>, Vec<Message>) {
        let Some(participant) = self.participants.get_mut(&index) else { return Default::default() };
        let old = participant.connection.replace(connection);
        let absence = participant.absence.end(now);
        participant.is_failing = false;
        participant.offer_id = None;
        participant.tokens.resumed(&participant.grant, claims);
        participant.quality.forget_others();
        let is_down = participant.is_transport_down();
        self.by_connection.insert(connection, index);
        if let Some(old) = old {
            self.by_connection.remove(&old);
            self.push(Output::CloseConnection { connection: old });
        }
        self.timers.cancel(Reason::Negotiation(index));
        self.timers.cancel(Reason::Disconnect(index));
        if is_down {
            self.timers.set(Reason::Disconnect(index), now + RESTART_TIMEOUT);
        }
        absence
    }

    fn reconnect_response(&self, index: u32) -> Option<pb::ReconnectResponse> {
        let participant = self.participants.get(&index)?;
        Some(pb::ReconnectResponse {
            ice_servers: self.config.ice_servers.clone(),
            client_configuration: participant.client.configuration(),
            server_info: Some(self.config.server_info.clone()),
            last_message_seq: participant.last_data_sequence,
        })
    }

    /// LiveKit: those who left meanwhile, then everybody with the client itself, then the room. Mutes come first: by the list of
    /// everybody a client would put right what it was not told of.
    fn tell_missed(&mut self, now: Instant, index: u32, since: Option<Instant>, missed: Vec<Message>) {
        let Some(participant) = self.participants.get(&index) else { return };
        let Some(connection) = participant.connection else { return };
        let mut infos = Vec::new();
        if participant.client.knows_departures_on_resume() {
            infos.extend(self.departures_since(now, &participant.identity, since));
        }
        let others = self.participants.iter().filter(|(other, p)| **other == index || !p.permission.hidden);
        infos.extend(others.filter_map(|(other, _)| self.participant_info(*other)));
        let (mutes, missed): (Vec<_>, Vec<_>) = missed.into_iter().partition(|message| matches!(message, Message::Mute(_)));
        for mute in mutes {
            self.signal(index, mute);
        }
        self.send_updates(smallvec![connection], infos);
        let room = Some(self.room_info());
        self.signal(index, Message::RoomUpdate(pb::RoomUpdate { room }));
        for message in missed {
            self.signal(index, message);
        }
        self.tell_data_handles(index);
    }

    /// Those who left while a client was away, and those who left so shortly before that it may not have heard of it. Of the latter
    /// not those who are here again: it may know them already. Never who it was itself, before this stay.
    fn departures_since(&self, now: Instant, own: &str, since: Option<Instant>) -> Vec<pb::ParticipantInfo> {
        let is_news = |(at, info): &&(Instant, pb::ParticipantInfo)| {
            let is_missed = since.is_some_and(|since| *at >= since);
            let is_in_doubt = since.unwrap_or(now).saturating_duration_since(*at) <= IN_DOUBT;
            info.identity != own && (is_missed || is_in_doubt && !self.by_identity.contains_key(&info.identity))
        };
        self.departures.newest.iter().filter(is_news).map(|(_, info)| info.clone()).collect()
    }

    /// Somebody is gone for the others.
    pub(crate) fn note_departure(&mut self, now: Instant, info: &pb::ParticipantInfo) {
        let needed_since = self.participants.values().filter_map(|participant| participant.absence.since).min();
        self.departures.note(now, info, needed_since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(number: u32) -> pb::ParticipantInfo {
        pb::ParticipantInfo { identity: number.to_string(), metadata: "long".to_owned(), ..Default::default() }
    }

    #[test]
    fn departures_are_kept_while_somebody_may_need_them() {
        let now = Instant::now();
        let at = |secs: u64| now + Duration::from_secs(secs);
        let mut departures = Departures::default();
        departures.note(at(0), &info(0), Some(at(0)));
        departures.note(at(100), &info(1), Some(at(0)));
        assert_eq!(departures.newest.len(), 2);
        departures.note(at(110), &info(2), Some(at(50)));
        assert_eq!(departures.newest.iter().map(|(_, info)| info.identity.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        departures.note(at(121), &info(3), None);
        assert_eq!(departures.newest.len(), 2, "nobody is away: those in doubt");
        assert!(departures.newest.iter().all(|(_, info)| info.metadata.is_empty()));
        for number in 0..DEPARTURES_MAX as u32 {
            departures.note(at(122), &info(number), Some(at(111)));
        }
        assert_eq!(departures.newest.len(), DEPARTURES_MAX);
        assert!(departures.reach(at(122)) && !departures.reach(at(111)));
    }

    #[test]
    fn whoever_missed_too_much_is_known_to_have() {
        let mut absence = Absence::default();
        let unpublished = |n: usize| Message::TrackUnpublished(pb::TrackUnpublishedResponse { track_sid: format!("TR_{n}") });
        absence.miss(Message::RoomUpdate(pb::RoomUpdate::default()));
        assert!(absence.missed.is_empty(), "told anew in any case");
        for number in 0..MISSED_MAX {
            absence.miss(unpublished(number));
        }
        assert!(!absence.is_lost && absence.has_withdrawn("TR_0"));
        absence.miss(unpublished(MISSED_MAX));
        assert!(absence.is_lost && absence.missed.is_empty());
        let now = Instant::now();
        absence.disturb(now, Disturbance::AfterMessages);
        assert_eq!(absence.take_disturbance(now + DISTURBANCE_TIME), None);
    }

    /// However often a client comes and goes.
    #[test]
    fn what_was_withdrawn_is_forgotten() {
        let now = Instant::now();
        let unpublished = |n: usize| Message::TrackUnpublished(pb::TrackUnpublishedResponse { track_sid: format!("TR_{n}") });
        let mut absence = Absence::default();
        let mut at = now;
        for number in 0..10 * MISSED_MAX {
            absence.begin(at);
            absence.miss(unpublished(number));
            assert_eq!(absence.end(at).1.len(), 1);
            at += IN_DOUBT / 2;
            assert!(absence.has_withdrawn(&format!("TR_{number}")), "until it has heard of it for sure");
            assert!(number == 0 || absence.has_withdrawn(&format!("TR_{}", number - 1)) || number % 3 == 0);
            at += if number % 3 == 2 { IN_DOUBT } else { Duration::ZERO };
            assert!(absence.withdrawn.len() <= 3, "{:?}", absence.withdrawn);
        }
        assert!(!absence.is_lost);
        for number in 0..=MISSED_MAX + 1 {
            absence.begin(at);
            absence.miss(unpublished(number));
            let _ = absence.end(at);
        }
        assert!(absence.is_lost && absence.withdrawn.is_empty(), "so fast that it is not known what it has heard");
    }
}
