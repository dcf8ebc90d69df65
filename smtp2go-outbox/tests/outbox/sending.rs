//! From `put` to the sandbox's inbox.

use smtp2go_outbox::{OnAbsent, Put, State};
use smtp2go_sandbox::Fault;

use crate::support::{fixtures, mail, record, sandbox, work, worker};

#[tokio::test]
async fn queued_mail_is_sent_once() {
    for fixture in fixtures().await {
        let outbox = &fixture.outbox;
        let (sandbox, client) = sandbox(|builder| builder).await;
        for number in 0..20 {
            let key = format!("order-{number}");
            assert_eq!(outbox.put(mail(&key)).await.unwrap(), Put::Queued);
            assert_eq!(outbox.put(mail(&key)).await.unwrap(), Put::Known);
        }
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 20);
        let sent = record(outbox, "order-7").await;
        assert_eq!((sent.state, sent.attempts), (State::Sent, 1));
        assert!(sent.email_id.is_some() && sent.sent_at.is_some());
    }
}

#[tokio::test]
async fn mail_is_sent_once_after_each_kind_of_failure() {
    let lost = |fault: Fault, sent: bool| fault.on("email_send").first(1).carried_out(sent);
    for (name, fault, attempts) in [
        ("429", Fault::status(429).on("email_send").first(1), 2),
        ("500 before", lost(Fault::status(500), false), 2),
        ("500 after", lost(Fault::status(500), true), 1),
        ("reset before", lost(Fault::reset(), false), 2),
        ("reset after", lost(Fault::reset(), true), 1),
        ("stalled", lost(Fault::stall(), true), 1),
    ] {
        for fixture in fixtures().await {
            let outbox = &fixture.outbox;
            let (sandbox, client) = sandbox(|builder| builder.fault(fault.clone())).await;
            outbox.put(mail("order-1")).await.unwrap();
            work(worker(outbox, &client), outbox).await;
            let sent = record(outbox, "order-1").await;
            assert_eq!(sandbox.mails().len(), 1, "{name}: {sent:?}");
            assert_eq!(
                (sent.state, sent.attempts),
                (State::Sent, attempts),
                "{name}: {sent:?}"
            );
        }
    }
}

#[tokio::test]
async fn absent_mail_is_held_with_on_absent_hold() {
    for fixture in fixtures().await {
        let outbox = &fixture.outbox;
        let lost = Fault::reset().on("email_send").first(1).carried_out(false);
        let (sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
        outbox.put(mail("order-1")).await.unwrap();
        work(worker(outbox, &client).on_absent(OnAbsent::Hold), outbox).await;
        let held = record(outbox, "order-1").await;
        assert_eq!(
            (held.state, held.reason.as_deref()),
            (State::Held, Some("absent"))
        );
        assert_eq!(sandbox.mails().len(), 0);
    }
}
