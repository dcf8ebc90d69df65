//! The size and time of a file when its mail was stored.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use smtp2go_types::Timestamp;

use crate::body::content::SizedContent;

/// Properties of a file that must be the same when it is sent. Each is optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RecordedFile {
    pub(super) size: Option<u64>,
    /// Time of the last modification. Compared with the precision of this text.
    pub(super) modified: Option<Timestamp>,
}

impl RecordedFile {
    /// Reads the properties of a file. Blocks.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let metadata = std::fs::metadata(path)?;
        if !metadata.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        Ok(Self {
            size: Some(metadata.len()),
            modified: metadata.modified().ok().map(to_nanoseconds),
        })
    }

    /// Compares the file that is to be sent with the stored properties. Returns how it differs.
    pub(super) fn difference(&self, file: &SizedContent) -> Option<String> {
        if let Some(recorded) = self.size
            && recorded != file.size()
        {
            let size = file.size();
            return Some(format!(
                "size changed from {recorded} to {size} bytes after the mail was stored"
            ));
        }
        let recorded = self.modified.as_ref()?;
        let is_same = file
            .modified()
            .is_some_and(|modified| is_about(recorded, modified));
        (!is_same).then(|| "modification time differs from the one stored with the mail".to_owned())
    }
}

/// Writes a time with nanoseconds, so that a later change of the file within the same second is
/// noticed.
fn to_nanoseconds(time: SystemTime) -> Timestamp {
    let Ok(since) = time.duration_since(UNIX_EPOCH) else {
        return Timestamp::from(time);
    };
    let nanos = since.subsec_nanos();
    let fraction = Duration::from_nanos(nanos.into());
    let second = Timestamp::from(time.checked_sub(fraction).unwrap_or(time));
    let second = second.as_str().trim_end_matches('Z');
    Timestamp::new(format!("{second}.{nanos:09}Z"))
}

/// Whether a time is the recorded one, to the last digit of its fraction. Programs differ in whether
/// they cut or round it.
fn is_about(recorded: &Timestamp, time: SystemTime) -> bool {
    let Some(at) = recorded.to_system_time() else {
        return false;
    };
    let (_, fraction) = recorded.as_str().split_once('.').unwrap_or_default();
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let digit = Duration::from_secs(1) / (0..digits.min(9)).fold(1, |unit, _| unit * 10);
    let apart = match time.duration_since(at) {
        Ok(later) => later,
        Err(error) => error.duration(),
    };
    apart < digit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_compared_to_its_last_digit() {
        let time = UNIX_EPOCH + Duration::new(1_772_439_300, 987_654_321);
        let written = to_nanoseconds(time);
        assert_eq!(written.as_str(), "2026-03-02T08:15:00.987654321Z");
        for (recorded, is_same) in [
            (written.as_str(), true),
            ("2026-03-02T08:15:00.987654320Z", false),
            ("2026-03-02T08:15:00.987654Z", true),
            ("2026-03-02T09:15:00.987655+01:00", true),
            ("2026-03-02T08:15:00.987653Z", false),
            ("2026-03-02T08:15:00.9876543219999Z", true),
            ("2026-03-02T08:15:00Z", true),
            ("2026-03-02T08:15:01Z", true),
            ("2026-03-02T08:15:02Z", false),
            ("2026-03-02T08:14:59Z", false),
            ("1772439300.98", true),
            ("soon", false),
        ] {
            assert_eq!(is_about(&recorded.into(), time), is_same, "{recorded}");
        }
    }
}
