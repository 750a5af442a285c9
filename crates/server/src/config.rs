//! The configuration: LiveKit's keys with LiveKit's defaults, from YAML, flags and environment.

mod document;
pub mod keys;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

pub use document::Document;

/// What is wrong with a configuration; each names the key.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Yaml(String),
    #[error("the configuration is no map")]
    NoMap,
    #[error("unknown configuration key: {path}")]
    Unknown { path: String },
    #[error("{path} is not supported yet")]
    NotYet { path: String },
    #[error("{path}: wanted is {wanted}")]
    Kind { path: String, wanted: &'static str },
    #[error("room.enabled_codecs: unknown codec {0}")]
    Codec(String),
    #[error("cannot read {path}: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{0}: others may read the file of keys; take the right away (chmod 600)")]
    KeyFileOpen(String),
    #[error("the keys must be given as \"key: secret\", one a line, with the space")]
    Keys,
    #[error("one of key-file or keys must be provided")]
    NoKeys,
    #[error("prometheus.username and prometheus.password must be set both or none")]
    HalfLogin,
    #[error("rtc.port_range_end is before rtc.port_range_start")]
    PortRange,
}

/// The keys that are honoured; field names are key names.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Config {
    pub port: u16,
    pub bind_addresses: Vec<String>,
    pub keys: BTreeMap<String, String>,
    pub key_file: String,
    pub region: String,
    pub development: bool,
    /// Ours: empty is none.
    pub data_dir: String,
    /// Ours: seconds.
    pub drain_timeout: Option<u32>,
    pub log_level: String,
    pub logging: Logging,
    pub prometheus: Prometheus,
    pub prometheus_port: u16,
    pub rtc: Rtc,
    pub room: Room,
    pub limit: Limit,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Logging {
    pub level: String,
    pub json: bool,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Prometheus {
    pub port: u16,
    pub username: String,
    pub password: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Rtc {
    /// First and last.
    pub udp_port: Option<(u16, u16)>,
    /// Media threads, one port each, or all on one port; 0: one per core, as far as there are ports.
    pub workers: u32,
    /// Per cent of a core; none: the control plane's own.
    pub worker_warm_percent: Option<u32>,
    pub port_range_start: u16,
    pub port_range_end: u16,
    /// 0: none.
    pub tcp_port: u16,
    pub node_ip: Vec<IpAddr>,
    pub use_ice_lite: bool,
    pub use_external_ip: bool,
    pub external_ip_only: bool,
    pub interfaces: Interfaces,
    pub ips: Ips,
    pub enable_loopback_candidate: bool,
    pub stun_servers: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Interfaces {
    pub includes: Vec<String>,
    pub excludes: Vec<String>,
}

/// Networks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ips {
    pub includes: Vec<IpNet>,
    pub excludes: Vec<IpNet>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Room {
    pub auto_create: bool,
    /// MIME types; empty: all.
    pub enabled_codecs: Vec<String>,
    pub max_participants: u32,
    pub empty_timeout: u32,
    pub departure_timeout: u32,
    pub enable_remote_unmute: bool,
    pub sync_streams: bool,
    pub room_configurations: BTreeMap<String, RoomConfiguration>,
}

/// What a room of this configuration has where CreateRoom or a token does not say otherwise; zero is the server's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RoomConfiguration {
    pub empty_timeout: u32,
    pub departure_timeout: u32,
    pub max_participants: u32,
    pub min_playout_delay: u32,
    pub max_playout_delay: u32,
    pub metadata: String,
    pub sync_streams: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
pub struct Limit {
    pub max_metadata_size: u32,
    pub max_attributes_size: u32,
    pub max_room_name_length: u32,
    pub max_participant_identity_length: u32,
    pub max_participant_name_length: u32,
    pub signal_message_size_limit: u32,
    pub max_api_request_body_size: u32,
}

/// LiveKit's.
pub const HTTP_PORT: u16 = 7880;
/// Media threads; far more than machines have cores.
const WORKERS_MAX: u16 = 256;
const TCP_PORT: u16 = 7881;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
const MEDIA_PORT_DEV: u16 = 7882;
const MEDIA_RANGE: (u16, u16) = (50_000, 60_000);

impl Default for Config {
    fn default() -> Self {
        Self {
            port: HTTP_PORT,
            bind_addresses: Vec::new(),
            keys: BTreeMap::new(),
            key_file: String::new(),
            region: String::new(),
            development: false,
            data_dir: String::new(),
            drain_timeout: None,
            log_level: String::new(),
            logging: Logging::default(),
            prometheus: Prometheus::default(),
            prometheus_port: 0,
            rtc: Rtc::default(),
            room: Room::default(),
            limit: Limit::default(),
        }
    }
}

impl Default for Rtc {
    fn default() -> Self {
        Self {
            udp_port: None,
            workers: 0,
            worker_warm_percent: None,
            port_range_start: 0,
            port_range_end: 0,
            tcp_port: TCP_PORT,
            node_ip: Vec::new(),
            use_ice_lite: false,
            use_external_ip: false,
            external_ip_only: false,
            interfaces: Interfaces::default(),
            ips: Ips::default(),
            enable_loopback_candidate: false,
            stun_servers: Vec::new(),
        }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self {
            auto_create: true,
            enabled_codecs: Vec::new(),
            max_participants: 0,
            empty_timeout: 300,
            departure_timeout: 20,
            enable_remote_unmute: false,
            sync_streams: false,
            room_configurations: BTreeMap::new(),
        }
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            max_metadata_size: 512 << 10,
            max_attributes_size: 64 << 10,
            max_room_name_length: 256,
            max_participant_identity_length: 256,
            max_participant_name_length: 256,
            signal_message_size_limit: 2 << 20,
            max_api_request_body_size: 10 << 20,
        }
    }
}

impl Config {
    /// From a document, completed and checked; also what was passed over where that is allowed.
    pub fn new(document: Document, strict: bool) -> Result<(Self, Vec<ConfigError>), ConfigError> {
        let (value, ignored) = document.check(strict)?;
        let mut config: Self = serde_json::from_value(value).map_err(|error| ConfigError::Yaml(error.to_string()))?;
        if !config.key_file.is_empty() {
            config.keys.append(&mut read_key_file(Path::new(&config.key_file))?);
        }
        if config.development {
            config.complete_for_development();
        }
        if config.keys.is_empty() {
            return Err(ConfigError::NoKeys);
        }
        if config.prometheus.username.is_empty() != config.prometheus.password.is_empty() {
            return Err(ConfigError::HalfLogin);
        }
        if config.rtc.port_range_end < config.rtc.port_range_start {
            return Err(ConfigError::PortRange);
        }
        Ok((config, ignored))
    }

    fn complete_for_development(&mut self) {
        if self.keys.is_empty() {
            self.keys.insert("devkey".to_owned(), "secret".to_owned());
        }
        if self.bind_addresses.is_empty() {
            self.bind_addresses = vec!["127.0.0.1".to_owned(), "::1".to_owned()];
        }
        if self.rtc.udp_port.is_none() && self.rtc.port_range_start == 0 {
            self.rtc.udp_port = Some((MEDIA_PORT_DEV, MEDIA_PORT_DEV));
        }
    }

    /// Ports that workers may take, first come first: a range wins over single ports (LiveKit).
    pub fn media_ports(&self) -> (u16, u16) {
        match (self.rtc.port_range_start, self.rtc.udp_port) {
            (0, Some(ports)) => ports,
            (0, None) => MEDIA_RANGE,
            (start, _) => (start, self.rtc.port_range_end),
        }
    }

    /// More workers were asked for than there are ports: all are on the first one.
    pub fn shares_port(&self) -> bool {
        let (first, last) = self.media_ports();
        let ports = u32::from(last.saturating_sub(first)) + 1;
        first != 0 && self.rtc.workers > ports
    }

    /// How many media threads: one port each, or all on one where more are asked for than there are ports.
    pub fn workers(&self) -> u16 {
        let (first, last) = self.media_ports();
        let ports = last.saturating_sub(first).saturating_add(1);
        let cores = || std::thread::available_parallelism().map_or(1, |cores| u16::try_from(cores.get()).unwrap_or(u16::MAX));
        let asked = match self.rtc.workers {
            0 => cores().min(ports),
            workers => u16::try_from(workers).unwrap_or(u16::MAX),
        };
        asked.clamp(1, WORKERS_MAX)
    }

    /// From the signal to stop until everybody is sent away.
    pub fn drain_timeout(&self) -> Duration {
        let default = if self.development { Duration::ZERO } else { DRAIN_TIMEOUT };
        self.drain_timeout.map_or(default, |secs| Duration::from_secs(u64::from(secs)))
    }

    /// 0: none.
    pub fn metrics_port(&self) -> u16 {
        if self.prometheus.port == 0 { self.prometheus_port } else { self.prometheus.port }
    }

    pub fn level(&self) -> &str {
        match (self.logging.level.as_str(), self.log_level.as_str()) {
            ("", "") => "info",
            ("", level) | (level, _) => level,
        }
    }
}

/// `key: secret`, one a line.
pub fn parse_keys(text: &str) -> Result<BTreeMap<String, String>, ConfigError> {
    serde_saphyr::from_str(text).map_err(|_| ConfigError::Keys)
}

fn read_key_file(path: &Path) -> Result<BTreeMap<String, String>, ConfigError> {
    let shown = path.display().to_string();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let of_others = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o007);
        if of_others != 0 {
            return Err(ConfigError::KeyFileOpen(shown));
        }
    }
    parse_keys(&fs::read_to_string(path).map_err(|error| ConfigError::File { path: shown, error })?)
}

#[cfg(test)]
mod tests;
