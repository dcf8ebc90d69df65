//! Results that come page by page, as streams.

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
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::Instrument;

use crate::call::verdict::interrupted;
use crate::error::ErrorKind;
use crate::operation::Operation;
use crate::{Client, Error, Reply};

/// The results of a search, one by one, over all of its pages: what the groups' `…_all` methods
/// return. `T` is the result, `D` the data of a page.
///
/// Nothing is sent before the first result is asked for. From then on, the next page is fetched
/// while the results of the one before are worked on, in a task of its own, and never more than
/// one page ahead. So whoever stops early may have had one page fetched in vain. Dropping the
/// stream ends that task.
///
/// It ends after the last page, or after the first error; what was fetched before the error comes
/// first. Each page is a call of its own, with all that holds for a call.
///
/// The search starts at the page that the request names, by a token or a number; without one, at the
/// first. Every page is asked for with the same filters.
///
/// Where a reply names the next page by a token, the last page is the one without a token, or with
/// the one that it was asked for with. A token from further back would send the search round in a
/// circle: after its page comes an error of the [`kind`](Error::kind) `repeated_token`, rather than
/// an end that could pass for the end of the results.
///
/// Where pages are numbered, an empty page is taken as the last, and so is one with fewer results than
/// the page size of the request or its documented default. If a page repeats the results of the one
/// before it, they are left out and the stream ends. Whether the first page is 0 or 1 is not
/// documented: a request that names no page is followed by page 1, which is passed over if it is the
/// first again. All of this is inferred. What is added or removed in the meantime can move results from
/// page to page, so that one is missed or comes twice.
///
/// Read it with [`try_next`](Self::try_next), or as a
/// [`Stream`](https://docs.rs/futures-core/latest/futures_core/stream/trait.Stream.html), which
/// `futures` and `tokio-stream` have many adapters for.
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

/// The pages of a search, each with its totals, request id and raw body: [`Items::pages`].
///
/// Fetched, and ended, as [`Items`] says; the next page is fetched from when one is handed out.
#[must_use = "nothing is sent before it is read"]
pub struct Pages<D> {
    operation: &'static Operation,
    state: State<D>,
}

enum State<D> {
    /// Fetched by whoever asks for it.
    Asked(Fetch<D>),
    /// Being fetched, or fetched already, in a task of its own.
    Ahead(Task<D>),
    Ended,
}

type Fetch<D> = Pin<Box<dyn Future<Output = Result<Option<Fetched<D>>, Error>> + Send>>;

/// A page, and how to get the next.
struct Fetched<D> {
    reply: Reply<D>,
    next: Option<Fetch<D>>,
}

/// A task that ends when it is dropped.
///
/// A task rather than a future that is polled along with the stream: such a future would stand
/// still while the consumer works, and run into the time limits of its call.
struct Task<D>(JoinHandle<Result<Option<Fetched<D>>, Error>>);

impl<D> Drop for Task<D> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What a page means for the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// It is the last.
    Last,
    /// The request asks for the next now.
    More,
    /// It was there before, but the next may not have been.
    Skip,
    /// It was there before: the service does not go on.
    Stuck,
    /// The next was there before, further back.
    Circle,
}

/// The tokens that a search has come by. Only their hashes are kept, a few bytes for each page.
#[derive(Default)]
struct Trail {
    hashes: RandomState,
    passed: HashSet<u64>,
}

impl Trail {
    /// What a page means that was asked for with one token and names another for the next.
    fn turn(&mut self, asked: Option<&str>, newest: Option<&str>) -> Turn {
        let newest = match newest {
            None | Some("") => return Turn::Last,
            same if same == asked => return Turn::Last,
            Some(newest) => newest,
        };
        // Already there, unless it is the one that the search began with.
        self.passed
            .extend(asked.map(|asked| self.hashes.hash_one(asked)));
        if self.passed.insert(self.hashes.hash_one(newest)) {
            Turn::More
        } else {
            Turn::Circle
        }
    }
}

/// Where a request of type `Q` has a field.
type Field<Q, V> = fn(&mut Q) -> &mut Option<V>;

/// A search by page number, in the terms of its request and its data.
pub(crate) struct ByNumber<Q, T, D> {
    /// The number of the page.
    pub(crate) page: Field<Q, i64>,
    /// The size of a page, and what it is by default.
    pub(crate) size: Option<(Field<Q, i64>, Option<i64>)>,
    /// What the page holds.
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

    /// A search whose replies name the next page by a token.
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
        let mut trail = Trail::default();
        let step = move |request: &mut Q, data: &D| {
            let token = token(request);
            let newest = newest(data);
            let turn = trail.turn(token.as_deref(), newest);
            if turn == Turn::More {
                *token = newest.map(str::to_owned);
            }
            turn
        };
        Self::new(
            Pages::new::<Q, R, _>(client, operation, request, step),
            items,
        )
    }

    /// A search whose requests count pages.
    ///
    /// Whether the first is page 0 or 1 is not documented. So a request that names no page goes
    /// first, which the first page must answer; then comes page 1, which is passed over if it is
    /// the first again.
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
        // Asked for rather than left to the service, since a page below it is taken as the last.
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
            let turn = match next {
                _ if count == 0 => Turn::Last,
                _ if again && !probing => Turn::Stuck,
                _ if size.is_some_and(|size| count < size) => Turn::Last,
                None => Turn::Last,
                Some(_) if again => Turn::Skip,
                Some(_) => Turn::More,
            };
            probing = page.is_none();
            before = Some(found.to_vec());
            *page = next;
            turn
        };
        Self::new(
            Pages::new::<Q, R, _>(client, operation, request, step),
            items,
        )
    }

    /// Whole pages instead, from the next that was not begun: for what comes with a page beside
    /// its results, such as totals and the request id.
    pub fn pages(self) -> Pages<D> {
        self.pages
    }

    /// The next result; `None` after the last.
    ///
    /// Loses nothing if it is dropped before it is done, as in `select!`: the next call takes up
    /// where it was.
    ///
    /// # Errors
    /// Those of the call that fetches a page, and once: after an error there is nothing more.
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

/// Nothing in it is pinned.
impl<T, D> Unpin for Items<T, D> {}

impl<D: Send + 'static> Pages<D> {
    #[cfg(feature = "blocking")]
    pub(crate) fn operation(&self) -> &'static Operation {
        self.operation
    }

    fn new<Q, R, S>(client: &Client, operation: &'static Operation, request: Q, step: S) -> Self
    where
        Q: Serialize + Validate + Send + Sync + 'static,
        R: Envelope<Data = D> + DeserializeOwned + 'static,
        S: FnMut(&mut Q, &D) -> Turn + Send + 'static,
    {
        Self {
            operation,
            state: State::Asked(fetch::<Q, R, S>(client.clone(), operation, request, step)),
        }
    }

    /// The next page; `None` after the last.
    ///
    /// Loses nothing if it is dropped before it is done, as in `select!`: the next call takes up
    /// where it was.
    ///
    /// # Errors
    /// Those of the call that fetches a page, and once: after an error there is nothing more.
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
            State::Ahead(task) => match task::ready!(Pin::new(&mut task.0).poll(cx)) {
                Ok(fetched) => fetched,
                Err(error) => Err(interrupted(error).during(this.operation, 1)),
            },
            State::Ended => Ok(None),
        };
        this.state = State::Ended;
        Poll::Ready(match fetched {
            Ok(Some(Fetched { reply, next })) => {
                this.state = match (next, Handle::try_current()) {
                    (Some(next), Ok(runtime)) => {
                        State::Ahead(Task(runtime.spawn(next.in_current_span())))
                    }
                    (Some(next), Err(_)) => State::Asked(next),
                    (None, _) => State::Ended,
                };
                Some(Ok(reply))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        })
    }
}

/// Fetches one page, or finds that there is none.
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
    S: FnMut(&mut Q, &R::Data) -> Turn + Send + 'static,
{
    Box::pin(async move {
        loop {
            let reply = client.call::<Q, R>(operation, &request).await?;
            let next = match step(&mut request, &reply) {
                Turn::Last => None,
                Turn::More => Some(fetch::<Q, R, S>(client, operation, request, step)),
                Turn::Skip => continue,
                Turn::Stuck => return Ok(None),
                Turn::Circle => {
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
