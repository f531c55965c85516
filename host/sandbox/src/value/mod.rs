//! JSON ↔ component values, both ways without loss, guided by the written-out types.
//!
//! The mapping: records are objects, and snake_case is accepted for their kebab-case names; a
//! variant is `"case"` or
//! `{"case": payload}`; `result` is `{"ok": ..}` or `{"err": ..}`; `option` is null or absent, and
//! an option within an option is null or `[inner]`; flags are an array of names; a char is a string
//! of one character; `list<u8>` goes out as base64 and comes in as that or as an array of numbers;
//! 64-bit integers are exact numbers and accepted as strings too; floats that JSON has no number
//! for are "NaN", "inf" and "-inf".

mod read;
mod write;

pub(crate) use read::{arguments, without_values};
pub(crate) use write::{Full, to_json};

/// The spelling of a kebab-case name that languages without hyphens use.
fn snake(name: &str) -> String {
    name.replace('-', "_")
}

/// True when `given` is `name`, or `name` in snake_case.
fn same_name(given: &str, name: &str) -> bool {
    given.len() == name.len()
        && given.bytes().zip(name.bytes()).all(|(g, n)| g == n || (n == b'-' && g == b'_'))
}

#[cfg(test)]
mod tests;
