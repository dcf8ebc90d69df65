//! A shop with axum and PostgreSQL, and two workers, one of which is killed. The test compares the
//! table with the inbox, mail by mail.

#![allow(clippy::unwrap_used)] // helpers of tests

#[path = "support/cluster.rs"]
mod cluster;
#[path = "support/programs.rs"]
mod programs;

use std::time::Duration;

use cluster::Cluster;
use programs::{agreement, example, settled, worker};
use smtp2go_sandbox::{Fault, Sandbox};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const ORDERS: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_worker_loses_no_mail_and_sends_none_twice() {
    let Some(cluster) = Cluster::start(false) else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let database = cluster.database();
    let slow = Fault::delay(Duration::from_millis(40)).on("email_send");
    let sandbox = Sandbox::builder().strict(true).fault(slow).start().await;
    let sandbox = sandbox.unwrap();

    let mut shop = example("shop", &database);
    let mut lines = BufReader::new(shop.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().unwrap();
    let mut first = worker(&database, &sandbox);
    let mut second = worker(&database, &sandbox);
    let orders = async {
        for number in 0..ORDERS {
            order(&url, &format!("customer{number}@example.net")).await;
        }
    };
    let kill = async {
        while sandbox.mails().len() < ORDERS / 4 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        first.kill().await.unwrap();
        assert!(sandbox.mails().len() < ORDERS, "killed too late");
    };
    tokio::join!(orders, kill);
    settled(&database).await;
    second.kill().await.unwrap();

    let orders = "SELECT 'order-' || id || '/confirmation', email FROM orders ORDER BY id";
    assert_eq!(agreement(&database, &sandbox, orders).await, ORDERS);
}

async fn order(url: &str, address: &str) {
    let host = url.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let length = address.len();
    let request = format!(
        "POST /orders HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{address}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
}
