"""Sends with the smtplib of Python, and checks how refusals arrive."""

import os
import smtplib
from email.message import EmailMessage


def connect():
    client = smtplib.SMTP(os.environ["SMTP2GO_SMTP_HOST"], int(os.environ["SMTP2GO_SMTP_PORT"]), timeout=20)
    client.ehlo()
    return client


def message(subject, sender="a@example.com"):
    mail = EmailMessage()
    mail["From"] = sender
    mail["To"] = "b@example.net"
    mail["Bcc"] = "blind@example.org"
    mail["Subject"] = subject
    mail.set_content("Hello\n.\n..dots\n")
    return mail


def refused(error, code, action):
    try:
        action()
    except error as refusal:
        assert refusal.smtp_code == code, refusal
    else:
        raise AssertionError(f"{error.__name__} was expected")


user, password = os.environ["SMTP2GO_SMTP_USERNAME"], os.environ["SMTP2GO_SMTP_PASSWORD"]
with connect() as client:
    refused(smtplib.SMTPAuthenticationError, 535, lambda: client.login(user, "wrong"))
    client.login(user, password)
    assert client.send_message(message("From smtplib")) == {}
    # The address makes smtplib ask for SMTPUTF8.
    assert client.send_message(message("UTF-8 by smtplib", "ä@example.com")) == {}
    assert client.verify("b@example.net")[0] == 252
    try:
        client.sendmail("a@example.com", ["refuse@example.net"], "Subject: Refused\n\nHello")
    except smtplib.SMTPDataError as refusal:
        assert refusal.smtp_code == 550, refusal
    else:
        raise AssertionError("a message to a suppressed recipient was accepted")

with connect() as client:
    refused(smtplib.SMTPSenderRefused, 530, lambda: client.sendmail("a@example.com", ["b@example.net"], "x"))
