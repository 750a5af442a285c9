//! One listener: accepts, speaks HTTP/1.1, hands every request to the router. Slow and idle peers are bounded in time.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use crate::control::Control;
use crate::http::patience::Patience;
use crate::http::{Peer, strip_double_slash};
use crate::metrics::Kind;

/// From the first byte of a request's head to its last, and between two requests of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Headers of one request (LiveKit: 1 MiB). Of that the address has 64 kB at most, whatever stands here: a token in a parameter and
/// a bundled join together, too.
const HEAD_BYTES_MAX: usize = 1 << 20;
/// An answer that the peer does not take; a slow line has time enough (see `patience`).
const STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// No file descriptors left: others must end first.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// Until the control plane is shut down.
pub(crate) async fn serve(control: Control, listener: TcpListener, router: Router) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = control.stopped() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(connection(control.clone(), stream, peer, router.clone()));
            }
            Err(error) if is_the_peers(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(ACCEPT_BACKOFF).await;
            }
        }
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

async fn connection(control: Control, stream: TcpStream, peer: SocketAddr, router: Router) {
    let _tally = control.metrics().enter(Kind::HttpConnection);
    // without it a frame may wait for the acknowledgement of the last one; where it fails nothing else does
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        strip_double_slash(request.uri_mut());
        request.extensions_mut().insert(Peer(peer));
        router.call(request.map(Body::new))
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Patience::new(stream, STALL_TIMEOUT)), service)
        .with_upgrades();
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = control.stopped() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "connection ended");
    }
}
