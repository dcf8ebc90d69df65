import os

from smtp2go_api import AuthenticatedClient
from smtp2go_api.api.email import email_send
from smtp2go_api.models import EmailSendRequest, EmailSendResponse

client = AuthenticatedClient(
    base_url="https://api.smtp2go.com/v3",
    token=os.environ["SMTP2GO_API_KEY"],
    prefix="",
    auth_header_name="X-Smtp2go-Api-Key",
)
mail = EmailSendRequest(
    sender="billing@example.com", to=["ana@example.net"], subject="Invoice 7", text_body="It is ready."
)
sent = email_send.sync(client=client, body=mail)
if not isinstance(sent, EmailSendResponse):
    raise SystemExit(f"not sent: {sent}")
print(sent.data.email_id)
