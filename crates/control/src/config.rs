//! What the control plane is given when it starts; plain values.

use sluicegate_proto::token::KeyStore;
use sluicegate_room::RoomConfig;

#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// API keys; without any, every request with a token is refused.
    pub keys: KeyStore,
    /// Defaults of rooms, limits of names and metadata, and what clients are told of the server.
    pub room: RoomConfig,
    /// A join makes the room that it names (LiveKit: `room.auto_create`).
    pub auto_create: bool,
    pub limits: HttpLimits,
    /// `/metrics` is on the main port too, and the console mints tokens.
    pub in_development: bool,
    /// Per cent of a core from which on a room's home worker gets no more of its sessions; 0 spreads them at once.
    pub worker_warm_percent: u32,
    /// Asked for on the metrics port.
    pub metrics_login: Option<Login>,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self {
            keys: KeyStore::default(),
            room: RoomConfig::default(),
            auto_create: true,
            limits: HttpLimits::default(),
            in_development: false,
            worker_warm_percent: 60,
            metrics_login: None,
        }
    }
}

/// HTTP Basic authentication.
#[derive(Clone)]
pub struct Login {
    pub username: String,
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// In bytes, as LiveKit counts them; 0 is no limit of the configuration's, but never none at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    pub room_name_bytes_max: usize,
    pub identity_bytes_max: usize,
    /// One frame of a client (LiveKit: `limit.signal_message_size_limit`).
    pub signal_bytes_max: usize,
    /// LiveKit: `limit.max_api_request_body_size`.
    pub body_bytes_max: usize,
}

/// Where the configuration sets no limit: what one request may cost in memory.
const UNLIMITED_BYTES: usize = 256 << 20;

impl Default for HttpLimits {
    fn default() -> Self {
        Self { room_name_bytes_max: 256, identity_bytes_max: 256, signal_bytes_max: 2 << 20, body_bytes_max: 10 << 20 }
    }
}

impl HttpLimits {
    pub fn allows_room_name(&self, name: &str) -> bool {
        self.room_name_bytes_max == 0 || name.len() <= self.room_name_bytes_max
    }

    pub fn allows_identity(&self, identity: &str) -> bool {
        self.identity_bytes_max == 0 || identity.len() <= self.identity_bytes_max
    }

    pub(crate) fn body_bytes(&self) -> usize {
        bounded(self.body_bytes_max)
    }

    pub(crate) fn signal_bytes(&self) -> usize {
        bounded(self.signal_bytes_max)
    }
}

fn bounded(bytes: usize) -> usize {
    if bytes == 0 { UNLIMITED_BYTES } else { bytes.min(UNLIMITED_BYTES) }
}
