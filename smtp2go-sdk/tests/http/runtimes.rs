//! One client in several tokio runtimes, such as a `static` client in a program with `#[tokio::test]`.

use std::sync::LazyLock;
use std::thread;
use std::time::Duration;

use crate::log_watch::watched;
use crate::support::{KEY, called, own_http};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Attachment, Client, Email, Error, RetryPolicy};
use tokio::runtime::{Builder, Runtime};

static SANDBOX: LazyLock<Sandbox> =
    LazyLock::new(|| Sandbox::builder().key(KEY).start_blocking().unwrap());

static CLIENT: LazyLock<Client> = LazyLock::new(|| client(&SANDBOX));

fn client(sandbox: &Sandbox) -> Client {
    Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap()
}

/// A runtime as `#[tokio::test]` makes one.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn mail(to: &str) -> Email {
    Email::new("a@example.com", "Hi").to(to).text("Hi")
}

async fn send(client: &Client) -> Result<(), Error> {
    client.send(mail("b@example.net")).await.map(|_| ())
}

#[test]
fn static_client_works_in_one_runtime_after_another() {
    for _ in 0..20 {
        runtime().block_on(send(&CLIENT)).unwrap();
    }
}

#[test]
fn static_client_works_in_parallel_runtimes() {
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            let test = move || {
                for round in 0..20 {
                    let runtime = runtime();
                    for _ in 0..1 + (thread + round) % 3 {
                        runtime.block_on(send(&CLIENT)).unwrap();
                    }
                    // Several connections, some of them idle when the runtime ends.
                    runtime.block_on(async {
                        let (a, b) = tokio::join!(send(&CLIENT), send(&CLIENT));
                        a.and(b).unwrap();
                    });
                }
            };
            thread::spawn(test)
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn own_http_client_without_idle_connections_works_in_parallel_runtimes() {
    let http = own_http().pool_max_idle_per_host(0).build().unwrap();
    let builder = Client::builder(watched(KEY)).base_url(SANDBOX.base_url());
    let builder = builder.retry(RetryPolicy::none()).http_client(http);
    let client = builder.build().unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    runtime().block_on(send(&client)).unwrap();
                }
            });
        }
    });
}

#[cfg(feature = "raw")]
#[test]
fn raw_client_works_in_parallel_runtimes() {
    use smtp2go_sdk::types::TemplateSearchRequest;

    let raw = CLIENT.raw();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let request = TemplateSearchRequest::new();
                    runtime().block_on(raw.template_search(&request)).unwrap();
                }
            });
        }
    });
}

#[test]
fn dropping_a_runtime_does_not_disturb_calls_of_other_runtimes() {
    let sandbox = Sandbox::builder().key(KEY).fault(Fault::stall().nth(1));
    let sandbox = sandbox.start_blocking().unwrap();
    let client = client(&sandbox);
    let first = runtime();
    first.block_on(async {
        let stalled = client.clone();
        tokio::spawn(async move { send(&stalled).await });
        called(&sandbox, 1).await;
    });
    drop(first);
    runtime().block_on(send(&client)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_to_a_server_in_the_same_runtime_work_while_the_clock_is_paused() {
    let sandbox = Sandbox::builder().key(KEY).start().await.unwrap();
    let client = client(&sandbox);
    for size in [1, 1_000, 1_000_000] {
        let file = Attachment::from_bytes("a.txt", vec![b'x'; size]);
        client
            .send(mail("b@example.net").attach(file))
            .await
            .unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn call_to_a_server_outside_the_runtime_times_out_while_the_clock_is_paused() {
    let slow = Fault::delay(Duration::from_millis(300)).nth(1);
    let sandbox = Sandbox::builder().key(KEY).fault(slow);
    let sandbox = sandbox.start_blocking().unwrap();
    let client = client(&sandbox);
    let error = send(&client).await.unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    tokio::time::resume();
    send(&client).await.unwrap();
    tokio::time::pause();
}
