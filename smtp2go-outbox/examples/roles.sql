-- Roles for an application, which only queues mails, and for workers. Run it as the owner of the tables:
-- psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --file smtp2go-outbox/examples/roles.sql

CREATE ROLE shop LOGIN;
GRANT INSERT (key, mail, tenant, priority, not_before, not_after) ON smtp2go_outbox TO shop;

CREATE ROLE mailer LOGIN;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON smtp2go_outbox, smtp2go_outbox_gate, smtp2go_outbox_events TO mailer;
GRANT SELECT ON smtp2go_outbox_migrations TO mailer;
GRANT USAGE ON SEQUENCE smtp2go_outbox_fence TO mailer;
