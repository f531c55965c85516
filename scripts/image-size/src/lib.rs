//! The format and the size of a picture, read from the first bytes of the file.

mod header;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use wasmill_guest::ScriptError;

/// What is known of a picture.
#[derive(Serialize, Debug, PartialEq)]
struct Size {
    format: &'static str,
    width: u32,
    height: u32,
}

/// Tells the format and the size of a PNG, JPEG, GIF or WebP picture.
#[wasmill_guest::main]
fn main(
    /// The picture's file in base64, with or without `data:image/...;base64,` in front.
    image: String,
) -> Result<Size, ScriptError> {
    let digits = match image.split_once(";base64,") {
        Some((_, digits)) => digits,
        None => image.as_str(),
    };
    let file = STANDARD.decode(digits.trim()).map_err(|error| {
        ScriptError::new("InvalidArguments", format!("image is not base64: {error}"))
    })?;
    println!("{} bytes", file.len());
    header::size(&file).map_err(|reason| ScriptError::new("UnknownImage", reason))
}
