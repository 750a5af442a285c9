//! What the control plane asks of a worker (lane *command*: 1024, the sender waits).
//!
//! Commands of one room arrive in the order in which its room emitted them. A command for a key that is gone is ignored.

use std::num::NonZeroU32;

use bytes::Bytes;
use sluicegate_rtp::codec::{Codec, MediaKind};
use smallvec::SmallVec;

use crate::key::{DataTrackKey, SessionKey, TrackKey};
use crate::relay::WorkerKey;

/// One request to a worker.
#[derive(Clone, Debug)]
pub enum Command {
    AddSession(Box<AddSession>),
    /// Ends the session: its transports close, its publications end (no `TrackEnded` is sent), its subscriptions go.
    RemoveSession {
        session: SessionKey,
    },
    /// The client's offer (publisher PeerConnection, or the only one). Answered by `Event::Answer` or `NegotiationFailed`.
    Offer {
        session: SessionKey,
        sdp: Box<str>,
        id: u32,
    },
    /// The client's answer to our offer on the subscriber PeerConnection; an `id` other than the newest offer's is ignored.
    Answer {
        session: SessionKey,
        sdp: Box<str>,
        id: u32,
    },
    /// The client resumes: what was under way is negotiated anew. With two PeerConnections the subscriber's is offered with an ICE
    /// restart; the client offers the other one, or the only one. `NegotiationFailed` where a connection is over for good.
    RestartIce {
        session: SessionKey,
        /// As [`AddSession::tcp_only`], from here on.
        tcp_only: bool,
    },
    /// A trickled candidate: the line `candidate:…` without `a=`. Empty: end of candidates.
    Candidate {
        session: SessionKey,
        target: PcTarget,
        candidate: Box<str>,
    },
    /// The client announced a track; its m-line may come before or after (matched as LiveKit does).
    AddTrack(Box<AddTrack>),
    /// The room withdraws a publication.
    RemoveTrack {
        track: TrackKey,
    },
    /// Publisher-side mute: nothing is forwarded while muted.
    MuteTrack {
        track: TrackKey,
        muted: bool,
    },
    Subscribe(Box<Subscribe>),
    Unsubscribe {
        session: SessionKey,
        track: TrackKey,
    },
    /// The subscriber's own setting: a disabled subscription gets no packets but keeps its m-line.
    ConfigureSubscription {
        session: SessionKey,
        track: TrackKey,
        disabled: bool,
    },
    /// The room has dealt with one `Event::Data` of so many bytes: the session may send as much again.
    DataTaken {
        session: SessionKey,
        bytes: u32,
        /// It went nowhere: malformed, not allowed, numbered as one before, or too large with its sender's name.
        refused: bool,
    },
    /// One message, shared by all its destinations.
    SendData {
        sessions: SmallVec<[SessionKey; 4]>,
        channel: DataChannel,
        payload: Bytes,
    },
    /// The client sends a data track under this handle, which no other of its tracks has.
    AddDataTrack {
        session: SessionKey,
        track: DataTrackKey,
        handle: u16,
    },
    /// Its subscriptions end with it.
    RemoveDataTrack {
        track: DataTrackKey,
    },
    /// The session gets the track's packets under a handle of its own; said again, the newer handle and rate count.
    SubscribeDataTrack {
        session: SessionKey,
        track: DataTrackKey,
        handle: u16,
        /// Frames a second at most; none: all there are.
        target_fps: Option<NonZeroU32>,
        /// As in `Subscribe`.
        from: Option<WorkerKey>,
    },
    UnsubscribeDataTrack {
        session: SessionKey,
        track: DataTrackKey,
    },
    /// Provokes a panic, to see what one costs. Sent in development only.
    Fault(Fault),
}

impl Command {
    /// The session whose handling this is; none where it is about a track or about several sessions.
    pub fn session(&self) -> Option<SessionKey> {
        match self {
            Self::AddSession(add) => Some(add.session),
            Self::AddTrack(add) => Some(add.session),
            Self::Subscribe(subscribe) => Some(subscribe.session),
            Self::RemoveSession { session }
            | Self::Offer { session, .. }
            | Self::Answer { session, .. }
            | Self::RestartIce { session, .. }
            | Self::Candidate { session, .. }
            | Self::Unsubscribe { session, .. }
            | Self::ConfigureSubscription { session, .. }
            | Self::DataTaken { session, .. }
            | Self::AddDataTrack { session, .. }
            | Self::SubscribeDataTrack { session, .. }
            | Self::UnsubscribeDataTrack { session, .. }
            | Self::Fault(
                Fault::Service(session)
                | Fault::Datagram(session)
                | Fault::Check(session)
                | Fault::Flush(session)
                | Fault::Data(session)
                | Fault::DataTrack(session)
                | Fault::Removal(session),
            ) => Some(*session),
            Self::RemoveTrack { .. }
            | Self::MuteTrack { .. }
            | Self::SendData { .. }
            | Self::RemoveDataTrack { .. }
            | Self::Fault(Fault::Worker(_)) => None,
        }
    }
}

/// Where to panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// In the service of this session at the end of a tick.
    Service(SessionKey),
    /// In the handling of this session's next datagram of ICE or DTLS.
    Datagram(SessionKey),
    /// In that of its next check, before its path is known.
    Check(SessionKey),
    /// In the next flush of media to this session.
    Flush(SessionKey),
    /// In the next data message to it.
    Data(SessionKey),
    /// In the next packet of a data track to it.
    DataTrack(SessionKey),
    /// In its removal.
    Removal(SessionKey),
    /// In this worker, outside of any session.
    Worker(WorkerKey),
}

/// Which PeerConnection of a dual-PC session; with a single PC everything is `Publisher`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PcTarget {
    /// LiveKit: `SignalTarget::PUBLISHER`.
    Publisher,
    /// LiveKit: `SignalTarget::SUBSCRIBER`.
    Subscriber,
}

/// LiveKit's two message channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataChannel {
    /// Label `_reliable`, ordered.
    Reliable,
    /// Label `_lossy`, unordered, no retransmission.
    Lossy,
}

/// A participant arrives in the media plane.
#[derive(Clone, Debug)]
pub struct AddSession {
    pub session: SessionKey,
    pub mode: PcMode,
    pub ice_lite: bool,
    /// The client is told our addresses of TCP only, where there are any (LiveKit: ICEConfig's preference).
    pub tcp_only: bool,
    /// The client may publish; without it offered send sections are answered inactive.
    pub can_publish: bool,
    /// Codecs the client may publish, in order of preference.
    pub publish_codecs: Vec<Codec>,
    /// Codecs that may be sent to the client.
    pub subscribe_codecs: Vec<Codec>,
    /// Firefox numbers payload types by itself and needs answers without alternatives.
    pub firefox: bool,
    /// Seeds SSRCs, session ids and first sequence numbers of this session.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcMode {
    /// `/rtc`: two PeerConnections. Where `offer_at_once`, the subscriber's is offered without waiting for a track
    /// (LiveKit: `subscriber_primary`).
    Dual { offer_at_once: bool },
    /// `/rtc/v1`: one PeerConnection, always offered by the client.
    Single,
}

/// A track the client will publish (LiveKit: AddTrackRequest).
#[derive(Clone, Debug)]
pub struct AddTrack {
    pub session: SessionKey,
    pub track: TrackKey,
    pub kind: MediaKind,
    /// Ids under which the client's SDP may know the track (cid, codec cids, sdp_cid), best first.
    pub cids: Vec<Box<str>>,
    /// The codec the client asked for, if any.
    pub preferred_codec: Option<Codec>,
    pub disable_red: bool,
    pub stereo: bool,
    /// Discontinuous transmission (TF_NO_DTX not set).
    pub dtx: bool,
    pub muted: bool,
    /// True for a screen share: its liveness is judged over a longer time.
    pub screen_share: bool,
    /// LiveKit `TrackInfo.layers` in order LOW, MEDIUM, HIGH: the rid of each where the client told it.
    pub rids: Vec<Box<str>>,
}

/// A participant shall receive a track.
#[derive(Clone, Debug)]
pub struct Subscribe {
    pub session: SessionKey,
    pub track: TrackKey,
    /// msid stream id: `PA_…|TR_…` or `PA_…|camera`; also the CNAME.
    pub stream_id: Box<str>,
    /// msid track id: `TR_…`.
    pub track_id: Box<str>,
    pub disabled: bool,
    /// The worker that the track is published on, where that is another one: it is relayed from there. The room leaves it open, the
    /// placement knows.
    pub from: Option<WorkerKey>,
}
