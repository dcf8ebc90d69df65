//! A relay between a worker and the sandbox, which holds a mail in the middle of its body.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::TcpMaxSeg;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot};

use crate::Result;

/// Bytes that the relay reads ahead of the sandbox. As few as possible, because bytes that a
/// stopped worker has already written still arrive.
const WINDOW: u32 = 8 * 1024;
/// Bytes of a TCP segment.
const SEGMENT: u32 = 1024;
/// Maximum number of bytes of a body that pass before it is held. The kernel's buffer grows with the
/// bytes that have passed.
const FIRST: u64 = 8 * 1024;
/// Maximum length of a request's head.
const HEAD: usize = 64 * 1024;
const PATH: &[u8] = b"POST /v3/email/send ";

/// Selects the request that is held in the middle of its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// Number of the request among those that are large enough, counted from 1.
    pub(crate) nth: u64,
    /// Minimum body length of a request that is counted.
    pub(crate) min_bytes: u64,
}

/// A request whose body is held in the middle. Dropping this closes the connection to the sandbox.
#[derive(Debug)]
pub(crate) struct Held {
    release: oneshot::Sender<()>,
    whole: Arc<AtomicBool>,
}

impl Held {
    /// Lets the rest of the body pass. The returned flag becomes true when the whole body has passed.
    pub(crate) fn release(self) -> Arc<AtomicBool> {
        let _ = self.release.send(());
        self.whole
    }
}

/// A port that forwards to the sandbox.
#[derive(Debug)]
pub(crate) struct Relay {
    address: SocketAddr,
    state: Arc<State>,
    held: mpsc::UnboundedReceiver<Held>,
}

#[derive(Debug)]
struct State {
    sandbox: SocketAddr,
    hold: Mutex<Option<Hold>>,
    tell: mpsc::UnboundedSender<Held>,
}

impl Relay {
    pub(crate) fn start(sandbox: SocketAddr) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(WINDOW)?;
        // The kernel's buffer for the worker's writes grows with the segments, which have 64 KiB on loopback.
        setsockopt(&socket, TcpMaxSeg, &SEGMENT)?;
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let listener = socket.listen(1024)?;
        let address = listener.local_addr()?;
        let (tell, held) = mpsc::unbounded_channel();
        let hold = Mutex::new(None);
        let state = Arc::new(State {
            sandbox,
            hold,
            tell,
        });
        tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self {
            address,
            state,
            held,
        })
    }

    /// The base URL for the worker's client.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v3", self.address)
    }

    /// Sets which request of the next worker is held.
    pub(crate) fn arm(&mut self, hold: Option<Hold>) {
        *lock(&self.state.hold) = hold;
        while self.held.try_recv().is_ok() {}
    }

    /// Waits until the request to hold arrives.
    pub(crate) async fn held(&mut self) -> Held {
        match self.held.recv().await {
            Some(held) => held,
            // The state has a sender.
            None => std::future::pending().await,
        }
    }
}

fn lock(hold: &Mutex<Option<Hold>>) -> std::sync::MutexGuard<'_, Option<Hold>> {
    hold.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    while let Ok((worker, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        tokio::spawn(async move {
            let mut worker = worker;
            let ended = relay(&mut worker, &state).await;
            // The worker sees a reset if the sandbox made one, and otherwise an orderly end.
            if ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset) {
                let _ = worker.set_zero_linger();
            }
        });
    }
}

async fn relay(worker: &mut TcpStream, state: &State) -> std::io::Result<()> {
    let mut sandbox = TcpStream::connect(state.sandbox).await?;
    worker.set_nodelay(true)?;
    sandbox.set_nodelay(true)?;
    if lock(&state.hold).is_none() {
        copy_bidirectional(worker, &mut sandbox).await?;
        return Ok(());
    }
    let (mut from_worker, mut to_worker) = worker.split();
    let (mut from_sandbox, mut to_sandbox) = sandbox.split();
    let requests = async {
        let mut bytes = Vec::new();
        loop {
            let Some(head) = read_head(&mut from_worker, &mut bytes).await? else {
                return to_sandbox.shutdown().await;
            };
            let mut body = content_length(bytes.get(..head).unwrap_or_default());
            let first = (body / 2).min(FIRST);
            let held = bytes.starts_with(PATH) && state.is_due(body);
            to_sandbox
                .write_all(bytes.get(..head).unwrap_or_default())
                .await?;
            bytes.drain(..head);
            let mut pass = async |bytes: &mut Vec<u8>, mut length: u64| {
                while length > 0 {
                    if bytes.is_empty() && from_worker.read_buf(bytes).await? == 0 {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    let some = bytes
                        .len()
                        .min(usize::try_from(length).unwrap_or(usize::MAX));
                    to_sandbox
                        .write_all(bytes.get(..some).unwrap_or_default())
                        .await?;
                    bytes.drain(..some);
                    length -= some as u64;
                }
                std::io::Result::Ok(())
            };
            let whole = Arc::new(AtomicBool::new(false));
            if held {
                pass(&mut bytes, first).await?;
                body -= first;
                let (release, released) = oneshot::channel();
                let _ = state.tell.send(Held {
                    release,
                    whole: Arc::clone(&whole),
                });
                if released.await.is_err() {
                    return Err(std::io::ErrorKind::ConnectionAborted.into());
                }
            }
            pass(&mut bytes, body).await?;
            whole.store(true, Ordering::SeqCst);
        }
    };
    let replies = async {
        copy(&mut from_sandbox, &mut to_worker).await?;
        to_worker.shutdown().await
    };
    tokio::try_join!(requests, replies)?;
    Ok(())
}

impl State {
    /// Counts a mail, and returns whether it is the one to hold.
    fn is_due(&self, body: u64) -> bool {
        let mut hold = lock(&self.hold);
        let Some(due) = hold.as_mut().filter(|hold| body >= hold.min_bytes) else {
            return false;
        };
        due.nth = due.nth.saturating_sub(1);
        if due.nth > 0 {
            return false;
        }
        *hold = None;
        true
    }
}

/// Reads until `bytes` has a whole head, and returns its length. `None` at the end of the connection.
async fn read_head(
    from: &mut (impl AsyncReadExt + Unpin),
    bytes: &mut Vec<u8>,
) -> std::io::Result<Option<usize>> {
    loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(at + 4));
        }
        if bytes.len() > HEAD {
            return Err(std::io::ErrorKind::InvalidData.into());
        }
        if from.read_buf(bytes).await? == 0 {
            return Ok(None);
        }
    }
}

fn content_length(head: &[u8]) -> u64 {
    let head = String::from_utf8_lossy(head);
    let mut lengths = head.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        let length = name.eq_ignore_ascii_case("content-length");
        length.then(|| value.trim().parse().ok()).flatten()
    });
    lengths.next().unwrap_or_default()
}
