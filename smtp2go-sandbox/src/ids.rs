//! Generates ids, keys and passwords from counters and a seed: the same calls get the same values.

/// Generates the ids of a sandbox.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Ids {
    #[serde(skip)]
    seed: u64,
    /// Number of earlier starts with the same data file.
    runs: u16,
    requests: u64,
    messages: u64,
    schedules: u64,
    webhooks: u64,
    sms: u64,
    drawn: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            runs: 0,
            requests: 0,
            messages: 0,
            schedules: 0,
            webhooks: 0,
            sms: 0,
            drawn: 0,
        }
    }

    pub(crate) fn request(&mut self) -> String {
        self.requests += 1;
        uuid_like(1, self.runs, self.requests)
    }

    /// Continues the ids of an earlier run. A data file does not count requests that change nothing, so
    /// request ids contain the number of the run.
    #[cfg(feature = "data")]
    pub(crate) fn resume(self, seed: u64) -> Self {
        Self {
            seed,
            runs: self.runs.wrapping_add(1),
            requests: 0,
            ..self
        }
    }

    pub(crate) fn schedule(&mut self) -> String {
        self.schedules += 1;
        uuid_like(2, 0, self.schedules)
    }

    pub(crate) fn webhook(&mut self) -> u64 {
        self.webhooks += 1;
        self.webhooks
    }

    pub(crate) fn sms(&mut self) -> String {
        self.sms += 1;
        uuid_like(3, 0, self.sms)
    }

    /// Generates a mail's id in the format of Exim: 6, 6 and 2 letters and digits.
    pub(crate) fn email(&mut self) -> String {
        self.messages += 1;
        format!("1SaNdB-{}-00", base62(self.messages))
    }

    /// Whether [`email`](Self::email) has generated this id.
    pub(crate) fn has_email(&self, id: &str) -> bool {
        let digits = id
            .strip_prefix("1SaNdB-")
            .and_then(|id| id.strip_suffix("-00"));
        let number = digits
            .filter(|digits| digits.len() >= 6)
            .and_then(from_base62);
        number.is_some_and(|number| (1..=self.messages).contains(&number))
    }

    /// Whether [`sms`](Self::sms) has generated this id.
    pub(crate) fn has_sms(&self, id: &str) -> bool {
        let digits = id.strip_prefix("00000003-0000-4000-8000-");
        let number = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
        number
            .is_some_and(|number| (1..=self.sms).contains(&number) && uuid_like(3, 0, number) == id)
    }

    /// Returns the next pseudo-random number.
    pub(crate) fn random(&mut self) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn)
    }

    /// Generates a key in the service's format: `api-` and 32 letters and digits.
    pub(crate) fn api_key(&mut self) -> String {
        format!("api-{}", self.letters(32))
    }

    /// Generates a password of 24 letters and digits.
    pub(crate) fn password(&mut self) -> String {
        self.letters(24)
    }

    /// Generates a subaccount's id: 10 lower-case hexadecimal digits.
    pub(crate) fn subaccount(&mut self) -> String {
        format!("{:010x}", self.random() >> 24)
    }

    fn letters(&mut self, count: usize) -> String {
        let digits = (0..count).map(|_| base62_digit(self.random() % 62));
        digits.collect()
    }

    /// Generates an event's id, which is written as 32 hexadecimal digits.
    pub(crate) fn hex(&mut self) -> u128 {
        u128::from(self.random()) << 64 | u128::from(self.random())
    }
}

/// Returns the nth pseudo-random number of a seed (SplitMix64).
pub(crate) fn mix(seed: u64, n: u64) -> u64 {
    let mut bits = seed.wrapping_add(n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Writes a number in the format of a version 4 UUID. The first group is the kind of id.
fn uuid_like(kind: u32, run: u16, number: u64) -> String {
    format!("{kind:08x}-{run:04x}-4000-8000-{number:012x}")
}

/// Writes a number in base 62, padded to six digits.
fn base62(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.len() < 6 {
        digits.push(base62_digit(number % 62));
        number /= 62;
    }
    digits.iter().rev().collect()
}

/// Reads a number in base 62.
fn from_base62(digits: &str) -> Option<u64> {
    digits.chars().try_fold(0_u64, |number, digit| {
        let digit = (0..62).find(|value| base62_digit(*value) == digit)?;
        number.checked_mul(62)?.checked_add(digit)
    })
}

/// Returns the base-62 digit of a number below 62.
fn base62_digit(number: u64) -> char {
    // Numbers below 62 fit into a byte.
    let digit = u8::try_from(number).unwrap_or_default();
    char::from(match digit {
        0..=9 => b'0' + digit,
        10..=35 => b'A' + digit - 10,
        _ => b'a' + digit - 36,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_ids_have_the_services_formats_and_differ() {
        assert_eq!(base62(0), "000000");
        assert_eq!(base62(61), "00000z");
        assert_eq!(base62(62), "000010");
        assert_eq!(base62(u64::MAX).len(), 11);

        let mut ids = Ids::new(7);
        assert_eq!(ids.email(), "1SaNdB-000001-00");
        assert_eq!(ids.email(), "1SaNdB-000002-00");
        for (id, known) in [
            ("1SaNdB-000001-00", true),
            ("1SaNdB-000002-00", true),
            ("1SaNdB-000000-00", false),
            ("1SaNdB-000003-00", false),
            ("1SaNdB-1-00", false),
            ("1SaNdB-zzzzzzzzzzzzzzzzzzzzz-00", false),
            ("", false),
        ] {
            assert_eq!(ids.has_email(id), known, "{id}");
        }
        let sms = ids.sms();
        assert!(ids.has_sms(&sms) && !ids.has_sms(&uuid_like(3, 0, 2)) && !ids.has_sms("x"));
        let (request, schedule) = (ids.request(), ids.schedule());
        assert_eq!((request.len(), schedule.len()), (36, 36));
        assert_ne!(request, schedule);

        let (key, password) = (ids.api_key(), ids.password());
        assert_eq!((key.len(), password.len()), (36, 24));
        let secret = key.strip_prefix("api-").unwrap();
        assert!(secret.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(key, ids.api_key());
        assert_eq!(ids.subaccount().len(), 10);
    }

    #[test]
    fn same_seed_gives_the_same_ids() {
        let draw = |seed| {
            let mut ids = Ids::new(seed);
            [ids.hex(), ids.hex()]
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(draw(7)[0], draw(7)[1]);
    }
}
