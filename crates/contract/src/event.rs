//! What a worker tells the control plane (lane *event*: 16 × command; a full lane marks the node unhealthy).

use bytes::Bytes;
use sluicegate_rtp::codec::Codec;

use crate::command::{DataChannel, PcTarget};
use crate::key::{RoomKey, SessionKey, TrackKey};

/// One report of a worker.
#[derive(Clone, Debug)]
pub enum Event {
    /// The answer to `Command::Offer` with the same id.
    Answer {
        session: SessionKey,
        sdp: Box<str>,
        id: u32,
        mids: Vec<MidTrack>,
    },
    /// Our offer on the subscriber PeerConnection.
    Offer {
        session: SessionKey,
        sdp: Box<str>,
        id: u32,
        mids: Vec<MidTrack>,
    },
    /// An SDP from the client could not be used.
    NegotiationFailed {
        session: SessionKey,
        target: PcTarget,
        why: String,
    },
    /// A local candidate (JSON-free: the line `candidate:…`); `last` closes the list.
    Candidate {
        session: SessionKey,
        target: PcTarget,
        candidate: Box<str>,
        mid: Box<str>,
        last: bool,
    },
    TransportState {
        session: SessionKey,
        target: PcTarget,
        state: TransportState,
    },
    /// Single PC: sections the client must add; zeros mean "offer again, the spare ones suffice".
    MediaSectionsNeeded {
        session: SessionKey,
        audios: u32,
        videos: u32,
    },
    /// A publication was matched with its m-line (LiveKit publishes at this moment, before media).
    TrackStarted {
        track: TrackKey,
        codec: Codec,
        mid: Box<str>,
        rids: Vec<Box<str>>,
    },
    /// The client took the track's m-line away.
    TrackEnded {
        track: TrackKey,
    },
    /// The subscription has its m-line in a negotiated description.
    Subscribed {
        session: SessionKey,
        track: TrackKey,
    },
    SubscriptionFailed {
        session: SessionKey,
        track: TrackKey,
        why: SubscriptionError,
    },
    /// How good the connection was in the last seconds, from 0 to 100.
    Quality {
        session: SessionKey,
        score: u8,
    },
    /// One message of the client.
    Data {
        session: SessionKey,
        channel: DataChannel,
        payload: Bytes,
    },
    /// The session is gone by the worker's own decision.
    SessionEnded {
        session: SessionKey,
        why: SessionEnd,
    },
}

impl Event {
    /// The room whose inbox this belongs to.
    pub fn room(&self) -> RoomKey {
        match self {
            Event::Answer { session, .. }
            | Event::Offer { session, .. }
            | Event::NegotiationFailed { session, .. }
            | Event::Candidate { session, .. }
            | Event::TransportState { session, .. }
            | Event::MediaSectionsNeeded { session, .. }
            | Event::Subscribed { session, .. }
            | Event::SubscriptionFailed { session, .. }
            | Event::Quality { session, .. }
            | Event::Data { session, .. }
            | Event::SessionEnded { session, .. } => session.room,
            Event::TrackStarted { track, .. } | Event::TrackEnded { track } => track.room,
        }
    }
}

/// LiveKit: one entry of `SessionDescription.mid_to_track_id`, with the key in place of the SID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MidTrack {
    pub mid: Box<str>,
    pub track: TrackKey,
}

/// The state of one PeerConnection as ICE and DTLS see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransportState {
    /// ICE has a pair and DTLS is done.
    Connected,
    /// Nothing was heard for a while (10 s); may come back by itself.
    Disconnected,
    /// 5 s after `Disconnected`, or DTLS failed: will not come back.
    Failed,
    /// The peer closed it (DTLS close_notify): its client is leaving, and has said or will say so.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionError {
    /// LiveKit: SE_CODEC_UNSUPPORTED.
    CodecUnsupported,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// Its handling panicked and was contained; LiveKit's clients are sent a RECONNECT leave.
    Panicked,
    /// It sent more than its share (data lane).
    Overrun,
    /// It does not read what it is sent reliably.
    TooSlow,
}
