//! A contact form in a Cloudflare Worker: mails the fields `name`, `email` and `message` to the site.

use serde_json::json;
use smtp2go_sdk::{Certainty, Client, Email, Mailbox};
use worker::{Context, Env, Request, Response, event};

/// The status, the invalid field, and the message for the visitor.
type Refusal = (u16, &'static str, &'static str);

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> worker::Result<Response> {
    let (status, body) = match send(request, env).await {
        Ok(()) => (200, json!({"ok": true})),
        Err((status, field, error)) => (status, json!({"field": field, "error": error})),
    };
    Ok(Response::from_json(&body)?.with_status(status))
}

async fn send(mut request: Request, env: Env) -> Result<(), Refusal> {
    let form = request
        .form_data()
        .await
        .map_err(|_| (400, "", "send a form with POST"))?;
    let field = |name| match form.get_field(name) {
        Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        _ => Err((400, name, "fill in this field")),
    };
    let (name, email, message) = (field("name")?, field("email")?, field("message")?);
    if !Mailbox::new(&email).is_valid() {
        return Err((400, "email", "not an email address"));
    }

    let variable = |name: &str| env.var(name).ok().map(|value| value.to_string());
    // One client for each request: requests can't share connections or wake each other.
    let client = Client::from_lookup(variable).map_err(|_| (500, "", "not set up"))?;
    let site = variable("SITE_ADDRESS").unwrap_or_default();
    let [html_name, html_email, html_message] = [&name, &email, &message].map(escape);
    let mail = Email::new(&site, "Message from the contact form")
        .to(&site)
        .reply_to(Mailbox::new(&email))
        .text(format!("{name} <{email}>:\n\n{message}"))
        .html(format!(
            "<p>{html_name} &lt;{html_email}&gt;:</p><pre>{html_message}</pre>"
        ));
    let sent = client.send(mail).await;
    sent.map(drop).map_err(|error| match error.certainty() {
        // Sending it again could send it twice.
        Certainty::Unknown => (502, "", "your message may not have arrived"),
        _ => (502, "", "your message was not sent: try again"),
    })
}

fn escape(text: &String) -> String {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}
