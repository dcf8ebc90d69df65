//! The API's regions.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A region of the API's servers.
///
/// All regions serve the same API. The data of an account may be kept in one region only. Parses from
/// `global`, `us`, `eu`, `au` and from the host names `api`, `us-api`, `eu-api`, `au-api`, in any letter
/// case.
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
    /// Returns the base URL of the region, with `/v3` and without a slash at the end.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::Global => "https://api.smtp2go.com/v3",
            Self::Us => "https://us-api.smtp2go.com/v3",
            Self::Eu => "https://eu-api.smtp2go.com/v3",
            Self::Au => "https://au-api.smtp2go.com/v3",
        }
    }

    /// Returns the name of the region: `global`, `us`, `eu` or `au`.
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

    fn from_str(name: &str) -> Result<Self, Error> {
        match name.trim().to_ascii_lowercase().as_str() {
            "global" | "api" => Ok(Self::Global),
            "us" | "us-api" => Ok(Self::Us),
            "eu" | "eu-api" => Ok(Self::Eu),
            "au" | "au-api" => Ok(Self::Au),
            // Without the name, which could be a key in the wrong variable.
            _ => Err(Error::config(
                "unknown region: use global, us, eu or au (or api, us-api, eu-api, au-api)",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_host_names_parse_and_display_round_trips() {
        for (names, region) in [
            (["global", "api", " Global "], Region::Global),
            (["us", "us-api", "US"], Region::Us),
            (["eu", "eu-api", "EU-API"], Region::Eu),
            (["au", "au-api", "Au"], Region::Au),
        ] {
            for name in names {
                assert_eq!(name.parse::<Region>().unwrap(), region, "{name}");
            }
            assert_eq!(region.to_string().parse::<Region>().unwrap(), region);
        }
    }

    #[test]
    fn unknown_name_is_an_error_that_does_not_show_it() {
        for name in ["", "mars", "api-0123456789abcdefABCDEF0123456789"] {
            let error = name.parse::<Region>().unwrap_err();
            assert!(error.is_config());
            assert!(
                name.is_empty() || !error.to_string().contains(name),
                "{error}"
            );
        }
    }
}
