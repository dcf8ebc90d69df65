//! The HTTP clients that requests are sent with.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::HeaderValue;
use reqwest::Url;
use tokio::runtime::{Handle, Id};
use tokio::sync::oneshot;

use crate::Error;
use crate::call::proxy::Proxies;
use crate::call::tls::TlsSetup;

/// Settings of the SDK's own HTTP clients.
pub(crate) struct HttpSetup {
    pub(crate) user_agent: HeaderValue,
    pub(crate) connect_timeout: Duration,
    pub(crate) proxies: Proxies,
    /// Whether the clients call only https URLs.
    pub(crate) https: bool,
    pub(crate) tls: TlsSetup,
}

/// The user's HTTP client, or one of our own for each tokio runtime.
///
/// A connection is driven by a task of the runtime that opened it. When that runtime ends, the
/// connection is dead, but the pool still returns it. So each runtime has its own pool.
pub(crate) struct HttpClients {
    /// The user's client, or one that never sends, built to check the settings.
    first: reqwest::Client,
    /// `None` if the user set an `http_client`.
    by_runtime: Option<(HttpSetup, Arc<RuntimeClients>)>,
}

/// A list, since few runtimes share a client.
type RuntimeClients = Mutex<Vec<RuntimeClient>>;

struct RuntimeClient {
    runtime: Id,
    http: reqwest::Client,
    /// Dropped with the entry, which ends the runtime's task.
    _removed: oneshot::Sender<()>,
}

/// Removes the entry of a runtime on drop. Owned by a task of that runtime.
struct RemoveOnDrop {
    clients: Weak<RuntimeClients>,
    runtime: Id,
}

/// Longest time that sent bytes stay unacknowledged before the system drops the connection. The
/// system's default is about 15 minutes, in which a request whose call has ended could still arrive.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

impl HttpSetup {
    fn build(&self) -> Result<reqwest::Client, Error> {
        let http = reqwest::Client::builder()
            .user_agent(self.user_agent.clone())
            .connect_timeout(self.connect_timeout)
            // A followed redirect would send the key to another host.
            .redirect(reqwest::redirect::Policy::none())
            // reqwest's retries don't know which operations are idempotent.
            .retry(reqwest::retry::never())
            .https_only(self.https);
        #[cfg(any(target_os = "android", target_os = "linux"))]
        let http = http.tcp_user_timeout(UNACKNOWLEDGED);
        #[cfg(not(feature = "http2"))]
        let http = http.http1_only();
        self.tls
            .apply(self.proxies.apply(http))
            .build()
            .map_err(|source| Error::config("the HTTP client can't be set up").with_source(source))
    }
}

impl HttpClients {
    /// Uses the user's client, in every runtime.
    pub(crate) fn own(client: reqwest::Client) -> Self {
        Self {
            first: client,
            by_runtime: None,
        }
    }

    /// Builds one client now, so that unusable settings are an error before the first call.
    pub(crate) fn new(setup: HttpSetup) -> Result<Self, Error> {
        Ok(Self {
            first: setup.build()?,
            by_runtime: Some((setup, Arc::default())),
        })
    }

    /// Returns the client of the caller's runtime.
    ///
    /// # Errors
    /// If there is no runtime, or the client can't be built.
    pub(crate) fn current(&self) -> Result<reqwest::Client, Error> {
        let runtime = Handle::try_current()
            .map_err(|_| Error::config("called outside of a tokio runtime"))?;
        self.of(&runtime)
    }

    /// Returns the client of a runtime. It is built on the runtime's first call, and dropped when the
    /// runtime ends.
    fn of(&self, runtime: &Handle) -> Result<reqwest::Client, Error> {
        let Some((setup, clients)) = &self.by_runtime else {
            return Ok(self.first.clone());
        };
        let id = runtime.id();
        let (http, removed) = {
            let mut entries = lock(clients);
            if let Some(entry) = entries.iter().find(|entry| entry.runtime == id) {
                return Ok(entry.http.clone());
            }
            let http = setup.build()?;
            let (sender, removed) = oneshot::channel();
            let entry = RuntimeClient {
                runtime: id,
                http: http.clone(),
                _removed: sender,
            };
            entries.push(entry);
            (http, removed)
        };
        let guard = RemoveOnDrop {
            clients: Arc::downgrade(clients),
            runtime: id,
        };
        // Not under the lock: a runtime that is shutting down drops the task here.
        runtime.spawn(async move {
            let _guard = guard;
            let _ = removed.await;
        });
        Ok(http)
    }

    /// Returns host and port of the proxy that calls to `url` go through. `None` without a proxy,
    /// and always for the user's client.
    pub(crate) fn proxy(&self, url: &Url) -> Option<String> {
        let (setup, _) = self.by_runtime.as_ref()?;
        setup.proxies.name(url)
    }

    /// Returns a client for code that only builds requests with it.
    #[cfg(all(feature = "raw", not(target_family = "wasm")))]
    pub(crate) fn for_building_requests(&self) -> reqwest::Client {
        self.first.clone()
    }
}

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        if let Some(clients) = self.clients.upgrade() {
            let entry = {
                let mut entries = lock(&clients);
                let index = entries
                    .iter()
                    .position(|entry| entry.runtime == self.runtime);
                index.map(|index| entries.swap_remove(index))
            };
            // Not under the lock: dropping a client runs code of other crates.
            drop(entry);
        }
    }
}

fn lock(clients: &RuntimeClients) -> MutexGuard<'_, Vec<RuntimeClient>> {
    clients.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn clients() -> HttpClients {
        let setup = HttpSetup {
            user_agent: HeaderValue::from_static("test"),
            connect_timeout: Duration::from_secs(1),
            proxies: Proxies::None,
            https: false,
            tls: TlsSetup::new(false).unwrap(),
        };
        HttpClients::new(setup).unwrap()
    }

    fn runtime() -> Runtime {
        Builder::new_current_thread().build().unwrap()
    }

    fn len(clients: &HttpClients) -> usize {
        lock(&clients.by_runtime.as_ref().unwrap().1).len()
    }

    #[test]
    fn client_of_an_ended_runtime_is_dropped() {
        let clients = clients();
        let (a, b) = (runtime(), runtime());
        for runtime in [&a, &b, &a] {
            clients.of(runtime.handle()).unwrap();
        }
        assert_eq!(len(&clients), 2);
        drop(a);
        assert_eq!(len(&clients), 1);
        b.shutdown_background();
        assert_eq!(len(&clients), 0);
    }

    #[test]
    fn runtime_that_is_not_polled_keeps_its_client() {
        let clients = clients();
        let runtime = runtime();
        clients.of(runtime.handle()).unwrap();
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(len(&clients), 1);
    }

    #[test]
    fn ended_runtime_leaves_no_entry() {
        let clients = clients();
        let runtime = runtime();
        let handle = runtime.handle().clone();
        drop(runtime);
        clients.of(&handle).unwrap();
        assert_eq!(len(&clients), 0);
    }

    #[test]
    fn dropped_clients_leave_no_task() {
        let clients = clients();
        let runtime = runtime();
        clients.of(runtime.handle()).unwrap();
        assert_eq!(runtime.metrics().num_alive_tasks(), 1);
        drop(clients);
        runtime.block_on(tokio::task::yield_now());
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    }

    #[test]
    fn own_client_is_used_in_every_runtime() {
        let clients = HttpClients::own(clients().first);
        let runtime = runtime();
        clients.of(runtime.handle()).unwrap();
        assert_eq!(runtime.metrics().num_alive_tasks(), 0);
    }
}
