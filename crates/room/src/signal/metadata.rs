//! A participant's name, metadata and attributes, changed by itself or by the server's API.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use sluicegate_proto::pb;
use sluicegate_proto::pb::request_response::{Reason, Request};
use sluicegate_proto::pb::signal_response::Message;

use crate::room::Room;
use crate::update::{Audience, Pace};

/// What is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeds(pub &'static str);

impl Room {
    pub(crate) fn handle_update_metadata(&mut self, now: Instant, index: u32, update: pb::UpdateParticipantMetadata) {
        let Some(participant) = self.participants.get(&index) else { return };
        let answers_ok = update.request_id != 0 && participant.client.knows_ok_response();
        let request_id = update.request_id;
        if !participant.permission.can_update_metadata {
            let message = "does not have permission to update own metadata";
            return self.refuse(index, request_id, Reason::NotAllowed, message, Request::UpdateMetadata(update));
        }
        match self.change_metadata(now, index, &update.name, &update.metadata, &update.attributes) {
            Err(Exceeds(message)) => {
                self.refuse(index, request_id, Reason::LimitExceeded, message, Request::UpdateMetadata(update));
            }
            Ok(()) if answers_ok => {
                let request = Some(Request::UpdateMetadata(update));
                let response = pb::RequestResponse { request_id, reason: Reason::Ok as i32, message: String::new(), request };
                self.signal(index, Message::RequestResponse(response));
            }
            Ok(()) => {}
        }
    }

    /// Empty means unchanged; an attribute without a value is deleted. All or nothing.
    pub(crate) fn change_metadata(
        &mut self,
        now: Instant,
        index: u32,
        name: &str,
        metadata: &str,
        attributes: &HashMap<String, String>,
    ) -> Result<(), Exceeds> {
        let limits = self.config.limits;
        let Some(participant) = self.participants.get_mut(&index) else { return Ok(()) };
        if !limits.allows_name(name) {
            return Err(Exceeds("exceeds name length limit"));
        }
        if !limits.allows_metadata(metadata) {
            return Err(Exceeds("exceeds metadata size limit"));
        }
        let mut merged = participant.attributes.clone();
        // collected first: the machines iterate over no hash map
        let changes = BTreeMap::<&String, &String>::from_iter(attributes);
        for (key, value) in changes {
            if value.is_empty() {
                merged.remove(key);
            } else {
                merged.insert(key.clone(), value.clone());
            }
        }
        if !limits.allows_attributes(&merged) {
            return Err(Exceeds("exceeds attributes size limit"));
        }
        let mut changed = merged != participant.attributes;
        participant.attributes = merged;
        for (field, value) in [(&mut participant.name, name), (&mut participant.metadata, metadata)] {
            if !value.is_empty() && field != value {
                changed = true;
                value.clone_into(field);
            }
        }
        if changed {
            self.tell(now, index, Audience::Everybody, Pace::Repeatable);
            self.refresh_token(now, index);
        }
        Ok(())
    }
}
