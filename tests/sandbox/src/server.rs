//! The HTTP server: from a request to the answer, in the order in which the API checks.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::api::{Lookup, Operation};
use crate::call::{Call, KeyPlace};
use crate::connection::{Control, Out};
use crate::faults::{self, Effect, Fault};
use crate::json;
use crate::refusal::Refusal;
use crate::sending;
use crate::state::Shared;

/// The name of the key in a body that is not declared to hold one.
const KEY_FIELD: &str = "api_key";

const KEY_HEADER: &str = "x-smtp2go-api-key";

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    // One handler for everything: the paths come from the specification.
    Router::new().fallback(handle).with_state(shared)
}

async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(control): ConnectInfo<Control>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Some(body) = read(body, shared.api.max_body_bytes()).await else {
        // The client broke off: there is nobody to answer.
        return StatusCode::BAD_REQUEST.into_response();
    };
    let fault = control.take_fault();
    let mut call = Call {
        user_agent: text(&head.headers, header::USER_AGENT.as_str()),
        content_type: text(&head.headers, header::CONTENT_TYPE.as_str()),
        body,
        received: true,
        fault: fault.as_ref().map(Fault::name),
        ..Call::new(head.method.as_str().to_owned(), head.uri.path().to_owned())
    };
    let request_id = shared.state().next_request_id();
    let response = if fault.as_ref().is_none_or(|fault| fault.carried_out) {
        let answer = answer(&shared, &head.headers, &request_id, &mut call);
        call.accepted = answer.is_ok();
        if let Err(refusal) = &answer {
            call.refused = Some(refusal.reason());
        }
        respond_with(answer, &request_id)
    } else {
        if let Lookup::Found(operation) = shared.api.find(&call.method, &call.path) {
            call.operation = Some(operation.id.clone());
        }
        StatusCode::OK.into_response()
    };
    let Some(fault) = fault else {
        call.status = response.status().as_u16();
        // Before the answer goes out, so that whoever has the answer finds the call.
        shared.state().calls.push(call);
        control.end_request(Out::Pass);
        return response;
    };
    let response = match &fault.effect {
        Effect::Failed(reason) => respond(
            StatusCode::OK,
            &json!({ "request_id": request_id, "data": faults::failure(reason) }),
        ),
        Effect::Reply {
            status,
            headers,
            content_type,
            body,
        } => reply(*status, headers, content_type.as_deref(), body),
        _ => response,
    };
    let out = match fault.effect {
        Effect::Close => Out::Close,
        Effect::Reset => Out::Reset,
        Effect::Truncate => Out::Cut {
            blank: 0,
            left: response.body().size_hint().exact().unwrap_or_default() / 2,
        },
        _ => Out::Pass,
    };
    let answered = !matches!(fault.effect, Effect::Close | Effect::Reset | Effect::Stall);
    if answered {
        call.status = response.status().as_u16();
    }
    shared.state().calls.push(call);
    match fault.effect {
        Effect::Stall => std::future::pending().await,
        Effect::Delay(time) => tokio::time::sleep(time).await,
        _ => {}
    }
    control.end_request(out);
    response
}

/// The answer of a fault.
fn reply(
    status: u16,
    headers: &[(String, String)],
    content_type: Option<&str>,
    body: &[u8],
) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Bytes::copy_from_slice(body)).into_response();
    let map = response.headers_mut();
    map.remove(header::CONTENT_TYPE);
    let kind = content_type.map(|kind| (header::CONTENT_TYPE.as_str(), kind));
    let headers = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in kind.into_iter().chain(headers) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    response
}

/// The response for an answer. A reply without a known body is empty.
fn respond_with(answer: Result<Option<Value>, Refusal>, request_id: &str) -> Response {
    match answer {
        Ok(Some(reply)) => respond(StatusCode::OK, &reply),
        Ok(None) => StatusCode::OK.into_response(),
        Err(refusal) => {
            let mut response = respond(refusal.status, &refusal.envelope(request_id));
            if let Some(Ok(allow)) = refusal.allow.map(HeaderValue::try_from) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            response
        }
    }
}

/// Reads a body to its end, so that the client gets to read the answer, and keeps what shows that
/// it is over `limit` but no more. `None` if the client broke off.
async fn read(mut body: Body, limit: usize) -> Option<Bytes> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.ok()?.into_data()
            && bytes.len() <= limit
        {
            bytes.extend_from_slice(&data);
        }
    }
    Some(bytes.into())
}

/// Checks a request and carries it out, and notes in `call` what it learns of it. The reply is
/// `None` where no body is known.
fn answer(
    shared: &Shared,
    headers: &HeaderMap,
    request_id: &str,
    call: &mut Call,
) -> Result<Option<Value>, Refusal> {
    let keys = keys_in_headers(headers);
    call.key_place = keys.first().map(|(place, _)| *place);
    let operation = match shared.api.find(&call.method, &call.path) {
        Lookup::Found(operation) => operation,
        Lookup::WrongMethod(methods) => return Err(Refusal::wrong_method(&methods)),
        Lookup::UnknownPath => return Err(Refusal::unknown_path()),
    };
    call.operation = Some(operation.id.clone());

    // The key is judged before the body, but it may be in the body.
    let body = if call.body.len() > operation.max_body_bytes {
        Err(Refusal::too_large(operation.max_body_bytes))
    } else {
        json::object(&call.body)
    };
    let request = authorize(shared, operation, &keys, body, call)?;
    if let Some(field) = operation.check(&request).map_err(Refusal::broken)? {
        return Err(field.into());
    }
    match sending::answer(shared, &operation.id, &request) {
        Some(data) => Ok(Some(json!({ "request_id": request_id, "data": data? }))),
        None => Ok(operation
            .reply_example
            .clone()
            .map(|reply| with_request_id(reply, request_id))),
    }
}

/// Checks that a request has a key and that all keys that it has are right. Returns the body
/// without a key that does not belong to the request.
fn authorize(
    shared: &Shared,
    operation: &Operation,
    keys: &[(KeyPlace, String)],
    body: Result<Map<String, Value>, Refusal>,
    call: &mut Call,
) -> Result<Value, Refusal> {
    if keys.iter().any(|(_, key)| *key != shared.key) {
        return Err(Refusal::unauthorized("The API key is not known."));
    }
    let mut body = match body {
        Ok(body) => body,
        Err(refusal) if keys.is_empty() => {
            return Err(Refusal::unauthorized(format!(
                "There is no API key in the headers, and none in the body, which cannot be read: {}",
                refusal.reason()
            )));
        }
        Err(refusal) => return Err(refusal),
    };
    let in_body = match &operation.key_in_body {
        Some(field) => body.get(field).cloned(),
        None => body.remove(KEY_FIELD),
    };
    match in_body {
        Some(key) => {
            call.key_place.get_or_insert(KeyPlace::Body);
            if key.as_str() != Some(&shared.key) {
                return Err(Refusal::unauthorized("The API key is not known."));
            }
        }
        None if keys.is_empty() => {
            return Err(Refusal::unauthorized("There is no API key."));
        }
        None => {}
    }
    Ok(Value::Object(body))
}

/// The keys in the headers, in the order of [`KeyPlace`].
fn keys_in_headers(headers: &HeaderMap) -> Vec<(KeyPlace, String)> {
    let all = |name| {
        headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let bearer = all(header::AUTHORIZATION.as_str()).filter_map(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme
            .eq_ignore_ascii_case("bearer")
            .then(|| (KeyPlace::Bearer, key.trim().to_owned()))
    });
    all(KEY_HEADER)
        .map(|key| (KeyPlace::Header, key))
        .chain(bearer)
        .collect()
}

/// Puts a request's own id in the place of the example's, at the root or inside `data`.
fn with_request_id(mut reply: Value, request_id: &str) -> Value {
    for pointer in ["/request_id", "/data/request_id"] {
        if let Some(place) = reply.pointer_mut(pointer) {
            *place = request_id.into();
        }
    }
    reply
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn respond(status: StatusCode, body: &Value) -> Response {
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}
