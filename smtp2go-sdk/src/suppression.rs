//! Looks up everything that stops mail to an address.

use smtp2go_types::{Suppression, SuppressionViewRequest};

use crate::Error;
use crate::generated::groups::SuppressionGroup;

/// Start of the search: a date before the service existed.
const START: &str = "2000-01-01T00:00:00Z";

/// End of the search: a date after any entry, so that a wrong local clock does not matter.
const END: &str = "2100-01-01T00:00:00Z";

impl SuppressionGroup<'_> {
    /// Returns all suppressions of an address or domain, whatever their age: those of the address
    /// itself, and of its domain and the domains above that. Empty if the address is not suppressed.
    ///
    /// [`view`](Self::view) without dates omits entries from today and from more than 30 days ago. This
    /// method sets both dates, 2000 to 2100, and reads all pages. Letter case is ignored.
    /// Inferred, not documented: the API accepts such dates, and returns the entries of a domain for an
    /// address of that domain.
    ///
    /// ```no_run
    /// # async fn example(client: smtp2go_sdk::Client) -> Result<(), smtp2go_sdk::Error> {
    /// for entry in client.suppression().lookup("kim@example.net").await? {
    ///     println!("{:?} since {:?}", entry.reason, entry.timestamp);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) if the address is empty. Otherwise the errors of a call.
    pub async fn lookup(&self, address: impl AsRef<str>) -> Result<Vec<Suppression>, Error> {
        let address = address.as_ref().trim();
        if address.is_empty() {
            return Err(Error::config("suppression lookup: the address is empty"));
        }
        let request = SuppressionViewRequest::new()
            .email_address(address)
            .start_date(START)
            .end_date(END);
        let mut entries = self.view_all(request);
        let mut found = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            let suppressed = entry.email_address.as_deref().unwrap_or_default();
            if covers(suppressed, address) {
                found.push(entry);
            }
        }
        Ok(found)
    }
}

/// Whether an entry for an address or a domain stops mail to an address or a domain.
fn covers(entry: &str, address: &str) -> bool {
    let [entry, address] = [entry, address].map(|text| {
        let text = text.trim();
        text.strip_prefix('@').unwrap_or(text).to_lowercase()
    });
    // The entry is the whole address or domain, or a domain after `@` or `.`.
    let rest = address.strip_suffix(&entry);
    !entry.is_empty()
        && rest.is_some_and(|rest| {
            rest.is_empty() || !entry.contains('@') && rest.ends_with(['@', '.'])
        })
}

#[cfg(test)]
mod tests {
    use super::covers;

    #[test]
    fn entry_covers_its_address_or_domain() {
        for (entry, address, expected) in [
            ("kim@example.net", "KIM@Example.net", true),
            ("Kim@example.net", " kim@example.net", true),
            ("example.net", "kim@example.net", true),
            ("@Example.net", "kim@example.net", true),
            ("example.net", "kim@mail.example.net", true),
            ("example.net", "@example.net", true),
            ("mail.example.net", "kim@example.net", false),
            ("ample.net", "kim@example.net", false),
            ("kim@example.net", "example.net", false),
            ("kim@example.net", "joe.kim@example.net", false),
            ("", "kim@example.net", false),
            ("@", "kim@example.net", false),
        ] {
            assert_eq!(covers(entry, address), expected, "{entry} {address}");
        }
    }
}
