use reqwest::header::HeaderMap;

progenitor::generate_api!(spec = "openapi.json", interface = Builder);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut headers = HeaderMap::new();
    headers.insert(
        "X-Smtp2go-Api-Key",
        std::env::var("SMTP2GO_API_KEY")?.parse()?,
    );
    let http = reqwest::Client::builder()
        .default_headers(headers)
        .build()?;
    let client = Client::new_with_client("https://api.smtp2go.com/v3", http);
    let mail = types::EmailSendRequest::builder()
        .sender("billing@example.com")
        .to(["ana@example.net".to_owned()])
        .subject("Invoice 7".to_owned())
        .text_body("It is ready.".to_owned());
    let sent = client.email_send().body(mail).send().await?.into_inner();
    println!("{}", sent.data.email_id.unwrap_or_default());
    Ok(())
}
