//! What clients may ask for to test themselves (LiveKit: SimulateScenario). Only what ends the client's own stay; the scenarios
//! of resuming and of media come with those.

use std::time::Instant;

use sluicegate_proto::pb;
use sluicegate_proto::pb::simulate_scenario::Scenario;

use crate::participant::Departure;
use crate::room::Room;

impl Room {
    pub(crate) fn handle_simulate(&mut self, now: Instant, index: u32, request: &pb::SimulateScenario) {
        let departure = match request.scenario {
            Some(Scenario::ServerLeave(true)) => Departure::disconnect(pb::DisconnectReason::ServerShutdown),
            // As if the node had died: no word of goodbye.
            Some(Scenario::NodeFailure(true)) => Departure::silent(pb::DisconnectReason::ServerShutdown),
            Some(Scenario::LeaveRequestFullReconnect(true)) => Departure::reconnect(pb::DisconnectReason::StateMismatch),
            _ => return,
        };
        self.remove(now, index, departure);
    }
}
