//! A room with a script: plays inputs into it and writes down what it does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use sluicegate_contract::command::PcTarget;
use sluicegate_contract::event::{Event, TransportState};
use sluicegate_contract::key::{RoomKey, SessionKey, TrackKey};
use sluicegate_contract::time::WallClock;
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_request::Message;
use sluicegate_proto::token::Claims;
use sluicegate_room::input::{ApiCall, ConnectionKey, Join, Reconnect, RequestId, SignalMode};
use sluicegate_room::{Input, Output, Room, RoomConfig};
use sluicegate_rtp::codec::Codec;

use crate::text;

pub const ROOM: RoomKey = RoomKey(7);

pub struct Scene {
    pub room: Room,
    pub now: Instant,
    start: Instant,
    log: String,
    names: text::Names,
    next_connection: u64,
    next_request: u64,
    connections: BTreeMap<String, ConnectionKey>,
    sessions: BTreeMap<String, SessionKey>,
    tracks: BTreeMap<String, TrackKey>,
}

impl Scene {
    pub fn new() -> Self {
        Self::with(RoomConfig::default(), pb::CreateRoomRequest::default())
    }

    pub fn with(config: RoomConfig, create: pb::CreateRoomRequest) -> Self {
        let start = Instant::now();
        let config = RoomConfig {
            server_info: pb::ServerInfo {
                version: "1.13.5".to_owned(),
                protocol: 17,
                region: "here".to_owned(),
                node_id: "ND_x".to_owned(),
                ..Default::default()
            },
            ..config
        };
        let clock = WallClock::new(start, Duration::from_millis(1_700_000_000_250));
        let mut scene = Self {
            room: Room::new(start, config, ROOM, "lobby", create, clock, 42),
            now: start,
            start,
            log: String::new(),
            names: text::Names::default(),
            next_connection: 0,
            next_request: 0,
            connections: BTreeMap::new(),
            sessions: BTreeMap::new(),
            tracks: BTreeMap::new(),
        };
        scene.line("> room is made");
        scene.drain();
        scene
    }

    /// The transcript, with names in place of SIDs.
    pub fn finish(&self) -> String {
        self.names.apply(&self.log)
    }

    /// Forgets what was written so far: an opening that another test shows.
    pub fn forget(&mut self) -> &mut Self {
        self.log.clear();
        self
    }

    pub fn note(&mut self, text: &str) -> &mut Self {
        let _ = writeln!(self.log, "\n# {text}");
        self
    }

    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.log, "{text}");
    }

    pub fn input(&mut self, line: &str, input: Input) -> &mut Self {
        self.line(&format!("> {line}"));
        self.room.handle_input(self.now, input);
        self.drain();
        self
    }

    /// Time passes; every deadline is kept at its moment.
    pub fn wait(&mut self, secs: f64) -> &mut Self {
        let until = self.now + Duration::from_secs_f64(secs);
        while let Some((at, reason)) = self.room.poll_timeout().filter(|(at, _)| *at <= until) {
            self.now = self.now.max(at);
            let at = self.now.duration_since(self.start).as_secs_f64();
            let before = self.log.len();
            self.line(&format!("@ {at:.3} s: {}", text::reason(reason, &self.names)));
            let header = self.log.len();
            self.room.handle_timeout(self.now);
            self.drain();
            if self.log.len() == header {
                self.log.truncate(before);
            }
        }
        self.now = until;
        let at = self.now.duration_since(self.start).as_secs_f64();
        self.line(&format!("@ {at:.3} s"));
        self
    }

    /// An ordinary v0 client that has joined and is connected.
    pub fn active(&mut self, name: &str) -> &mut Self {
        self.join(name, |_| {}).connected(name)
    }

    pub fn join(&mut self, name: &str, change: impl FnOnce(&mut Join)) -> &mut Self {
        let connection = ConnectionKey(self.next_connection);
        self.next_connection += 1;
        let mut join = join(connection, name);
        change(&mut join);
        self.names.connection(connection, name);
        let mode = if join.mode == SignalMode::V0 { "v0" } else { "v1" };
        self.connections.insert(name.to_owned(), connection);
        self.input(&format!("{name} joins {mode}"), Input::Join(Box::new(join)))
    }

    /// The client comes back to its stay on a new connection; `sid`: which participant it says that it was.
    pub fn resume(&mut self, name: &str, sid: &str, change: impl FnOnce(&mut Join)) -> &mut Self {
        let connection = ConnectionKey(self.next_connection);
        self.next_connection += 1;
        let mut join = join(connection, name);
        join.reconnect = Some(Reconnect { participant_sid: sid.to_owned(), reason: 0 });
        change(&mut join);
        self.names.connection(connection, name);
        self.connections.insert(name.to_owned(), connection);
        self.input(&format!("{name} resumes"), Input::Join(Box::new(join)))
    }

    pub fn connected(&mut self, name: &str) -> &mut Self {
        let target = self.names.primary(self.session(name));
        self.transport(name, target, TransportState::Connected)
    }

    pub fn transport(&mut self, name: &str, target: PcTarget, state: TransportState) -> &mut Self {
        let event = Event::TransportState { session: self.session(name), target, state };
        self.media(&format!("{name} {target:?} {state:?}"), event)
    }

    pub fn media(&mut self, line: &str, event: Event) -> &mut Self {
        self.input(&format!("media: {line}"), Input::Media(event))
    }

    pub fn signal(&mut self, name: &str, message: Message) -> &mut Self {
        let connection = self.connections[name];
        let line = format!("{name} {}", text::request(&message));
        let request = Box::new(pb::SignalRequest { message: Some(message) });
        self.input(&line, Input::Signal { connection, request })
    }

    /// A request that is only refused, and how.
    pub fn refusal(&mut self, name: &str, message: Message) -> pb::RequestResponse {
        let connection = self.connections[name];
        let request = Box::new(pb::SignalRequest { message: Some(message) });
        self.room.handle_input(self.now, Input::Signal { connection, request });
        let Some(Output::Signal { response, .. }) = self.room.poll_output() else { panic!("no answer") };
        let Some(pb::signal_response::Message::RequestResponse(refusal)) = &response.message else { panic!("{response:?}") };
        assert!(self.room.poll_output().is_none());
        refusal.clone()
    }

    pub fn signal_closed(&mut self, name: &str) -> &mut Self {
        let connection = self.connections[name];
        self.input(&format!("{name} WebSocket is gone"), Input::SignalClosed { connection })
    }

    pub fn api(&mut self, call: ApiCall) -> &mut Self {
        self.next_request += 1;
        let line = format!("api {}", text::call(&call));
        self.input(&line, Input::Api { request: RequestId(self.next_request), call: Box::new(call) })
    }

    /// A camera is announced and its media begins.
    pub fn publish(&mut self, name: &str, cid: &str) -> &mut Self {
        self.signal(name, Message::AddTrack(camera(cid))).started(cid, Codec::Vp8)
    }

    pub fn started(&mut self, cid: &str, codec: Codec) -> &mut Self {
        let event = Event::TrackStarted { track: self.track(cid), codec, mid: "3".into(), rids: Vec::new() };
        self.media(&format!("{cid} started {}", codec.mime()), event)
    }

    pub fn connection(&self, name: &str) -> ConnectionKey {
        self.connections[name]
    }

    /// For a join that is not written down.
    pub fn next_connection(&mut self) -> ConnectionKey {
        self.next_connection += 1;
        ConnectionKey(self.next_connection - 1)
    }

    pub fn session(&self, name: &str) -> SessionKey {
        self.sessions[name]
    }

    pub fn track(&self, cid: &str) -> TrackKey {
        self.tracks[cid]
    }

    pub fn track_sid(&self, cid: &str) -> String {
        self.names.sid(&format!("TR_{cid}"))
    }

    pub fn data_track_sid(&self, name: &str) -> String {
        self.names.sid(&format!("DTR_{name}"))
    }

    pub fn participant_sid(&self, name: &str) -> String {
        self.names.sid(&format!("PA_{name}"))
    }

    fn drain(&mut self) {
        while let Some(output) = self.room.poll_output() {
            self.names.learn(&output);
            if let Output::Media(command) = &output {
                self.learn(command);
            }
            let line = text::output(&output, &self.names);
            self.line(&format!("    {line}"));
        }
    }

    fn learn(&mut self, command: &sluicegate_contract::Command) {
        use sluicegate_contract::Command;
        match command {
            Command::AddSession(add) => {
                if let Some(name) = self.names.newest_participant() {
                    self.names.session(add.session, &name, add.mode);
                    self.sessions.insert(name, add.session);
                }
            }
            Command::AddTrack(add) => {
                let cid = add.cids[0].to_string();
                self.names.track(add.track, &cid);
                self.tracks.insert(cid, add.track);
            }
            _ => {}
        }
    }
}

pub fn grant(change: impl FnOnce(&mut VideoGrant)) -> Option<VideoGrant> {
    let mut grant = VideoGrant::default();
    change(&mut grant);
    Some(grant)
}

pub fn camera(cid: &str) -> pb::AddTrackRequest {
    pb::AddTrackRequest {
        cid: cid.to_owned(),
        name: "my camera".to_owned(),
        r#type: pb::TrackType::Video as i32,
        source: pb::TrackSource::Camera as i32,
        width: 1280,
        height: 720,
        ..Default::default()
    }
}

pub fn microphone(cid: &str) -> pb::AddTrackRequest {
    pb::AddTrackRequest {
        cid: cid.to_owned(),
        r#type: pb::TrackType::Audio as i32,
        source: pb::TrackSource::Microphone as i32,
        ..Default::default()
    }
}

pub fn join(connection: ConnectionKey, name: &str) -> Join {
    let claims = Claims { video: grant(|_| {}), name: name.to_uppercase(), exp: 1_700_003_600, ..Default::default() };
    Join {
        connection,
        identity: name.to_owned(),
        claims,
        client: pb::ClientInfo { protocol: 17, ..Default::default() },
        mode: SignalMode::V0,
        auto_subscribe: true,
        adaptive_stream: false,
        auto_subscribe_data_track: false,
        disable_ice_lite: false,
        metadata: None,
        attributes: Vec::new(),
        add_tracks: Vec::new(),
        publisher_offer: None,
        reconnect: None,
    }
}
