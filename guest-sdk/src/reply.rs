//! Answers with a status, a content type and headers of their own.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{Error as _, SerializeMap as _, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// Starts an answer with a status from 200 to 599. Return it from `main`.
///
/// ```
/// # use wasmill_guest::reply;
/// let created = reply(201).header("location", "/orders/7").body(vec!["tea"]);
/// let text = reply(200).content_type("text/plain; charset=utf-8").body("3 commits");
/// ```
pub fn reply(status: u16) -> Reply {
    Reply { status, content_type: None, headers: BTreeMap::new(), body: None }
}

/// A script's result that steers how it is answered: see [`reply`].
///
/// It is an ordinary result, the JSON object with the keys `windmill_status_code`,
/// `windmill_content_type`,
/// `windmill_headers` and `result`. For a call that nobody waits for, that object is the result
/// which is stored.
#[derive(Debug)]
#[must_use = "a reply does nothing unless main returns it"]
pub struct Reply {
    status: u16,
    content_type: Option<String>,
    headers: BTreeMap<String, String>,
    body: Option<serde_json::Result<Box<RawValue>>>,
}

impl Reply {
    /// Sets the content type. With one, a body that is a string is sent as it is, without quotes.
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = Some(content_type.into());
        self
    }

    /// Sets a header. The same name again replaces it.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Sets the body. Without one, the answer has none.
    ///
    /// A body that has no JSON form fails the run once `main` returns it.
    pub fn body(mut self, body: impl Serialize) -> Self {
        self.body = Some(to_raw_value(&body));
        self
    }
}

impl Serialize for Reply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("windmill_status_code", &self.status)?;
        if let Some(content_type) = &self.content_type {
            object.serialize_entry("windmill_content_type", content_type)?;
        }
        if !self.headers.is_empty() {
            object.serialize_entry("windmill_headers", &self.headers)?;
        }
        match &self.body {
            Some(Ok(body)) => object.serialize_entry("result", body)?,
            Some(Err(error)) => return Err(S::Error::custom(error)),
            None => {}
        }
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(reply: Reply) -> String {
        serde_json::to_string(&reply).unwrap()
    }

    #[test]
    fn a_reply_is_an_object_with_the_control_keys() {
        assert_eq!(json(reply(204)), r#"{"windmill_status_code":204}"#);
        assert_eq!(
            json(
                reply(201)
                    .content_type("text/plain")
                    .header("x-a", "1")
                    .header("x-a", "2")
                    .body("hi")
            ),
            r#"{"windmill_status_code":201,"windmill_content_type":"text/plain","windmill_headers":{"x-a":"2"},"result":"hi"}"#
        );
    }

    #[test]
    fn a_body_without_a_json_form_fails_late() {
        let strange = BTreeMap::from([(vec![1], 2)]);
        assert!(serde_json::to_string(&reply(200).body(strange)).is_err());
    }
}
