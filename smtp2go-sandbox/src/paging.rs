//! Splits lists into pages, with a token for the next page.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use serde_json::Value;

use crate::refusal::Refusal;

/// A page, and the token of the next page if there is one.
#[derive(Debug, PartialEq)]
pub(crate) struct TokenPage<T> {
    pub(crate) items: Vec<T>,
    pub(crate) token: Option<String>,
    /// The items' places in the list.
    places: Vec<ListPlace>,
}

/// Size in bytes after which a page ends early. A row may contain a long mail, and a mail may have a
/// thousand rows.
pub(crate) const BYTES: usize = 16 * 1024 * 1024;

impl<T> TokenPage<T> {
    /// Converts the items to the reply's rows. Beyond [`BYTES`], the page ends early and the token is
    /// set to the item after it. A page has at least one row unless the list is empty.
    pub(crate) fn rows(&mut self, show: impl Fn(&T) -> Value) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut bytes = 0;
        for item in &self.items {
            if bytes > BYTES {
                self.token = self.places.get(rows.len()).copied().map(write_token);
                break;
            }
            let row = show(item);
            bytes += length(&row);
            rows.push(row);
        }
        rows
    }
}

/// Estimates the size of a value's JSON in bytes.
pub(crate) fn length(value: &Value) -> usize {
    let inner: usize = match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(length).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| name.len() + length(member))
            .sum(),
        _ => 0,
    };
    inner + 8
}

fn write_token((one, other): ListPlace) -> String {
    URL_SAFE_NO_PAD.encode(format!("page {one} {other}"))
}

/// An item's place in a list. Places ascend through the list, and don't change if other items are
/// dropped.
pub(crate) type ListPlace = (usize, usize);

/// Numbers the items of a list from which nothing is ever dropped.
pub(crate) fn numbered<T>(
    items: impl IntoIterator<Item = T>,
) -> impl Iterator<Item = (ListPlace, T)> {
    let items = items.into_iter().enumerate();
    items.map(|(number, item)| ((number, 0), item))
}

/// Returns the page of `token`, or the first page. New items must be added at the end of the list.
///
/// An invalid token is refused; the error names its `field`.
pub(crate) fn page<T>(
    items: impl IntoIterator<Item = (ListPlace, T)>,
    size: usize,
    field: &str,
    token: Option<&str>,
) -> Result<TokenPage<T>, Refusal> {
    let start = match token {
        None | Some("") => (0, 0),
        Some(token) => {
            place(token).ok_or_else(|| Refusal::field(field, "The token is not valid."))?
        }
    };
    let items = items.into_iter();
    let mut rest = items.skip_while(|(place, _)| *place < start);
    let (places, items) = rest.by_ref().take(size).unzip();
    let token = rest.next().map(|(place, _)| write_token(place));
    Ok(TokenPage {
        items,
        token,
        places,
    })
}

/// Decodes a token to the place of the page's first item.
fn place(token: &str) -> Option<ListPlace> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let (one, other) = text.strip_prefix("page ")?.split_once(' ')?;
    Some((one.parse().ok()?, other.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn following_tokens_returns_every_item_once() {
        for (count, size, pages) in [(0, 3, 1), (3, 3, 1), (4, 3, 2), (7, 1, 7)] {
            let (mut seen, mut token, mut fetched) = (Vec::new(), None, 0);
            loop {
                let page =
                    page(numbered(0..count), size, "continue_token", token.as_deref()).unwrap();
                assert!(page.items.len() <= size);
                seen.extend(page.items);
                fetched += 1;
                token = page.token;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!((seen, fetched), ((0..count).collect(), pages));
        }
    }

    #[test]
    fn page_of_long_rows_ends_early() {
        // With the 8 bytes that each value counts besides its text, two rows fill a page exactly.
        let text = "x".repeat(BYTES / 2 - 8);
        let (mut seen, mut token) = (0, None);
        for count in [3, 3, 1] {
            let mut page = page(numbered(0..7), 5, "continue_token", token.as_deref()).unwrap();
            let rows = page.rows(|_| text.as_str().into());
            assert_eq!(rows.len(), count);
            seen += count;
            token = page.token;
        }
        assert_eq!((seen, token), (7, None));
    }

    #[test]
    fn dropping_items_between_pages_skips_no_other_item() {
        let all: Vec<_> = numbered(0..10).collect();
        let first = page(all.clone(), 4, "continue_token", None).unwrap();
        assert_eq!(first.items, [0, 1, 2, 3]);
        // Drops the oldest items between the first page and the second.
        for (dropped, expected) in [(0, [4, 5]), (3, [4, 5]), (4, [4, 5]), (6, [6, 7])] {
            let left = all[dropped..].to_vec();
            let second = page(left, 2, "continue_token", first.token.as_deref()).unwrap();
            assert_eq!(second.items, expected, "{dropped}");
        }
    }

    #[test]
    fn invalid_token_is_refused() {
        for token in ["x", "cGFnZSB4", "%"] {
            assert!(page(numbered(0..9), 3, "continue_token", Some(token)).is_err());
        }
    }
}
