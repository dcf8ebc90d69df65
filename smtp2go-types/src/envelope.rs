//! The wrapper around every reply.

/// A reply as it comes over the wire: a `request_id` next to `data`.
///
/// A client calls [`into_parts`](Envelope::into_parts) to hand its user the data and to keep the
/// id for error reports. A few calls put the id inside `data` instead of beside it; their
/// implementation looks in both places, so that the first part is the id wherever it was.
pub trait Envelope {
    /// What the reply is about: the content of `data`.
    type Data;

    /// Splits the reply into its request id, if it came with one, and its data.
    fn into_parts(self) -> (Option<String>, Self::Data);

    /// What stands for a body that does not decode, an empty one included, where it is not known
    /// what the service answers. `None`, the default: such a body is an error.
    fn unknown() -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// Where nothing is known of a reply's body.
impl Envelope for () {
    type Data = ();

    fn into_parts(self) -> (Option<String>, ()) {
        (None, ())
    }

    fn unknown() -> Option<Self> {
        Some(())
    }
}
