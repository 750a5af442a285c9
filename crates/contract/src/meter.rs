//! What a worker counts: live objects by type, and totals since its start. Plain numbers, copied out at most once a second.

/// A worker's counters. `live_*` go up and down and return to zero when everybody has left; the others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meters {
    pub live_sessions: u64,
    pub live_transports: u64,
    pub live_publications: u64,
    pub live_subscriptions: u64,
    pub live_addresses: u64,
    pub live_timers: u64,

    pub datagrams_up: u64,
    pub bytes_up: u64,
    pub datagrams_down: u64,
    pub bytes_down: u64,
    /// RTP packets accepted from publishers, first copies and repairs.
    pub packets_up: u64,
    /// RTP packets sealed for subscribers, resends included.
    pub packets_down: u64,
    /// Packets sent again because a subscriber asked.
    pub resends_down: u64,
    pub nacks_up: u64,
    pub nacks_down: u64,
    pub plis_up: u64,
    pub plis_down: u64,
    /// Datagrams from nobody we know that were not a valid binding request.
    pub dropped_strangers: u64,
    /// Datagrams that could not be parsed.
    pub dropped_malformed: u64,
    /// Datagrams whose authentication failed or that were replayed.
    pub dropped_unauthentic: u64,
    /// Media for no m-line, or of a payload type that was not negotiated.
    pub dropped_unmapped: u64,
    /// Datagrams the socket did not take.
    pub dropped_unsent: u64,
    pub data_messages_up: u64,
    pub data_messages_down: u64,
    /// Data messages that were too large, too many, or too late.
    pub dropped_data: u64,
    /// Packets of publishers that were duplicates or too late.
    pub dropped_duplicates: u64,
}
