//! The web console: the files of `console/dist`, and in development the two questions that its page asks and the faults that tests
//! provoke.

mod fault;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};
use sluicegate_proto::pb;
use sluicegate_proto::token::{self, Claims};
use sluicegate_room::input::ApiCall;
use sluicegate_room::output::ApiReply;
use tokio::time::timeout_at;

use crate::auth::unix_secs;
use crate::control::Control;
use crate::http::{Peer, text};
use crate::metrics::process::Process;
use crate::query::Query;

/// A token of the console is good for a working day.
const TOKEN_TTL_SECS: u64 = 12 * 3600;
/// What a server in development is given where its configuration has no keys; everybody knows it.
const PUBLIC_KEY: (&str, &str) = ("devkey", "secret");
const NOT_HERE: &str = "this server has keys of its own: open the console on the machine itself (http://localhost), or with a token \
    that you made";
/// All rooms together answer within this time, or are left out.
const OVERVIEW_TIME: Duration = Duration::from_secs(2);
/// Rooms whose participants are listed; the page is for looking at a development server.
const ROOMS_MAX: usize = 100;
/// What the page may load and reach: itself, and LiveKit's signalling of any server that it was given a token for.
const CONTENT_POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; \
    media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

struct File {
    path: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($path:literal, $kind:literal) => {
        File { path: $path, kind: $kind, bytes: include_bytes!(concat!("../../../console/dist/", $path)) }
    };
}

static FILES: [File; 7] = [
    file!("index.html", "text/html; charset=utf-8"),
    file!("favicon.svg", "image/svg+xml"),
    file!("licences.txt", "text/plain; charset=utf-8"),
    file!("assets/console.js", "text/javascript; charset=utf-8"),
    file!("assets/console.css", "text/css; charset=utf-8"),
    file!("assets/room.js", "text/javascript; charset=utf-8"),
    file!("assets/livekit.js", "text/javascript; charset=utf-8"),
];

/// The page for everybody; what it asks is answered only where tokens may be had for the asking.
pub(crate) fn router(in_development: bool) -> Router<Control> {
    let mut router =
        Router::new().route("/console", get(redirect)).route("/console/", get(file)).route("/console/{*path}", get(file));
    if in_development {
        router = router.route("/console/api/session", get(session)).route("/console/api/overview", get(overview));
        router = router.route("/console/api/fault", post(fault::provoke));
    } else {
        let refused = || async { text(StatusCode::NOT_FOUND, "this server is not in development mode") };
        router = router.route("/console/api/{*path}", any(refused));
    }
    router
}

/// Addresses in the page are relative to `/console/`.
async fn redirect(uri: Uri) -> Response {
    let location = match uri.query() {
        Some(query) => format!("/console/?{query}"),
        None => "/console/".to_owned(),
    };
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
}

async fn file(request: Request) -> Response {
    let asked = request.uri().path().trim_start_matches("/console/");
    let asked = if asked.is_empty() { "index.html" } else { asked };
    let Some(file) = FILES.iter().find(|file| file.path == asked) else {
        return text(StatusCode::NOT_FOUND, "404 page not found");
    };
    let tag = tag(file.bytes);
    // names carry no hash: the browser asks each time, and is mostly told that nothing changed
    let headers = [
        (header::CONTENT_TYPE, file.kind.to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::ETAG, tag.clone()),
        (header::CONTENT_SECURITY_POLICY, CONTENT_POLICY.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    if is_known(request.headers(), &tag) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, file.bytes).into_response()
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| known.split(',').any(|known| known.trim().trim_start_matches("W/") == tag))
}

fn tag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

/// A token for whoever asks: only in development, and only where the secret is known to everybody anyway or the page was opened
/// on this very machine.
async fn session(State(control): State<Control>, peer: Option<Extension<Peer>>, uri: Uri, headers: HeaderMap) -> Response {
    let keys = &control.config().keys;
    let is_public = keys.secret(PUBLIC_KEY.0) == Some(PUBLIC_KEY.1);
    let is_local = peer.is_some_and(|Extension(Peer(peer))| is_local(peer.ip(), &headers));
    let (api_key, secret) = match (is_public, keys.first()) {
        (true, _) => PUBLIC_KEY,
        (false, Some(first)) if is_local => first,
        (false, Some(_)) => return text(StatusCode::FORBIDDEN, NOT_HERE),
        (false, None) => return text(StatusCode::NOT_FOUND, "this server has no keys"),
    };
    let query = Query::of(&uri);
    let (room, identity) = (query.get("room"), query.get("identity"));
    let limits = &control.config().limits;
    if room.is_empty() || identity.is_empty() || !limits.allows_room_name(room) || !limits.allows_identity(identity) {
        return text(StatusCode::BAD_REQUEST, "room and identity are wanted, and have a limited length");
    }
    let name = query.get("name").to_owned();
    let claims = Claims { name, ..Claims::join(api_key, identity, room, unix_secs(), TOKEN_TTL_SECS) };
    match token::sign(secret, &claims) {
        Ok(token) => answer(&json!({ "token": token, "room": room, "identity": identity })),
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// Asked from this machine, by no proxy, and in a browser by a page of ours: the address that was typed in is this machine's, too
/// (a name that an attacker made to point here is not), and the page that asks came from it.
fn is_local(peer: IpAddr, headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let Some(host) = header("host") else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let is_ours = matches!(name, "localhost" | "127.0.0.1" | "[::1]");
    let is_proxied = ["forwarded", "x-forwarded-for", "x-real-ip", "via"].iter().any(|name| headers.contains_key(*name));
    let is_same_origin = header("origin").is_none_or(|origin| origin == format!("http://{host}"))
        && header("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    peer.to_canonical().is_loopback() && is_ours && !is_proxied && is_same_origin
}

/// Rooms, participants and tracks in LiveKit's words, and what the media plane counts.
async fn overview(State(control): State<Control>) -> Response {
    let mut rooms = Vec::new();
    let until = Instant::now() + OVERVIEW_TIME;
    for room in control.rooms().list(&[]).into_iter().take(ROOMS_MAX) {
        let asked = control.rooms().ask(&room.name, ApiCall::ListParticipants);
        let participants = match timeout_at(until.into(), asked).await {
            Ok(Ok(ApiReply::Participants(participants))) => participants,
            // it ended meanwhile
            Ok(_) => continue,
            // rooms are busy: what there is by now
            Err(_) => break,
        };
        let response = pb::ListParticipantsResponse { participants };
        let (Some(mut shown), Some(listed)) = (value(&room, "livekit.Room"), value(&response, "livekit.ListParticipantsResponse"))
        else {
            continue;
        };
        shown["participants"] = listed["participants"].clone();
        rooms.push(shown);
    }
    let server_info = &control.config().room.server_info;
    let started: Instant = control.started();
    answer(&json!({
        "server": {
            "version": env!("CARGO_PKG_VERSION"),
            "node_id": server_info.node_id,
            "uptime_secs": started.elapsed().as_secs(),
        },
        "figures": figures(&control),
        "rooms": rooms,
    }))
}

fn figures(control: &Control) -> Value {
    let meters = control.meters();
    let dropped = meters.dropped_strangers + meters.dropped_malformed + meters.dropped_unauthentic + meters.dropped_unmapped;
    json!({
        "sessions": meters.live_sessions,
        "packets_up": meters.packets_up, "packets_down": meters.packets_down,
        "bytes_up": meters.bytes_up, "bytes_down": meters.bytes_down,
        "nacks_up": meters.nacks_up, "nacks_down": meters.nacks_down,
        "plis_up": meters.plis_up, "plis_down": meters.plis_down,
        "resends_down": meters.resends_down,
        "dropped": dropped,
        "resident_memory_bytes": Process::read().map(|process| process.resident_memory_bytes),
    })
}

fn value<M: serde::Serialize>(message: &M, name: &str) -> Option<Value> {
    serde_json::from_slice(&sluicegate_proto::json::twirp(message, name).ok()?).ok()
}

fn answer(value: &Value) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, value.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole() {
        let index = FILES.iter().find(|file| file.path == "index.html").unwrap();
        let html = std::str::from_utf8(index.bytes).unwrap();
        for asset in ["assets/console.js", "assets/console.css", "favicon.svg"] {
            assert!(html.contains(asset), "{asset}");
        }
        assert!(FILES.iter().all(|file| !file.bytes.is_empty()));
        assert_ne!(tag(FILES[3].bytes), tag(FILES[4].bytes));
    }

    #[test]
    fn who_asks_from_this_machine() {
        let local = |peer: &str, pairs: &[(&'static str, &'static str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            is_local(peer.parse().unwrap(), &pairs.collect())
        };
        for host in ["localhost", "localhost:7880", "127.0.0.1:7880", "[::1]:7880", "[::1]"] {
            assert!(local("127.0.0.1", &[("host", host)]) && local("::ffff:127.0.0.1", &[("host", host)]), "{host}");
            assert!(!local("192.0.2.1", &[("host", host)]));
        }
        let here = ("host", "localhost:7880");
        assert!(local("::1", &[here, ("origin", "http://localhost:7880"), ("sec-fetch-site", "same-origin")]));
        for (name, value) in [
            ("origin", "https://a.example"),
            ("origin", "http://localhost:3000"),
            ("sec-fetch-site", "cross-site"),
            ("x-forwarded-for", "192.0.2.1"),
        ] {
            assert!(!local("127.0.0.1", &[here, (name, value)]), "{name} {value}");
        }
        for host in ["a.example", "localhost.a.example:7880", "127.0.0.1.a.example"] {
            assert!(!local("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(!local("127.0.0.1", &[]));
    }
}
