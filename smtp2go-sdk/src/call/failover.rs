//! The hosts that calls are sent to: the base URL's and the fallbacks, with the state of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::platform::time::Instant;
use crate::platform::transport::Url;

use crate::Region;

/// Cooldown after a failed connection. Calls start at another host, if there is one.
const COOLDOWN: Duration = Duration::from_secs(30);
/// Cost of a retry, in units of the budget. Each reply that is not a temporary failure adds one unit.
const COST: u32 = 10;

/// All hosts, in the order in which they are tried.
#[derive(Debug)]
pub(crate) struct Hosts {
    first: Host,
    others: Vec<Host>,
}

/// A host, with state that the clones of a client share.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) base_url: Url,
    pub(crate) site: Arc<Site>,
    /// Maximum of the budget, in tenths of a retry.
    most: u32,
    state: Mutex<HostState>,
}

#[derive(Debug)]
struct HostState {
    /// Retries left, in tenths of a retry.
    budget: u32,
    cooldown_until: Option<Instant>,
}

/// The name of a host, for errors and telemetry.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// The host without its port.
    pub(crate) address: String,
    pub(crate) port: u16,
    /// The host with its port. The port is left out if it is the scheme's default.
    pub(crate) name: Arc<str>,
    /// The region that the base URL belongs to, if any.
    pub(crate) region: Option<Region>,
    /// Whether the base URL ends in the API's version, see [`has_version`].
    pub(crate) versioned: bool,
}

impl Site {
    fn new(base_url: &Url) -> Self {
        // A base URL has a host and, being http or https, a port.
        let address = base_url.host_str().unwrap_or_default();
        let name = match base_url.port() {
            Some(port) => format!("{address}:{port}"),
            None => address.to_owned(),
        };
        Self {
            address: address.to_owned(),
            port: base_url.port_or_known_default().unwrap_or_default(),
            name: name.into(),
            region: [Region::Global, Region::Us, Region::Eu, Region::Au]
                .into_iter()
                .find(|region| base_url.as_str() == region.base_url()),
            versioned: has_version(base_url),
        }
    }
}

/// Whether the path of a base URL ends in the version of the API. Without the version most calls
/// get a 404.
pub(crate) fn has_version(base_url: &Url) -> bool {
    base_url.path().trim_end_matches('/').ends_with("/v3")
}

impl Hosts {
    pub(crate) fn new(first: Url, others: Vec<Url>, budget: u32) -> Self {
        let host = |base_url: Url| Host {
            site: Arc::new(Site::new(&base_url)),
            base_url,
            most: budget.saturating_mul(COST),
            state: Mutex::new(HostState {
                budget: budget.saturating_mul(COST),
                cooldown_until: None,
            }),
        };
        Self {
            first: host(first),
            others: others.into_iter().map(host).collect(),
        }
    }

    pub(crate) fn first(&self) -> &Host {
        &self.first
    }

    fn len(&self) -> usize {
        1 + self.others.len()
    }

    fn get(&self, index: usize) -> &Host {
        index
            .checked_sub(1)
            .and_then(|index| self.others.get(index))
            .unwrap_or(&self.first)
    }

    /// Returns the route of a call. It starts at the first host that is not cooling down.
    pub(crate) fn route(&self) -> Route<'_> {
        let at = if self.others.is_empty() {
            0
        } else {
            let now = Instant::now();
            (0..self.len())
                .find(|index| !self.get(*index).is_cooling_down(now))
                .unwrap_or(0)
        };
        Route {
            hosts: self,
            at,
            visited: 1,
        }
    }
}

impl Host {
    fn state(&self) -> MutexGuard<'_, HostState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the URL of a path of the API. The path is appended, because `Url::join` would replace
    /// the `/v3` of the base URL by a path that starts with a slash.
    pub(crate) fn url(&self, path: &str) -> Url {
        let mut url = self.base_url.clone();
        let base = self.base_url.path().trim_end_matches('/');
        url.set_path(&[base, path].concat());
        url
    }

    fn is_cooling_down(&self, now: Instant) -> bool {
        self.state().cooldown_until.is_some_and(|until| until > now)
    }

    /// Records the end of an attempt. `reached`: whether the host could be reached. If not, its
    /// cooldown starts. `answered`: whether the host replied with anything but a temporary failure.
    /// If so, its budget grows.
    pub(crate) fn attempted(&self, reached: bool, answered: bool) {
        let mut state = self.state();
        state.cooldown_until = match reached {
            true => None,
            false => Instant::now().checked_add(COOLDOWN),
        };
        if answered {
            state.budget = state.budget.saturating_add(1).min(self.most);
        }
    }

    /// Whether the budget has a retry left.
    pub(crate) fn has_retry(&self) -> bool {
        self.state().budget >= COST
    }

    /// Subtracts a retry from the budget.
    pub(crate) fn take_retry(&self) {
        let budget = &mut self.state().budget;
        *budget = budget.saturating_sub(COST);
    }
}

/// The order in which a call tries the hosts.
#[derive(Debug)]
pub(crate) struct Route<'a> {
    hosts: &'a Hosts,
    at: usize,
    visited: usize,
}

impl<'a> Route<'a> {
    pub(crate) fn host(&self) -> &'a Host {
        self.hosts.get(self.at)
    }

    /// Whether there is a host that the call has not tried.
    pub(crate) fn has_fresh(&self) -> bool {
        self.visited < self.hosts.len()
    }

    /// Moves on to the next host. After the last host comes the first.
    pub(crate) fn advance(&mut self) {
        self.at = (self.at + 1) % self.hosts.len();
        self.visited += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: usize, budget: u32) -> Hosts {
        let mut urls = (0..count).map(|n| Url::parse(&format!("http://localhost:{n}")).unwrap());
        Hosts::new(urls.next().unwrap(), urls.collect(), budget)
    }

    fn port(route: &Route<'_>) -> Option<u16> {
        route.host().base_url.port()
    }

    #[test]
    fn paths_are_appended_to_the_base() {
        for (base, expected) in [
            ("http://localhost:1", "http://localhost:1/template/view"),
            ("http://localhost:1/", "http://localhost:1/template/view"),
            (
                "http://localhost:1/v3",
                "http://localhost:1/v3/template/view",
            ),
            (
                "http://localhost:1/v3/",
                "http://localhost:1/v3/template/view",
            ),
            (
                "http://localhost:1/v3//",
                "http://localhost:1/v3/template/view",
            ),
            ("http://[::1]/a/b", "http://[::1]/a/b/template/view"),
        ] {
            let hosts = Hosts::new(Url::parse(base).unwrap(), Vec::new(), 1);
            assert_eq!(hosts.first().url("/template/view").as_str(), expected);
        }
    }

    #[test]
    fn site_has_name_region_and_version_of_its_url() {
        for (url, name, port, region, versioned) in [
            (
                "https://eu-api.smtp2go.com/v3",
                "eu-api.smtp2go.com",
                443,
                Some(Region::Eu),
                true,
            ),
            (
                "https://eu-api.smtp2go.com:8443/v3",
                "eu-api.smtp2go.com:8443",
                8443,
                None,
                true,
            ),
            ("http://[::1]:1/v3", "[::1]:1", 1, None, true),
            ("http://[::1]:1/", "[::1]:1", 1, None, false),
            ("http://[::1]:1/v30", "[::1]:1", 1, None, false),
        ] {
            let site = Site::new(&Url::parse(url).unwrap());
            assert_eq!((&*site.name, site.port, site.region), (name, port, region));
            assert!(name.starts_with(&site.address));
            assert_eq!(site.versioned, versioned, "{url}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn route_visits_all_hosts_and_starts_at_one_not_cooling_down() {
        let hosts = hosts(3, 1);
        let mut route = hosts.route();
        let mut ports = Vec::new();
        for _ in 0..4 {
            ports.push((port(&route), route.has_fresh()));
            route.advance();
        }
        assert_eq!(
            ports,
            [
                (Some(0), true),
                (Some(1), true),
                (Some(2), false),
                (Some(0), false)
            ]
        );

        hosts.route().host().attempted(false, false);
        assert_eq!(port(&hosts.route()), Some(1));
        hosts.route().host().attempted(false, false);
        let mut route = hosts.route();
        assert_eq!((port(&route), route.has_fresh()), (Some(2), true));
        route.advance();
        assert_eq!(port(&route), Some(0));
        route.host().attempted(true, false);
        assert_eq!(port(&hosts.route()), Some(0));
        for index in 0..3 {
            hosts.get(index).attempted(false, false);
        }
        assert_eq!(port(&hosts.route()), Some(0));
        hosts.get(1).attempted(true, false);
        assert_eq!(port(&hosts.route()), Some(1));
        tokio::time::advance(COOLDOWN).await;
        assert_eq!(port(&hosts.route()), Some(0));
    }

    #[test]
    fn budget_is_spent_by_retries_and_refilled_by_replies() {
        let hosts = hosts(1, 2);
        let host = hosts.get(0);
        let left = || {
            let mut left = 0;
            while host.has_retry() {
                host.take_retry();
                left += 1;
            }
            left
        };
        assert_eq!(left(), 2);
        for _ in 0..9 {
            host.attempted(true, true);
        }
        assert_eq!(left(), 0);
        host.attempted(true, true);
        assert!(host.has_retry());
        for _ in 0..1000 {
            host.attempted(true, true);
        }
        assert_eq!(left(), 2);
    }
}
