-- Places an order, and queues its mail in the same transaction. Run it with:
-- psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --file smtp2go-outbox/examples/order.sql

BEGIN;
INSERT INTO orders (id, email) VALUES (42, 'jane@example.net');
INSERT INTO smtp2go_outbox (key, mail) VALUES (
    'order-42/confirmation',
    '{"version": 1, "sender": "Shop <shop@example.com>", "to": ["jane@example.net"],
      "subject": "Your order 42", "text_body": "Thank you."}'
) ON CONFLICT DO NOTHING;
COMMIT;
