//! Works on JSON as text. Values are checked but not rewritten, so numbers, order and white space
//! stay as they were sent.

use crate::limits::JSON_DEPTH;
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// A text as a JSON string.
pub(crate) fn quote(text: &str) -> String {
    // Writing a string to memory cannot fail.
    serde_json::to_string(text).unwrap_or_default()
}

/// Whether valid JSON has more levels than its readers accept. One level is left for an object that
/// may be put around it.
pub(crate) fn too_deep(text: &str) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth >= JSON_DEPTH {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// Whether a string or a key in this JSON may begin with one of the words, all of which begin with
/// `w`. False for nearly all results, which then need not be parsed. Keys that are written with
/// escapes are not found.
pub(crate) fn holds_word(json: &str, words: &[&str]) -> bool {
    memchr::memmem::find_iter(json.as_bytes(), "\"w").any(|at| {
        let text = json.as_bytes().get(at + 1..).unwrap_or_default();
        words.iter().any(|word| text.starts_with(word.as_bytes()))
    })
}

/// The member of an object with this key, or the item of an array at this index.
pub fn part<'a>(value: &'a RawValue, key: &str) -> Option<&'a RawValue> {
    match value.get().trim_start().as_bytes().first()? {
        b'{' => Members::read(value.get()).ok()?.get(key),
        b'[' => serde_json::from_str::<Vec<&'a RawValue>>(value.get())
            .ok()?
            .get(key.parse::<usize>().ok()?)
            .copied(),
        _ => None,
    }
}

/// The members of an object in order, with repeated keys. Values are as they were written.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads the text of an object.
    pub(crate) fn read(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(text)
    }

    /// The members, of each key only the last one.
    pub(crate) fn deduplicated(self) -> Self {
        let mut at: HashMap<Cow<'a, str>, usize> = HashMap::with_capacity(self.0.len());
        for (index, (key, _)) in self.0.iter().enumerate() {
            at.insert(key.clone(), index);
        }
        let kept =
            self.0.into_iter().enumerate().filter(|(index, (key, _))| at.get(key) == Some(index));
        Members(kept.map(|(_, member)| member).collect())
    }

    /// The value of a key, of a repeated key the last one.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((key.0, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// A key, borrowed when it has no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes an object, one member after the other.
pub(crate) struct Writer(String);

impl Writer {
    /// An object of about `bytes` bytes.
    pub(crate) fn new(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Writer(text)
    }

    /// Adds a member. `value` is JSON text.
    pub(crate) fn member(&mut self, key: &str, value: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        self.0.push_str(&quote(key));
        self.0.push(':');
        self.0.push_str(value);
    }

    /// The text of the object.
    pub(crate) fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let value = serde_json::from_str::<Box<RawValue>>(
            r#" {"a":[1.10,{"b":"x"}],"a.b":2,"a":[1.10,{"b":"y"}]}"#,
        )
        .unwrap();
        let at = |path: &[&str]| {
            path.iter().try_fold(&*value, |value, key| part(value, key)).map(RawValue::get)
        };
        assert_eq!(at(&["a", "0"]), Some("1.10"));
        assert_eq!(at(&["a", "1", "b"]), Some("\"y\""));
        assert_eq!(at(&["a.b"]), Some("2"));
        for missing in [&["b"][..], &["a", "2"], &["a", "x"], &["a", "0", "0"]] {
            assert_eq!(at(missing), None, "{missing:?}");
        }
    }

    #[test]
    fn members_keep_text_and_order() {
        let text = r#"{"z" : 1.10,"a":{"b" : [1 ]},"z":1E+400,"\u0061":null}"#;
        let keys = |members: &Members<'_>| {
            members.0.iter().map(|(k, v)| format!("{k}={}", v.get())).collect::<Vec<_>>()
        };
        let members = Members::read(text).unwrap();
        assert_eq!(keys(&members), ["z=1.10", r#"a={"b" : [1 ]}"#, "z=1E+400", "a=null"]);
        assert_eq!(members.get("z").map(RawValue::get), Some("1E+400"));
        assert_eq!(keys(&members.deduplicated()), ["z=1E+400", "a=null"]);
        assert!(Members::read("[1]").is_err());
    }

    #[test]
    fn depth_counts_only_outside_of_strings() {
        assert!(too_deep(&"[".repeat(JSON_DEPTH)));
        assert!(!too_deep(&"[".repeat(JSON_DEPTH - 1)));
        assert!(!too_deep(&format!("\"{}\"", "\\\"[".repeat(JSON_DEPTH))));
        assert!(!too_deep(&"[]".repeat(JSON_DEPTH)));
    }
}
