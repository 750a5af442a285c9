//! Fuzz entry: whatever bytes a client sends as signal frames.

use std::time::{Duration, Instant};

use prost::Message as _;
use sluicegate_contract::key::RoomKey;
use sluicegate_contract::time::WallClock;
use sluicegate_proto::pb;
use sluicegate_proto::token::Claims;
use sluicegate_room::input::{ConnectionKey, Join, SignalMode};
use sluicegate_room::{Input, Room, RoomConfig};

#[test]
fn fuzz_signal() {
    bolero::check!().for_each(|bytes: &[u8]| {
        let now = Instant::now();
        let clock = WallClock::new(now, Duration::ZERO);
        let mut room = Room::new(now, RoomConfig::default(), RoomKey(0), "fuzz", pb::CreateRoomRequest::default(), clock, 1);
        let connection = ConnectionKey(1);
        let join = Join {
            connection,
            identity: "f".to_owned(),
            claims: Claims::default(),
            client: pb::ClientInfo { protocol: 17, ..Default::default() },
            mode: SignalMode::V1,
            auto_subscribe: true,
            adaptive_stream: false,
            auto_subscribe_data_track: false,
            disable_ice_lite: false,
            metadata: None,
            attributes: Vec::new(),
            add_tracks: Vec::new(),
            publisher_offer: None,
            reconnect: None,
        };
        room.handle_input(now, Input::Join(Box::new(join)));
        for frame in bytes.chunks(64) {
            if let Ok(request) = pb::SignalRequest::decode(frame) {
                room.handle_input(now, Input::Signal { connection, request: Box::new(request) });
            }
        }
        while room.poll_output().is_some() {}
    });
}
