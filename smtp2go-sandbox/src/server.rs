//! The HTTP server: turns a request into a reply, with the checks in the API's order.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::account::{Key, KeyStatus};
use crate::admin;
use crate::api::{Lookup, Operation};
use crate::call::{Call, KeyPlace};
use crate::connection::{Alarm, Control, Out};
use crate::faults::{self, Fault, FaultAnswer, Manner};
use crate::gate;
use crate::heavy::Undone;
use crate::inbox;
use crate::json;
use crate::operations::{self, Context, Prepared, Reply};
use crate::refusal::Refusal;
use crate::world::Shared;

/// Name of the key's field in the body of an operation whose schema has no key.
const KEY_FIELD: &str = "api_key";

/// Maximum size in bytes of a body that is handled on the server's thread. Handing a smaller request
/// to another thread would cost more than handling it.
pub(crate) const LIGHT: usize = 16 * 1024;

const KEY_HEADER: &str = "x-smtp2go-api-key";

/// Number of bytes that are kept of the body of a request that will be refused.
const BEGINNING: usize = 1024;

/// Maximum total size in bytes of the bodies in progress whose requests have no known key in their
/// headers. Also the lower bound of the limit for requests with one.
const READ: usize = 128 * 1024 * 1024;

pub(crate) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new()
        .nest(admin::PREFIX, admin::router(&shared))
        .merge(inbox::router(&shared))
        // One handler for all operations, whose paths are in the spec.
        .fallback(handle);
    if shared.keeps_data() {
        let saved = middleware::from_fn_with_state(Arc::clone(&shared), answer_when_saved);
        router = router.layer(saved);
    }
    router
        .layer(middleware::from_fn_with_state(
            Arc::clone(&shared),
            gate::gate,
        ))
        .with_state(shared)
}

/// Delays a reply until every change made so far is in the data file.
async fn answer_when_saved(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: middleware::Next,
) -> Response {
    let answer = next.run(request).await;
    match shared.saved().await {
        Ok(()) => answer,
        Err(why) => admin::Problem(StatusCode::INTERNAL_SERVER_ERROR, why).into_response(),
    }
}

/// Whether a path belongs to the inbox or the admin endpoints. Faults don't apply to these paths, and
/// calls to them are not recorded.
pub(crate) fn is_own(path: &str) -> bool {
    inbox::is_own(path)
        || path
            .strip_prefix(admin::PREFIX)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(crate) async fn handle(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(control): ConnectInfo<Control>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let (fault, request_head) = control.take_request();
    let keys = keys_in_headers(&head.headers);
    let by_header = knows_all(&shared, &keys);
    let allow_missing_v3 = shared.settings.allow_missing_v3;
    let lookup = (shared.api).find(head.method.as_str(), head.uri.path(), allow_missing_v3);
    let limit = match lookup {
        Lookup::Found(operation) if keys.is_empty() || by_header || fault.is_some() => {
            operation.max_body_bytes
        }
        _ => BEGINNING,
    };
    let reading = shared.bodies.reading(by_header);
    let body = match read(body, limit, shared.settings.limits.idle, reading).await {
        Ok(body) => body,
        Err(unread) => {
            control.end_request(Out::Pass);
            return unread.into_response();
        }
    };
    let (now, request_id) = {
        let mut world = shared.world();
        (world.now(), world.ids.request())
    };
    let mut call = Call {
        user_agent: text(&head.headers, header::USER_AGENT.as_str()),
        content_type: text(&head.headers, header::CONTENT_TYPE.as_str()),
        head: request_head.into(),
        body: body.bytes,
        body_bytes: body.size,
        has_known_key: by_header,
        received: true,
        fault: fault.as_ref().map(Fault::name),
        ..Call::new(
            now,
            head.method.as_str().to_owned(),
            head.uri.path().to_owned(),
        )
    };
    let (response, reply) = if fault.as_ref().is_none_or(|fault| fault.carried_out) {
        let client = control.client();
        let answer = if body.is_too_much {
            Err(Refusal::busy(reading.refusal()))
        } else {
            let (answer, done) = answer_apart(&shared, client, keys, &request_id, call).await;
            call = done;
            answer
        };
        call.accepted = answer.is_ok();
        match &answer {
            Ok(body) => call.failures = body.as_ref().map(failures).unwrap_or_default(),
            Err(refusal) => call.refused = Some(refusal.reason()),
        }
        respond_with(answer, &request_id)
    } else {
        let lookup = (shared.api).find(&call.method, &call.path, allow_missing_v3);
        if let Lookup::Found(operation) = lookup {
            call.operation = Some(operation.id.clone());
            // The key is not checked; a test still expects to see the request as sent.
            call.has_known_key = true;
        }
        respond_empty()
    };
    let Some(fault) = fault else {
        call.status = response.status().as_u16();
        call.reply = reply;
        call.shorten();
        // Recorded before the reply is sent, so that a client with the reply finds the call.
        shared.note(call);
        drop(body.counted);
        control.end_request(Out::Pass);
        return response;
    };
    let (response, reply) = match &fault.answer {
        FaultAnswer::Own => (response, reply),
        FaultAnswer::Failed(reason) => {
            let data = faults::failure(call.operation.as_deref(), &call.body, reason);
            let reply = json!({ "request_id": request_id, "data": data });
            respond(StatusCode::OK, &reply)
        }
        FaultAnswer::Reply {
            status,
            headers,
            content_type,
            body,
        } => respond_as_fault(*status, headers, content_type.as_deref(), body),
    };
    let length = response.body().size_hint().exact().unwrap_or_default();
    if !matches!(fault.manner, Manner::Unanswered(_) | Manner::HalfHead(_)) {
        call.status = response.status().as_u16();
        call.reply = reply;
    }
    call.shorten();
    shared.note(call);
    drop(body.counted);
    if let Manner::Late(time) = fault.manner {
        control.uncounted(tokio::time::sleep(time)).await;
    }
    control.end_request(Out::new(fault.manner, length));
    response
}

/// Builds the reply of a fault, and returns it with its body.
fn respond_as_fault(
    status: u16,
    headers: &[(String, String)],
    content_type: Option<&str>,
    body: &[u8],
) -> (Response, Bytes) {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Bytes::copy_from_slice(body);
    let mut response = (status, body.clone()).into_response();
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
    if map.remove(header::TRANSFER_ENCODING).is_some() {
        // hyper sends a body of unknown length in chunks and adds the header.
        let whole = Ok::<_, Infallible>(body.clone());
        *response.body_mut() = Body::from_stream(futures_util::stream::iter([whole]));
    }
    (response, body)
}

/// Returns the reasons in a reply that reports failed mails.
fn failures(body: &Value) -> Vec<String> {
    let Some(data) = body.get("data") else {
        return Vec::new();
    };
    let results = data
        .as_array()
        .map_or(std::slice::from_ref(data), Vec::as_slice);
    let lists = results
        .iter()
        .filter_map(|result| result.get("failures")?.as_array());
    lists
        .flatten()
        .filter_map(|reason| reason.as_str().map(str::to_owned))
        .collect()
}

/// Builds the response, and returns it with its body. If the body is `None`, the response is empty.
fn respond_with(answer: Result<Option<Value>, Refusal>, request_id: &str) -> (Response, Bytes) {
    match answer {
        Ok(Some(reply)) => respond(StatusCode::OK, &reply),
        Ok(None) => respond_empty(),
        Err(refusal) => {
            let (mut response, body) = respond(refusal.status, &refusal.envelope(request_id));
            if let Some(Ok(allow)) = refusal.allow.map(HeaderValue::try_from) {
                response.headers_mut().insert(header::ALLOW, allow);
            }
            (response, body)
        }
    }
}

/// Error of reading a request's body.
pub(crate) enum Unread {
    BrokenOff,
    /// No byte arrived for this long.
    Stalled(Duration),
}

impl IntoResponse for Unread {
    fn into_response(self) -> Response {
        let Self::Stalled(time) = self else {
            // The client is gone.
            return StatusCode::BAD_REQUEST.into_response();
        };
        let seconds = time.as_secs_f64();
        let message = format!("no byte of the request's body arrived for {seconds} s");
        let mut response = admin::Problem(StatusCode::REQUEST_TIMEOUT, message).into_response();
        let close = HeaderValue::from_static("close");
        response.headers_mut().insert(header::CONNECTION, close);
        response
    }
}

/// The bodies of requests in progress, counted separately for requests with and without a known key
/// in their headers, so that requests without a key can't use up the memory of those with one.
pub(crate) struct Bodies {
    with_key: Reading,
    without_key: Reading,
}

impl Bodies {
    pub(crate) fn new(keep_bytes: usize) -> Self {
        let limit = READ.max(keep_bytes / 2);
        Self {
            with_key: Reading::new(limit, "with", "send fewer at a time, or raise --keep-bytes"),
            without_key: Reading::new(READ, "without", "send the key in a header"),
        }
    }

    pub(crate) fn reading(&self, with_key: bool) -> &Reading {
        match with_key {
            true => &self.with_key,
            false => &self.without_key,
        }
    }
}

/// The total size of bodies in progress, and its limit.
pub(crate) struct Reading {
    bytes: AtomicUsize,
    limit: usize,
    kind: &'static str,
    advice: &'static str,
}

impl Reading {
    fn new(limit: usize, kind: &'static str, advice: &'static str) -> Self {
        Self {
            bytes: AtomicUsize::new(0),
            limit,
            kind,
            advice,
        }
    }

    /// The error text for a body beyond the limit.
    pub(crate) fn refusal(&self) -> String {
        let Self {
            limit,
            kind,
            advice,
            ..
        } = self;
        format!(
            "The requests in progress {kind} a known key in a header exceed {limit} bytes: {advice}."
        )
    }
}

/// The counted size of one body. Dropping it subtracts the size.
pub(crate) struct CountedBody<'a> {
    reading: &'a Reading,
    bytes: usize,
}

impl CountedBody<'_> {
    /// Changes the size. Returns false if the total exceeds the limit.
    fn set(&mut self, bytes: usize) -> bool {
        let all = &self.reading.bytes;
        let before = std::mem::replace(&mut self.bytes, bytes);
        let Some(more) = bytes.checked_sub(before) else {
            all.fetch_sub(before - bytes, Ordering::Relaxed);
            return true;
        };
        all.fetch_add(more, Ordering::Relaxed) + more <= self.reading.limit
    }
}

impl Drop for CountedBody<'_> {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The bytes of a body or a message that have arrived. They are dropped if all bodies in progress
/// together exceed the memory limit.
pub(crate) struct Gathered<'a> {
    bytes: Vec<u8>,
    counted: CountedBody<'a>,
    pub(crate) is_too_much: bool,
}

impl<'a> Gathered<'a> {
    pub(crate) fn new(reading: &'a Reading) -> Self {
        Self {
            bytes: Vec::new(),
            counted: CountedBody { reading, bytes: 0 },
            is_too_much: false,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a chunk. `most` is the maximum total size, and caps the capacity.
    pub(crate) fn add(&mut self, data: &[u8], most: usize) {
        if self.is_too_much {
            return;
        }
        let needed = self.bytes.len() + data.len();
        if needed > self.bytes.capacity() {
            // Doubles the capacity, at most to `most`.
            let room = (2 * self.bytes.len()).min(most).max(needed);
            if !self.counted.set(room) {
                self.is_too_much = true;
                self.bytes = Vec::new();
                self.counted.set(0);
                return;
            }
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(data);
    }

    /// Returns all bytes, and the guard that counts them. The caller drops the guard when the bytes are
    /// handled or counted elsewhere.
    pub(crate) fn finish(mut self) -> (Bytes, CountedBody<'a>) {
        // The bytes may be kept for long.
        self.bytes.shrink_to_fit();
        self.counted.set(self.bytes.len());
        (self.bytes.into(), self.counted)
    }
}

/// A body that was read to its end.
pub(crate) struct Read<'a> {
    /// The start of the body, or all of it if it is within the limit.
    pub(crate) bytes: Bytes,
    /// Size of the whole body.
    size: usize,
    /// The total of bodies in progress exceeded its limit, so that `bytes` is empty.
    pub(crate) is_too_much: bool,
    /// Counts the body. Drop it once the reply is made or the body is counted in the ledger.
    pub(crate) counted: CountedBody<'a>,
}

/// Reads a body to its end, because some clients read the reply only after they have sent everything.
/// Stops keeping bytes after the chunk that exceeds `limit`, and keeps none if the total of `reading`
/// is exceeded.
pub(crate) async fn read(
    mut body: Body,
    limit: usize,
    idle: Duration,
    reading: &Reading,
) -> Result<Read<'_>, Unread> {
    let mut gathered = Gathered::new(reading);
    let told = body.size_hint().exact();
    let told = told.map_or(usize::MAX, |told| told.try_into().unwrap_or(usize::MAX));
    let mut size = 0_usize;
    loop {
        let mut alarm = None;
        let frame = poll_fn(|context| match Pin::new(&mut body).poll_frame(context) {
            Poll::Ready(frame) => Poll::Ready(Ok(frame)),
            Poll::Pending => {
                let alarm = alarm.get_or_insert_with(|| Alarm::new(idle));
                alarm.poll(context).map(|()| Err(Unread::Stalled(idle)))
            }
        });
        let Some(frame) = frame.await? else {
            break;
        };
        let frame = frame.map_err(|_| Unread::BrokenOff)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        size = size.saturating_add(data.len());
        if gathered.len() <= limit {
            gathered.add(&data, told);
        }
    }
    let is_too_much = gathered.is_too_much;
    let (bytes, counted) = gathered.finish();
    Ok(Read {
        bytes,
        size,
        is_too_much,
        counted,
    })
}

/// Whether there is at least one key and all keys are known.
fn knows_all(shared: &Shared, keys: &[(KeyPlace, String)]) -> bool {
    let world = shared.world();
    !keys.is_empty() && keys.iter().all(|(_, key)| world.key(key).is_some())
}

/// Like [`answer`], but runs expensive requests off the server's threads. Returns the call.
async fn answer_apart(
    shared: &Arc<Shared>,
    client: IpAddr,
    keys: Vec<(KeyPlace, String)>,
    request_id: &str,
    mut call: Call,
) -> (Result<Option<Value>, Refusal>, Call) {
    if !is_heavy(&call) {
        let answer = answer(shared, client, &keys, request_id, &mut call);
        return (answer, call);
    }
    let lost = call.clone();
    let (shared_too, request_id) = (Arc::clone(shared), request_id.to_owned());
    let done = shared.heavy.calls.run(move || {
        let answer = answer(&shared_too, client, &keys, &request_id, &mut call);
        (answer, call)
    });
    done.await.unwrap_or_else(|why| {
        let refusal = match why {
            Undone::Busy(waited) => Refusal::queued_too_long(waited),
            Undone::Panicked => {
                Refusal::broken("The sandbox panicked while it carried out the request.")
            }
        };
        (Err(refusal), lost)
    })
}

/// Whether a request may be expensive: it has a long body or uses a template.
fn is_heavy(call: &Call) -> bool {
    call.body.len() > LIGHT
        || call.path.contains("/template/")
        || std::str::from_utf8(&call.body).is_ok_and(|body| body.contains("template_id"))
}

/// Checks a request, carries it out and fills in `call`. Returns the reply's body, or `None` if the spec
/// defines none.
fn answer(
    shared: &Shared,
    client: IpAddr,
    keys: &[(KeyPlace, String)],
    request_id: &str,
    call: &mut Call,
) -> Result<Option<Value>, Refusal> {
    call.key_place = keys.first().map(|(place, _)| *place);
    let settings = &shared.settings;
    let lookup = (shared.api).find(&call.method, &call.path, settings.allow_missing_v3);
    let operation = match lookup {
        Lookup::Found(operation) => operation,
        Lookup::MissingV3 => return Err(Refusal::missing_v3(&call.path)),
        Lookup::WrongMethod(methods) => return Err(Refusal::wrong_method(&methods)),
        Lookup::UnknownPath => return Err(Refusal::unknown_path()),
    };
    call.operation = Some(operation.id.clone());

    // An error of the key comes before an error of the body, but the key may be in the body.
    let body = if call.body_bytes > operation.max_body_bytes {
        Err(Refusal::too_large(operation.max_body_bytes))
    } else {
        json::object(&call.body)
    };
    let (mut request, key) = authorize(shared, operation, keys, body, call)?;
    if !shared
        .world()
        .account(key.account)
        .ip_allow_list
        .lets_call(client)
    {
        return Err(Refusal::address_not_allowed(client));
    }
    let cleaned = operations::forgive(operation, &mut request, settings.strictness);
    call.ignored = cleaned.ignored;
    // Before the schema, which may have a worse reason to refuse it, such as its format.
    if let Some(field) = cleaned.empty.first() {
        let message = "The value is empty: leave the field out.";
        return Err(Refusal::field(field, message));
    }
    if let Some(field) = operation.request.check(&request).map_err(Refusal::broken)? {
        return Err(field.into());
    }
    let prepared = Prepared::check(&operation.id, &request)?;
    let reply = carry_out(shared, operation, request, prepared, key, request_id, call)?;
    let reply = match reply {
        Reply::Data(data) => Some(json!({ "request_id": request_id, "data": data })),
        Reply::Whole(reply) => Some(with_request_id(reply, request_id)),
        Reply::Empty => None,
        Reply::Example => {
            let named = preferred(call).and_then(|name| operation.reply_examples.get(name));
            let example = named.or(operation.reply_example.as_ref()).cloned();
            return Ok(example.map(|reply| with_request_id(reply, request_id)));
        }
    };
    if settings.strictness.is_full() {
        check_reply(operation, reply.as_ref())?;
    }
    Ok(reply)
}

/// Name of the example that a request asks for with `Prefer: example=failed`, the header of Prism.
fn preferred(call: &Call) -> Option<&str> {
    call.header("prefer")?
        .split([',', ';'])
        .find_map(|preference| preference.trim().strip_prefix("example="))
}

/// Carries out a valid request in its account.
fn carry_out(
    shared: &Shared,
    operation: &Operation,
    request: Value,
    mut prepared: Prepared,
    key: Arc<Key>,
    request_id: &str,
    call: &mut Call,
) -> Result<Reply, Refusal> {
    if shared.settings.stateless {
        return Ok(Reply::Example);
    }
    let request = Arc::new(request);
    let subaccount = operation
        .subaccount
        .as_deref()
        .and_then(|field| Some((field, request.get(field)?.as_str()?)));
    prepared.prepare(shared, &operation.id, &key, subaccount, &request);
    let mut world = shared.world();
    let account = world.account_for(&key, subaccount)?;
    world.count(key.account, operation)?;
    let first = world.ledger.next();
    let mut context = Context {
        world: &mut world,
        account,
        key,
        request_id,
        prepared,
        body: &call.body,
    };
    let answer = operations::answer(&mut context, &operation.group, &operation.id, &request);
    call.messages = first..world.ledger.next();
    answer
}

/// Checks the sandbox's own reply against the spec.
fn check_reply(operation: &Operation, reply: Option<&Value>) -> Result<(), Refusal> {
    let wrong = match (&operation.reply, reply) {
        (Some(schema), Some(reply)) => schema.mismatch(reply).map_err(Refusal::broken)?,
        (Some(_), None) => Some(format!("the reply of {} has no body", operation.id)),
        // The spec does not describe the body.
        (None, _) => None,
    };
    match wrong {
        Some(wrong) => Err(Refusal::broken(format!(
            "The sandbox's reply does not match the spec: {wrong}"
        ))),
        None => Ok(()),
    }
}

/// Checks that a request has a key, that all its keys are known, and that the first may call the
/// operation. Returns the body, without `api_key` unless the operation's schema has it.
fn authorize(
    shared: &Shared,
    operation: &Operation,
    keys: &[(KeyPlace, String)],
    body: Result<Map<String, Value>, Refusal>,
    call: &mut Call,
) -> Result<(Value, Arc<Key>), Refusal> {
    let mut caller = None;
    for (_, key) in keys {
        let known = known_key(shared, key)?;
        caller.get_or_insert(known);
    }
    let mut body = match body {
        Ok(body) => body,
        Err(refusal) if keys.is_empty() => {
            return Err(Refusal::unauthorized(format!(
                "The API key is missing: the headers have none, and the body cannot be read: {}",
                refusal.reason()
            )));
        }
        Err(refusal) => return Err(refusal),
    };
    let in_body = match &operation.key_in_body {
        Some(field) => body.get(field).cloned(),
        None => body.remove(KEY_FIELD),
    };
    if let Some(key) = in_body.filter(|key| shared.settings.strictness.nulls || !is_empty(key)) {
        call.key_place.get_or_insert(KeyPlace::Body);
        let known = known_key(shared, key.as_str().unwrap_or_default())?;
        call.has_known_key |= keys.is_empty();
        caller.get_or_insert(known);
    }
    let Some(caller) = caller else {
        return Err(Refusal::unauthorized("The API key is missing."));
    };
    if !caller.permits(&operation.path) {
        return Err(Refusal::not_permitted(&operation.path));
    }
    Ok((Value::Object(body), caller))
}

/// Whether a lenient sandbox treats a field with this value as absent.
fn is_empty(value: &Value) -> bool {
    value.is_null() || value == ""
}

/// Finds a key. Refuses an unknown key, a blocked key and a key of a closed subaccount.
fn known_key(shared: &Shared, secret: &str) -> Result<Arc<Key>, Refusal> {
    let world = shared.world();
    let Some(key) = world.key(secret) else {
        return Err(Refusal::unknown_key(shared.settings.unknown_key_status));
    };
    if key.status == KeyStatus::Blocked {
        return Err(Refusal::unauthorized("The API key is disabled."));
    }
    if world.account(key.account).closed {
        return Err(Refusal::unauthorized(
            "The account of the API key is closed.",
        ));
    }
    Ok(Arc::clone(key))
}

/// The keys in the headers, in the order of [`KeyPlace`].
pub(crate) fn keys_in_headers(headers: &HeaderMap) -> Vec<(KeyPlace, String)> {
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

/// Replaces the id of an example, at the root or inside `data`, with the request's id.
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

fn respond(status: StatusCode, body: &Value) -> (Response, Bytes) {
    let body = Bytes::from(body.to_string());
    let kind = [(header::CONTENT_TYPE, "application/json")];
    ((status, kind, body.clone()).into_response(), body)
}

fn respond_empty() -> (Response, Bytes) {
    (StatusCode::OK.into_response(), Bytes::new())
}
