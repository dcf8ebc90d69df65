//! Events on their way to the webhooks of an account.
//!
//! [`notice`] hears of every event and puts a delivery for each webhook that asked for it into the
//! [`Outbox`]. A bounded number of them is posted at a time; the attempts go by the sandbox's
//! clock, the time that an endpoint takes to answer by the system's.

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

/// How many are posted at a time.
const IN_FLIGHT: usize = 16;

/// The service's schedule: how long it waits after an attempt, and how often. With the first
/// attempt that makes 35.
const SCHEDULE: [(usize, Duration); 4] = [
    (4, Duration::from_secs(450)),
    (24, Duration::from_secs(3_600)),
    (4, Duration::from_secs(6 * 3_600)),
    (2, Duration::from_secs(12 * 3_600)),
];

/// The most attempts that are kept of a delivery: more than the schedule has.
const ATTEMPTS: usize = 50;

/// How much is kept of an error.
const EXCERPT: usize = 500;

/// What a delivery takes, with its places in the log, the queue and the ledger.
const DELIVERY: usize = size_of::<WebhookDelivery>() + 112;

/// How many places of dropped deliveries the queue may have.
const SLACK: usize = 1_000;

/// One event for one webhook, and the attempts to post it.
///
/// `Debug` leaves out the address, which may hold a password, and the body.
#[derive(Clone)]
pub struct WebhookDelivery {
    webhook: Arc<Webhook>,
    account: AccountId,
    event: Arc<Event>,
    attempts: Vec<WebhookAttempt>,
    state: WebhookState,
}

/// How far the delivery of an event to a webhook is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum WebhookState {
    /// It waits for its turn.
    Queued,
    /// It is being posted.
    Sending,
    /// The last attempt failed; there is another one at this time of the sandbox's clock.
    Waiting(SystemTime),
    /// The endpoint took it: it answered with a status from 200 to 299.
    Accepted,
    /// There are no more attempts: there were 35, the webhook was removed or disabled, or its
    /// address is not one that the sandbox posts to.
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
    /// The id of the webhook.
    pub fn webhook_id(&self) -> u64 {
        self.webhook.id
    }

    /// The address that it is posted to. It may hold a password.
    pub fn url(&self) -> &str {
        &self.webhook.url
    }

    /// What happened.
    pub fn event(&self) -> &Arc<Event> {
        &self.event
    }

    /// The content type of the body: `application/json`, or `application/x-www-form-urlencoded`.
    pub fn content_type(&self) -> &'static str {
        content_type(&self.webhook)
    }

    /// The body, made anew at each call.
    pub fn body(&self) -> Vec<u8> {
        let payload = payload(&self.event, &self.webhook.headers);
        let body = match self.webhook.is_json() {
            true => Value::Object(payload).to_string(),
            false => form(&payload),
        };
        body.into()
    }

    /// The attempts so far, in order: the last 50 of them.
    pub fn attempts(&self) -> &[WebhookAttempt] {
        &self.attempts
    }

    /// How far it is.
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
    /// When it began, by the sandbox's clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// How long it took, by the system's clock.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// The status that the endpoint answered with; `None` if it did not answer.
    pub fn status(&self) -> Option<u16> {
        self.outcome.as_ref().ok().copied()
    }

    /// Why there was no answer; `None` if there was one.
    pub fn error(&self) -> Option<&str> {
        self.outcome.as_ref().err().map(String::as_str)
    }

    /// Whether the endpoint took the event: it answered with a status from 200 to 299.
    pub fn accepted(&self) -> bool {
        self.status()
            .is_some_and(|status| (200..300).contains(&status))
    }
}

/// The deliveries of all accounts, in the order of their events.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pub(crate) deliveries: Log<WebhookDelivery>,
    /// Places of what is to be posted next.
    queue: VecDeque<usize>,
    in_flight: usize,
    /// Tells an outbox from the one before a reset, of which posts may still be under way.
    epoch: Arc<()>,
}

impl Outbox {
    /// Nothing is being posted or about to be. What waits for its next attempt does not count.
    pub(crate) fn is_settled(&self) -> bool {
        let mut queue = self.queue.iter();
        self.in_flight == 0 && queue.all(|place| self.deliveries.get(*place).is_none())
    }

    /// Drops deliveries, wherever they are on their way.
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

/// Hears of an event and posts it to the webhooks of its account that asked for it.
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
            // A mistake of the sandbox's own, which its tests are to see.
            Some(wrong) => {
                let error = format!("the sandbox's own event is wrong: {wrong}");
                let time = world.now();
                note(world, place, time, Duration::ZERO, Err(error));
                set_state(world, place, WebhookState::GivenUp);
            }
        }
    }
    pump(world);
}

/// Posts an event once more, whatever became of it. Whether there is such a delivery, and it is
/// not about to be posted.
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

/// Begins to post as much as may be posted at a time.
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
                set_state(world, place, WebhookState::GivenUp);
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
                Err(_) => Err(format!("no answer within {} s", limit.as_secs_f64())),
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

/// What came of posting.
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
        // It was dropped meanwhile.
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
    set_state(&mut world, place, state);
    pump(&mut world);
}

/// The time of another attempt has come, unless something else happened to the delivery.
pub(crate) fn post_when_due(world: &mut World, place: usize, time: SystemTime, epoch: &Arc<()>) {
    let waits = |delivery: &WebhookDelivery| delivery.state == WebhookState::Waiting(time);
    if Arc::ptr_eq(epoch, &world.outbox.epoch)
        && world.outbox.deliveries.get(place).is_some_and(waits)
    {
        enqueue(world, place);
    }
}

/// How long the service waits after so many attempts; `None` if it gives up.
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

/// Where and how to post.
struct Target {
    uri: Uri,
    host: String,
    port: u16,
    /// Names are looked up and any address is fine.
    remote: bool,
    authorization: Option<HeaderValue>,
}

impl Target {
    /// The error is an address to which the sandbox never posts.
    fn new(webhook: &Webhook, remote: bool) -> Result<Self, String> {
        let uri: Uri = webhook
            .url
            .parse()
            .map_err(|error| format!("the address: {error}"))?;
        if uri.scheme_str() != Some("http") {
            return Err("the sandbox posts to http:// only: it has no TLS".to_owned());
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
                "{} is not this machine: the sandbox posts to loopback addresses only, unless it \
                 is told otherwise",
                target.host
            ));
        }
        Ok(target)
    }

    /// The loopback addresses that the host stands for; none if it is another one. Nothing is
    /// looked up.
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

    /// Posts a body and waits for the head of the answer. Redirects are not followed.
    async fn post(self, content_type: &'static str, body: Bytes) -> Result<u16, String> {
        let mut addresses = self.loopback();
        if addresses.is_empty() && self.remote {
            let found = tokio::net::lookup_host((self.host.as_str(), self.port)).await;
            addresses = found
                .map_err(|error| format!("{} cannot be looked up: {error}", self.host))?
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
            .map_err(|error| format!("the request cannot be written: {error}"))?;
        let answer = async {
            let answer = sender.send_request(request).await;
            answer.map(|answer| answer.status().as_u16())
        };
        // The connection does its work while the answer is waited for, and ends with it.
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
            let mut text = format!("no answer: {error}");
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        })
    }
}

/// The header of a webhook, or what its address has before the `@`.
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
        .map_err(|_| "its auth_header_value cannot be in a header".to_owned())
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

/// What is posted, as JSON.
fn payload(event: &Event, headers: &[String]) -> Map<String, Value> {
    let mut payload = Map::new();
    let mut put = |name: &str, value: Value| {
        payload.insert(name.to_owned(), value);
    };
    // Of no text is there more than a copy may have: it is kept for each event and each webhook.
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
        // The event's own fields stay what they are.
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
    // The codes are made up: none are documented.
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

/// The same as a form. The service spells two keys in two ways there; how it joins several
/// recipients is not known.
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
    fn there_are_thirty_five_attempts() {
        let pauses: Vec<_> = (1..).map_while(pause).collect();
        assert_eq!(pauses.len() + 1, 35);
        let minutes = |count| pauses[..count].iter().map(Duration::as_secs).sum::<u64>() / 60;
        assert_eq!(minutes(4), 30);
        assert_eq!(minutes(28), 30 + 24 * 60);
        assert_eq!(minutes(34), 30 + 72 * 60);
    }

    #[test]
    fn forms_are_encoded() {
        assert_eq!(form_encode("a b+c=é&*"), "a+b%2Bc%3D%C3%A9%26*");
        assert_eq!(percent_decode("user%40x:p%3Aw%zz%2"), b"user@x:p:w%zz%2");
    }

    #[test]
    fn only_this_machine_is_posted_to() {
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
