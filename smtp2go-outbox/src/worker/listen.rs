//! Wakes the scout (see `slot.rs`) when a mail is inserted.

use std::sync::Arc;

use super::Shared;

/// Listens for the notifications of the table's trigger. Returns only for SQLite, or if `listen` is off: then
/// the worker only polls.
pub(super) async fn listen(inner: Arc<Shared>) {
    match &inner.outbox.store {
        #[cfg(feature = "postgres")]
        crate::store::Store::Postgres(pool) if inner.settings.listen => {
            let mut wait = super::Backoff::default();
            loop {
                let error = match sqlx::postgres::PgListener::connect_with(pool).await {
                    Ok(mut listener) => {
                        wait = super::Backoff::default();
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
    inner: &Shared,
) -> Result<std::convert::Infallible, sqlx::Error> {
    listener.listen("smtp2go_outbox").await?;
    loop {
        listener.recv().await?;
        inner.outbox.wake.notify_one();
    }
}
