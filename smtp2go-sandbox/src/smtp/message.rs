//! The text of a message: dots are unstuffed, and only CRLF, a dot and CRLF end it.
//!
//! A server that takes other line ends for it too can be made to see two messages where another one
//! sees a single one (SMTP smuggling).

use memchr::memchr2;

/// Where in a message the next byte is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// At the beginning of a line: of the message or behind CRLF.
    Start,
    /// Behind the dot that begins a line.
    Dot,
    /// Behind that dot and CR.
    DotCr,
    /// In a line.
    Line,
    /// Behind a CR in a line.
    Cr,
}

/// Finds the end of a message, and takes out what was added to its lines.
#[derive(Debug)]
pub(super) struct Unstuffing {
    place: Place,
    /// There was a CR or an LF without the other.
    pub(super) has_bare: bool,
}

impl Unstuffing {
    pub(super) fn new() -> Self {
        Self {
            place: Place::Start,
            has_bare: false,
        }
    }

    /// Hands the text in a chunk to `take`. Returns how many bytes of the chunk belong to the
    /// message, if it ends there.
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

    /// The text, whether there was a bare CR or LF, and what is behind the end.
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
    fn message_ends_at_a_dot_between_crlfs_in_whatever_chunks() {
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
            // What smuggling is made of.
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
    fn any_stuffed_text_is_read_as_it_was() {
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
