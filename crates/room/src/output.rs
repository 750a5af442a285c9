//! What a room wants done.

use std::sync::Arc;

use sluicegate_contract::{Command, SessionKey};
use sluicegate_proto::{grant::VideoGrant, pb};
use smallvec::SmallVec;

use crate::forwarding::Forwarded;
use crate::input::{ConnectionKey, RequestId};

/// One effect. Effects are carried out in the order in which they are polled.
#[derive(Debug)]
pub enum Output {
    /// The connection may be upgraded; its first frame follows as `Signal`.
    JoinAccepted {
        connection: ConnectionKey,
    },
    JoinRefused {
        connection: ConnectionKey,
        refusal: Refusal,
    },
    /// The same message to one or many connections: encoded once.
    Signal {
        connections: SmallVec<[ConnectionKey; 1]>,
        response: Arc<pb::SignalResponse>,
    },
    /// After what was sent before is flushed, close the WebSocket (code 1000).
    CloseConnection {
        connection: ConnectionKey,
    },
    /// Sign a fresh token with these rights and send it as `refresh_token`.
    RefreshToken {
        connection: ConnectionKey,
        token: Box<RefreshedGrants>,
    },
    /// Sign a token with these rights, in another room, and send the response with it.
    RoomMoved {
        connection: ConnectionKey,
        token: Box<RefreshedGrants>,
        response: Box<pb::RoomMovedResponse>,
    },
    Media(Command),
    ApiAnswer {
        request: RequestId,
        answer: Result<ApiReply, ApiError>,
    },
    /// A participant that other rooms show has changed, or (DISCONNECTED) left.
    Forwarded(Box<Forwarded>),
    /// A participant of another room, by its session there, is not shown here any more.
    ForwardingEnded {
        source: SessionKey,
    },
    /// The room as ListRooms shows it, whenever that changed.
    Snapshot(Box<pb::Room>),
    /// A fact for webhooks and logs.
    Happened(Happened),
    /// Asked of the room at its creation and not there in this version: for the log.
    Unhonoured(Vec<&'static str>),
    /// The room is over: nothing more will come; drop it.
    Closed,
}

/// What the shell needs to sign a refreshed token (the room knows no secrets).
#[derive(Clone, Debug)]
pub struct RefreshedGrants {
    pub identity: String,
    pub name: String,
    pub metadata: String,
    pub attributes: Vec<(String, String)>,
    pub kind: String,
    pub video: VideoGrant,
    /// Unix seconds at which the client's original token ended.
    pub original_expiry_secs: u64,
    /// Unix seconds at which that one began, 0 where it did not say: whoever takes it back takes back what came of it. None: these
    /// rights were given just now.
    pub begin_secs: Option<u64>,
}

/// A join that is refused: an HTTP status and a plain sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub text: String,
}

/// The answer to an `ApiCall`.
#[derive(Debug)]
pub enum ApiReply {
    Room(Box<pb::Room>),
    Participants(Vec<pb::ParticipantInfo>),
    Participant(Box<pb::ParticipantInfo>),
    /// The first description; the next ones are `Output::Forwarded`.
    Forwarded(Box<Forwarded>),
    Track(Option<Box<pb::TrackInfo>>),
    /// What a called method returned.
    Payload(String),
    /// Somebody was sent away; the Unix second at which its token ends.
    Removed {
        token_expiry_secs: u64,
    },
    Done,
}

/// Mapped to Twirp codes by the shell in one table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    InvalidArgument(String),
    #[error("{0}")]
    FailedPrecondition(String),
    #[error("{0}")]
    ResourceExhausted(String),
    #[error("{0}")]
    Unimplemented(String),
    /// Not now, or not for sure; asking again may help.
    #[error("{0}")]
    Unavailable(String),
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Canceled(String),
    #[error("{0}")]
    Internal(String),
    #[error("{0}")]
    Unknown(String),
}

/// Facts that others (webhooks, telemetry) may want; LiveKit's webhook event names.
#[derive(Clone, Debug)]
pub enum Happened {
    RoomStarted,
    RoomFinished,
    ParticipantJoined(Box<pb::ParticipantInfo>),
    ParticipantLeft(Box<pb::ParticipantInfo>),
    /// Left without ever having been active.
    ParticipantConnectionAborted(Box<pb::ParticipantInfo>),
    TrackPublished {
        participant: Box<pb::ParticipantInfo>,
        track: Box<pb::TrackInfo>,
    },
    TrackUnpublished {
        participant: Box<pb::ParticipantInfo>,
        track: Box<pb::TrackInfo>,
    },
}
