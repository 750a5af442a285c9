//! Messages of the data channels: down to clients, bounded per session and per tick. Those that clients send: [`up`].
//!
//! SCTP is dear (13 µs a message): each flush sends what is due of media first, then so much of this, one message a session in turn.

pub(crate) mod up;

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use sluicegate_contract::command::{DataChannel, Fault};
use sluicegate_contract::event::SessionEnd;
use sluicegate_contract::limit::{DATA_BYTES_JOINING_MAX, DATA_BYTES_LOSSY_MAX, DATA_BYTES_PER_SESSION_MAX, DATA_BYTES_PER_TICK};
use sluicegate_contract::{Event, SessionKey};
use sluicegate_transport::connection::{ChannelId, Sent};

use crate::engine::Engine;

/// What a message costs beside its bytes, in bytes.
pub(crate) const MESSAGE_COST: usize = 512;

/// One session's messages under way, both directions.
#[derive(Debug, Default)]
pub(crate) struct SessionData {
    /// To the client, the oldest first.
    waiting: VecDeque<(DataChannel, Bytes)>,
    waiting_bytes: usize,
    /// In the engine's queue of sessions that have something to send.
    is_ready: bool,
    pub(crate) up: up::Up,
}

impl SessionData {
    fn push(&mut self, channel: DataChannel, payload: Bytes) {
        self.waiting_bytes += waiting_cost(&payload);
        self.waiting.push_back((channel, payload));
    }

    fn pop(&mut self) {
        if let Some((_, payload)) = self.waiting.pop_front() {
            self.waiting_bytes -= waiting_cost(&payload);
        }
    }
}

/// Of a message that waits: its bytes and its place in the queue.
fn waiting_cost(payload: &Bytes) -> usize {
    payload.len() + 64
}

/// What became of a session's oldest message.
enum Step {
    /// It went, or can never go.
    Done(usize),
    /// The peer must take something first, or the channel must open.
    Wait,
    Empty,
}

impl Engine {
    /// One message for one participant: on the subscriber PeerConnection's channel, else on the publisher's. A reliable one waits,
    /// bounded, for a slow peer and for the channel to open; a lossy one waits little.
    pub(crate) fn send_data(&mut self, now: Instant, key: SessionKey, channel: DataChannel, payload: &Bytes) {
        let Some(index) = self.session_index(key) else { return };
        let open = self.open_channel(index, channel).is_some();
        let data = &mut self.sessions[index as usize].data;
        let after = data.waiting_bytes + waiting_cost(payload);
        match (channel, open) {
            (DataChannel::Lossy, true) if after <= DATA_BYTES_LOSSY_MAX => data.push(channel, payload.clone()),
            (DataChannel::Lossy, _) => self.meters.dropped_data += 1,
            (DataChannel::Reliable, true) if after <= DATA_BYTES_PER_SESSION_MAX => data.push(channel, payload.clone()),
            // a reliable channel must have no holes: the client that does not read begins anew
            (DataChannel::Reliable, true) => {
                self.meters.dropped_data += 1;
                return self.end_session(now, key, SessionEnd::TooSlow);
            }
            // neither has what a joining client will read: the oldest go, as if it had come later
            (DataChannel::Reliable, false) => {
                data.push(channel, payload.clone());
                while data.waiting_bytes > DATA_BYTES_JOINING_MAX {
                    data.pop();
                    self.meters.dropped_data += 1;
                }
            }
        }
        self.data_is_ready(now, index);
    }

    /// A session that may have something to send gets its turn.
    pub(crate) fn data_is_ready(&mut self, now: Instant, index: u32) {
        let Some(session) = self.sessions.get_mut(index as usize) else { return };
        if !session.data.is_ready && !session.data.waiting.is_empty() {
            session.data.is_ready = true;
            self.data_ready.push_back(index);
            self.data_since.get_or_insert(now);
        }
    }

    /// Sends of the waiting messages what this tick may cost.
    pub(crate) fn pump_data(&mut self, now: Instant) {
        let mut budget = DATA_BYTES_PER_TICK;
        while budget > 0
            && let Some(index) = self.data_ready.pop_front()
        {
            self.serving = Some(index);
            self.check_fault(index, Fault::Data);
            match self.send_oldest(now, index) {
                Step::Done(bytes) => {
                    budget = budget.saturating_sub(bytes + MESSAGE_COST);
                    self.data_ready.push_back(index);
                    self.touch(index);
                }
                Step::Wait | Step::Empty => {
                    if let Some(session) = self.sessions.get_mut(index as usize) {
                        session.data.is_ready = false;
                    }
                }
            }
        }
        self.data_since = (!self.data_ready.is_empty()).then_some(now);
    }

    fn send_oldest(&mut self, now: Instant, index: u32) -> Step {
        let oldest = self.sessions.get(index as usize).and_then(|session| session.data.waiting.front().cloned());
        let Some((channel, payload)) = oldest else { return Step::Empty };
        let Some((link, id)) = self.open_channel(index, channel) else { return Step::Wait };
        let Some(state) = self.links.get_mut(link as usize) else { return Step::Wait };
        match state.transport.connection.send_data(now, id, true, &payload) {
            Sent::Queued => self.meters.data_messages_down += 1,
            Sent::Full if channel == DataChannel::Reliable => return Step::Wait,
            Sent::Full | Sent::Refused => self.meters.dropped_data += 1,
        }
        self.sessions[index as usize].data.pop();
        Step::Done(payload.len())
    }

    fn open_channel(&self, index: u32, channel: DataChannel) -> Option<(u32, ChannelId)> {
        let session = self.sessions.get(index as usize)?;
        [session.down(), session.publisher].into_iter().find_map(|link| {
            let id = self.links.get(link as usize)?.channels.get(channel)?;
            Some((link, id))
        })
    }

    pub(crate) fn channel_opened(&mut self, now: Instant, link: u32, id: ChannelId, label: &str) {
        let Some(state) = self.links.get_mut(link as usize) else { return };
        state.channels.opened(id, label);
        let session = state.session;
        self.data_is_ready(now, session);
    }

    /// The session's end, before its index is used again.
    pub(crate) fn forget_data(&mut self, index: u32, data: &SessionData) {
        self.data_ready.retain(|ready| *ready != index);
        if self.data_ready.is_empty() {
            self.data_since = None;
        }
        self.forget_up(index, &data.up);
    }

    /// The worker's own decision; the room hears of it.
    pub(crate) fn end_session(&mut self, now: Instant, key: SessionKey, why: SessionEnd) {
        if let Some(index) = self.session_index(key) {
            self.end_up(index);
        }
        self.events.push_back(Event::SessionEnded { session: key, why });
        self.remove_session(now, key);
    }
}
