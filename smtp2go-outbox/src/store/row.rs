//! Converts a row into a [`Record`](crate::Record).

use crate::record::State;

/// The columns that [`record!`] reads, and the database's time as `now`.
pub(super) const COLUMNS: &str = "
    key, state, tenant, CAST(priority AS bigint) AS priority, UNIX(not_before) AS not_before,
    UNIX(not_after) AS not_after, sender, schedule,
    CAST(attempts AS bigint) AS attempts, CAST(resends AS bigint) AS resends, fence, owner,
    UNIX(attempt_since) AS attempt_since, UNIX(unknown_since) AS unknown_since, UNIX(lease_until) AS lease_until, UNIX(look_at) AS look_at,
    email_id, schedule_id, reason, error, event, UNIX(created_at) AS created_at,
    UNIX(updated_at) AS updated_at, UNIX(sent_at) AS sent_at, mail IS NOT NULL AS has_mail, reserved,
    CLOCK() AS now";

/// Reads a row of either engine. A macro, because a generic function would need a bound for the type of each
/// column.
macro_rules! record {
    ($row:expr) => {{
        use sqlx::Row;
        use $crate::store::row::{count, state};
        use $crate::store::time;
        let row = &$row;
        let at =
            |name| -> Result<_, sqlx::Error> { Ok(row.try_get::<Option<f64>, _>(name)?.map(time)) };
        $crate::record::Record {
            key: row.try_get("key")?,
            state: state(&row.try_get::<String, _>("state")?)?,
            tenant: row.try_get("tenant")?,
            priority: $crate::record::Priority::of_number(row.try_get("priority")?),
            not_before: time(row.try_get("not_before")?),
            not_after: at("not_after")?,
            sender: row.try_get("sender")?,
            schedule: row.try_get("schedule")?,
            attempts: count(row.try_get("attempts")?),
            resends: count(row.try_get("resends")?),
            fence: row.try_get("fence")?,
            owner: row.try_get("owner")?,
            attempt_since: at("attempt_since")?,
            unknown_since: at("unknown_since")?,
            lease_until: at("lease_until")?,
            look_at: at("look_at")?,
            email_id: row.try_get("email_id")?,
            schedule_id: row.try_get("schedule_id")?,
            reason: row.try_get("reason")?,
            error: row.try_get("error")?,
            event: row.try_get("event")?,
            created_at: time(row.try_get("created_at")?),
            updated_at: time(row.try_get("updated_at")?),
            sent_at: at("sent_at")?,
            has_mail: row.try_get("has_mail")?,
            reserved: row.try_get("reserved")?,
        }
    }};
}
pub(super) use record;

pub(super) fn state(text: &str) -> Result<State, sqlx::Error> {
    text.parse()
        .map_err(|error: String| sqlx::Error::Decode(error.into()))
}

pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}
