//! The HTTP surface: routes, and the steps every request passes (LiveKit's order): recovery, CORS, double slash, body limit,
//! API keys.

mod cors;
mod patience;
mod server;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri, header, uri::PathAndQuery};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::FutureExt as _;

use crate::control::Control;
use crate::metrics::Fact;
use crate::metrics::page;
use crate::{auth, console, twirp, ws};

pub(crate) use server::serve;

/// The other end of a connection, in every request's extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub SocketAddr);

/// A body must have come by then.
pub(crate) const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The routes with one path each.
pub(crate) const PATHS: [&str; 5] = ["/", "/rtc", "/rtc/v1", "/rtc/validate", "/rtc/v1/validate"];

/// Everything on the main port.
pub(crate) fn main_router(control: &Control) -> Router {
    let [root, rtc, rtc_v1, validate, validate_v1] = PATHS;
    let mut router = Router::new()
        .route(root, any(health))
        .route(rtc, any(ws::v0))
        .route(rtc_v1, any(ws::v1))
        .route(validate, any(ws::validate_v0))
        .route(validate_v1, any(ws::validate_v1))
        .route("/twirp/{*path}", any(twirp::handle));
    if control.config().in_development {
        router = router.route("/metrics", any(page::open));
    }
    router
        .merge(console::router(control.config().in_development))
        .fallback(|| async { text(StatusCode::NOT_FOUND, "404 page not found") })
        .layer(middleware::from_fn_with_state(control.clone(), auth::authenticate))
        .layer(middleware::from_fn_with_state(control.clone(), limit_body))
        .layer(middleware::from_fn(cors::allow))
        .layer(middleware::from_fn_with_state(control.clone(), recover))
        .with_state(control.clone())
}

/// The metrics port answers on every path.
pub(crate) fn metrics_router(control: &Control) -> Router {
    Router::new()
        .fallback(page::guarded)
        .layer(middleware::from_fn_with_state(control.clone(), recover))
        .with_state(control.clone())
}

/// A plain-text answer.
pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text.into()).into_response()
}

pub(crate) fn too_large() -> Response {
    text(StatusCode::PAYLOAD_TOO_LARGE, "request body too large")
}

/// SDKs join URLs sloppily: a path that begins with two slashes means one. Before routing.
pub(crate) fn strip_double_slash(uri: &mut Uri) {
    let Some(path_and_query) = uri.path_and_query().map(PathAndQuery::as_str) else { return };
    let Some(rest) = path_and_query.strip_prefix("//") else { return };
    let Ok(path_and_query) = PathAndQuery::try_from(format!("/{}", rest.trim_start_matches('/'))) else { return };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query);
    if let Ok(changed) = Uri::from_parts(parts) {
        *uri = changed;
    }
}

async fn health(State(control): State<Control>) -> Response {
    match control.hindrance() {
        None => text(StatusCode::OK, "OK"),
        Some(why) => text(StatusCode::NOT_ACCEPTABLE, format!("Not Ready\n{why}")),
    }
}

async fn limit_body(State(control): State<Control>, request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    // a body without a length is bounded where it is read
    if length.is_some_and(|length| length > control.config().limits.body_bytes() as u64) {
        return too_large();
    }
    next.run(request).await
}

/// A panic costs the request, nothing more.
async fn recover(State(control): State<Control>, request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            control.metrics().count(Fact::Panic);
            tracing::error!("a request panicked; it was answered with 500");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub(crate) fn empty(status: StatusCode) -> Response {
    (status, Body::empty()).into_response()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::{ControlConfig, MediaPort, WorkerPort};

    #[tokio::test]
    async fn a_panic_costs_one_request() {
        let (commands, _worker) = tokio::sync::mpsc::channel(1);
        let (_events, events) = tokio::sync::mpsc::channel(1);
        let (_meters, meters) = tokio::sync::watch::channel(Default::default());
        let control = Control::start(
            ControlConfig::default(),
            MediaPort { workers: vec![WorkerPort { commands, meters }], events, is_behind: Default::default() },
            crate::Store::in_memory().unwrap(),
        );
        async fn panics() {
            panic!("on purpose")
        }
        let router: Router = Router::new()
            .route("/panic", axum::routing::get(panics))
            .route("/fine", axum::routing::get(|| async { "fine" }))
            .layer(middleware::from_fn_with_state(control.clone(), recover));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = tokio::net::TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        tokio::spawn(serve(control.clone(), listener, router));
        // one connection: it survives
        stream.write_all(b"GET /panic HTTP/1.1\r\nhost: x\r\n\r\nGET /fine HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        assert!(answers.starts_with("HTTP/1.1 500 ") && answers.ends_with("fine"), "{answers}");
        assert_eq!(control.metrics().facts(Fact::Panic), 1);
    }

    fn stripped(uri: &str) -> String {
        let mut uri: Uri = uri.parse().unwrap();
        strip_double_slash(&mut uri);
        uri.to_string()
    }

    #[test]
    fn two_slashes_at_the_front_are_one() {
        for (uri, wanted) in [
            ("//rtc/validate?a=//b", "/rtc/validate?a=//b"),
            ("///rtc", "/rtc"),
            ("//", "/"),
            ("/rtc//v1", "/rtc//v1"),
            ("http://host//rtc", "http://host/rtc"),
        ] {
            assert_eq!(stripped(uri), wanted);
        }
    }

    proptest! {
        #[test]
        fn arbitrary_paths_never_panic(path in "/{0,4}[ -~]{0,60}") {
            if let Ok(mut uri) = path.parse::<Uri>() {
                strip_double_slash(&mut uri);
                prop_assert!(!uri.path().starts_with("//"));
            }
        }
    }
}
