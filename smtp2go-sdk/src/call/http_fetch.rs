//! The HTTP client of a JavaScript runtime.

pub(crate) use self::FetchClients as HttpClients;
use crate::Error;
use crate::platform::transport::{Client, Url};

/// The runtime's client, which has no settings. Connections, proxies and TLS are the runtime's.
pub(crate) struct FetchClients;

impl FetchClients {
    #[allow(clippy::unnecessary_wraps)]
    pub(crate) fn current(&self) -> Result<Client, Error> {
        Ok(Client)
    }

    pub(crate) fn proxy(&self, _: &Url) -> Option<String> {
        None
    }
}
