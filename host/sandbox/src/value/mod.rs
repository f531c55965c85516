//! Converts JSON to values of the component model and back, without loss, by the types of the
//! signature.
//!
//! The mapping:
//!
//! - A record is an object. Its kebab-case names may also be given in snake_case.
//! - A variant is `"case"` or `{"case": payload}`.
//! - A `result` is `{"ok": ..}` or `{"err": ..}`.
//! - An `option` is null or left out. An option within an option is null or `[inner]`.
//! - Flags are an array of names.
//! - A `char` is a string of one character.
//! - `list<u8>` is base64 text in results. In arguments it is base64 text or an array of numbers.
//! - 64-bit integers are exact numbers. In arguments they may be strings too.
//! - Floats that are no JSON number are `"NaN"`, `"inf"` and `"-inf"`.

mod names;
mod read;
mod write;

pub(crate) use read::{arguments, without_values};
pub(crate) use write::{WriteError, to_json};

#[cfg(test)]
mod tests;
