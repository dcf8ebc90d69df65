//! A database that is unavailable for a while.

use std::time::Duration;

use smtp2go_outbox::{Outbox, State};
use smtp2go_sandbox::Fault;
use tokio::time::sleep;

use crate::cluster::Cluster;
use crate::support::{idle, mail, sandbox, worker};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn worker_survives_a_killed_database_and_keeps_all_outcomes() {
    let Some(cluster) = Cluster::start(true) else {
        println!("skipped on PostgreSQL, which is not installed");
        return;
    };
    let url = cluster.database();
    let outbox = Outbox::connect(&url).await.unwrap();
    outbox.migrate().await.unwrap();
    let slow = Fault::delay(Duration::from_millis(50)).on("email_send");
    let (sandbox, client) = sandbox(|builder| builder.fault(slow)).await;
    for number in 0..40 {
        outbox.put(mail(&format!("{number}"))).await.unwrap();
    }
    let worker = worker(&outbox, &client).build().unwrap();
    let done = async {
        while sandbox.mails().len() < 5 {
            sleep(Duration::from_millis(1)).await;
        }
        cluster.kill();
        let at_kill = sandbox.calls().len();
        sleep(Duration::from_millis(300)).await;
        // The claimed mails.
        assert!(sandbox.calls().len() <= at_kill + 4);
        cluster.up();
        let fresh = Outbox::connect(&url).await.unwrap();
        idle(&fresh).await;
        assert_eq!(fresh.counts().await.unwrap(), [(State::Sent, 40)]);
    };
    worker.run_until(done).await.unwrap();
    assert_eq!(sandbox.mails().len(), 40);
}
