//! Error replies in the API's envelope.

use std::net::IpAddr;
use std::time::Duration;

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::RateLimit;

/// A field that was refused, and the reason.
#[derive(Debug)]
pub(crate) struct FieldError {
    pub(crate) field: String,
    pub(crate) message: String,
}

/// A request that was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The error code without its prefix `E_ApiResponseCodes.`.
    code: &'static str,
    error: String,
    pub(crate) field: Option<FieldError>,
    /// For status 405, the methods that the path allows.
    pub(crate) allow: Option<String>,
}

const PERMISSION_DENIED: &str = "ENDPOINT_PERMISSION_DENIED";
const LIMIT_EXCEEDED: &str = "REQ_LIMIT_EXCEEDED";
const API_EXCEPTION: &str = "API_EXCEPTION";
const NON_VALIDATING: &str = "NON_VALIDATING_IN_PAYLOAD";

impl Refusal {
    fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self {
            status,
            code,
            error: error.into(),
            field: None,
            allow: None,
        }
    }

    pub(crate) fn unknown_path() -> Self {
        Self::new(StatusCode::NOT_FOUND, API_EXCEPTION, "Unknown endpoint.")
    }

    /// The error for a path of the API without its version.
    pub(crate) fn missing_v3(path: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            API_EXCEPTION,
            format!(
                "There is no endpoint {path}: call /v3{path}. The base URL of a client ends in /v3, \
                 unless the sandbox is started with --allow-missing-v3."
            ),
        )
    }

    pub(crate) fn wrong_method(methods: &[&str]) -> Self {
        let methods = methods.join(", ");
        Self {
            allow: Some(methods.clone()),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                API_EXCEPTION,
                format!("Method not allowed: use {methods}."),
            )
        }
    }

    pub(crate) fn unauthorized(error: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, API_EXCEPTION, error)
    }

    /// The service's error for an unknown key. Its status is documented as 401; the service was seen
    /// to send 500.
    pub(crate) fn unknown_key(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
        let error = "An API User matching the passed 'api_key' was not found";
        Self::new(status, API_EXCEPTION, error)
    }

    /// The error if the bodies of requests in progress exceed their limit.
    pub(crate) fn busy(error: String) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, API_EXCEPTION, error)
    }

    /// The error if other expensive requests held all permits for too long.
    pub(crate) fn queued_too_long(waited: Duration) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            API_EXCEPTION,
            format!(
                "The sandbox is busy: other large requests and templates have run for {} s. Try \
                 again later.",
                waited.as_secs()
            ),
        )
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            API_EXCEPTION,
            format!("The body exceeds the limit of {limit} bytes."),
        )
    }

    pub(crate) fn malformed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, NON_VALIDATING, error)
    }

    pub(crate) fn field(field: impl Into<String>, message: impl Into<String>) -> Self {
        FieldError {
            field: field.into(),
            message: message.into(),
        }
        .into()
    }

    /// The general error for problems beyond the schema, such as an unknown object.
    pub(crate) fn exception(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, API_EXCEPTION, error)
    }

    pub(crate) fn not_permitted(path: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            PERMISSION_DENIED,
            format!("The API key has no permission for {path}."),
        )
    }

    pub(crate) fn address_not_allowed(address: IpAddr) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            API_EXCEPTION,
            format!("The address {address} is not on the IP allow list for the API."),
        )
    }

    pub(crate) fn too_many(limit: &RateLimit) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            LIMIT_EXCEEDED,
            format!(
                "The rate limit of {} calls per {} is exceeded.",
                limit.requests, limit.per
            ),
        )
    }

    pub(crate) fn unverified_sender(domain: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            API_EXCEPTION,
            format!("The sender is not verified: the domain {domain:?} is not on this account."),
        )
    }

    /// An error of the sandbox itself, not of the request.
    pub(crate) fn broken(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, API_EXCEPTION, error)
    }

    /// The reason in one line.
    pub(crate) fn reason(&self) -> String {
        match &self.field {
            Some(FieldError { field, message }) => format!("{field}: {message}"),
            None => self.error.clone(),
        }
    }

    /// The body of the reply.
    pub(crate) fn envelope(&self, request_id: &str) -> Value {
        let mut data = json!({
            "error": self.error,
            "error_code": format!("E_ApiResponseCodes.{}", self.code),
        });
        if let (Some(FieldError { field, message }), Value::Object(members)) =
            (&self.field, &mut data)
        {
            members.insert(
                "field_validation_errors".to_owned(),
                json!({ "fieldname": field, "message": message }),
            );
        }
        json!({ "request_id": request_id, "data": data })
    }
}

impl From<FieldError> for Refusal {
    fn from(field: FieldError) -> Self {
        Self {
            field: Some(field),
            ..Self::malformed("The value of a field is not valid.")
        }
    }
}
