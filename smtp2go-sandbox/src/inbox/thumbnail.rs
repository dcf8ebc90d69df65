//! Decides which files of a mail are shown as small images.

use imagesize::ImageType;

use super::content::kind_by_name;
use crate::mail::Attachment;

/// Maximum number of small images on the page of a mail. Each costs a request that parses the mail.
pub(super) const THUMBNAILS: usize = 20;

/// Maximum size of an image in bytes. The browser scales it.
const LARGEST_IMAGE: usize = 5 * 1024 * 1024;

/// Maximum size of an SVG in bytes.
const LARGEST_SVG: usize = 256 * 1024;

/// Maximum number of pixels: a small file may have billions, which take memory.
const MOST_PIXELS: usize = 40_000_000;

const SVG: &str = "image/svg+xml";

/// Returns the media type of a file that is shown as a small image, or `None`. The content decides,
/// except for an SVG: it is text, so its declared type or its name decides.
pub(super) fn media_type(file: &Attachment) -> Option<&'static str> {
    let content = &file.content;
    let declared = match file.mimetype.as_deref() {
        None | Some("") => kind_by_name(&file.filename),
        Some(kind) => kind,
    };
    if declared.eq_ignore_ascii_case(SVG) {
        return (1..=LARGEST_SVG).contains(&content.len()).then_some(SVG);
    }
    if content.len() > LARGEST_IMAGE {
        return None;
    }
    let kind = match imagesize::image_type(content).ok()? {
        ImageType::Bmp => "image/bmp",
        ImageType::Gif => "image/gif",
        ImageType::Jpeg => "image/jpeg",
        ImageType::Png => "image/png",
        ImageType::Webp => "image/webp",
        _ => return None,
    };
    let size = imagesize::blob_size(content).ok()?;
    (size.width.saturating_mul(size.height) <= MOST_PIXELS).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, mimetype: Option<&str>, content: &[u8]) -> Attachment {
        Attachment {
            filename: name.to_owned(),
            mimetype: mimetype.map(str::to_owned),
            content: content.to_vec(),
            content_id: None,
            url: None,
        }
    }

    fn png(width: u32, height: u32) -> Vec<u8> {
        let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
        png.extend(width.to_be_bytes());
        png.extend(height.to_be_bytes());
        png
    }

    #[test]
    fn type_of_an_image_is_taken_from_its_content() {
        let small = png(10, 10);
        for (name, kind, content, expected) in [
            ("a.png", None, small.as_slice(), Some("image/png")),
            ("a.txt", Some("text/html"), &small, Some("image/png")),
            (
                "a.gif",
                None,
                b"GIF89a\x01\0\x01\0\0\0\0",
                Some("image/gif"),
            ),
            ("a.png", Some("image/png"), b"<script>", None),
            ("a.png", Some("image/png"), b"", None),
            ("a.png", Some("image/png"), &small[..12], None),
            ("a.svg", None, b"<svg/>", Some("image/svg+xml")),
            ("a", Some("image/SVG+xml"), b"<svg/>", Some("image/svg+xml")),
            ("a.svg", Some("text/html"), b"<svg/>", None),
            ("a.svg", None, b"", None),
        ] {
            assert_eq!(
                media_type(&file(name, kind, content)),
                expected,
                "{name} {kind:?}"
            );
        }
    }

    #[test]
    fn image_that_takes_much_memory_is_left_out() {
        let many = png(60_000, 60_000);
        assert_eq!(media_type(&file("a.png", None, &many)), None);
        let mut long = png(10, 10);
        long.resize(LARGEST_IMAGE + 1, 0);
        assert_eq!(media_type(&file("a.png", None, &long)), None);
        let svg = vec![b' '; LARGEST_SVG + 1];
        assert_eq!(media_type(&file("a.svg", None, &svg)), None);
    }

    #[test]
    fn broken_image_is_left_out() {
        for start in ["\u{7f}PNG", "GIF89a", "BM", "RIFF....WEBPVP8"] {
            for length in 0..64 {
                let mut content = start.as_bytes().to_vec();
                content.resize(start.len() + length, 0xff);
                media_type(&file("a", None, &content));
            }
        }
        let mut jpeg = b"\xff\xd8\xff".to_vec();
        for length in 0..64 {
            jpeg.resize(3 + length, 0);
            assert_eq!(media_type(&file("a", None, &jpeg)), None);
        }
    }
}
