//! The input of `send_all`.

use std::pin::Pin;

use futures_core::Stream;
use futures_util::{StreamExt, stream};

use super::MailStream;
use crate::{Email, Mime};

/// The input of [`Client::send_all`](crate::Client::send_all). It is implemented for
///
/// - everything that can be iterated over: `Vec<Email>`, or an iterator that makes mails as it goes;
/// - every [`Stream`], such as one that reads rows from a database. It is polled along with the
///   calls, so it should not block.
///
/// The items are [`IntoMail`]. `K` is the type of their keys. `S` only tells the implementations
/// apart, and is inferred.
///
/// If the input can fail, the caller must handle its errors before passing items in, as with
/// `map_while(Result::ok)` or by storing the error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of `send_all`",
    label = "expected an iterator or a stream of mails that is `Send`",
    note = "an item is an `Email`, a type that converts into `Email`, a `Mime`, or a pair of a key and one of these: `(id, email)`"
)]
pub trait Mails<'a, K, S>: sealed::SealedMails<S> {
    /// The type of the mails: [`Email`] or [`Mime`].
    type Mail: BulkMail;

    /// Returns the mails with their keys.
    #[doc(hidden)]
    fn into_stream(self) -> Pin<Box<dyn Stream<Item = (K, Self::Mail)> + Send + 'a>>;
}

/// An item of [`Mails`], or of the blocking client's input: an [`Email`], a type that converts into one,
/// a [`Mime`], with the feature `lettre` a `lettre::Message`, or a pair of a key and one of these.
///
/// The key is any type that can be cloned, such as a row id. It comes back as
/// [`SendOutcome::key`](crate::SendOutcome::key) and in
/// [`SendReport::states`](crate::SendReport::states).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a mail",
    note = "a mail is an `Email`, a type that converts into `Email`, a `Mime`, or a pair of a key and one of these: `(id, email)`"
)]
pub trait IntoMail<K>: sealed::SealedMail<K> {
    /// The type of the mail: [`Email`] or [`Mime`].
    type Mail: BulkMail;

    /// Returns the key and the mail.
    #[doc(hidden)]
    fn into_mail(self) -> (K, Self::Mail);
}

/// A mail that `send_all` can send: [`Email`] or [`Mime`].
pub trait BulkMail: sealed::Sendable {}

impl BulkMail for Email {}
impl BulkMail for Mime {}

/// Tells the implementations of the two traits apart, and keeps other crates from adding to them.
mod sealed {
    use std::sync::Arc;

    use super::{Email, Mime, Stream};
    use crate::call::cancel::CallCancel;
    use crate::operation::Operation;
    use crate::{Client, Error, Reply, Sent, operations};

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

    /// How a mail is sent.
    pub trait Sendable: Clone + Send + 'static {
        const OPERATION: &'static Operation;

        /// Sends the mail. `cancel` can cancel the call, and knows whether it was sent.
        fn send(
            self,
            client: &Client,
            cancel: Arc<CallCancel>,
        ) -> impl Future<Output = Result<Reply<Sent>, Error>> + Send;
    }

    impl Sendable for Email {
        const OPERATION: &'static Operation = &operations::EMAIL_SEND;

        async fn send(
            self,
            client: &Client,
            cancel: Arc<CallCancel>,
        ) -> Result<Reply<Sent>, Error> {
            client.send_as_set(self, Some(cancel)).await
        }
    }

    impl Sendable for Mime {
        const OPERATION: &'static Operation = &operations::EMAIL_MIME;

        async fn send(
            self,
            client: &Client,
            cancel: Arc<CallCancel>,
        ) -> Result<Reply<Sent>, Error> {
            client.send_mime_as_set(self, Some(cancel)).await
        }
    }
}

impl<'a, K, I> Mails<'a, K, sealed::ByIterator> for I
where
    K: 'a,
    I: IntoIterator<Item: IntoMail<K> + 'a, IntoIter: Send + 'a>,
{
    type Mail = <I::Item as IntoMail<K>>::Mail;

    fn into_stream(self) -> MailStream<'a, K, Self::Mail> {
        Box::pin(stream::iter(self.into_iter().map(IntoMail::into_mail)))
    }
}

impl<'a, K, S> Mails<'a, K, sealed::ByStream> for S
where
    K: 'a,
    S: Stream<Item: IntoMail<K> + 'a> + Send + 'a,
{
    type Mail = <S::Item as IntoMail<K>>::Mail;

    fn into_stream(self) -> MailStream<'a, K, Self::Mail> {
        Box::pin(self.map(IntoMail::into_mail))
    }
}

impl<E: Into<Email>> IntoMail<()> for E {
    type Mail = Email;

    fn into_mail(self) -> ((), Email) {
        ((), self.into())
    }
}

impl<K, E: Into<Email>> IntoMail<K> for (K, E) {
    type Mail = Email;

    fn into_mail(self) -> (K, Email) {
        (self.0, self.1.into())
    }
}

/// Implements `IntoMail` for a type that converts into `Mime`, and for pairs of a key and a value
/// of that type.
macro_rules! mime_mail {
    ($message:ty) => {
        impl sealed::SealedMail<()> for $message {}
        impl<K> sealed::SealedMail<K> for (K, $message) {}

        impl IntoMail<()> for $message {
            type Mail = Mime;

            fn into_mail(self) -> ((), Mime) {
                ((), self.into())
            }
        }

        impl<K> IntoMail<K> for (K, $message) {
            type Mail = Mime;

            fn into_mail(self) -> (K, Mime) {
                (self.0, self.1.into())
            }
        }
    };
}

mime_mail!(Mime);
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
mime_mail!(lettre::Message);
