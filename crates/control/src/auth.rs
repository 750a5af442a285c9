//! Who asks: the token of a request, checked once, and what it allows.
//!
//! A request without a token passes; what needs rights refuses it later. A bad token is refused here.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use sluicegate_proto::grant::VideoGrant;
use sluicegate_proto::token::{self, Claims, TokenError};
use tokio::time::timeout;

use crate::control::Control;
use crate::http::{BODY_TIMEOUT, text, too_large};
use crate::query::Query;

/// A form that has a token for us is no longer; longer ones are none of ours.
const FORM_BYTES_MAX: usize = 64 << 10;
const BEARER: &str = "Bearer ";
const NOT_BEARER: &str = "invalid authorization header. Must start with Bearer ";

/// The holder of a valid token; in the request's extensions where there is one.
#[derive(Clone, Debug)]
pub struct Caller(pub Arc<Claims>);

impl Caller {
    pub fn video(&self) -> Option<&VideoGrant> {
        self.0.video.as_ref()
    }
}

/// The middleware: header first, then the parameter `access_token` of query or form.
pub async fn authenticate(State(control): State<Control>, mut request: Request, next: Next) -> Response {
    let token = match from_header(&request) {
        Err(refusal) => return text(StatusCode::UNAUTHORIZED, refusal),
        Ok(Some(token)) => Some(token),
        Ok(None) => match from_parameters(&control, request).await {
            Err(response) => return *response,
            Ok((token, same)) => {
                request = same;
                token
            }
        },
    };
    if let Some(token) = token {
        match verify(&control, &token) {
            Ok(caller) => request.extensions_mut().insert(caller),
            Err(error) => return text(StatusCode::UNAUTHORIZED, error.to_string()),
        };
    }
    next.run(request).await
}

/// Unix time in seconds.
pub fn unix_secs() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn verify(control: &Control, token: &str) -> Result<Caller, TokenError> {
    token::verify(&control.config().keys, token, unix_secs()).map(|claims| Caller(Arc::new(claims)))
}

fn from_header(request: &Request) -> Result<Option<String>, &'static str> {
    let Some(value) = request.headers().get(header::AUTHORIZATION) else { return Ok(None) };
    let token = value.to_str().ok().and_then(|value| value.strip_prefix(BEARER));
    token.map(|token| Some(token.to_owned())).ok_or(NOT_BEARER)
}

async fn from_parameters(control: &Control, request: Request) -> Result<(Option<String>, Request), Box<Response>> {
    let in_query = Query::of(request.uri());
    let token = in_query.get("access_token");
    if !token.is_empty() {
        return Ok((Some(token.to_owned()), request));
    }
    if !is_form(&request) {
        return Ok((None, request));
    }
    let (parts, body) = request.into_parts();
    let bytes = match timeout(BODY_TIMEOUT, to_bytes(body, control.config().limits.body_bytes().min(FORM_BYTES_MAX))).await {
        Err(_) => return Err(Box::new(text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))),
        Ok(Err(_)) => return Err(Box::new(too_large())),
        Ok(Ok(bytes)) => bytes,
    };
    let form = Query::parse(&String::from_utf8_lossy(&bytes));
    let token = Some(form.get("access_token")).filter(|token| !token.is_empty()).map(str::to_owned);
    Ok((token, Request::from_parts(parts, Body::from(bytes))))
}

fn is_form(request: &Request) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}
