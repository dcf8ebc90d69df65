"""Sends a mail, searches the activity and reads an error with the client that is made of the spec.

Base URL and key come from the environment, as SMTP2GO_BASE_URL and SMTP2GO_API_KEY.
"""

import os

from smtp2go_api import AuthenticatedClient
from smtp2go_api.api.activity import activity_search
from smtp2go_api.api.email import email_send
from smtp2go_api.api.stats import stats_email_cycle
from smtp2go_api.models import (
    ActivitySearchRequest,
    ActivitySearchResponse,
    EmailSendRequest,
    EmailSendResponse,
    EmptyRequest,
    ErrorResponse,
)


def connect(key: str) -> AuthenticatedClient:
    return AuthenticatedClient(
        base_url=os.environ["SMTP2GO_BASE_URL"],
        token=key,
        prefix="",
        auth_header_name="X-Smtp2go-Api-Key",
    )


def sends_mail(client: AuthenticatedClient) -> None:
    sent = email_send.sync(
        client=client,
        body=EmailSendRequest(
            sender="Acme Billing <billing@example.com>",
            to=["Ana Reyes <ana@example.net>"],
            subject="Invoice 7",
            text_body="Your invoice is ready.",
        ),
    )
    assert isinstance(sent, EmailSendResponse), sent
    assert sent.request_id
    assert sent.data.failed == 0
    assert sent.data.email_id


def searches_activity(client: AuthenticatedClient) -> None:
    found = activity_search.sync(
        client=client,
        body=ActivitySearchRequest(event_types=["delivered"], limit=10),
    )
    assert isinstance(found, ActivitySearchResponse), found
    assert isinstance(found.data.events, list)


def reads_errors(client: AuthenticatedClient) -> None:
    refused = email_send.sync_detailed(
        client=client,
        body=EmailSendRequest(sender="", to=[], subject="Invoice 7", text_body="Ready."),
    )
    assert refused.status_code == 400, refused
    assert isinstance(refused.parsed, ErrorResponse), refused
    assert refused.parsed.data.error_code
    assert refused.parsed.data.field_validation_errors.fieldname == "to"

    unknown = stats_email_cycle.sync_detailed(
        client=connect("api-" + "0" * 32), body=EmptyRequest()
    )
    assert unknown.status_code == 401, unknown
    assert isinstance(unknown.parsed, ErrorResponse) and unknown.parsed.request_id


if __name__ == "__main__":
    client = connect(os.environ["SMTP2GO_API_KEY"])
    for check in (sends_mail, searches_activity, reads_errors):
        check(client)
        print("ok", check.__name__)
