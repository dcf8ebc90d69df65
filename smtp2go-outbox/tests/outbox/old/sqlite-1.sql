-- No fence repeats: see decide.rs.
CREATE TABLE smtp2go_outbox_fence (last INTEGER NOT NULL);
INSERT INTO smtp2go_outbox_fence VALUES (0);

-- Times are seconds since 1970.
CREATE TABLE smtp2go_outbox (
    -- Written by the program that queues a mail.
    key           TEXT NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
    mail          TEXT,
    tenant        TEXT NOT NULL DEFAULT '',
    priority      INTEGER NOT NULL DEFAULT 1 CHECK (priority BETWEEN 0 AND 2),
    not_before    REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
                  CHECK (not_before < 1e11),
    not_after     REAL CHECK (not_after < 1e11),

    -- Written by smtp2go-outbox.
    state         TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'sending', 'unknown',
                  'held', 'sent', 'delivered', 'bounced', 'complained', 'rejected', 'cancelled')),
    sender        TEXT GENERATED ALWAYS AS
                  (CASE WHEN json_valid(mail) THEN json_extract(mail, '$.sender') END) VIRTUAL,
    schedule      TEXT GENERATED ALWAYS AS
                  (CASE WHEN json_valid(mail) THEN json_extract(mail, '$.schedule') END) VIRTUAL,
    fence         INTEGER NOT NULL DEFAULT 0,
    owner         TEXT,
    attempt_since REAL,
    unknown_since REAL,
    failing_since REAL,
    lease_until   REAL,
    look_at       REAL,
    attempts      INTEGER NOT NULL DEFAULT 0,
    resends       INTEGER NOT NULL DEFAULT 0,
    reserved      BOOLEAN NOT NULL DEFAULT false,
    email_id      TEXT,
    schedule_id   TEXT,
    reason        TEXT,
    error         TEXT,
    event         TEXT,
    sealed        BLOB,
    created_at    REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0),
    updated_at    REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0),
    sent_at       REAL
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
    name  TEXT NOT NULL PRIMARY KEY,
    until REAL NOT NULL,
    owner TEXT NOT NULL DEFAULT ''
);
