//! Removes dot-stuffing from a message, and finds its end. Only CRLF, a dot and CRLF end a message.
//!
//! A server that also accepts other line ends around the dot is open to SMTP smuggling: it sees two
//! messages where another server sees one.

use memchr::memchr2;

/// The position of the next byte in a message.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// At the start of a line: at the start of the message or after CRLF.
    Start,
    /// After a dot at the start of a line.
    Dot,
    /// After a dot at the start of a line, and CR.
    DotCr,
    /// In a line.
    Line,
    /// After a CR in a line.
    Cr,
}

/// Finds the end of a message, and removes dot-stuffing.
#[derive(Debug)]
pub(super) struct Unstuffing {
    place: Place,
    /// Whether the message has a CR or LF that is not part of a CRLF.
    pub(super) has_bare: bool,
}

impl Unstuffing {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Start,
            has_bare: false,
        }
    }

    /// Passes the text in a chunk to `take`. If the message ends in the chunk, returns how many of the
    /// chunk's bytes belong to it.
    pub(super) fn push(&mut self, chunk: &[u8], mut take: impl FnMut(&[u8])) -> Option<usize> {
        let mut rest = chunk;
        while let [first, others @ ..] = rest {
            match (self.place, first) {
                (Place::Start, b'.') => {
                    self.place = Place::Dot;
                    rest = others;
                }
                (Place::Dot, b'\r') => {
                    self.place = Place::DotCr;
                    rest = others;
                }
                (Place::DotCr, b'\n') => return Some(chunk.len() - others.len()),
                (Place::DotCr, _) => {
                    take(b"\r");
                    self.place = Place::Cr;
                }
                (Place::Cr, b'\n') => {
                    take(b"\n");
                    self.place = Place::Start;
                    rest = others;
                }
                (Place::Cr, _) => {
                    self.has_bare = true;
                    self.place = Place::Line;
                }
                (Place::Start | Place::Dot, _) => self.place = Place::Line,
                (Place::Line, _) => {
                    let end = memchr2(b'\r', b'\n', rest).map_or(rest.len(), |end| end + 1);
                    let (text, others) = rest.split_at(end);
                    take(text);
                    match text {
                        [.., b'\r'] => self.place = Place::Cr,
                        [.., b'\n'] => self.has_bare = true,
                        _ => {}
                    }
                    rest = others;
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the text, whether there was a bare CR or LF, and the bytes after the end.
    fn read(chunks: &[&[u8]]) -> (Vec<u8>, bool, Option<Vec<u8>>) {
        let mut unstuffing = Unstuffing::new();
        let mut text = Vec::new();
        for (index, chunk) in chunks.iter().enumerate() {
            if let Some(end) = unstuffing.push(chunk, |part| text.extend_from_slice(part)) {
                let behind = [&chunk[end..], &chunks[index + 1..].concat()].concat();
                return (text, unstuffing.has_bare, Some(behind));
            }
        }
        (text, unstuffing.has_bare, None)
    }

    #[test]
    fn message_ends_only_at_a_dot_between_crlfs_in_chunks_of_any_size() {
        let whole: [(&str, &str, bool, Option<&str>); 16] = [
            (".\r\n", "", false, Some("")),
            ("a\r\n.\r\nQUIT\r\n", "a\r\n", false, Some("QUIT\r\n")),
            ("\r\n.\r\n", "\r\n", false, Some("")),
            ("..\r\n.\r\n", ".\r\n", false, Some("")),
            (".a\r\n...\r\n.\r\n", "a\r\n..\r\n", false, Some("")),
            ("a.\r\n.\r\n", "a.\r\n", false, Some("")),
            ("a\r\n", "a\r\n", false, None),
            ("a\r\n.", "a\r\n", false, None),
            ("a\r\n.\r", "a\r\n", false, None),
            // SMTP smuggling.
            ("a\n.\nb", "a\n.\nb", true, None),
            ("a\n.\r\nb", "a\n.\r\nb", true, None),
            ("a\r\n.\nb", "a\r\n\nb", true, None),
            ("a\r.\rb", "a\r.\rb", true, None),
            ("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", true, Some("")),
            ("a\r\r\n.\r\n", "a\r\r\n", true, Some("")),
            ("a\r\n.\r.\r\n.\r\n", "a\r\n\r.\r\n", true, Some("")),
        ];
        for (sent, text, has_bare, behind) in whole {
            let expected = (
                text.as_bytes().to_vec(),
                has_bare,
                behind.map(|behind| behind.as_bytes().to_vec()),
            );
            assert_eq!(read(&[sent.as_bytes()]), expected, "{sent:?}");
            let bytes: Vec<_> = sent.as_bytes().chunks(1).collect();
            assert_eq!(read(&bytes), expected, "{sent:?} byte by byte");
        }
    }

    #[test]
    fn random_stuffed_text_is_restored() {
        for seed in 0..500 {
            let mut random = fastrand::Rng::with_seed(seed);
            let lines: Vec<String> = (0..random.usize(..20))
                .map(|_| {
                    (0..random.usize(..6))
                        .map(|_| random.choice(['.', 'a', 'é']).unwrap())
                        .collect()
                })
                .collect();
            let text: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed: String = lines
                .iter()
                .map(|line| match line.starts_with('.') {
                    true => format!(".{line}\r\n"),
                    false => format!("{line}\r\n"),
                })
                .collect();
            let sent = format!("{stuffed}.\r\nQUIT\r\n");
            let chunks: Vec<_> = sent.as_bytes().chunks(random.usize(1..9)).collect();
            let expected = (text.into_bytes(), false, Some(b"QUIT\r\n".to_vec()));
            assert_eq!(read(&chunks), expected, "seed {seed}");
        }
    }
}
