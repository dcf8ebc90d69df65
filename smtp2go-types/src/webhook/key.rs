//! The key that identifies duplicate deliveries of an event.

use std::fmt::Write;

/// Maximum length of a part that is written in full, in bytes. A longer part is hashed.
const LONGEST: usize = 256;

/// Parts of a key, joined so that no two lists of parts give the same text.
#[derive(Debug, Default)]
pub(super) struct DedupKey(Option<String>);

impl DedupKey {
    pub(super) fn part(self, part: Option<&str>) -> Self {
        // A separator follows an empty first part too.
        let mut key = match self.0 {
            Some(before) => before + "/",
            None => String::new(),
        };
        match part {
            // Distinct from the empty text.
            None => key.push('-'),
            Some("-") => key.push_str("%2D"),
            Some(part) if part.len() <= LONGEST => {
                for c in part.chars() {
                    match c {
                        '%' => key.push_str("%25"),
                        '/' => key.push_str("%2F"),
                        c => key.push(c),
                    }
                }
            }
            Some(part) => {
                // Writing to a `String` does not fail.
                let _ = write!(key, "%{}:{:032x}", part.len(), fnv(part.as_bytes()));
            }
        }
        Self(Some(key))
    }

    pub(super) fn finish(self) -> String {
        self.0.unwrap_or_default()
    }
}

/// FNV-1a with 128 bits. Stored keys need a stable hash, and the standard library's is not.
fn fnv(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[Option<&str>]) -> String {
        parts
            .iter()
            .fold(DedupKey::default(), |key, part| key.part(*part))
            .finish()
    }

    #[test]
    fn different_parts_give_different_keys() {
        let long = "x".repeat(LONGEST + 1);
        let longer = "x".repeat(LONGEST + 2);
        let lists: &[&[Option<&str>]] = &[
            &[Some("a"), Some("b")],
            &[Some("a/b"), Some("")],
            &[Some("a"), None],
            &[Some("a"), Some("-")],
            &[Some("a"), Some("")],
            &[Some("a%2Fb"), Some("")],
            &[Some("a"), Some("%2D")],
            &[Some("a"), Some(&long)],
            &[Some("a"), Some(&longer)],
            &[Some("a")],
            &[Some(""), Some("a")],
            &[Some(""), Some("a"), Some("b")],
            &[Some("")],
            &[Some(""), Some("")],
        ];
        let keys: std::collections::BTreeSet<_> = lists.iter().map(|parts| key(parts)).collect();
        assert_eq!(keys.len(), lists.len(), "{keys:?}");
        assert!(keys.iter().all(|key| key.len() < 100));
    }

    #[test]
    fn hash_is_fnv_1a() {
        assert_eq!(fnv(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(fnv(b"foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }
}
