//! Panics for the asking, so that real clients can be watched coming back from one.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::Response;
use sluicegate_contract::command::Fault;
use sluicegate_contract::{Command, WorkerKey};
use sluicegate_room::output::ApiError;

use super::is_local;
use crate::control::Control;
use crate::http::{Peer, text};
use crate::query::Query;

const NOT_FROM_HERE: &str = "faults are provoked on the machine itself (http://localhost)";
const WANTED: &str = "what shall panic: worker=0, room=name, or room=name&identity=name";

/// `worker=0`: that media worker. `room=a`: the room's task. `room=a&identity=b`: that participant's session in the media plane.
pub async fn provoke(State(control): State<Control>, peer: Option<Extension<Peer>>, uri: Uri, headers: HeaderMap) -> Response {
    if !peer.is_some_and(|Extension(Peer(peer))| is_local(peer.ip(), &headers)) {
        return text(StatusCode::FORBIDDEN, NOT_FROM_HERE);
    }
    let query = Query::of(&uri);
    let (worker, room, identity) = (query.get("worker"), query.get("room"), query.get("identity"));
    let outcome = match (worker.parse(), room.is_empty()) {
        (Ok(index), true) => provoke_in_worker(&control, WorkerKey::local(index)).await,
        (Err(_), false) => control.rooms().provoke(room, identity).await,
        _ => return text(StatusCode::BAD_REQUEST, WANTED),
    };
    match outcome {
        Ok(()) => text(StatusCode::OK, "provoked"),
        Err(error) => text(StatusCode::NOT_FOUND, error.to_string()),
    }
}

async fn provoke_in_worker(control: &Control, worker: WorkerKey) -> Result<(), ApiError> {
    if usize::from(worker.index) >= control.worker_meters().len() {
        return Err(ApiError::NotFound("there is no such worker".to_owned()));
    }
    control.workers().send(worker, Command::Fault(Fault::Worker(worker))).await;
    Ok(())
}
