//! Bounds of the lanes and of what one participant may hold, with their reasons.

/// Commands waiting for a worker: a burst of a few hundred joins at once; beyond that the rooms wait.
pub const COMMANDS_MAX: usize = 1024;
/// Events waiting for the control plane: answers and data of a full command lane fit several times over.
pub const EVENTS_MAX: usize = 16 * COMMANDS_MAX;
/// Messages and batches of packets one worker may have waiting for another: seconds of a batch a tick.
pub const RELAY_MAX: usize = 1024;
/// Packets of one batch between workers: a tick's datagrams, so that a batch stays a matter of half a megabyte.
pub const RELAY_BATCH_PACKETS_MAX: usize = 512;
/// Messages waiting for a room.
pub const INBOX_MAX: usize = 1024;
/// Bytes of data messages one session may have under way in the worker, in each direction.
pub const DATA_BYTES_PER_SESSION_MAX: usize = 4 << 20;
/// Of these, from the client, behind which a lossy message is dropped: a flood of them leaves the reliable ones their room.
pub const DATA_BYTES_LOSSY_UP_MAX: usize = 1 << 20;
/// `Event::Data` of one session that its room has not taken; the rest waits in the session.
pub const DATA_EVENTS_PER_SESSION_MAX: usize = 32;
/// `Event::Data` of one worker that the rooms have not taken: of the event lane a small part, also where workers share it.
pub const DATA_EVENTS_MAX: usize = EVENTS_MAX / 32;
/// Of the bytes to a client, while its reliable channel is not open yet (LiveKit: 100 kB).
pub const DATA_BYTES_JOINING_MAX: usize = 100_000;
/// Lossy messages that would wait behind more than this are of no use any more.
pub const DATA_BYTES_LOSSY_MAX: usize = 64 << 10;
/// Bytes of data messages a worker sends in one tick, so that media is never kept waiting: about 2 ms of SCTP.
pub const DATA_BYTES_PER_TICK: usize = 256 << 10;
/// Bytes of data track packets of one publisher that wait for their turn; what is beyond is dropped.
pub const DATA_TRACK_BYTES_WAITING_MAX: usize = 256 << 10;
/// Bytes of data track packets a worker sends in one tick, copies counted: about a millisecond of SCTP.
pub const DATA_TRACK_BYTES_PER_TICK: usize = 128 << 10;
/// A frame is not begun behind so many bytes that its receiver has not taken.
pub const DATA_TRACK_BYTES_BEHIND_MAX: usize = 64 << 10;
/// Data tracks one participant may publish (LiveKit has no bound but the handles).
pub const DATA_TRACKS_PER_SESSION_MAX: usize = 512;
/// Data tracks one participant may receive.
pub const DATA_SUBSCRIPTIONS_PER_SESSION_MAX: usize = 1024;
/// Tracks one participant may publish (LiveKit has no bound; each costs rings of packets).
pub const TRACKS_PER_SESSION_MAX: usize = 64;
/// AddTrack requests whose media has not come (LiveKit: 20).
pub const PENDING_TRACKS_MAX: usize = 20;
/// Subscriptions of one participant: one m-line each.
pub const SUBSCRIPTIONS_PER_SESSION_MAX: usize = 1000;
/// The largest message of a data channel in bytes; advertised as `max-message-size` (LiveKit: 65535).
pub const DATA_MESSAGE_MAX: usize = 65_535;

const _: () = assert!(EVENTS_MAX >= 16 * COMMANDS_MAX, "a worker must never wait for the control plane");
