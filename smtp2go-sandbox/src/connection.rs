//! A layer between the sockets and the HTTP server that applies faults to connections. It also
//! enforces the limits on idle time and on the number of connections.

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

/// Number of bytes that are searched for a request's first line.
const FIRST_LINE: usize = 1024;

/// The end of the head of a request or a reply.
const BLANK: &[u8] = b"\r\n\r\n";

/// Time between a reply and the end of its connection by `close-when-idle` or `reset-when-idle`.
/// Gives the client the time to put the connection into its pool.
const IDLE: Duration = Duration::from_millis(20);

/// First byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

/// Maximum number of refused connections whose requests are read at the same time. If a request is not
/// read, the connection is reset and the client may miss the reply.
const REFUSALS: usize = 128;

/// Time limit for reading from a refused connection.
const REFUSAL: Duration = Duration::from_secs(1);

/// Accepts connections, except those that a fault or the limit on connections refuses.
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

/// Refuses connections, and limits how many of them are read to their end.
pub(crate) struct Refusals(Arc<Semaphore>);

impl Refusals {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(REFUSALS)))
    }

    /// Sends `answer` on a connection, and closes it.
    pub(crate) fn answer(&self, mut stream: TcpStream, answer: String) {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        tokio::spawn(async move {
            let answered = async {
                stream.write_all(answer.as_bytes()).await?;
                stream.shutdown().await
            };
            // Fails only if the client is gone.
            let _ = timeout(REFUSAL, answered).await;
            // If the request is not read, closing resets the connection and the reply is lost.
            // Without a permit, only bytes that have already arrived are read.
            let read = async {
                let mut space = [0; FIRST_LINE];
                while stream.read(&mut space).await.is_ok_and(|read| read > 0) {}
            };
            let patience = permit.as_ref().map_or(Duration::ZERO, |_| REFUSAL);
            let _ = timeout(patience, read).await;
        });
    }
}

/// The error for a connection beyond the limit.
pub(crate) fn all_in_use(shared: &Shared) -> String {
    let most = shared.settings.limits.connections;
    format!("all {most} connections are in use: close some, or raise --max-connections")
}

/// Writes a reply that closes the connection.
fn last_answer(status: &str, error: &str) -> String {
    let body = serde_json::json!({ "error": error }).to_string();
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )
}

/// A timer on the system's clock, which runs on if a test pauses tokio's clock.
pub(crate) struct Alarm {
    /// `None` if the time does not fit into an `Instant`: then the timer never ends.
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

/// Returns the output of a future, or `None` after a timeout.
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
                // For example too many open files, which may pass.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The state that a connection shares with the handler of its requests.
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
    /// The request's first line has arrived, and its fault has been looked up.
    looked_at: bool,
    /// The request's head as far as it was read.
    head: Vec<u8>,
    head_ends: bool,
    out: Out,
    /// Number of requests in progress. More than one if the client pipelines.
    busy: usize,
    /// Set if the connection was last polled while it was busy.
    waker: Option<Waker>,
    /// Whether at least one request was read to its end.
    served: bool,
    /// `None` while a fault stalls the connection.
    slot: Option<Slot>,
}

/// Counts the connection towards the limit until it is dropped.
pub(crate) struct Slot(Arc<Shared>);

impl Slot {
    /// Takes a slot. `None` if all are taken.
    pub(crate) fn of(shared: &Arc<Shared>) -> Option<Self> {
        let most = shared.settings.limits.connections;
        let slots = &shared.slots;
        let one_more = |taken| (taken < most).then_some(taken + 1);
        slots
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_more)
            .ok()?;
        Some(Self(Arc::clone(shared)))
    }

    /// Takes a slot even if all are taken.
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

/// Permits for replies that wait for something to happen, such as event streams. There are a quarter
/// as many as connections, so that waiting requests leave connections to others.
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

    /// Takes a permit, which is released on drop.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let most = self.most;
            let message = format!(
                "{most} requests are already waiting for changes, the limit of a quarter of \
                 --max-connections: close some pages, or raise --max-connections"
            );
            Problem(StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }
}

/// Marks a request as in progress until it is dropped.
pub(crate) struct Busy(Control);

impl Drop for Busy {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.state();
            state.busy -= 1;
            state.waker.take()
        };
        // The server does not poll the connection here, and it must start the idle timer.
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// The input that a connection waits for, within a time limit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wait {
    /// The first request, or the rest of a request's head.
    Head,
    /// The next request.
    Request,
}

/// How many of the bytes that the server writes are sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Out {
    #[default]
    Pass,
    /// All bytes; the connection ends once it is idle.
    Leave(Ending),
    /// Half of the reply's head.
    HalfHead(Ending),
    /// The reply's head and half of its body, whose length in bytes is given.
    HalfBody(u64, Ending),
    /// Only this number of bytes of the reply; then the connection ends.
    Only(u64, Ending),
}

impl Out {
    /// The effect of a fault on a reply with a body of `body` bytes.
    pub(crate) fn new(manner: Manner, body: u64) -> Self {
        match manner {
            Manner::Refused | Manner::Unread(_) | Manner::Answered | Manner::Late(_) => Self::Pass,
            Manner::Unanswered(ending) => Self::Only(0, ending),
            Manner::HalfHead(ending) => Self::HalfHead(ending),
            Manner::HalfBody(ending) => Self::HalfBody(body, ending),
            Manner::Left(ending) => Self::Leave(ending),
        }
    }

    /// Whether the reply stops with the connection left open.
    fn stalls(self) -> bool {
        match self {
            Self::Pass | Self::Leave(_) => false,
            Self::HalfHead(ending) | Self::HalfBody(_, ending) | Self::Only(_, ending) => {
                ending == Ending::Stall
            }
        }
    }

    /// Converts `HalfHead` and `HalfBody` to `Only`, with a number of bytes. `answer` starts with the
    /// reply's whole head.
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

/// Finds the end of the head in `bytes`. The first `known` bytes were searched before.
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

    /// Marks a request as in progress until the returned value is dropped.
    pub(crate) fn busy(&self) -> Busy {
        self.state().busy += 1;
        Busy(self.clone())
    }

    /// Runs a `wait` that a fault causes. Meanwhile, the connection does not count towards the limit on
    /// connections.
    pub(crate) async fn uncounted(&self, wait: impl Future<Output = ()>) {
        let slot = self.state().slot.take();
        let shared = slot.as_ref().map(|slot| Arc::clone(&slot.0));
        drop(slot);
        wait.await;
        self.state().slot = shared.map(Slot::again);
    }

    /// The client's address.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    fn state(&self) -> MutexGuard<'_, ConnectionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the current request's fault and its head as sent.
    pub(crate) fn take_request(&self) -> (Option<Fault>, Vec<u8>) {
        let mut state = self.state();
        (state.fault.take(), std::mem::take(&mut state.head))
    }

    /// Ends the current request: the next byte starts another one.
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
    /// What the connection waits for. `None` if it waits for nothing from the client.
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

    /// Starts a request unless one has started.
    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.head.clear();
            self.head_ends = false;
        }
    }

    /// Keeps the bytes that belong to the request's head.
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
    /// Declared after the stream, so that the stream is closed before the count goes down.
    shared: OpenConnection,
    /// The start of a request, which the server has not read yet.
    ahead: Vec<u8>,
    /// Set when the reply of `close-when-idle` or `reset-when-idle` has been sent.
    leaving: Option<(Pin<Box<Sleep>>, Ending)>,
    /// Our side is closed; bytes from the client are discarded.
    draining: bool,
    /// The connection is reset on drop, and must not be shut down before that.
    resetting: bool,
    /// Whether the connection stops reading.
    silent: bool,
    waiting: Option<(Wait, Alarm)>,
    /// Set while the client does not read a reply.
    writing: Option<Alarm>,
}

/// Counts a connection as open until it is dropped.
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

    /// Ends a connection whose request does not arrive in time. Reports the end of the stream, upon
    /// which the server closes the connection. An incomplete head gets a reply 408.
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
            let error = format!("the head of the request did not arrive within {seconds} s");
            let answer = last_answer("408 Request Timeout", &error);
            // One write is enough for a short reply, unless the client does not read.
            let _ = Pin::new(&mut self.stream).poll_write(context, answer.as_bytes());
        }
        Poll::Ready(Ok(()))
    }

    /// Writes, and fails with a timeout if the client does not read for too long.
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

    /// Waits for the first line of a request, which may arrive in several packets, and looks up the
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
        // A fault keeps the connection open, which must not count towards the limit.
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

    /// Makes the connection reset on drop. The returned error makes the server drop it.
    fn reset(&mut self) -> io::Result<()> {
        self.stream.set_zero_linger()?;
        self.resetting = true;
        Err(io::ErrorKind::ConnectionReset.into())
    }

    /// Ends the connection when [`IDLE`] has passed since its reply.
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some((time, ending)) = &mut self.leaving else {
            return Poll::Ready(Ok(()));
        };
        ready!(time.as_mut().poll(context));
        match ending {
            Ending::Reset => Poll::Ready(self.reset()),
            // Reports the end of the stream, upon which the server closes the connection.
            Ending::Close | Ending::Stall => Poll::Ready(Ok(())),
        }
    }

    /// Closes our side and reads until the client closes its own. Closing with unread bytes would
    /// reset the connection.
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

/// Whether the method and path of a request have arrived. No path of the API is longer than
/// [`FIRST_LINE`].
fn has_first_line(bytes: &[u8]) -> bool {
    bytes.contains(&b'\n') || bytes.first() == Some(&HANDSHAKE) || bytes.len() >= FIRST_LINE
}

/// Reads the method and the path, without the query, of a request.
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
        // A further chunk of a head does not restart the head's timer.
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
                // Wait until the client closes the connection.
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
                // Registers the waker of the timer.
                let _ = self.poll_leave(context);
            }
            // The reply has no body, so that it is complete at the point where it is cut.
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
    fn truncated_reply_has_half_of_its_head_or_body() {
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
    fn head_in_chunks_of_any_size_is_kept_whole() {
        let request = b"POST / HTTP/1.1\r\nA: b\r\n\r\n{}\r\n\r\n";
        let head = &request[..request.len() - 6];
        for size in 1..=request.len() {
            let mut state = ConnectionState::default();
            for chunk in request.chunks(size) {
                state.read(chunk);
            }
            assert_eq!(state.head, head, "{size}");
        }
    }

    #[test]
    fn first_line_gives_the_method_and_the_path() {
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
