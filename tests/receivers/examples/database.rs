//! Deduplication over a database table: the event is posted twice, and handled once.
//!
//! ```text
//! cargo run --manifest-path tests/receivers/Cargo.toml --example database
//! ```

use receivers::table::TableDeduplicator;
use rusqlite::Connection;
use smtp2go_sdk::webhook::{Auth, Event, Receiver, RequestHead};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let table = TableDeduplicator::new(Connection::open_in_memory()?)?;
    let receiver = Receiver::new(Auth::bearer("t0ken")?).deduplicate(table);
    let head = RequestHead::new("/webhook").authorization(b"Bearer t0ken".as_slice());
    for _ in 0..2 {
        let body = b"event=bounce&email_id=1a&rcpt=jane%40example.net";
        let handler = |event: Event| async move { println!("handled {:?}", event.name()) };
        let answer = receiver.handle(&head, body, handler).await;
        println!("answered {}", answer.status());
    }
    Ok(())
}
