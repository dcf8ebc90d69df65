//! A receiver in actix-web.
//!
//! ```text
//! WEBHOOK_TOKEN=… cargo run --manifest-path tests/receivers/Cargo.toml --example actix
//! ```

use actix_web::web::{Data, post};
use actix_web::{App, HttpServer};
use receivers::actix::print;
use smtp2go_sdk::webhook::{Auth, Receiver};

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let receiver = Receiver::new(Auth::bearer(std::env::var("WEBHOOK_TOKEN")?)?);
    let data = Data::new(receiver);
    let app = move || {
        App::new()
            .app_data(data.clone())
            .route("/webhook", post().to(print))
    };
    HttpServer::new(app)
        .bind(("127.0.0.1", 8080))?
        .run()
        .await?;
    Ok(())
}
