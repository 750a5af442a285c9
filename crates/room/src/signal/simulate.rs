//! What clients may ask for to test themselves (LiveKit: SimulateScenario). Those of bandwidth come with layers.

use std::time::{Duration, Instant};

use sluicegate_proto::pb;
use sluicegate_proto::pb::signal_response::Message;
use sluicegate_proto::pb::simulate_scenario::Scenario;
use smallvec::SmallVec;

use crate::participant::Departure;
use crate::resume::Disturbance;
use crate::room::Room;
use crate::timer::Reason;

/// The longest simulated speech, in seconds.
const SPEECH_SECS_MAX: u32 = 60;
/// How loud it is (LiveKit: the same).
const SPEECH_LEVEL: f32 = 0.9;
/// Identities that may ask for TCP.
const TCP_ONLY_MAX: usize = 256;

impl Room {
    pub(crate) fn handle_simulate(&mut self, now: Instant, index: u32, request: &pb::SimulateScenario) {
        let departure = match request.scenario {
            Some(Scenario::ServerLeave(true)) => Departure::disconnect(pb::DisconnectReason::ServerShutdown),
            // As if the node had died, or the participant had gone to another one that knows nothing of it: no word of goodbye.
            Some(Scenario::NodeFailure(true)) => Departure::silent(pb::DisconnectReason::ServerShutdown),
            Some(Scenario::Migration(true)) => Departure::silent(pb::DisconnectReason::Migration),
            Some(Scenario::LeaveRequestFullReconnect(true)) => Departure::reconnect(pb::DisconnectReason::StateMismatch),
            Some(Scenario::SpeakerUpdate(secs)) => return self.simulate_speaker(now, index, secs),
            Some(Scenario::SwitchCandidateProtocol(protocol)) => return self.switch_protocol(index, protocol),
            Some(Scenario::DisconnectSignalOnResume(true)) => return self.disturb(now, index, Disturbance::AfterMessages),
            Some(Scenario::DisconnectSignalOnResumeNoMessages(true)) => {
                return self.disturb(now, index, Disturbance::BeforeMessages);
            }
            _ => return,
        };
        self.remove(now, index, departure);
    }

    /// LiveKit: one that does not really speak is told to do so.
    fn simulate_speaker(&mut self, now: Instant, index: u32, secs: i32) {
        let secs = u32::try_from(secs).unwrap_or(0).min(SPEECH_SECS_MAX);
        self.tell_simulated_speaker(index, true);
        self.timers.set(Reason::SimulatedSpeaker(index), now + Duration::from_secs(secs.into()));
    }

    pub(crate) fn tell_simulated_speaker(&mut self, index: u32, active: bool) {
        let Some(participant) = self.participants.get(&index) else { return };
        let level = if active { SPEECH_LEVEL } else { 0.0 };
        let speakers = vec![pb::SpeakerInfo { sid: participant.sid.clone(), level, active }];
        // a hidden one is nobody's business
        let hidden = participant.permission.hidden;
        let hears = |other: u32| !hidden || other == index;
        let connections: SmallVec<_> =
            self.participants.iter().filter(|(other, _)| hears(**other)).filter_map(|(_, p)| p.connection).collect();
        self.signal_many(connections, Message::SpeakersChanged(pb::SpeakersChanged { speakers }));
    }

    /// From here on the client is told our addresses of this protocol: at once where we offer, else with its next stay, which most
    /// clients begin by themselves now. LiveKit: UDP is no preference; there is no TLS yet.
    fn switch_protocol(&mut self, index: u32, protocol: i32) {
        let Some(participant) = self.participants.get(&index) else { return };
        let identity = participant.identity.clone();
        let is_news = match pb::CandidateProtocol::try_from(protocol) {
            Ok(pb::CandidateProtocol::Udp) => self.tcp_only.remove(&identity),
            Ok(pb::CandidateProtocol::Tcp) => self.tcp_only.len() < TCP_ONLY_MAX && self.tcp_only.insert(identity),
            Ok(pb::CandidateProtocol::Tls) | Err(_) => false,
        };
        if is_news {
            self.restart_ice(index);
        }
    }

    pub(crate) fn is_tcp_only(&self, index: u32) -> bool {
        self.participants.get(&index).is_some_and(|participant| self.tcp_only.contains(&participant.identity))
    }

    fn disturb(&mut self, now: Instant, index: u32, disturbance: Disturbance) {
        if let Some(participant) = self.participants.get_mut(&index) {
            participant.absence.disturb(now, disturbance);
        }
    }
}
