//! A participant on two PeerConnections (LiveKit's `/rtc`): joins, publishes what it was told to, receives everything.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluicegate_proto::pb::{self, signal_request, signal_response};
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::header::{self, Kind, RtpHeader};
use sluicegate_rtp::ntp::NtpTime;
use sluicegate_rtp::rtcp::{Compound, Packet, Writer};
use sluicegate_transport::certificate::Certificate;
use sluicegate_transport::negotiate::{Role, SenderSpec, Use};

use crate::peer::Peer;
use crate::publisher::Publication;
use crate::subscriber::Subscription;

#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Local addresses of the publisher and the subscriber PeerConnection.
    pub addresses: [SocketAddr; 2],
    pub certificate: Certificate,
    pub publish: Vec<PublishSpec>,
    pub first_ssrc: u32,
    /// NTP time at the moment the client is made.
    pub ntp: Duration,
}

/// A track to publish.
#[derive(Clone, Debug)]
pub struct PublishSpec {
    pub cid: String,
    pub codec: Codec,
}

/// What the client wants done, or reports.
#[derive(Debug)]
pub enum Output {
    Signal(Box<pb::SignalRequest>),
    /// From which of its two addresses, where to, what.
    Datagram {
        from: usize,
        destination: SocketAddr,
        contents: Vec<u8>,
    },
    Arrived(Arrival),
    /// A message of a data channel, with its label.
    Message {
        label: String,
        data: Vec<u8>,
    },
}

/// A media packet that arrived for the first time.
#[derive(Debug)]
pub struct Arrival {
    /// The server's SSRC of the track.
    pub ssrc: u32,
    pub kind: MediaKind,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: Vec<u8>,
    pub repaired: bool,
}

pub struct Client {
    config: ClientConfig,
    started: Instant,
    up: Peer,
    down: Peer,
    offer_id: u32,
    pub publications: Vec<Publication>,
    subscriptions: BTreeMap<u32, Subscription>,
    /// Repair SSRC → (primary SSRC, kind); primary SSRC → itself.
    streams: BTreeMap<u32, (u32, MediaKind)>,
    pub joined: Option<pb::JoinResponse>,
    pub participants: BTreeMap<String, pb::ParticipantInfo>,
    pub left: Option<pb::LeaveRequest>,
    pub duplicates: u64,
    /// Bytes of datagrams that arrived on the subscriber PeerConnection, RTP only.
    pub rtp_bytes_down: u64,
    outputs: VecDeque<Output>,
}

impl Client {
    pub fn new(now: Instant, config: ClientConfig) -> Self {
        let up = Peer::new(now, Role::Offer, config.addresses[0], &config.certificate, config.first_ssrc);
        let down = Peer::new(now, Role::Answer, config.addresses[1], &config.certificate, config.first_ssrc ^ 0x4000_0000);
        Self {
            config,
            started: now,
            up,
            down,
            offer_id: 0,
            publications: Vec::new(),
            subscriptions: BTreeMap::new(),
            streams: BTreeMap::new(),
            joined: None,
            participants: BTreeMap::new(),
            left: None,
            duplicates: 0,
            rtp_bytes_down: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Both ways are up as far as they are needed.
    pub fn is_connected(&self) -> bool {
        self.down.connected && (self.config.publish.is_empty() || (self.up.connected && !self.publications.is_empty()))
    }

    pub fn handle_signal(&mut self, now: Instant, response: &pb::SignalResponse) {
        match &response.message {
            Some(signal_response::Message::Join(join)) => self.handle_join(now, join),
            Some(signal_response::Message::Answer(answer)) if self.up.transport.accept_answer(now, &answer.sdp).is_ok() => {
                self.begin_publications();
            }
            Some(signal_response::Message::Offer(offer)) => self.handle_offer(now, offer),
            Some(signal_response::Message::Update(update)) => {
                for participant in &update.participants {
                    if participant.state() == pb::participant_info::State::Disconnected {
                        self.participants.remove(&participant.sid);
                    } else {
                        self.participants.insert(participant.sid.clone(), participant.clone());
                    }
                }
            }
            Some(signal_response::Message::Leave(leave)) => self.left = Some(leave.clone()),
            _ => {}
        }
        self.poll(now);
    }

    pub fn handle_datagram(&mut self, now: Instant, at: usize, source: SocketAddr, datagram: &mut [u8]) {
        match header::classify(datagram) {
            Kind::Rtp => self.handle_rtp(now, datagram),
            Kind::Rtcp => self.handle_rtcp(now, at, datagram),
            _ => {
                let peer = if at == 0 { &mut self.up } else { &mut self.down };
                let local = peer.local;
                peer.transport.connection.handle_datagram(now, source, local, datagram);
            }
        }
        self.poll(now);
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.poll(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let peers = [&self.up, &self.down].into_iter().filter_map(|peer| peer.transport.connection.poll_timeout());
        let subscriptions = self.subscriptions.values().filter_map(Subscription::poll_timeout);
        let publications = self.publications.iter().filter_map(Publication::report_due);
        peers.chain(subscriptions).chain(publications).min()
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Sends one packet of a track.
    pub fn send_media(&mut self, now: Instant, track: usize, timestamp: u32, marker: bool, payload: &[u8]) {
        if let Some(publication) = self.publications.get_mut(track) {
            publication.send(now, &mut self.up, timestamp, marker, payload);
        }
        self.collect();
    }

    /// Whether the server sends repairs under this SSRC.
    pub fn is_repair(&self, ssrc: u32) -> bool {
        self.streams.get(&ssrc).is_some_and(|(primary, _)| *primary != ssrc)
    }

    /// Sends a signal request of the caller's.
    pub fn request(&mut self, message: signal_request::Message) {
        self.outputs.push_back(Output::Signal(Box::new(pb::SignalRequest { message: Some(message) })));
    }

    fn handle_join(&mut self, _now: Instant, join: &pb::JoinResponse) {
        self.joined = Some(join.clone());
        for participant in &join.other_participants {
            self.participants.insert(participant.sid.clone(), participant.clone());
        }
        for (key, spec) in self.config.publish.clone().into_iter().enumerate() {
            let kind = spec.codec.kind();
            let video = kind == MediaKind::Video;
            self.request(signal_request::Message::AddTrack(pb::AddTrackRequest {
                cid: spec.cid.clone(),
                r#type: if video { pb::TrackType::Video } else { pb::TrackType::Audio } as i32,
                source: if video { pb::TrackSource::Camera } else { pb::TrackSource::Microphone } as i32,
                ..Default::default()
            }));
            let sender = SenderSpec {
                key: key as u64,
                kind,
                codec: spec.codec,
                fmtp: String::new(),
                stream_id: "stream".to_owned(),
                track_id: spec.cid,
            };
            let _ = self.up.transport.negotiation.add_sender(sender);
        }
        if !self.config.publish.is_empty() {
            self.offer_id += 1;
            if let Ok(sdp) = self.up.transport.negotiation.create_offer() {
                let id = self.offer_id;
                self.request(signal_request::Message::Offer(pb::SessionDescription {
                    r#type: "offer".to_owned(),
                    sdp,
                    id,
                    ..Default::default()
                }));
            }
        }
    }

    fn handle_offer(&mut self, now: Instant, offer: &pb::SessionDescription) {
        let Ok(sdp) = self.down.transport.accept_offer(now, &offer.sdp, |_| None) else { return };
        for section in self.down.transport.negotiation.sections() {
            let Use::Receive(receive) = &section.use_ else { continue };
            for (ssrc, rtx) in &receive.ssrcs {
                self.streams.insert(*ssrc, (*ssrc, receive.kind));
                self.subscriptions.entry(*ssrc).or_insert_with(|| Subscription::new(*ssrc));
                if let Some(rtx) = rtx {
                    self.streams.insert(*rtx, (*ssrc, receive.kind));
                }
            }
        }
        let id = offer.id;
        self.request(signal_request::Message::Answer(pb::SessionDescription {
            r#type: "answer".to_owned(),
            sdp,
            id,
            ..Default::default()
        }));
    }

    fn begin_publications(&mut self) {
        for key in self.publications.len() as u64..self.config.publish.len() as u64 {
            if let Some((_, section)) = self.up.transport.negotiation.send_section(key).filter(|(_, section)| section.active) {
                self.publications.push(Publication::new(section.clone(), 0x7FF0));
            }
        }
    }

    fn handle_rtp(&mut self, now: Instant, datagram: &mut [u8]) {
        self.rtp_bytes_down += datagram.len() as u64;
        let Ok(header) = RtpHeader::parse(datagram) else { return };
        let Some(opener) = self.down.transport.connection.opener() else { return };
        let Ok(opened) = opener.open_rtp(header.ssrc, header.sequence, header.header_len, datagram) else {
            // libwebrtc's SRTP drops a second copy as a replay
            self.duplicates += 1;
            return;
        };
        let Some((ssrc, kind)) = self.streams.get(&header.ssrc).copied() else { return };
        let Some(payload) = datagram.get(..opened.len).and_then(|packet| header.payload(packet).ok()) else { return };
        let repaired = ssrc != header.ssrc;
        let (sequence, payload) = match repaired.then(|| header::split_rtx(payload)) {
            Some(Some((sequence, payload))) => (sequence, payload),
            Some(None) => return,
            None => (header.sequence, payload),
        };
        let Some(subscription) = self.subscriptions.get_mut(&ssrc) else { return };
        if !subscription.handle_packet(now, sequence) {
            self.duplicates += 1;
            return;
        }
        let arrival = Arrival { ssrc, kind, sequence, timestamp: header.timestamp, payload: payload.to_vec(), repaired };
        self.outputs.push_back(Output::Arrived(arrival));
    }

    fn handle_rtcp(&mut self, now: Instant, at: usize, datagram: &mut [u8]) {
        let peer = if at == 0 { &mut self.up } else { &mut self.down };
        let Some(Ok(len)) = peer.transport.connection.opener().map(|opener| opener.open_rtcp(datagram)) else { return };
        for packet in Compound::parse(&datagram[..len]) {
            match packet {
                Packet::SenderReport { info, .. } => {
                    if let Some(subscription) = self.subscriptions.get_mut(&info.ssrc) {
                        subscription.handle_sender_report(now, NtpTime(info.ntp));
                    }
                }
                Packet::Nack(nack) => {
                    for sequence in nack.sequences() {
                        if let Some(publication) = self.publications.iter_mut().find(|p| p.ssrc() == nack.media) {
                            publication.resend(now, &mut self.up, sequence);
                        }
                    }
                }
                Packet::Pli { media, .. } => {
                    if let Some(publication) = self.publications.iter_mut().find(|p| p.ssrc() == media) {
                        publication.key_frame_wanted = true;
                    }
                }
                Packet::ReferenceTime { ssrc, ntp } => {
                    let dlrr = sluicegate_rtp::rtcp::Dlrr { ssrc, last_receiver_report: NtpTime(ntp).middle(), delay: 0 };
                    let mut buffer = [0u8; 64];
                    let mut writer = Writer::new(&mut buffer);
                    writer.dlrr(1, &dlrr);
                    let len = writer.len();
                    self.up.send_rtcp(&buffer[..len]);
                }
                _ => {}
            }
        }
    }

    fn poll(&mut self, now: Instant) {
        self.up.poll(now);
        self.down.poll(now);
        let ntp = NtpTime::from_unix(self.config.ntp + now.saturating_duration_since(self.started));
        for (at, publication) in self.publications.iter_mut().enumerate() {
            let rate = self.config.publish.get(at).map_or(48_000, |spec| spec.codec.clock_rate());
            publication.report(now, &mut self.up, ntp, rate);
        }
        let mut buffer = [0u8; 1200];
        let mut writer = Writer::new(&mut buffer);
        for subscription in self.subscriptions.values_mut() {
            subscription.write(now, &mut writer);
        }
        let len = writer.len();
        if len > 0 {
            self.down.send_rtcp(&buffer[..len]);
        }
        self.collect();
    }

    fn collect(&mut self) {
        for (from, peer) in [&mut self.up, &mut self.down].into_iter().enumerate() {
            for (destination, contents) in peer.datagrams.drain(..) {
                self.outputs.push_back(Output::Datagram { from, destination, contents });
            }
            for (label, data) in peer.messages.drain(..) {
                self.outputs.push_back(Output::Message { label, data });
            }
        }
    }
}
