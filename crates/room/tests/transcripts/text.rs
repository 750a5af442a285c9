//! Inputs and outputs as short lines.

use std::collections::BTreeMap;

use serde::Serialize;
use sluicegate_contract::Command;
use sluicegate_contract::command::{PcMode, PcTarget};
use sluicegate_contract::key::{SessionKey, TrackKey};
use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_room::input::{ApiCall, ConnectionKey};
use sluicegate_room::output::{ApiReply, Happened};
use sluicegate_room::timer::Reason;
use sluicegate_room::{Forwarded, Output};

/// What keys and SIDs stand for.
#[derive(Default)]
pub struct Names {
    connections: BTreeMap<ConnectionKey, String>,
    sessions: BTreeMap<u32, (String, PcMode)>,
    tracks: BTreeMap<TrackKey, String>,
    /// (SID, name), in the order of their appearance.
    sids: Vec<(String, String)>,
}

impl Names {
    pub fn connection(&mut self, key: ConnectionKey, name: &str) {
        let count = self.connections.values().filter(|known| known.trim_end_matches('\'') == name).count();
        self.connections.insert(key, format!("{name}{}", "'".repeat(count)));
    }

    pub fn session(&mut self, key: SessionKey, name: &str, mode: PcMode) {
        self.sessions.insert(key.index, (name.to_owned(), mode));
    }

    pub fn track(&mut self, key: TrackKey, cid: &str) {
        self.tracks.insert(key, cid.to_owned());
    }

    pub fn primary(&self, key: SessionKey) -> PcTarget {
        match self.sessions[&key.index].1 {
            PcMode::Dual { offer_at_once: true } => PcTarget::Subscriber,
            _ => PcTarget::Publisher,
        }
    }

    pub fn newest_participant(&self) -> Option<String> {
        let newest = self.sids.iter().rev().find(|(sid, _)| sid.starts_with("PA_"));
        newest.map(|(_, name)| name.trim_start_matches("PA_").trim_end_matches('\'').to_owned())
    }

    pub fn sid(&self, name: &str) -> String {
        let newest = self.sids.iter().rev().find(|(_, known)| known.trim_end_matches('\'') == name);
        newest.unwrap_or_else(|| panic!("no {name}")).0.clone()
    }

    /// SIDs that appear for the first time.
    pub fn learn(&mut self, output: &Output) {
        let Output::Signal { response, .. } = output else { return };
        match response.message.as_ref().unwrap() {
            Message::Join(join) => {
                let me = join.participant.as_ref().unwrap();
                self.name_sid(&me.sid, &format!("PA_{}", me.identity));
                self.name_sid(&join.room.as_ref().unwrap().sid, "RM_lobby");
            }
            Message::TrackPublished(published) => {
                self.name_sid(&published.track.as_ref().unwrap().sid, &format!("TR_{}", published.cid));
            }
            Message::PublishDataTrackResponse(published) => {
                let info = published.info.as_ref().unwrap();
                self.name_sid(&info.sid, &format!("DTR_{}", info.name));
            }
            _ => {}
        }
    }

    pub fn apply(&self, text: &str) -> String {
        self.sids.iter().fold(text.to_owned(), |text, (sid, name)| text.replace(sid.as_str(), name))
    }

    fn name_sid(&mut self, sid: &str, name: &str) {
        if self.sids.iter().any(|(known, _)| known == sid) {
            return;
        }
        let count = self.sids.iter().filter(|(_, known)| known.trim_end_matches('\'') == name).count();
        self.sids.push((sid.to_owned(), format!("{name}{}", "'".repeat(count))));
    }

    fn of_connection(&self, key: ConnectionKey) -> &str {
        self.connections.get(&key).map_or("?", String::as_str)
    }

    fn of_session(&self, key: SessionKey) -> &str {
        self.sessions.get(&key.index).map_or("?", |(name, _)| name)
    }

    fn of_track(&self, key: TrackKey) -> &str {
        self.tracks.get(&key).map_or("?", String::as_str)
    }
}

pub fn output(output: &Output, names: &Names) -> String {
    match output {
        Output::JoinAccepted { connection } => format!("{} accepted", names.of_connection(*connection)),
        Output::JoinRefused { connection, refusal } => {
            format!("{} refused: {} {}", names.of_connection(*connection), refusal.status, refusal.text)
        }
        Output::Signal { connections, response } => {
            let to: Vec<_> = connections.iter().map(|key| names.of_connection(*key)).collect();
            format!("{} < {}", to.join("+"), message(response.message.as_ref().unwrap()))
        }
        Output::CloseConnection { connection } => format!("{} WebSocket closed", names.of_connection(*connection)),
        Output::RefreshToken { connection, token } => {
            let video = &token.video;
            let may = |may: Option<bool>| may.map_or("", |may| if may { " publishes" } else { " publishes not" });
            format!(
                "{} < refresh_token {} {:?} {:?}{}",
                names.of_connection(*connection),
                token.identity,
                token.name,
                token.metadata,
                may(video.can_publish)
            )
        }
        Output::RoomMoved { connection, token, response } => {
            let others: Vec<_> = response.other_participants.iter().map(participant).collect();
            format!(
                "{} < room_moved to {} as {}; others [{}], token for {}",
                names.of_connection(*connection),
                response.room.as_ref().unwrap().name,
                participant(response.participant.as_ref().unwrap()),
                others.join(", "),
                token.video.room
            )
        }
        Output::Media(command) => format!("media {}", self::command(command, names)),
        Output::ApiAnswer { answer: Ok(reply), .. } => format!("answer {}", self::reply(reply, names)),
        Output::ApiAnswer { answer: Err(error), .. } => format!("answer {error:?}"),
        Output::Snapshot(room) => format!("snapshot {}", self::room(room)),
        Output::Happened(happened) => format!("happened {}", self::happened(happened)),
        Output::Forwarded(forwarded) => format!("describes {}", self::forwarded(forwarded, names)),
        Output::ForwardingEnded { source } => format!("shows {} no more", source.index),
        Output::Unhonoured(names) => format!("goes on without {}", names.join(", ")),
        Output::Closed => "closed".to_owned(),
    }
}

pub fn json(message: &impl Serialize) -> String {
    serde_json::to_value(message).unwrap().to_string()
}

pub fn request(message: &pb::signal_request::Message) -> String {
    let request = pb::SignalRequest { message: Some(message.clone()) };
    json(&request)
}

pub fn call(call: &ApiCall) -> String {
    match call {
        ApiCall::Configure(request) => format!("Configure {}", json(request)),
        ApiCall::Delete => "Delete".to_owned(),
        ApiCall::Fault { identity } => format!("Fault {identity:?}"),
        ApiCall::ListParticipants => "ListParticipants".to_owned(),
        ApiCall::GetParticipant { identity } => format!("GetParticipant {identity}"),
        ApiCall::RemoveParticipant { identity } => format!("RemoveParticipant {identity}"),
        ApiCall::MutePublishedTrack(request) => format!("MutePublishedTrack {}", json(request)),
        ApiCall::UpdateParticipant(request) => format!("UpdateParticipant {}", json(request)),
        ApiCall::UpdateSubscriptions(request) => format!("UpdateSubscriptions {}", json(request)),
        ApiCall::SendData(request) => format!("SendData {}", json(request)),
        ApiCall::Move { identity, to } => format!("Move {identity} to {}", to.room.name),
        ApiCall::PerformRpc(request) => format!("PerformRpc {}", json(request)),
        ApiCall::Forward { identity } => format!("Forward {identity}"),
        ApiCall::Show(forwarded) => format!("Show {}", forwarded.info.identity),
        ApiCall::UpdateMetadata { metadata } => format!("UpdateMetadata {metadata:?}"),
    }
}

pub fn reason(reason: Reason, names: &Names) -> String {
    let name = |index: u32| names.sessions.get(&index).map_or("?", |(name, _)| name);
    match reason {
        Reason::Join(index) => format!("Join {}", name(index)),
        Reason::Disconnect(index) => format!("Disconnect {}", name(index)),
        Reason::Negotiation(index) => format!("Negotiation {}", name(index)),
        Reason::TrackNotFound(index) => format!("TrackNotFound {}", name(index)),
        Reason::RefreshToken(index) => format!("RefreshToken {}", name(index)),
        Reason::Allowance(index) => format!("Allowance {}", name(index)),
        Reason::SimulatedSpeaker(index) => format!("SimulatedSpeaker {}", name(index)),
        Reason::Updates | Reason::Repeating | Reason::Quality | Reason::Rpc | Reason::RoomUpdate | Reason::Empty => {
            format!("{reason:?}")
        }
    }
}

fn message(message: &Message) -> String {
    match message {
        Message::Join(join) => {
            let others: Vec<_> = join.other_participants.iter().map(participant).collect();
            let primary = if join.subscriber_primary { " subscriber_primary" } else { "" };
            let me = participant(join.participant.as_ref().unwrap());
            format!("join {me}; others [{}]{primary} {}", others.join(", "), room(join.room.as_ref().unwrap()))
        }
        Message::Update(update) => {
            format!("update {}", update.participants.iter().map(participant).collect::<Vec<_>>().join(", "))
        }
        Message::RoomUpdate(update) => format!("room_update {}", room(update.room.as_ref().unwrap())),
        other => json(&pb::SignalResponse { message: Some(other.clone()) }),
    }
}

fn participant(info: &pb::ParticipantInfo) -> String {
    let mut words =
        vec![info.identity.clone(), info.sid.clone(), info.state().as_str_name().to_owned(), format!("v{}", info.version)];
    if !info.metadata.is_empty() {
        words.push(format!("metadata={:?}", info.metadata));
    }
    if info.name != info.identity.to_uppercase() {
        words.push(format!("name={:?}", info.name));
    }
    if !info.attributes.is_empty() {
        words.push(format!("attributes={:?}", info.attributes.iter().collect::<BTreeMap<_, _>>()));
    }
    if info.is_publisher {
        words.push("publisher".to_owned());
    }
    if info.kind != 0 {
        words.push(info.kind().as_str_name().to_owned());
    }
    words.extend(info.kind_details().map(|detail| detail.as_str_name().to_owned()));
    let usual = pb::ParticipantPermission { can_subscribe: true, can_publish: true, can_publish_data: true, ..Default::default() };
    if let Some(permission) = info.permission.as_ref().filter(|permission| **permission != usual) {
        words.push(format!("permission={}", json(permission)));
    }
    if info.disconnect_reason != 0 {
        words.push(info.disconnect_reason().as_str_name().to_owned());
    }
    if !info.tracks.is_empty() {
        words.push(format!("[{}]", info.tracks.iter().map(track).collect::<Vec<_>>().join(", ")));
    }
    if !info.data_tracks.is_empty() {
        let tracks = info.data_tracks.iter().map(|track| format!("{} {}", track.sid, track.pub_handle));
        words.push(format!("data [{}]", tracks.collect::<Vec<_>>().join(", ")));
    }
    words.join(" ")
}

fn track(info: &pb::TrackInfo) -> String {
    let muted = if info.muted { " muted" } else { "" };
    format!("{} {} {} mid {}{muted}", info.sid, info.source().as_str_name(), info.mime_type, info.mid)
}

fn room(room: &pb::Room) -> String {
    let recording = if room.active_recording { " recording" } else { "" };
    let metadata = if room.metadata.is_empty() { String::new() } else { format!(" metadata={:?}", room.metadata) };
    let max = if room.max_participants == 0 { String::new() } else { format!(" of {}", room.max_participants) };
    format!(
        "room({} participants{max}, {} publishers{recording}{metadata}; timeouts {}, {})",
        room.num_participants, room.num_publishers, room.empty_timeout, room.departure_timeout
    )
}

fn forwarded(forwarded: &Forwarded, names: &Names) -> String {
    let tracks = forwarded.tracks.iter().map(|(key, _, info)| format!("{} {}", names.of_track(*key), track(info)));
    let data = forwarded.data_tracks.iter().map(|(key, info)| format!("{} {}", key.index, info.sid));
    let (tracks, data) = (tracks.collect::<Vec<_>>().join(", "), data.collect::<Vec<_>>().join(", "));
    format!("{}; tracks [{tracks}] data [{data}] for {:?}", participant(&forwarded.info), forwarded.allowance)
}

fn reply(reply: &ApiReply, names: &Names) -> String {
    match reply {
        ApiReply::Forwarded(told) => forwarded(told, names),
        ApiReply::Room(info) => room(info),
        ApiReply::Participants(infos) => infos.iter().map(participant).collect::<Vec<_>>().join(", "),
        ApiReply::Participant(info) => participant(info),
        ApiReply::Track(None) => "no track".to_owned(),
        ApiReply::Track(Some(info)) => track(info),
        ApiReply::Payload(payload) => format!("payload {payload:?}"),
        ApiReply::Removed { .. } => "removed".to_owned(),
        ApiReply::Done => "done".to_owned(),
    }
}

fn happened(happened: &Happened) -> String {
    match happened {
        Happened::RoomStarted => "room_started".to_owned(),
        Happened::RoomFinished => "room_finished".to_owned(),
        Happened::ParticipantJoined(info) => format!("participant_joined {}", participant(info)),
        Happened::ParticipantLeft(info) => format!("participant_left {}", participant(info)),
        Happened::ParticipantConnectionAborted(info) => format!("participant_connection_aborted {}", participant(info)),
        Happened::TrackPublished { participant, track: info } => {
            format!("track_published {} {}", participant.identity, track(info))
        }
        Happened::TrackUnpublished { participant, track: info } => {
            format!("track_unpublished {} {}", participant.identity, track(info))
        }
    }
}

fn command(command: &Command, names: &Names) -> String {
    let on = |session: &SessionKey| names.of_session(*session).to_owned();
    let of = |track: &TrackKey| names.of_track(*track).to_owned();
    match command {
        Command::AddSession(add) => {
            let lite = if add.ice_lite { " lite" } else { "" };
            let tcp = if add.tcp_only { " over TCP" } else { "" };
            format!("AddSession {} {:?}{lite}{tcp}", on(&add.session), add.mode)
        }
        Command::RemoveSession { session } => format!("RemoveSession {}", on(session)),
        Command::Offer { session, sdp, id } => format!("Offer {} {id} {sdp:?}", on(session)),
        Command::Answer { session, sdp, id } => format!("Answer {} {id} {sdp:?}", on(session)),
        Command::RestartIce { session, tcp_only } => {
            format!("RestartIce {}{}", on(session), if *tcp_only { " over TCP" } else { "" })
        }
        Command::Candidate { session, target, candidate } => format!("Candidate {} {target:?} {candidate:?}", on(session)),
        Command::AddTrack(add) => {
            let muted = if add.muted { " muted" } else { "" };
            format!("AddTrack {} {:?} cids {:?} {:?}{muted}", on(&add.session), add.kind, add.cids, add.preferred_codec)
        }
        Command::RemoveTrack { track } => format!("RemoveTrack {}", of(track)),
        Command::MuteTrack { track, muted } => format!("MuteTrack {} {muted}", of(track)),
        Command::Subscribe(ask) => {
            let disabled = if ask.disabled { " disabled" } else { "" };
            format!("Subscribe {} to {} as {} {}{disabled}", on(&ask.session), of(&ask.track), ask.stream_id, ask.track_id)
        }
        Command::Unsubscribe { session, track } => format!("Unsubscribe {} from {}", on(session), of(track)),
        Command::ConfigureSubscription { session, track, disabled } => {
            format!("ConfigureSubscription {} of {} disabled {disabled}", on(session), of(track))
        }
        Command::Fault(fault) => format!("Fault {fault:?}"),
        Command::DataTaken { session, bytes, refused } => {
            format!("DataTaken {} {bytes}{}", on(session), if *refused { " refused" } else { "" })
        }
        Command::AddDataTrack { session, track, handle } => format!("AddDataTrack {} {} {handle}", on(session), track.index),
        Command::RemoveDataTrack { track } => format!("RemoveDataTrack {}", track.index),
        Command::SubscribeDataTrack { session, track, handle, target_fps, .. } => {
            let fps = target_fps.map(|fps| format!(" at {fps} fps")).unwrap_or_default();
            format!("SubscribeDataTrack {} {} as {handle}{fps}", on(session), track.index)
        }
        Command::UnsubscribeDataTrack { session, track } => format!("UnsubscribeDataTrack {} {}", on(session), track.index),
        Command::SendData { sessions, channel, payload } => {
            let to: Vec<_> = sessions.iter().map(on).collect();
            let packet: pb::DataPacket = prost::Message::decode(payload.clone()).unwrap();
            format!("SendData {channel:?} to {} {}", to.join("+"), json(&packet))
        }
    }
}
