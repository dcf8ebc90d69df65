-- Webhook events that were handled, or are being handled: see dedup.rs.
CREATE TABLE smtp2go_outbox_events (
    key   text PRIMARY KEY,
    token bigint,
    until timestamptz NOT NULL
);

CREATE INDEX smtp2go_outbox_events_until ON smtp2go_outbox_events (until);
