//! Looking for a text in everything that a host has written.

use std::path::Path;

/// Where below a folder a text is found: plain, in hex, or in base64 at any alignment. Each place
/// with its file's name.
pub fn found_below(folder: &Path, text: &str) -> Vec<String> {
    let mut needles: Vec<(&str, Vec<u8>)> = vec![
        ("plain", text.into()),
        ("hex", text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>().into()),
        ("upper hex", text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>().into()),
    ];
    for before in 0..3 {
        let padded = [&b"xx"[..before], text.as_bytes()].concat();
        let encoded = base64(&padded);
        // Without the characters at both ends, in which the neighbours have a part.
        needles.push(("base64", encoded[(before * 4).div_ceil(3)..encoded.len() - 2].into()));
    }
    let mut found = Vec::new();
    search(folder, &needles, &mut found);
    found
}

fn search(folder: &Path, needles: &[(&str, Vec<u8>)], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            search(&path, needles, found);
            continue;
        }
        // Files come and go while a host works.
        let Ok(bytes) = std::fs::read(&path) else { continue };
        for (how, needle) in needles {
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(format!("{} ({how})", path.display()));
            }
        }
    }
}

/// The standard alphabet, the last group cut instead of padded.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0usize, |bits, byte| bits << 8 | usize::from(*byte))
            << (8 * (3 - group.len()));
        for sextet in 0..=group.len() {
            text.push(char::from(ALPHABET[bits >> (18 - 6 * sextet) & 63]));
        }
    }
    text
}
