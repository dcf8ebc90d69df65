fn main() {
    smtp2go::Email::new()
        .from("a@example.com")
        .to(&["jane@example.net".to_owned()])
        .subject("Hi")
        .text_body("Hello")
        .send()
        .unwrap();
}
