//! Messages of the data channels: down to clients, and up to the room.

use std::time::Instant;

use bytes::Bytes;
use sluicegate_contract::command::DataChannel;
use sluicegate_contract::limit::DATA_MESSAGE_MAX;
use sluicegate_contract::{Event, SessionKey};
use sluicegate_transport::connection::ChannelId;

use crate::engine::Engine;

impl Engine {
    /// Sends one message to one participant: on the subscriber PeerConnection's channel, else on the publisher's. A reliable one
    /// waits, bounded, for the channel to open; a lossy one does not.
    pub(crate) fn send_data(&mut self, now: Instant, session: SessionKey, channel: DataChannel, payload: &Bytes) {
        let Some(index) = self.session_index(session) else { return };
        let state = &mut self.sessions[index as usize];
        let links = [Some(state.down()), Some(state.publisher)];
        let open = links.into_iter().flatten().find_map(|link| {
            let id = self.links.get(link as usize)?.channels.get(channel)?;
            Some((link, id))
        });
        match open {
            Some((link, id)) => {
                // a full buffer or a message over the peer's limit is the peer's loss; reliable overruns are the next issue's
                let _ = self.links[link as usize].transport.connection.send_data(now, id, true, payload);
            }
            None if channel == DataChannel::Reliable => {
                state.waiting_data.push(payload.clone());
            }
            None => {}
        }
        self.touch(index);
    }

    pub(crate) fn channel_opened(&mut self, now: Instant, link: u32, id: ChannelId, label: &str) {
        let Some(state) = self.links.get_mut(link as usize) else { return };
        state.channels.opened(id, label);
        let session = state.session;
        let Some(session) = self.sessions.get_mut(session as usize) else { return };
        if session.down() != link || self.links[link as usize].channels.get(DataChannel::Reliable).is_none() {
            return;
        }
        let key = session.key;
        for message in session.waiting_data.take() {
            self.send_data(now, key, DataChannel::Reliable, &message);
        }
    }

    pub(crate) fn data_received(&mut self, link: u32, id: ChannelId, payload: Vec<u8>) {
        let Some(state) = self.links.get(link as usize) else { return };
        let (Some(channel), Some(session)) = (state.channels.kind_of(id), self.sessions.get(state.session as usize)) else {
            return;
        };
        if payload.len() <= DATA_MESSAGE_MAX {
            self.events.push_back(Event::Data { session: session.key, channel, payload: Bytes::from(payload) });
        }
    }
}
