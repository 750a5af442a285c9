//! What can happen to a room.

use sluicegate_contract::{Event, SessionKey};
use sluicegate_proto::{pb, token::Claims};

use crate::forwarding::Forwarded;
use crate::moving::Destination;

/// One signalling connection (WebSocket) of a client; never used again in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey(pub u64);

/// A question to a room; its answer carries the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something happened.
#[derive(Debug)]
pub enum Input {
    /// A validated client asks to join. Answered by `Output::JoinAccepted` or `Output::JoinRefused` with the same connection.
    Join(Box<Join>),
    /// A frame of a joined client (pings are answered by the shell and never come here).
    Signal { connection: ConnectionKey, request: Box<pb::SignalRequest> },
    /// The client's WebSocket is gone.
    SignalClosed { connection: ConnectionKey },
    /// A server API call; answered by `Output::ApiAnswer` with the same id.
    Api { request: RequestId, call: Box<ApiCall> },
    /// The media plane reports.
    Media(Event),
    /// A participant of another room, which is shown here, has changed or left.
    Forwarded(Box<Forwarded>),
    /// Nothing more will come of it, and it did not say so: its room is gone.
    ForwardingEnded { source: SessionKey },
    /// The server is stopping: the first so many are told to join anew, soon and elsewhere.
    SendAway { at_most: usize },
    /// The server is stopping: so are all that are left, and the room is over.
    Shutdown,
}

/// A join that passed the checks which need no room (token, names, limits).
#[derive(Debug)]
pub struct Join {
    pub connection: ConnectionKey,
    pub identity: String,
    /// The token's claims: grants, name, kind, metadata, attributes, room configuration.
    pub claims: Claims,
    pub client: pb::ClientInfo,
    pub mode: SignalMode,
    pub auto_subscribe: bool,
    /// The same for data tracks; clients that say nothing ask for each.
    pub auto_subscribe_data_track: bool,
    pub adaptive_stream: bool,
    pub disable_ice_lite: bool,
    /// Metadata and attributes from the connection itself, already allowed by canUpdateOwnMetadata.
    pub metadata: Option<String>,
    pub attributes: Vec<(String, String)>,
    /// v1: bundled with the join.
    pub add_tracks: Vec<pb::AddTrackRequest>,
    pub publisher_offer: Option<pb::SessionDescription>,
    /// The client resumes this participant.
    pub reconnect: Option<Reconnect>,
}

/// LiveKit: the query parameters `reconnect`, `sid`, `reconnect_reason`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconnect {
    pub participant_sid: String,
    pub reason: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalMode {
    /// `/rtc`: two PeerConnections.
    V0,
    /// `/rtc/v1`: one PeerConnection, offered by the client.
    V1,
}

/// RoomService calls that concern one existing room (authorised by the shell). Requests are LiveKit's own messages.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "always boxed, in `Input::Api`")]
pub enum ApiCall {
    /// CreateRoom of an existing room: non-zero fields replace.
    Configure(pb::CreateRoomRequest),
    Delete,
    ListParticipants,
    GetParticipant {
        identity: String,
    },
    RemoveParticipant {
        identity: String,
    },
    MutePublishedTrack(pb::MuteRoomTrackRequest),
    UpdateParticipant(pb::UpdateParticipantRequest),
    UpdateSubscriptions(pb::UpdateSubscriptionsRequest),
    SendData(pb::SendDataRequest),
    UpdateMetadata {
        metadata: String,
    },
    /// Answered when the participant has answered.
    PerformRpc(pb::PerformRpcRequest),
    /// The participant goes to another room.
    Move {
        identity: String,
        to: Destination,
    },
    /// The participant is to be shown in another room, too. Answered by `ApiReply::Forwarded`.
    Forward {
        identity: String,
    },
    /// A participant of another room is to be shown here.
    Show(Box<Forwarded>),
    /// Provokes a panic: of this participant's session in the media plane, or of the room itself. Asked in development only.
    Fault {
        identity: Option<String>,
    },
}
