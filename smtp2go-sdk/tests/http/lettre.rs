//! Messages composed with lettre.

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MessageBuilder, MultiPart, SinglePart, header};
use lettre::{Address, AsyncTransport, Message};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Certainty, Client, Error, LettreTransport, Mime};

use crate::log_watch::watched;

fn client(sandbox: &Sandbox) -> Client {
    Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap()
}

fn mailbox(text: &str) -> Mailbox {
    text.parse().unwrap()
}

fn to(addresses: &[&str]) -> MessageBuilder {
    let from = Message::builder().from(mailbox("Acme <noreply@example.com>"));
    addresses
        .iter()
        .fold(from.subject("Hello"), |message, address| {
            message.to(mailbox(address))
        })
}

fn envelope(from: Option<&str>, to: &[&str]) -> Envelope {
    let address = |text: &str| text.parse::<Address>().unwrap();
    let to = to.iter().map(|text| address(text)).collect();
    Envelope::new(from.map(address), to).unwrap()
}

fn fields(error: &Error) -> Vec<&str> {
    assert!(error.is_validation());
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::NotSent, 0)
    );
    let fields = error.field_errors().iter();
    fields.map(|problem| problem.field.as_str()).collect()
}

#[tokio::test]
async fn message_sent_by_each_method_arrives_unchanged() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let transport = LettreTransport::new(client.clone());
    let message = to(&["Jane <jane@example.net>"])
        .body("Grüße\r\n".to_owned())
        .unwrap();
    let formatted = message.formatted();
    client.send_mime(&message).await.unwrap();
    client.send_mime(message.clone()).await.unwrap();
    transport.send(message.clone()).await.unwrap();
    let envelope = message.envelope().clone();
    transport.send_raw(&envelope, &formatted).await.unwrap();
    AsyncTransport::send(&client, message.clone())
        .await
        .unwrap();
    client.send_raw(&envelope, &formatted).await.unwrap();
    // `shutdown` has no effect: the transport still sends.
    transport.shutdown().await;
    let sent = transport.fastaccept(true).send(message).await.unwrap();
    assert!(sent.email_id.is_some() && sent.request_id().is_some());

    let mails = sandbox.mails();
    assert_eq!(mails.len(), 7);
    for (index, mail) in mails.iter().enumerate() {
        assert_eq!(mail.mime().as_deref(), Some(formatted.as_slice()));
        assert_eq!(mail.request()["fastaccept"], index == 6);
        assert_eq!(mail.to(), ["Jane <jane@example.net>"]);
    }
}

/// Code that is generic over transports, as users write it.
async fn notify<T>(mailer: &T, message: Message) -> Result<(), T::Error>
where
    T: AsyncTransport + Sync,
{
    mailer.send(message).await.map(drop)
}

#[tokio::test]
async fn client_works_as_generic_transport() {
    let sandbox = Sandbox::builder()
        .fault(Fault::failed("550 no").nth(3))
        .start()
        .await
        .unwrap();
    let client = client(&sandbox);
    let message = to(&["jane@example.net"]).body("Hello".to_owned()).unwrap();
    notify(&client, message.clone()).await.unwrap();
    let boxed: Box<dyn AsyncTransport<Ok = _, Error = Error> + Send + Sync> =
        Box::new(LettreTransport::from(client));
    boxed.send(message.clone()).await.unwrap();
    let error = boxed.send(message).await.unwrap_err();
    assert_eq!(
        (error.certainty(), error.failures()),
        (Certainty::Rejected, &["550 no".to_owned()][..])
    );
    assert_eq!(sandbox.mails().len(), 2);
}

#[tokio::test]
async fn names_and_addresses_of_every_form_are_accepted() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let long = "Quite a long name, with \"quotes\", (brackets) and so on <x@y.example>";
    let many: Vec<_> = (0..40)
        .map(|n| format!("Recipient Number {n}, Ltd. <recipient-{n}@example.net>"))
        .map(|text| {
            let (name, address) = text.split_once(" <").unwrap();
            let address = address.trim_end_matches('>').parse().unwrap();
            Mailbox::new(Some(name.to_owned()), address)
        })
        .collect();
    let mut message = Message::builder()
        .from(Mailbox::new(
            Some("Zoë \u{1f600} Ångström, von der langen Straße in der großen Stadt".to_owned()),
            "zoe@EXAMPLE.com".parse().unwrap(),
        ))
        .to(Mailbox::new(
            Some(long.to_owned()),
            "a@example.net".parse().unwrap(),
        ))
        .cc(mailbox("Jörg <jörg@exämple.org>"))
        .bcc(mailbox("Hidden <hidden@example.org>"))
        .keep_bcc();
    for recipient in many {
        message = message.to(recipient);
    }
    let message = message.body("Hello".to_owned()).unwrap();
    let text = String::from_utf8(message.formatted()).unwrap();
    assert!(
        text.contains("=?utf-8?") && text.contains("\r\n "),
        "{text}"
    );
    assert_eq!(message.envelope().to().len(), 43);
    client.send_mime(message).await.unwrap();
    assert_eq!(sandbox.mails()[0].bcc(), ["Hidden <hidden@example.org>"]);

    // lettre writes these addresses but does not parse them, so a derived envelope lacks them.
    for address in [
        "a.b+c@[192.0.2.1]",
        "u@[2001:db8::1]",
        "\"a b\"@example.org",
    ] {
        let named = || to(&[]).to(Mailbox::new(None, address.parse().unwrap()));
        let complete = named().envelope(envelope(Some("noreply@example.com"), &[address]));
        client
            .send_mime(complete.body("Hello".to_owned()).unwrap())
            .await
            .unwrap();
        let derived = named().cc(mailbox("jane@example.net"));
        let derived = derived.body("Hello".to_owned()).unwrap();
        assert_eq!(derived.envelope().to().len(), 1, "{address}");
        let error = client.send_mime(derived).await.unwrap_err();
        assert_eq!(fields(&error), ["envelope.to"]);
    }
}

#[tokio::test]
async fn headers_written_by_other_programs_are_read() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let envelope = envelope(Some("a@example.com"), &["b@example.net", "c@EXAMPLE.org"]);
    for headers in [
        "From: a@example.com\r\nTo: b@example.net, c@example.org\r\n",
        "from: A <a@example.com>\nTO:\n b@example.net\nCc: C <c@example.org>\n",
        "From: x@example.com\r\nSender: a@EXAMPLE.com\r\nTo: Team: b@example.net,\r\n\tc@example.org;\r\n",
        "From: a@example.com\r\nTo: undisclosed-recipients:;\r\nBcc: b@example.net\r\nbcc: c@example.org\r\n",
        "From: a@example.com (A, \\) B)\r\nTo: \"b\"@example.net (b), <@relay.example:c@Example.Org>\r\n",
        "Received: by x\r\n for <d@example.net>; today\r\nFrom: a@example.com\r\nReply-To: e@example.net\r\nTo: \"c@d, e\" <b@example.net>,, =?utf-8?q?c=40d=2C?= <c@example.org>\r\n",
    ] {
        // A body that is not UTF-8 and contains text like a header.
        let mut message = format!("{headers}\r\nTo: z@example.net\r\n").into_bytes();
        message.extend_from_slice(b"caf\xe9\r\n");
        if let Err(error) = client.send_raw(&envelope, &message).await {
            panic!("{headers}: {error}");
        }
        let mails = sandbox.mails();
        assert_eq!(
            mails.last().unwrap().mime().as_deref(),
            Some(message.as_slice())
        );
    }
}

#[tokio::test]
async fn envelope_that_differs_from_the_headers_is_refused_by_field() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let headers = b"From: a@example.com\r\nTo: b@example.net\r\n\r\nTo: c@example.net\r\n";
    for (from, to, expected, says) in [
        (Some("a@example.com"), &["b@example.net"][..], &[][..], ""),
        // The null sender, which bounces have.
        (None, &["b@example.net"], &[], ""),
        (
            Some("a@example.com"),
            &["b@example.net", "c@example.net"],
            &["envelope.to[1]"],
            "c@example.net",
        ),
        (
            Some("a@example.org"),
            &["b@example.net"],
            &["envelope.from"],
            "a@example.org",
        ),
        (
            Some("z@example.com"),
            &["c@example.net"],
            &["envelope.from", "envelope.to[0]", "envelope.to"],
            "b@example.net",
        ),
        (
            Some("a@example.com"),
            &["B@example.net"],
            &["envelope.to[0]", "envelope.to"],
            "B@",
        ),
    ] {
        let before = sandbox.calls().len();
        let envelope = envelope(from, to);
        match client.send_raw(&envelope, headers).await {
            Ok(_) => assert!(expected.is_empty(), "{envelope:?}"),
            Err(error) => {
                assert_eq!(fields(&error), expected, "{error}");
                assert!(error.to_string().contains(says), "{error}");
                assert!(!format!("{error:?}").contains('@'), "{error:?}");
                assert_eq!(sandbox.calls().len(), before);
            }
        }
    }
    // An address that would be read differently in a header is refused.
    let odd = Address::new_dangerous("x, b", "example.net");
    let envelope = Envelope::new(None, vec![odd]).unwrap();
    let error = client.send_raw(&envelope, headers).await.unwrap_err();
    assert_eq!(fields(&error), ["envelope.to[0]", "envelope.to"]);
}

#[tokio::test]
async fn hidden_copies_are_refused_unless_bcc_is_kept_or_restored() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let builder = || {
        to(&["jane@example.net"])
            .bcc(mailbox("Hidden <hidden@example.org>"))
            .bcc(mailbox("other@example.org"))
    };
    let message = builder().body("Hello".to_owned()).unwrap();
    let error = client.send_mime(&message).await.unwrap_err();
    assert_eq!(fields(&error), ["envelope.to[1]", "envelope.to[2]"]);
    assert!(error.to_string().contains("hidden@example.org"), "{error}");
    let transport = LettreTransport::new(client.clone());
    let error = transport.send(message.clone()).await.unwrap_err();
    assert_eq!(fields(&error).len(), 2);
    assert_eq!(sandbox.calls().len(), 0);

    let kept = builder().keep_bcc().body("Hello".to_owned()).unwrap();
    client.send_mime(Mime::from(kept)).await.unwrap();
    let restoring = transport.restore_bcc(true);
    restoring.send(message.clone()).await.unwrap();
    client
        .send_mime(Mime::from(&message).restore_bcc())
        .await
        .unwrap();
    let mails = sandbox.mails();
    assert_eq!(
        mails[0].bcc(),
        ["Hidden <hidden@example.org>", "other@example.org"]
    );
    for mail in &mails[1..] {
        assert_eq!(mail.bcc(), ["hidden@example.org", "other@example.org"]);
        assert_eq!(mail.to(), ["jane@example.net"]);
        // The rest of the message is unchanged.
        assert!(mail.mime().unwrap().ends_with(&message.formatted()));
    }

    // A message whose headers name all recipients is sent unchanged.
    let plain = to(&["jane@example.net"]).body("Hello".to_owned()).unwrap();
    restoring.send(plain.clone()).await.unwrap();
    let bytes = Mime::from_bytes(plain.formatted()).restore_bcc();
    client.send_mime(bytes).await.unwrap();
    for mail in &sandbox.mails()[3..] {
        assert_eq!(mail.mime().as_deref(), Some(plain.formatted().as_slice()));
    }
    // Another sender, and a recipient that only the headers name, are still refused.
    let other = envelope(Some("x@example.com"), &["hidden@example.org"]);
    let error = restoring
        .send_raw(&other, &plain.formatted())
        .await
        .unwrap_err();
    assert_eq!(fields(&error), ["envelope.from", "envelope.to"]);
}

#[tokio::test]
async fn headers_changed_after_building_are_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let mut message = to(&["jane@example.net"]).body("Hello".to_owned()).unwrap();
    let name = HeaderName::new_from_ascii_str("To");
    let group = HeaderValue::new(name, "Team: jane@example.net, joe@example.net;".to_owned());
    message.headers_mut().insert_raw(group);
    let error = client(&sandbox).send_mime(message).await.unwrap_err();
    assert_eq!(fields(&error), ["envelope.to"]);
    assert!(error.to_string().contains("joe@example.net"), "{error}");
}

#[tokio::test]
async fn large_attachment_arrives_unchanged_and_too_large_one_is_refused() {
    let sandbox = Sandbox::start().await.unwrap();
    let client = client(&sandbox);
    let data: Vec<u8> = (0..1_000_003_u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    let file = Attachment::new("data.bin".to_owned())
        .body(data, "application/octet-stream".parse().unwrap());
    let text = MultiPart::alternative_plain_html("Grüße".to_owned(), "<p>Grüße".to_owned());
    let parts = MultiPart::mixed().multipart(text).singlepart(file);
    let message = to(&["jane@example.net"]).multipart(parts).unwrap();
    client.send_mime(&message).await.unwrap();
    assert!(sandbox.mails()[0].mime() == Some(message.formatted()));

    // The encoded size, which is computed, exceeds the limit.
    let part = SinglePart::builder()
        .header(header::ContentType::TEXT_PLAIN)
        .header(header::ContentTransferEncoding::Binary)
        .body(vec![b'x'; 40_000_000]);
    let message = to(&["jane@example.net"]).singlepart(part).unwrap();
    let error = client.send_mime(message).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(
        error.to_string().contains("the limit of 52428800 bytes"),
        "{error}"
    );
    assert_eq!(sandbox.calls().len(), 1);
}

#[tokio::test]
async fn test_connection_returns_whether_the_key_may_send_mime() {
    for (data, allowed) in [
        (serde_json::json!(["/email/*"]), true),
        (serde_json::json!(["/email/send"]), false),
        (serde_json::json!([]), false),
    ] {
        let reply = serde_json::json!({"request_id": "r", "data": data});
        let sandbox = Sandbox::builder()
            .fault(Fault::status(200).json(&reply))
            .start()
            .await
            .unwrap();
        let transport = LettreTransport::new(client(&sandbox));
        assert_eq!(transport.test_connection().await.unwrap(), allowed);
        assert_eq!(sandbox.calls()[0].operation(), Some("api_keys_permissions"));
    }
    let sandbox = Sandbox::start().await.unwrap();
    let stranger = Client::builder(watched(crate::support::KEY))
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    let error = LettreTransport::new(stranger)
        .test_connection()
        .await
        .unwrap_err();
    assert!(error.is_auth());
}

#[tokio::test]
async fn send_all_takes_messages() {
    let sandbox = Sandbox::start().await.unwrap();
    let message = |to_whom: &str| to(&[to_whom]).body("Hi".to_owned()).unwrap();
    let messages = [message("a@example.net"), message("b@example.net")];
    let client = client(&sandbox);
    let mut sending = client.send_all(messages.clone(), 2);
    while let Some(outcome) = sending.next().await {
        outcome.result.unwrap();
    }
    let mut sending = client.send_all(messages.map(|message| ("key", message)), 2);
    while let Some(outcome) = sending.next().await {
        assert_eq!(outcome.key, "key");
        outcome.result.unwrap();
    }
    assert_eq!(sandbox.mails().len(), 4);
}

#[cfg(feature = "blocking")]
mod blocking {
    use lettre::Transport;
    use smtp2go_sdk::IdempotencyKey;
    use smtp2go_sdk::blocking::{Client, LettreTransport};

    use super::*;

    fn client(sandbox: &Sandbox) -> Client {
        Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap()
    }

    /// Code that is generic over lettre's blocking transports.
    fn greet<T: Transport>(mailer: &T) -> Result<T::Ok, T::Error> {
        let message = to(&["Jane <jane@example.net>"]).header(IdempotencyKey::new("greeting-1"));
        mailer.send(&message.body("Hi".to_owned()).unwrap())
    }

    #[test]
    fn client_and_transport_send_messages() {
        let sandbox = Sandbox::start_blocking().unwrap();
        let client = client(&sandbox);
        let transport = LettreTransport::new(client.clone());
        greet(&client).unwrap();
        greet(&transport).unwrap();
        let message = to(&["jane@example.net"]).body("Hi".to_owned()).unwrap();
        transport
            .send_raw(message.envelope(), &message.formatted())
            .unwrap();
        let mails = sandbox.mails();
        assert_eq!(mails.len(), 3);
        let mime = mails[0].mime().unwrap();
        let mime = String::from_utf8(mime).unwrap();
        assert_eq!(
            mime.matches("X-Idempotency-Key: greeting-1").count(),
            1,
            "{mime}"
        );
        assert!(transport.test_connection().unwrap());
    }

    #[test]
    fn hidden_recipient_is_an_error_unless_restored() {
        let sandbox = Sandbox::start_blocking().unwrap();
        let transport = LettreTransport::new(client(&sandbox));
        let message = to(&["a@example.net"]).bcc(mailbox("b@example.net"));
        let message = message.body("Hi".to_owned()).unwrap();
        let error = transport.send(&message).unwrap_err();
        assert_eq!(fields(&error), ["envelope.to[1]"]);
        transport.restore_bcc(true).send(&message).unwrap();
        assert_eq!(sandbox.mails()[0].bcc(), ["b@example.net"]);
    }
}
