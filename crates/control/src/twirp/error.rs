//! Twirp's error codes, their HTTP statuses, and what a room's errors are in them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use sluicegate_room::output::ApiError;

/// The codes this server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidArgument,
    Malformed,
    Unauthenticated,
    NotFound,
    BadRoute,
    DeadlineExceeded,
    FailedPrecondition,
    ResourceExhausted,
    Internal,
    Unimplemented,
    Canceled,
    Unavailable,
    Unknown,
}

impl Code {
    pub const fn name(self) -> &'static str {
        self.entry().0
    }

    const fn entry(self) -> (&'static str, StatusCode) {
        match self {
            Self::InvalidArgument => ("invalid_argument", StatusCode::BAD_REQUEST),
            Self::Malformed => ("malformed", StatusCode::BAD_REQUEST),
            Self::Unauthenticated => ("unauthenticated", StatusCode::UNAUTHORIZED),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
            Self::BadRoute => ("bad_route", StatusCode::NOT_FOUND),
            Self::DeadlineExceeded => ("deadline_exceeded", StatusCode::REQUEST_TIMEOUT),
            Self::FailedPrecondition => ("failed_precondition", StatusCode::PRECONDITION_FAILED),
            Self::ResourceExhausted => ("resource_exhausted", StatusCode::TOO_MANY_REQUESTS),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Canceled => ("canceled", StatusCode::REQUEST_TIMEOUT),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Unknown => ("unknown", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unimplemented => ("unimplemented", StatusCode::NOT_IMPLEMENTED),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwirpError {
    pub code: Code,
    pub message: String,
}

impl TwirpError {
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl IntoResponse for TwirpError {
    fn into_response(self) -> Response {
        let (code, status) = self.code.entry();
        (status, Json(serde_json::json!({ "code": code, "msg": self.message }))).into_response()
    }
}

impl From<ApiError> for TwirpError {
    fn from(error: ApiError) -> Self {
        let code = match &error {
            ApiError::NotFound(_) => Code::NotFound,
            ApiError::InvalidArgument(_) => Code::InvalidArgument,
            ApiError::FailedPrecondition(_) => Code::FailedPrecondition,
            ApiError::ResourceExhausted(_) => Code::ResourceExhausted,
            ApiError::Unimplemented(_) => Code::Unimplemented,
            ApiError::Malformed(_) => Code::Malformed,
            ApiError::Canceled(_) => Code::Canceled,
            ApiError::Unavailable(_) => Code::Unavailable,
            ApiError::Internal(_) => Code::Internal,
            ApiError::Unknown(_) => Code::Unknown,
        };
        Self::new(code, error.to_string())
    }
}
