"""Sends with the official client for Python: its base URL is a constant of its module."""

import os

import smtp2go.core
from smtp2go.core import Smtp2goClient

smtp2go.core.API_ROOT = os.environ["SMTP2GO_BASE_URL"] + "/"


def send(subject):
    # The key is taken from SMTP2GO_API_KEY.
    return Smtp2goClient().send(
        sender="Acme <noreply@example.com>",
        recipients=["Jane <jane@example.net>"],
        subject=subject,
        text="Hello",
        html="<p>Hello</p>",
        custom_headers={"Reply-To": "help@example.com"},
    )


sent = send("From Python")
assert sent.status_code == 200 and sent.success, sent.json
assert sent.json["data"]["email_id"], sent.json

failed = send("From Python, in vain")
assert failed.status_code == 200 and not failed.success, failed.json
assert failed.errors == ["550 no such mailbox"], failed.json
