//! The envelope of every reply.

/// A reply with its envelope: a `request_id` next to `data`.
///
/// A client calls [`into_parts`](Envelope::into_parts) to return the data to its user and to keep
/// the id for error reports. A few replies have the id inside `data`; their implementation looks in
/// both places.
pub trait Envelope {
    /// The type of `data`.
    type Data;

    /// Splits the reply into its request id, if it has one, and its data.
    fn into_parts(self) -> (Option<String>, Self::Data);

    /// The value to use if the body is empty or does not decode, for operations whose reply is not
    /// documented. Default: `None`, so that such a body is an error.
    fn unknown() -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
}

/// For operations whose reply is not documented.
impl Envelope for () {
    type Data = ();

    fn into_parts(self) -> (Option<String>, ()) {
        (None, ())
    }

    fn unknown() -> Option<Self> {
        Some(())
    }
}
