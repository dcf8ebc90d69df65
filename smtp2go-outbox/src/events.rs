//! Webhook events: from an event to the row that it is about.

use smtp2go_sdk::types::{EmailEvent, EmailEventKind, Timestamp};
use smtp2go_sdk::webhook::Event;

use crate::decide::{EventFacts, Known, Policy};
use crate::error::Error;
use crate::outbox::Outbox;
use crate::record::State;

/// What the service writes where it has no value.
const UNAVAILABLE: &str = "Unavailable";

impl Outbox {
    /// Records a webhook event. An event about a mail proves that the API accepted it, so an unknown mail is
    /// settled at once. Returns the mail's state, or `None` if the event is about no mail of the table.
    ///
    /// The mail is found by the header with its key, if the webhook posts that header, or else by its id of
    /// the API. Events can come in any order and more than once. For a mail with several recipients, the
    /// most serious event counts: complained, rejected, bounced, delivered, sent. A soft bounce changes
    /// nothing but [`event`](crate::Record::event).
    ///
    /// Events about another mail with the same key change nothing, if they show it: the row's mail was not yet
    /// handed to a worker, has another id of the API, or was queued more than 5 minutes after the event's mail
    /// was sent.
    ///
    /// ```no_run
    /// # async fn example(outbox: smtp2go_outbox::Outbox, client: smtp2go_sdk::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp2go_outbox::Dedup;
    /// use smtp2go_sdk::webhook::{Auth, Event, Receiver};
    ///
    /// let receiver = Receiver::new(Auth::bearer("EXAMPLE-secret")?).deduplicate(Dedup::new(&outbox));
    /// let handler = move |event: Event| {
    ///     let outbox = outbox.clone();
    ///     async move { outbox.record(&event).await.map(drop) }
    /// };
    /// # let _ = (receiver, handler);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the database fails. Answer the webhook with an error then, so that the event is posted again.
    pub async fn record(&self, event: &Event) -> Result<Option<State>, Error> {
        let Some(event) = event.as_email() else {
            return Ok(None);
        };
        let Some((record, now)) = self.row_of(event).await? else {
            return Ok(None);
        };
        let known = Known::Event(facts(event));
        let policy = Policy::default();
        let settled = self.settle(&record, now, known, &policy, None).await?;
        Ok(Some(settled.unwrap_or(record.state)))
    }

    async fn row_of(
        &self,
        event: &EmailEvent,
    ) -> Result<Option<(crate::Record, std::time::SystemTime)>, Error> {
        if let Some(key) = event.header(&self.key_header)
            && let Some(found) = self.store.get(key).await?
        {
            return Ok(Some(found));
        }
        match email_id(event) {
            None => Ok(None),
            Some(id) => match self.store.key_of(id).await? {
                Some(key) => self.store.get(&key).await,
                None => Ok(None),
            },
        }
    }
}

fn email_id(event: &EmailEvent) -> Option<&str> {
    let id = event.email_id.as_deref();
    id.filter(|id| !id.is_empty() && *id != UNAVAILABLE)
}

fn facts(event: &EmailEvent) -> EventFacts {
    let proves = match &event.event {
        Some(
            EmailEventKind::Delivered
            | EmailEventKind::Open
            | EmailEventKind::Click
            | EmailEventKind::Unsubscribe
            | EmailEventKind::Resubscribe,
        ) => State::Delivered,
        Some(EmailEventKind::Bounce) if event.is_hard_bounce() == Some(true) => State::Bounced,
        Some(EmailEventKind::Spam) => State::Complained,
        Some(EmailEventKind::Reject) => State::Rejected,
        _ => State::Sent,
    };
    let name = event.event.as_ref().map_or("", EmailEventKind::as_str);
    let name = match &event.bounce {
        Some(bounce) => format!("{name}:{}", bounce.as_str()),
        None => name.to_owned(),
    };
    EventFacts {
        proves,
        name,
        email_id: email_id(event).map(str::to_owned),
        sent_at: event.sendtime.as_ref().and_then(Timestamp::to_system_time),
    }
}
