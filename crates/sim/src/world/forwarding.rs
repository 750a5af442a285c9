//! A client of one room that is shown in others.

use sluicegate_room::input::{ApiCall, RequestId};
use sluicegate_room::output::{ApiError, ApiReply};
use sluicegate_room::{Forwarded, Input};

use super::World;

impl World {
    /// ForwardParticipant. The placement is one for all rooms here, so nothing must be lent.
    pub fn forward(&mut self, node: usize, room: usize) -> Result<(), ApiError> {
        let (own, identity) = (self.nodes[node].room, self.nodes[node].identity.clone());
        let ApiReply::Forwarded(forwarded) = self.ask(own, ApiCall::Forward { identity })? else { unreachable!() };
        self.shown_in.entry(forwarded.source).or_default().push(room);
        self.ask(room, ApiCall::Show(forwarded)).map(|_| ())
    }

    /// A call of the server's API.
    pub fn ask(&mut self, room: usize, call: ApiCall) -> Result<ApiReply, ApiError> {
        self.input(room, Input::Api { request: RequestId(0), call: Box::new(call) });
        self.answer.take().unwrap_or_else(|| unreachable!("every call is answered"))
    }

    pub(super) fn carry_forwarded(&mut self, forwarded: &Forwarded) {
        for room in self.shown_in.get(&forwarded.source).into_iter().flatten() {
            self.rooms[*room].handle_input(self.now, Input::Forwarded(Box::new(forwarded.clone())));
        }
    }
}
