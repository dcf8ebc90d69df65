//! Text messages as the sandbox received them.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::account::AccountId;
use crate::weight::Weight;

/// A text message that was accepted, to one of its destinations. Cheap to clone.
///
/// `Debug` leaves out the text and the numbers.
#[derive(Clone)]
pub struct Sms(Arc<AcceptedSms>);

/// The data of an [`Sms`].
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct AcceptedSms {
    /// The message's number in the ledger.
    pub(crate) number: u64,
    pub(crate) message_id: String,
    pub(crate) destination: String,
    pub(crate) sender: String,
    pub(crate) content: String,
    pub(crate) accepted: SystemTime,
    pub(crate) account: AccountId,
    pub(crate) username: String,
    pub(crate) withheld: bool,
}

impl Sms {
    pub(crate) fn new(accepted: AcceptedSms) -> Self {
        Self(Arc::new(accepted))
    }

    /// The message's number in the ledger.
    pub(crate) fn number(&self) -> u64 {
        self.0.number
    }

    #[cfg(feature = "data")]
    pub(crate) fn accepted(&self) -> &AcceptedSms {
        &self.0
    }

    pub(crate) fn account(&self) -> AccountId {
        self.0.account
    }

    /// Whether the key has the status `sandbox`, so that the message is not delivered.
    pub(crate) fn withheld(&self) -> bool {
        self.0.withheld
    }

    /// The id that the sandbox assigned, in the form of a UUID.
    pub fn message_id(&self) -> &str {
        &self.0.message_id
    }

    /// The phone number of the recipient, as written in the request.
    pub fn destination(&self) -> &str {
        &self.0.destination
    }

    /// The phone number of the sender. Default: a number of the sandbox.
    pub fn sender(&self) -> &str {
        &self.0.sender
    }

    /// Text of the message.
    pub fn content(&self) -> &str {
        &self.0.content
    }

    /// When the message was accepted, by the sandbox's clock.
    pub fn accepted_at(&self) -> SystemTime {
        self.0.accepted
    }

    /// The sender's account name: the first 16 characters of the API key.
    pub fn username(&self) -> &str {
        &self.0.username
    }
}

impl Weight for Sms {
    fn weight(&self) -> usize {
        let sms = &*self.0;
        // The message's status is also kept, by its id.
        size_of::<AcceptedSms>()
            + 3 * sms.message_id.weight()
            + sms.destination.weight()
            + sms.sender.weight()
            + sms.content.weight()
            + sms.username.weight()
    }
}

impl fmt::Debug for Sms {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sms")
            .field("message_id", &self.0.message_id)
            .field("accepted", &self.0.accepted)
            .field("content_chars", &self.0.content.chars().count())
            .finish_non_exhaustive()
    }
}
