//! A receiver of webhooks in actix-web.

pub mod actix;
