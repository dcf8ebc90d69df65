//! Streams over the pages of a search.

use std::collections::HashSet;
use std::fmt;
use std::future::{Future, poll_fn, ready};
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::task::{self, Context, Poll};
use std::vec;

use futures_core::Stream;
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use smtp2go_types::{Envelope, Validate};

use crate::error::ErrorKind;
use crate::operation::Operation;
use crate::{Client, Error, Reply};

/// A stream of the results of a search, over all of its pages. The groups' `…_all` methods return it.
/// `T` is the type of a result, `D` that of a page's data.
///
/// Read it with [`try_next`](Self::try_next), or as a
/// [`Stream`](https://docs.rs/futures-core/latest/futures_core/stream/trait.Stream.html), for which
/// `futures` and `tokio-stream` have adapters.
///
/// The first page is fetched when the first result is requested. From then on, a task fetches one page
/// ahead while you process the current one, so one page may be fetched in vain if you stop early.
/// Dropping the stream ends the task. On wasm32 there are no tasks, and a page is fetched when its first
/// result is requested. Each page is a call with its own retries and deadline.
///
/// The stream ends after the last page or after the first error. Results from before the error are
/// yielded first.
///
/// The search starts at the page that the request names, by token or number, and else at the first. All
/// pages are requested with the same filters.
///
/// With tokens, a page is the last if its reply has no token, or the token that it was requested with.
/// If the reply has the token of an earlier request, the search would loop: after the results of
/// this page the stream returns an error of the [`kind`](Error::kind) `repeated_token`.
///
/// With page numbers, a page is the last if it is empty or has fewer results than the page size. The
/// page size is that of the request, or else the documented default. If a page repeats the results of
/// the page before it, they are left out and the stream ends. It is not documented whether the first
/// page is 0 or 1. So if the request names no page, page 1 is fetched second, and is skipped if it
/// repeats the first page. These rules are inferred, not documented. If entries are added or removed
/// during the search, a result can be missed or occur twice.
///
/// ```no_run
/// # use smtp2go_sdk::types::{ActivityEvent, ActivitySearchRequest};
/// # async fn example(client: smtp2go_sdk::Client) -> Result<(), smtp2go_sdk::Error> {
/// let opened = ActivitySearchRequest::new().event_types([ActivityEvent::Opened]);
/// let mut events = client.activity().search_all(opened);
/// while let Some(event) = events.try_next().await? {
///     println!("{:?} {:?}", event.date, event.recipient);
/// }
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before it is read"]
pub struct Items<T, D> {
    pub(crate) pages: Pages<D>,
    pub(crate) items: fn(D) -> Vec<T>,
    current: vec::IntoIter<T>,
}

/// A stream of the pages of a search, each with its totals, request id and raw body. From
/// [`Items::pages`].
///
/// The rules of [`Items`] apply. Returning a page starts the fetch of the next one, except on wasm32.
#[must_use = "nothing is sent before it is read"]
pub struct Pages<D> {
    operation: &'static Operation,
    state: State<D>,
}

enum State<D> {
    /// The next page is fetched when the stream is polled.
    Asked(Fetch<D>),
    /// A task fetches the next page, or has fetched it.
    #[cfg(not(target_family = "wasm"))]
    Ahead(Task<D>),
    Ended,
}

impl<D: Send + 'static> State<D> {
    /// Fetches a page in a task.
    #[cfg(not(target_family = "wasm"))]
    fn ahead(fetch: Fetch<D>) -> Self {
        use tracing::Instrument;

        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => Self::Ahead(Task(runtime.spawn(fetch.in_current_span()))),
            Err(_) => Self::Asked(fetch),
        }
    }

    /// Without tasks, a page is fetched when the stream is polled.
    #[cfg(target_family = "wasm")]
    fn ahead(fetch: Fetch<D>) -> Self {
        Self::Asked(fetch)
    }
}

type Fetch<D> = Pin<Box<dyn Future<Output = Result<Option<Fetched<D>>, Error>> + Send>>;

/// A page, and the future that fetches the next.
struct Fetched<D> {
    reply: Reply<D>,
    next: Option<Fetch<D>>,
}

/// A task that is aborted on drop.
///
/// Fetches a page. A future that is polled only with the stream would make no progress while the
/// consumer works, and its call could time out.
#[cfg(not(target_family = "wasm"))]
struct Task<D>(tokio::task::JoinHandle<Result<Option<Fetched<D>>, Error>>);

#[cfg(not(target_family = "wasm"))]
impl<D> Drop for Task<D> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How a search continues after a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NextPage {
    /// The search ends with this page.
    Last,
    /// The search continues with the next page, which the request now names.
    More,
    /// The search continues with the next page. This page repeats the one before, so it is skipped.
    Skip,
    /// The search ends before this page, because it repeats the one before.
    Repeated,
    /// The search ends with an error, because the token for the next page occurred before.
    Loop,
}

/// The tokens that a search has had. Only their hashes are kept, a few bytes for each page.
#[derive(Default)]
struct SeenTokens {
    hashes: RandomState,
    seen: HashSet<u64>,
}

impl SeenTokens {
    /// Decides how to continue after a page that was requested with the token `asked` and whose reply has
    /// the token `newest`.
    fn next_page(&mut self, asked: Option<&str>, newest: Option<&str>) -> NextPage {
        let newest = match newest {
            None | Some("") => return NextPage::Last,
            same if same == asked => return NextPage::Last,
            Some(newest) => newest,
        };
        // Only the token that the search began with is not there yet.
        self.seen
            .extend(asked.map(|asked| self.hashes.hash_one(asked)));
        if self.seen.insert(self.hashes.hash_one(newest)) {
            NextPage::More
        } else {
            NextPage::Loop
        }
    }
}

/// Returns a field of a request of type `Q`.
type Field<Q, V> = fn(&mut Q) -> &mut Option<V>;

/// The fields of a search by page number.
pub(crate) struct ByNumber<Q, T, D> {
    /// The number of the page.
    pub(crate) page: Field<Q, i64>,
    /// The page size, and its documented default.
    pub(crate) size: Option<(Field<Q, i64>, Option<i64>)>,
    /// The results of a page.
    pub(crate) found: fn(&D) -> &[T],
}

impl<T, D: Send + 'static> Items<T, D> {
    fn new(pages: Pages<D>, items: fn(D) -> Vec<T>) -> Self {
        Self {
            pages,
            items,
            current: Vec::new().into_iter(),
        }
    }

    /// Returns a search whose replies name the next page by a token.
    pub(crate) fn by_token<Q, R>(
        client: &Client,
        operation: &'static Operation,
        request: Q,
        token: Field<Q, String>,
        newest: fn(&D) -> Option<&str>,
        items: fn(D) -> Vec<T>,
    ) -> Self
    where
        Q: Serialize + Validate + Send + Sync + 'static,
        R: Envelope<Data = D> + DeserializeOwned + 'static,
    {
        let mut tokens = SeenTokens::default();
        let step = move |request: &mut Q, data: &D| {
            let token = token(request);
            let newest = newest(data);
            let next = tokens.next_page(token.as_deref(), newest);
            if next == NextPage::More {
                *token = newest.map(str::to_owned);
            }
            next
        };
        Self::new(
            Pages::new::<Q, R, _>(client, operation, request, step),
            items,
        )
    }

    /// Returns a search whose requests have a page number.
    ///
    /// It is not documented whether the first page is 0 or 1. So the first request names no page, and
    /// the second names page 1, which is skipped if it repeats the first.
    pub(crate) fn by_number<Q, R>(
        client: &Client,
        operation: &'static Operation,
        mut request: Q,
        ByNumber { page, size, found }: ByNumber<Q, T, D>,
        items: fn(D) -> Vec<T>,
    ) -> Self
    where
        Q: Serialize + Validate + Send + Sync + 'static,
        R: Envelope<Data = D> + DeserializeOwned + 'static,
        T: Clone + PartialEq + Send + 'static,
    {
        // Sent even if it is the default, since a page with fewer results counts as the last.
        let size = size.and_then(|(size, default)| {
            let size = size(&mut request);
            *size = size.or(default);
            *size
        });
        let mut before: Option<Vec<T>> = None;
        let mut probing = false;
        let step = move |request: &mut Q, data: &D| {
            let found = found(data);
            let again = before.as_deref() == Some(found);
            let count = i64::try_from(found.len()).unwrap_or(i64::MAX);
            let page = page(request);
            let next = match *page {
                None => Some(1),
                Some(number) => number.checked_add(1),
            };
            let decision = match next {
                _ if count == 0 => NextPage::Last,
                _ if again && !probing => NextPage::Repeated,
                _ if size.is_some_and(|size| count < size) => NextPage::Last,
                None => NextPage::Last,
                Some(_) if again => NextPage::Skip,
                Some(_) => NextPage::More,
            };
            probing = page.is_none();
            before = Some(found.to_vec());
            *page = next;
            decision
        };
        Self::new(
            Pages::new::<Q, R, _>(client, operation, request, step),
            items,
        )
    }

    /// Turns the stream into one of whole pages, which have totals and request ids. It continues with
    /// the next page: results of the current page that were not read are dropped.
    pub fn pages(self) -> Pages<D> {
        self.pages
    }

    /// Returns the next result; `None` after the last.
    ///
    /// Cancel safe: if it is dropped before it completes, as in `select!`, no result is lost.
    ///
    /// # Errors
    /// Those of the call that fetches a page, and a pagination loop. After an error the stream has
    /// ended.
    pub async fn try_next(&mut self) -> Result<Option<T>, Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
            .await
            .transpose()
    }
}

impl<T, D: Send + 'static> Stream for Items<T, D> {
    type Item = Result<T, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if let Some(item) = this.current.next() {
                return Poll::Ready(Some(Ok(item)));
            }
            match task::ready!(Pin::new(&mut this.pages).poll_next(cx)) {
                Some(Ok(reply)) => this.current = (this.items)(reply.into_inner()).into_iter(),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

// Nothing in it is pinned.
impl<T, D> Unpin for Items<T, D> {}

impl<D: Send + 'static> Pages<D> {
    #[cfg(all(feature = "blocking", not(target_family = "wasm")))]
    pub(crate) fn operation(&self) -> &'static Operation {
        self.operation
    }

    fn new<Q, R, S>(client: &Client, operation: &'static Operation, request: Q, step: S) -> Self
    where
        Q: Serialize + Validate + Send + Sync + 'static,
        R: Envelope<Data = D> + DeserializeOwned + 'static,
        S: FnMut(&mut Q, &D) -> NextPage + Send + 'static,
    {
        Self {
            operation,
            state: State::Asked(fetch::<Q, R, S>(client.clone(), operation, request, step)),
        }
    }

    /// Returns the next page; `None` after the last.
    ///
    /// Cancel safe: if it is dropped before it completes, as in `select!`, no page is lost.
    ///
    /// # Errors
    /// Those of the call that fetches a page, and a pagination loop. After an error the stream has
    /// ended.
    pub async fn try_next(&mut self) -> Result<Option<Reply<D>>, Error> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx))
            .await
            .transpose()
    }
}

impl<D: Send + 'static> Stream for Pages<D> {
    type Item = Result<Reply<D>, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let fetched = match &mut this.state {
            State::Asked(fetch) => task::ready!(fetch.as_mut().poll(cx)),
            #[cfg(not(target_family = "wasm"))]
            State::Ahead(task) => match task::ready!(Pin::new(&mut task.0).poll(cx)) {
                Ok(fetched) => fetched,
                Err(error) => {
                    Err(crate::call::verdict::interrupted(error).during(this.operation, 1))
                }
            },
            State::Ended => Ok(None),
        };
        this.state = State::Ended;
        Poll::Ready(match fetched {
            Ok(Some(Fetched { reply, next })) => {
                this.state = next.map_or(State::Ended, State::ahead);
                Some(Ok(reply))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

/// Fetches one page. `None` if there are no more results.
fn fetch<Q, R, S>(
    client: Client,
    operation: &'static Operation,
    mut request: Q,
    mut step: S,
) -> Fetch<R::Data>
where
    Q: Serialize + Validate + Send + Sync + 'static,
    R: Envelope + DeserializeOwned + 'static,
    R::Data: Send + 'static,
    S: FnMut(&mut Q, &R::Data) -> NextPage + Send + 'static,
{
    Box::pin(async move {
        loop {
            let reply = client.call::<Q, R>(operation, &request).await?;
            let next = match step(&mut request, &reply) {
                NextPage::Last => None,
                NextPage::More => Some(fetch::<Q, R, S>(client, operation, request, step)),
                NextPage::Skip => continue,
                NextPage::Repeated => return Ok(None),
                NextPage::Loop => {
                    let error = Error::not_sent(ErrorKind::PaginationLoop).during(operation, 0);
                    Some(Box::pin(ready(Err(error))) as Fetch<R::Data>)
                }
            };
            return Ok(Some(Fetched { reply, next }));
        }
    })
}

impl<T, D> fmt::Debug for Items<T, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items")
            .field("operation", &self.pages.operation.id)
            .field("at_hand", &self.current.len())
            .finish_non_exhaustive()
    }
}

impl<D> fmt::Debug for Pages<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pages")
            .field("operation", &self.operation.id)
            .finish_non_exhaustive()
    }
}
