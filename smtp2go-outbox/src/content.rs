//! What happens to a mail's content once the API has accepted the mail.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::foreign;
use crate::store::Content;

/// What happens to a mail's content once the API has accepted the mail. Set with
/// [`Outbox::bodies`](crate::Outbox::bodies).
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Bodies {
    /// The content stays in the row. The default.
    #[default]
    Keep,
    /// The content is deleted: `mail` is null.
    Delete,
    /// The content is encrypted: `mail` is null, and `sealed` has the bytes that [`Seal::seal`] returned. If
    /// encryption fails, the content is deleted.
    Seal(Arc<dyn Seal>),
}

impl fmt::Debug for Bodies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keep => "Keep",
            Self::Delete => "Delete",
            Self::Seal(_) => "Seal",
        })
    }
}

/// Encrypts the content of accepted mails, with your own cipher and key.
pub trait Seal: Send + Sync + 'static {
    /// Encrypts a mail's JSON. `key` is the mail's idempotency key, for use as associated data.
    ///
    /// # Errors
    /// After an error or a panic, the outbox deletes the content and logs an event at ERROR.
    fn seal(&self, key: &str, mail: &str) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>>;

    /// Decrypts the bytes that [`seal`](Self::seal) returned. [`Outbox::erase`](crate::Outbox::erase) calls it to
    /// find addresses.
    ///
    /// # Errors
    /// After an error or a panic, `erase` deletes the content, since it can't search it.
    fn open(&self, key: &str, sealed: &[u8]) -> Result<String, Box<dyn StdError + Send + Sync>>;
}

impl Bodies {
    /// Returns whether [`of`](Self::of) needs the content.
    pub(crate) fn needs_content(&self) -> bool {
        matches!(self, Self::Seal(_))
    }

    /// Returns the change of an accepted mail's content.
    pub(crate) fn of(&self, key: &str, mail: Option<&str>) -> Content {
        match (self, mail) {
            (Self::Keep, _) | (Self::Seal(_), None) => Content::Keep,
            (Self::Delete, _) => Content::Delete,
            (Self::Seal(seal), Some(mail)) => {
                match foreign::call("seal", || seal.seal(key, mail)) {
                    Some(Ok(sealed)) => Content::Replace(sealed),
                    Some(Err(_)) | None => {
                        tracing::error!(
                            target: "smtp2go_outbox",
                            key,
                            "content could not be encrypted and was deleted"
                        );
                        Content::Delete
                    }
                }
            }
        }
    }
}
