//! The platform of native programs: tokio, reqwest and the operating system.

use std::future::Future;

use tokio::runtime::Handle;

use super::NotRun;

pub(crate) mod time {
    use std::time::SystemTime;

    pub(crate) use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout_at};

    /// Returns the time of the system's clock.
    pub(crate) fn now() -> SystemTime {
        SystemTime::now()
    }
}

pub(crate) mod sync {
    pub(crate) use tokio::sync::{Mutex, Notify};
}

pub(crate) mod transport {
    pub(crate) use reqwest::{Body, Client, Error, Request, Url};
}

/// Returns a random number, for seeds and tokens. Not for secrets.
pub(crate) fn random() -> u64 {
    fastrand::u64(..)
}

/// Runs a future in the background. Without a runtime, drops it.
pub(crate) fn run_later(work: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(work);
    }
}

/// Runs blocking work on one of tokio's threads for it.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, NotRun> {
    let runtime = Handle::try_current().map_err(|_| NotRun::NoRuntime)?;
    let done = runtime.spawn_blocking(work).await;
    done.map_err(|_| NotRun::Ended)
}
