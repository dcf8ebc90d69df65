//! Posts events to the webhooks of an account.
//!
//! [`notice`] is called with every event, and adds a delivery to the [`Outbox`] for each webhook that
//! subscribed to it. A limited number of deliveries is posted at a time. The retry schedule follows
//! the sandbox's clock; the timeout of a post follows the system's.

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, Uri, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::net::TcpStream;

use crate::account::AccountId;
use crate::clock;
use crate::due::Job;
use crate::event::{Event, EventKind};
use crate::gate::WEBHOOK_AGENT;
use crate::keep::Log;
use crate::mail::{Mail, cut};
use crate::operations::sms::country;
use crate::operations::webhook::Webhook;
use crate::sms::Sms;
use crate::weight;
use crate::world::{Shared, World};

/// Maximum number of deliveries that are posted at the same time.
const IN_FLIGHT: usize = 16;

/// The service's retry schedule: number of retries, and the wait before each. Together with the
/// first attempt there are 35.
const SCHEDULE: [(usize, Duration); 4] = [
    (4, Duration::from_secs(450)),
    (24, Duration::from_secs(3_600)),
    (4, Duration::from_secs(6 * 3_600)),
    (2, Duration::from_secs(12 * 3_600)),
];

/// Maximum number of attempts that are kept of a delivery. The schedule has fewer; a delivery that is
/// posted again on demand may have more.
const ATTEMPTS: usize = 50;

/// Maximum number of characters that are kept of an error.
const EXCERPT: usize = 500;

/// Memory of a delivery in bytes, with its entries in the log, the queue and the ledger.
const DELIVERY: usize = size_of::<WebhookDelivery>() + 112;

/// Number of dropped deliveries that the queue may contain before it is cleaned up.
const SLACK: usize = 1_000;

/// The delivery of one event to one webhook, with its attempts.
///
/// `Debug` leaves out the body, and the URL, which may contain a password.
#[derive(Clone)]
pub struct WebhookDelivery {
    webhook: Arc<Webhook>,
    account: AccountId,
    event: Arc<Event>,
    attempts: Vec<WebhookAttempt>,
    state: WebhookState,
}

/// The state of a [`WebhookDelivery`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookState {
    /// Queued for posting. At most 16 deliveries are posted at a time.
    Queued,
    /// An attempt is in progress.
    Sending,
    /// The last attempt failed. The next one is at this time of the sandbox's clock.
    Waiting(SystemTime),
    /// The endpoint replied with a status from 200 to 299.
    Accepted,
    /// There are no further attempts: 35 have failed, the webhook was removed or disabled, or the
    /// sandbox does not post to its URL.
    GivenUp,
}

/// One attempt to post an event.
#[derive(Clone, Debug)]
pub struct WebhookAttempt {
    time: SystemTime,
    took: Duration,
    outcome: Result<u16, String>,
}

impl WebhookDelivery {
    /// Id of the webhook.
    pub fn webhook_id(&self) -> u64 {
        self.webhook.id
    }

    /// The webhook's URL. It may contain a password.
    pub fn url(&self) -> &str {
        &self.webhook.url
    }

    /// The event that is delivered.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// Content type of the body: `application/json` or `application/x-www-form-urlencoded`.
    pub fn content_type(&self) -> &'static str {
        content_type(&self.webhook)
    }

    /// Builds the body of the post.
    pub fn body(&self) -> Vec<u8> {
        let payload = payload(&self.event, &self.webhook.headers);
        let body = match self.webhook.is_json() {
            true => Value::Object(payload).to_string(),
            false => form(&payload),
        };
        body.into()
    }

    /// The last 50 attempts, in order.
    pub fn attempts(&self) -> &[WebhookAttempt] {
        &self.attempts
    }

    /// State of the delivery.
    pub fn state(&self) -> WebhookState {
        self.state
    }
}

impl fmt::Debug for WebhookDelivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WebhookDelivery")
            .field("webhook_id", &self.webhook_id())
            .field("event", &self.event)
            .field("content_type", &self.content_type())
            .field("attempts", &self.attempts)
            .field("state", &self.state)
            .finish()
    }
}

impl WebhookAttempt {
    /// When the attempt started, by the sandbox's clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// Duration of the attempt, by the system's clock.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Status of the endpoint's reply. `None` if there was no reply.
    pub fn status(&self) -> Option<u16> {
        self.outcome.as_ref().ok().copied()
    }

    /// Why there was no reply. `None` if there was one.
    pub fn error(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(String::as_str)
    }

    /// Whether the endpoint replied with a status from 200 to 299.
    pub fn accepted(&self) -> bool {
        self.status()
            .is_some_and(|status| (200..300).contains(&status))
    }
}

/// The deliveries of all accounts, in the order of their events.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) deliveries: Log<WebhookDelivery>,
    /// Places of the queued deliveries.
    queue: VecDeque<usize>,
    in_flight: usize,
    /// Places of deliveries that were given up and not yet reported to `on_give_up`.
    given_up: Vec<usize>,
    /// Identifies the outbox: posts from before a reset may still be in progress.
    epoch: Arc<()>,
}

impl Outbox {
    /// Whether no delivery is queued or being posted. Deliveries that wait for a retry don't count.
    pub(crate) fn is_settled(&self) -> bool {
        let mut queue = self.queue.iter();
        self.in_flight == 0 && queue.all(|place| self.deliveries.get(*place).is_none())
    }

    /// Drops deliveries in any state.
    pub(crate) fn remove(&mut self, places: &[usize]) {
        for place in places {
            self.deliveries.remove(*place);
        }
        if self.queue.len() > 2 * self.deliveries.len() + SLACK {
            let deliveries = &self.deliveries;
            self.queue.retain(|place| deliveries.get(*place).is_some());
        }
    }
}

/// Queues an event for the webhooks of its account that subscribed to it.
pub(crate) fn notice(world: &mut World, event: &Arc<Event>) {
    let webhooks = world.account(event.account).webhook.wanting(event);
    for webhook in webhooks {
        let wrong = match world.settings.strictness.is_full() {
            true => world.payload_mismatch(event, &payload(event, &webhook.headers)),
            false => None,
        };
        let place = world.outbox.deliveries.push(WebhookDelivery {
            webhook,
            account: event.account,
            event: Arc::clone(event),
            attempts: Vec::new(),
            state: WebhookState::Queued,
        });
        let message = event.subject.number();
        if !world.ledger.add_delivery(message, place, DELIVERY) {
            world.outbox.deliveries.remove(place);
            continue;
        }
        match wrong {
            None => world.outbox.queue.push_back(place),
            // A bug of the sandbox, reported where its tests notice it.
            Some(wrong) => {
                let error = format!("the sandbox's event does not match the spec: {wrong}");
                let time = world.now();
                note(world, place, time, Duration::ZERO, Err(error));
                give_up(world, place);
            }
        }
    }
    pump(world);
}

/// Posts a delivery again in whatever state it is. Returns false if it does not exist, is queued or
/// is being posted.
pub(crate) fn post_again(world: &mut World, place: usize) -> bool {
    let state = world
        .outbox
        .deliveries
        .get(place)
        .map(|delivery| delivery.state);
    let idle = !matches!(
        state,
        None | Some(WebhookState::Queued | WebhookState::Sending)
    );
    if idle {
        enqueue(world, place);
    }
    idle
}

fn enqueue(world: &mut World, place: usize) {
    set_state(world, place, WebhookState::Queued);
    world.outbox.queue.push_back(place);
    pump(world);
}

fn set_state(world: &mut World, place: usize, state: WebhookState) {
    if let Some(delivery) = world.outbox.deliveries.get_mut(place) {
        delivery.state = state;
    }
    world.changed();
}

/// Gives a delivery up, and reports it on a task of its own, because the world is locked here.
fn give_up(world: &mut World, place: usize) {
    set_state(world, place, WebhookState::GivenUp);
    world.outbox.given_up.push(place);
    if world.outbox.given_up.len() == 1 {
        world.spawn(|shared| async move { report(&shared) });
    }
}

/// Reports the deliveries that were given up, in order.
fn report(shared: &Weak<Shared>) {
    /// Maximum number of deliveries that are copied at a time.
    const AT_ONCE: usize = 100;
    while let Some(shared) = shared.upgrade() {
        let given_up: Vec<WebhookDelivery> = {
            let mut world = shared.world();
            let outbox = &mut world.outbox;
            let count = outbox.given_up.len().min(AT_ONCE);
            if count == 0 {
                return;
            }
            let places = outbox.given_up.drain(..count);
            // Some may have been dropped.
            let kept = places.filter_map(|place| outbox.deliveries.get(place).cloned());
            kept.collect()
        };
        if let Some(on_give_up) = shared.on_give_up.get() {
            given_up.iter().for_each(on_give_up);
        }
    }
}

fn note(
    world: &mut World,
    place: usize,
    time: SystemTime,
    took: Duration,
    outcome: Result<u16, String>,
) {
    let Some(delivery) = world.outbox.deliveries.get_mut(place) else {
        return;
    };
    let outcome = outcome.map_err(|error| error.chars().take(EXCERPT).collect::<String>());
    let attempt = WebhookAttempt {
        time,
        took,
        outcome,
    };
    if delivery.attempts.len() >= ATTEMPTS {
        delivery.attempts.remove(0);
    } else {
        let weight = 2 * size_of::<WebhookAttempt>() + attempt.error().map_or(0, weight::text);
        world.ledger.charge(delivery.event.subject.number(), weight);
    }
    delivery.attempts.push(attempt);
}

/// Posts queued deliveries up to the limit of [`IN_FLIGHT`].
fn pump(world: &mut World) {
    while world.outbox.in_flight < IN_FLIGHT {
        let Some(place) = world.outbox.queue.pop_front() else {
            return;
        };
        let Some(delivery) = world.outbox.deliveries.get(place) else {
            continue;
        };
        let (webhook, body) = (Arc::clone(&delivery.webhook), Bytes::from(delivery.body()));
        let (account, time) = (delivery.account, world.now());
        let target = match world.account(account).webhook.is_disabled(webhook.id) {
            Some(false) => Target::new(&webhook, world.settings.remote_webhooks),
            Some(true) => Err("the webhook is disabled".to_owned()),
            None => Err("the webhook was removed".to_owned()),
        };
        let target = match target {
            Ok(target) => target,
            Err(error) => {
                note(world, place, time, Duration::ZERO, Err(error));
                give_up(world, place);
                continue;
            }
        };
        world.outbox.in_flight += 1;
        set_state(world, place, WebhookState::Sending);
        let epoch = Arc::clone(&world.outbox.epoch);
        let limit = world.settings.webhook_timeout;
        let kind = content_type(&webhook);
        world.spawn(move |shared| async move {
            let begun = tokio::time::Instant::now();
            let outcome = match tokio::time::timeout(limit, target.post(kind, body)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no reply within {} s", limit.as_secs_f64())),
            };
            let attempt = PostAttempt {
                place,
                time,
                took: begun.elapsed(),
                outcome,
            };
            finish(&shared, &epoch, attempt);
        });
    }
}

/// The result of an attempt to post a delivery.
struct PostAttempt {
    place: usize,
    time: SystemTime,
    took: Duration,
    outcome: Result<u16, String>,
}

fn finish(shared: &Weak<Shared>, epoch: &Arc<()>, attempt: PostAttempt) {
    let Some(shared) = shared.upgrade() else {
        return;
    };
    let mut world = shared.world();
    if !Arc::ptr_eq(epoch, &world.outbox.epoch) {
        return;
    }
    let place = attempt.place;
    world.outbox.in_flight -= 1;
    note(
        &mut world,
        place,
        attempt.time,
        attempt.took,
        attempt.outcome,
    );
    let Some(delivery) = world.outbox.deliveries.get(place) else {
        // The delivery was dropped during the attempt.
        world.changed();
        pump(&mut world);
        return;
    };
    let message = delivery.event.subject.number();
    let attempts = delivery.attempts();
    let state = match (attempts.last(), pause(attempts.len())) {
        (Some(last), _) if last.accepted() => WebhookState::Accepted,
        (_, None) => WebhookState::GivenUp,
        (_, Some(pause)) => {
            let pause = pause / world.settings.webhook_speed.max(1);
            let time = clock::after(world.now(), pause);
            let epoch = Arc::clone(epoch);
            world.at_for(message, time, Job::PostAgain { place, time, epoch });
            WebhookState::Waiting(time)
        }
    };
    match state {
        WebhookState::GivenUp => give_up(&mut world, place),
        state => set_state(&mut world, place, state),
    }
    pump(&mut world);
}

/// Starts another attempt of a delivery, if the delivery still waits for it.
pub(crate) fn post_when_due(world: &mut World, place: usize, time: SystemTime, epoch: &Arc<()>) {
    let waits = |delivery: &WebhookDelivery| delivery.state == WebhookState::Waiting(time);
    if Arc::ptr_eq(epoch, &world.outbox.epoch)
        && world.outbox.deliveries.get(place).is_some_and(waits)
    {
        enqueue(world, place);
    }
}

/// Returns the wait after a number of failed attempts. `None` if there are no further attempts.
fn pause(attempts: usize) -> Option<Duration> {
    let mut until = 0;
    SCHEDULE.iter().find_map(|(count, pause)| {
        until += count;
        (attempts <= until).then_some(*pause)
    })
}

fn content_type(webhook: &Webhook) -> &'static str {
    match webhook.is_json() {
        true => "application/json",
        false => "application/x-www-form-urlencoded",
    }
}

/// The address to post to, and its credentials.
struct Target {
    uri: Uri,
    host: String,
    port: u16,
    /// Whether posting to other hosts than loopback is allowed.
    remote: bool,
    authorization: Option<HeaderValue>,
}

impl Target {
    /// Fails if the sandbox does not post to the webhook's URL.
    fn new(webhook: &Webhook, remote: bool) -> Result<Self, String> {
        let uri: Uri = webhook
            .url
            .parse()
            .map_err(|error| format!("invalid url: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("the sandbox has no TLS: use a url with http://".to_owned());
        }
        let host = uri.host().unwrap_or_default();
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_ascii_lowercase();
        let target = Self {
            port: uri.port_u16().unwrap_or(80),
            authorization: authorization(webhook, &uri)?,
            remote,
            host,
            uri,
        };
        if !remote && target.loopback().is_empty() {
            return Err(format!(
                "{} is not a loopback address: allow other hosts with --remote-webhooks \
                 (remote_webhooks in Rust)",
                target.host
            ));
        }
        Ok(target)
    }

    /// Returns the host's addresses if it is a loopback address, `localhost` or a name below
    /// `localhost`. Otherwise returns nothing. Makes no DNS lookup.
    fn loopback(&self) -> Vec<SocketAddr> {
        let addresses = match self.host.parse::<IpAddr>() {
            Ok(address) if address.is_loopback() => vec![address],
            Ok(_) => Vec::new(),
            Err(_) if self.host == "localhost" || self.host.ends_with(".localhost") => {
                vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
            }
            Err(_) => Vec::new(),
        };
        let addresses = addresses.into_iter();
        addresses
            .map(|address| SocketAddr::new(address, self.port))
            .collect()
    }

    /// Posts a body and returns the reply's status. Does not follow redirects.
    async fn post(self, content_type: &'static str, body: Bytes) -> Result<u16, String> {
        let mut addresses = self.loopback();
        if addresses.is_empty() && self.remote {
            let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
            addresses = found
                .map_err(|error| format!("cannot look up {}: {error}", self.host))?
                .collect();
        }
        let stream = TcpStream::connect(addresses.as_slice())
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut host = self.uri.host().unwrap_or_default().to_owned();
        if let Some(port) = self.uri.port_u16() {
            host = format!("{host}:{port}");
        }
        let mut request = Request::post(path)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::USER_AGENT, WEBHOOK_AGENT)
            .header(header::CONNECTION, "close");
        if let Some(authorization) = self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .body(Body::from(body))
            .map_err(|error| format!("cannot build the request: {error}"))?;
        let answer = async {
            let answer = sender.send_request(request).await;
            answer.map(|answer| answer.status().as_u16())
        };
        // The connection must be polled until the reply has arrived.
        let mut answer = std::pin::pin!(answer);
        let mut connection = std::pin::pin!(connection);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            ended = &mut connection => match ended {
                Ok(()) => answer.await,
                Err(error) => Err(error),
            },
        };
        answer.map_err(|error| {
            let mut text = format!("no reply: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        })
    }
}

/// Builds `Authorization` from the webhook's settings, or from the user and password in its URL.
fn authorization(webhook: &Webhook, uri: &Uri) -> Result<Option<HeaderValue>, String> {
    let value = match webhook.auth_header_type.as_str() {
        "bearer" => format!("Bearer {}", webhook.auth_header_value),
        "basic" => format!("Basic {}", webhook.auth_header_value),
        _ => match uri
            .authority()
            .and_then(|all| all.as_str().rsplit_once('@'))
        {
            Some((user, _)) => format!("Basic {}", STANDARD.encode(percent_decode(user))),
            None => return Ok(None),
        },
    };
    HeaderValue::try_from(value)
        .map(Some)
        .map_err(|_| "auth_header_value is not a valid header value".to_owned())
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let code = match (first, tail) {
            (b'%', [high, low, ..]) => std::str::from_utf8(&[*high, *low])
                .ok()
                .and_then(|digits| u8::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        decoded.push(code.unwrap_or(*first));
        rest = match code {
            Some(_) => tail.get(2..).unwrap_or_default(),
            None => tail,
        };
    }
    decoded
}

/// Builds the JSON of an event, with the values of the mail's `headers`.
fn payload(event: &Event, headers: &[String]) -> Map<String, Value> {
    let mut payload = Map::new();
    let mut put = |name: &str, value: Value| {
        payload.insert(name.to_owned(), value);
    };
    // Texts are cut, because each webhook gets a copy of them.
    put("event", event.kind().webhook_name().into());
    put("id", event.id().into());
    if let Some(sms) = event.sms() {
        put_sms(&mut put, sms, event);
    }
    let Some(mail) = event.mail() else {
        return payload;
    };
    put_mail(&mut put, mail, event);
    for name in headers {
        // A header does not replace a field of the event.
        if let Some(value) = mail.header(name)
            && !payload.keys().any(|key| key.eq_ignore_ascii_case(name))
        {
            payload.insert(name.clone(), cut(&value).into());
        }
    }
    payload
}

fn put_mail(put: &mut impl FnMut(&str, Value), mail: &Mail, event: &Event) {
    put("time", clock::rfc3339(event.time()).into());
    put("sendtime", clock::precise(mail.accepted_at()).into());
    put("email_id", mail.email_id().into());
    put("sender", cut(&mail.envelope_sender()).into());
    put("from", cut(mail.sender()).into());
    put("from_address", cut(mail.sender_address()).into());
    put("from_name", cut(&mail.sender_name()).into());
    put("auth", mail.username().into());
    put("subject", cut(mail.subject().unwrap_or_default()).into());
    put("message-id", cut(&mail.message_id()).into());
    match event.recipient() {
        Some(recipient) => put("rcpt", cut(recipient).into()),
        None => put("recipients", mail.recipients().into()),
    }
    match event.kind() {
        EventKind::HardBounce => put("bounce", "hard".into()),
        EventKind::SoftBounce => put("bounce", "soft".into()),
        _ => {}
    }
    for (name, value) in &event.detail {
        put(name, cut(value).into());
    }
}

fn put_sms(put: &mut impl FnMut(&str, Value), sms: &Sms, event: &Event) {
    // Invented codes: none are documented.
    let code = match event.kind() {
        EventKind::SmsSending => "10",
        EventKind::SmsSubmitted => "20",
        EventKind::SmsDelivered => "30",
        EventKind::SmsFailed => "40",
        EventKind::SmsRejected => "50",
        _ => "",
    };
    put("message_id", sms.message_id().into());
    put("destination_number", sms.destination().into());
    put("source_number", sms.sender().into());
    put("message_content", cut(sms.content()).into());
    put("region", country(sms.destination()).into());
    put("retry_count", 0.into());
    put("status_code", code.into());
    let submitted = event.detail("submitted_timestamp").unwrap_or_default();
    put("submitted_timestamp", submitted.into());
    put("received_timestamp", clock::rfc3339(event.time()).into());
    for (name, value) in &event.detail {
        put(name, value.as_str().into());
    }
}

/// Writes a payload as a form. Like the service, writes the subject and the message id under two
/// names. How the service joins several recipients is not known.
fn form(payload: &Map<String, Value>) -> String {
    let mut fields = Vec::new();
    for (name, value) in payload {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Array(items) => {
                let items = items.iter().filter_map(Value::as_str);
                items.collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        let text = form_encode(&text);
        match name.as_str() {
            "subject" => fields.push(format!("Subject={text}")),
            "message-id" => fields.push(format!("Message-Id={text}")),
            _ => {}
        }
        fields.push(format!("{}={text}", form_encode(name)));
    }
    fields.join("&")
}

fn form_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => {
                encoded.push(char::from(byte));
            }
            b' ' => encoded.push('+'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_schedule_has_35_attempts_over_72_hours() {
        let pauses: Vec<_> = (1..).map_while(pause).collect();
        assert_eq!(pauses.len() + 1, 35);
        let minutes = |count| pauses[..count].iter().map(Duration::as_secs).sum::<u64>() / 60;
        assert_eq!(minutes(4), 30);
        assert_eq!(minutes(28), 30 + 24 * 60);
        assert_eq!(minutes(34), 30 + 72 * 60);
    }

    #[test]
    fn form_encoding_escapes_and_percent_decoding_tolerates_invalid_escapes() {
        assert_eq!(form_encode("a b+c=é&*"), "a+b%2Bc%3D%C3%A9%26*");
        assert_eq!(percent_decode("user%40x:p%3Aw%zz%2"), b"user@x:p:w%zz%2");
    }

    #[test]
    fn url_outside_loopback_is_refused_unless_remote_webhooks_are_allowed() {
        let target = |url: &str, remote| {
            let webhook = Webhook {
                url: url.to_owned(),
                ..Webhook::default()
            };
            Target::new(&webhook, remote).map(|target| target.port)
        };
        for (url, port) in [
            ("http://127.0.0.1:8000/hook", 8000),
            ("http://127.9.9.9/hook?key=x", 80),
            ("http://user:pass@localhost:99", 99),
            ("http://app.localhost/", 80),
            ("http://[::1]:81/", 81),
        ] {
            assert_eq!(target(url, false), Ok(port), "{url}");
        }
        for url in [
            "http://192.0.2.1/",
            "http://example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1@example.com/",
            "http://127.0.0.1.example.com/",
            "http://[::ffff:192.0.2.1]/",
        ] {
            assert!(target(url, false).is_err(), "{url}");
            assert_eq!(target(url, true), Ok(80), "{url}");
        }
        for url in [
            "https://localhost/",
            "ftp://localhost/",
            "localhost:80/x",
            "",
        ] {
            assert!(target(url, true).is_err(), "{url}");
        }
    }
}
