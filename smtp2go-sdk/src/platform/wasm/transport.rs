//! An HTTP client over `fetch`, under the names that reqwest uses.
//!
//! reqwest's own client for WebAssembly follows redirects, which would send the mail and the key to
//! another host.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use send_wrapper::SendWrapper;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{
    AbortController, Headers, QueuingStrategy, ReadableStream, ReadableStreamDefaultController,
    ReadableStreamDefaultReader, RequestInit, RequestRedirect,
};

pub(crate) use self::{
    FetchBody as Body, FetchClient as Client, FetchError as Error, FetchRequest as Request,
};
pub(crate) use url::Url;

use super::member;

/// The HTTP client. Has no state: the runtime keeps the connections.
#[derive(Clone, Debug)]
pub(crate) struct FetchClient;

/// A request with a body.
pub(crate) struct FetchRequest {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<FetchBody>,
}

impl FetchRequest {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
        }
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    pub(crate) fn body_mut(&mut self) -> &mut Option<FetchBody> {
        &mut self.body
    }
}

type Frame = Result<Bytes, String>;
type PollFrame = dyn FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<Frame>> + Send;

/// The body of a request. Read only when the runtime asks for bytes.
pub(crate) struct FetchBody {
    poll_frame: Box<PollFrame>,
    /// The exact number of bytes.
    size: Option<u64>,
}

impl FetchBody {
    pub(crate) fn wrap<B>(mut body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Unpin + Send + 'static,
        B::Error: fmt::Display,
    {
        Self {
            size: body.size_hint().exact(),
            poll_frame: Box::new(move |cx| {
                Pin::new(&mut body).poll_frame(cx).map(|frame| {
                    let data =
                        |frame: http_body::Frame<Bytes>| frame.into_data().unwrap_or_default();
                    frame.map(|frame| frame.map(data).map_err(|error| error.to_string()))
                })
            }),
        }
    }
}

/// The runtime's message about a failed request. It does not say whether anything was sent.
pub(crate) struct FetchError(String);

impl FetchError {
    fn new(value: &JsValue) -> Self {
        let message = Reflect::get(value, &"message".into()).unwrap_or_default();
        let text = message.as_string().or_else(|| value.as_string());
        Self(text.unwrap_or_else(|| "the runtime gave no reason".to_owned()))
    }

    /// Returns the error unchanged: its text has no URL.
    pub(crate) fn without_url(self) -> Self {
        self
    }

    /// Always false: the runtime has no timeouts of its own.
    #[allow(clippy::unused_self)]
    pub(crate) fn is_timeout(&self) -> bool {
        false
    }

    /// Always false: the runtime reports a refused connection and a lost one alike.
    #[allow(clippy::unused_self)]
    pub(crate) fn is_connect(&self) -> bool {
        false
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fetch: {}", self.0)
    }
}

impl std::error::Error for FetchError {}

impl FetchClient {
    pub(crate) fn execute(
        &self,
        request: FetchRequest,
    ) -> impl Future<Output = Result<FetchResponse, FetchError>> + Send + use<> {
        // Nothing here leaves the thread: there is only one.
        SendWrapper::new(async move {
            let response = start(request).await;
            response.map_err(|error| FetchError::new(&error))
        })
    }
}

/// The JavaScript side of a request. Aborts it on drop.
struct Exchange {
    abort: AbortController,
    _pull: Option<Closure<dyn FnMut(JsValue) -> Promise>>,
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.abort.abort();
    }
}

async fn start(request: FetchRequest) -> Result<FetchResponse, JsValue> {
    let FetchRequest {
        method,
        mut url,
        headers,
        body,
    } = request;
    let init = RequestInit::new();
    init.set_method(method.as_str());
    // A followed redirect would send the key to another host.
    init.set_redirect(RequestRedirect::Manual);
    init.set_headers(sent_headers(&headers)?.as_ref());
    let abort = AbortController::new()?;
    init.set_signal(Some(&abort.signal()));
    let mut exchange = Exchange { abort, _pull: None };
    if let Some(body) = body {
        let (stream, pull) = stream_of(body)?;
        init.set_body(&stream);
        // Required by the standard for a body that is a stream.
        Reflect::set(&init, &"duplex".into(), &"half".into())?;
        exchange._pull = Some(pull);
    }
    let global = js_sys::global();
    let fetch: Function = member(&global, "fetch").ok_or("the runtime has no function `fetch`")?;
    let sent: Promise = fetch
        .call2(&global, &url.as_str().into(), &init)?
        .dyn_into()?;
    let received: web_sys::Response = JsFuture::from(sent).await?.dyn_into()?;
    // A browser hides a redirect behind the status 0.
    let status: Result<StatusCode, _> = received.status().try_into();
    let status =
        status.map_err(|_| "the runtime reported no status, as browsers do for a redirect")?;
    if let Ok(from) = Url::parse(&received.url()) {
        url = from;
    }
    let reader = received
        .body()
        .map(|body| body.get_reader().unchecked_into());
    Ok(FetchResponse {
        status,
        url,
        headers: received_headers(&received.headers())?,
        rest: SendWrapper::new((reader, exchange)),
    })
}

fn sent_headers(headers: &HeaderMap) -> Result<Headers, JsValue> {
    let sent = Headers::new()?;
    for (name, value) in headers {
        let value = value
            .to_str()
            .map_err(|_| format!("the value of the header {name} is not ASCII"))?;
        sent.append(name.as_str(), value)?;
    }
    Ok(sent)
}

fn received_headers(headers: &Headers) -> Result<HeaderMap, JsValue> {
    let mut received = HeaderMap::new();
    for entry in headers.entries() {
        let entry: js_sys::Array = entry?.dyn_into()?;
        let (Some(name), Some(value)) = (entry.get(0).as_string(), entry.get(1).as_string()) else {
            continue;
        };
        if let (Ok(name), Ok(value)) = (
            HeaderName::try_from(name.as_str()),
            HeaderValue::try_from(value.as_str()),
        ) {
            received.append(name, value);
        }
    }
    Ok(received)
}

/// Returns a stream that reads the body only when the runtime asks for bytes, and the function that
/// the runtime calls for the bytes.
fn stream_of(
    body: FetchBody,
) -> Result<(ReadableStream, Closure<dyn FnMut(JsValue) -> Promise>), JsValue> {
    let source = Object::new();
    if let Some(size) = body.size {
        // Makes Workers send a Content-Length. A request that ends before it is incomplete.
        Reflect::set(&source, &"expectedLength".into(), &(size as f64).into())?;
    }
    let frames = Arc::new(Mutex::new(body.poll_frame));
    let pull = Closure::new(move |stream: JsValue| {
        let frames = frames.clone();
        future_to_promise(async move {
            let stream: ReadableStreamDefaultController = stream.unchecked_into();
            let frame = poll_fn(|cx| {
                let mut poll_frame = frames.lock().unwrap_or_else(PoisonError::into_inner);
                poll_frame(cx)
            });
            match frame.await {
                Some(Ok(bytes)) => {
                    stream.enqueue_with_chunk(&Uint8Array::from(bytes.as_ref()))?;
                }
                Some(Err(error)) => return Err(js_sys::Error::new(&error).into()),
                None => stream.close()?,
            }
            Ok(JsValue::UNDEFINED)
        })
    });
    Reflect::set(&source, &"pull".into(), pull.as_ref())?;
    let strategy = QueuingStrategy::new();
    // The default is to ask for a chunk before anybody reads.
    strategy.set_high_water_mark(0.0);
    let stream = ReadableStream::new_with_underlying_source_and_strategy(&source, &strategy)?;
    Ok((stream, pull))
}

/// A reply whose body has not been read.
pub(crate) struct FetchResponse {
    status: StatusCode,
    url: Url,
    headers: HeaderMap,
    rest: SendWrapper<(Option<ReadableStreamDefaultReader>, Exchange)>,
}

impl FetchResponse {
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(crate) fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }

    /// The value of `Content-Length`.
    pub(crate) fn content_length(&self) -> Option<u64> {
        let length = self.headers.get(http::header::CONTENT_LENGTH)?;
        length.to_str().ok()?.parse().ok()
    }

    /// Returns the next bytes of the body; `None` at the end.
    pub(crate) fn chunk(
        &mut self,
    ) -> impl Future<Output = Result<Option<Bytes>, FetchError>> + Send + use<'_> {
        let (reader, _) = &*self.rest;
        SendWrapper::new(async move {
            let Some(reader) = reader else {
                return Ok(None);
            };
            let chunk = next_chunk(reader).await;
            chunk.map_err(|error| FetchError::new(&error))
        })
    }
}

async fn next_chunk(reader: &ReadableStreamDefaultReader) -> Result<Option<Bytes>, JsValue> {
    let read = JsFuture::from(reader.read()).await?;
    if Reflect::get(&read, &"done".into())?.is_truthy() {
        return Ok(None);
    }
    let bytes: Uint8Array = Reflect::get(&read, &"value".into())?.dyn_into()?;
    Ok(Some(bytes.to_vec().into()))
}
