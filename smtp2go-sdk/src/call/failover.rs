//! Where calls go: the base URL and those to fall back on, with what is known of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Url;
use tokio::time::Instant;

use crate::Region;

/// How long a host that could not be reached is not tried first.
const SHUNNED: Duration = Duration::from_secs(30);
/// What a retry costs, in what a success gives back.
const COST: u32 = 10;

/// All hosts, in the order in which they are tried. Not empty.
#[derive(Debug)]
pub(crate) struct Hosts {
    first: Host,
    others: Vec<Host>,
}

/// A host, and what the clones of a client know of it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) base_url: Url,
    pub(crate) site: Arc<Site>,
    /// The most retries that it may get, in tenths.
    most: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Retries that the host may get, in tenths.
    budget: u32,
    shunned_until: Option<Instant>,
    /// The URLs of the operations that were called, by path: parsing one takes longer than all
    /// else about it.
    urls: Vec<(&'static str, Url)>,
}

/// What a host is called.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Site {
    /// Without the port.
    pub(crate) address: String,
    pub(crate) port: u16,
    /// With the port, where it is not the scheme's.
    pub(crate) name: String,
    /// The region whose base URL it is.
    pub(crate) region: Option<Region>,
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
            name,
            region: [Region::Global, Region::Us, Region::Eu, Region::Au]
                .into_iter()
                .find(|region| base_url.as_str() == region.base_url()),
        }
    }
}

impl Hosts {
    pub(crate) fn new(first: Url, others: Vec<Url>, budget: u32) -> Self {
        let host = |base_url: Url| Host {
            site: Arc::new(Site::new(&base_url)),
            base_url,
            most: budget.saturating_mul(COST),
            state: Mutex::new(State {
                budget: budget.saturating_mul(COST),
                shunned_until: None,
                urls: Vec::new(),
            }),
        };
        Self {
            first: host(first),
            others: others.into_iter().map(host).collect(),
        }
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

    /// The way of a call: it begins at the first host that is not shunned.
    pub(crate) fn route(&self) -> Route<'_> {
        let at = if self.others.is_empty() {
            0
        } else {
            let now = Instant::now();
            (0..self.len())
                .find(|index| !self.get(*index).is_shunned(now))
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL of a path of the API. Appended rather than joined: by the rules for joining, a path
    /// that starts with a slash would replace the `/v3` of the base.
    pub(crate) fn url(&self, path: &'static str) -> Url {
        let urls = &mut self.state().urls;
        if let Some((_, url)) = urls.iter().find(|(known, _)| *known == path) {
            return url.clone();
        }
        let mut url = self.base_url.clone();
        url.set_path(&format!(
            "{}{path}",
            self.base_url.path().trim_end_matches('/')
        ));
        urls.push((path, url.clone()));
        url
    }

    fn is_shunned(&self, now: Instant) -> bool {
        self.state().shunned_until.is_some_and(|until| until > now)
    }

    /// Notes whether the host could be reached.
    pub(crate) fn reached(&self, reached: bool) {
        self.state().shunned_until = if reached {
            None
        } else {
            Instant::now().checked_add(SHUNNED)
        };
    }

    /// Takes a retry out of the budget, if there is one left.
    pub(crate) fn take_retry(&self) -> bool {
        let budget = &mut self.state().budget;
        match budget.checked_sub(COST) {
            Some(rest) => {
                *budget = rest;
                true
            }
            None => false,
        }
    }

    /// A call was answered: the host was reached, and a tenth of a retry comes back.
    pub(crate) fn answered(&self) {
        let mut state = self.state();
        state.shunned_until = None;
        state.budget = state.budget.saturating_add(1).min(self.most);
    }
}

/// A call's way from host to host.
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

    /// Whether there is a host that the call has not been to.
    pub(crate) fn has_fresh(&self) -> bool {
        self.visited < self.hosts.len()
    }

    /// On to the next host; from the last to the first.
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
    fn a_site_is_named_by_its_url() {
        for (url, name, port, region) in [
            (
                "https://eu-api.smtp2go.com/v3",
                "eu-api.smtp2go.com",
                443,
                Some(Region::Eu),
            ),
            (
                "https://eu-api.smtp2go.com:8443/v3",
                "eu-api.smtp2go.com:8443",
                8443,
                None,
            ),
            ("http://[::1]:1/v3", "[::1]:1", 1, None),
        ] {
            let site = Site::new(&Url::parse(url).unwrap());
            assert_eq!((&*site.name, site.port, site.region), (name, port, region));
            assert!(name.starts_with(&site.address));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_route_visits_all_hosts_and_shuns_what_is_down() {
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

        hosts.route().host().reached(false);
        assert_eq!(port(&hosts.route()), Some(1));
        hosts.route().host().reached(false);
        let mut route = hosts.route();
        assert_eq!((port(&route), route.has_fresh()), (Some(2), true));
        route.advance();
        assert_eq!(port(&route), Some(0));
        route.host().reached(true);
        assert_eq!(port(&hosts.route()), Some(0));
        for index in 0..3 {
            hosts.get(index).reached(false);
        }
        assert_eq!(port(&hosts.route()), Some(0));
        hosts.get(1).reached(true);
        assert_eq!(port(&hosts.route()), Some(1));
        tokio::time::advance(SHUNNED).await;
        assert_eq!(port(&hosts.route()), Some(0));
    }

    #[test]
    fn a_budget_is_used_up_and_earned_back() {
        let hosts = hosts(1, 2);
        let host = hosts.get(0);
        assert!(host.take_retry() && host.take_retry() && !host.take_retry());
        for _ in 0..9 {
            host.answered();
        }
        assert!(!host.take_retry());
        host.answered();
        assert!(host.take_retry() && !host.take_retry());
        for _ in 0..1000 {
            host.answered();
        }
        assert!(host.take_retry() && host.take_retry() && !host.take_retry());
    }
}
