//! Twirp: `POST /twirp/<service>/<method>` in protobuf or JSON; errors as JSON with a code and its HTTP status.
//!
//! Asks for a token before it reads anything, decodes, authorises, asks a room, encodes. Knows every method that LiveKit's services
//! have, so that one which is not built yet answers `unimplemented` and a misspelt one `bad_route`.

mod error;
pub(crate) mod message;
mod room_service;
pub(crate) mod services;

use std::time::Duration;

use axum::Extension;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse as _, Response};
use sluicegate_proto::grant::VideoGrant;

use crate::auth::Caller;
use crate::control::Control;
use crate::http::{BODY_TIMEOUT, text, too_large};
use axum::http::StatusCode;
use error::{Code, TwirpError};
use message::{Body, Encoding};
use services::Route;

/// Where the client sets no deadline (LiveKit: 3 s, three times).
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest deadline a client may set.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);

/// One call, as far as it concerns every method.
#[derive(Debug)]
struct Call {
    body: Body,
    caller: Caller,
}

impl Call {
    /// Refused with `unauthenticated`, also where a valid token only lacks the grant (LiveKit).
    fn require(&self, may: impl FnOnce(&VideoGrant) -> bool) -> Result<(), TwirpError> {
        if self.caller.video().is_some_and(may) { Ok(()) } else { Err(denied()) }
    }

    /// What the services beside RoomService ask for, where the request says nothing of a room.
    fn require_of(&self, service: &str, method: &str) -> Result<(), TwirpError> {
        let claims = &self.caller.0;
        let may = |may: fn(&VideoGrant) -> bool| claims.video.as_ref().is_some_and(may);
        let sip = claims.sip.unwrap_or_default();
        let is_allowed = match (service, method) {
            ("livekit.Egress", _) => may(|grant| grant.room_record),
            ("livekit.Ingress", _) => may(|grant| grant.ingress_admin),
            ("livekit.SIP", "CreateSIPParticipant" | "TransferSIPParticipant") => sip.call,
            ("livekit.SIP", _) => sip.admin,
            _ => may(|grant| grant.room_admin),
        };
        if is_allowed { Ok(()) } else { Err(denied()) }
    }

    /// `roomAdmin` of this very room.
    fn require_admin(&self, room: &str) -> Result<(), TwirpError> {
        self.require(|grant| grant.is_admin_of(room))
    }
}

pub(crate) async fn handle(State(control): State<Control>, caller: Option<Extension<Caller>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let route = if parts.method == Method::POST { services::find(path) } else { None };
    let Some(route) = route else {
        let message = match parts.method {
            Method::POST => format!("no handler for path {path:?}"),
            method => format!("unsupported method {method:?} (only POST is allowed)"),
        };
        return TwirpError::new(Code::BadRoute, message).into_response();
    };
    let Some(encoding) = Encoding::of(&parts.headers) else {
        return answered(&control, route, Err(TwirpError::new(Code::BadRoute, "unexpected Content-Type")));
    };
    // Nobody's body is read for somebody who may do nothing with it.
    let Some(Extension(caller)) = caller else {
        return answered(&control, route, Err(denied()));
    };
    let bytes = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, control.config().limits.body_bytes())).await {
        Err(_) => return text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
        Ok(Err(_)) => return too_large(),
        Ok(Ok(bytes)) => bytes,
    };
    let call = Call { body: Body { encoding, bytes }, caller };
    let answer = match tokio::time::timeout(deadline(&parts.headers, route), dispatch(&control, route, &call)).await {
        Ok(answer) => answer,
        Err(_) => Err(TwirpError::new(Code::DeadlineExceeded, "the request took too long")),
    };
    answered(&control, route, answer)
}

async fn dispatch(control: &Control, route: Route, call: &Call) -> Result<Response, TwirpError> {
    match route.service {
        services::ROOM_SERVICE => room_service::call(control, route.method, call).await,
        service => {
            // nobody learns more of what is not built yet than of what is
            call.require_of(service, route.method)?;
            Err(unbuilt(route.method))
        }
    }
}

fn denied() -> TwirpError {
    TwirpError::new(Code::Unauthenticated, "permissions denied")
}

fn unbuilt(method: &str) -> TwirpError {
    TwirpError::new(Code::Unimplemented, format!("{method} is not available in this version"))
}

fn answered(control: &Control, route: Route, answer: Result<Response, TwirpError>) -> Response {
    let code = answer.as_ref().err().map_or("ok", |error| error.code.name());
    control.metrics().count_request(route.service, route.method, code);
    answer.unwrap_or_else(TwirpError::into_response)
}

/// A called method has its time from its own request, which is bounded, too.
fn deadline(headers: &HeaderMap, route: Route) -> Duration {
    let usual = if route.method == "PerformRpc" { TIMEOUT_MAX } else { TIMEOUT };
    let asked = headers.get("x-twirp-timeout-ms").and_then(|value| value.to_str().ok()?.trim().parse().ok());
    asked.map_or(usual, Duration::from_millis).min(TIMEOUT_MAX)
}

/// The part of a content type before its parameters.
fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_sets_his_deadline() {
        let of = |method: &str, header: &str| {
            let headers = HeaderMap::from_iter([(header::HeaderName::from_static("x-twirp-timeout-ms"), header.parse().unwrap())]);
            deadline(&headers, services::find(&format!("/twirp/livekit.RoomService/{method}")).unwrap()).as_millis()
        };
        assert_eq!((of("ListRooms", "1500"), of("ListRooms", " 7 ")), (1500, 7));
        assert_eq!((of("ListRooms", "999999999"), of("PerformRpc", "18446744073709551615")), (120_000, 120_000));
        assert_eq!((of("ListRooms", "soon"), of("ListRooms", "-1"), of("PerformRpc", "")), (10_000, 10_000, 120_000));
        assert!(sluicegate_room::config::RPC_TIMEOUT_MAX < TIMEOUT_MAX, "a called method's own time ends first");
    }
}
