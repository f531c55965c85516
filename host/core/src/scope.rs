//! The scopes of tokens: how they are written, and whether they give a right.
//!
//! A scope is `domain:action[:kind][:resource,...]`. A resource may be `*` or `prefix/*`. `write`
//! includes `read`. Older forms (`run:script/<path>`, `run:flow/<path>`, `jobs:runscript`,
//! `jobs:runflow`) mean the same as the new ones.

use std::fmt;

/// One scope of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    domain: String,
    action: Action,
    kind: Option<String>,
    resources: Vec<Pattern>,
}

/// The action of a scope. `Write` includes `Read`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read.
    Read,
    /// Read, change and delete.
    Write,
    /// Start a run.
    Run,
}

/// The resources of a scope. A scope without patterns reaches all of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Pattern {
    Any,
    Exact(String),
    /// The prefix itself, and everything below it.
    Under(String),
}

/// A right that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    /// The domain: `jobs`, `scripts`, `users` ...
    pub domain: &'a str,
    /// The action.
    pub action: Action,
    /// The kind of `jobs:run`: `scripts` or `flows`.
    pub kind: Option<&'a str>,
    /// The path of the resource; `None` for all resources, as in a list.
    pub resource: Option<&'a str>,
}

impl Need<'_> {
    /// The right to run the script at this path.
    pub fn run_script(path: &str) -> Need<'_> {
        Need { domain: "jobs", action: Action::Run, kind: Some("scripts"), resource: Some(path) }
    }

    /// The right to all resources of a domain.
    pub fn all(domain: &str, action: Action) -> Need<'_> {
        Need { domain, action, kind: None, resource: None }
    }

    /// The right to one resource of a domain.
    pub fn one<'a>(domain: &'a str, action: Action, resource: &'a str) -> Need<'a> {
        Need { domain, action, kind: None, resource: Some(resource) }
    }
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Write => "write",
            Action::Run => "run",
        }
    }

    fn includes(self, other: Action) -> bool {
        self == other || (self == Action::Write && other == Action::Read)
    }
}

impl fmt::Display for Need<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.domain, self.action.as_str())?;
        if let Some(kind) = self.kind {
            write!(f, ":{kind}")?;
        }
        if let Some(resource) = self.resource {
            write!(f, ":{resource}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::Any => f.write_str("*"),
            Pattern::Exact(path) => f.write_str(path),
            Pattern::Under(prefix) => write!(f, "{prefix}/*"),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.domain, self.action.as_str())?;
        if let Some(kind) = &self.kind {
            write!(f, ":{kind}")?;
        }
        for (index, resource) in self.resources.iter().enumerate() {
            write!(f, "{}{resource}", if index == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

impl Pattern {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Pattern::Any);
        }
        let (path, under) = match text.strip_suffix("/*") {
            Some(prefix) => (prefix, true),
            None => (text, false),
        };
        let plain =
            |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'.' | b'@');
        if path.is_empty() || !path.bytes().all(plain) {
            return Err(format!("{text:?} is neither a path, nor '*', nor '<path>/*'"));
        }
        Ok(if under { Pattern::Under(path.to_owned()) } else { Pattern::Exact(path.to_owned()) })
    }

    fn reaches(&self, path: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exact(exact) => exact == path,
            Pattern::Under(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    fn covers(&self, narrower: &Pattern) -> bool {
        match (self, narrower) {
            (Pattern::Any, _) => true,
            (_, Pattern::Any) => false,
            (wide, Pattern::Exact(path)) => wide.reaches(path),
            (Pattern::Under(_), Pattern::Under(prefix)) => self.reaches(prefix),
            (Pattern::Exact(_), Pattern::Under(_)) => false,
        }
    }
}

impl Scope {
    /// Reads one scope.
    ///
    /// # Errors
    /// A sentence that tells what is wrong and how a scope is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let run = |kind: &str, resources| {
            Ok(Scope {
                domain: "jobs".into(),
                action: Action::Run,
                kind: Some(kind.into()),
                resources,
            })
        };
        match text {
            "jobs:runscript" => return run("scripts", vec![]),
            "jobs:runflow" => return run("flows", vec![]),
            _ => {}
        }
        if let Some(path) = text.strip_prefix("run:script/") {
            return run("scripts", vec![Pattern::parse(path)?]);
        }
        if let Some(path) = text.strip_prefix("run:flow/") {
            return run("flows", vec![Pattern::parse(path)?]);
        }
        let mut parts = text.split(':');
        let (domain, action) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let bad = |why: &str| {
            Err(format!(
                "scope {text:?}: {why}; a scope is domain:action[:kind][:resource,...], such as jobs:run:scripts:f/folder/*"
            ))
        };
        if domain.is_empty() || !domain.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return bad("the domain must be a lower-case word");
        }
        let action = match action {
            "read" => Action::Read,
            "write" => Action::Write,
            "run" => Action::Run,
            _ => return bad("the action must be read, write or run"),
        };
        let rest: Vec<&str> = parts.collect();
        let (kind, resources) = match rest.as_slice() {
            [] => (None, None),
            [one] if action == Action::Run && matches!(*one, "scripts" | "flows") => {
                (Some(*one), None)
            }
            [one] => (None, Some(*one)),
            [kind, resources] if action == Action::Run && matches!(*kind, "scripts" | "flows") => {
                (Some(*kind), Some(*resources))
            }
            _ => return bad("it has too many parts, or a kind other than scripts and flows"),
        };
        let resources = match resources {
            None => vec![],
            Some(list) => {
                match list.split(',').map(Pattern::parse).collect::<Result<Vec<_>, _>>() {
                    Ok(patterns) => patterns,
                    Err(why) => return bad(&why),
                }
            }
        };
        Ok(Scope { domain: domain.into(), action, kind: kind.map(Into::into), resources })
    }

    /// Whether this scope alone gives the right.
    pub fn allows(&self, need: &Need<'_>) -> bool {
        let kind = self.kind.is_none() || self.kind.as_deref() == need.kind;
        let resource = self.resources.is_empty()
            || match need.resource {
                Some(path) => self.resources.iter().any(|pattern| pattern.reaches(path)),
                None => self.resources.contains(&Pattern::Any),
            };
        self.domain == need.domain && self.action.includes(need.action) && kind && resource
    }

    /// Whether this scope allows everything that `narrower` allows.
    pub fn covers(&self, narrower: &Scope) -> bool {
        let kind = self.kind.is_none() || self.kind == narrower.kind;
        let all = |patterns: &[Pattern]| patterns.is_empty() || patterns.contains(&Pattern::Any);
        let resources = all(&self.resources)
            || (!all(&narrower.resources)
                && narrower
                    .resources
                    .iter()
                    .all(|narrow| self.resources.iter().any(|wide| wide.covers(narrow))));
        self.domain == narrower.domain && self.action.includes(narrower.action) && kind && resources
    }
}

/// The rights of a token: all rights of its user, or those of its scopes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scopes {
    /// The token has no scopes, and so all rights of its user.
    All,
    /// The token has these scopes only.
    Listed(Vec<Scope>),
}

impl Scopes {
    /// Reads the scopes of a token. `None` or an empty list means all rights.
    ///
    /// # Errors
    /// The first scope that cannot be read, with the reason.
    pub fn parse(list: Option<&[String]>) -> Result<Self, String> {
        match list {
            None | Some([]) => Ok(Scopes::All),
            Some(list) => list
                .iter()
                .map(|text| Scope::parse(text))
                .collect::<Result<_, _>>()
                .map(Scopes::Listed),
        }
    }

    /// Whether the scopes give the right.
    pub fn allows(&self, need: &Need<'_>) -> bool {
        match self {
            Scopes::All => true,
            Scopes::Listed(scopes) => scopes.iter().any(|scope| scope.allows(need)),
        }
    }

    /// Whether a token with these scopes may make a token with the scopes `narrower`.
    pub fn covers(&self, narrower: &Scopes) -> bool {
        match (self, narrower) {
            (Scopes::All, _) => true,
            (Scopes::Listed(_), Scopes::All) => false,
            (Scopes::Listed(wide), Scopes::Listed(narrow)) => {
                narrow.iter().all(|scope| wide.iter().any(|w| w.covers(scope)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn allows(scope: &str, need: Need<'_>) -> bool {
        Scope::parse(scope).unwrap().allows(&need)
    }

    #[test]
    fn table() {
        let hello = Need::run_script("f/a/hello");
        for (scope, expected) in [
            ("jobs:run", true),
            ("jobs:run:scripts", true),
            ("jobs:run:flows", false),
            ("jobs:run:scripts:f/a/hello", true),
            ("jobs:run:scripts:f/a/hello2", false),
            ("jobs:run:scripts:f/a/*", true),
            ("jobs:run:scripts:f/b/x,f/a/*", true),
            ("jobs:run:scripts:f/*", true),
            ("jobs:run:scripts:f/aa/*", false),
            ("jobs:run:scripts:*", true),
            ("jobs:read", false),
            ("jobs:write", false),
            ("scripts:run", false),
            ("run:script/f/a/hello", true),
            ("run:script/f/a/*", true),
            ("run:flow/f/a/hello", false),
            ("jobs:runscript", true),
            ("jobs:runflow", false),
        ] {
            assert_eq!(allows(scope, hello), expected, "{scope}");
        }
        assert!(allows("scripts:write", Need::all("scripts", Action::Read)));
        assert!(!allows("scripts:read", Need::all("scripts", Action::Write)));
        assert!(
            !allows("scripts:read:f/a/*", Need::all("scripts", Action::Read)),
            "a list needs the whole domain"
        );
        assert!(allows("scripts:read:f/a/*", Need::one("scripts", Action::Read, "f/a")));
    }

    #[test]
    fn bad_scopes_are_named() {
        for bad in [
            "",
            "jobs",
            "jobs:",
            "jobs:fly",
            "Jobs:run",
            "jobs:run:apps:x",
            "jobs:run:scripts:",
            "jobs:run:scripts:a b",
            "a:read:b:c",
            "jobs:run:scripts:a,,b",
        ] {
            let why = Scope::parse(bad).unwrap_err();
            assert!(why.len() > 10, "{bad}: {why}");
        }
    }

    #[test]
    fn need_text() {
        assert_eq!(Need::run_script("u/a/b").to_string(), "jobs:run:scripts:u/a/b");
    }

    fn scope_text() -> impl Strategy<Value = String> {
        let resource =
            prop_oneof![Just("*".to_owned()), "[ab](/[ab]){0,2}", "[ab](/[ab]){0,1}/\\*"];
        (
            prop_oneof!["jobs", "scripts"],
            prop_oneof!["read", "write", "run"],
            prop::option::of(prop_oneof!["scripts", "flows"]),
            prop::collection::vec(resource, 0..3),
        )
            .prop_map(|(domain, action, kind, resources)| {
                let kind =
                    kind.filter(|_| action == "run").map(|k| format!(":{k}")).unwrap_or_default();
                let resources = if resources.is_empty() {
                    String::new()
                } else {
                    format!(":{}", resources.join(","))
                };
                format!("{domain}:{action}{kind}{resources}")
            })
    }

    proptest! {
        #[test]
        fn text_round_trip(text in scope_text()) {
            let scope = Scope::parse(&text).unwrap();
            prop_assert_eq!(Scope::parse(&scope.to_string()).unwrap(), scope);
        }

        /// A covered scope never allows what its cover does not.
        #[test]
        fn cover_is_monotone(wide in scope_text(), narrow in scope_text(), path in "[ab](/[ab]){0,3}", action in 0..3usize, domain in prop_oneof!["jobs", "scripts"], kind in prop::option::of(prop_oneof!["scripts", "flows"]), whole: bool) {
            let (wide, narrow) = (Scope::parse(&wide).unwrap(), Scope::parse(&narrow).unwrap());
            let need = Need { domain: &domain, action: [Action::Read, Action::Write, Action::Run][action], kind: kind.as_deref(), resource: (!whole).then_some(path.as_str()) };
            if wide.covers(&narrow) && narrow.allows(&need) {
                prop_assert!(wide.allows(&need), "{wide} covers {narrow}, which allows {need}");
            }
        }

        #[test]
        fn never_panics(text in ".*") {
            let _ = Scope::parse(&text);
        }
    }
}
