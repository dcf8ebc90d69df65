//! `Worker::deliver`: one mail per call.

use std::time::{Duration, SystemTime};

use smtp2go_outbox::{Entry, Requested, State};
use smtp2go_sandbox::Fault;
use tokio::time::sleep;

use crate::support::{Fixture, fixtures, mail, postgres, record, sandbox, worker};

#[tokio::test]
async fn concurrent_deliver_calls_send_the_mail_once() {
    for Fixture { outbox, .. } in &fixtures().await {
        let slow = Fault::delay(Duration::from_millis(200)).on("email_send");
        let (sandbox, client) = sandbox(|builder| builder.fault(slow)).await;
        outbox.put(mail("k")).await.unwrap();
        let calls = (0..8).map(|_| {
            let worker = worker(outbox, &client).build().unwrap();
            tokio::spawn(async move { worker.deliver("k").await.unwrap().unwrap() })
        });
        let mut done = 0;
        for call in calls.collect::<Vec<_>>() {
            let delivery = call.await.unwrap();
            match delivery.again_in {
                None => {
                    assert_eq!(delivery.record.state, State::Sent);
                    done += 1;
                }
                Some(wait) => {
                    assert_eq!(delivery.record.state, State::Sending);
                    assert!(wait <= Duration::from_secs(2), "{wait:?}");
                }
            }
        }
        assert!(done >= 1);
        assert_eq!(sandbox.calls().len(), 1);
        let worker = worker(outbox, &client).build().unwrap();
        let again = worker.deliver("k").await.unwrap().unwrap();
        assert_eq!((again.record.state, again.again_in), (State::Sent, None));
        assert!(worker.deliver("other").await.unwrap().is_none());
    }
}

#[tokio::test]
async fn deliver_call_waits_while_another_process_commits_its_claim() {
    let Some(Fixture { outbox, url, .. }) = postgres().await else {
        return;
    };
    let (sandbox, client) = sandbox(|builder| builder).await;
    outbox.put(mail("k")).await.unwrap();
    let other = sqlx::PgPool::connect(&url).await.unwrap();
    let mut claim = other.begin().await.unwrap();
    let lock = "SELECT FROM smtp2go_outbox WHERE key = 'k' FOR UPDATE";
    sqlx::query(lock).execute(&mut *claim).await.unwrap();

    let worker = worker(&outbox, &client).build().unwrap();
    let call = tokio::spawn(async move { worker.deliver("k").await.unwrap().unwrap() });
    sleep(Duration::from_millis(700)).await;
    claim.rollback().await.unwrap();

    let delivery = call.await.unwrap();
    assert_eq!(
        (delivery.record.state, delivery.again_in),
        (State::Sent, None)
    );
    assert_eq!(sandbox.mails().len(), 1);
}

#[tokio::test]
async fn repeated_deliver_calls_settle_a_mail_with_a_lost_reply() {
    for (is_sent, attempts) in [(true, 1), (false, 2)] {
        for Fixture { outbox, .. } in &fixtures().await {
            let lost = Fault::reset().on("email_send").nth(1).carried_out(is_sent);
            let (sandbox, client) = sandbox(|builder| builder.fault(lost)).await;
            outbox.put(mail("k")).await.unwrap();
            let worker = worker(outbox, &client).build().unwrap();
            let mut states = Vec::new();
            let row = loop {
                let delivery = worker.deliver("k").await.unwrap().unwrap();
                states.push(delivery.record.state);
                match delivery.again_in {
                    Some(wait) => sleep(wait).await,
                    None => break delivery.record,
                }
            };
            assert_eq!(
                (row.state, row.attempts),
                (State::Sent, attempts),
                "{states:?}"
            );
            assert!(states.contains(&State::Unknown), "{states:?}");
            assert_eq!(sandbox.mails().len(), 1);
        }
    }
}

#[tokio::test]
async fn deliver_call_before_the_earliest_send_time_sends_nothing() {
    for Fixture { outbox, .. } in &fixtures().await {
        let (sandbox, client) = sandbox(|builder| builder).await;
        let hour = Duration::from_secs(3600);
        let later = Entry::new(mail("k")).not_before(SystemTime::now() + hour);
        outbox.put(later).await.unwrap();
        let worker = worker(outbox, &client).build().unwrap();
        let delivery = worker.deliver("k").await.unwrap().unwrap();
        let wait = delivery.again_in.unwrap();
        assert!(wait > hour / 2 && wait <= hour, "{wait:?}");
        assert_eq!(record(outbox, "k").await.state, State::Queued);
        assert_eq!(outbox.hold("k").await.unwrap(), Requested::Done);
        let delivery = worker.deliver("k").await.unwrap().unwrap();
        assert_eq!(
            (delivery.record.state, delivery.again_in),
            (State::Held, None)
        );
        assert!(sandbox.calls().is_empty());
    }
}
