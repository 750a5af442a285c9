//! A client's WebSocket: opened, broken, opened again.

use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb;
use sluicegate_proto::token::Claims;
use sluicegate_room::Input;
use sluicegate_room::input::{ConnectionKey, Join, Reconnect, SignalMode};

use super::World;

impl World {
    /// The client opens a WebSocket, to join or to resume.
    pub(super) fn connect(&mut self, index: usize, reconnect: Option<Reconnect>) {
        self.connections.push(index);
        let connection = ConnectionKey(self.connections.len() as u64);
        let node = &mut self.nodes[index];
        node.connection = Some(connection);
        let (room, identity) = (node.room, node.identity.clone());
        let first = if reconnect.is_none() { node.client.first_offer() } else { None };
        let mode = if node.single { SignalMode::V1 } else { SignalMode::V0 };
        let (add_tracks, publisher_offer) = first.map_or((Vec::new(), None), |(tracks, offer)| (tracks, Some(offer)));
        let video = VideoGrant { room_join: true, room: "sim".to_owned(), ..VideoGrant::default() };
        let join = Join {
            connection,
            claims: Claims { sub: identity.clone(), exp: 2_000_000_000, video: Some(video), ..Claims::default() },
            identity,
            client: pb::ClientInfo { protocol: 17, ..Default::default() },
            mode,
            auto_subscribe: true,
            adaptive_stream: false,
            auto_subscribe_data_track: false,
            disable_ice_lite: false,
            metadata: None,
            attributes: Vec::new(),
            add_tracks,
            publisher_offer,
            reconnect,
        };
        self.input(room, Input::Join(Box::new(join)));
    }

    /// The client comes back to its stay.
    pub fn resume(&mut self, index: usize) {
        let participant_sid = self.nodes[index].client.sid().unwrap_or_default().to_owned();
        self.connect(index, Some(Reconnect { participant_sid, reason: 0 }));
    }

    /// The client's WebSocket breaks; the server hears of it only where `told`.
    pub fn cut(&mut self, index: usize, told: bool) {
        let node = &mut self.nodes[index];
        let room = node.room;
        if let Some(connection) = node.connection.take().filter(|_| told) {
            self.input(room, Input::SignalClosed { connection });
        }
    }

    /// Nothing goes to or comes from the client any more: neither media nor signalling, which breaks without a word.
    pub fn set_offline(&mut self, index: usize, offline: bool) {
        self.nodes[index].is_offline = offline;
        if offline {
            self.cut(index, false);
        }
    }

    /// The client's WebSocket goes after it has said so.
    pub fn leave(&mut self, index: usize) {
        let leave = pb::signal_request::Message::Leave(pb::LeaveRequest::default());
        let room = self.nodes[index].room;
        let Some(connection) = self.nodes[index].connection else { return };
        self.input(room, Input::Signal { connection, request: Box::new(pb::SignalRequest { message: Some(leave) }) });
        self.cut(index, true);
    }
}
