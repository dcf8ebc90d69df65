//! Wakes the scout when a mail is inserted.

use std::sync::Arc;

use super::{Backoff, Inner};
use crate::store::Store;

/// Listens for the notifications of the table's trigger. Returns only if there are none to be had: then
/// the worker polls.
pub(super) async fn listen(inner: Arc<Inner>) {
    match &inner.outbox.store {
        #[cfg(feature = "postgres")]
        Store::Postgres(pool) if inner.settings.listen => {
            let mut wait = Backoff::default();
            loop {
                let error = match sqlx::postgres::PgListener::connect_with(pool).await {
                    Ok(mut listener) => {
                        wait = Backoff::default();
                        match wake_on_each(&mut listener, &inner).await {
                            Ok(never) => match never {},
                            Err(error) => error,
                        }
                    }
                    Err(error) => error,
                };
                wait.after(&error.into()).await;
            }
        }
        _ => {}
    }
}

#[cfg(feature = "postgres")]
async fn wake_on_each(
    listener: &mut sqlx::postgres::PgListener,
    inner: &Inner,
) -> Result<std::convert::Infallible, sqlx::Error> {
    listener.listen("smtp2go_outbox").await?;
    loop {
        listener.recv().await?;
        inner.outbox.wake.notify_one();
    }
}
