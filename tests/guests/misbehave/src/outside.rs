//! Reaching for what a script has no access to.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::net::TcpStream;

/// The text of the error, or what should not have happened.
pub fn open_file() -> String {
    match std::fs::read_to_string("/etc/passwd") {
        Ok(text) => format!("opened: {} bytes", text.len()),
        Err(error) => error.to_string(),
    }
}

/// The text of the error, or what should not have happened.
pub fn connect() -> String {
    match TcpStream::connect("127.0.0.1:80") {
        Ok(_) => "connected".to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Sixteen bytes in hexadecimal digits, from the randomness that the standard library's maps are
/// seeded with.
pub fn random() -> String {
    let state = RandomState::new();
    [1, 2]
        .map(|number| {
            let mut hasher = state.build_hasher();
            hasher.write_u8(number);
            format!("{:016x}", hasher.finish())
        })
        .concat()
}
