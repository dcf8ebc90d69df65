//! A blocking client, for programs that are not async (feature `blocking`). Not on wasm32.
//!
//! ```no_run
//! use smtp2go_sdk::Email;
//! use smtp2go_sdk::blocking::Client;
//! use smtp2go_sdk::types::{ActivitySearchRequest, TemplateViewRequest};
//!
//! # fn example() -> Result<(), smtp2go_sdk::Error> {
//! let client = Client::from_env()?; // SMTP2GO_API_KEY, SMTP2GO_REGION, SMTP2GO_BASE_URL
//!
//! let mail = Email::new("Acme <noreply@example.com>", "Welcome")
//!     .to("jane@example.net")
//!     .text("Hello Jane");
//! let sent = client.send(mail)?;
//! println!("{:?}, request {:?}", sent.email_id, sent.request_id());
//!
//! let template = client.template().view(TemplateViewRequest::new("welcome"))?;
//! println!("{:?}", template.subject);
//!
//! for event in client.activity().search_all(ActivitySearchRequest::new()) {
//!     println!("{:?}", event?.recipient);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The blocking client has the methods, requests, replies, errors, retries, deadlines and rate limits of
//! the async client, but no raw client. A method returns when its call ends. A search over all pages is
//! an iterator, and so are the outcomes of [`send_all`](Client::send_all).
//!
//! # Threads
//!
//! Each client that is built has one thread for its network I/O. Clones share it, and it ends with the
//! last clone and the last iterator made from them. Many threads can call at once. The calling thread
//! encodes the requests of the groups and decodes their replies. Calls can be made from any thread:
//!
//! - Plain threads, and `tokio::task::spawn_blocking`, are the intended use.
//! - **In async code** a call blocks its thread, and everything else that this thread would run,
//!   until the call ends. Use [`smtp2go_sdk::Client`](crate::Client) there. A call does not panic,
//!   and it ends by its deadline even if it waits for something that this thread would have to run.
//! - A call from the client's own thread, for example in a reader of an attachment, would wait for
//!   itself. It fails with an error that [`is_config`](crate::Error::is_config). So does each mail that
//!   [`send_all`](Client::send_all) takes on that thread. A `next` on that thread that would have to
//!   wait cancels a call in flight and returns its outcome.
//!
//! Clients and iterators can be dropped anywhere, also in async code. Dropping never waits.
//!
//! A reader that panics fails only its own call. A reader that implements `AsyncRead` but blocks
//! delays all calls of the client. Pass a blocking reader to
//! [`Attachment::from_blocking_reader`](crate::Attachment::from_blocking_reader).
//!
//! `fork` copies no threads, so a client does not work in the child process. Build a new one there.

mod bulk;
mod client;
mod items;
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
mod lettre;
mod suppression;
mod worker;

pub use self::bulk::SendAll;
pub(crate) use self::client::iterate;
pub use self::client::{Client, ClientBuilder};
pub use self::items::{Items, Pages};
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
pub use self::lettre::LettreTransport;
#[doc(inline)]
pub use crate::generated::blocking as groups;
