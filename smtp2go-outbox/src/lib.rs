//! Durable outbox.
