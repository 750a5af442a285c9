//! The client's half of joining: what it announces, offers and answers.

use std::time::{Duration, Instant};

use sluicegate_proto::pb::{self, signal_request};
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_transport::negotiate::{ReceiveSection, Use};

use super::{Client, LayerSpec, PublishSpec, Stream};
use crate::offer::{self, Local};
use crate::publisher::{Numbers, Publication};
use crate::subscriber::Subscription;

/// Below the end of its range, so that it wraps early in every test.
const FIRST_SEQUENCE: u16 = 0x7FF0;

/// More sections at once than any room has tracks are not offered.
const SECTIONS_MAX: u32 = 1000;

impl Client {
    pub(super) fn handle_join(&mut self, now: Instant, join: &pb::JoinResponse) {
        self.joined = Some(join.clone());
        if join.ping_interval > 0 {
            let interval = Duration::from_secs(join.ping_interval.unsigned_abs().into());
            self.ping = Some((now + interval, interval));
        }
        for participant in &join.other_participants {
            self.participants.insert(participant.sid.clone(), participant.clone());
        }
        // said with the join itself
        if self.config.single {
            return;
        }
        for add in self.added_tracks() {
            self.request(signal_request::Message::AddTrack(add));
        }
        if self.has_up() {
            self.draw_ssrcs();
            self.send_offer();
        }
    }

    /// What it publishes.
    fn added_tracks(&self) -> Vec<pb::AddTrackRequest> {
        self.config.publish.iter().map(add_track).collect()
    }

    fn draw_ssrcs(&mut self) {
        let negotiation = &mut self.up.transport.negotiation;
        self.offered = self.config.publish.iter().map(|_| (negotiation.take_ssrc(), negotiation.take_ssrc())).collect();
    }

    /// With one PeerConnection: what goes with the join (LiveKit: `JoinRequest`), with sections for as much as LiveKit's clients begin
    /// with. None with two.
    pub fn first_offer(&mut self) -> Option<(Vec<pb::AddTrackRequest>, pb::SessionDescription)> {
        if !self.config.single {
            return None;
        }
        self.draw_ssrcs();
        self.receiving = [[MediaKind::Audio; 3], [MediaKind::Video; 3]].concat();
        Some((self.added_tracks(), self.next_offer()))
    }

    /// The server has more to send than there are sections for it.
    pub(super) fn offer_sections(&mut self, needed: &pb::MediaSectionsRequirement) {
        let more = |kind, count: u32| std::iter::repeat_n(kind, count.min(SECTIONS_MAX) as usize);
        self.receiving.extend(more(MediaKind::Audio, needed.num_audios).chain(more(MediaKind::Video, needed.num_videos)));
        self.send_offer();
    }

    pub(super) fn send_offer(&mut self) {
        let offer = self.next_offer();
        self.request(signal_request::Message::Offer(offer));
    }

    fn next_offer(&mut self) -> pb::SessionDescription {
        self.offer_id += 1;
        let (sdp, id) = (self.create_offer(), self.offer_id);
        pb::SessionDescription { r#type: "offer".to_owned(), sdp, id, ..Default::default() }
    }

    /// SSRCs are only named for tracks of one layer; those of others are drawn with the answer.
    fn create_offer(&self) -> String {
        let connection = &self.up.transport.connection;
        let (ufrag, pwd) = connection.offered_credentials();
        let local =
            Local { session_id: self.config.first_ssrc, ufrag, pwd, fingerprint: connection.fingerprint(), address: self.up.local };
        let tracks: Vec<_> = self.config.publish.iter().zip(self.offered.iter().copied()).collect();
        offer::write(&local, &tracks, self.config.open_channels, &self.receiving)
    }

    pub(super) fn handle_answer(&mut self, now: Instant, answer: &pb::SessionDescription) {
        let Some(answer) = offer::read_answer(&answer.sdp) else { return };
        if self.config.single {
            self.follow_streams(now, &answer.streams);
        }
        let connection = &mut self.up.transport.connection;
        let is_restarting = connection.is_restarting();
        if connection.is_started() && !is_restarting {
            return;
        }
        if is_restarting {
            connection.restart_ice(now, &answer.remote.ufrag, &answer.remote.pwd);
        } else {
            connection.start(now, &answer.remote);
        }
        for candidate in &answer.candidates {
            // one that cannot be used is no reason to give the others up
            let _ = connection.add_remote_candidate(candidate);
        }
        if is_restarting {
            return;
        }
        if answer.data && self.config.open_channels {
            connection.create_data_channel("_reliable", true, None);
            connection.create_data_channel("_lossy", false, Some(0));
            connection.create_data_channel("_data_track", false, Some(0));
        }
        for section in answer.sections {
            let Ok(track) = section.mid.parse::<usize>() else { continue };
            let (Some(spec), Some(ssrcs)) = (self.config.publish.get(track), self.offered.get(track).copied()) else { continue };
            let negotiation = &mut self.up.transport.negotiation;
            let rids: Vec<_> = spec.layers.iter().map(|layer| Some(layer.rid)).collect();
            for (layer, rid) in if rids.is_empty() { vec![None] } else { rids }.into_iter().enumerate() {
                let (ssrc, rtx_ssrc) = if layer == 0 { ssrcs } else { (negotiation.take_ssrc(), negotiation.take_ssrc()) };
                let numbers = Numbers {
                    payload_type: section.payload_type,
                    rtx_payload_type: section.rtx_payload_type,
                    ssrc,
                    rtx_ssrc,
                    mid: section.mid.clone(),
                    rid,
                    extensions: section.extensions,
                };
                self.publications.push(Publication::new(track, numbers, FIRST_SEQUENCE));
            }
        }
    }

    pub(super) fn handle_offer(&mut self, now: Instant, offer: &pb::SessionDescription) {
        let Ok(sdp) = self.down.transport.accept_offer(now, &offer.sdp, |_| None) else { return };
        let sections: Vec<ReceiveSection> = self
            .down
            .transport
            .negotiation
            .sections()
            .iter()
            .filter_map(|section| match &section.use_ {
                Use::Receive(receive) => Some((**receive).clone()),
                _ => None,
            })
            .collect();
        for subscription in &mut self.subscriptions {
            subscription.active = false;
        }
        for section in &sections {
            self.subscribe_section(now, section);
        }
        let id = offer.id;
        self.request(signal_request::Message::Answer(pb::SessionDescription {
            r#type: "answer".to_owned(),
            sdp,
            id,
            ..Default::default()
        }));
    }

    /// What the server sends on the only PeerConnection.
    fn follow_streams(&mut self, now: Instant, streams: &[offer::Stream]) {
        for subscription in &mut self.subscriptions {
            subscription.active = false;
        }
        for stream in streams {
            if let Some(kind) = stream.congestion {
                self.congestion.set_kind(now, kind);
            }
            self.extensions = stream.extensions;
            self.subscribe(stream.ssrcs, stream.codec, &stream.track_id);
        }
    }

    fn subscribe_section(&mut self, now: Instant, section: &ReceiveSection) {
        if let Some(kind) = section.congestion {
            self.congestion.set_kind(now, kind);
        }
        self.extensions = section.extensions;
        let codec = section.codecs.iter().map(|codec| codec.codec).find(|codec| *codec != Codec::Red).unwrap_or(Codec::Opus);
        for ssrcs in &section.ssrcs {
            self.subscribe(*ssrcs, codec, section.track_id.as_deref().unwrap_or_default());
        }
    }

    fn subscribe(&mut self, (ssrc, rtx): (u32, Option<u32>), codec: Codec, sid: &str) {
        let known = self.subscriptions.iter().position(|subscription| subscription.ssrc == ssrc);
        let index = known.unwrap_or_else(|| {
            self.subscriptions.push(Subscription::new(ssrc, codec, sid.to_owned()));
            self.subscriptions.len() - 1
        });
        if let Some(subscription) = self.subscriptions.get_mut(index) {
            subscription.active = true;
        }
        self.note_stream(ssrc, Stream { subscription: index, repair: false });
        if let Some(rtx) = rtx {
            self.note_stream(rtx, Stream { subscription: index, repair: true });
        }
    }

    fn note_stream(&mut self, ssrc: u32, stream: Stream) {
        match self.streams.binary_search_by_key(&ssrc, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, known)) = self.streams.get_mut(at) {
                    *known = stream;
                }
            }
            Err(at) => self.streams.insert(at, (ssrc, stream)),
        }
    }

    /// LiveKit's server tells its candidates one by one, as the JSON of a browser's `RTCIceCandidateInit`.
    pub(super) fn handle_trickle(&mut self, trickle: &pb::TrickleRequest) {
        let Ok(serde_json::Value::Object(init)) = serde_json::from_str(&trickle.candidate_init) else { return };
        let Some(candidate) = init.get("candidate").and_then(serde_json::Value::as_str) else { return };
        let peer = if trickle.target() == pb::SignalTarget::Publisher { &mut self.up } else { &mut self.down };
        // as above
        let _ = peer.transport.connection.add_remote_candidate(candidate);
    }
}

fn add_track(spec: &PublishSpec) -> pb::AddTrackRequest {
    let video = spec.codec.kind() == MediaKind::Video;
    let largest = spec.layers.last();
    let quality = [pb::VideoQuality::Low, pb::VideoQuality::Medium, pb::VideoQuality::High];
    let layer = |(layer, quality): (&LayerSpec, pb::VideoQuality)| pb::VideoLayer {
        quality: quality as i32,
        width: layer.width,
        height: layer.height,
        bitrate: layer.bitrate,
        rid: layer.rid.to_owned(),
        ..Default::default()
    };
    pb::AddTrackRequest {
        cid: spec.cid.clone(),
        r#type: if video { pb::TrackType::Video } else { pb::TrackType::Audio } as i32,
        source: if video { pb::TrackSource::Camera } else { pb::TrackSource::Microphone } as i32,
        width: largest.map_or(0, |layer| layer.width),
        height: largest.map_or(0, |layer| layer.height),
        layers: spec.layers.iter().zip(quality).map(layer).collect(),
        ..Default::default()
    }
}
