//! Long encoded texts of a request: the content of attachments and of MIME messages.
//!
//! They are kept once, in the body of the call; a mail refers to their ranges there.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use axum::body::Bytes;
use memchr::{memchr, memchr2};
use serde_json::{Map, Value};

use crate::data::{Literal, interned};
use crate::mail::list;
use crate::weight::Weight;

/// Minimum length in bytes. Shorter texts are copied into the mail.
const LONG: usize = 512;

/// Maximum number of candidates that are compared with a text. Limits the cost of many texts with the
/// same length and end.
const COMPARED: usize = 8;

/// The long texts of a mail.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Blobs {
    /// The body of the call, if a blob refers to it. If the mail came over SMTP, the message; `blobs`
    /// is empty then.
    #[serde(skip)]
    body: Bytes,
    blobs: Vec<Blob>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Blob {
    #[serde(deserialize_with = "interned")]
    field: Literal,
    index: usize,
    size: usize,
    place: BlobPlace,
}

#[derive(serde::Serialize, serde::Deserialize)]
enum BlobPlace {
    /// The range of the JSON string in the body, including the quotes.
    Body(Range<usize>),
    /// A copy, because the text was not found in the body.
    Own(String),
}

/// The ranges of long JSON strings in a body, by their length and last bytes.
pub(crate) struct Texts {
    body: Bytes,
    found: HashMap<(usize, [u8; 16]), Vec<Range<usize>>>,
}

impl Texts {
    pub(crate) fn new(body: &Bytes) -> Self {
        let mut found: HashMap<_, Vec<_>> = HashMap::new();
        let mut rest = 0;
        // In valid JSON, every quote outside a string starts one.
        while let Some(range) = next_text(body, rest) {
            rest = range.end;
            if range.len() > LONG
                && let Some(text) = unescape(body, &range)
            {
                found.entry(look(&text)).or_default().push(range);
            }
        }
        Self {
            body: body.clone(),
            found,
        }
    }

    fn find(&self, text: &str) -> Option<Range<usize>> {
        let alike = self.found.get(&look(text))?.iter().take(COMPARED);
        let mut same =
            alike.filter(|range| unescape(&self.body, range).is_some_and(|it| it == text));
        same.next().cloned()
    }
}

/// Finds the next JSON string, including its quotes.
fn next_text(body: &[u8], from: usize) -> Option<Range<usize>> {
    let start = from + memchr(b'"', body.get(from..)?)?;
    let mut end = start + 1;
    loop {
        end += memchr2(b'"', b'\\', body.get(end..)?)?;
        if body.get(end) == Some(&b'"') {
            return Some(start..end + 1);
        }
        end += 2;
    }
}

fn unescape<'a>(body: &'a [u8], range: &Range<usize>) -> Option<Cow<'a, str>> {
    let literal = body.get(range.clone())?;
    if memchr(b'\\', literal).is_none() {
        let inner = literal.get(1..literal.len().checked_sub(1)?)?;
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(literal)
        .ok()
        .map(Cow::Owned)
}

/// Returns the length and the last bytes of a text. The first bytes are not used, because files of the
/// same kind begin alike.
fn look(text: &str) -> (usize, [u8; 16]) {
    let bytes = text.as_bytes();
    let last = bytes.last_chunk().copied().unwrap_or_default();
    (bytes.len(), last)
}

/// Whether a request has a long text in one of its blob fields.
fn has_long(request: &Value) -> bool {
    let is_long = |value: &Value| value.as_str().is_some_and(|text| text.len() >= LONG);
    let files = ["attachments", "inlines"].into_iter();
    let mut files = files.flat_map(|field| list(request, field));
    request.get("mime_email").is_some_and(is_long)
        || files.any(|file| file.get("fileblob").is_some_and(is_long))
}

impl Blobs {
    /// Removes the long texts from a request, and returns both.
    pub(crate) fn take_out(
        request: Arc<Value>,
        texts: &mut Option<Texts>,
        body: &Bytes,
    ) -> (Arc<Value>, Self) {
        let mut blobs = Self::default();
        let Some(members) = request.as_object().filter(|_| has_long(&request)) else {
            return (request, blobs);
        };
        let mut rest = Map::new();
        for (name, value) in members {
            let field = match name.as_str() {
                "attachments" => "attachments",
                "inlines" => "inlines",
                "mime_email" => {
                    if !blobs.take("mime_email", 0, value, texts, body) {
                        rest.insert(name.clone(), value.clone());
                    }
                    continue;
                }
                _ => {
                    rest.insert(name.clone(), value.clone());
                    continue;
                }
            };
            let files = list(&request, field).iter().enumerate();
            let files = files.map(|(index, file)| {
                let Value::Object(members) = file else {
                    return file.clone();
                };
                let mut kept = Map::new();
                for (name, value) in members {
                    if name != "fileblob" || !blobs.take(field, index, value, texts, body) {
                        kept.insert(name.clone(), value.clone());
                    }
                }
                Value::Object(kept)
            });
            let files = files.collect();
            rest.insert(name.clone(), files);
        }
        (Arc::new(Value::Object(rest)), blobs)
    }

    /// Wraps a message that was received over SMTP.
    pub(crate) fn of_message(message: Bytes) -> Self {
        Self {
            body: message,
            blobs: Vec::new(),
        }
    }

    /// The message that was received over SMTP. `None` if the mail came over HTTP or the message is
    /// empty.
    pub(crate) fn message(&self) -> Option<&Bytes> {
        self.body().filter(|_| self.blobs.is_empty())
    }

    /// Moves a text into the blobs if it is long. Returns whether it was moved.
    fn take(
        &mut self,
        field: &'static str,
        index: usize,
        value: &Value,
        texts: &mut Option<Texts>,
        body: &Bytes,
    ) -> bool {
        let Value::String(text) = value else {
            return false;
        };
        if text.len() < LONG {
            return false;
        }
        let texts = texts.get_or_insert_with(|| Texts::new(body));
        let place = match texts.find(text) {
            Some(range) => {
                self.body = body.clone();
                BlobPlace::Body(range)
            }
            None => BlobPlace::Own(text.clone()),
        };
        self.blobs.push(Blob {
            field,
            index,
            size: text.len(),
            place,
        });
        true
    }

    /// Adds the body, which is a separate record in a data file.
    #[cfg(feature = "data")]
    pub(crate) fn with_body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    /// The body, unless it is empty.
    pub(crate) fn body(&self) -> Option<&Bytes> {
        (!self.body.is_empty()).then_some(&self.body)
    }

    /// Total size of a field's texts in bytes.
    pub(crate) fn size(&self, field: &str) -> usize {
        let blobs = self.blobs.iter().filter(|blob| blob.field == field);
        blobs.map(|blob| blob.size).sum()
    }

    /// Returns the text of a field's item.
    pub(crate) fn read(&self, field: &str, index: usize) -> Option<Cow<'_, str>> {
        let mut blobs = self.blobs.iter();
        let blob = blobs.find(|blob| blob.field == field && blob.index == index)?;
        self.text(blob)
    }

    fn text<'a>(&'a self, blob: &'a Blob) -> Option<Cow<'a, str>> {
        match &blob.place {
            BlobPlace::Body(range) => unescape(&self.body, range),
            BlobPlace::Own(text) => Some(text.as_str().into()),
        }
    }

    /// Puts all texts back into the request.
    pub(crate) fn put_back(&self, request: &mut Value) {
        for blob in &self.blobs {
            let text = Value::from(self.text(blob).unwrap_or_default());
            let place = match blob.field {
                "mime_email" => Some(&mut *request),
                field => request
                    .get_mut(field)
                    .and_then(|list| list.get_mut(blob.index)),
            };
            let name = match blob.field {
                "mime_email" => "mime_email",
                _ => "fileblob",
            };
            if let Some(Value::Object(members)) = place {
                members.insert(name.to_owned(), text);
            }
        }
    }
}

impl Weight for Blobs {
    fn weight(&self) -> usize {
        let own = self.blobs.iter().map(|blob| match &blob.place {
            BlobPlace::Body(_) => 0,
            BlobPlace::Own(text) => text.weight(),
        });
        self.blobs.capacity() * size_of::<Blob>() + own.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn request_without_its_long_texts_is_restored_from_the_body() {
        let (one, other) = ("QUJD/+Zm".repeat(200), "enp6".repeat(400));
        let file = |text: &str| json!({ "filename": "a.bin", "fileblob": text });
        for request in [
            json!({ "sender": "a", "attachments": [file(&one), file("aGk="), file(&other)] }),
            json!({ "inlines": [file(&one)], "attachments": [file(&one)], "text_body": one }),
            json!({ "mime_email": other }),
            json!({ "attachments": [file(&one), 7], "text_body": "a \"quoted\" \\ text" }),
            json!({ "sender": "a" }),
        ] {
            let plain = request.to_string();
            // PHP escapes slashes.
            let escaped = plain.replace('/', "\\/");
            for body in [plain, escaped] {
                let body = Bytes::from(body);
                let whole = Arc::new(request.clone());
                let (rest, blobs) = Blobs::take_out(whole, &mut None, &body);
                assert!(rest.to_string().len() < 3_000, "{rest}");
                assert!(blobs.weight() < 1_000, "kept twice: {body:?}");
                let mut again = Value::clone(&rest);
                blobs.put_back(&mut again);
                assert_eq!(again, request);
            }
        }
    }

    #[test]
    fn text_that_is_not_in_the_body_is_copied() {
        let request = json!({ "mime_email": "a".repeat(1_000) });
        let (rest, blobs) = Blobs::take_out(Arc::new(request), &mut None, &Bytes::new());
        assert_eq!((&*rest, blobs.body()), (&json!({}), None));
        assert_eq!(blobs.read("mime_email", 0).unwrap().len(), 1_000);
        assert!(blobs.weight() >= 1_000);
    }
}
