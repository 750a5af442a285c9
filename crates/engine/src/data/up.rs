//! Messages from clients on their way to the room.
//!
//! They wait in their session, bounded in bytes, and become events only as fast as the room takes them: so many of one session, so
//! many of all together. The event lane therefore holds room for everything else, whoever floods.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use sluicegate_contract::command::DataChannel;
use sluicegate_contract::event::SessionEnd;
use sluicegate_contract::limit::{
    DATA_BYTES_LOSSY_UP_MAX, DATA_BYTES_PER_SESSION_MAX, DATA_EVENTS_MAX, DATA_EVENTS_PER_SESSION_MAX, DATA_MESSAGE_MAX,
};
use sluicegate_contract::{Event, SessionKey};
use sluicegate_transport::connection::ChannelId;

use super::MESSAGE_COST;
use crate::engine::Engine;

/// One session's messages under way to the room.
#[derive(Debug, Default)]
pub(crate) struct Up {
    /// The oldest first.
    held: VecDeque<(DataChannel, Bytes)>,
    /// Of those held and those told but not taken, each with its cost.
    bytes: usize,
    /// Told to the room and not yet taken.
    told: usize,
    /// In the engine's queue of sessions that hold something and may tell more.
    is_ready: bool,
}

/// What the engine keeps for all sessions together.
#[derive(Debug, Default)]
pub(crate) struct UpQueue {
    /// Sessions that hold something and may tell more, in turn.
    ready: VecDeque<u32>,
    /// Told to the rooms and not yet taken, by sessions that still are.
    told: usize,
    /// Of these, by sessions that the worker has ended and the room has not removed yet.
    ended: Vec<(SessionKey, usize)>,
}

impl Up {
    fn may_tell(&self) -> bool {
        !self.held.is_empty() && self.told < DATA_EVENTS_PER_SESSION_MAX
    }

    /// The bound of a kind. A flood of lossy messages leaves the reliable ones their room.
    fn limit(channel: DataChannel) -> usize {
        match channel {
            DataChannel::Lossy => DATA_BYTES_LOSSY_UP_MAX,
            DataChannel::Reliable => DATA_BYTES_PER_SESSION_MAX,
        }
    }
}

impl Engine {
    pub(crate) fn data_received(&mut self, now: Instant, link: u32, id: ChannelId, payload: Vec<u8>) {
        let Some(state) = self.links.get(link as usize) else { return };
        let index = state.session;
        if state.channels.data_track() == Some(id) {
            return self.data_track_received(now, index, payload);
        }
        let (Some(channel), Some(session)) = (state.channels.kind_of(id), self.sessions.get_mut(index as usize)) else {
            return;
        };
        let (key, up) = (session.key, &mut session.data.up);
        let after = up.bytes + payload.len() + MESSAGE_COST;
        if payload.len() > DATA_MESSAGE_MAX || after > Up::limit(channel) {
            self.meters.dropped_data += 1;
            // a reliable channel must have no holes
            if channel == DataChannel::Reliable {
                self.end_session(now, key, SessionEnd::Overrun);
            }
            return;
        }
        up.bytes = after;
        up.held.push_back((channel, Bytes::from(payload)));
        self.meters.data_messages_up += 1;
        self.up_is_ready(index);
        self.tell_data();
    }

    /// The room has dealt with one message of so many bytes.
    pub(crate) fn data_taken(&mut self, key: SessionKey, bytes: u32) {
        let Some(index) = self.session_index(key) else { return self.ended_taken(key) };
        let up = &mut self.sessions[index as usize].data.up;
        // more is never given back than was told
        if up.told == 0 {
            return;
        }
        up.told -= 1;
        up.bytes = up.bytes.saturating_sub(bytes as usize + MESSAGE_COST);
        self.up_queue.told = self.up_queue.told.saturating_sub(1);
        self.up_is_ready(index);
        self.tell_data();
    }

    /// The worker is about to end a session: what it told lies in the event lane until the room has come to it.
    pub(crate) fn end_up(&mut self, index: u32) {
        let Some(session) = self.sessions.get_mut(index as usize) else { return };
        let told = std::mem::take(&mut session.data.up.told);
        if told > 0 {
            self.up_queue.ended.push((session.key, told));
        }
    }

    /// The room has removed a session, and has nothing of it before itself any more.
    pub(crate) fn removed_up(&mut self, key: SessionKey) {
        let Some(at) = self.up_queue.ended.iter().position(|(ended, _)| *ended == key) else { return };
        let (_, told) = self.up_queue.ended.swap_remove(at);
        self.up_queue.told = self.up_queue.told.saturating_sub(told);
        self.tell_data();
    }

    fn ended_taken(&mut self, key: SessionKey) {
        let Some((_, told)) = self.up_queue.ended.iter_mut().find(|(ended, told)| *ended == key && *told > 0) else { return };
        *told -= 1;
        self.up_queue.told = self.up_queue.told.saturating_sub(1);
        self.tell_data();
    }

    /// The session's end: what it held is gone, and what of it was told counts no more (the room may be gone, too).
    pub(crate) fn forget_up(&mut self, index: u32, up: &Up) {
        self.up_queue.told = self.up_queue.told.saturating_sub(up.told);
        self.up_queue.ready.retain(|ready| *ready != index);
        self.tell_data();
    }

    fn up_is_ready(&mut self, index: u32) {
        let up = &mut self.sessions[index as usize].data.up;
        if !up.is_ready && up.may_tell() {
            up.is_ready = true;
            self.up_queue.ready.push_back(index);
        }
    }

    /// Tells the rooms what the bounds allow: one message a session in turn.
    fn tell_data(&mut self) {
        while self.up_queue.told < DATA_EVENTS_MAX
            && let Some(index) = self.up_queue.ready.pop_front()
        {
            let Some(session) = self.sessions.get_mut(index as usize) else { continue };
            let up = &mut session.data.up;
            up.is_ready = false;
            let Some((channel, payload)) = up.held.pop_front() else { continue };
            up.told += 1;
            self.up_queue.told += 1;
            self.events.push_back(Event::Data { session: session.key, channel, payload });
            self.up_is_ready(index);
        }
    }
}
