//! Every key of LiveKit's configuration: what it holds, and whether it is honoured.
//!
//! The one table behind the check of files, the flags and environment variables made from keys, and `help-verbose`.

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Flag,
    Text,
    /// A port number; 0 is a free one.
    Port,
    /// One port or a range `a-b`.
    Ports,
    /// A number from 0 to 2³²−1.
    Count,
    /// One address, or a map of `ipv4` and `ipv6`.
    NodeIp,
    /// A list of texts.
    Texts,
    /// A list of networks as 192.0.2.0/24, or single addresses.
    Networks,
    /// A map of texts.
    Secrets,
    /// A map of names and room configurations, whose fields are written as `empty_timeout`, `emptyTimeout` or `emptytimeout`.
    Configurations,
    /// A list of codecs: `mime` and, ignored here, `fmtp_line`.
    Codecs,
}

impl Kind {
    /// One word on the command line or in an environment variable can hold it.
    pub fn is_scalar(self) -> bool {
        matches!(self, Self::Flag | Self::Text | Self::Port | Self::Ports | Self::Count | Self::NodeIp)
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// From the root, with dots.
    pub path: &'static str,
    pub kind: Kind,
    pub help: &'static str,
}

impl Key {
    /// LiveKit: `LIVEKIT_` and the path in capitals.
    pub fn variable(&self) -> String {
        format!("LIVEKIT_{}", self.path.to_uppercase().replace('.', "_"))
    }
}

const fn key(path: &'static str, kind: Kind, help: &'static str) -> Key {
    Key { path, kind, help }
}

/// The keys that do something.
pub const HONOURED: &[Key] = &[
    key("port", Kind::Port, "HTTP, WebSocket and Twirp"),
    key("bind_addresses", Kind::Texts, "addresses to listen on"),
    key("keys", Kind::Secrets, "API keys and their secrets"),
    key("key_file", Kind::Text, "file with API keys and their secrets"),
    key("region", Kind::Text, "told to clients"),
    key("development", Kind::Flag, "as --dev"),
    key("data_dir", Kind::Text, "directory of what outlives the process; none: nothing does"),
    key("drain_timeout", Kind::Count, "seconds from the signal to stop until everybody is sent away"),
    key("log_level", Kind::Text, "debug, info, warn or error"),
    key("logging.level", Kind::Text, "as log_level"),
    key("logging.json", Kind::Flag, "one JSON object a line"),
    key("prometheus_port", Kind::Port, "as prometheus.port"),
    key("prometheus.port", Kind::Port, "metrics page on a port of its own"),
    key("prometheus.username", Kind::Text, "asked for on the metrics port"),
    key("prometheus.password", Kind::Text, "asked for on the metrics port"),
    key("rtc.udp_port", Kind::Ports, "media over UDP: one port per worker"),
    key("rtc.workers", Kind::Count, "media threads, one port each, or all on one port; 0: one per core, as far as there are ports"),
    key("rtc.worker_warm_percent", Kind::Count, "of a core: from here on a room's newcomers go to another worker"),
    key("rtc.port_range_start", Kind::Port, "media over UDP: the first ports of a range"),
    key("rtc.port_range_end", Kind::Port, "end of that range"),
    key("rtc.tcp_port", Kind::Port, "media over TCP for clients without UDP; 0: none"),
    key("rtc.node_ip", Kind::NodeIp, "the only address told to clients"),
    key("rtc.use_ice_lite", Kind::Flag, "ICE lite for clients that can"),
    key("rtc.use_external_ip", Kind::Flag, "ask STUN for the address from outside"),
    key("rtc.external_ip_only", Kind::Flag, "tell clients that one alone"),
    key("rtc.ips.includes", Kind::Networks, "networks whose addresses to use"),
    key("rtc.ips.excludes", Kind::Networks, "networks whose addresses not to use"),
    key("rtc.interfaces.includes", Kind::Texts, "network interfaces to use"),
    key("rtc.interfaces.excludes", Kind::Texts, "network interfaces not to use"),
    key("rtc.enable_loopback_candidate", Kind::Flag, "tell clients of loopback addresses, too"),
    key("rtc.stun_servers", Kind::Texts, "host:port, told to clients and asked for our own address"),
    key("room.auto_create", Kind::Flag, "a join makes its room"),
    key("room.enabled_codecs", Kind::Codecs, "codecs of all rooms"),
    key("room.max_participants", Kind::Count, "per room; 0 is any number"),
    key("room.empty_timeout", Kind::Count, "seconds; nobody ever came"),
    key("room.departure_timeout", Kind::Count, "seconds; the last one left"),
    key("room.enable_remote_unmute", Kind::Flag, "MutePublishedTrack may unmute"),
    key("room.sync_streams", Kind::Flag, "a publisher's tracks are played in sync"),
    key("room.room_configurations", Kind::Configurations, "named settings: CreateRoom and tokens choose one as room_preset"),
    key("limit.max_metadata_size", Kind::Count, "bytes; 0 is no limit"),
    key("limit.max_attributes_size", Kind::Count, "bytes; 0 is no limit"),
    key("limit.max_room_name_length", Kind::Count, "bytes; 0 is no limit"),
    key("limit.max_participant_identity_length", Kind::Count, "bytes; 0 is no limit"),
    key("limit.max_participant_name_length", Kind::Count, "bytes; 0 is no limit"),
    key("limit.signal_message_size_limit", Kind::Count, "bytes of a signal message"),
    key("limit.max_api_request_body_size", Kind::Count, "bytes of an API request"),
];

/// LiveKit's keys that do nothing here yet; a prefix stands for everything under it. Switched off they are welcome.
pub const NOT_YET: &[&str] = &[
    "logging.sample",
    "logging.component_levels",
    "logging.pion_level",
    "debug_handler",
    "trace",
    "redis",
    "rtc.use_stun_port_as_ice",
    "rtc.use_mdns",
    "rtc.force_tcp",
    "rtc.batch_io",
    "rtc.sctp_min_cwnd",
    "rtc.sctp_fast_rtx_wnd",
    "rtc.sctp_cwnd_ca_step",
    "rtc.turn_servers",
    "rtc.enable_warp",
    "rtc.strict_acks",
    "rtc.packet_buffer_size",
    "rtc.packet_buffer_size_video",
    "rtc.packet_buffer_size_audio",
    "rtc.pli_throttle",
    "rtc.congestion_control",
    "rtc.allow_tcp_fallback",
    "rtc.tcp_fallback_rtt_threshold",
    "rtc.allow_udp_unstable_fallback",
    "rtc.reconnect_on_publication_error",
    "rtc.reconnect_on_subscription_error",
    "rtc.reconnect_on_data_channel_error",
    "rtc.data_channel_max_buffered_amount",
    "rtc.datachannel_slow_threshold",
    "rtc.datachannel_lossy_target_latency",
    "rtc.datachannel_data_track_target_latency",
    "rtc.forward_stats",
    "rtc.enable_rtp_stream_restart_detection",
    "audio",
    "video",
    "room.playout_delay",
    "room.create_room_timeout",
    "room.create_room_attempts",
    "room.enable_full_room_in_webhooks",
    "room.update_batch_target_size",
    "turn",
    "ingress",
    "sip",
    "webhook",
    "agents",
    "metric",
    "node_selector",
    "signal_relay",
    "psrpc",
    "node_stats",
    "limit.num_tracks",
    "limit.bytes_per_sec",
    "limit.subscription_limit_video",
    "limit.subscription_limit_audio",
    "limit.max_data_blob_key_length",
    "limit.max_data_blobs_size",
    "limit.max_data_track_custom_encoding_length",
    "limit.agent_signal_message_size_limit",
    "enable_data_tracks",
    "enable_participant_data_blob",
    "api",
];

pub fn honoured(path: &str) -> Option<&'static Key> {
    HONOURED.iter().find(|key| key.path == path)
}

pub fn is_not_yet(path: &str) -> bool {
    NOT_YET.contains(&path)
}

/// Some key lies under this path.
pub fn is_section(path: &str) -> bool {
    let under = |key: &str| key.strip_prefix(path).is_some_and(|rest| rest.starts_with('.'));
    HONOURED.iter().any(|key| under(key.path)) || NOT_YET.iter().any(|key| under(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_stands_in_one_list_and_is_no_section() {
        let all: Vec<&str> = HONOURED.iter().map(|key| key.path).chain(NOT_YET.iter().copied()).collect();
        for (index, path) in all.iter().enumerate() {
            assert!(!all[..index].contains(path), "{path} twice");
            assert!(!is_section(path), "{path} is a section, too");
        }
        assert_eq!(honoured("rtc.tcp_port").unwrap().variable(), "LIVEKIT_RTC_TCP_PORT");
    }
}
