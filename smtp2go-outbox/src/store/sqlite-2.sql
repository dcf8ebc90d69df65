-- Webhook events that were handled, or are being handled: see dedup.rs.
CREATE TABLE smtp2go_outbox_events (
    key   TEXT NOT NULL PRIMARY KEY,
    token INTEGER,
    until REAL NOT NULL
);

CREATE INDEX smtp2go_outbox_events_until ON smtp2go_outbox_events (until);
