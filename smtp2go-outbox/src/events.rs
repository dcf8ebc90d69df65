//! Records webhook events in the rows of their mails.

use smtp2go_sdk::types::{EmailEvent, EmailEventKind, Timestamp};
use smtp2go_sdk::webhook::Event;

use crate::decide::{EventFacts, Known, Policy};
use crate::error::Error;
use crate::outbox::Outbox;
use crate::record::State;

/// Value that the service writes if it has no value.
const UNAVAILABLE: &str = "Unavailable";

impl Outbox {
    /// Records a webhook event. Returns the mail's state after it, or `None` if the table does not have the mail.
    ///
    /// An event proves that the API accepted its mail, so an unknown mail then needs no look-up. The mail is found
    /// by its key if the webhook posts the header with the key, otherwise by its `email_id`. Events can come in
    /// any order and more than once: the most serious state stays, in the order complained, rejected, bounced,
    /// delivered, sent. This also holds for the events of several recipients. A soft bounce proves `sent`.
    ///
    /// An event about another mail with the same key changes nothing. The outbox recognises such an event if no
    /// worker has claimed the row's mail yet, if the `email_id`s differ, or if the event's mail was sent more than
    /// 5 minutes before the row's mail was queued.
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
    /// If the database fails. Return the error from the handler, so that the service posts the event again.
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
