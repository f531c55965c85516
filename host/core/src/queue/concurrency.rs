//! How many jobs of a key may run at once.

use crate::id::{Digest, ScriptPath, WorkspaceId};
use crate::json::Members;
use std::borrow::Cow;

/// Characters of the template of a key.
pub const TEMPLATE_CHARS: usize = 500;
/// How a template asks for an argument: `$args[name]`.
const ARGS: &str = "$args[";
/// How it asks for the workspace's name.
const WORKSPACE: &str = "$workspace";

/// Of all jobs with one key, those with this limit start only while fewer than it run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Concurrency {
    /// Names the key in its workspace: a digest, for what makes a key may be long and secret. Keys
    /// of different workspaces are different.
    pub key: i64,
    /// How many may run. At least 1.
    pub limit: u32,
}

impl Concurrency {
    /// The limit of a script's job. `template` makes its key of the arguments, a JSON object;
    /// without one all jobs of the path share one key. An argument that is not there reads as
    /// empty, one that is no string as its JSON text.
    pub fn new(
        workspace: &WorkspaceId,
        path: &ScriptPath,
        template: Option<&str>,
        limit: u32,
        args: &str,
    ) -> Self {
        let name = match template.filter(|template| !template.is_empty()) {
            None => format!("script/{path}"),
            Some(template) => format!("key/{}", filled(template, workspace, args)),
        };
        let [a, b, c, d, e, f, g, h, ..] = Digest::of(format!("{workspace}\n{name}").as_bytes()).0;
        Self { key: i64::from_be_bytes([a, b, c, d, e, f, g, h]), limit: limit.max(1) }
    }
}

fn filled(template: &str, workspace: &WorkspaceId, args: &str) -> String {
    let members = Members::read(args).ok();
    let value = |name: &str| -> Cow<'_, str> {
        let Some(value) = members.as_ref().and_then(|members| members.get(name)) else {
            return Cow::Borrowed("");
        };
        match serde_json::from_str::<String>(value.get()) {
            Ok(text) => Cow::Owned(text),
            Err(_) => Cow::Borrowed(value.get()),
        }
    };
    let (mut key, mut rest) = (String::with_capacity(template.len()), template);
    while let Some((before, after)) = rest.split_once('$') {
        key.push_str(before);
        let asked = rest.get(before.len()..).unwrap_or_default();
        rest = match (
            asked.strip_prefix(ARGS).and_then(|asked| asked.split_once(']')),
            asked.strip_prefix(WORKSPACE),
        ) {
            (Some((name, after)), _) => {
                key.push_str(&value(name));
                after
            }
            (None, Some(after)) => {
                key.push_str(workspace.as_str());
                after
            }
            (None, None) => {
                key.push('$');
                after
            }
        };
    }
    key + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn templates() {
        let workspace: WorkspaceId = "main".parse().unwrap();
        let args = r#"{"user":"ann","n":7,"o":{"a":[1]},"q":"a\"b"}"#;
        for (template, expected) in [
            ("plain", "plain"),
            ("$args[user]", "ann"),
            ("$workspace/$args[n]/x", "main/7/x"),
            ("$args[o]", r#"{"a":[1]}"#),
            ("$args[q]", "a\"b"),
            ("$args[none]-", "-"),
            ("$args[user", "$args[user"),
            ("cost $5 $", "cost $5 $"),
            ("$$args[user]", "$ann"),
        ] {
            assert_eq!(filled(template, &workspace, args), expected, "{template}");
        }
    }

    #[test]
    fn whose_key_it_is() {
        let key = |workspace: &str, path: &str, template, args: &str| {
            Concurrency::new(&workspace.parse().unwrap(), &path.parse().unwrap(), template, 1, args)
                .key
        };
        let one = key("main", "u/a/b", None, "{}");
        assert_eq!(one, key("main", "u/a/b", Some(""), r#"{"a":1}"#));
        assert_ne!(one, key("other", "u/a/b", None, "{}"));
        assert_ne!(one, key("main", "u/a/c", None, "{}"));
        // A key that is asked for by name is never that of a path.
        assert_ne!(one, key("main", "u/a/b", Some("script/u/a/b"), "{}"));
        assert_eq!(key("main", "u/a/b", Some("k"), "{}"), key("main", "u/a/c", Some("k"), "{}"));
        assert_ne!(key("main", "u/a/b", Some("k"), "{}"), key("other", "u/a/b", Some("k"), "{}"));
    }

    proptest! {
        #[test]
        fn never_panics(template in ".{0,60}", args in ".{0,60}") {
            filled(&template, &"main".parse().unwrap(), &args);
        }
    }
}
