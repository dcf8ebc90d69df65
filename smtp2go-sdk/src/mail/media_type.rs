//! Media types of attachments.

use smtp2go_types::validation::header_fault;

/// Returns whether a text has the form `type/subtype`, with or without parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    essence
        .trim_end()
        .split_once('/')
        .is_some_and(|(main, sub)| token(main) && token(sub))
        && header_fault(parameters).is_none()
}

/// Media types of common attachments by file extension, as registered with IANA.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("eml", "message/rfc822"),
    ("epub", "application/epub+zip"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("p7s", "application/pkcs7-signature"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("vcf", "text/vcard"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// Media types of common attachments by the first bytes, where these are unambiguous.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"{\\rtf1", "application/rtf"),
];

/// Guesses the media type by the file name, or else by the first bytes.
pub(super) fn guess(filename: &str, start: &[u8]) -> &'static str {
    by_name(filename)
        .or_else(|| by_content(start))
        .unwrap_or("application/octet-stream")
}

fn by_content(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    SIGNATURES
        .iter()
        .find(|(signature, _)| start.starts_with(signature))
        .map(|(_, media_type)| *media_type)
}

fn by_name(filename: &str) -> Option<&'static str> {
    filename
        .rsplit_once('.')
        .and_then(|(_, end)| {
            MEDIA_TYPES
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(end))
        })
        .map(|(_, media_type)| *media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_is_guessed_by_name() {
        for (name, expected) in [
            ("report.pdf", "application/pdf"),
            ("LOGO.PNG", "image/png"),
            ("logs.tar.gz", "application/gzip"),
            ("README", "application/octet-stream"),
            ("odd.", "application/octet-stream"),
            ("pdf", "application/octet-stream"),
        ] {
            assert_eq!(guess(name, b""), expected, "{name}");
        }
        assert!(MEDIA_TYPES.iter().all(|(_, guess)| is_media_type(guess)));
    }

    #[test]
    fn media_type_is_guessed_by_content_without_a_known_extension() {
        for (name, start, expected) in [
            ("scan", &b"%PDF-1.7\n"[..], "application/pdf"),
            ("photo.original", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("logo", b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            ("sound", b"RIFF\x24\0\0\0WAVE", "application/octet-stream"),
            ("short", b"RIFF", "application/octet-stream"),
            ("notes.txt", b"%PDF-1.7\n", "text/plain"),
            ("empty", b"", "application/octet-stream"),
        ] {
            assert_eq!(guess(name, start), expected, "{name}");
        }
        for (signature, expected) in SIGNATURES {
            assert_eq!(guess("unknown", signature), *expected);
            assert!(is_media_type(expected));
        }
    }

    #[test]
    fn media_type_has_type_and_subtype() {
        assert!(is_media_type("text/plain; charset=utf-8"));
        for odd in [
            "",
            "pdf",
            "a/",
            "/b",
            "a/b/c",
            "a b/c",
            "a/b\r\nX: 1",
            "a/b;\n",
        ] {
            assert!(!is_media_type(odd), "{odd:?}");
        }
    }
}
