//! The control plane's own configuration, made of the plain one.

use sluicegate_control::{ControlConfig, HttpLimits, Login, NameLimits, RoomConfig};
use sluicegate_proto::{pb, sid, token::KeyStore};

use crate::config::{Config, ConfigError, RoomConfiguration};

/// What clients are told: SDKs compare it and switch features by it, so it is the LiveKit version whose behaviour we have.
const LIVEKIT_VERSION: &str = "1.13.5";
const PROTOCOL: i32 = 17;
const AGENT_PROTOCOL: i32 = 1;

/// The control plane's configuration.
pub fn control_config(config: &Config) -> Result<ControlConfig, ConfigError> {
    let bytes = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    let limit = &config.limit;
    Ok(ControlConfig {
        keys: KeyStore::new(config.keys.clone()),
        room: room_config(config)?,
        auto_create: config.room.auto_create,
        limits: HttpLimits {
            room_name_bytes_max: bytes(limit.max_room_name_length),
            identity_bytes_max: bytes(limit.max_participant_identity_length),
            signal_bytes_max: bytes(limit.signal_message_size_limit),
            body_bytes_max: bytes(limit.max_api_request_body_size),
        },
        in_development: config.development,
        worker_warm_percent: config.rtc.worker_warm_percent.unwrap_or(ControlConfig::default().worker_warm_percent),
        metrics_login: (!config.prometheus.username.is_empty())
            .then(|| Login { username: config.prometheus.username.clone(), password: config.prometheus.password.clone() }),
    })
}

fn room_config(config: &Config) -> Result<RoomConfig, ConfigError> {
    let defaults = RoomConfig::default();
    let mut enabled_codecs = defaults.enabled_codecs;
    if !config.room.enabled_codecs.is_empty() {
        let known = |mime: &String| {
            let found = enabled_codecs.iter().find(|codec| codec.mime().eq_ignore_ascii_case(mime));
            found.copied().ok_or_else(|| ConfigError::Codec(mime.clone()))
        };
        enabled_codecs = config.room.enabled_codecs.iter().map(known).collect::<Result<_, _>>()?;
    }
    let bytes = |bytes: u32| usize::try_from(bytes).unwrap_or(usize::MAX);
    let secs = |secs: u32| std::time::Duration::from_secs(u64::from(secs));
    let stun = config.rtc.stun_servers.iter().map(|server| format!("stun:{server}"));
    let stun: Vec<String> = stun.collect();
    Ok(RoomConfig {
        empty_timeout: secs(config.room.empty_timeout),
        departure_timeout: secs(config.room.departure_timeout),
        max_participants: config.room.max_participants,
        sync_streams: config.room.sync_streams,
        enable_remote_unmute: config.room.enable_remote_unmute,
        enabled_codecs,
        ice_lite: config.rtc.use_ice_lite,
        ice_servers: if stun.is_empty() { Vec::new() } else { vec![pb::IceServer { urls: stun, ..Default::default() }] },
        server_info: server_info(&config.region),
        limits: NameLimits {
            name_bytes_max: bytes(config.limit.max_participant_name_length),
            metadata_bytes_max: bytes(config.limit.max_metadata_size),
            attributes_bytes_max: bytes(config.limit.max_attributes_size),
        },
        configurations: config.room.room_configurations.iter().map(configuration).collect(),
    })
}

fn configuration((name, given): (&String, &RoomConfiguration)) -> (String, pb::RoomConfiguration) {
    let configuration = pb::RoomConfiguration {
        name: name.clone(),
        empty_timeout: given.empty_timeout,
        departure_timeout: given.departure_timeout,
        max_participants: given.max_participants,
        metadata: given.metadata.clone(),
        min_playout_delay: given.min_playout_delay,
        max_playout_delay: given.max_playout_delay,
        sync_streams: given.sync_streams,
        ..Default::default()
    };
    (name.clone(), configuration)
}

fn server_info(region: &str) -> pb::ServerInfo {
    pb::ServerInfo {
        edition: pb::server_info::Edition::Standard as i32,
        version: LIVEKIT_VERSION.to_owned(),
        protocol: PROTOCOL,
        region: region.to_owned(),
        node_id: sid::generate(sid::NODE, random),
        debug_info: format!("sluicegate {}", env!("CARGO_PKG_VERSION")),
        agent_protocol: AGENT_PROTOCOL,
    }
}

/// From the operating system; a machine without randomness cannot run a server.
pub fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|error| {
        eprintln!("the operating system gives no random numbers: {error}");
        std::process::exit(1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs_are_known_by_mime() {
        let mut config = Config::default();
        assert_eq!(room_config(&config).unwrap().enabled_codecs.len(), RoomConfig::default().enabled_codecs.len());
        config.room.enabled_codecs = vec!["video/vp8".to_owned(), "AUDIO/OPUS".to_owned()];
        let codecs: Vec<_> = room_config(&config).unwrap().enabled_codecs.iter().map(|codec| codec.mime()).collect();
        assert_eq!(codecs, ["video/VP8", "audio/opus"]);
        config.room.enabled_codecs.push("video/theora".to_owned());
        assert_eq!(room_config(&config).unwrap_err().to_string(), "room.enabled_codecs: unknown codec video/theora");
    }

    #[test]
    fn clients_are_told_a_livekit_version() {
        let info = server_info("here");
        assert_eq!((info.version.as_str(), info.protocol, info.agent_protocol), ("1.13.5", 17, 1));
        assert!(info.node_id.starts_with("ND_") && info.debug_info.starts_with("sluicegate 0."));
    }
}
