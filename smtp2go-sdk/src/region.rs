//! Where the API is called.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The data centre that answers the calls.
///
/// All regions serve the same API; an account's data may live in one of them. Parses from the
/// words `global`, `us`, `eu`, `au` and from the host words `api`, `us-api`, `eu-api`, `au-api`,
/// in any case.
///
/// ```
/// use smtp2go_sdk::Region;
///
/// let region: Region = "eu-api".parse()?;
/// assert_eq!(region, Region::Eu);
/// assert_eq!(region.to_string(), "eu");
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Region {
    /// The server picks the region nearest to the caller. The default.
    #[default]
    Global,
    /// United States.
    Us,
    /// European Union.
    Eu,
    /// Australia.
    Au,
}

impl Region {
    /// The base URL of the region, with its `/v3` and without a slash at the end.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Global => "https://api.smtp2go.com/v3",
            Self::Us => "https://us-api.smtp2go.com/v3",
            Self::Eu => "https://eu-api.smtp2go.com/v3",
            Self::Au => "https://au-api.smtp2go.com/v3",
        }
    }

    /// The short word of the region: `global`, `us`, `eu` or `au`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::Us => "us",
            Self::Eu => "eu",
            Self::Au => "au",
        }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Region {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word.trim().to_ascii_lowercase().as_str() {
            "global" | "api" => Ok(Self::Global),
            "us" | "us-api" => Ok(Self::Us),
            "eu" | "eu-api" => Ok(Self::Eu),
            "au" | "au-api" => Ok(Self::Au),
            // The word is not repeated: a key put in the wrong place would show.
            _ => Err(Error::config(
                "unknown region: one of global, us, eu, au (or api, us-api, eu-api, au-api) is expected",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sets_of_words_parse_and_display_round_trips() {
        for (words, region) in [
            (["global", "api", " Global "], Region::Global),
            (["us", "us-api", "US"], Region::Us),
            (["eu", "eu-api", "EU-API"], Region::Eu),
            (["au", "au-api", "Au"], Region::Au),
        ] {
            for word in words {
                assert_eq!(word.parse::<Region>().unwrap(), region, "{word}");
            }
            assert_eq!(region.to_string().parse::<Region>().unwrap(), region);
        }
    }

    #[test]
    fn other_words_are_refused_without_being_repeated() {
        for word in ["", "mars", "api-0123456789abcdefABCDEF0123456789"] {
            let error = word.parse::<Region>().unwrap_err();
            assert!(error.is_config());
            assert!(
                word.is_empty() || !error.to_string().contains(word),
                "{error}"
            );
        }
    }
}
