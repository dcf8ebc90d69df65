//! Connections that can misbehave: a thin layer between the sockets and the HTTP server. It also
//! ends those on which nothing happens, and refuses those that are too many.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use axum::extract::connect_info::Connected;
use axum::http::StatusCode;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};

use crate::admin::Problem;
use crate::api::Lookup;
use crate::call::Call;
use crate::faults::{Ending, Fault, Manner, Stage};
use crate::server;
use crate::world::Shared;

/// The part of a request that is searched for its first line, in bytes.
const FIRST_LINE: usize = 1024;

/// What ends the head of a request or of an answer.
const BLANK: &[u8] = b"\r\n\r\n";

/// After which a client takes a connection for idle that it has its answer from.
const IDLE: Duration = Duration::from_millis(20);

/// What a TLS handshake begins with.
const HANDSHAKE: u8 = 0x16;

/// How many refused connections may be waited for at a time, so that the client gets to read why.
const REFUSALS: usize = 128;

/// How long a refused connection is waited for.
const REFUSAL: Duration = Duration::from_secs(1);

/// Accepts connections, but for those that a fault refuses, or that are too many.
pub(crate) struct FaultyListener {
    listener: TcpListener,
    shared: Arc<Shared>,
    refusals: Refusals,
}

impl FaultyListener {
    pub(crate) fn new(listener: TcpListener, shared: Arc<Shared>) -> Self {
        Self {
            listener,
            shared,
            refusals: Refusals::new(),
        }
    }
}

/// Connections that are refused.
pub(crate) struct Refusals(Arc<Semaphore>);

impl Refusals {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(REFUSALS)))
    }

    /// Answers a connection, and closes it.
    pub(crate) fn answer(&self, mut stream: TcpStream, answer: String) {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        tokio::spawn(async move {
            let answered = async {
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await
            };
            // A client that is gone by now needs no answer.
            let _ = timeout(REFUSAL, answered).await;
            // What was not read of the request has the connection reset, and the answer lost. If
            // too many are waited for, only what is there by now is read.
            let read = async {
                let mut space = [0; FIRST_LINE];
                while stream.read(&mut space).await.is_ok_and(|read| read > 0) {}
            };
            let patience = permit.as_ref().map_or(Duration::ZERO, |_| REFUSAL);
            let _ = timeout(patience, read).await;
        });
    }
}

/// What a connection is answered that is one too many.
pub(crate) fn all_in_use(shared: &Shared) -> String {
    let most = shared.settings.limits.connections;
    format!("all {most} connections are in use: close some, or allow more by --max-connections")
}

/// An answer of the connection's own, after which it is closed.
fn last_answer(status: &str, error: &str) -> String {
    let body = serde_json::json!({ "error": error }).to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// Goes off after a time of the system's clock, which goes on where a test has stopped tokio's.
pub(crate) struct Alarm {
    /// `None` is never.
    end: Option<Instant>,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    pub(crate) fn new(time: Duration) -> Self {
        Self {
            end: Instant::now().checked_add(time),
            sleep: Box::pin(sleep(time)),
        }
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(end) = self.end else {
            return Poll::Pending;
        };
        loop {
            ready!(self.sleep.as_mut().poll(context));
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Ready(());
            }
            self.sleep.set(sleep(left));
        }
    }
}

/// The outcome of something; `None` if the time passes first.
pub(crate) async fn within<T>(time: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut alarm = Alarm::new(time);
    let mut work = pin!(work);
    poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending => alarm.poll(context).map(|()| None),
    })
    .await
}

impl Listener for FaultyListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    if self.shared.rules.due(Stage::Connection).is_some() {
                        continue;
                    }
                    match Slot::of(&self.shared) {
                        Some(slot) => {
                            let shared = Arc::clone(&self.shared);
                            return (Connection::new(stream, address, shared, slot), address);
                        }
                        None => {
                            let error = all_in_use(&self.shared);
                            let answer = last_answer("503 Service Unavailable", &error);
                            self.refusals.answer(stream, answer);
                        }
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
#[derive(Clone)]
pub(crate) struct Control {
    state: Arc<Mutex<ConnectionState>>,
    client: IpAddr,
}

#[derive(Default)]
struct ConnectionState {
    /// The fault of the request that is being read.
    fault: Option<Fault>,
    /// The first byte of a request has arrived.
    begun: bool,
    /// Its first line has arrived, and decided which fault strikes it.
    looked_at: bool,
    /// What was read of the head of the request, until the line that ends it.
    head: Vec<u8>,
    head_ends: bool,
    out: Out,
    /// How many requests are being answered; more than one if the client does not wait for answers.
    busy: usize,
    /// Polls the connection, which was last polled while it was busy.
    waker: Option<Waker>,
    /// A request was read to its end.
    served: bool,
    /// `None` where a fault has the connection wait.
    slot: Option<Slot>,
}

/// The connection counts towards the limit as long as this is there.
pub(crate) struct Slot(Arc<Shared>);

impl Slot {
    /// `None` if all are taken.
    pub(crate) fn of(shared: &Arc<Shared>) -> Option<Self> {
        let most = shared.settings.limits.connections;
        let slots = &shared.slots;
        let one_more = |taken| (taken < most).then_some(taken + 1);
        slots
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .ok()?;
        Some(Self(Arc::clone(shared)))
    }

    /// Takes one even if there is none left.
    fn again(shared: Arc<Shared>) -> Self {
        shared.slots.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.slots.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Places for answers that wait for something to happen, as event streams do: a quarter of the
/// connections, so that those who wait leave some to others.
pub(crate) struct Waits {
    places: Arc<Semaphore>,
    most: usize,
}

impl Waits {
    pub(crate) fn new(connections: usize) -> Self {
        let most = (connections / 4).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// Takes a place until what it returns is dropped.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let most = self.most;
            let message = format!(
                "all {most} places for requests that wait for news are in use, a quarter of \
                 --max-connections: close some pages, or raise it"
            );
            Problem(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }
}

/// A request is being answered as long as this is there.
pub(crate) struct Busy(Control);

impl Drop for Busy {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.state();
            state.busy -= 1;
            state.waker.take()
        };
        // So that it begins to wait for another request: the server does not poll it for that.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What a connection waits for that is not to take for ever.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    /// A request whose head has begun, or the first one.
    Head,
    /// Another request.
    Request,
}

/// What becomes of the bytes that the server writes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Out {
    #[default]
    Pass,
    /// All get out, and the connection ends when it is idle.
    Leave(Ending),
    /// Half of the answer's head.
    HalfHead(Ending),
    /// The answer's head, and half of a body of so many bytes.
    HalfBody(u64, Ending),
    /// So many get out, then the connection ends.
    Only(u64, Ending),
}

impl Out {
    /// What a fault makes of an answer whose body has so many bytes.
    pub(crate) fn new(manner: Manner, body: u64) -> Self {
        match manner {
            Manner::Refused | Manner::Unread(_) | Manner::Answered | Manner::Late(_) => Self::Pass,
            Manner::Unanswered(ending) => Self::Only(0, ending),
            Manner::HalfHead(ending) => Self::HalfHead(ending),
            Manner::HalfBody(ending) => Self::HalfBody(body, ending),
            Manner::Left(ending) => Self::Leave(ending),
        }
    }

    /// Whether it ends in silence.
    fn stalls(self) -> bool {
        match self {
            Self::Pass | Self::Leave(_) => false,
            Self::HalfHead(ending) | Self::HalfBody(_, ending) | Self::Only(_, ending) => {
                ending == Ending::Stall
            }
        }
    }

    /// How many bytes of an answer may go out, of which the first are there, its head among them.
    fn counted(self, answer: &[u8]) -> Self {
        let head = || {
            let head = end_of_head(answer, 0).unwrap_or(answer.len());
            u64::try_from(head).unwrap_or(u64::MAX)
        };
        match self {
            Self::HalfHead(ending) => Self::Only(head() / 2, ending),
            Self::HalfBody(body, ending) => Self::Only(head().saturating_add(body / 2), ending),
            other => other,
        }
    }
}

/// Where a head ends in what begins with it; the first `known` bytes are known not to hold its end.
fn end_of_head(bytes: &[u8], known: usize) -> Option<usize> {
    let from = known.saturating_sub(BLANK.len() - 1);
    let mut places = bytes.get(from..)?.windows(BLANK.len());
    let place = places.position(|window| window == BLANK)?;
    Some(from + place + BLANK.len())
}

impl Control {
    fn new(client: IpAddr, slot: Slot) -> Self {
        let state = ConnectionState {
            slot: Some(slot),
            ..ConnectionState::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            client,
        }
    }

    /// A request is being answered until what this returns is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.state().busy += 1;
        Busy(self.clone())
    }

    /// Waits on purpose, without counting towards the limit of connections.
    pub(crate) async fn uncounted(&self, wait: impl Future<Output = ()>) {
        let slot = self.state().slot.take();
        let shared = slot.as_ref().map(|slot| Arc::clone(&slot.0));
        drop(slot);
        wait.await;
        self.state().slot = shared.map(Slot::again);
    }

    /// The address that the client calls from.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    fn state(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault of the request that is being handled, and its head as it was sent.
    pub(crate) fn take_request(&self) -> (Option<Fault>, Vec<u8>) {
        let mut state = self.state();
        (state.fault.take(), std::mem::take(&mut state.head))
    }

    /// The request is read; what comes in after it is another one.
    pub(crate) fn end_request(&self, out: Out) {
        let mut state = self.state();
        state.begun = false;
        state.looked_at = false;
        state.served = true;
        state.out = out;
        if out.stalls() {
            state.slot = None;
        }
    }
}

impl Connected<IncomingStream<'_, FaultyListener>> for Control {
    fn connect_info(stream: IncomingStream<'_, FaultyListener>) -> Self {
        stream.io().control.clone()
    }
}

impl ConnectionState {
    /// What is waited for; `None` if the client has done its part.
    fn wait(&self) -> Option<Wait> {
        if self.busy > 0 || self.out.stalls() {
            return None;
        }
        match (self.begun, self.served) {
            (true, _) => (!self.head_ends).then_some(Wait::Head),
            (false, false) => Some(Wait::Head),
            (false, true) => Some(Wait::Request),
        }
    }

    /// Begins a request, unless it has begun before.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.head.clear();
            self.head_ends = false;
        }
    }

    /// Keeps what belongs to the head of the request.
    fn read(&mut self, bytes: &[u8]) {
        if self.head_ends {
            return;
        }
        let known = self.head.len();
        self.head.extend_from_slice(bytes);
        if let Some(end) = end_of_head(&self.head, known) {
            self.head.truncate(end);
            self.head.shrink_to_fit();
            self.head_ends = true;
        }
    }
}

/// A connection to a client.
pub(crate) struct Connection {
    stream: TcpStream,
    control: Control,
    /// After the stream, which is closed first.
    shared: OpenConnection,
    /// The beginning of a request, which the server has not read yet.
    ahead: Vec<u8>,
    /// Runs once the answer is out after which the connection ends.
    leaving: Option<(Pin<Box<Sleep>>, Ending)>,
    /// It is closed on our side; what the client still sends is thrown away.
    draining: bool,
    /// It is to be reset as it is dropped, and not closed before.
    resetting: bool,
    /// Nothing is read any more.
    silent: bool,
    waiting: Option<(Wait, Alarm)>,
    /// Runs while the client takes nothing of an answer.
    writing: Option<Alarm>,
}

/// Counts a connection as open for as long as it is there.
pub(crate) struct OpenConnection(Arc<Shared>);

impl OpenConnection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.connections.fetch_add(1, Ordering::SeqCst);
        Self(shared)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Connection {
    fn new(stream: TcpStream, client: SocketAddr, shared: Arc<Shared>, slot: Slot) -> Self {
        Self {
            stream,
            control: Control::new(client.ip(), slot),
            shared: OpenConnection::new(shared),
            ahead: Vec::new(),
            leaving: None,
            draining: false,
            resetting: false,
            silent: false,
            waiting: None,
            writing: None,
        }
    }

    fn poll_request(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let looked_at = self.control.state().looked_at;
        if !looked_at && !self.draining {
            ready!(self.poll_begin(context))?;
        }
        if self.silent {
            return Poll::Pending;
        }
        if self.draining {
            return self.poll_drain(context);
        }
        let before = buffer.filled().len();
        if self.ahead.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        } else {
            let some = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(self.ahead.drain(..some).as_slice());
        }
        let read = buffer.filled().get(before..).unwrap_or_default();
        self.control.state().read(read);
        Poll::Ready(Ok(()))
    }

    /// Ends a connection on which a request does not come: as if the client had closed it, which
    /// makes the server close it too. A head that has begun gets an answer.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.silent {
            return Poll::Pending;
        }
        let wait = {
            let mut state = self.control.state();
            let wait = state.wait();
            state.waker = wait.is_none().then(|| context.waker().clone());
            wait
        };
        let Some(wait) = wait else {
            self.waiting = None;
            return Poll::Pending;
        };
        let limits = self.shared.0.settings.limits;
        let limit = match wait {
            Wait::Head => limits.head,
            Wait::Request => limits.idle,
        };
        match &mut self.waiting {
            Some((known, alarm)) if *known == wait => ready!(alarm.poll(context)),
            other => {
                let (_, alarm) = other.insert((wait, Alarm::new(limit)));
                ready!(alarm.poll(context));
            }
        }
        if self.control.state().begun && !self.draining {
            let seconds = limit.as_secs_f64();
            let error = format!("the head of the request did not come within {seconds} s");
            let answer = last_answer("408 Request Timeout", &error);
            // So short an answer goes out at once, or the client reads nothing.
            let _ = Pin::new(&mut self.stream).poll_write(context, answer.as_bytes());
        }
        Poll::Ready(Ok(()))
    }

    /// Writes, and gives up on a client that takes nothing for too long.
    fn poll_write_on(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write(context, bytes) {
            self.writing = None;
            return Poll::Ready(written);
        }
        let limit = self.shared.0.settings.limits.idle;
        let alarm = self.writing.get_or_insert_with(|| Alarm::new(limit));
        ready!(alarm.poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Waits for the first line of a request, in however many packets it comes, and finds the
    /// request's fault.
    fn poll_begin(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !has_first_line(&self.ahead) {
            let mut space = [0; FIRST_LINE];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                break;
            }
            self.ahead.extend_from_slice(read.filled());
            self.control.state().begin();
        }
        if self.ahead.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let shared = Arc::clone(&self.shared.0);
        let (method, path) = first_line(&self.ahead);
        let lookup = (shared.api).find(&method, &path, shared.settings.allow_missing_v3);
        let operation = match lookup {
            Lookup::Found(operation) => Some(operation.id.clone()),
            _ => None,
        };
        let fault = if server::is_own(&path) {
            None
        } else {
            shared.rules.due(Stage::Request(operation.as_deref()))
        };
        let mut state = self.control.state();
        state.looked_at = true;
        let unread = match &fault {
            Some(fault) => match fault.manner {
                Manner::Unread(ending) => Some((ending, fault.name())),
                _ => None,
            },
            None => None,
        };
        let Some((ending, name)) = unread else {
            state.fault = fault;
            return Poll::Ready(Ok(()));
        };
        // On purpose, so that others have their place.
        state.slot = None;
        drop(state);
        let time = shared.world().now();
        shared.note(Call {
            operation,
            received: false,
            fault: Some(name),
            ..Call::new(time, method, path)
        });
        match ending {
            Ending::Close => self.draining = true,
            Ending::Reset => return Poll::Ready(self.reset()),
            Ending::Stall => self.silent = true,
        }
        Poll::Ready(Ok(()))
    }

    /// Has the connection reset as it is dropped, which follows on the error.
    fn reset(&mut self) -> io::Result<()> {
        self.stream.set_zero_linger()?;
        self.resetting = true;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Ends the connection that has an answer behind it, when it is time.
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((time, ending)) = &mut self.leaving else {
            return Poll::Ready(Ok(()));
        };
        ready!(time.as_mut().poll(context));
        match ending {
            Ending::Reset => Poll::Ready(self.reset()),
            // As if the client had closed it, which makes the server close it too.
            Ending::Close | Ending::Stall => Poll::Ready(Ok(())),
        }
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

/// Whether enough of a request is there to know its method and path. A longer line has no path of
/// the API.
fn has_first_line(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n') || bytes.first() == Some(&HANDSHAKE) || bytes.len() >= FIRST_LINE
}

/// The method and the path, without a query, of a request.
fn first_line(bytes: &[u8]) -> (String, String) {
    if bytes.first() == Some(&HANDSHAKE) {
        return ("TLS".to_owned(), String::new());
    }
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
        if self.leaving.is_some() {
            return self.poll_leave(context);
        }
        let read = self.poll_request(context, buffer);
        if read.is_pending() {
            return self.poll_patience(context);
        }
        // The time for a head does not begin anew with each piece of it.
        if self.control.state().wait() != Some(Wait::Head) {
            self.waiting = None;
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let out = self.control.state().out.counted(bytes);
        let Out::Only(left, ending) = out else {
            return self.poll_write_on(context, bytes);
        };
        let some = usize::try_from(left).map_or(bytes, |left| bytes.get(..left).unwrap_or(bytes));
        if some.is_empty() {
            return match ending {
                Ending::Close => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                Ending::Reset => Poll::Ready(self.reset().map(|()| 0)),
                // Until the client has enough of it.
                Ending::Stall => {
                    let mut space = [0];
                    let mut peeked = ReadBuf::new(&mut space);
                    let gone = match self.stream.poll_peek(context, &mut peeked) {
                        Poll::Ready(Ok(read)) => read == 0,
                        Poll::Ready(Err(_)) => true,
                        Poll::Pending => false,
                    };
                    match gone {
                        true => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
                        false => Poll::Pending,
                    }
                }
            };
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, some))?;
        let left = left.saturating_sub(u64::try_from(written).unwrap_or(u64::MAX));
        self.control.state().out = Out::Only(left, ending);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        let out = self.control.state().out;
        match out {
            Out::Leave(ending) if self.leaving.is_none() => {
                self.leaving = Some((Box::pin(sleep(IDLE)), ending));
                // So that it wakes the connection, which goes on to read.
                let _ = self.poll_leave(context);
            }
            // The answer ended where it was to be cut: it has no body.
            Out::Only(0, Ending::Close) => {
                return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
            }
            _ => {}
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.resetting {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_an_answer_is_counted() {
        let answer = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"data\":1}";
        let head = answer.len() as u64 - 10;
        let counted = |out: Out, answer: &[u8]| match out.counted(answer) {
            Out::Only(left, Ending::Close) => left,
            other => panic!("{other:?}"),
        };
        let body = Out::HalfBody(10, Ending::Close);
        assert_eq!(counted(body, answer), head + 5);
        // The body may come later.
        assert_eq!(counted(body, &answer[..answer.len() - 10]), head + 5);
        assert_eq!(counted(Out::HalfBody(0, Ending::Close), answer), head);
        assert_eq!(counted(Out::HalfHead(Ending::Close), answer), head / 2);
        assert_eq!(counted(Out::Only(3, Ending::Close), answer), 3);
    }

    #[test]
    fn a_head_is_kept_in_whatever_pieces_it_comes() {
        let request = b"POST / HTTP/1.1\r\nA: b\r\n\r\n{}\r\n\r\n";
        let head = &request[..request.len() - 6];
        for size in 1..=request.len() {
            let mut state = ConnectionState::default();
            for piece in request.chunks(size) {
                state.read(piece);
            }
            assert_eq!(state.head, head, "{size}");
        }
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
            (b"\x16\x03\x01 x", ("TLS", "")),
        ] {
            let (method, path) = first_line(bytes);
            assert_eq!((method.as_str(), path.as_str()), expected);
        }
    }
}
