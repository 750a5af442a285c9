//! The signalling endpoints. The upgrade waits for the room's answer: a refusal is an HTTP status with a sentence, not a socket
//! that closes.

mod allowance;
pub(crate) mod frame;
pub(crate) mod lane;
mod session;

use std::sync::Arc;

use axum::Extension;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use sluicegate_proto::sid;
use sluicegate_room::input::SignalMode;
use sluicegate_room::output::Refusal;

use crate::auth::Caller;
use crate::control::Control;
use crate::entropy;
use crate::http::{empty, text};
use crate::join::{self, Admission, Knock};
use crate::metrics::Kind;
use crate::query::Query;

type Token = Option<Extension<Caller>>;

pub(crate) async fn v0(State(control): State<Control>, caller: Token, request: Request) -> Response {
    connect(&control, caller, request, SignalMode::V0).await
}

pub(crate) async fn v1(State(control): State<Control>, caller: Token, request: Request) -> Response {
    connect(&control, caller, request, SignalMode::V1).await
}

pub(crate) async fn validate_v0(State(control): State<Control>, caller: Token, request: Request) -> Response {
    validate(&control, caller, request, SignalMode::V0)
}

pub(crate) async fn validate_v1(State(control): State<Control>, caller: Token, request: Request) -> Response {
    validate(&control, caller, request, SignalMode::V1)
}

/// The checks of a join without joining: clients ask why their WebSocket failed.
fn validate(control: &Control, caller: Token, request: Request, mode: SignalMode) -> Response {
    let (parts, _) = request.into_parts();
    match admit(control, caller, &parts, mode, true) {
        Ok(_) => text(StatusCode::OK, "success"),
        Err(refusal) => refuse(refusal),
    }
}

async fn connect(control: &Control, caller: Token, request: Request, mode: SignalMode) -> Response {
    let (mut parts, _) = request.into_parts();
    if !is_upgrade(&parts.headers) {
        return empty(StatusCode::NOT_FOUND);
    }
    let admission = match admit(control, caller, &parts, mode, false) {
        Ok(admission) => admission,
        Err(refusal) => return refuse(refusal),
    };
    let upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection> =
        WebSocketUpgrade::from_request_parts(&mut parts, control).await;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let Admission { room, join, api_key } = admission;
    let claims = join.claims.clone();
    let tally = control.metrics().enter(Kind::WebSocket);
    let (seat, lane) = match control.rooms().join(&room, join, &api_key).await {
        Ok(seated) => seated,
        Err(refusal) => return refuse(refusal),
    };
    // taken back in the meantime: the seat is dropped, and the room hears of it
    if control.rooms().is_revoked(&room, &claims) {
        return refuse(revoked());
    }
    let id = sid::generate(sid::CONNECTION, entropy::random);
    tracing::debug!(id, connection = seat.connection.0, "signal connection");
    let bytes_max = control.config().limits.signal_bytes();
    // Where the upgrade fails the seat is dropped with the closure, and the room hears of it.
    let metrics = Arc::clone(control.metrics());
    let upgrade = upgrade.max_message_size(bytes_max).max_frame_size(bytes_max);
    upgrade.on_upgrade(move |socket| session::run(socket, seat, lane, tally, metrics))
}

fn admit(control: &Control, caller: Token, parts: &Parts, mode: SignalMode, strict: bool) -> Result<Admission, Refusal> {
    let query = Query::of(&parts.uri);
    let knock = Knock {
        mode,
        query: &query,
        user_agent: parts.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default(),
        strict,
    };
    let admission = join::admit(control.config(), caller.map(|Extension(Caller(claims))| claims).as_deref(), &knock)?;
    if control.rooms().is_revoked(&admission.room, &admission.join.claims) {
        return Err(revoked());
    }
    let may_create = control.config().auto_create || admission.join.claims.video.as_ref().is_some_and(|video| video.room_create);
    if !may_create && !control.rooms().exists(&admission.room) {
        // clients tell this text from a 404 that means "no such endpoint"
        return Err(Refusal { status: 404, text: "requested room does not exist".to_owned() });
    }
    Ok(admission)
}

fn revoked() -> Refusal {
    Refusal { status: 401, text: "the token was revoked".to_owned() }
}

fn refuse(refusal: Refusal) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    text(status, refusal.text)
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    let has = |name, token: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket")
}
