//! Reads lines and messages from a connection, with limits on time and size.

use std::io;
use std::time::Duration;

use axum::body::Bytes;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::MOST_BYTES;
use super::command::{LONGEST_LINE, too_big};
use super::message::Unstuffing;
use super::reply::SmtpReply;
use crate::connection::within;
use crate::server::{CountedBody, Gathered, Reading};

/// Why a connection ends.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed the connection, or does not read replies.
    Gone,
    /// The sandbox ends the connection after this reply.
    Reply(SmtpReply),
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// A connection.
pub(super) struct Wire {
    stream: BufReader<TcpStream>,
    /// Timeout of each write, and of each read of a message.
    idle: Duration,
}

/// A message that was read to its end.
pub(super) struct ReceivedMessage<'a> {
    /// The message. Empty if it is refused.
    pub(super) bytes: Bytes,
    pub(super) size: usize,
    pub(super) refused: Option<SmtpReply>,
    /// Counts the message. Drop it once the message is counted elsewhere.
    pub(super) _counted: CountedBody<'a>,
}

impl Wire {
    pub(super) fn new(stream: TcpStream, idle: Duration) -> Self {
        // If this fails, replies may be delayed.
        let _ = stream.set_nodelay(true);
        Self {
            stream: BufReader::new(stream),
            idle,
        }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream.into_inner()
    }

    pub(super) async fn write(&mut self, reply: &SmtpReply) -> Result<(), End> {
        let text = reply.to_string();
        let written = within(self.idle, self.stream.write_all(text.as_bytes())).await;
        Ok(written.ok_or(End::Gone)??)
    }

    /// Reads a line, including its end. Returns the first [`LONGEST_LINE`] bytes of a longer line.
    pub(super) async fn line(&mut self, limit: Duration) -> Result<Vec<u8>, End> {
        let mut line = Vec::new();
        let most = u64::try_from(LONGEST_LINE).unwrap_or(u64::MAX);
        let mut stream = (&mut self.stream).take(most);
        let read = within(limit, stream.read_until(b'\n', &mut line)).await;
        read.ok_or_else(|| silence(limit, "no command"))??;
        match line.ends_with(b"\n") || line.len() == LONGEST_LINE {
            true => Ok(line),
            false => Err(End::Gone),
        }
    }

    /// Reads a message to its end, so that the client reads the reply. Discards the message if it is too
    /// large, or if all bodies in progress together exceed the memory limit.
    pub(super) async fn message<'a>(
        &mut self,
        reading: &'a Reading,
    ) -> Result<ReceivedMessage<'a>, End> {
        let mut unstuffing = Unstuffing::new();
        let mut gathered = Gathered::new(reading);
        let mut size = 0_usize;
        loop {
            let chunk = within(self.idle, self.stream.fill_buf()).await;
            let chunk = chunk.ok_or_else(|| {
                silence(self.idle, "no further line of the message and no final dot")
            })??;
            if chunk.is_empty() {
                return Err(End::Gone);
            }
            let end = unstuffing.push(chunk, |text| {
                size = size.saturating_add(text.len());
                if size <= MOST_BYTES {
                    gathered.add(text, MOST_BYTES);
                }
            });
            let used = end.unwrap_or(chunk.len());
            self.stream.consume(used);
            if size > MOST_BYTES && gathered.len() > 0 {
                gathered = Gathered::new(reading);
            }
            if end.is_some() {
                break;
            }
        }
        let refused = if size > MOST_BYTES {
            Some(too_big())
        } else if gathered.is_too_much {
            let text =
                "other messages use up the memory: send fewer at a time, or raise --keep-bytes";
            Some(SmtpReply::new(452, "4.3.1", text))
        } else if unstuffing.has_bare {
            let text = "the message has a bare CR or LF: end lines with CRLF";
            Some(SmtpReply::new(550, "5.6.0", text))
        } else {
            None
        };
        let (bytes, counted) = gathered.finish();
        Ok(ReceivedMessage {
            bytes,
            size,
            refused,
            _counted: counted,
        })
    }
}

fn silence(limit: Duration, what: &str) -> End {
    let text = format!("{what} came for {} s", limit.as_secs_f64());
    End::Reply(SmtpReply::new(421, "4.4.2", text))
}
