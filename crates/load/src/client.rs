//! A participant on two PeerConnections (LiveKit's `/rtc`) or on one (`/rtc/v1`): joins, publishes what it was told to, receives
//! everything.

mod negotiate;
mod receive;
mod resume;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sluicegate_proto::pb::{self, signal_request, signal_response};
use sluicegate_rtp::codec::{Codec, MediaKind};
use sluicegate_rtp::extension::ExtensionMap;
use sluicegate_rtp::ntp::NtpTime;
use sluicegate_rtp::rtcp::{ReportBlock, Writer};
use sluicegate_transport::certificate::Certificate;
use sluicegate_transport::negotiate::Role;

use crate::feedback::CongestionFeedback;
use crate::peer::Peer;
use crate::publisher::Publication;
use crate::subscriber::Subscription;

/// Blocks of one receiver report (RFC 3550 §6.4.2: five bits).
const BLOCKS_MAX: usize = 31;
/// The label of the channel whose messages all arrive.
const RELIABLE: &str = "_reliable";
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// libwebrtc's datagrams of RTCP are not longer.
const RTCP_BYTES_MAX: usize = 1200;

#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Local addresses of the publisher and the subscriber PeerConnection.
    pub addresses: [SocketAddr; 2],
    pub certificate: Certificate,
    pub publish: Vec<PublishSpec>,
    /// Opens the channels `_reliable` and `_lossy`, to send on them.
    pub open_channels: bool,
    /// One PeerConnection, which it offers itself: the publisher's carries both ways.
    pub single: bool,
    pub first_ssrc: u32,
    /// NTP time at the moment the client is made.
    pub ntp: Duration,
}

/// A track to publish.
#[derive(Clone, Debug)]
pub struct PublishSpec {
    pub cid: String,
    pub codec: Codec,
    /// Simulcast layers, lowest first; empty: a single stream.
    pub layers: Vec<LayerSpec>,
}

/// A simulcast layer of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSpec {
    pub rid: &'static str,
    pub width: u32,
    pub height: u32,
    pub bitrate: u32,
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

/// An [`Arrival`] whose payload still lies in its datagram.
#[derive(Clone, Copy, Debug)]
pub struct Arrived<'a> {
    /// Index into [`Client::subscriptions`].
    pub subscription: usize,
    pub sequence: u16,
    pub timestamp: u32,
    pub payload: &'a [u8],
    pub repaired: bool,
}

pub struct Client {
    config: ClientConfig,
    started: Instant,
    up: Peer,
    down: Peer,
    offer_id: u32,
    offered: Vec<(u32, u32)>,
    /// With one PeerConnection: sections for what the server may send.
    receiving: Vec<MediaKind>,
    pub publications: Vec<Publication>,
    subscriptions: Vec<Subscription>,
    /// (SSRC, what comes under it), in order.
    streams: Vec<(u32, Stream)>,
    congestion: CongestionFeedback,
    extensions: ExtensionMap,
    pub joined: Option<pb::JoinResponse>,
    pub participants: BTreeMap<String, pb::ParticipantInfo>,
    /// Data tracks that it receives: SID and handle.
    pub data_handles: BTreeMap<String, u32>,
    pub left: Option<pb::LeaveRequest>,
    /// Identities that it saw leave.
    pub departed: Vec<String>,
    /// How often it came back to its stay.
    pub resumes: u32,
    /// Its own tracks, as the server knows them.
    published: Vec<pb::TrackPublishedResponse>,
    reliable: resume::Reliable,
    pub duplicates: u64,
    /// Datagrams that no key opened.
    pub unauthentic: u64,
    /// Bytes of datagrams that arrived on the subscriber PeerConnection, RTP only.
    pub rtp_bytes_down: u64,
    ping: Option<(Instant, Duration)>,
    report_due: Option<Instant>,
    /// The earliest of all deadlines.
    deadline: Option<Instant>,
    outputs: VecDeque<Output>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stream {
    subscription: usize,
    repair: bool,
}

impl PublishSpec {
    /// A single stream.
    pub fn new(cid: &str, codec: Codec) -> Self {
        Self { cid: cid.to_owned(), codec, layers: Vec::new() }
    }
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
            offered: Vec::new(),
            receiving: Vec::new(),
            publications: Vec::new(),
            subscriptions: Vec::new(),
            streams: Vec::new(),
            congestion: CongestionFeedback::new(now),
            extensions: ExtensionMap::new(),
            joined: None,
            participants: BTreeMap::new(),
            data_handles: BTreeMap::new(),
            left: None,
            departed: Vec::new(),
            resumes: 0,
            published: Vec::new(),
            reliable: resume::Reliable::default(),
            duplicates: 0,
            unauthentic: 0,
            rtp_bytes_down: 0,
            ping: None,
            report_due: None,
            deadline: Some(now),
            outputs: VecDeque::new(),
        }
    }

    /// Both ways are up as far as they are needed.
    pub fn is_connected(&self) -> bool {
        let published = self.config.publish.is_empty() || !self.publications.is_empty();
        (self.config.single || self.down.connected) && (!self.has_up() || (self.up.connected && published))
    }

    /// The tracks it was ever offered, in the order of their offers.
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.subscriptions
    }

    pub fn handle_signal(&mut self, now: Instant, response: &pb::SignalResponse) {
        match &response.message {
            Some(signal_response::Message::Join(join)) => self.handle_join(now, join),
            Some(signal_response::Message::Answer(answer)) => self.handle_answer(now, answer),
            Some(signal_response::Message::Offer(offer)) => self.handle_offer(now, offer),
            Some(signal_response::Message::Trickle(trickle)) => self.handle_trickle(trickle),
            Some(signal_response::Message::MediaSectionsRequirement(needed)) => self.offer_sections(needed),
            Some(signal_response::Message::Update(update)) => {
                for participant in &update.participants {
                    if participant.state() == pb::participant_info::State::Disconnected {
                        if self.participants.remove(&participant.sid).is_some() {
                            self.departed.push(participant.identity.clone());
                        }
                    } else {
                        self.participants.insert(participant.sid.clone(), participant.clone());
                    }
                }
            }
            Some(signal_response::Message::Reconnect(reconnect)) => self.handle_reconnect(now, reconnect),
            Some(signal_response::Message::TrackPublished(published)) => self.published.push(published.clone()),
            Some(signal_response::Message::Leave(leave)) => self.left = Some(leave.clone()),
            Some(signal_response::Message::DataTrackSubscriberHandles(handles)) => {
                self.data_handles.extend(handles.sub_handles.iter().map(|(handle, track)| (track.track_sid.clone(), *handle)));
            }
            _ => {}
        }
        self.poll(now);
    }

    /// As [`Client::receive`]; media comes out as [`Output::Arrived`].
    pub fn handle_datagram(&mut self, now: Instant, at: usize, source: SocketAddr, datagram: &mut [u8]) {
        let arrival = self.receive(now, at, source, datagram).map(|arrived| {
            let Arrived { subscription, sequence, timestamp, payload, repaired } = arrived;
            (subscription, sequence, timestamp, payload.to_vec(), repaired)
        });
        if let Some((subscription, sequence, timestamp, payload, repaired)) = arrival
            && let Some(subscription) = self.subscriptions.get(subscription)
        {
            let (ssrc, kind) = (subscription.ssrc, subscription.kind);
            self.outputs.push_back(Output::Arrived(Arrival { ssrc, kind, sequence, timestamp, payload, repaired }));
        }
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        self.poll(now);
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Sends one packet of a publication.
    pub fn send_media(&mut self, now: Instant, publication: usize, timestamp: u32, marker: bool, payload: &[u8]) {
        if let Some(publication) = self.publications.get_mut(publication) {
            publication.send(now, &mut self.up, timestamp, marker, payload);
            if let Some(due) = publication.report_due() {
                self.hasten(due);
            }
        }
        self.collect();
    }

    /// Sends one message on an open channel of the publisher PeerConnection; false: it is not open, or full.
    pub fn send_message(&mut self, now: Instant, label: &str, data: &[u8]) -> bool {
        let sent = self.up.send_message(now, label, data);
        if sent && label == RELIABLE {
            self.reliable.send(data);
        }
        self.poll(now);
        sent
    }

    /// Whether the server sends repairs under this SSRC.
    pub fn is_repair(&self, ssrc: u32) -> bool {
        self.stream(ssrc).is_some_and(|stream| stream.repair)
    }

    /// Sends a signal request of the caller's.
    pub fn request(&mut self, message: signal_request::Message) {
        self.outputs.push_back(Output::Signal(Box::new(pb::SignalRequest { message: Some(message) })));
    }

    /// It publishes something, or receives there.
    fn has_up(&self) -> bool {
        self.config.single || self.config.open_channels || !self.config.publish.is_empty()
    }

    /// The PeerConnection on which it receives.
    fn down(&mut self) -> &mut Peer {
        if self.config.single { &mut self.up } else { &mut self.down }
    }

    fn stream(&self, ssrc: u32) -> Option<Stream> {
        let at = self.streams.binary_search_by_key(&ssrc, |(known, _)| *known).ok()?;
        self.streams.get(at).map(|(_, stream)| *stream)
    }

    fn poll(&mut self, now: Instant) {
        if self.has_up() {
            self.up.poll(now);
        }
        if !self.config.single {
            self.down.poll(now);
        }
        let ntp = NtpTime::from_unix(self.config.ntp + now.saturating_duration_since(self.started));
        for publication in &mut self.publications {
            let rate = self.config.publish.get(publication.track).map_or(48_000, |spec| spec.codec.clock_rate());
            publication.report(now, &mut self.up, ntp, rate);
        }
        self.write_feedback(now);
        self.send_ping(now);
        self.collect();
        self.deadline = self.next_deadline();
    }

    /// What is due of NACKs, receiver reports and congestion feedback, in as many datagrams as it takes.
    fn write_feedback(&mut self, now: Instant) {
        let mut buffer = [0u8; RTCP_BYTES_MAX];
        let mut writer = Writer::new(&mut buffer);
        for subscription in &mut self.subscriptions {
            subscription.write_nack(now, &mut writer);
        }
        if self.congestion.poll_timeout().is_some_and(|due| due <= now) {
            let is_video = |subscription: &&Subscription| subscription.kind == MediaKind::Video && subscription.active;
            let ssrcs: Vec<u32> = self.subscriptions.iter().filter(is_video).map(|subscription| subscription.ssrc).collect();
            self.congestion.write(now, &ssrcs, &mut writer);
        }
        let len = writer.len();
        if len > 0 {
            self.down().send_rtcp(&buffer[..len]);
        }
        if self.report_due.is_some_and(|due| due <= now) {
            self.report_due = Some(now + REPORT_INTERVAL);
            let active = self.subscriptions.iter_mut().filter(|subscription| subscription.active);
            let blocks: Vec<ReportBlock> = active.filter_map(|subscription| subscription.report_block(now)).collect();
            for blocks in blocks.chunks(BLOCKS_MAX) {
                let mut writer = Writer::new(&mut buffer);
                writer.receiver_report(1, blocks);
                let len = writer.len();
                self.down().send_rtcp(&buffer[..len]);
            }
        }
    }

    fn send_ping(&mut self, now: Instant) {
        let Some((due, interval)) = self.ping.filter(|(due, _)| *due <= now) else { return };
        self.ping = Some((due + interval, interval));
        let timestamp = (self.config.ntp + now.saturating_duration_since(self.started)).as_millis() as i64;
        self.request(signal_request::Message::PingReq(pb::Ping { timestamp, rtt: 0 }));
    }

    fn next_deadline(&self) -> Option<Instant> {
        let peers = [self.has_up().then_some(&self.up), (!self.config.single).then_some(&self.down)].into_iter().flatten();
        let peers = peers.filter_map(|peer| peer.transport.connection.poll_timeout());
        let subscriptions = self.subscriptions.iter().filter_map(Subscription::poll_timeout);
        let publications = self.publications.iter().filter_map(Publication::report_due);
        let own = [self.report_due, self.congestion.poll_timeout(), self.ping.map(|(due, _)| due)].into_iter().flatten();
        peers.chain(subscriptions).chain(publications).chain(own).min()
    }

    fn hasten(&mut self, due: Instant) {
        self.deadline = Some(self.deadline.map_or(due, |deadline| deadline.min(due)));
    }

    fn collect(&mut self) {
        for (from, peer) in [&mut self.up, &mut self.down].into_iter().enumerate() {
            for (destination, contents) in peer.datagrams.drain(..) {
                self.outputs.push_back(Output::Datagram { from, destination, contents });
            }
            for (label, data) in peer.messages.drain(..) {
                if label == RELIABLE && !self.reliable.receive(&data) {
                    continue;
                }
                self.outputs.push_back(Output::Message { label, data });
            }
        }
    }
}
