//! A receiver in actix-web, which has its own HTTP types: the request is passed to the receiver in
//! parts.

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use actix_web::web::{Bytes, Data};
use actix_web::{HttpRequest, HttpResponse};
use smtp2go_sdk::webhook::{Event, IntoStatus, Receiver, RequestHead};

/// Passes the event of a request to the handler, and returns the reply.
pub async fn webhook<F, R>(
    request: &HttpRequest,
    body: &Bytes,
    receiver: &Receiver,
    handler: impl FnOnce(Event) -> F,
) -> HttpResponse
where
    F: Future<Output = R>,
    R: IntoStatus,
{
    let header = |name: HeaderName| request.headers().get(name);
    let target = request.uri().path_and_query();
    let head = RequestHead::new(target.map_or("", |target| target.as_str()))
        .authorization(header(AUTHORIZATION).map(|value| value.as_bytes()))
        .content_type(header(CONTENT_TYPE).and_then(|value| value.to_str().ok()))
        .peer(request.peer_addr().map(|peer| peer.ip()));
    let answer = receiver.handle(&head, body, handler).await;
    let status = StatusCode::from_u16(answer.status().as_u16());
    let mut response = HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    match answer.refusal() {
        Some(refusal) => {
            if let Some(challenge) = refusal.challenge() {
                response.insert_header(("www-authenticate", challenge));
            }
            response.body(refusal.to_string())
        }
        None => response.finish(),
    }
}

/// A handler for a route. The application's data is the [`Receiver`].
pub async fn print(request: HttpRequest, body: Bytes, receiver: Data<Receiver>) -> HttpResponse {
    webhook(&request, &body, &receiver, |event| async move {
        println!("{:?}", event.name());
    })
    .await
}
