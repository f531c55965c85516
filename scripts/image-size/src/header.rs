//! The headers of picture files.

use crate::Size;

/// Reads the size from the start of a file.
pub fn size(file: &[u8]) -> Result<Size, String> {
    let mut reader = Reader(file);
    let found = if file.starts_with(b"\x89PNG\r\n\x1a\n") {
        png(&mut reader)
    } else if file.starts_with(b"\xff\xd8") {
        jpeg(&mut reader)
    } else if file.starts_with(b"GIF87a") || file.starts_with(b"GIF89a") {
        gif(&mut reader)
    } else if file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP".as_slice()) {
        webp(&mut reader)
    } else {
        return Err("not a PNG, JPEG, GIF or WebP file".to_owned());
    };
    found.ok_or_else(|| "the file ends, or is damaged, before its size".to_owned())
}

/// The signature and the length of the first chunk (8 bytes each with its name), then width and
/// height.
fn png(reader: &mut Reader<'_>) -> Option<Size> {
    reader.skip(12)?;
    if reader.take(4)? != b"IHDR" {
        return None;
    }
    Some(Size { format: "png", width: reader.big(4)?, height: reader.big(4)? })
}

/// The logical screen comes right after the signature.
fn gif(reader: &mut Reader<'_>) -> Option<Size> {
    reader.skip(6)?;
    Some(Size { format: "gif", width: reader.little(2)?, height: reader.little(2)? })
}

/// A row of segments; the size is in the one that starts a frame.
fn jpeg(reader: &mut Reader<'_>) -> Option<Size> {
    reader.skip(2)?;
    loop {
        if reader.big(1)? != 0xff {
            return None;
        }
        let marker = loop {
            // Any number of fill bytes may stand before a marker.
            match reader.big(1)? {
                0xff => {}
                marker => break marker,
            }
        };
        match marker {
            // Markers without a segment.
            0x01 | 0xd0..=0xd8 => {}
            // The picture's data, or its end: no frame came before it.
            0xd9 | 0xda => return None,
            // Frames of all kinds. The three numbers left out are tables.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                // The segment's length and the number of bits of a sample.
                reader.skip(3)?;
                let height = reader.big(2)?;
                return Some(Size { format: "jpeg", width: reader.big(2)?, height });
            }
            _ => {
                let length = reader.big(2)?;
                reader.skip(usize::try_from(length.checked_sub(2)?).ok()?)?;
            }
        }
    }
}

/// One of three kinds of chunks, each with its own idea of a size.
fn webp(reader: &mut Reader<'_>) -> Option<Size> {
    reader.skip(12)?;
    let kind = reader.take(4)?;
    // The chunk's length.
    reader.skip(4)?;
    let (width, height) = match kind {
        b"VP8 " => {
            // The frame's tag and start code; the two highest bits of a side say how it is to be
            // scaled.
            reader.skip(3)?;
            if reader.take(3)? != b"\x9d\x01\x2a" {
                return None;
            }
            (reader.little(2)? & 0x3fff, reader.little(2)? & 0x3fff)
        }
        b"VP8L" => {
            if reader.big(1)? != 0x2f {
                return None;
            }
            let bits = reader.little(4)?;
            ((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1)
        }
        b"VP8X" => {
            reader.skip(4)?;
            (reader.little(3)? + 1, reader.little(3)? + 1)
        }
        _ => return None,
    };
    Some(Size { format: "webp", width, height })
}

/// What is left of a file.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(drop)
    }

    /// A number of at most four bytes, the highest one first.
    fn big(&mut self, count: usize) -> Option<u32> {
        Some(self.take(count)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    /// A number of at most four bytes, the lowest one first.
    fn little(&mut self, count: usize) -> Option<u32> {
        Some(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }
}

#[cfg(test)]
mod tests {
    use super::{Size, size};

    fn found(file: &[u8]) -> Option<(&'static str, u32, u32)> {
        size(file).ok().map(|Size { format, width, height }| (format, width, height))
    }

    #[test]
    fn each_format_is_read() {
        assert_eq!(
            found(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0"),
            Some(("png", 640, 480))
        );
        assert_eq!(found(b"GIF89a\x80\x02\xe0\x01"), Some(("gif", 640, 480)));
        let jpeg = b"\xff\xd8\xff\xe0\0\x04ab\xff\xff\xc2\0\x11\x08\x01\xe0\x02\x80";
        assert_eq!(found(jpeg), Some(("jpeg", 640, 480)));
        assert_eq!(
            found(b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0abc\x9d\x01\x2a\x80\x42\xe0\x41"),
            Some(("webp", 640, 480))
        );
        assert_eq!(
            found(b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f\x7f\xc2\x77\0"),
            Some(("webp", 640, 480))
        );
        assert_eq!(
            found(b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0\0\0\0\0\x7f\x02\0\xdf\x01\0"),
            Some(("webp", 640, 480))
        );
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_an_error() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x02\x80\0\0\x01\xe0";
        for length in 8..png.len() {
            assert_eq!(found(&png[..length]), None);
        }
        assert_eq!(found(b"\xff\xd8\xff\xe0\0\x01"), None);
        assert_eq!(size(b"BM"), Err("not a PNG, JPEG, GIF or WebP file".to_owned()));
    }
}
