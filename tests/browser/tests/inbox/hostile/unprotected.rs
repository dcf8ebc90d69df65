//! Checks that the snippets are hostile and detected: without protection, they leak.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{PIECES, fill};
use crate::support::{Browser, eventually, run};

/// Serves pages unchanged, each at its number, and at `/` a page with all of them in frames.
/// Returns the address.
async fn serve(pages: Vec<String>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    let frames = (0..pages.len()).map(|number| format!("<iframe src=/{number}></iframe>"));
    let all = Arc::new((frames.collect::<String>(), pages));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let all = Arc::clone(&all);
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let head = String::from_utf8_lossy(&head);
                let path = head.split(' ').nth(1).unwrap_or_default();
                let body = match path.trim_start_matches('/') {
                    "" => &all.0,
                    number => number
                        .parse()
                        .map_or(&all.0, |number: usize| &all.1[number]),
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\
                     Content-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(body.as_bytes()).await;
            });
        }
    });
    address
}

#[test]
fn most_snippets_leak_without_protection() {
    run(async {
        let pages = PIECES.iter().enumerate();
        let address = serve(pages.map(|(number, piece)| fill(piece, number)).collect()).await;
        let browser = Browser::open().await;
        // Chromium may leave this page at any time, so the test does not wait for it.
        browser.window.goto(&address).await.unwrap();
        let leaks = || -> BTreeSet<usize> {
            let seen = browser.outside.seen();
            let numbers = seen.iter().filter_map(|head| {
                let (_, rest) = head.split_once("evil-")?;
                rest.split('.').next()?.parse().ok()
            });
            numbers.collect()
        };
        // Others need a click, only connect, or need an old browser.
        let expected = PIECES.len() * 2 / 5;
        let enough = eventually(|| (leaks().len() >= expected).then_some(())).await;
        assert!(
            enough.is_some(),
            "only {:?} of {} leak",
            leaks(),
            PIECES.len()
        );
        browser.close().await;
    });
}

#[test]
fn name_lookup_without_connection_is_counted() {
    run(async {
        let page = "<!doctype html><link rel=dns-prefetch href=//looked-up.example>";
        let address = serve(vec![page.to_owned()]).await;
        let browser = Browser::open().await;
        for _ in 0..3 {
            browser.goto(&format!("{address}0")).await;
        }
        assert_eq!(browser.outside.connections(), 0);
        assert!(browser.close_and_count_lookups().await > 0);
    });
}
