//! The message about one change: a JSON object, sent as a CloudEvent 1.0 in binary mode.

use super::Change;
use crate::wire::timestamp;
use crate::{Digest, VersionHash, WorkspaceId};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde::Serialize;

/// CloudEvents HTTP binding 1.0, 3.1.3.2: the visible ASCII characters that are percent-encoded.
/// All other characters outside of visible ASCII are percent-encoded too.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The prefix of the id of a message.
const PREFIX: &str = "msg_";

/// One change, with its workspace and time.
#[derive(Debug, Clone, Copy)]
pub struct Notice<'a> {
    /// The workspace of the change.
    pub workspace: &'a WorkspaceId,
    /// The number of the change in the order of all changes of this host.
    pub number: i64,
    /// The time of the change, in microseconds since 1970.
    pub at: i64,
    /// The change.
    pub change: &'a Change,
}

/// The body: `type` first, then the keys of that type.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    workspace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl Notice<'_> {
    /// The id of the message. All attempts have the same id. Two changes never have the same one,
    /// also not changes of two hosts that have workspaces of the same name.
    pub fn id(&self) -> String {
        let text = format!("{}\n{}\n{}\n{}", self.workspace, self.number, self.at, self.body());
        let digest = Digest::of(text.as_bytes()).to_hex();
        format!("{PREFIX}{}", digest.get(..32).unwrap_or(&digest))
    }

    /// The JSON body.
    pub fn body(&self) -> String {
        let mut body = Body {
            r#type: self.change.name(),
            workspace: self.workspace.as_str(),
            path: None,
            old_path: None,
            new_path: None,
            hash: None,
        };
        let hex = |hash: &VersionHash| Some(hash.to_hex());
        match self.change {
            Change::ScriptCreated { path, hash } | Change::ScriptUpdated { path, hash } => {
                (body.path, body.hash) = (Some(path.as_str()), hex(hash));
            }
            Change::ScriptArchived { hash, .. } | Change::ScriptDeleted { hash, .. } => {
                body.hash = hex(hash)
            }
            Change::ScriptPathDeleted { path } => body.path = Some(path.as_str()),
            Change::VariableCreated { path }
            | Change::VariableDeleted { path }
            | Change::ResourceCreated { path }
            | Change::ResourceDeleted { path } => body.path = Some(path),
            Change::VariableUpdated { old_path, new_path }
            | Change::ResourceUpdated { old_path, new_path } => {
                (body.old_path, body.new_path) = (Some(old_path.as_str()), Some(new_path.as_str()));
            }
            Change::Test => {}
        }
        // Writing text into memory cannot fail.
        serde_json::to_string(&body).unwrap_or_default()
    }

    /// The attributes of the CloudEvent as headers, encoded. `base` is the address of the host
    /// without a slash at the end.
    pub fn headers(&self, base: &str) -> Vec<(&'static str, String)> {
        let mut headers = vec![
            ("ce-specversion", "1.0".to_owned()),
            ("ce-id", self.id()),
            ("ce-source", format!("{base}/api/w/{}", self.workspace)),
            ("ce-type", self.change.event_type().to_owned()),
            ("ce-time", timestamp(self.at)),
        ];
        headers.extend(self.change.subject().map(|subject| ("ce-subject", subject.to_owned())));
        headers
            .into_iter()
            .map(|(name, value)| (name, utf8_percent_encode(&value, ENCODED).to_string()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::attribute;
    use proptest::prelude::*;

    const HASH: Digest = Digest([0xab; 32]);

    fn main() -> WorkspaceId {
        "main".parse().unwrap()
    }

    fn changes(path: &str, old_path: &str) -> Vec<Change> {
        let (script, hash) = ("f/a/x".parse::<crate::ScriptPath>().unwrap(), HASH);
        let (path, old_path) = (path.to_owned(), old_path.to_owned());
        vec![
            Change::ScriptCreated { path: script.clone(), hash },
            Change::ScriptUpdated { path: script.clone(), hash },
            Change::ScriptArchived { path: script.clone(), hash },
            Change::ScriptDeleted { path: script.clone(), hash },
            Change::ScriptPathDeleted { path: script },
            Change::VariableCreated { path: path.clone() },
            Change::VariableUpdated { old_path: old_path.clone(), new_path: path.clone() },
            Change::VariableDeleted { path: path.clone() },
            Change::ResourceCreated { path: path.clone() },
            Change::ResourceUpdated { old_path, new_path: path.clone() },
            Change::ResourceDeleted { path },
            Change::Test,
        ]
    }

    #[test]
    fn bodies_types_and_subjects() {
        let hex = "ab".repeat(32);
        let expected = [
            (format!(r#"{{"type":"CreateScript","workspace":"main","path":"f/a/x","hash":"{hex}"}}"#), "script.created", "f/a/x"),
            (format!(r#"{{"type":"UpdateScript","workspace":"main","path":"f/a/x","hash":"{hex}"}}"#), "script.updated", "f/a/x"),
            (format!(r#"{{"type":"DeleteScript","workspace":"main","hash":"{hex}"}}"#), "script.archived", "f/a/x"),
            (format!(r#"{{"type":"DeleteScript","workspace":"main","hash":"{hex}"}}"#), "script.deleted", "f/a/x"),
            (r#"{"type":"DeleteScriptPath","workspace":"main","path":"f/a/x"}"#.into(), "script.removed", "f/a/x"),
            (r#"{"type":"CreateVariable","workspace":"main","path":"f/a/v"}"#.into(), "variable.created", "f/a/v"),
            (r#"{"type":"UpdateVariable","workspace":"main","old_path":"f/a/o","new_path":"f/a/v"}"#.into(), "variable.updated", "f/a/v"),
            (r#"{"type":"DeleteVariable","workspace":"main","path":"f/a/v"}"#.into(), "variable.deleted", "f/a/v"),
            (r#"{"type":"CreateResource","workspace":"main","path":"f/a/v"}"#.into(), "resource.created", "f/a/v"),
            (r#"{"type":"UpdateResource","workspace":"main","old_path":"f/a/o","new_path":"f/a/v"}"#.into(), "resource.updated", "f/a/v"),
            (r#"{"type":"DeleteResource","workspace":"main","path":"f/a/v"}"#.into(), "resource.deleted", "f/a/v"),
            (r#"{"type":"Test","workspace":"main"}"#.into(), "webhook.test", ""),
        ];
        let main = main();
        for (change, (body, event_type, subject)) in changes("f/a/v", "f/a/o").iter().zip(expected)
        {
            let notice = Notice { workspace: &main, number: 7, at: 1_767_225_600_000_001, change };
            assert_eq!(notice.body(), body);
            let headers = notice.headers("https://wasmill.example");
            let find = |name: &str| {
                headers
                    .iter()
                    .find(|(found, _)| *found == name)
                    .map_or("", |(_, value)| value.as_str())
            };
            assert_eq!(find("ce-type"), format!("dev.wasmill.{event_type}"));
            assert_eq!(find("ce-subject"), subject);
            assert_eq!((find("ce-specversion"), find("ce-id")), ("1.0", notice.id().as_str()));
            assert_eq!(find("ce-source"), "https://wasmill.example/api/w/main");
            assert_eq!(find("ce-time"), "2026-01-01T00:00:00.000001Z");
            assert_eq!(headers.len(), if subject.is_empty() { 5 } else { 6 });
        }
    }

    #[test]
    fn encoded_by_the_binding() {
        let change = Change::VariableCreated { path: "f/a/Euro € \"100%\" ~\n".into() };
        let main = main();
        let headers =
            Notice { workspace: &main, number: 1, at: 0, change: &change }.headers("http://h");
        assert_eq!(headers.last().unwrap().1, "f/a/Euro%20%E2%82%AC%20%22100%25%22%20~%0A");
    }

    #[test]
    fn ids_tell_changes_apart() {
        let (main, other) = (main(), "other".parse().unwrap());
        let (change, another) = (
            Change::VariableCreated { path: "f/a/x".into() },
            Change::VariableDeleted { path: "f/a/x".into() },
        );
        let first = Notice { workspace: &main, number: 1, at: 5, change: &change };
        assert_eq!(first.id(), first.id());
        assert_eq!(first.id().len(), 36);
        for different in [
            Notice { number: 2, ..first },
            Notice { at: 6, ..first },
            Notice { workspace: &other, ..first },
            Notice { change: &another, ..first },
        ] {
            assert_ne!(first.id(), different.id(), "{different:?}");
        }
    }

    proptest! {
        #[test]
        fn receivers_read_back_what_was_meant(path in ".{1,30}", old_path in ".{1,30}", which in 0..12usize, at in 0..4_000_000_000_000_000i64) {
            let (main, changes) = (main(), changes(&path, &old_path));
            let notice = Notice { workspace: &main, number: 1, at, change: &changes[which] };
            let headers = notice.headers("http://127.0.0.1:8000");
            for (_, value) in &headers {
                prop_assert!(value.bytes().all(|byte| (0x21..0x7f).contains(&byte)), "{value:?}");
            }
            if let Some((_, subject)) = headers.iter().find(|(name, _)| *name == "ce-subject") {
                // The quotes are encoded, so that nothing else has to be undone.
                prop_assert_eq!(attribute(subject.as_bytes()), changes[which].subject().map(str::to_owned));
            }
            let body: serde_json::Value = serde_json::from_str(&notice.body()).unwrap();
            if let Some(new_path) = body.get("new_path") {
                prop_assert_eq!((new_path.as_str(), body["old_path"].as_str()), (Some(path.as_str()), Some(old_path.as_str())));
            }
        }
    }
}
