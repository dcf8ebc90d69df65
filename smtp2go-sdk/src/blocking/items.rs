//! Results that come page by page, as iterators.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::vec;

use super::worker::Worker;
use crate::{Error, Reply};

/// The results of a search, one by one, over all of its pages: what the groups' `…_all` methods
/// return. `T` is the result, `D` the data of a page.
///
/// Nothing is sent before the first result is asked for. From then on, the next page is fetched on
/// the client's thread while the results of the one before are worked on, and never more than one
/// page ahead. Dropping the iterator ends that.
///
/// It ends after the last page, or after the first error. Each page is a call of its own, with all
/// that holds for a call.
///
/// ```no_run
/// # use smtp2go_sdk::types::{ActivityEvent, ActivitySearchRequest};
/// # fn example(client: smtp2go_sdk::blocking::Client) -> Result<(), smtp2go_sdk::Error> {
/// let opened = ActivitySearchRequest::new().event_types([ActivityEvent::Opened]);
/// for event in client.activity().search_all(opened) {
///     let event = event?;
///     println!("{:?} {:?}", event.date, event.recipient);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before it is read"]
pub struct Items<T, D> {
    pages: Pages<D>,
    items: fn(D) -> Vec<T>,
    current: vec::IntoIter<T>,
}

/// The pages of a search, each with its totals, request id and raw body: [`Items::pages`].
///
/// Fetched, and ended, as [`Items`] says; the next page is fetched from when one is handed out.
#[must_use = "nothing is sent before it is read"]
pub struct Pages<D> {
    worker: Arc<Worker>,
    /// `None` after the last page.
    rest: Option<crate::Pages<D>>,
}

impl<T, D> Items<T, D> {
    pub(super) fn new(worker: Arc<Worker>, search: crate::Items<T, D>) -> Self {
        let crate::Items { pages, items, .. } = search;
        Self {
            pages: Pages {
                worker,
                rest: Some(pages),
            },
            items,
            current: Vec::new().into_iter(),
        }
    }

    /// Whole pages instead, from the next that was not begun: for what comes with a page beside
    /// its results, such as totals and the request id.
    pub fn pages(self) -> Pages<D> {
        self.pages
    }
}

impl<T, D: Send + 'static> Iterator for Items<T, D> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.current.next() {
                return Some(Ok(item));
            }
            match self.pages.next()? {
                Ok(reply) => self.current = (self.items)(reply.into_inner()).into_iter(),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl<T, D: Send + 'static> FusedIterator for Items<T, D> {}

impl<D: Send + 'static> Iterator for Pages<D> {
    type Item = Result<Reply<D>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut pages = self.rest.take()?;
        // There and back, so that the one ahead is fetched by the thread of the client.
        let fetched = self.worker.run(pages.operation(), async move {
            let page = pages.try_next().await?;
            Ok(page.map(|page| (page, pages)))
        });
        match fetched.transpose()? {
            Ok((page, pages)) => {
                self.rest = Some(pages);
                Some(Ok(page))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl<D: Send + 'static> FusedIterator for Pages<D> {}

impl<T, D> fmt::Debug for Items<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("at_hand", &self.current.len())
            .field("ended", &self.pages.rest.is_none())
            .finish_non_exhaustive()
    }
}

impl<D> fmt::Debug for Pages<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("ended", &self.rest.is_none())
            .finish_non_exhaustive()
    }
}
