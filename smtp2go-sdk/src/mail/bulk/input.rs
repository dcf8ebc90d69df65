//! What `send_all` takes.

use std::pin::Pin;

use futures_core::Stream;
use futures_util::stream;

use super::Source;
use crate::Email;

/// What [`Client::send_all`](crate::Client::send_all) takes its mails from. It is implemented for
///
/// - everything that can be iterated over: `Vec<Email>`, an iterator that makes mails as it goes;
/// - every [`Stream`], such as one that reads rows from a database. It is polled along with the
///   calls, so it should not block.
///
/// and items that are [`IntoMail`]. `K` is the type of their keys; `M` only tells the
/// implementations apart, and is inferred.
///
/// An input that can fail is for the caller to take apart, since only he knows whether an error is
/// the end of it: as with `map_while(Result::ok)`, or by keeping the error aside.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no source of mails",
    label = "neither an iterator nor a stream of mails, or not `Send`",
    note = "items are `Email`, what converts into it, or pairs of a key and such: `(id, email)`"
)]
pub trait Mails<'a, K, M>: sealed::Source<M> {
    /// The mails, with their keys.
    #[doc(hidden)]
    fn into_stream(self) -> Pin<Box<dyn Stream<Item = (K, Email)> + Send + 'a>>;
}

/// An item of [`Mails`], or of what the blocking client takes: an [`Email`] or what converts into one, or a pair of a key and such.
///
/// The key is any type of yours, and is handed back as
/// [`SendOutcome::key`](crate::SendOutcome::key).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no mail",
    note = "mails are `Email`, what converts into it, or pairs of a key and such: `(id, email)`"
)]
pub trait IntoMail<K>: sealed::Item<K> {
    /// The key, and the mail.
    #[doc(hidden)]
    fn into_mail(self) -> (K, Email);
}

/// Tells the implementations of the two traits apart, and keeps others from adding to them.
mod sealed {
    use super::{Email, Stream};

    #[derive(Debug)]
    pub enum ByIterator {}
    #[derive(Debug)]
    pub enum ByStream {}

    pub trait Source<M> {}
    impl<I: IntoIterator> Source<ByIterator> for I {}
    impl<S: Stream> Source<ByStream> for S {}

    pub trait Item<K> {}
    impl<E: Into<Email>> Item<()> for E {}
    impl<K, E: Into<Email>> Item<K> for (K, E) {}
}

impl<'a, K, I> Mails<'a, K, sealed::ByIterator> for I
where
    K: 'a,
    I: IntoIterator<Item: IntoMail<K> + 'a, IntoIter: Send + 'a>,
{
    #[inline]
    fn into_stream(self) -> Source<'a, K> {
        Box::pin(stream::iter(self.into_iter().map(IntoMail::into_mail)))
    }
}

impl<'a, K, S> Mails<'a, K, sealed::ByStream> for S
where
    K: 'a,
    S: Stream<Item: IntoMail<K> + 'a> + Send + 'a,
{
    #[inline]
    fn into_stream(self) -> Source<'a, K> {
        use futures_util::StreamExt;
        Box::pin(self.map(IntoMail::into_mail))
    }
}

impl<E: Into<Email>> IntoMail<()> for E {
    #[inline]
    fn into_mail(self) -> ((), Email) {
        ((), self.into())
    }
}

impl<K, E: Into<Email>> IntoMail<K> for (K, E) {
    #[inline]
    fn into_mail(self) -> (K, Email) {
        (self.0, self.1.into())
    }
}
