//! The input of `send_all`.

use std::pin::Pin;

use futures_core::Stream;
use futures_util::{StreamExt, stream};

use super::MailStream;
use crate::Email;

/// The input of [`Client::send_all`](crate::Client::send_all). It is implemented for
///
/// - everything that can be iterated over: `Vec<Email>`, or an iterator that makes mails as it goes;
/// - every [`Stream`], such as one that reads rows from a database. It is polled along with the
///   calls, so it should not block.
///
/// The items are [`IntoMail`]. `K` is the type of their keys. `M` only tells the implementations
/// apart, and is inferred.
///
/// If the input can fail, the caller must handle its errors before passing items in, as with
/// `map_while(Result::ok)` or by storing the error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of `send_all`",
    label = "expected an iterator or a stream of mails that is `Send`",
    note = "an item is an `Email`, a type that converts into `Email`, or a pair of a key and one of these: `(id, email)`"
)]
pub trait Mails<'a, K, M>: sealed::SealedMails<M> {
    /// Returns the mails with their keys.
    #[doc(hidden)]
    fn into_stream(self) -> Pin<Box<dyn Stream<Item = (K, Email)> + Send + 'a>>;
}

/// An item of [`Mails`], or of the blocking client's input: an [`Email`], a type that converts into one,
/// or a pair of a key and one of these.
///
/// The key is any type that can be cloned, such as a row id. It comes back as
/// [`SendOutcome::key`](crate::SendOutcome::key) and in
/// [`SendReport::states`](crate::SendReport::states).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mail",
    note = "a mail is an `Email`, a type that converts into `Email`, or a pair of a key and one of these: `(id, email)`"
)]
pub trait IntoMail<K>: sealed::SealedMail<K> {
    /// Returns the key and the mail.
    #[doc(hidden)]
    fn into_mail(self) -> (K, Email);
}

/// Tells the implementations of the two traits apart, and keeps other crates from adding to them.
mod sealed {
    use super::{Email, Stream};

    #[derive(Debug)]
    pub enum ByIterator {}
    #[derive(Debug)]
    pub enum ByStream {}

    pub trait SealedMails<M> {}
    impl<I: IntoIterator> SealedMails<ByIterator> for I {}
    impl<S: Stream> SealedMails<ByStream> for S {}

    pub trait SealedMail<K> {}
    impl<E: Into<Email>> SealedMail<()> for E {}
    impl<K, E: Into<Email>> SealedMail<K> for (K, E) {}
}

impl<'a, K, I> Mails<'a, K, sealed::ByIterator> for I
where
    K: 'a,
    I: IntoIterator<Item: IntoMail<K> + 'a, IntoIter: Send + 'a>,
{
    fn into_stream(self) -> MailStream<'a, K> {
        Box::pin(stream::iter(self.into_iter().map(IntoMail::into_mail)))
    }
}

impl<'a, K, S> Mails<'a, K, sealed::ByStream> for S
where
    K: 'a,
    S: Stream<Item: IntoMail<K> + 'a> + Send + 'a,
{
    fn into_stream(self) -> MailStream<'a, K> {
        Box::pin(self.map(IntoMail::into_mail))
    }
}

impl<E: Into<Email>> IntoMail<()> for E {
    fn into_mail(self) -> ((), Email) {
        ((), self.into())
    }
}

impl<K, E: Into<Email>> IntoMail<K> for (K, E) {
    fn into_mail(self) -> (K, Email) {
        (self.0, self.1.into())
    }
}
