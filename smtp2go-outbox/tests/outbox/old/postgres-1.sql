-- No fence repeats: see decide.rs.
CREATE SEQUENCE smtp2go_outbox_fence;

CREATE TABLE smtp2go_outbox (
    -- Written by the program that queues a mail.
    key           text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    mail          json,
    tenant        text NOT NULL DEFAULT '',
    priority      smallint NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 2),
    not_before    timestamptz NOT NULL DEFAULT clock_timestamp(),
    not_after     timestamptz,

    -- Written by smtp2go-outbox.
    state         text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'unknown',
                  'held', 'sent', 'delivered', 'bounced', 'complained', 'rejected', 'cancelled')),
    sender        text GENERATED ALWAYS AS (mail ->> 'sender') STORED,
    schedule      text GENERATED ALWAYS AS (mail ->> 'schedule') STORED,
    fence         bigint NOT NULL DEFAULT 0,
    owner         text,
    attempt_since timestamptz,
    unknown_since timestamptz,
    failing_since timestamptz,
    lease_until   timestamptz,
    look_at       timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    resends       integer NOT NULL DEFAULT 0,
    reserved      boolean NOT NULL DEFAULT false,
    email_id      text,
    schedule_id   text,
    reason        text,
    error         text,
    event         text,
    sealed        bytea,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    sent_at       timestamptz
);

-- Claims read one entry of one priority, and none of the future.
CREATE INDEX smtp2go_outbox_due ON smtp2go_outbox (priority, not_before) WHERE state = 'queued';
CREATE INDEX smtp2go_outbox_failing ON smtp2go_outbox (failing_since) WHERE failing_since IS NOT NULL;
CREATE INDEX smtp2go_outbox_lease ON smtp2go_outbox (lease_until) WHERE state = 'sending';
CREATE INDEX smtp2go_outbox_look ON smtp2go_outbox (look_at) WHERE state = 'unknown';
CREATE INDEX smtp2go_outbox_held ON smtp2go_outbox (state, key) WHERE state IN ('held', 'rejected');
CREATE INDEX smtp2go_outbox_email_id ON smtp2go_outbox (email_id) WHERE email_id IS NOT NULL;

-- Times before which something must not happen, shared by all workers.
CREATE TABLE smtp2go_outbox_gate (
    name  text PRIMARY KEY,
    until timestamptz NOT NULL,
    owner text NOT NULL DEFAULT ''
);

CREATE FUNCTION smtp2go_outbox_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('smtp2go_outbox', '');
    RETURN NULL;
END
$$;

CREATE TRIGGER smtp2go_outbox_notify AFTER INSERT ON smtp2go_outbox
    FOR EACH STATEMENT EXECUTE FUNCTION smtp2go_outbox_notify();
