//! The messages of event streams: one `data:` line each, a JSON object whose `type` says what it
//! is.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

/// One message. Keys without a value are left out.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Event {
    /// `update`, `ping`, `timeout`, `notfound` or `error`; absent where nothing is streamed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) r#type: Option<&'static str>,
    /// What went wrong, with `error`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// Whether it is running now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) running: Option<bool>,
    /// Whether it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) completed: Option<bool>,
    /// Log text since `log_offset` as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) new_logs: Option<String>,
    /// Where the next text begins: to be given back next time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) log_offset: Option<usize>,
    /// KiB of memory at the peak.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mem_peak: Option<u64>,
    /// The result, once it is over and where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) only_result: Option<Box<RawValue>>,
    /// The whole job without its log, once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<Box<RawValue>>,
}

impl Event {
    /// An empty message of a type.
    pub(crate) fn of(r#type: &'static str) -> Self {
        Self { r#type: Some(r#type), ..Self::default() }
    }

    /// An empty update.
    pub(crate) fn update() -> Self {
        Self::of("update")
    }
}

/// A message on the wire. JSON has no line breaks outside of its own escapes, so one `data:` line
/// holds it.
pub(crate) fn piece(event: &Event) -> Bytes {
    let json = serde_json::to_string(event).unwrap_or_else(|_| {
        "{\"type\":\"error\",\"error\":\"the event could not be written\"}".into()
    });
    Bytes::from(format!("data: {json}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_each() {
        let event = Event {
            new_logs: Some("a\nb\r\n\ndata: x".into()),
            log_offset: Some(3),
            ..Event::update()
        };
        let text = String::from_utf8(piece(&event).to_vec()).unwrap();
        assert_eq!(
            text,
            "data: {\"type\":\"update\",\"new_logs\":\"a\\nb\\r\\n\\ndata: x\",\"log_offset\":3}\n\n"
        );
    }
}
