//! What a room is given when it is made: defaults, limits and what clients are told of the server.

use std::collections::BTreeMap;
use std::time::Duration;

use sluicegate_proto::pb;
use sluicegate_rtp::codec::Codec;

/// Told to clients: how often to ping, and when to give up (LiveKit: 5 s and 15 s).
pub const PING_INTERVAL: Duration = Duration::from_secs(5);
pub const PING_TIMEOUT: Duration = Duration::from_secs(15);
/// From the join to an established primary transport (LiveKit: one minute).
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(60);
/// From the loss of the transport (or of both transport and signalling) to the end (LiveKit: 5 s).
pub const DISCONNECT_GRACE: Duration = Duration::from_secs(5);
/// From our offer to its answer, while the transport is up (LiveKit: 15 s).
pub const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(15);
/// Between two refreshed tokens (LiveKit: 5 min).
pub const TOKEN_REFRESH_INTERVAL: Duration = Duration::from_secs(300);
/// A wanted track that never appears (LiveKit: one minute).
pub const TRACK_NOT_FOUND_TIMEOUT: Duration = Duration::from_secs(60);
/// Up to so many participants every change is told at once; above, changes of those who do not publish are gathered
/// (LiveKit gathers in every room, over 3 s).
pub const SMALL_ROOM_PARTICIPANTS_MAX: usize = 100;
/// How long changes are gathered in large rooms.
pub const UPDATE_INTERVAL: Duration = Duration::from_secs(1);
/// Between two updates of one participant that changes again and again.
pub const UPDATE_PAUSE: Duration = Duration::from_millis(100);
/// Between two room updates that only bring new counts (LiveKit: 5 s).
pub const ROOM_UPDATE_INTERVAL: Duration = Duration::from_secs(5);
/// A change of counts waits at least so long, so that a burst of joins makes one room update.
pub const ROOM_UPDATE_DELAY: Duration = Duration::from_secs(1);
/// A ParticipantUpdate is cut into messages of about this many bytes (LiveKit: `room.update_batch_target_size`).
pub const UPDATE_BYTES_MAX: usize = 128 << 10;

/// Requests with the same cid that may wait for each other (LiveKit: 3).
pub const QUEUED_PER_CID_MAX: usize = 3;
/// Ids and names inside an AddTrack request, in bytes.
pub const TRACK_TEXT_BYTES_MAX: usize = 256;
/// Layers of one codec, codecs of one track.
pub const LAYERS_MAX: usize = 8;
pub const TRACK_CODECS_MAX: usize = 8;
/// Features (audio, packet trailer) of one track.
pub const FEATURES_MAX: usize = 32;
/// One SDP. Each subscription costs about 1 KiB of it.
pub const SDP_BYTES_MAX: usize = 2 << 20;
/// One trickled candidate as JSON.
pub const CANDIDATE_BYTES_MAX: usize = 4096;
/// A refusal gives the request back; of a larger one only its ids. Every track that can be announced fits.
pub const ECHO_BYTES_MAX: usize = 64 << 10;
/// Entries of a subscription permission; what is beyond is not granted.
pub const TRACK_PERMISSIONS_MAX: usize = 4096;
/// Senders named in one sync_state, of each of which the missed messages are sent again.
pub const RECEIVE_STATES_MAX: usize = 1024;
/// Tracks named in one request; what is beyond is ignored.
pub const TRACKS_PER_REQUEST_MAX: usize = 2 * sluicegate_contract::limit::SUBSCRIPTIONS_PER_SESSION_MAX;

/// Bytes of what a called method is given (LiveKit: 15 KiB); what it returns its client bounds the same.
pub const RPC_PAYLOAD_BYTES_MAX: usize = 15 << 10;
/// A called method's time where the caller sets none (LiveKit: 10 s), and the longest that it may set.
pub const RPC_TIMEOUT: Duration = Duration::from_secs(10);
pub const RPC_TIMEOUT_MAX: Duration = Duration::from_secs(100);
/// Calls of the server into one room that wait for their answers.
pub const RPCS_PENDING_MAX: usize = 1024;
/// Room configurations by name, as the server's configuration and tokens name them.
pub type RoomConfigurations = BTreeMap<String, pb::RoomConfiguration>;

/// The server's defaults for its rooms; a room's own configuration overrides the first ones.
#[derive(Clone, Debug)]
pub struct RoomConfig {
    /// Nobody ever came.
    pub empty_timeout: Duration,
    /// The last one left.
    pub departure_timeout: Duration,
    /// 0: any number.
    pub max_participants: u32,
    /// All tracks of a publisher share a stream id, so that the browser plays them in sync.
    pub sync_streams: bool,
    /// MutePublishedTrack may also unmute.
    pub enable_remote_unmute: bool,
    /// Codecs of the server, in any order.
    pub enabled_codecs: Vec<Codec>,
    /// ICE lite for clients that can (LiveKit: `rtc.use_ice_lite`).
    pub ice_lite: bool,
    pub ice_servers: Vec<pb::IceServer>,
    pub server_info: pb::ServerInfo,
    pub limits: Limits,
    /// LiveKit: `room.room_configurations`; CreateRoom and tokens name one as `room_preset`.
    pub configurations: RoomConfigurations,
}

/// In bytes, as LiveKit counts them; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub name_bytes_max: usize,
    pub metadata_bytes_max: usize,
    /// All keys and values together.
    pub attributes_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { name_bytes_max: 256, metadata_bytes_max: 512 << 10, attributes_bytes_max: 64 << 10 }
    }
}

impl Limits {
    pub fn allows_name(&self, name: &str) -> bool {
        within(name.len(), self.name_bytes_max)
    }

    pub fn allows_metadata(&self, metadata: &str) -> bool {
        within(metadata.len(), self.metadata_bytes_max)
    }

    pub fn allows_attributes<'a>(&self, attributes: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        let bytes = attributes.into_iter().fold(0usize, |sum, (k, v)| sum.saturating_add(k.len()).saturating_add(v.len()));
        within(bytes, self.attributes_bytes_max)
    }
}

impl Default for RoomConfig {
    fn default() -> Self {
        Self {
            empty_timeout: Duration::from_secs(300),
            departure_timeout: Duration::from_secs(20),
            max_participants: 0,
            sync_streams: false,
            enable_remote_unmute: false,
            enabled_codecs: Codec::ALL.to_vec(),
            ice_lite: false,
            ice_servers: Vec::new(),
            server_info: pb::ServerInfo::default(),
            limits: Limits::default(),
            configurations: RoomConfigurations::new(),
        }
    }
}

fn within(bytes: usize, max: usize) -> bool {
    max == 0 || bytes <= max
}

/// What CreateRoom would have said for a token's `roomConfig`.
pub fn create_request(name: &str, configuration: &pb::RoomConfiguration) -> pb::CreateRoomRequest {
    pb::CreateRoomRequest {
        name: name.to_owned(),
        empty_timeout: configuration.empty_timeout,
        departure_timeout: configuration.departure_timeout,
        max_participants: configuration.max_participants,
        metadata: configuration.metadata.clone(),
        sync_streams: configuration.sync_streams,
        min_playout_delay: configuration.min_playout_delay,
        max_playout_delay: configuration.max_playout_delay,
        ..Default::default()
    }
}

/// What is asked of a room at its creation and not there in this version: the room goes on without.
pub fn unhonoured(create: &pb::CreateRoomRequest) -> Vec<&'static str> {
    let asked = [
        (!create.agents.is_empty(), "agents"),
        (create.egress.is_some(), "egress"),
        (create.min_playout_delay != 0 || create.max_playout_delay != 0, "playout delay"),
        (create.replay_enabled, "replay"),
    ];
    asked.into_iter().filter(|(is_asked, _)| *is_asked).map(|(_, name)| name).collect()
}

/// What the request leaves open, a named configuration says. False: nothing has this name. No name asks for nothing.
pub fn apply_preset(configurations: &RoomConfigurations, create: &mut pb::CreateRoomRequest) -> bool {
    let name = std::mem::take(&mut create.room_preset);
    if name.is_empty() {
        return true;
    }
    let Some(preset) = configurations.get(&name) else { return false };
    let preset = create_request(&create.name, preset);
    for (field, value) in [
        (&mut create.empty_timeout, preset.empty_timeout),
        (&mut create.departure_timeout, preset.departure_timeout),
        (&mut create.max_participants, preset.max_participants),
        (&mut create.min_playout_delay, preset.min_playout_delay),
        (&mut create.max_playout_delay, preset.max_playout_delay),
    ] {
        if *field == 0 {
            *field = value;
        }
    }
    if create.metadata.is_empty() {
        create.metadata = preset.metadata;
    }
    create.sync_streams |= preset.sync_streams;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preset_says_what_the_request_leaves_open() {
        let preset = pb::RoomConfiguration {
            empty_timeout: 7,
            max_participants: 9,
            metadata: "preset".to_owned(),
            sync_streams: true,
            ..Default::default()
        };
        let presets = RoomConfigurations::from([("lecture".to_owned(), preset)]);
        let named = |name: &str| pb::CreateRoomRequest {
            room_preset: name.to_owned(),
            max_participants: 2,
            departure_timeout: 1,
            ..Default::default()
        };
        let mut create = named("lecture");
        assert!(apply_preset(&presets, &mut create));
        assert_eq!((create.empty_timeout, create.departure_timeout, create.max_participants), (7, 1, 2));
        assert_eq!((create.metadata.as_str(), create.sync_streams, create.room_preset.as_str()), ("preset", true, ""));
        assert!(!apply_preset(&presets, &mut named("lectures")));
        let mut without = named("");
        assert!(apply_preset(&presets, &mut without) && without == named(""));
    }

    #[test]
    fn limits_are_inclusive_and_zero_is_none() {
        let limits = Limits { name_bytes_max: 3, metadata_bytes_max: 0, attributes_bytes_max: 4 };
        assert!(limits.allows_name("abc") && !limits.allows_name("abcd"));
        assert!(limits.allows_metadata(&"x".repeat(1 << 20)));
        let map = |k: &str, v: &str| BTreeMap::from([(k.to_owned(), v.to_owned())]);
        assert!(limits.allows_attributes(&map("ab", "cd")) && !limits.allows_attributes(&map("ab", "cde")));
    }

    #[test]
    fn defaults_are_livekits() {
        let config = RoomConfig::default();
        assert_eq!(config.limits, Limits { name_bytes_max: 256, metadata_bytes_max: 524_288, attributes_bytes_max: 65_536 });
        assert_eq!((config.empty_timeout.as_secs(), config.departure_timeout.as_secs()), (300, 20));
    }
}
