//! Sends a mail, and looks it up in the activity if the reply is lost.

use std::time::{Duration, SystemTime};

use crate::platform::time::{Instant, now, sleep};

use super::email::Email;
use super::find_sent::{FindSent, Found, Timing, after, look};
use super::{Certainty, Sent};
use crate::{CallOptions, Client, Error, Reply};

/// Settings of [`Client::send_once_with`].
///
/// ```
/// use std::time::Duration;
/// use smtp2go_sdk::SendOnce;
///
/// let settings = SendOnce::new().deadline(Duration::from_secs(3600)).max_resends(0);
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "settings do nothing until `send_once_with` takes them"]
pub struct SendOnce {
    deadline: Duration,
    max_resends: u32,
    timing: Timing,
}

impl Default for SendOnce {
    fn default() -> Self {
        Self::new()
    }
}

impl SendOnce {
    /// Returns the default settings.
    pub fn new() -> Self {
        Self {
            deadline: Duration::from_secs(30 * 60),
            max_resends: 1,
            timing: Timing::default(),
        }
    }

    /// Sets the time limit of the whole call: its sends, waits and look-ups. Default: 30 minutes. Each send and
    /// each look-up also has the client's [`deadline`](crate::ClientBuilder::deadline).
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Sets how often the mail is sent again after a look-up proved that it was not sent. Default: 1. With 0 it is
    /// only looked up.
    pub fn max_resends(mut self, count: u32) -> Self {
        self.max_resends = count;
        self
    }

    /// Sets the largest expected difference between the clocks: see [`FindSent::margin`]. Default: 5 minutes.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.timing.margin = margin;
        self
    }

    /// Sets how long the activity takes to show an event, which is also the wait before the first look-up: see
    /// [`FindSent::lag`]. Default: 2 minutes.
    pub fn lag(mut self, lag: Duration) -> Self {
        self.timing.lag = lag;
        self
    }

    /// Sets how long after the send a mail that is not found counts as not sent: see
    /// [`FindSent::give_up_after`]. Default: 15 minutes.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.timing.give_up_after = time;
        self
    }
}

impl Client {
    /// Sends a mail once, even if the reply is lost: [`send_once_with`](Self::send_once_with) with the
    /// default settings, which can take up to 30 minutes.
    ///
    /// ```no_run
    /// use smtp2go_sdk::{Client, Email};
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// let mail = Email::new("Acme <noreply@example.com>", "Your order 42")
    ///     .to("jane@example.net")
    ///     .text("Thank you.")
    ///     .idempotency_key("order-42/confirmation");
    /// client.send_once(mail).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`send_once_with`](Self::send_once_with).
    pub async fn send_once(&self, email: Email) -> Result<Reply<Sent>, Error> {
        self.send_once_with(email, SendOnce::new()).await
    }

    /// Sends a mail once, even if the reply is lost. The mail needs an
    /// [`idempotency_key`](Email::idempotency_key) of its own.
    ///
    /// If the send ends as [`Unknown`](Certainty::Unknown), the call waits until the activity can show
    /// the mail, and looks it up by its key, as [`find_sent`](Self::find_sent) does:
    /// - found: returns `Ok` with [`Sent::looked_up`] set and the reply of the search.
    /// - absent: sends the mail again, up to [`max_resends`](SendOnce::max_resends) times.
    /// - not settled by the [`deadline`](SendOnce::deadline): returns the error of the last send.
    ///
    /// ```no_run
    /// use smtp2go_sdk::{Client, Email, SendOnce};
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// // Never sends again: after a lost reply, it only looks the mail up.
    /// let settings = SendOnce::new().max_resends(0);
    /// let mail = Email::new("Acme <noreply@example.com>", "Your order 42")
    ///     .to("jane@example.net")
    ///     .text("Thank you.")
    ///     .idempotency_key("order-42/confirmation");
    /// let sent = client.send_once_with(mail, settings).await?;
    /// println!("looked up: {}", sent.looked_up);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing more is sent. The mail may have been sent before: look it up
    /// with [`find_sent`](Self::find_sent), its key and the time before the call. Don't call
    /// `send_once` again before that: it does not look for the mail of an earlier call.
    ///
    /// The same holds after a crash. So store the key and the time before the call.
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) if the mail has no key. Otherwise the errors of
    /// [`send`](Self::send). A [`certainty`](Error::certainty) of `Unknown` has one of these causes:
    /// the deadline is too short for the [`lag`](SendOnce::lag) or the mail's schedule, no resend is
    /// left, or a look-up failed for a lasting reason, such as an API key that does not permit
    /// `/activity/search`.
    pub async fn send_once_with(
        &self,
        email: Email,
        settings: SendOnce,
    ) -> Result<Reply<Sent>, Error> {
        let clock = Clock::start(settings.deadline);
        let wanted = FindSent::of(&email, clock.now())?.timing(settings.timing);
        let mut resends = 0;
        loop {
            let error = match clock.limit(self).send(email.clone()).await {
                Err(error) if error.certainty() == Certainty::Unknown => error,
                other => return other,
            };
            let wanted = wanted.clone().until(clock.now());
            match settle(self, &clock, wanted).await {
                Settled::Sent(reply) => return Ok(*reply),
                Settled::Absent if resends < settings.max_resends => resends += 1,
                Settled::Absent | Settled::Open(None) => return Err(error),
                Settled::Open(Some(failure)) => {
                    return Err(error.with_advice(format!(
                        "the look-up in the activity failed ({}): the API key must permit \
                         /activity/search",
                        failure.kind()
                    )));
                }
            }
        }
    }
}

/// How the look-ups of a mail ended.
enum Settled {
    Sent(Box<Reply<Sent>>),
    Absent,
    /// Neither found nor absent: the deadline is too near, or a look-up failed in a way that a
    /// later look-up would repeat.
    Open(Option<Error>),
}

/// Looks the mail up until it is found or absent. Ends before the deadline.
async fn settle(client: &Client, clock: &Clock, wanted: FindSent) -> Settled {
    let mut look_at = wanted.first_look(client);
    loop {
        if !clock.wait_until(look_at).await {
            return Settled::Open(None);
        }
        let wanted = [wanted.clone().now(clock.now())];
        let look = match look(&clock.limit(client), &wanted).await {
            Ok(look) => look,
            Err(error) if is_lasting(&error) => return Settled::Open(Some(error)),
            Err(error) => {
                let [wanted] = &wanted;
                let wait = error.retry_after().unwrap_or_default();
                look_at = after(clock.now(), wanted.step().max(wait));
                continue;
            }
        };
        match (look.found.into_iter().next(), look.hit) {
            (Some(Found::Sent { email_id, .. }), Some(reply)) => {
                let sent = Sent {
                    email_id,
                    looked_up: true,
                    ..Sent::default()
                };
                return Settled::Sent(Box::new(Reply::new(sent, reply)));
            }
            (Some(Found::NotYet { look_again_at }), _) => look_at = look_again_at,
            (Some(Found::Absent), _) => return Settled::Absent,
            _ => return Settled::Open(None),
        }
    }
}

/// Returns whether a later look-up would fail in the same way.
fn is_lasting(error: &Error) -> bool {
    let is_refused = error.certainty() == Certainty::Rejected && !error.is_rate_limited();
    is_refused || error.is_auth() || error.is_config() || error.is_validation()
}

/// A clock that never jumps: the system's time at the start, plus the time that tokio's clock measured since.
struct Clock {
    start: SystemTime,
    started: Instant,
    limit: Duration,
}

impl Clock {
    fn start(limit: Duration) -> Self {
        Self {
            start: now(),
            started: Instant::now(),
            limit,
        }
    }

    fn now(&self) -> SystemTime {
        after(self.start, self.started.elapsed())
    }

    /// Returns the client with the rest of the deadline.
    fn limit(&self, client: &Client) -> Client {
        let left = self.limit.saturating_sub(self.started.elapsed());
        client.with_options(CallOptions::new().deadline(left.min(client.deadline())))
    }

    /// Waits until this time. Returns `false` at once if the deadline is before it.
    async fn wait_until(&self, time: SystemTime) -> bool {
        let wait = time.duration_since(self.start).unwrap_or_default();
        if wait >= self.limit {
            return false;
        }
        sleep(wait.saturating_sub(self.started.elapsed())).await;
        true
    }
}
