//! The beginning of a stay: may it come in, what is it told, what is started for it.

use std::collections::BTreeMap;
use std::time::Instant;

use sluicegate_contract::Command;
use sluicegate_contract::command::{AddSession, PcMode};
use sluicegate_contract::limit::PENDING_TRACKS_MAX;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_proto::{pb, sid};

use crate::client::{Client, codec_message};
use crate::config::{JOIN_TIMEOUT, PING_INTERVAL, PING_TIMEOUT, TOKEN_REFRESH_INTERVAL, apply_preset, create_request};
use crate::input::{Join, SignalMode};
use crate::output::{Output, Refusal};
use crate::participant::{Departure, Participant, is_dependent, kind_detail, kind_of};
use crate::room::Room;
use crate::timer::Reason;
use crate::tokens::Tokens;
use crate::update::{Audience, Pace};

impl Room {
    pub(crate) fn handle_join(&mut self, now: Instant, mut join: Join) {
        let connection = join.connection;
        if let Some(refusal) = self.refusal(&join) {
            return self.push(Output::JoinRefused { connection, refusal });
        }
        if let Some(resumed) = join.reconnect.take() {
            return self.handle_resume(now, join, &resumed);
        }
        self.push(Output::JoinAccepted { connection });
        if let Some(old) = self.by_identity.get(&join.identity).copied() {
            self.remove(now, old, Departure::disconnect(pb::DisconnectReason::DuplicateIdentity));
        }
        self.configure_by_token(&join);
        let add_tracks = std::mem::take(&mut join.add_tracks);
        let publisher_offer = join.publisher_offer.take();
        let index = self.admit(now, join);
        self.welcome(now, index);
        self.start_session(index);
        for request in add_tracks.into_iter().take(PENDING_TRACKS_MAX) {
            self.handle_add_track(now, index, request);
        }
        let Some(participant) = self.participants.get(&index) else { return };
        // LiveKit: what there is goes into the very first description; with a publisher as primary once that is connected.
        if participant.subscriber_primary || participant.mode == SignalMode::V1 {
            self.auto_subscribe(index);
        }
        if let Some(offer) = publisher_offer {
            self.handle_client_offer(now, index, offer);
        }
        self.refresh_token(now, index);
    }

    /// A fresh token for a connected client, and the next one's date.
    pub(crate) fn refresh_token(&mut self, now: Instant, index: u32) {
        let Some(participant) = self.participants.get(&index) else { return };
        self.timers.set(Reason::RefreshToken(index), now + TOKEN_REFRESH_INTERVAL);
        if let Some(connection) = participant.connection {
            let token = Box::new(participant.refreshed_grants());
            self.push(Output::RefreshToken { connection, token });
        }
    }

    fn refusal(&self, join: &Join) -> Option<Refusal> {
        let refuse = |status, text: String| Some(Refusal { status, text });
        if self.is_closed || self.is_leaving {
            return refuse(503, "the room has just closed, join again".to_owned());
        }
        if self.by_connection.contains_key(&join.connection) {
            return refuse(500, "this connection has already joined".to_owned());
        }
        let permission = join.claims.video.clone().unwrap_or_default().to_permission();
        if join.reconnect.is_some() || is_dependent(kind_of(&join.claims.kind), &permission) {
            return None;
        }
        self.fullness(&join.identity).and_then(|text| refuse(429, text))
    }

    /// Why one more of those who count, with this identity, has no place. Whoever is replaced makes room.
    pub(crate) fn fullness(&self, identity: &str) -> Option<String> {
        let max = self.info.max_participants;
        let counts = |participant: &&Participant| !participant.is_dependent() && participant.identity != identity;
        let count = self.participants.values().filter(counts).count();
        let full = max != 0 && u32::try_from(count).unwrap_or(u32::MAX) >= max;
        full.then(|| format!("the room is full: it has its {max} participants at most"))
    }

    /// LiveKit: a token's room configuration counts for the room that its join creates. Here: where nothing was said before.
    fn configure_by_token(&mut self, join: &Join) {
        let Some(said) = self.said_at_creation.take() else { return };
        let claims = &join.claims;
        if claims.room_config.is_none() && claims.room_preset.is_empty() {
            return;
        }
        let mut create = create_request(&self.info.name, &claims.room_config.clone().unwrap_or_default());
        // an unknown name was refused at the door
        create.room_preset = claims.room_preset.clone();
        apply_preset(&self.config.configurations, &mut create);
        for (field, said) in [
            (&mut create.empty_timeout, said.empty_timeout),
            (&mut create.departure_timeout, said.departure_timeout),
            (&mut create.max_participants, said.max_participants),
        ] {
            if said != 0 {
                *field = 0;
            }
        }
        let asked = claims.room_config.as_ref();
        self.tell_unhonoured(&pb::CreateRoomRequest {
            agents: asked.map(|asked| asked.agents.clone()).unwrap_or_default(),
            egress: asked.and_then(|asked| asked.egress.clone()),
            ..create.clone()
        });
        if !said.metadata.is_empty() || !self.config.limits.allows_metadata(&create.metadata) {
            create.metadata.clear();
        }
        self.configure(&create);
    }

    fn admit(&mut self, now: Instant, join: Join) -> u32 {
        let index = self.next_participant();
        // a token without a video grant grants nothing beyond the defaults
        let grant = join.claims.video.clone().unwrap_or_default();
        let permission = grant.to_permission();
        let client = Client::new(join.client);
        let mut attributes: BTreeMap<String, String> = join.claims.attributes.clone().into_iter().collect();
        attributes.extend(join.attributes.into_iter().filter(|(_, value)| !value.is_empty()));
        let participant_sid = sid::generate(sid::PARTICIPANT, || self.entropy.next_u64());
        let subscriber_primary = join.mode == SignalMode::V0 && client.knows_subscriber_primary() && permission.can_subscribe;
        let participant = Participant {
            name: join.claims.name.clone(),
            metadata: join.metadata.unwrap_or_else(|| join.claims.metadata.clone()),
            attributes,
            kind: kind_of(&join.claims.kind),
            kind_details: join.claims.kind_details.iter().filter_map(|detail| kind_detail(detail)).collect(),
            kind_claim: join.claims.kind.clone(),
            token_identity: Some(join.claims.identity()).filter(|said| !said.is_empty()).unwrap_or(&join.identity).to_owned(),
            grant,
            permission,
            tokens: Tokens::new(&join.claims),
            joined_at_ms: self.clock.unix_ms(now),
            mode: join.mode,
            disable_ice_lite: join.disable_ice_lite,
            subscriber_primary,
            connection: Some(join.connection),
            auto_subscribe: join.auto_subscribe,
            auto_subscribe_data_track: join.auto_subscribe_data_track,
            ..Participant::new(self.session_key(index), participant_sid, join.identity, client)
        };
        self.by_connection.insert(join.connection, index);
        self.timers.set(Reason::Join(index), now + JOIN_TIMEOUT);
        self.add_participant(index, participant);
        index
    }

    /// Into all lists but that of connections.
    pub(crate) fn add_participant(&mut self, index: u32, participant: Participant) {
        self.was_joined |= !participant.is_dependent();
        self.by_identity.insert(participant.identity.clone(), index);
        self.by_sid.insert(participant.sid.clone(), index);
        self.participants.insert(index, participant);
    }

    /// The JoinResponse, then the news for the others.
    fn welcome(&mut self, now: Instant, index: u32) {
        if let Some(response) = self.join_response(index) {
            self.signal(index, Message::Join(response));
        }
        self.tell(now, index, Audience::Others, Pace::MayWait);
        let recorders = self.participants.values().filter(|participant| participant.is_recorder()).count();
        let starts_recording = recorders == 1 && self.participants.get(&index).is_some_and(Participant::is_recorder);
        self.room_changed(now, starts_recording);
    }

    fn join_response(&self, index: u32) -> Option<pb::JoinResponse> {
        let participant = self.participants.get(&index)?;
        let visible = self.participants.iter().filter(|(other, p)| **other != index && !p.permission.hidden);
        let publish_codecs = participant.client.publish_codecs(&self.config.enabled_codecs);
        let server = &self.config.server_info;
        Some(pb::JoinResponse {
            room: Some(self.room_info()),
            participant: self.participant_info(index),
            other_participants: visible.filter_map(|(other, _)| self.participant_info(*other)).collect(),
            server_version: server.version.clone(),
            server_region: server.region.clone(),
            server_info: Some(server.clone()),
            ice_servers: self.config.ice_servers.clone(),
            subscriber_primary: participant.subscriber_primary,
            client_configuration: participant.client.configuration(),
            ping_interval: PING_INTERVAL.as_secs() as i32,
            ping_timeout: PING_TIMEOUT.as_secs() as i32,
            sif_trailer: self.sif_trailer.clone(),
            enabled_publish_codecs: publish_codecs.into_iter().map(codec_message).collect(),
            fast_publish: participant.permission.can_publish,
            alternative_url: String::new(),
        })
    }

    fn start_session(&mut self, index: u32) {
        let seed = self.entropy.next_u64();
        let Some(participant) = self.participants.get(&index) else { return };
        let client = &participant.client;
        let mode = match participant.mode {
            SignalMode::V0 => PcMode::Dual { offer_at_once: participant.subscriber_primary },
            SignalMode::V1 => PcMode::Single,
        };
        let add = AddSession {
            session: participant.session,
            mode,
            ice_lite: self.config.ice_lite && client.knows_ice_lite() && !participant.disable_ice_lite,
            tcp_only: self.is_tcp_only(index),
            // It may be allowed to later; until then nothing it sends is announced, so nothing is taken.
            can_publish: true,
            publish_codecs: client.publish_codecs(&self.config.enabled_codecs),
            subscribe_codecs: client.subscribe_codecs(&self.config.enabled_codecs),
            firefox: client.is_firefox(),
            seed,
        };
        self.command(Command::AddSession(Box::new(add)));
    }
}
