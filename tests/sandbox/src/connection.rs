//! Connections that can misbehave: a thin layer between the sockets and the HTTP server.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

use crate::api::Lookup;
use crate::call::Call;
use crate::faults::{Effect, Fault, Stage};
use crate::server;
use crate::world::Shared;

/// Enough of a request for its first line.
const FIRST_LINE: usize = 1024;

/// Accepts connections, but for those that a fault refuses.
pub(crate) struct FaultyListener {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl FaultyListener {
    pub(crate) fn new(listener: TcpListener, shared: Arc<Shared>) -> Self {
        Self { listener, shared }
    }
}

impl Listener for FaultyListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if self.shared.rules.due(Stage::Connection).is_none() {
                        return (Connection::new(stream, self.shared.clone()), address);
                    }
                }
                // Too many open files, or a client that was gone: it gets better with time.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// What a connection and the handler of its requests tell each other.
#[derive(Clone, Default)]
pub(crate) struct Control(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The fault of the request that is being read.
    fault: Option<Fault>,
    /// The bytes that come next are of a request that was looked at.
    begun: bool,
    out: Out,
}

/// What becomes of the bytes that the server writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Out {
    #[default]
    Pass,
    /// None gets out: the connection is closed in their place.
    Close,
    /// None gets out: the connection is reset in their place.
    Reset,
    /// The head of the answer gets out and so much of its body, then the connection is closed.
    Cut {
        /// How much of the blank line after the head was seen.
        blank: usize,
        left: u64,
    },
}

impl Control {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of the request that is being handled.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        self.state().fault.take()
    }

    /// The request is read; what comes in after it is another one.
    pub(crate) fn end_request(&self, out: Out) {
        let mut state = self.state();
        state.begun = false;
        state.out = out;
    }
}

impl Connected<IncomingStream<'_, FaultyListener>> for Control {
    fn connect_info(stream: IncomingStream<'_, FaultyListener>) -> Self {
        stream.io().control.clone()
    }
}

/// A connection to a client.
pub(crate) struct Connection {
    stream: TcpStream,
    control: Control,
    shared: Arc<Shared>,
    /// It is closed on our side; what the client still sends is thrown away.
    draining: bool,
    /// It is to be reset as it is dropped, and not closed before.
    resetting: bool,
}

impl Connection {
    fn new(stream: TcpStream, shared: Arc<Shared>) -> Self {
        Self {
            stream,
            control: Control::default(),
            shared,
            draining: false,
            resetting: false,
        }
    }

    /// Looks at a request that begins, without reading it, and finds its fault. Nothing is known
    /// of the operation if not all of the first line has arrived; clients send it in one piece.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut space = [0; FIRST_LINE];
        let mut peeked = ReadBuf::new(&mut space);
        if ready!(self.stream.poll_peek(context, &mut peeked))? == 0 {
            return Poll::Ready(Ok(()));
        }
        let (method, path) = first_line(peeked.filled());
        let operation = match self.shared.api.find(&method, &path) {
            Lookup::Found(operation) => Some(operation.id.clone()),
            _ => None,
        };
        let fault = if server::is_own(&path) {
            None
        } else {
            self.shared.rules.due(Stage::Request(operation.as_deref()))
        };
        let mut state = self.control.state();
        state.begun = true;
        let before = match &fault {
            Some(fault) if matches!(fault.effect, Effect::CloseBeforeReading) => {
                self.draining = true;
                Some(fault.name())
            }
            Some(fault) if matches!(fault.effect, Effect::ResetBeforeReading) => {
                self.stream.set_zero_linger()?;
                self.resetting = true;
                Some(fault.name())
            }
            _ => {
                state.fault = fault;
                None
            }
        };
        drop(state);
        if let Some(fault) = before {
            let time = self.shared.world().now();
            self.shared.note(Call {
                operation,
                received: false,
                fault: Some(fault),
                ..Call::new(time, method, path)
            });
            if !self.draining {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Closes our side and waits until the client has closed its own, so that nothing is reset.
    fn poll_drain(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        let mut space = [0; FIRST_LINE];
        loop {
            let mut thrown_away = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut thrown_away))?;
            if thrown_away.filled().is_empty() {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
        }
    }
}

/// The method and the path, without a query, of a request.
fn first_line(bytes: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(bytes);
    let line = text.lines().next().unwrap_or_default();
    let mut words = line.split(' ');
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let path = target.split('?').next().unwrap_or_default();
    (method, path.to_owned())
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let begun = self.control.state().begun;
        if !begun && !self.draining {
            ready!(self.poll_begin(context))?;
        }
        if self.draining {
            return self.poll_drain(context);
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let out = self.control.state().out;
        match out {
            Out::Pass => Pin::new(&mut self.stream).poll_write(context, bytes),
            Out::Close => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            Out::Reset => {
                self.stream.set_zero_linger()?;
                self.resetting = true;
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Out::Cut { blank, left } => {
                let (allowed, ..) = cut(bytes, blank, left);
                if allowed == 0 {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                let some = bytes.get(..allowed).unwrap_or(bytes);
                let written = ready!(Pin::new(&mut self.stream).poll_write(context, some))?;
                let (_, blank, left) = cut(some.get(..written).unwrap_or(some), blank, left);
                self.control.state().out = Out::Cut { blank, left };
                Poll::Ready(Ok(written))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.resetting {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// How many of `bytes` may go out, and where that leaves the count of the blank line and of the
/// body.
fn cut(bytes: &[u8], mut blank: usize, mut left: u64) -> (usize, usize, u64) {
    const BLANK: &[u8] = b"\r\n\r\n";
    let mut allowed = 0;
    for byte in bytes {
        if blank < BLANK.len() {
            blank = match BLANK.get(blank) {
                Some(wanted) if wanted == byte => blank + 1,
                _ => usize::from(*byte == b'\r'),
            };
        } else if left == 0 {
            break;
        } else {
            left -= 1;
        }
        allowed += 1;
    }
    (allowed, blank, left)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_cut_in_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"data\":1}";
        let head = answer.len() - 10;
        assert_eq!(cut(answer, 0, 5), (head + 5, 4, 0));
        assert_eq!(cut(answer, 0, 0), (head, 4, 0));
        assert_eq!(cut(&answer[..8], 0, 5), (8, 0, 5));
        // In pieces it comes to the same.
        let (allowed, blank, left) = cut(&answer[..head - 2], 0, 5);
        assert_eq!((allowed, blank, left), (head - 2, 2, 5));
        assert_eq!(cut(&answer[head - 2..], blank, left), (7, 4, 0));
    }

    #[test]
    fn the_first_line_is_enough() {
        for (bytes, expected) in [
            (
                &b"POST /v3/email/send?x HTTP/1.1\r\nHost: a"[..],
                ("POST", "/v3/email/send"),
            ),
            (b"POST", ("POST", "")),
            (b"\xff", ("\u{fffd}", "")),
        ] {
            let (method, path) = first_line(bytes);
            assert_eq!((method.as_str(), path.as_str()), expected);
        }
    }
}
