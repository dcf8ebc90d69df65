//! Code shared by the tests of this workspace, and the decoder of `cargo xtask decode`.

pub mod contract;
pub mod decode;
pub mod entry_points;
#[rustfmt::skip]
mod generated;

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("../../docs/bounces.md")]
struct BouncesPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/client.md")]
struct ClientPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/endpoints.md")]
struct EndpointsPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/errors.md")]
struct ErrorsPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/from-reqwest.md")]
struct FromReqwestPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/from-smtp2go.md")]
struct FromSmtp2goPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/login-codes.md")]
struct LoginCodesPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/many-machines.md")]
struct ManyMachinesPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/never-send-twice.md")]
struct NeverSendTwicePage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/newsletter.md")]
struct NewsletterPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/send.md")]
struct SendPage;

#[cfg(doctest)]
#[doc = include_str!("../../docs/webhooks.md")]
struct WebhooksPage;
