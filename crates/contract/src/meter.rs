//! What a worker counts: live objects by type, and totals since its start. Plain numbers, copied out at most once a second.

/// A worker's counters. `live_*` go up and down and return to zero when everybody has left; the others only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meters {
    pub live_sessions: u64,
    pub live_transports: u64,
    pub live_publications: u64,
    pub live_subscriptions: u64,
    /// Tracks that come from, and that go to other workers, one per track and worker.
    pub live_relays_down: u64,
    pub live_relays_up: u64,
    pub live_data_tracks: u64,
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
    /// Packets of data tracks from their publishers, and copies to their subscribers.
    pub data_track_packets_up: u64,
    pub data_track_packets_down: u64,
    /// Of those copies, the ones that a slow or full receiver did not get, and packets that waited too long or were of no track.
    pub dropped_data_track: u64,
    /// Data messages that were too large, too many, or too late.
    pub dropped_data: u64,
    /// Packets that were given to other workers, and that came from them.
    pub relayed_up: u64,
    pub relayed_down: u64,
    /// Packets another worker had no room for, and those that followed them until the next key frame.
    pub dropped_relay: u64,
    /// Panics that were contained to one session.
    pub panics: u64,
    /// Panics that cost a whole worker.
    pub worker_restarts: u64,
    /// CPU time of the worker's thread in microseconds.
    pub cpu_us: u64,
    /// Packets of publishers that were duplicates or too late.
    pub dropped_duplicates: u64,
}

impl Meters {
    /// The counters of several workers together.
    pub fn sum(all: &[Self]) -> Self {
        all.iter().fold(Self::default(), |sum, one| Self {
            live_sessions: sum.live_sessions + one.live_sessions,
            live_transports: sum.live_transports + one.live_transports,
            live_publications: sum.live_publications + one.live_publications,
            live_subscriptions: sum.live_subscriptions + one.live_subscriptions,
            live_relays_down: sum.live_relays_down + one.live_relays_down,
            live_relays_up: sum.live_relays_up + one.live_relays_up,
            live_data_tracks: sum.live_data_tracks + one.live_data_tracks,
            live_addresses: sum.live_addresses + one.live_addresses,
            live_timers: sum.live_timers + one.live_timers,
            datagrams_up: sum.datagrams_up + one.datagrams_up,
            bytes_up: sum.bytes_up + one.bytes_up,
            datagrams_down: sum.datagrams_down + one.datagrams_down,
            bytes_down: sum.bytes_down + one.bytes_down,
            packets_up: sum.packets_up + one.packets_up,
            packets_down: sum.packets_down + one.packets_down,
            resends_down: sum.resends_down + one.resends_down,
            nacks_up: sum.nacks_up + one.nacks_up,
            nacks_down: sum.nacks_down + one.nacks_down,
            plis_up: sum.plis_up + one.plis_up,
            plis_down: sum.plis_down + one.plis_down,
            dropped_strangers: sum.dropped_strangers + one.dropped_strangers,
            dropped_malformed: sum.dropped_malformed + one.dropped_malformed,
            dropped_unauthentic: sum.dropped_unauthentic + one.dropped_unauthentic,
            dropped_unmapped: sum.dropped_unmapped + one.dropped_unmapped,
            dropped_unsent: sum.dropped_unsent + one.dropped_unsent,
            data_messages_up: sum.data_messages_up + one.data_messages_up,
            data_messages_down: sum.data_messages_down + one.data_messages_down,
            data_track_packets_up: sum.data_track_packets_up + one.data_track_packets_up,
            data_track_packets_down: sum.data_track_packets_down + one.data_track_packets_down,
            dropped_data_track: sum.dropped_data_track + one.dropped_data_track,
            dropped_data: sum.dropped_data + one.dropped_data,
            relayed_up: sum.relayed_up + one.relayed_up,
            relayed_down: sum.relayed_down + one.relayed_down,
            dropped_relay: sum.dropped_relay + one.dropped_relay,
            panics: sum.panics + one.panics,
            worker_restarts: sum.worker_restarts + one.worker_restarts,
            cpu_us: sum.cpu_us + one.cpu_us,
            dropped_duplicates: sum.dropped_duplicates + one.dropped_duplicates,
        })
    }
}
