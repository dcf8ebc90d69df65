//! Iterators over the results of a search with pages.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::Arc;
use std::vec;

use super::worker::Worker;
use crate::{Error, Reply};

/// An iterator over the results of a search, across all of its pages. Returned by the groups'
/// `…_all` methods. `T` is the result, `D` the data of a page.
///
/// Nothing is sent before the first call of `next`. From then on the client's thread fetches the next
/// page while the program works on the current one, never more than one page ahead. Dropping the
/// iterator stops the fetching.
///
/// It ends after the last page, or after the first error. Each page is a call of its own, with its
/// own retries and deadline.
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

/// An iterator over the pages of a search, each with its totals, request id and raw body. Returned by
/// [`Items::pages`].
///
/// The rules of [`Items`] apply. Returning a page starts the fetch of the next one.
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

    /// Converts to an iterator over the remaining whole pages, which have the totals and the request
    /// id. Starts with the first page of which no result was read.
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
        // Moved to the client's thread and back, so that this thread fetches the next page.
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
