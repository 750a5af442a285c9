//! One participant: who it is, what it may, how it is connected, what it publishes and receives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sluicegate_contract::command::PcTarget;
use sluicegate_contract::event::TransportState;
use sluicegate_contract::key::SessionKey;
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb;

use crate::client::Client;
use crate::input::{ConnectionKey, SignalMode};
use crate::output::RefreshedGrants;
use crate::permission::Allowance;
use crate::subscription::Subscription;

/// A participant from its join to its removal.
#[derive(Debug)]
pub struct Participant {
    pub session: SessionKey,
    pub sid: String,
    pub identity: String,
    pub name: String,
    pub metadata: String,
    pub attributes: BTreeMap<String, String>,
    pub kind: pb::participant_info::Kind,
    pub kind_details: Vec<i32>,
    /// As the token spells them, for refreshed tokens; a connection that only publishes is somebody else than its token.
    pub kind_claim: String,
    pub token_identity: String,
    pub grant: VideoGrant,
    pub permission: pb::ParticipantPermission,
    pub tokens: crate::tokens::Tokens,
    pub client: Client,
    pub joined_at_ms: i64,
    /// Grows with each change that others see.
    pub version: u32,
    /// When the others were told of it last.
    pub told_at: Option<std::time::Instant>,
    pub is_active: bool,
    /// A track of it was once published.
    pub is_publisher: bool,

    pub mode: SignalMode,
    pub disable_ice_lite: bool,
    pub subscriber_primary: bool,
    pub connection: Option<ConnectionKey>,
    /// What it misses while it has none.
    pub absence: crate::resume::Absence,
    pub publisher_transport: Option<TransportState>,
    pub subscriber_transport: Option<TransportState>,
    /// A transport failed for good; the participant goes in a moment.
    pub is_failing: bool,
    /// The newest offer of ours that waits for its answer.
    pub offer_id: Option<u32>,

    /// Announced and published tracks by index.
    pub tracks: BTreeSet<u32>,
    /// add_track requests that wait for a track with the same cid to end.
    pub queued: BTreeMap<String, VecDeque<pb::AddTrackRequest>>,
    /// Who may subscribe to its tracks.
    pub allowance: Allowance,
    /// When it last was held against the present subscriptions by the client's wish.
    pub allowance_applied_at: Option<std::time::Instant>,

    pub auto_subscribe: bool,
    pub auto_subscribe_data_track: bool,
    /// Gets new tracks without asking (auto_subscribe, and far enough in its join).
    pub is_subscribing: bool,
    /// By track index.
    pub subscriptions: BTreeMap<u32, Subscription>,
    /// Tracks that it was told it may not have, and not yet that it may again. They outlive the wish: clients keep it in mind.
    pub denied: BTreeSet<u32>,
    pub quality: crate::quality::Quality,
    /// Of the newest reliable data packet (LiveKit: DataPacket.sequence).
    pub last_data_sequence: u32,
    pub replay: crate::data::Replay,
    pub data_tracks: crate::data_track::DataTracks,
    /// It is one of another room, shown here: it has neither signalling nor a session of its own.
    pub forwarded_from: Option<SessionKey>,
    /// Tracks wanted that are not there (yet), by SID.
    pub unresolved: BTreeMap<String, Unresolved>,
}

/// A track that somebody wants and that does not exist (yet).
#[derive(Clone, Copy, Debug)]
pub struct Unresolved {
    /// Then the client is told that there is none.
    pub until: std::time::Instant,
    /// Its track_setting came before it.
    pub disabled: bool,
}

/// Why a participant goes and what its client is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    pub reason: pb::DisconnectReason,
    /// None: nothing is sent.
    pub leave: Option<pb::leave_request::Action>,
}

impl Departure {
    /// The client shall not come back by itself.
    pub const fn disconnect(reason: pb::DisconnectReason) -> Self {
        Self { reason, leave: Some(pb::leave_request::Action::Disconnect) }
    }

    /// The client shall join anew.
    pub const fn reconnect(reason: pb::DisconnectReason) -> Self {
        Self { reason, leave: Some(pb::leave_request::Action::Reconnect) }
    }

    pub const fn silent(reason: pb::DisconnectReason) -> Self {
        Self { reason, leave: None }
    }
}

impl Participant {
    /// One that is nothing and may nothing yet.
    pub fn new(session: SessionKey, sid: String, identity: String, client: Client) -> Self {
        Self {
            session,
            sid,
            name: String::new(),
            metadata: String::new(),
            attributes: BTreeMap::new(),
            kind: pb::participant_info::Kind::Standard,
            kind_details: Vec::new(),
            kind_claim: String::new(),
            token_identity: identity.clone(),
            grant: VideoGrant::default(),
            permission: pb::ParticipantPermission::default(),
            tokens: Default::default(),
            identity,
            client,
            joined_at_ms: 0,
            version: 1,
            told_at: None,
            is_active: false,
            is_publisher: false,
            mode: SignalMode::V0,
            disable_ice_lite: false,
            subscriber_primary: false,
            connection: None,
            absence: Default::default(),
            publisher_transport: None,
            subscriber_transport: None,
            is_failing: false,
            offer_id: None,
            tracks: BTreeSet::new(),
            queued: BTreeMap::new(),
            allowance: Allowance::Everyone,
            allowance_applied_at: None,
            auto_subscribe: false,
            auto_subscribe_data_track: false,
            is_subscribing: false,
            subscriptions: BTreeMap::new(),
            denied: BTreeSet::new(),
            quality: Default::default(),
            last_data_sequence: 0,
            replay: Default::default(),
            data_tracks: Default::default(),
            forwarded_from: None,
            unresolved: BTreeMap::new(),
        }
    }

    pub fn touch(&mut self) {
        self.version = self.version.saturating_add(1);
    }

    /// LiveKit: agents and recorders neither hold a room open nor count against its limit.
    pub fn is_dependent(&self) -> bool {
        is_dependent(self.kind, &self.permission)
    }

    pub fn is_recorder(&self) -> bool {
        self.kind == pb::participant_info::Kind::Egress || self.permission.recorder
    }

    pub fn is_agent(&self) -> bool {
        self.kind == pb::participant_info::Kind::Agent || self.permission.agent
    }

    /// Publishers' subscription permissions do not bind agents and recorders.
    pub fn is_exempt_from_allowances(&self) -> bool {
        self.is_recorder() || self.is_agent()
    }

    pub fn is_forwarded(&self) -> bool {
        self.forwarded_from.is_some()
    }

    /// The PeerConnection whose connection makes the participant active.
    pub fn primary(&self) -> PcTarget {
        if self.subscriber_primary { PcTarget::Subscriber } else { PcTarget::Publisher }
    }

    pub fn set_transport(&mut self, target: PcTarget, state: TransportState) {
        match target {
            PcTarget::Publisher => self.publisher_transport = Some(state),
            PcTarget::Subscriber => self.subscriber_transport = Some(state),
        }
    }

    /// A transport was lost (perhaps for a while only).
    pub fn is_transport_down(&self) -> bool {
        [self.publisher_transport, self.subscriber_transport]
            .iter()
            .any(|state| matches!(state, Some(TransportState::Disconnected | TransportState::Failed | TransportState::Closed)))
    }

    /// Its client closed a transport by itself.
    pub fn has_closed(&self) -> bool {
        self.publisher_transport == Some(TransportState::Closed) || self.subscriber_transport == Some(TransportState::Closed)
    }

    /// Whether another subscription fits.
    pub fn has_room_for_subscription(&self) -> bool {
        self.subscriptions.len() + self.unresolved.len() < sluicegate_contract::limit::SUBSCRIPTIONS_PER_SESSION_MAX
    }

    pub fn queued_tracks(&self) -> usize {
        self.queued.values().map(VecDeque::len).sum()
    }

    pub fn state(&self) -> pb::participant_info::State {
        if self.is_active { pb::participant_info::State::Active } else { pb::participant_info::State::Joined }
    }

    /// LiveKit: ParticipantInfo. `tracks`: the published ones.
    pub fn info(&self, tracks: Vec<pb::TrackInfo>, region: &str) -> pb::ParticipantInfo {
        pb::ParticipantInfo {
            sid: self.sid.clone(),
            identity: self.identity.clone(),
            state: self.state() as i32,
            tracks,
            metadata: self.metadata.clone(),
            joined_at: self.joined_at_ms / 1000,
            joined_at_ms: self.joined_at_ms,
            name: self.name.clone(),
            version: self.version,
            permission: Some(self.permission.clone()),
            region: region.to_owned(),
            is_publisher: self.is_publisher,
            kind: self.kind as i32,
            attributes: self.attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            kind_details: self.kind_details.clone(),
            client_protocol: self.client.info.client_protocol,
            capabilities: self.client.info.capabilities.clone(),
            ..Default::default()
        }
    }

    /// What a fresh token of this participant says.
    pub fn refreshed_grants(&self) -> RefreshedGrants {
        RefreshedGrants {
            identity: self.token_identity.clone(),
            name: self.name.clone(),
            metadata: self.metadata.clone(),
            attributes: self.attributes.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
            kind: self.kind_claim.clone(),
            video: self.grant.clone(),
            original_expiry_secs: self.tokens.expiry_secs,
            begin_secs: Some(self.tokens.begin_secs),
        }
    }

    /// LiveKit: LeaveRequest as this client understands it. RESUME is nothing an old client could act on.
    pub fn leave(&self, departure: Departure) -> Option<pb::LeaveRequest> {
        leave_request(&self.client, departure)
    }
}

pub fn is_dependent(kind: pb::participant_info::Kind, permission: &pb::ParticipantPermission) -> bool {
    use pb::participant_info::Kind;
    matches!(kind, Kind::Agent | Kind::Egress) || permission.agent || permission.recorder
}

/// The claim `kind` of a token; anything unknown is a standard participant.
pub fn kind_of(claim: &str) -> pb::participant_info::Kind {
    let upper = claim.to_uppercase();
    pb::participant_info::Kind::from_str_name(&upper).unwrap_or(pb::participant_info::Kind::Standard)
}

/// One of the claim `kindDetails`.
pub fn kind_detail(claim: &str) -> Option<i32> {
    pb::participant_info::KindDetail::from_str_name(&claim.to_uppercase()).map(|detail| detail as i32)
}

pub fn leave_request(client: &Client, departure: Departure) -> Option<pb::LeaveRequest> {
    use pb::leave_request::Action;
    let action = departure.leave?;
    let reason = departure.reason as i32;
    if client.knows_leave_action() {
        return Some(pb::LeaveRequest { reason, action: action as i32, ..Default::default() });
    }
    match action {
        Action::Resume => None,
        _ => Some(pb::LeaveRequest { reason, can_reconnect: action == Action::Reconnect, ..Default::default() }),
    }
}
