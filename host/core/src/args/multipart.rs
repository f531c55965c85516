//! Parses `multipart/form-data` (RFC 7578). The whole body is in memory.
//!
//! Lines end with CRLF. Text before the first boundary and after the last one is ignored (RFC
//! 2046). A part with a file name is a file; any other part is a text in UTF-8. In names the
//! percent-encodings that browsers make are decoded: `%22`, `%0D` and `%0A`.

use super::error::ArgsError;
use super::interpolate::quote_text;
use super::layer::{encoded, essence};
use crate::header::{is_token, is_value, parameters};
use crate::json::Writer;
use crate::limits::{BOUNDARY_CHARS, MULTIPART_PARTS, PART_HEADER_BYTES};
use percent_encoding::percent_decode_str;

fn refuse<T>(detail: impl Into<String>) -> Result<T, ArgsError> {
    Err(ArgsError::Body(detail.into()))
}

/// The value of one field name.
enum Field {
    /// A text. The last one of repeated fields counts.
    Text(String),
    /// Files as JSON texts, in the order in which they were sent.
    Files(Vec<String>),
}

/// The arguments from a form: the text of one JSON object.
pub(super) fn form(content_type: &str, body: &[u8]) -> Result<String, ArgsError> {
    let boundary = boundary(content_type)?;
    let mut fields: Vec<(String, Field)> = Vec::new();
    for (index, part) in split(body, boundary.as_bytes())?.into_iter().enumerate() {
        let part = Part::read(part, index + 1)?;
        // The limit on parts also limits this search.
        let known = fields.iter_mut().find(|(name, _)| *name == part.name).map(|(_, field)| field);
        match (known, part.filename.is_some()) {
            (None, false) => {
                let text = part.text()?.to_owned();
                fields.push((part.name, Field::Text(text)));
            }
            (None, true) => {
                let file = part.file();
                fields.push((part.name, Field::Files(vec![file])));
            }
            (Some(Field::Text(text)), false) => *text = part.text()?.to_owned(),
            (Some(Field::Files(files)), true) => files.push(part.file()),
            _ => {
                return refuse(format!(
                    "The form's field {:?} is both a text and a file",
                    part.name
                ));
            }
        }
    }
    let mut object = Writer::new(body.len() + body.len() / 3 + 2);
    for (name, field) in fields {
        match field {
            Field::Text(text) => object.member(&name, &quote_text(&text)),
            Field::Files(files) => object.member(&name, &format!("[{}]", files.join(","))),
        }
    }
    Ok(object.finish())
}

fn boundary(content_type: &str) -> Result<String, ArgsError> {
    let Some(parameters) = parameters(content_type) else {
        return refuse("The parameters of the content type multipart/form-data cannot be read");
    };
    let mut given =
        parameters.into_iter().filter(|(name, _)| name == "boundary").map(|(_, value)| value);
    let boundary = given.next().unwrap_or_default();
    if boundary.is_empty() {
        return refuse("The content type multipart/form-data has no boundary parameter");
    }
    if given.next().is_some() {
        return refuse("The content type multipart/form-data has more than one boundary parameter");
    }
    if boundary.len() > BOUNDARY_CHARS
        || !boundary.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    {
        return refuse(format!(
            "The boundary of a multipart body has at most {BOUNDARY_CHARS} characters, all of them printable ASCII"
        ));
    }
    Ok(boundary)
}

/// What follows a boundary.
enum Behind<'a> {
    Part(&'a [u8]),
    End,
}

/// Reads a line that begins with a boundary. `None` when it only begins with the same characters.
fn behind<'a>(line: &'a [u8], boundary: &[u8]) -> Option<Behind<'a>> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (rest, end) = match rest.strip_prefix(b"--") {
        Some(rest) => (rest, true),
        None => (rest, false),
    };
    let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = rest.get(padding..)?;
    match (end, rest) {
        (true, [] | [b'\r' | b'\n', ..]) => Some(Behind::End),
        (false, [b'\r', b'\n', part @ ..]) => Some(Behind::Part(part)),
        _ => None,
    }
}

/// The next line that is a boundary: what stands before its line break, and what follows it. A
/// boundary holds no line break, so that no byte is compared more than twice.
fn next<'a>(text: &'a [u8], boundary: &[u8]) -> Option<(&'a [u8], Behind<'a>)> {
    let mut at = 0;
    loop {
        at += text.get(at..)?.iter().position(|byte| *byte == b'\r')?;
        if let Some(behind) =
            text.get(at..)?.strip_prefix(b"\r\n").and_then(|line| behind(line, boundary))
        {
            return Some((text.get(..at)?, behind));
        }
        at += 1;
    }
}

/// The parts between the boundaries, headers included.
fn split<'a>(body: &'a [u8], boundary: &[u8]) -> Result<Vec<&'a [u8]>, ArgsError> {
    let mut parts = Vec::new();
    let Some(mut behind) = behind(body, boundary).or_else(|| Some(next(body, boundary)?.1)) else {
        return refuse("The multipart body does not hold the boundary that its content type names");
    };
    while let Behind::Part(rest) = behind {
        if parts.len() == MULTIPART_PARTS {
            return refuse(format!("The multipart body has more than {MULTIPART_PARTS} parts"));
        }
        let Some((part, then)) = next(rest, boundary) else {
            return refuse(
                "The multipart body ends without its closing boundary; it may have been cut off",
            );
        };
        parts.push(part);
        behind = then;
    }
    Ok(parts)
}

/// One part, its headers read.
struct Part<'a> {
    name: String,
    filename: Option<String>,
    content_type: Option<&'a str>,
    body: &'a [u8],
}

impl<'a> Part<'a> {
    /// Reads a part; `number` counts from 1 and names it in errors.
    fn read(part: &'a [u8], number: usize) -> Result<Self, ArgsError> {
        const END: &[u8] = b"\r\n\r\n";
        let searched = part.get(..PART_HEADER_BYTES + END.len()).unwrap_or(part);
        let (headers, body) = match (
            part.strip_prefix(b"\r\n"),
            searched.windows(END.len()).position(|window| window == END),
        ) {
            (Some(body), _) => (&[][..], body),
            (None, Some(end)) => (
                part.get(..end).unwrap_or_default(),
                part.get(end + END.len()..).unwrap_or_default(),
            ),
            (None, None) if searched.len() < part.len() || part.len() > PART_HEADER_BYTES => {
                return refuse(format!(
                    "The headers of part {number} of the multipart body are longer than {PART_HEADER_BYTES} bytes"
                ));
            }
            // Nothing follows the last header, not even an empty line.
            (None, None) => (part, &[][..]),
        };
        let bad =
            |what: &str| ArgsError::Body(format!("Part {number} of the multipart body has {what}"));
        let headers =
            std::str::from_utf8(headers).map_err(|_| bad("headers that are not UTF-8"))?;
        let (mut disposition, mut content_type) = (None, None);
        for line in headers.split("\r\n").filter(|line| !line.is_empty()) {
            let Some((name, value)) =
                line.split_once(':').filter(|(name, value)| is_token(name) && is_value(value))
            else {
                return Err(bad("a line among its headers that is no header"));
            };
            let value = value.trim_matches([' ', '\t']);
            let earlier = match name.to_ascii_lowercase().as_str() {
                "content-disposition" => disposition.replace(value),
                "content-type" => content_type.replace(value),
                "content-transfer-encoding"
                    if !matches!(
                        value.to_ascii_lowercase().as_str(),
                        "7bit" | "8bit" | "binary"
                    ) =>
                {
                    return Err(bad("a Content-Transfer-Encoding; forms are sent without one"));
                }
                _ => None,
            };
            if earlier.is_some() {
                return Err(bad(&format!("two headers {name}")));
            }
        }
        let disposition = disposition
            .filter(|value| essence(value) == "form-data")
            .ok_or_else(|| bad("no Content-Disposition: form-data"))?;
        let parameters = parameters(disposition)
            .ok_or_else(|| bad("a Content-Disposition that cannot be read"))?;
        let (mut name, mut filename, mut extended) = (None, None, None);
        for (parameter, value) in parameters {
            let earlier = match parameter.as_str() {
                "name" => name.replace(unescaped(&value)),
                "filename" => filename.replace(unescaped(&value)),
                "filename*" => extended.replace(
                    decoded(&value).ok_or_else(|| bad("a filename* that is not in UTF-8"))?,
                ),
                _ => None,
            };
            if earlier.is_some() {
                return Err(bad(&format!("a Content-Disposition with two parameters {parameter}")));
            }
        }
        let name = name.ok_or_else(|| bad("no name"))?;
        Ok(Part { name, filename: filename.or(extended), content_type, body })
    }

    /// The text of a part without a file name.
    fn text(&self) -> Result<&'a str, ArgsError> {
        let charsets = self
            .content_type
            .and_then(parameters)
            .unwrap_or_default()
            .into_iter()
            .filter(|(name, _)| name == "charset");
        for (_, charset) in charsets {
            if !["utf-8", "utf8", "us-ascii"].contains(&charset.to_ascii_lowercase().as_str()) {
                return refuse(format!(
                    "The form's field {:?} is in the charset {charset:?}; send it in UTF-8",
                    self.name
                ));
            }
        }
        std::str::from_utf8(self.body).or_else(|error| {
            refuse(format!(
                "The form's field {:?} is not UTF-8 text: byte {} is not part of a character",
                self.name,
                error.valid_up_to()
            ))
        })
    }

    /// A file as JSON. Without a type of its own it has the one that the standard gives to parts.
    fn file(&self) -> String {
        format!(
            "{{\"filename\":{},\"content_type\":{},\"size\":{},\"base64\":\"{}\"}}",
            quote_text(self.filename.as_deref().unwrap_or_default()),
            quote_text(self.content_type.filter(|text| !text.is_empty()).unwrap_or("text/plain")),
            self.body.len(),
            encoded(self.body)
        )
    }
}

/// Undoes what browsers do to names.
fn unescaped(name: &str) -> String {
    if !name.contains('%') {
        return name.to_owned();
    }
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

/// An extended parameter (RFC 8187): `UTF-8'language'percent-encoded`.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_, text) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok().map(Into::into)
}
