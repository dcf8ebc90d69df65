//! Receivers of webhooks: one in actix-web, and one that deduplicates over a database table.

pub mod actix;
pub mod table;
