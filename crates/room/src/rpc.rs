//! PerformRpc: the server calls a method of a participant, over its data channel and in the packets of the first RPC version.
//!
//! LiveKit: the call's id stands for the caller's identity, so an answer that names it is the server's and goes to nobody else.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use prost::Message as _;
use sluicegate_contract::Command;
use sluicegate_contract::command::DataChannel;
use sluicegate_proto::data::{Route, Value};
use sluicegate_proto::pb::data_packet::Value as Payload;
use sluicegate_proto::pb::rpc_response::Value as Answered;
use sluicegate_proto::{pb, sid};

use crate::config::{RPC_PAYLOAD_BYTES_MAX, RPC_TIMEOUT, RPC_TIMEOUT_MAX, RPCS_PENDING_MAX};
use crate::input::RequestId;
use crate::output::{ApiError, ApiReply, Output};
use crate::room::Room;
use crate::timer::Reason;

/// From the call to its acknowledgement (the SDKs' longest round trip).
const ACK_TIMEOUT: Duration = Duration::from_secs(7);
/// Bytes of a method's name.
const METHOD_BYTES_MAX: usize = 256;
/// The one version that every SDK answers.
const VERSION: u32 = 1;

/// LiveKit's error codes of RPC, as far as the server itself uses them.
mod code {
    pub const REQUEST_TOO_LARGE: u32 = 1402;
    pub const CONNECTION_TIMEOUT: u32 = 1501;
    pub const RESPONSE_TIMEOUT: u32 = 1502;
    pub const DISCONNECTED: u32 = 1503;
}

/// A call under way.
#[derive(Debug)]
struct Pending {
    request: RequestId,
    /// The participant's index.
    callee: u32,
    /// None once it was acknowledged.
    ack_until: Option<Instant>,
    until: Instant,
}

impl Pending {
    /// When it fails next, and by which code.
    fn deadline(&self) -> (Instant, u32) {
        match self.ack_until {
            Some(at) if at < self.until => (at, code::CONNECTION_TIMEOUT),
            _ => (self.until, code::RESPONSE_TIMEOUT),
        }
    }
}

/// Calls under way, by id.
#[derive(Debug, Default)]
pub struct Rpcs(BTreeMap<String, Pending>);

impl Room {
    /// Answered at once where it cannot be made, otherwise when its answer has come or its time is over.
    pub(crate) fn perform_rpc(&mut self, now: Instant, request: RequestId, call: pb::PerformRpcRequest) {
        match self.start_rpc(now, request, call) {
            Ok(()) => self.schedule_rpcs(),
            Err(error) => self.push(Output::ApiAnswer { request, answer: Err(error) }),
        }
    }

    fn start_rpc(&mut self, now: Instant, request: RequestId, call: pb::PerformRpcRequest) -> Result<(), ApiError> {
        let callee = self.find_own(&call.destination_identity)?;
        if call.payload.len() > RPC_PAYLOAD_BYTES_MAX {
            return Err(error(code::REQUEST_TOO_LARGE, "Request payload too large", ""));
        }
        if call.method.is_empty() || call.method.len() > METHOD_BYTES_MAX {
            return Err(ApiError::InvalidArgument(format!("the method's name has 1 to {METHOD_BYTES_MAX} bytes")));
        }
        if self.rpcs.0.len() >= RPCS_PENDING_MAX {
            return Err(ApiError::ResourceExhausted(format!("{RPCS_PENDING_MAX} calls into this room are under way already")));
        }
        let asked = Duration::from_millis(call.response_timeout_ms.into());
        let timeout = if asked.is_zero() { RPC_TIMEOUT } else { asked.min(RPC_TIMEOUT_MAX) };
        let id = sid::generate(sid::RPC, || self.entropy.next_u64());
        let rpc = pb::RpcRequest {
            id: id.clone(),
            method: call.method,
            payload: call.payload,
            response_timeout_ms: u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX),
            version: VERSION,
            ..Default::default()
        };
        let packet =
            pb::DataPacket { participant_identity: id.clone(), value: Some(Payload::RpcRequest(rpc)), ..Default::default() };
        self.rpcs.0.insert(id, Pending { request, callee, ack_until: Some(now + ACK_TIMEOUT), until: now + timeout });
        let sessions = smallvec::smallvec![self.session_key(callee)];
        let payload = Bytes::from(packet.encode_to_vec());
        self.command(Command::SendData { sessions, channel: DataChannel::Reliable, payload });
        Ok(())
    }

    /// True: the message answers a call of the server and is nobody else's.
    pub(crate) fn is_rpc_answer(&mut self, index: u32, route: &Route<'_>, payload: &Bytes) -> bool {
        if self.rpcs.0.is_empty() || !matches!(route.value, Value::RpcAck | Value::RpcResponse) {
            return false;
        }
        match pb::DataPacket::decode(payload.as_ref()).ok().and_then(|packet| packet.value) {
            Some(Payload::RpcAck(ack)) => {
                let Some(pending) = self.rpcs.0.get_mut(&ack.request_id).filter(|pending| pending.callee == index) else {
                    return false;
                };
                pending.ack_until = None;
            }
            Some(Payload::RpcResponse(response)) => {
                let is_pending = self.rpcs.0.get(&response.request_id).is_some_and(|pending| pending.callee == index);
                let Some(pending) = is_pending.then(|| self.rpcs.0.remove(&response.request_id)).flatten() else { return false };
                self.push(Output::ApiAnswer { request: pending.request, answer: answer(response.value) });
            }
            _ => return false,
        }
        self.schedule_rpcs();
        true
    }

    /// Calls whose time is over.
    pub(crate) fn expire_rpcs(&mut self, now: Instant) {
        for (_, pending) in self.rpcs.0.extract_if(.., |_, pending| pending.deadline().0 <= now).collect::<Vec<_>>() {
            let error = match pending.deadline().1 {
                code::CONNECTION_TIMEOUT => error(code::CONNECTION_TIMEOUT, "Connection timeout", ""),
                code => error(code, "Response timeout", ""),
            };
            self.push(Output::ApiAnswer { request: pending.request, answer: Err(error) });
        }
        self.schedule_rpcs();
    }

    /// A participant goes: its calls are over.
    pub(crate) fn end_rpcs(&mut self, callee: u32) {
        for (_, pending) in self.rpcs.0.extract_if(.., |_, pending| pending.callee == callee).collect::<Vec<_>>() {
            let answer = Err(error(code::DISCONNECTED, "Recipient disconnected", ""));
            self.push(Output::ApiAnswer { request: pending.request, answer });
        }
        self.schedule_rpcs();
    }

    fn schedule_rpcs(&mut self) {
        match self.rpcs.0.values().map(|pending| pending.deadline().0).min() {
            Some(at) => self.timers.set(Reason::Rpc, at),
            None => self.timers.cancel(Reason::Rpc),
        }
    }
}

fn answer(value: Option<Answered>) -> Result<ApiReply, ApiError> {
    match value {
        Some(Answered::Payload(payload)) => Ok(ApiReply::Payload(payload)),
        // a payload in another form belongs to a later version than the one that was asked in
        Some(Answered::Error(failed)) => Err(error(failed.code, &failed.message, &failed.data)),
        _ => Err(ApiError::Internal("the answer has no payload that this version knows".to_owned())),
    }
}

/// LiveKit: its codes of RPC in those of its API; the methods' own codes are unknown to it.
fn error(code: u32, message: &str, data: &str) -> ApiError {
    let text = if data.is_empty() { format!("RpcError {code}: {message}") } else { format!("RpcError {code}: {message}: {data}") };
    match code {
        1400 => ApiError::InvalidArgument(text),
        1401 => ApiError::NotFound(text),
        1402 => ApiError::Malformed(text),
        1403 | 1404 => ApiError::Unimplemented(text),
        1500 | 1504 | 1505 => ApiError::Internal(text),
        1501 | 1502 => ApiError::Canceled(text),
        1503 => ApiError::Unavailable(text),
        _ => ApiError::Unknown(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_fails_first_for_want_of_an_acknowledgement() {
        let now = Instant::now();
        let pending = |ack: Option<u64>, secs: u64| {
            let after = |secs| now + Duration::from_secs(secs);
            Pending { request: RequestId(1), callee: 0, ack_until: ack.map(after), until: after(secs) }.deadline()
        };
        assert_eq!(pending(Some(7), 10), (now + Duration::from_secs(7), code::CONNECTION_TIMEOUT));
        assert_eq!(pending(Some(7), 5).1, code::RESPONSE_TIMEOUT);
        assert_eq!(pending(None, 10), (now + Duration::from_secs(10), code::RESPONSE_TIMEOUT));
    }

    #[test]
    fn methods_may_have_codes_of_their_own() {
        assert_eq!(error(101, "no", "why"), ApiError::Unknown("RpcError 101: no: why".to_owned()));
        assert_eq!(error(1404, "no", ""), ApiError::Unimplemented("RpcError 1404: no".to_owned()));
        assert!(matches!(answer(None), Err(ApiError::Internal(_))));
    }
}
