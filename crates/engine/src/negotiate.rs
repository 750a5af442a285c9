//! Descriptions: offers of the client and ours, and what follows from them for publications and subscriptions.

use std::time::Instant;

use sluicegate_contract::command::{AddTrack, PcMode, PcTarget};
use sluicegate_contract::event::{MidTrack, SubscriptionError};
use sluicegate_contract::relay::LayerSet;
use sluicegate_contract::{Event, SessionKey, TrackKey};
use sluicegate_rtp::codec::MediaKind;
use sluicegate_sfu::down_track::{DownTrack, DownTrackConfig};
use sluicegate_sfu::fanout::Fanout;
use sluicegate_sfu::receiver::{Layer, Receiver, ReceiverConfig};
use sluicegate_transport::negotiate::{NegotiatedCodec, OfferedSection, PublishHint, ReceiveSection, SectionKind, Use};

use crate::engine::Engine;
use crate::link::Route;
use crate::publication::{Announced, Origin, Publication};
use crate::subscription::{DownLine, PayloadTypes, Rtx};

impl Engine {
    /// The client's offer on the publisher PeerConnection, or on the only one.
    pub(crate) fn offered(&mut self, now: Instant, key: SessionKey, sdp: &str, id: u32) {
        let Some(index) = self.session_index(key) else { return };
        let session = &self.sessions[index as usize];
        let link = session.publisher;
        let announced = &session.announced;
        let taken: Vec<&str> = session.publications.iter().map(|p| &*self.publications[*p as usize].mid).collect();
        let hint = |section: &OfferedSection| {
            let known = taken.contains(&section.mid.as_str());
            if known { None } else { find(announced, section).map(hint_of) }
        };
        let can_publish = session.can_publish;
        let transport = &mut self.links[link as usize].transport;
        let before = transport.connection.local_ufrag().to_owned();
        let result = transport.accept_offer(now, sdp, hint);
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                let (session, target) = (key, PcTarget::Publisher);
                self.events.push_back(Event::NegotiationFailed { session, target, why: error.to_string() });
                return;
            }
        };
        let state = &mut self.links[link as usize];
        if state.transport.connection.local_ufrag() != before {
            state.restarted(now);
            state.paths.restarted();
        }
        self.demux.set_ufrags(link, state.transport.connection.local_ufrag(), state.transport.local_ufrag());
        if can_publish {
            self.follow_publications(now, index);
            self.claim_sections(now, index);
        }
        self.follow_subscriptions(now, index);
        let mids = self.mids(link);
        self.events.push_back(Event::Answer { session: key, sdp: answer.into(), id, mids });
        let session = &mut self.sessions[index as usize];
        session.offering.asked = (0, 0);
        if session.mode == PcMode::Single {
            let waiting = self.links[link as usize].transport.negotiation.outstanding();
            if waiting != (0, 0) {
                session.offering.want(now);
            }
        }
        self.touch(index);
    }

    /// The client's answer on the subscriber PeerConnection.
    pub(crate) fn answered(&mut self, now: Instant, key: SessionKey, sdp: &str, id: u32) {
        let Some(index) = self.session_index(key) else { return };
        let session = &mut self.sessions[index as usize];
        let Some(link) = session.subscriber else { return };
        if !session.offering.answered(now, id) {
            return;
        }
        let state = &mut self.links[link as usize];
        let first = !state.transport.connection.is_started();
        let before = state.transport.connection.local_ufrag().to_owned();
        if let Err(error) = state.transport.accept_answer(now, sdp) {
            let (session, target) = (key, PcTarget::Subscriber);
            self.events.push_back(Event::NegotiationFailed { session, target, why: error.to_string() });
            return;
        }
        if state.transport.connection.local_ufrag() != before {
            state.paths.restarted();
            self.demux.set_ufrags(link, state.transport.connection.local_ufrag(), state.transport.local_ufrag());
        }
        if first {
            // LiveKit's labels and reliabilities; the client listens for them on this PeerConnection
            let connection = &mut state.transport.connection;
            connection.create_data_channel("_reliable", true, None);
            connection.create_data_channel("_lossy", false, Some(0));
            connection.create_data_channel("_data_track", false, Some(0));
        }
        self.follow_subscriptions(now, index);
        self.touch(index);
    }

    /// The client resumes. What was offered or asked last may never have reached it; where it is has changed, or its network had gone.
    pub(crate) fn restart_ice(&mut self, now: Instant, key: SessionKey, tcp_only: bool) {
        let Some(index) = self.session_index(key) else { return };
        let addresses = self.addresses(tcp_only);
        let session = &mut self.sessions[index as usize];
        session.offering.restart(now, session.subscriber.is_some());
        let subscriber = session.subscriber;
        for link in session.transports() {
            let state = &mut self.links[link as usize];
            state.transport.tell_addresses(&addresses);
            let is_well = !state.transport.connection.is_failed() && (subscriber != Some(link) || state.transport.restart_ice());
            if !is_well {
                let target = state.target;
                self.events.push_back(Event::NegotiationFailed { session: key, target, why: "the connection is over".to_owned() });
                return;
            }
            state.restarted(now);
            self.demux.set_ufrags(link, state.transport.connection.local_ufrag(), state.transport.local_ufrag());
        }
        self.touch(index);
    }

    /// Offers on the subscriber PeerConnection, or asks the client for an offer, when the quiet time is over.
    pub(crate) fn offer_if_due(&mut self, now: Instant, index: u32) {
        let session = &mut self.sessions[index as usize];
        if !session.offering.take_due(now) {
            return;
        }
        let key = session.key;
        match session.subscriber {
            Some(link) => {
                let Ok(sdp) = self.links[link as usize].transport.negotiation.create_offer() else { return };
                let id = session.offering.begin();
                let mids = self.mids(link);
                self.events.push_back(Event::Offer { session: key, sdp: sdp.into(), id, mids });
            }
            None => {
                let negotiation = &self.links[session.publisher as usize].transport.negotiation;
                let (waiting, spare) = (negotiation.outstanding(), negotiation.spare());
                let asked = session.offering.asked;
                let audios = waiting.0.saturating_sub(spare.0 + asked.0);
                let videos = waiting.1.saturating_sub(spare.1 + asked.1);
                session.offering.asked = (asked.0 + audios, asked.1 + videos);
                self.events.push_back(Event::MediaSectionsNeeded { session: key, audios, videos });
            }
        }
    }

    fn mids(&self, link: u32) -> Vec<MidTrack> {
        let mids = self.links[link as usize].transport.negotiation.mids();
        mids.into_iter().map(|(mid, key)| MidTrack { mid: mid.into(), track: TrackKey::unpack(key) }).collect()
    }

    /// Publications whose section went away end; those whose section changed learn its new SSRCs.
    fn follow_publications(&mut self, now: Instant, index: u32) {
        let session = &self.sessions[index as usize];
        let link = session.publisher;
        let sections = self.links[link as usize].transport.negotiation.sections();
        let mut ended = Vec::new();
        let mut updated = Vec::new();
        for &publication in &session.publications {
            let mid = &*self.publications[publication as usize].mid;
            match sections.iter().find(|section| section.mid == mid).map(|section| &section.use_) {
                Some(Use::Receive(receive)) => updated.push((publication, receive.ssrcs.clone())),
                _ => ended.push(publication),
            }
        }
        let unclaimed: Vec<String> = sections
            .iter()
            .filter(|section| matches!(section.use_, Use::Receive(_)))
            .map(|section| section.mid.clone())
            .filter(|mid| !session.publications.iter().any(|p| *self.publications[*p as usize].mid == **mid))
            .collect();
        for (publication, ssrcs) in updated {
            self.bind_ssrcs(link, publication, &ssrcs);
        }
        for publication in ended {
            let track = self.publications[publication as usize].key;
            self.end_publication(now, publication);
            self.sessions[index as usize].publications.retain(|known| *known != publication);
            self.events.push_back(Event::TrackEnded { track });
        }
        self.sessions[index as usize].unclaimed = unclaimed;
    }

    /// Brings m-lines and announcements together that have found each other.
    pub(crate) fn claim_sections(&mut self, now: Instant, index: u32) {
        let session = &mut self.sessions[index as usize];
        let link = session.publisher;
        let unclaimed = std::mem::take(&mut session.unclaimed);
        let mut left = Vec::new();
        for mid in unclaimed {
            let sections = self.links[link as usize].transport.negotiation.sections();
            let Some(Use::Receive(receive)) = sections.iter().find(|s| s.mid == mid).map(|s| &s.use_) else { continue };
            let receive = receive.clone();
            let session = &mut self.sessions[index as usize];
            let found = session.announced.find(receive.kind, receive.track_id.as_deref()).map(|add| add.track);
            match found.and_then(|track| session.announced.take(track)) {
                Some(add) => self.publish(now, index, &mid, &add, &receive),
                None => left.push(mid),
            }
        }
        self.sessions[index as usize].unclaimed = left;
    }

    fn publish(&mut self, now: Instant, index: u32, mid: &str, add: &AddTrack, receive: &ReceiveSection) {
        let Some(first) = receive.codecs.first() else { return };
        let codec = first.codec;
        let link = self.sessions[index as usize].publisher;
        let numbered = |codec: &NegotiatedCodec| (codec.payload_type, codec.codec);
        let rids: Vec<Box<str>> = receive.rids.iter().map(|rid| rid.as_str().into()).collect();
        let publication = Publication {
            receiver: Receiver::new(ReceiverConfig {
                kind: receive.kind,
                clock_rate: codec.clock_rate(),
                screen_share: add.screen_share,
                nack: first.feedback.iter().any(|feedback| feedback == "nack") || receive.kind == MediaKind::Video,
            }),
            fanout: Fanout::default(),
            muted: add.muted,
            codecs: receive.codecs.iter().map(numbered).collect(),
            repairs: receive.codecs.iter().filter_map(|codec| Some((codec.rtx?, codec.payload_type))).collect(),
            extensions: receive.extensions,
            relays: Vec::new(),
            told_alive: LayerSet::default(),
            origin: Origin::Session { session: index, transport: link },
            wanted: LayerSet::default(),
            key: add.track,
            subscriptions: Vec::new(),
            kind: receive.kind,
            codec,
            fmtp: first.fmtp.clone(),
            screen_share: add.screen_share,
            mid: mid.into(),
            rids: in_order(rids),
        };
        let rids = publication.rids.clone();
        let publication = self.publications.insert(publication) as u32;
        self.by_track.insert(add.track, publication);
        self.sessions[index as usize].publications.push(publication);
        self.bind_ssrcs(link, publication, &receive.ssrcs);
        self.events.push_back(Event::TrackStarted { track: add.track, codec, mid: mid.into(), rids });
        let state = &mut self.links[link as usize];
        if state.report_due.is_none() {
            state.report_due = Some(now + crate::link::FIRST_REPORT);
        }
    }

    /// SSRCs that the description names: one layer each, in its order. With rids they are learnt from the packets.
    fn bind_ssrcs(&mut self, link: u32, publication: u32, ssrcs: &[(u32, Option<u32>)]) {
        let state = &mut self.publications[publication as usize];
        if !state.rids.is_empty() {
            return;
        }
        let routes = &mut self.links[link as usize].routes;
        for (layer, (ssrc, rtx)) in ssrcs.iter().take(3).enumerate() {
            let layer = layer as u8;
            if routes.set(*ssrc, Route { publication, layer, rtx: false }) {
                state.receiver.bind_layer(Layer(layer), *ssrc);
            }
            if let Some(rtx) = rtx {
                routes.set(*rtx, Route { publication, layer, rtx: true });
            }
        }
    }

    /// Subscriptions whose section the client knows now begin to flow; those it cannot take are reported.
    fn follow_subscriptions(&mut self, now: Instant, index: u32) {
        let session = &self.sessions[index as usize];
        let (link, key) = (session.down(), session.key);
        for subscription in session.subscriptions.clone() {
            let state = &self.subscriptions[subscription as usize];
            let track = state.track;
            let negotiation = &self.links[link as usize].transport.negotiation;
            if negotiation.is_failed(track.packed()) {
                self.end_subscription(now, subscription);
                let why = SubscriptionError::CodecUnsupported;
                self.events.push_back(Event::SubscriptionFailed { session: key, track, why });
                continue;
            }
            let Some((_, send)) = negotiation.send_section(track.packed()).filter(|(_, send)| send.active) else { continue };
            if state.line.as_ref().is_some_and(|line| line.ssrc == send.ssrc) {
                continue;
            }
            let entropy = &mut self.sessions[index as usize].entropy;
            let line = DownLine {
                down_track: DownTrack::new(DownTrackConfig {
                    kind: send.kind,
                    clock_rate: send.codec.clock_rate(),
                    ssrc: send.ssrc,
                    first_sequence: entropy.next_u32() as u16,
                    first_rtx_sequence: entropy.next_u32() as u16,
                }),
                ssrc: send.ssrc,
                rtx: send.rtx_payload_type.map(|payload_type| Rtx { ssrc: send.rtx_ssrc, payload_type }),
                payload_types: PayloadTypes { main: send.payload_type, red: send.red_payload_type },
                extensions: send.extensions,
                cname: send.stream_id.as_str().into(),
            };
            self.subscriptions[subscription as usize].line = Some(line);
            self.refresh_sink(now, subscription);
            self.events.push_back(Event::Subscribed { session: key, track });
            let state = &mut self.links[link as usize];
            if state.report_due.is_none() {
                state.report_due = Some(now + crate::link::FIRST_REPORT);
            }
        }
    }
}

fn find<'a>(announced: &'a Announced, section: &OfferedSection) -> Option<&'a AddTrack> {
    let SectionKind::Media(kind) = section.kind else { return None };
    announced.find(kind, section.track_id.as_deref())
}

fn hint_of(add: &AddTrack) -> PublishHint {
    PublishHint { preferred_codec: add.preferred_codec, disable_red: add.disable_red, stereo: add.stereo, dtx: add.dtx }
}

/// Lowest layer first: LiveKit's clients write q, h, f in any order.
fn in_order(mut rids: Vec<Box<str>>) -> Vec<Box<str>> {
    let rank = |rid: &str| match rid {
        "q" | "2" => 0,
        "h" | "1" => 1,
        "f" | "0" => 2,
        _ => 3,
    };
    rids.sort_by_key(|rid| rank(rid));
    rids
}
