//! The client for programs that are not async (feature `blocking`).
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
//! It is the async client, with the same methods, requests, replies and errors, and with the same
//! retries, deadlines and pacing; only that a method returns when the call is over, and that a
//! search over all pages is an iterator, as are the outcomes of many mails. There is no raw client
//! here.
//!
//! # Threads
//!
//! Each client that is built has a thread of its own, which does the network's work for it and for
//! all its clones and ends with the last of them and of the iterators that they made. Many threads
//! can call at once; what the groups send and get is encoded and decoded on the thread that calls.
//! Calls can be made from any thread:
//!
//! - plain threads, and those of `tokio::task::spawn_blocking`, are what it is made for;
//! - **in async code** a call blocks the thread that it is made on, and with it whatever else that
//!   thread would run, until it is over: use [`smtp2go_sdk::Client`](crate::Client) there. It does
//!   not panic, and it ends by its deadline even if what it waits for was to run on that thread;
//! - a call from the client's own thread, such as from a reader that it reads an attachment from,
//!   could never end. It is refused with an error that [`is_config`](crate::Error::is_config); each
//!   mail of [`send_all`](Client::send_all) is, and those that are under way when their outcome is
//!   asked for there are given up.
//!
//! Clients and iterators can be dropped anywhere, in async code too. Dropping never waits.
//!
//! A reader that panics fails its own call only. One that implements `AsyncRead` and blocks
//! nevertheless holds up all calls of the client: give a blocking reader to
//! [`Attachment::from_blocking_reader`](crate::Attachment::from_blocking_reader).
//!
//! A client can't be used on in a process that was forked off with `fork`, which copies no threads:
//! build it there.

mod bulk;
mod client;
mod items;
mod worker;

pub use self::bulk::SendAll;
pub(crate) use self::client::iterate;
pub use self::client::{Client, ClientBuilder};
pub use self::items::{Items, Pages};
#[doc(inline)]
pub use crate::generated::blocking as groups;
