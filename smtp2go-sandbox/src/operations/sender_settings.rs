//! Settings that API keys, SMTP users and authenticated IP addresses share.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::dedicated_ips;
use super::fields::{check_address, flag, integer, text, word};
use crate::account::KeyStatus;
use crate::refusal::Refusal;
use crate::weight::weigh;

/// The shared settings. Their defaults are in [`Default`].
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct SenderSettings {
    description: String,
    pub(crate) rate_limit: Option<SendingLimit>,
    ip_pool: Option<i64>,
    feedback_enabled: bool,
    feedback_html: String,
    feedback_text: String,
    open_tracking_enabled: bool,
    click_tracking_enabled: bool,
    archive_enabled: bool,
    audit_email: Option<String>,
    bounce_notifications: String,
}

impl Default for SenderSettings {
    fn default() -> Self {
        Self {
            description: String::new(),
            rate_limit: None,
            ip_pool: None,
            feedback_enabled: false,
            feedback_html: String::new(),
            feedback_text: String::new(),
            open_tracking_enabled: false,
            click_tracking_enabled: false,
            archive_enabled: false,
            audit_email: None,
            bounce_notifications: "from".to_owned(),
        }
    }
}

/// A maximum number of mails in any period of this length.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct SendingLimit {
    pub(crate) mails: i64,
    /// The period as in the request.
    pub(crate) period: String,
    pub(crate) span: Duration,
}

/// The spelling of `custom_ratelimit` in a reply.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Spelling {
    /// `custom_rate_limit`: for API keys, and in replies to PATCH.
    RateLimit,
    /// `custom_ratelimit`: in other replies.
    Ratelimit,
}

weigh!(SenderSettings {
    description,
    rate_limit,
    ip_pool,
    feedback_enabled,
    feedback_html,
    feedback_text,
    open_tracking_enabled,
    click_tracking_enabled,
    archive_enabled,
    audit_email,
    bounce_notifications
});
weigh!(SendingLimit {
    mails,
    period,
    span
});

impl SenderSettings {
    pub(crate) fn description(&self) -> &str {
        &self.description
    }

    /// Applies the fields of a request. A POST starts from the defaults, a PATCH from the current
    /// settings.
    pub(crate) fn change(
        mut self,
        request: &Value,
        pools: &dedicated_ips::DedicatedIps,
    ) -> Result<Self, Refusal> {
        for (field, place) in [
            ("description", &mut self.description),
            ("feedback_html", &mut self.feedback_html),
            ("feedback_text", &mut self.feedback_text),
        ] {
            if let Some(text) = text(request, field) {
                text.clone_into(place);
            }
        }
        for (field, place) in [
            ("feedback_enabled", &mut self.feedback_enabled),
            ("open_tracking_enabled", &mut self.open_tracking_enabled),
            ("click_tracking_enabled", &mut self.click_tracking_enabled),
            ("archive_enabled", &mut self.archive_enabled),
        ] {
            if let Some(flag) = flag(request, field) {
                *place = flag;
            }
        }
        if let Some(address) = text(request, "audit_email") {
            self.audit_email = (!address.is_empty()).then(|| address.to_owned());
        }
        if let Some(way) = text(request, "bounce_notifications") {
            way.clone_into(&mut self.bounce_notifications);
        }
        if let Some(pool) = integer(request, "ip_pool") {
            if !pools.has(pool) {
                return Err(Refusal::exception(format!(
                    "The IP pool {pool} does not exist."
                )));
            }
            self.ip_pool = Some(pool);
        }
        self.rate_limit = self.changed_limit(request)?;
        Ok(self)
    }

    fn changed_limit(&self, request: &Value) -> Result<Option<SendingLimit>, Refusal> {
        let given = match text(request, "custom_ratelimit_period") {
            Some(period) => Some((period, span(period).ok_or_else(|| {
                Refusal::field(
                    "custom_ratelimit_period",
                    "The value must be a period such as \"2 hours\", \"1 day 12:00:00\" or \"0:30:00\".",
                )
            })?)),
            None => None,
        };
        if !flag(request, "custom_ratelimit").unwrap_or(self.rate_limit.is_some()) {
            return Ok(None);
        }
        let present = self.rate_limit.as_ref();
        let mails = integer(request, "custom_ratelimit_value");
        let mails = mails.or(present.map(|limit| limit.mails));
        let period = given
            .map(|(period, span)| (period.to_owned(), span))
            .or(present.map(|limit| (limit.period.clone(), limit.span)));
        match (mails, period) {
            (Some(mails), Some((period, span))) => Ok(Some(SendingLimit {
                mails,
                period,
                span,
            })),
            _ => Err(Refusal::exception(
                "custom_ratelimit needs custom_ratelimit_value and custom_ratelimit_period.",
            )),
        }
    }

    /// Writes the settings as members of a reply.
    pub(crate) fn show(&self, status: KeyStatus, spelling: Spelling) -> Map<String, Value> {
        let limit = self.rate_limit.as_ref();
        let mut members = Map::new();
        let mut put = |name: &str, value: Value| {
            members.insert(name.to_owned(), value);
        };
        match spelling {
            Spelling::RateLimit => {
                put("custom_rate_limit", limit.is_some().into());
                put("click_tracking_enabled", self.click_tracking_enabled.into());
            }
            Spelling::Ratelimit => {
                put("custom_ratelimit", limit.is_some().into());
                put("sending_allowed", (status != KeyStatus::Blocked).into());
                put("feedback_domain", "default".into());
            }
        }
        put("description", self.description.as_str().into());
        put(
            "custom_ratelimit_value",
            limit.map(|limit| limit.mails).into(),
        );
        put(
            "custom_ratelimit_period",
            limit.map_or("0:00:00", |limit| &limit.period).into(),
        );
        if let Some(pool) = self.ip_pool {
            put("ippool", pool.into());
        }
        put("feedback_enabled", self.feedback_enabled.into());
        put("feedback_html", self.feedback_html.as_str().into());
        put("feedback_text", self.feedback_text.as_str().into());
        put("open_tracking_enabled", self.open_tracking_enabled.into());
        put("archive_enabled", self.archive_enabled.into());
        put("audit_email", self.audit_email.as_deref().into());
        put(
            "bounce_notifications",
            self.bounce_notifications.as_str().into(),
        );
        put("status", status.as_str().into());
        put_default_limit(&mut members);
        members
    }
}

/// Refuses a request in which `audit_email` or `bounce_notifications` is invalid.
pub(crate) fn check(request: &Value) -> Result<(), Refusal> {
    match text(request, "audit_email") {
        None | Some("") => {}
        Some(address) => check_address("audit_email", address)?,
    }
    match text(request, "bounce_notifications") {
        None | Some("from" | "drop") => Ok(()),
        Some(address) => check_address("bounce_notifications", address),
    }
}

/// Adds the account's default limit, which is unlimited in a sandbox.
pub(crate) fn put_default_limit(members: &mut Map<String, Value>) {
    members.insert("default_ratelimit_value".to_owned(), json!(0));
    members.insert("default_ratelimit_period".to_owned(), json!("unlimited"));
}

/// Returns the field `status`.
pub(crate) fn status(request: &Value) -> Result<Option<KeyStatus>, Refusal> {
    let word = word(request, "status", &["allowed", "blocked", "sandbox"])?;
    Ok(word.and_then(KeyStatus::from_value))
}

/// Parses a period: `2 hours`, `1 day 12:00:00`, `1 day, 12:00:00` or `0:30:00`. A month has 30 days.
/// An empty or zero period is invalid.
fn span(text: &str) -> Option<Duration> {
    let mut words = text.split_whitespace().peekable();
    let mut seconds = 0_u64;
    let first = words.peek()?;
    if !first.contains(':') {
        let count: u64 = words.next()?.parse().ok()?;
        let unit = words.next()?.trim_end_matches(',');
        let unit = match unit.strip_suffix('s').unwrap_or(unit) {
            "hour" => 3_600,
            "day" => 86_400,
            "week" => 7 * 86_400,
            "month" => 30 * 86_400,
            _ => return None,
        };
        seconds = count.checked_mul(unit)?;
    }
    if let Some(time) = words.next() {
        let mut parts = time.split(':').map(str::parse::<u64>);
        let mut part = || parts.next()?.ok();
        let (hours, minutes, rest) = (part()?, part()?, part()?);
        if parts.next().is_some() || minutes > 59 || rest > 59 {
            return None;
        }
        let time = hours.checked_mul(3_600)?.checked_add(minutes * 60 + rest)?;
        seconds = seconds.checked_add(time)?;
    }
    (words.next().is_none() && seconds > 0).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn period_is_parsed_in_the_documented_formats() {
        for (text, expected) in [
            ("1 hour", Some(3_600)),
            ("2 hours", Some(7_200)),
            ("1 day 12:00:00", Some(129_600)),
            ("3 days, 01:00:01", Some(262_801)),
            ("1 week", Some(604_800)),
            ("2 months", Some(5_184_000)),
            ("0:30:00", Some(1_800)),
            ("100:00:00", Some(360_000)),
            ("0:00:00", None),
            ("", None),
            ("unlimited", None),
            ("1 minute", None),
            ("hour", None),
            ("1 hour 2", None),
            ("1 hour 0:60:00", None),
            ("0:30", None),
            ("0:30:00 1 day", None),
            ("99999999999999999999 days", None),
            ("18446744073709551615 days", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(span(text), expected, "{text}");
        }
    }
}
