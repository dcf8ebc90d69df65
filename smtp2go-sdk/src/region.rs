//! The API's regions.

use std::fmt;
use std::str::FromStr;

use serde_core::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Error;

/// A region of the API's servers.
///
/// All regions serve the same API. Possibly only one region has the data of an account. Parses from
/// `global`, `us`, `eu`, `au` and from the host names `api`, `us-api`, `eu-api`, `au-api`, in any
/// letter case. serde reads the same names, and writes the first four:
///
/// ```
/// use serde::Deserialize;
/// use smtp2go_sdk::types::Secret;
/// use smtp2go_sdk::{Client, Region};
///
/// #[derive(Deserialize)]
/// struct MailConfig {
///     key: Secret, // `Debug` does not show it
///     region: Region,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let config = r#"{"key": "api-0123456789abcdef0123456789ABCDEF", "region": "eu"}"#;
/// let config: MailConfig = serde_json::from_str(config)?;
/// assert_eq!(config.region, Region::Eu);
/// # #[cfg(feature = "rustls-ring")]
/// let client = Client::builder(config.key).region(config.region).build()?;
/// # Ok(())
/// # }
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

impl Serialize for Region {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn region_is_parsed_from_its_name_its_host_name_and_its_display() {
        for (names, region) in [
            (["global", "api", " Global "], Region::Global),
            (["us", "us-api", "US"], Region::Us),
            (["eu", "eu-api", "EU-API"], Region::Eu),
            (["au", "au-api", "Au"], Region::Au),
        ] {
            for name in names {
                assert_eq!(name.parse::<Region>().unwrap(), region, "{name}");
                let json = format!("{name:?}");
                assert_eq!(serde_json::from_str::<Region>(&json).unwrap(), region);
            }
            assert_eq!(region.to_string().parse::<Region>().unwrap(), region);
            let json = serde_json::to_string(&region).unwrap();
            assert_eq!(json, format!("\"{region}\""));
        }
    }

    #[test]
    fn unknown_name_is_an_error_that_does_not_show_it() {
        for name in ["", "mars", "api-0123456789abcdefABCDEF0123456789"] {
            let error = name.parse::<Region>().unwrap_err();
            assert!(error.is_config());
            let read = serde_json::from_str::<Region>(&format!("{name:?}"));
            for shown in [error.to_string(), read.unwrap_err().to_string()] {
                assert!(name.is_empty() || !shown.contains(name), "{shown}");
                assert!(shown.contains("use global, us, eu or au"), "{shown}");
            }
        }
    }
}
