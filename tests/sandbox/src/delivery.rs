//! What becomes of a mail once it is accepted, and due if it was scheduled.

use std::time::Duration;

use crate::event::EventKind;
use crate::mail::Mail;
use crate::world::World;

/// How long after it is taken up a mail is delivered.
const TRANSIT: Duration = Duration::from_millis(50);

/// Takes a mail up: it is processed now, and each recipient's copy delivered a little later. A mail
/// from a key with the status `sandbox` is rejected instead, as the service does.
pub(crate) fn begin(world: &mut World, mail: &Mail) {
    if mail.withheld() {
        for recipient in mail.recipients() {
            let detail = vec![(
                "message",
                "The API key has the status sandbox: nothing is delivered.".to_owned(),
            )];
            world.record_mail(mail, Some(recipient), EventKind::Reject, detail);
        }
        return;
    }
    world.record_mail(mail, None, EventKind::Processed, Vec::new());
    let mail = mail.clone();
    world.later(TRANSIT, move |world| {
        for recipient in mail.recipients() {
            deliver(world, &mail, recipient);
        }
    });
}

/// The recipient's server is given the mail.
fn deliver(world: &mut World, mail: &Mail, recipient: &str) {
    let domain = recipient.rsplit_once('@').map_or("", |(_, domain)| domain);
    let detail = vec![
        // A documentation address, RFC 5737.
        ("host", format!("mx.{domain} [192.0.2.25]")),
        ("message", "250 2.0.0 accepted".to_owned()),
        ("context", "end of DATA".to_owned()),
    ];
    world.record_mail(mail, Some(recipient), EventKind::Delivered, detail);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::account::KeyStatus;
    use crate::operations::tests::call;
    use crate::world::tests::shared;

    fn history(world: &World) -> Vec<(EventKind, Option<String>)> {
        let events = world.events.iter();
        events
            .map(|event| (event.kind(), event.recipient().map(str::to_owned)))
            .collect()
    }

    #[test]
    fn a_mail_is_processed_and_delivered_to_each() {
        let shared = shared(|_| {});
        shared.world().freeze();
        let mail = json!({ "sender": "a@example.com", "to": ["Jane <b@example.net>"],
                           "cc": ["b@example.net", "c@example.net"], "text_body": "Hello" });
        call(&shared, "email_send", &mail).unwrap();
        let mut world = shared.world();
        let start = world.now();
        assert_eq!(history(&world), [(EventKind::Processed, None)]);
        world.advance(TRANSIT);
        let delivered = |to: &str| (EventKind::Delivered, Some(to.to_owned()));
        let expected = [delivered("b@example.net"), delivered("c@example.net")];
        assert_eq!(history(&world)[1..], expected);
        let last = Arc::clone(world.events.last().unwrap());
        assert_eq!(last.time(), start + TRANSIT);
        assert_eq!(last.detail("host"), Some("mx.example.net [192.0.2.25]"));
        assert_eq!(last.id().len(), 32);
    }

    #[test]
    fn a_key_on_trial_delivers_nothing() {
        let shared = shared(|settings| settings.keys[0].status = KeyStatus::Sandbox);
        let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "text_body": "x" });
        call(&shared, "email_send", &mail).unwrap();
        let mut world = shared.world();
        world.advance(TRANSIT);
        let rejected = (EventKind::Reject, Some("b@example.net".to_owned()));
        assert_eq!(history(&world), [rejected]);
        assert_eq!(world.mails.len(), 1);
    }
}
