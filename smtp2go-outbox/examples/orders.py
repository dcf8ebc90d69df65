"""Places orders, and queues the mail of each order in the same transaction.

    pip install "psycopg[binary]"
    DATABASE_URL=postgres://… python smtp2go-outbox/examples/orders.py

`smtp2go-outbox migrate` creates the table, and `smtp2go-outbox run` sends the mails.
"""

import json
import os

import psycopg


class PaymentFailed(Exception):
    pass


def order(connection, number, email):
    """Returns whether the mail was queued: False if the table already has its key."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO orders (id, email) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (number, email),
        )
        mail = {
            "version": 1,
            "sender": "Shop <shop@example.com>",
            "to": [email],
            "subject": f"Your order {number}",
            "text_body": "Thank you.",
        }
        inserted = connection.execute(
            "INSERT INTO smtp2go_outbox (key, mail) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            (f"order-{number}/confirmation", json.dumps(mail)),
        )
        return inserted.rowcount == 1


with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True) as connection:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS orders (id bigint PRIMARY KEY, email text NOT NULL)"
    )
    for number in range(1, 31):
        order(connection, number, f"customer{number}@example.net")
    with connection.transaction():
        print("order 1 again:", order(connection, 1, "customer1@example.net"))
        print("order 31 in the same transaction:", order(connection, 31, "kim@example.net"))
    try:
        with connection.transaction():
            print("order 32:", order(connection, 32, "lee@example.net"))
            raise PaymentFailed
    except PaymentFailed:
        print("order 32: rolled back")
